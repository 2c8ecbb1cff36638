"""What was captured beside the trace of an iteration, from its raw folder."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from android_suite.analysis.alive import AFTER_TRACE
from android_suite.analysis.map_snapshots import MapSnapshot
from android_suite.analysis.pipeline import Evidence
from android_suite.evidence.am_start import parse_launches
from android_suite.evidence.framestats import RING_FRAMES, parse_framestats_polls
from android_suite.evidence.gfxinfo import parse_gfxinfo
from android_suite.evidence.lock_stat import parse_lock_stat
from android_suite.evidence.logcat import parse_displayed, parse_gc_lines, parse_logcat, parse_monitor_contention
from android_suite.evidence.maps import parse_smaps
from android_suite.evidence.proc_reads import parse_proc_reads
from android_suite.evidence.vmstat import measure_vmstat_change, parse_vmstat
from android_suite.model.analyzed import Counters, LockClass
from android_suite.model.checks import parse_checks
from android_suite.model.document import parse_json
from android_suite.model.fault_costs import parse_fault_costs
from android_suite.model.run import IterationRecord
from android_suite.store import layout
from android_suite.store.run import Run
from android_suite.tables.evidence import LOCK_MODES

_MOST_CLASSES = 20


def read_evidence(run: Run, record: IterationRecord) -> Evidence:
    """Everything beside the trace that the analysis of an iteration uses."""
    raw = run.raw(record)
    device = run.manifest.device
    frame_text = _read(raw / "framestats.txt")
    framestats, gaps = parse_framestats_polls(frame_text) if frame_text else (None, None)
    name = raw / "launches.json"
    launches = parse_json(_read(name) or "[]", str(name), remedy="record the run again")
    maps = []
    if (text := _read(raw / "smaps.txt")) and (tgid := _tgid_of(record.process, raw)) is not None:
        maps.append(MapSnapshot(tgid=tgid, vmas=parse_smaps(text), taken_ns=AFTER_TRACE))
    return Evidence(
        framestats=framestats,
        frame_gaps=gaps,
        am_starts=parse_launches(launches) if launches or record.scenario != "command" else None,
        maps=maps,
        checks=parse_checks(_read(raw / "checks.jsonl"))[0],
        proc_reads=parse_proc_reads(_read(raw / "beside.txt")),
        fault_costs=parse_fault_costs(_read(raw / "faults.jsonl"))[0],
        refresh_hz=device.refresh_rate_hz if device else None,
        notes=(
            *_frame_notes(frame_text, record.process, gaps),
            *_lock_stat_notes(raw),
            *_log_notes(raw),
            *_read(raw / layout.CAPTURE_NOTES).splitlines(),
        ),
    )


def _frame_notes(framestats: str, process: str, gaps: pd.DataFrame | None) -> list[str]:
    """What to know of the source of frames: where its ring overran, and that an app may draw without it."""
    if gaps is not None and len(gaps):
        lost_ms = float((gaps["to_ns"] - gaps["from_ns"]).sum()) / 1e6
        return [
            (
                f"gfxinfo's ring of {RING_FRAMES} frames overran {len(gaps)} times between two polls ({lost_ms:.0f} ms): frames "
                "are missing, so what is counted is a lower bound"
            )
        ]
    drawn = parse_gfxinfo(framestats)
    mine = drawn[drawn["process"] == process] if process else drawn
    if not len(mine) or mine["frames"].sum():
        return []
    return [
        (
            f"{mine['process'].iloc[0]} drew no frame through HWUI (as a game or a video does): gfxinfo has 0 frames; "
            "SurfaceFlinger's FrameTimeline (Perfetto's android.surfaceflinger.frametimeline) would show them"
        )
    ]


def _lock_stat_notes(raw: Path) -> list[str]:
    text = _read(raw / "lock_stat.txt")
    fault = parse_lock_stat(text).fault if text else ""
    return [f"/proc/lock_stat is not to be trusted: {fault}"] if fault else []


def _log_notes(raw: Path) -> list[str]:
    """Where the log was cut: logcat ends with that line when logd's buffer overran it or logd was restarted."""
    if "Unexpected EOF" not in (text := _read(raw / "logcat.txt")):
        return []
    times = len(re.findall(r"^.*\bUnexpected EOF", text, re.MULTILINE))
    return [f"logcat broke off {times} time{'s' if times > 1 else ''} (Unexpected EOF): lines of the log are missing"]


def read_counters(raw: Path) -> Counters:
    """What the kernel counted during an iteration: lock classes by their total wait, and vmstat's growth."""
    return Counters(lock_stat=_lock_stat(raw), vmstat=_vmstat(raw))


def read_log_tables(raw: Path) -> dict[str, pd.DataFrame]:
    """The log's collections, launches and monitors, by name of the table; those of which it has none are left out."""
    lines = parse_logcat(_read(raw / "logcat.txt"))
    tables = {
        "gc_log": parse_gc_lines(lines),
        "displayed": parse_displayed(lines),
        "monitor_contention": parse_monitor_contention(lines),
    }
    return {name: table for name, table in tables.items() if len(table)}


def _tgid_of(process: str, raw: Path) -> int | None:
    """The process the map snapshot is of: the newest of that name."""
    for line in _read(raw / layout.FTRACE / "processes.txt").splitlines():
        tgid, _, cmdline = line.partition(" ")
        if process and cmdline.split(" ")[0] == process and tgid.isdigit():
            return int(tgid)
    return None


def _read(file: Path) -> str:
    return file.read_bytes().decode(errors="replace") if file.is_file() else ""


def _lock_stat(raw: Path) -> tuple[LockClass, ...]:
    text = _read(raw / "lock_stat.txt")
    if not text:
        return ()
    stat = parse_lock_stat(text)
    if stat.fault:
        return ()
    classes = stat.classes
    # mmap_lock and the per-VMA locks are what this is about; of the others those that were fought for.
    named = classes["lock"].str.contains("mmap_lock|vm_lock|vma", regex=True)
    shown = classes[named | (classes["contentions"] > 0)].sort_values(
        ["wait_total_ns", "contentions"], ascending=False, kind="stable"
    )
    return tuple(
        LockClass(
            class_name=row["lock"] + {"read": " (read)", "write": " (write)"}.get(LOCK_MODES[row["mode"]], ""),
            **{name: int(row[name]) for name in ("contentions", "wait_total_ns", "wait_max_ns", "hold_total_ns")},
        )
        for row in shown.head(_MOST_CLASSES).to_dict("records")
    )


def _vmstat(raw: Path) -> dict[str, int]:
    before, after = _read(raw / "vmstat_before.txt"), _read(raw / "vmstat_after.txt")
    if not before or not after:
        return {}
    change = measure_vmstat_change(parse_vmstat(before), parse_vmstat(after))
    shown = change[change["name"].str.match(r"vma_lock_|pgfault$|pgmajfault$|pgfree$")]
    return {str(name): int(value) for name, value in zip(shown["name"], shown["value"], strict=True)}
