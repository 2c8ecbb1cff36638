"""Parses logcat in any ``-v`` format, and its lines about garbage collections, launches and monitors."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable

import pandas as pd

from android_suite.evidence.rows import frame_of, or_unknown, whole_number
from android_suite.model.launch import parse_drawn
from android_suite.tables.evidence import DISPLAYED, GC_LOG, LOGCAT, MONITOR_CONTENTION
from android_suite.tables.schema import Table

_DATE = r"(?:(?P<year>\d{4})-)?(?P<month>\d\d)-(?P<day>\d\d) (?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)\.(?P<fraction>\d{3,9})"
_SECONDS = r"(?P<seconds>\d{1,10})\.(?P<seconds_fraction>\d{3,9})"
_ZONE = r"(?: (?P<zone>[+-]\d{4}))?"
_THREADTIME = re.compile(
    rf"^\s*(?:{_DATE}|{_SECONDS}){_ZONE}\s+(?:(?:u\d+_\w+|[a-z]\w*|\d+)\s+)??(?P<pid>\d{{1,8}})\s+(?P<tid>\d{{1,8}})\s"
    r"(?P<level>[VDIWEFS])\s(?P<tag>.*?)\s*: (?P<message>.*)$"
)
# In what people paste, the beginning of a line may be lost: "y.dev(15275): ..." has no level.
_BRIEF = re.compile(
    rf"^\s*(?:(?:{_DATE}|{_SECONDS}){_ZONE}\s+)?(?:(?P<level>[VDIWEFS])/(?P<tag>[^(]*?)|(?<!\s)(?P<rest_of_tag>[^\s(/]+))\s*"
    r"\(\s*(?P<pid>\d{1,8})\): (?P<message>.*)$"
)
_REALTIME_FROM_S = 100_000_000  # 1973: no device has been up that long, no clock is set that far back

_SIZE = r"(\d{1,15}(?:\.\d{1,9})?)(B|KB|MB|GB)"
# "Background young concurrent mark compact GC freed ..."; the collector may hold "+" ("marksweep + semispace"), Android 5
# prints two blanks before it.
_GC = re.compile(
    r"^(?P<cause>[A-Z][A-Za-z]*) +(?P<collector>[a-z][a-z +-]*?)(?: \(sampled\))? GC freed "
    rf"(?:(?P<objects>-?\d+)\((?P<freed>-?{_SIZE})\) AllocSpace objects|(?P<freed2>-?{_SIZE}) AllocSpace bytes), "
    rf"(?P<los>-?\d+)\((?P<los_freed>-?{_SIZE})\) LOS objects, -?\d+% free, ?(?P<used>{_SIZE})(?:\([^)]*\))?/(?P<heap>{_SIZE})"
    r"(?:\([^)]*\))?, paused (?P<paused>[\d.,munsµ ]+?) total (?P<total>[\d.munsµ]+)"
)
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_TIME = re.compile(r"^(\d{1,9})(?:\.(\d{1,9}))?(ns|us|µs|ms|s)$")
_TIME_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_MONITOR = re.compile(
    r"^Long monitor contention with owner (?P<owner>.*) \((?P<number>\d{1,9})\)"
    r"(?: at (?P<owner_method>.*?))? waiters=(?P<waiters>\d{1,9}) in (?P<method>.*) for (?P<time>[\d.]+(?:ns|us|µs|ms|s))\s*$"
)


def parse_logcat(text: str) -> pd.DataFrame:
    """Reads the lines of threadtime, time, brief, epoch and monotonic formats (LOGCAT); other lines are left out."""
    rows = []
    for line in text.splitlines():
        match = _THREADTIME.match(line) or _BRIEF.match(line)
        if match is not None:
            rows.append(_line(match.groupdict()))
    return frame_of(LOGCAT, rows)


def _line(said: dict[str, str | None]) -> dict[str, object]:
    time, time_ns, clock = "", -1, ""
    if said["seconds"] is not None:
        fraction = said["seconds_fraction"] or ""
        time = f"{said['seconds']}.{fraction}"
        time_ns = or_unknown(int(said["seconds"]) * 1_000_000_000 + int(fraction.ljust(9, "0")))
        clock = "realtime" if int(said["seconds"]) >= _REALTIME_FROM_S else "monotonic"
    elif said["month"] is not None:
        fraction = said["fraction"] or ""
        time = f"{said['month']}-{said['day']} {said['h']}:{said['m']}:{said['s']}.{fraction}"
        clock = "realtime"
        if said["year"]:
            time = f"{said['year']}-{time}"
        if said["year"] and said["zone"]:  # without a zone it is the device's local time, whose zone is unknown
            time_ns = _realtime_ns(said, int(fraction.ljust(9, "0")))
    return {
        "time": time, "time_ns": time_ns, "clock": clock, "pid": int(said["pid"] or -1), "tid": int(said.get("tid") or -1),
        "tag": said["tag"] or said.get("rest_of_tag") or "", "level": said["level"] or "", "message": said["message"] or "",
    }  # fmt: skip


def _realtime_ns(said: dict[str, str | None], fraction_ns: int) -> int:
    numbers = tuple(int(said[name] or 0) for name in ("year", "month", "day", "h", "m", "s"))
    zone = said["zone"] or "+0000"
    offset_s = (int(zone[1:3]) * 60 + int(zone[3:5])) * (-60 if zone[0] == "-" else 60)
    try:
        return or_unknown((calendar.timegm((*numbers, 0, 0, 0)) - offset_s) * 1_000_000_000 + fraction_ns)
    except ValueError:  # such as month 13
        return -1


def _pick(lines: pd.DataFrame, table: Table, read: Callable[[str], dict[str, object] | None]) -> pd.DataFrame:
    head = ["time", "time_ns", "clock", "pid", "tid", "tag"]
    rows = []
    for row, message in zip(lines[head].to_dict("records"), lines["message"], strict=True):
        found = read(message)
        if found is not None:
            rows.append({str(k): v for k, v in row.items()} | found)
    return frame_of(table, rows)


def parse_gc_lines(lines: pd.DataFrame) -> pd.DataFrame:
    """ART's GC lines of ``lines`` (LOGCAT) as GC_LOG."""
    return _pick(lines, GC_LOG, _read_gc)


def _read_gc(message: str) -> dict[str, object] | None:
    said = _GC.match(message)
    if said is None:
        return None
    pauses = [_duration_ns(word) for word in said["paused"].split(",")]
    return {
        "cause": said["cause"], "collector": said["collector"],
        "freed_bytes": _bytes(said["freed"] or said["freed2"]), "freed_objects": whole_number(said["objects"]),
        "los_freed_bytes": _bytes(said["los_freed"]), "los_freed_objects": whole_number(said["los"]),
        "used_bytes": _bytes(said["used"]), "heap_bytes": _bytes(said["heap"]), "pauses": len(pauses),
        "pause_total_ns": -1 if -1 in pauses else or_unknown(sum(pauses)), "pause_max_ns": -1 if -1 in pauses else max(pauses),
        "duration_ns": _duration_ns(said["total"]),
    }  # fmt: skip


def _bytes(word: str) -> int:
    number = word.rstrip("BKMG")
    return or_unknown(round(float(number) * _UNITS[word[len(number) :]]))


def _duration_ns(word: str) -> int:
    said = _TIME.match(word)
    if said is None:
        return -1
    unit = _TIME_UNITS[said[3]]
    return int(said[1]) * unit + int((said[2] or "0").ljust(9, "0")) * unit // 1_000_000_000


def parse_displayed(lines: pd.DataFrame) -> pd.DataFrame:
    """``Displayed`` and ``Fully drawn`` lines of ``lines`` (LOGCAT) as DISPLAYED."""
    return _pick(lines, DISPLAYED, _read_displayed)


def _read_displayed(message: str) -> dict[str, object] | None:
    said = parse_drawn(message)
    if said is None:
        return None
    duration = -1 if said.duration_ms is None else said.duration_ms
    user = -1 if said.user is None else said.user
    return {"fully_drawn": said.fully, "component": said.component, "user": user, "duration_ms": duration}


def parse_monitor_contention(lines: pd.DataFrame) -> pd.DataFrame:
    """``Long monitor contention`` lines of ``lines`` (LOGCAT) as MONITOR_CONTENTION."""
    return _pick(lines, MONITOR_CONTENTION, _read_monitor)


def _read_monitor(message: str) -> dict[str, object] | None:
    said = _MONITOR.match(message)
    if said is None:
        return None
    return {
        "owner": said["owner"], "owner_number": int(said["number"]), "owner_method": said["owner_method"] or "",
        "waiters": int(said["waiters"]), "method": said["method"], "duration_ns": _duration_ns(said["time"]),
    }  # fmt: skip
