"""Parses the console of a virtual device: crashes and shutdowns of its kernel. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass

READY = "android-suite: ready"
NO_CARD = "android-suite: no network card"
WINDOW_CLOSED = "android-suite: measured window closed"
MAX_EXCERPT_LINES = 80
_STAMP = re.compile(r"^(?:\[ *\d+\.\d+\](?:\[[^\]]*\])? )?")
# In order of precedence: the first match is the cause; a panic is often only its consequence.
_SIGNS = (
    ("oops", re.compile(r"Unable to handle kernel |Internal error: |Oops: |general protection fault|kernel BUG at ")),
    ("bug", re.compile(r"\bBUG: ")),
    ("panic", re.compile(r"Kernel panic - not syncing")),
)
_POWER_OFF = re.compile(r"reboot: (?:Power down|System halted)")
_RESTART = re.compile(r"reboot: Restarting system")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestCrash:
    """The tested kernel crashed: a result, not an error.

    Attributes:
        kind: ``panic``, ``oops`` or ``bug``, from the first matching line on the console.
        title: that line, without its time stamp.
        excerpt: the console from shortly before that line, at most 80 lines.
        fatal: whether the kernel panicked.
    """

    kind: str
    title: str
    excerpt: str
    fatal: bool


def parse_crash(console: str) -> GuestCrash | None:
    """The first crash a console shows, or None.

    Args:
        console: the guest's output; undecodable bytes were replaced when it was read.
    """
    lines = [_clean(line) for line in console.splitlines()]
    for number, line in enumerate(lines):
        plain = _STAMP.sub("", line)
        for kind, sign in _SIGNS:
            if sign.search(plain):
                first = max(0, number - 5)
                return GuestCrash(
                    kind=kind,
                    title=plain.strip(),
                    excerpt="\n".join(lines[first : first + MAX_EXCERPT_LINES]),
                    fatal="Kernel panic - not syncing" in console,
                )
    return None


def parse_farewell(console: str) -> str | None:
    """``powered_off`` or ``restarted`` if the console ends with such a message, else None."""
    if _POWER_OFF.search(console):
        return "powered_off"
    return "restarted" if _RESTART.search(console) else None


def _clean(line: str) -> str:
    return "".join(char for char in line if char == "\t" or char.isprintable())
