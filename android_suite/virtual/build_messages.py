"""Finds in what `patch` and `make` print the one line that a user needs. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# "patching file mm/a.c", with --dry-run "checking file 'mm/a b.c'"; a new one and a renamed one have more words behind
_FILE = re.compile(r"^(?:patching|checking) (?:file|symbolic link) '?(.+?)'?(?: \((?:renamed|copied|read).*)?$")
_FAILED = re.compile(r"^Hunk #(\d+) FAILED at (\d+)")
_NO_FILE = re.compile(r"^(?:can't find file to patch|File to patch)")
_HEADER = re.compile(r"^\|(?:---|\+\+\+) (?:[ab]/)?(\S+)")
_FUZZ = re.compile(r"^Hunk #(\d+) succeeded at (\d+) (?:\(offset .*?\) )?with fuzz (\d+)")
_MALFORMED = re.compile(r"^patch: \*\*\*\* (.+)")
_REVERSED = ("Reversed (or previously applied) patch detected", "Unreversed patch detected")

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
_SHOWN = 3
_LONGEST = 300


def describe_refusal(text: str) -> str:
    """Why `patch` refuses, as the end of a sentence: ``hunk 2 of mm/madvise.c (at line 1769) does not fit``.

    Args:
        text: what `patch` printed, in the C locale.
    """
    hunks: list[str] = []
    there: list[str] = []
    file = ""
    lost = False
    for line in text.splitlines():
        if match := _FILE.match(line):
            file, lost = match[1], False
        elif match := _FAILED.match(line):
            hunks.append(f"hunk {match[1]} of {file} (at line {match[2]})")
        elif _NO_FILE.match(line):
            lost = True
        elif lost and (match := _HEADER.match(line)):
            file, lost = match[1], False
            hunks.append(f"{file}, which this source does not have")
        elif line.startswith(_REVERSED):
            there.append(file)
        elif match := _MALFORMED.match(line):
            return f"the patch itself is damaged: {match[1].rstrip('.')}"
    if hunks:
        more = f" and {len(hunks) - _SHOWN} more" if len(hunks) > _SHOWN else ""
        return f"{'; '.join(hunks[:_SHOWN])}{more} does not fit"
    if there:
        names = sorted(set(filter(None, there)))
        return f"{', '.join(names[:_SHOWN]) or 'the source'} already has this change"
    said = [line for line in text.splitlines() if line.strip()]
    return said[-1].strip()[:_LONGEST] if said else "`patch` gave no reason"


def already_there(text: str) -> bool:
    """Whether `patch` says that the source has the change, and nothing else is wrong."""
    return "already has this change" in describe_refusal(text)


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
