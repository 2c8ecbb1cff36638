"""Parses the small text files beside a trace: saved_cmdlines, saved_tgids, kallsyms, printk_formats."""

from __future__ import annotations

import bisect
import re


def parse_pairs(text: str) -> dict[int, str]:
    """Text by id, from lines of an id and a text: ``saved_cmdlines``, ``saved_tgids``, ``processes.txt``."""
    return {
        int(m[1]): m[2].strip()
        for m in re.finditer(r"^\s*(\d{1,9})[ \t]+(\S.*?)\s*$", text, re.MULTILINE)
        if m[2].strip() != "<...>"
    }


class Symbols:
    """Kernel symbols by address, from ``/proc/kallsyms``. Its 200,000 lines are parsed on first use: few traces need them.

    Symbols with the address 0 (hidden by kptr_restrict) are ignored.
    """

    __slots__ = ("_addresses", "_names", "_text")

    def __init__(self, text: str = "") -> None:
        self._text: str | None = text
        self._addresses: list[int] = []
        self._names: list[str] = []

    def find(self, address: int) -> tuple[str, int] | None:
        """The symbol at or below ``address`` and the offset from it; None if there is none."""
        if self._text is not None:
            lines = re.finditer(r"^([0-9a-fA-F]{1,16}) \S (\S+)", self._text, re.MULTILINE)
            pairs = sorted((value, m[2]) for m in lines if (value := int(m[1], 16)))
            self._addresses, self._names = [a for a, _ in pairs], [n for _, n in pairs]
            self._text = None
        at = bisect.bisect_right(self._addresses, address) - 1
        return (self._names[at], address - self._addresses[at]) if at >= 0 else None

    def name_caller(self, address: int) -> str:
        """``symbol+0xoffset``; a bare hexadecimal number if no symbol is near; empty for 0."""
        if address == 0:
            return ""
        found = self.find(address)
        # Symbols are never that far apart: an address further away belongs to something without a symbol.
        if found is None or found[1] > 1 << 20:
            return f"0x{address:x}"
        return f"{found[0]}+0x{found[1]:x}"


def parse_printk_formats(text: str) -> dict[int, str]:
    """Format strings by address, from ``printk_formats``: lines of an address, a colon and a quoted C string."""
    return {
        int(m[1], 16): _unescape(m[2])
        for m in re.finditer(r'^(?:0x)?([0-9a-fA-F]{1,16})\s*:\s*"(.*)"\s*$', text, re.MULTILINE)
    }


def _unescape(text: str) -> str:
    escapes = {"n": "\n", "t": "\t", "\\": "\\", '"': '"'}
    return re.sub(r"\\(.)", lambda m: escapes.get(m[1], m[0]), text)
