"""The order of kernels: by version, then by the date of the build."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_PARTS = re.compile(r"(\d+)|([a-z]+)", re.IGNORECASE)
_VERSION = re.compile(r"(\d+(?:\.\d+)*)(-rc(\d+))?(.*)", re.IGNORECASE | re.DOTALL)
_DEBIAN = re.compile(r"\((\d{4}-\d{2}-\d{2})\)")
_UTS = re.compile(
    r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) +(\d{1,2}) (\d{2}:\d{2}:\d{2}) (?:[A-Z]+ )?(\d{4})\b"
)
_LONGEST = 200  # characters of a release that are looked at

Key = tuple[object, ...]


def order_release(release: str) -> Key:
    """A key that sorts releases as their versions: 6.9 < 6.17-rc3 < 6.17 < 6.17.1, then by the text behind.

    ``uname -r`` of Debian's, of Android's and of mainline kernels begins with the version; a text that does not sorts
    before all versions.
    """
    found = _VERSION.match(release[:_LONGEST])
    if not found:
        return (0, (), 0, 0, _natural(release[:_LONGEST]))
    numbers = tuple(int(part[:9]) for part in found[1].split("."))
    while len(numbers) > 2 and numbers[-1] == 0:  # 6.17.0 is 6.17
        numbers = numbers[:-1]
    candidate = int(found[3][:9]) if found[3] else 0
    return (1, numbers, 0 if found[2] else 1, candidate, _natural(found[4]))


def read_build_date(version: str) -> str | None:
    """The date in ``uname -v``: Debian's ``(2026-01-09)``, or the kernel's own ``Fri Jan  9 10:00:00 UTC 2026``.

    Returns:
        An ISO 8601 date or time, or None. The epoch, which reproducible builds use, tells nothing.
    """
    if (found := _DEBIAN.search(version)) is not None:
        return found[1]
    if (found := _UTS.search(version)) is None:
        return None
    try:
        when = datetime.strptime(f"{found[1]} {found[2]} {found[3]} {found[4]}", "%b %d %H:%M:%S %Y")
    except ValueError:
        return None
    return None if when.year == 1970 else when.replace(tzinfo=UTC).isoformat()


def shorten_release(release: str) -> str:
    """The version alone, for a narrow column: ``6.17.13`` of ``6.17.13+deb13-cloud-arm64``."""
    found = _VERSION.match(release[:_LONGEST])
    return found[1] + (found[2] or "") if found else release[:_LONGEST]


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Numbers within a text by value: ``-android14-9`` before ``-android14-11``."""
    return tuple((0, int(n[:9]), "") if n else (1, 0, word.lower()) for n, word in _PARTS.findall(text))
