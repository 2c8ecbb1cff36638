"""What a program or library says of itself: its machine, its name, what it needs and what it gives."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from android_suite.errors import UsageError

MACHINES = {"EM_AARCH64": "arm64", "EM_X86_64": "amd64", "EM_ARM": "arm (32 bits)", "EM_386": "x86 (32 bits)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One ELF file.

    Attributes:
        arch: ``arm64``, ``amd64``, or another machine in words.
        soname: its own name; empty if it has none.
        needed: libraries that it needs, in its order.
        wanted: symbols that others must give it; without the weak ones.
        given: symbols that it gives to others.
    """

    arch: str
    soname: str
    needed: tuple[str, ...]
    wanted: frozenset[str]
    given: frozenset[str]


def read_program(content: bytes, name: str) -> Program:
    """Reads a program or library.

    Args:
        content: the file.
        name: what a message calls it.

    Raises:
        UsageError: it is not an ELF file, or is damaged.
    """
    soname, needed = "", []
    wanted: set[str] = set()
    given: set[str] = set()
    try:
        file = ELFFile(io.BytesIO(content))
        machine = str(file.header["e_machine"])
        for section in file.iter_sections():
            if isinstance(section, DynamicSection):
                needed += [tag.needed for tag in section.iter_tags("DT_NEEDED")]
                soname = next((tag.soname for tag in section.iter_tags("DT_SONAME")), soname)
            elif isinstance(section, SymbolTableSection) and section.name == ".dynsym":
                for symbol in section.iter_symbols():
                    if symbol["st_shndx"] != "SHN_UNDEF":
                        given.add(symbol.name)
                    elif symbol["st_info"]["bind"] != "STB_WEAK":
                        wanted.add(symbol.name)
    except (ELFError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise UsageError(f"{name} is not a whole ELF file; pull it from the device again") from error
    return Program(
        arch=MACHINES.get(machine, machine), soname=soname, needed=tuple(needed),
        wanted=frozenset(wanted - {""}), given=frozenset(given - {""}),
    )  # fmt: skip


def read_program_file(path: Path) -> Program:
    """:func:`read_program` of a file."""
    return read_program(path.read_bytes(), path.name)
