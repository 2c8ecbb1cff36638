"""Finds in what `patch` and `make` print the one line that a user needs. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# "patching file mm/a.c", with --dry-run "checking file 'mm/a b.c'"; a new one and a renamed one have more words behind
_FILE = re.compile(r"^(?:patching|checking) (?:file|symbolic link) '?(.+?)'?(?: \((?:renamed|copied|read).*)?$")
_FAILED = re.compile(r"^Hunk #(\d+) FAILED at (\d+)")
_NO_FILE = re.compile(r"^(?:can't find file to patch|File to patch)")
_HEADER = re.compile(r"^\|(?:---|\+\+\+) (?:[ab]/)?(\S+)")
_OUTSIDE = re.compile(r"^(?:Ignoring potentially dangerous|Invalid) file name (\S+)", re.MULTILINE)
_FUZZ = re.compile(r"^Hunk #(\d+) succeeded at (\d+) (?:\(offset .*?\) )?with fuzz (\d+)")
_MALFORMED = re.compile(r"^patch: \*\*\*\* (.+)")
_CREATES = re.compile(r"^The next patch(?:, when reversed,)? would create the file (.+), which already exists")
_DELETES = re.compile(r"^The next patch(?:, when reversed,)? would delete the file (.+), which does not exist")
DAMAGED = "the patch itself is damaged"

# What compiler, assembler, linker, modpost and make say of an error; the first of the first pattern that is found.
_ERRORS = (
    re.compile(r"^(?!make)[^\s:]+:\d+(?::\d+)?: (?:fatal )?error: .+"),
    re.compile(r"^(?!make)[^\s:]+:\d+(?::\d+)?: Error: .+"),
    re.compile(r".*(?:undefined reference to|multiple definition of) .+"),
    re.compile(r"^ERROR: modpost: .+"),
    re.compile(r"^(?:Kconfig|[^\s:]*/?Kconfig[^\s:]*):\d+: .+"),
    re.compile(r"^(?!make)[^\s:]+:\d+(?::\d+)?: .*\[-Werror.*"),
    re.compile(r"^(?:[^\s:]*/)?(?:Makefile|Kbuild)[^\s:]*:\d+: \*\*\* (?!\[).+"),
    re.compile(r"^make(?:\[\d+\])?: \*\*\* .+"),
)
# What the host lacks, not the source: a compiler that was killed for its memory, a full disk
_HOST = re.compile(
    r"No space left on device|Disk quota exceeded|Killed signal terminated program|virtual memory exhausted"
    r"|Cannot allocate memory|out of memory allocating|Too many open files|\*\*\* .* Killed$"
)
_SHOWN = 3
_LONGEST = 300


def describe_refusal(text: str) -> str:
    """Why `patch` refuses, as the end of a sentence: ``hunk 2 of mm/madvise.c (at line 1769) does not fit``.

    Args:
        text: what `patch` printed, in the C locale.
    """
    if outside := _OUTSIDE.search(text):
        return f"its path {outside[1]} leads out of the source"
    hunks: list[str] = []
    absent: list[str] = []
    other: dict[str, str] = {}  # files that are there, or are not, and what to say instead of their hunks
    file = ""
    lost = False
    # The message about a file that is there, or is not, goes on in a second line.
    for line in (
        text.replace(",\nwhich already exists", ", which already exists")
        .replace(",\nwhich does not exist", ", which does not exist")
        .splitlines()
    ):
        if match := _FILE.match(line):
            file, lost = match[1], False
        elif file in other and _FAILED.match(line):
            continue
        elif match := _FAILED.match(line):
            hunks.append(f"hunk {match[1]} of {file} (at line {match[2]})")
        elif _NO_FILE.match(line):
            lost = True
        elif lost and (match := _HEADER.match(line)):
            file, lost = match[1], False
            absent.append(file)
        elif match := _CREATES.match(line):
            other[match[1]] = f"this source has {match[1]}, which the patch creates"
        elif match := _DELETES.match(line):
            other[match[1]] = f"this source has no {match[1]}, which the patch deletes"
        elif match := _MALFORMED.match(line):
            return f"{DAMAGED}: {match[1].strip().rstrip(':.')}"
    said = []
    if hunks:
        more = f" and {len(hunks) - _SHOWN} more" if len(hunks) > _SHOWN else ""
        said.append(f"{'; '.join(hunks[:_SHOWN])}{more} {'do' if len(hunks) > 1 else 'does'} not fit")
    if absent:
        said.append(f"this source has no {' and no '.join(dict.fromkeys(absent[:_SHOWN]))}")
    said += list(other.values())[:_SHOWN]
    if said:
        return "; ".join(said)
    rest = [line for line in text.splitlines() if line.strip()]
    return rest[-1].strip()[:_LONGEST] if rest else "`patch` gave no reason"


def lacks_files(text: str) -> bool:
    """Whether `patch` finds no file to patch, as it does with paths of another depth."""
    return any(_NO_FILE.match(line) for line in text.splitlines())


def leads_out(text: str) -> bool:
    """Whether `patch` refuses a path because it leads out of the source."""
    return _OUTSIDE.search(text) is not None


def find_fuzz(text: str) -> tuple[str, ...]:
    """The hunks that `patch` applied although their context differs, as ``hunk 1 of mm/madvise.c (fuzz 2)``."""
    found = []
    file = ""
    for line in text.splitlines():
        if match := _FILE.match(line):
            file = match[1]
        elif match := _FUZZ.match(line):
            found.append(f"hunk {match[1]} of {file} at line {match[2]} (fuzz {match[3]})")
    return tuple(found)


def find_error(lines: Iterable[str] | Sequence[str]) -> str | None:
    """The first error of a build: the compiler's before the linker's, and those before `make`'s; None if none is known."""
    best: tuple[int, str] | None = None
    for line in lines:
        for rank, pattern in enumerate(_ERRORS):
            if best is not None and rank >= best[0]:
                break
            if pattern.match(line):
                best = (rank, line.strip()[:_LONGEST])
                break
    return best[1] if best else None


def find_host_fault(lines: Iterable[str]) -> str | None:
    """The first line by which a build says that this host lacked memory or space; None if there is none."""
    return next((line.strip()[:_LONGEST] for line in lines if _HOST.search(line)), None)
