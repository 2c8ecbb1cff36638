"""Parses /proc/lock_stat, versions 0.3 (10 numbers per row) and 0.4 (12, with averages)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from android_suite.errors import EvidenceError
from android_suite.evidence.rows import frame_of, whole_number
from android_suite.tables.evidence import LOCK_MODES, LOCK_STAT, LOCK_STAT_POINTS, POINT_KINDS

_VERSION = re.compile(r"^(?P<margin>\s*(?:\d+\s+)?)lock_stat version (?P<version>\d+\.\d+)\s*$", re.MULTILINE)
_NUMBER = r"-?\d+(?:\.\d+)?"
_ROW = re.compile(rf"^\s*(?P<name>\S.*?):\s+(?P<numbers>{_NUMBER}(?:\s+{_NUMBER}){{9,11}})\s*$")
# The address is %p: raw, hashed, or before the kernel has entropy "(____ptrval____)", and "(null)".
_POINT = re.compile(r"^\s*(?P<name>\S.*?)\s+(?P<count>\d+)\s+\[<(?:[0-9a-fA-Fx]+|\([_\w]*\))>\]\s+(?P<site>\S.*?)\s*$")
_DISABLED = re.compile(r"^\s*(?:\d+\s+)?\*WARNING\*.*lock debugging disabled", re.MULTILINE)
_DISABLED_FAULT = (
    "the kernel reports that lock debugging is disabled (a lockdep warning turned it off), so it stopped counting; find the "
    "warning in dmesg, reboot and record again"
)
_DASHES = re.compile(r"^\s*-{3,}\s*$")
_LINE_NUMBER = re.compile(r"^\s*\d+ ?")
_COLUMNS = {
    10: ("con_bounces", "contentions", "wait_min", "wait_max", "wait_total", "acq_bounces", "acquisitions", "hold_min",
         "hold_max", "hold_total"),
    12: ("con_bounces", "contentions", "wait_min", "wait_max", "wait_total", "wait_avg", "acq_bounces", "acquisitions",
         "hold_min", "hold_max", "hold_total", "hold_avg"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LockStat:
    """One reading of lock_stat. It counts all processes since lock_stat was cleared.

    Attributes:
        version: 0.3 or 0.4.
        classes: frame of LOCK_STAT.
        points: frame of LOCK_STAT_POINTS.
        fault: why the numbers cannot be trusted, else empty. After a lockdep warning the kernel stops counting.
    """

    version: str
    classes: pd.DataFrame
    points: pd.DataFrame
    fault: str = ""


def parse_lock_stat(text: str) -> LockStat:
    """Reads ``/proc/lock_stat``; the kernel's microseconds become exact nanoseconds.

    Raises:
        EvidenceError: the text is not lock_stat of version 0.3 or 0.4.
    """
    opening = _VERSION.search(text)
    if opening is None:
        raise EvidenceError("this is not /proc/lock_stat: it lacks 'lock_stat version'; capture it again.")
    width = {"0.3": 10, "0.4": 12}.get(opening["version"])
    if width is None:
        raise EvidenceError(f"lock_stat version {opening['version']} is not supported (0.3 and 0.4 are); report it.")
    numbered = bool(opening["margin"].strip())  # the kernel's documentation numbers its lines
    classes: list[dict[str, object]] = []
    points: list[dict[str, object]] = []
    block = -1
    for line in text[opening.end() :].splitlines():
        bare = _LINE_NUMBER.sub("", line) if numbered else line
        if _DASHES.match(bare):
            block += 1
        elif (point := _POINT.match(bare)) is not None:
            kind = min(max(block, 0), len(POINT_KINDS) - 1)
            points.append(
                {
                    "lock": point["name"],
                    "kind": kind,
                    "contentions": whole_number(point["count"]),
                    "site": point["site"],
                }
            )
        elif (row := _ROW.match(bare)) is not None:
            numbers = row["numbers"].split()
            if len(numbers) != width:
                continue
            block = -1
            classes.append(_class_row(row["name"], dict(zip(_COLUMNS[width], numbers, strict=True))))
    return LockStat(
        version=opening["version"],
        classes=frame_of(LOCK_STAT, classes),
        points=frame_of(LOCK_STAT_POINTS, points),
        fault=_DISABLED_FAULT if _DISABLED.search(text) else "",
    )


def _class_row(name: str, numbers: dict[str, str]) -> dict[str, object]:
    mode = {"-R": "read", "-W": "write"}.get(name[-2:], "")
    row: dict[str, object] = {"lock": name[:-2] if mode else name, "mode": LOCK_MODES.index(mode)}
    for column, word in numbers.items():
        if column.startswith(("wait", "hold")):
            if not column.endswith("avg"):
                row[f"{column}_ns"] = _ns_of_us(word)
        else:
            row[column] = whole_number(word)
    return row


def _ns_of_us(word: str) -> int:
    whole, _, fraction = word.partition(".")
    return whole_number(whole + fraction[:3].ljust(3, "0"))
