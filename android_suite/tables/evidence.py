"""Tables of the evidence beside the trace: one table per kind of text that the device printed.

Unknown numbers are -1, unknown words empty. Times in ``*_ns`` of framestats are CLOCK_MONOTONIC; logcat names its clock.
"""

from __future__ import annotations

from android_suite.tables.schema import Column, Table

LOCK_MODES = ("", "read", "write")
POINT_KINDS = ("waiter", "holder")

_PID = Column("pid", "int32", "", "process; -1 unknown")
_TIME = Column("time", "str", "", "time as printed; empty where the line has none")
_TIME_NS = Column("time_ns", "int64", "ns", "on the clock named by `clock`; -1 where the line does not give it in full")
_LINE_HEAD = (
    _TIME, _TIME_NS,
    Column("clock", "str", "", "realtime, monotonic, or empty"),
    _PID,
    Column("tid", "int32", "", "thread; -1 unknown"),
    Column("tag", "str", "", "logcat tag"),
)  # fmt: skip


def _ns(name: str, doc: str = "") -> Column:
    return Column(name, "int64", "ns", doc)


def _count(name: str, doc: str = "") -> Column:
    return Column(name, "int64", "", doc)


LOCK_STAT = Table(
    "lock_stat",
    "One row per lock class and mode of /proc/lock_stat.",
    (
        Column("lock", "str", "", "class as printed, without -R or -W"),
        Column("mode", "int8", "", "index into LOCK_MODES"),
        _count("con_bounces"), _count("contentions"),
        _ns("wait_min_ns"), _ns("wait_max_ns"), _ns("wait_total_ns"),
        _count("acq_bounces"), _count("acquisitions"),
        _ns("hold_min_ns"), _ns("hold_max_ns"), _ns("hold_total_ns"),
    ),
)  # fmt: skip
LOCK_STAT_POINTS = Table(
    "lock_stat_points",
    "One row per call site listed under a lock class; the kernel keeps four of each kind.",
    (
        Column("lock", "str", "", "class as printed"),
        Column("kind", "int8", "", "index into POINT_KINDS: who waited, who held"),
        _count("contentions"),
        Column("site", "str", "", "symbol+offset/length"),
    ),
)
VMSTAT = Table("vmstat", "One row per counter of /proc/vmstat.", (Column("name", "str", "", ""), _count("value")))

# Fields of hwui's FrameInfo: our name, Android's name.
FRAMESTATS_TIMES = (
    ("intended_vsync_ns", "IntendedVsync"), ("vsync_ns", "Vsync"), ("handle_input_start_ns", "HandleInputStart"),
    ("animation_start_ns", "AnimationStart"), ("traversals_start_ns", "PerformTraversalsStart"), ("draw_start_ns", "DrawStart"),
    ("deadline_ns", "FrameDeadline"), ("frame_start_ns", "FrameStartTime"), ("interval_ns", "FrameInterval"),
    ("sync_queued_ns", "SyncQueued"), ("sync_start_ns", "SyncStart"), ("draw_commands_start_ns", "IssueDrawCommandsStart"),
    ("swap_buffers_ns", "SwapBuffers"), ("completed_ns", "FrameCompleted"), ("gpu_completed_ns", "GpuCompleted"),
    ("present_ns", "DisplayPresentTime"),
)  # fmt: skip
FRAMESTATS = Table(
    "framestats",
    "One row per frame of `dumpsys gfxinfo PKG framestats`.",
    (
        _PID,
        Column("process", "str", "", ""),
        Column("window", "str", "", "name of the window; its number in the process if it has no name"),
        Column(
            "flags", "int64", "", "not 0: exempt from deadlines (window layout changed, surface canvas, skipped, ...)"
        ),
        Column("vsync_id", "int64", "", "FrameTimelineVsyncId; -1 before Android 12"),
        *(_ns(ours, android) for ours, android in FRAMESTATS_TIMES),
    ),
)
FRAME_GAPS = Table(
    "frame_gaps",
    "One row per interval in which the ring of 120 frames may have lost frames between two polls.",
    (_PID, Column("window", "str", "", ""), _ns("from_ns", "last frame before"), _ns("to_ns", "first frame after")),
)
GFXINFO = Table(
    "gfxinfo",
    "One row per process of `dumpsys gfxinfo`: its aggregate.",
    (
        _PID,
        Column("process", "str", "", ""),
        _count("frames"), _count("janky"), _count("janky_legacy"),
        *(Column(f"p{p}_ms", "int64", "ms", "-1 where no frame was drawn") for p in (50, 90, 95, 99)),
        _count("missed_vsync"), _count("high_input_latency"), _count("slow_ui_thread"), _count("slow_bitmap_uploads"),
        _count("slow_draw_commands"), _count("deadline_missed"),
    ),
)  # fmt: skip
AM_STARTS = Table(
    "am_starts",
    "One row per reply of `am start -W`.",
    (
        Column("intent", "str", "", "requested component, in its short form; empty if the intent names none"),
        Column("asked", "str", "", "requested state: cold, warm, hot; empty where unknown"),
        Column("status", "str", "", "ok, timeout; empty if am did not get that far"),
        Column("launch_state", "str", "", "cold, warm, hot, relaunch, unknown; empty before Android 10"),
        Column("activity", "str", "", "activity that came up, in its short form; may differ from the requested one"),
        Column("this_ms", "int64", "ms", ""), Column("total_ms", "int64", "ms", "to the first window drawn"),
        Column("wait_ms", "int64", "ms", "how long am waited"),
        Column("fully_drawn_ms", "int64", "ms", "to the app's reportFullyDrawn"),
        Column("outcome", "str", "", "ok, timeout, crash, elsewhere, wrong_state"),
        Column("reason", "str", "", "why it is no sample of the requested state; empty if it is"),
    ),
)  # fmt: skip
LOGCAT = Table(
    "logcat",
    "One row per line of logcat.",
    (
        *_LINE_HEAD,
        Column("level", "str", "", "V D I W E F; empty where the line was cut"),
        Column("message", "str", "", ""),
    ),
)
GC_LOG = Table(
    "gc_log",
    "One row per GC line of ART. Only slow or explicit GCs are logged: never a total.",
    (
        *_LINE_HEAD,
        Column("cause", "str", "", "Background, Explicit, Alloc, ..."),
        Column("collector", "str", "", "young concurrent mark compact, ..."),
        Column("freed_bytes", "int64", "bytes", ""), _count("freed_objects", "-1 in the newer form, which prints bytes only"),
        Column("los_freed_bytes", "int64", "bytes", "large object space"), _count("los_freed_objects"),
        Column("used_bytes", "int64", "bytes", "heap after"), Column("heap_bytes", "int64", "bytes", "heap's size"),
        _count("pauses"), _ns("pause_total_ns"), _ns("pause_max_ns"), _ns("duration_ns"),
    ),
)  # fmt: skip
DISPLAYED = Table(
    "displayed",
    "One row per `Displayed` or `Fully drawn` line.",
    (
        *_LINE_HEAD,
        Column("fully_drawn", "bool", "", "Fully drawn; else Displayed"),
        Column("component", "str", "", "package/activity in its short form"),
        Column("user", "int64", "", "Android user; -1 where the line does not say"),
        Column("duration_ms", "int64", "ms", ""),
    ),
)
MONITOR_CONTENTION = Table(
    "monitor_contention",
    "One row per `Long monitor contention` line; the owner's number is ART's and may not be a tid.",
    (
        *_LINE_HEAD,
        Column("owner", "str", "", "thread name"), Column("owner_number", "int64", "", ""),
        Column("owner_method", "str", "", ""), _count("waiters"), Column("method", "str", "", "where the waiter is"),
        _ns("duration_ns"),
    ),
)  # fmt: skip
VMAS = Table(
    "vmas",
    "One row per mapping of /proc/PID/smaps or maps.",
    (
        Column("start", "uint64", "", "first address"), Column("end", "uint64", "", "address after the last"),
        Column("perms", "str", "", "rwxp"), Column("name", "str", "", "file, [heap], [anon:...]; empty for anonymous memory"),
        Column("vm_flags", "str", "", "VmFlags, two letters each; um, uw, ui: userfaultfd; empty in maps"),
    ),
)  # fmt: skip
PROC_READS = Table(
    "proc_reads",
    "One row per reading of a file of /proc/PID by the program proc_reader, from its beginning to its end.",
    (
        Column("file", "str", "", "maps, smaps, smaps_rollup"),
        _ns("wall_ns", "how long it took"), _ns("cpu_ns", "time that the reader itself ran"),
        Column("bytes", "int64", "bytes", "length of the file"), _count("calls", "read system calls that gave something"),
    ),
)  # fmt: skip
EVIDENCE_TABLES = (
    LOCK_STAT, LOCK_STAT_POINTS, VMSTAT, FRAMESTATS, FRAME_GAPS, GFXINFO, AM_STARTS, LOGCAT, GC_LOG, DISPLAYED,
    MONITOR_CONTENTION, VMAS, PROC_READS,
)  # fmt: skip
