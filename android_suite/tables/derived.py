"""The derived tables, which the analysis computes from the event tables. All can be computed again from the raw trace.

Times are int64 ns on the trace clock. ``quality`` says how reliable a row is: an index into ``QUALITIES``. A row of
quality ``lower_bound`` is correct but may be longer than shown (cut by an edge of the trace); a row of quality
``unknown`` is listed but counted in no total.
"""

from __future__ import annotations

from android_suite.model.analysis import Lock
from android_suite.model.syscalls import CALL_NAMES
from android_suite.tables.blame import BINDER_CALLS, BLAME, BLAME_LINKS, FUTEX_WAITS, MONITOR_WAITS
from android_suite.tables.parts import END as _END
from android_suite.tables.parts import HOLDER_EVIDENCE as _HOLDER_EVIDENCE
from android_suite.tables.parts import HOLDER_TID as _HOLDER_TID
from android_suite.tables.parts import QUALITIES as QUALITIES
from android_suite.tables.parts import QUALITY as _QUALITY
from android_suite.tables.parts import START as _START
from android_suite.tables.parts import TID as _TID
from android_suite.tables.parts import WHO_EVIDENCE as WHO_EVIDENCE
from android_suite.tables.parts import index_into as _index
from android_suite.tables.schema import Column, Table

EXACT, LOWER_BOUND, UNKNOWN = range(3)

ROLES = ("ui", "render", "gc", "binder", "jit", "other")
STATES = ("running", "runnable", "sleeping", "disk", "stopped", "dead")
RUNNING, RUNNABLE, SLEEPING, DISK, STOPPED, DEAD = range(6)
OUTCOMES = ("acquired", "failed", "cut", "lost")
HOW = ("lock", "trylock", "unknown", "cut")
PATHS = ("per_vma", "mmap_lock", "unknown")
REASONS = (
    "", "spans_vmas", "userfaultfd", "remote", "vma_lock_busy", "advice", "unpatched", "unknown",
)  # fmt: skip
EVIDENCE = ("mmap_lock", "contention", "blocked_reason")
LOCKS: tuple[Lock, ...] = ("mmap_lock", "vma_lock")
MMAP_LOCK, VMA_LOCK = range(2)
WAIT_PARTS = ("behind", "running", "runnable", "asleep")  # of a wait for mmap_lock, columns of lock_waits
VMA_EVIDENCE = ("exact", "inferred", "unknown")
INVERSION_KINDS = ("direct", "chained")


_MM = Column("mm", "uint64", "", "address of the mm_struct; 0 where the evidence does not name it")
_WRITE = Column("write", "bool", "", "write mode")
_LOCK = Column("lock", "int8", "", "the lock waited for: index into " + " | ".join(LOCKS), LOCKS)
_HOLDER_LOCK = Column("holder_lock", "int8", "", "the lock the blocking thread holds, index as in lock", LOCKS)
_WAIT = Column("wait", "int64", "", "row of lock_waits, or of vma_waits where lock is vma_lock")
_HOLD = Column(
    "hold", "int64", "", "row of lock_holds; where holder_lock is vma_lock, the row of vma_waits with this holder"
)

THREAD_ROLES = Table(
    "thread_roles",
    "One row per thread: its process and its role there.",
    (
        _TID,
        Column("tgid", "int32", "", "process; -1 where unknown"),
        Column("comm", "str", "", "thread name"),
        Column("process", "str", "", "process name; empty where unknown"),
        _index("role", ROLES),
        Column("inferred", "bool", "", "tgid was inferred: from markers or from a shared mm"),
    ),
)
THREAD_STATES = Table(
    "thread_states",
    "One row per stretch of constant state, priority and CPU of a thread; a gap between two rows of a thread is unknown.",
    (
        _TID, _START, _END, _index("state", STATES),
        Column("preempted", "bool", "", "runnable because it was preempted, not because it was woken"),
        Column("cpu", "int32", "", "the CPU it runs on; otherwise the CPU whose queue it was last seen on; -1 unknown"),
        Column("prio", "int32", "", "kernel priority, lower is stronger"),
    ),
)  # fmt: skip
SCHEDULING = Table(
    "scheduling",
    "One row per thread in the sched events: its scheduling over the whole trace.",
    (
        _TID,
        Column("running_ns", "int64", "ns", "it ran"),
        Column("delays", "int64", "", "number of times it waited for a CPU, after a wake-up or a preemption"),
        Column("delay_ns", "int64", "ns", "total time of these waits"),
        Column("delay_max_ns", "int64", "ns", "the longest"),
        Column("preempted_ns", "int64", "ns", "part of delay_ns after a preemption"),
        Column("sleeping_ns", "int64", "ns", "interruptible sleep (S)"),
        Column("uninterruptible_ns", "int64", "ns", "uninterruptible sleep (D)"),
    ),
)
UNINTERRUPTIBLE_SLEEPS = Table(
    "uninterruptible_sleeps",
    "One row per sleep in state D, with its caller where sched_blocked_reason was recorded.",
    (
        _TID,
        Column("start_ns", "int64", "ns", "switch-out"),
        Column("end_ns", "int64", "ns", "wake-up; if none was seen, the end of what is known"),
        Column("runnable_ns", "int64", "ns", "from the wake-up until it ran"),
        Column("waker_tid", "int32", "", "thread in whose context it was woken; 0 an idle CPU (an interrupt), -1 not seen"),
        Column("told", "bool", "", "there is a sched_blocked_reason event for it"),
        Column("io_wait", "bool", "", "it waited for I/O; False without that event"),
        Column("caller", "str", "", "kernel function that blocked: symbol+offset or an address; empty without that event"),
    ),
)  # fmt: skip
WAKEUPS = Table(
    "wakeups",
    "One row per sleep of a UI or render thread that ended with a recorded wake-up.",
    (
        _TID,
        Column("start_ns", "int64", "ns", "switch-out"),
        Column("end_ns", "int64", "ns", "waking"),
        Column("waker_tid", "int32", "", "thread in whose context it was woken (an interrupt borrows one); 0 an idle CPU"),
        Column("uninterruptible", "bool", "", "the sleep was in state D"),
    ),
)  # fmt: skip
LOCK_WAITS = Table(
    "lock_waits",
    "One row per wait for mmap_lock: start_locking to acquire_returned.",
    (
        _TID, _MM, _WRITE, _START, _END,
        Column("start_seq", "int64", "", "seq of start_locking"),
        Column("end_seq", "int64", "", "seq of acquire_returned; -1 where cut"),
        _index("outcome", OUTCOMES),
        _QUALITY,
        Column("call", "int32", "", "row of syscall_calls in which it happened; -1 none, -2 not known"),
        Column("contended", "int8", "", "1 a contention event lies inside, 0 none does, -1 the trace has no contention events"),
        Column("behind_ns", "int64", "ns", "part in which another thread's hold blocked it"),
        Column("running_ns", "int64", "ns", "of the rest: it ran (it spun, or bore the cost of tracing)"),
        Column("runnable_ns", "int64", "ns", "of the rest: it was runnable after the release, or preempted"),
        Column("asleep_ns", "int64", "ns", "of the rest: it slept, and nothing shows behind whom"),
    ),
)  # fmt: skip
LOCK_HOLDS = Table(
    "lock_holds",
    "One row per hold of mmap_lock: successful acquire_returned to released.",
    (
        _TID, _MM, _WRITE, _START, _END,
        Column("start_seq", "int64", "", "seq of acquire_returned; -1 where cut"),
        Column("end_seq", "int64", "", "seq of released; -1 where cut"),
        Column("downgrade_ns", "int64", "ns", "time from which it was held for read; -1 never"),
        _index("how", HOW),
        _QUALITY,
        Column("call", "int32", "", "row of syscall_calls in which it was taken; -1 none, -2 not known"),
        Column("wait", "int64", "", "row of lock_waits; -1 for a trylock"),
    ),
)  # fmt: skip
VMA_WAITS = Table(
    "vma_waits",
    "One row per sleep (state D) of a writer of a VMA, which holds mmap_lock for write and waits until the VMA's readers "
    "are gone. A sleep in such a hold that may have had another cause is included, with evidence and quality unknown.",
    (
        _TID, _MM,
        Column("start_ns", "int64", "ns", "switch-out"),
        Column("end_ns", "int64", "ns", "wake-up; the trace's end if it is cut there"),
        Column("runnable_ns", "int64", "ns", "from the wake-up until it ran: caused by the scheduler, not by the lock"),
        Column("hold", "int64", "", "row of lock_holds that contains it; -1 where mmap_lock events were not recorded"),
        Column("call", "int32", "", "row of syscall_calls that contains it; -1 none"),
        Column("holder_tid", "int32", "", "the last reader to leave, which woke it; -1 unknown"),
        Column("holder_call", "int32", "", "row of syscall_calls that reader was in; -1 none"),
        Column("operation", "str", "", "what that reader did: madvise(MADV_DONTNEED), fault, ...; empty where unknown"),
        _index("evidence", VMA_EVIDENCE),
        _QUALITY,
    ),
)  # fmt: skip
OTHER_WAITS = Table(
    "other_waits",
    "One row per wait for a lock that is not in lock_waits or vma_waits. Its evidence is weaker. The holder is exact where "
    "lock:contended_release names who gave it back last; inferred where the waiter only spun then, so that others may have "
    "had it since, or where it is the thread that ended the wait's last sleep.",
    (
        _TID,
        Column("lock_addr", "uint64", "", "address; 0 where unknown"),
        Column("kind", "str", "", "mmap_lock, rwsem, mutex, rtmutex, percpu, spin, folio, writeback"),
        _WRITE, _START, _END,
        _index("evidence", EVIDENCE),
        _QUALITY,
        Column("caller", "str", "", "kernel function that blocked; empty where unknown"),
        Column("name", "str", "", "which lock of its kind: anon_vma, i_mmap; empty where unknown"),
        _index("name_evidence", WHO_EVIDENCE),
        _HOLDER_TID, _HOLDER_EVIDENCE,
        Column("queued_ns", "int64", "ns", "when it was queued: before that, it spun for a mutex; -1 never, it only spun"),
    ),
)  # fmt: skip
SYSCALL_CALLS = Table(
    "syscall_calls",
    "One row per system call, entry joined to exit.",
    (
        _TID,
        Column("call", "int32", "", "index into events.SYSCALLS", CALL_NAMES),
        Column("nr", "int32", "", "the kernel's number; -1 where only the name is known"),
        _START, _END,
        Column("start_seq", "int64", "", "seq of the entry; -1 where it is before the trace"),
        Column("end_seq", "int64", "", "seq of the exit; -1 where it is after the trace"),
        Column("arg0", "uint64", "", ""), Column("arg1", "uint64", "", ""), Column("arg2", "uint64", "", ""),
        Column("arg3", "uint64", "", ""),
        Column("ret", "int64", "", "result; 0 where cut"),
        _QUALITY,
        Column("lock_mm", "uint64", "", "mm of the first start_locking inside; 0 none"),
        Column("lock_wait_ns", "int64", "ns", "sum of the mmap_lock waits inside"),
    ),
)  # fmt: skip
MADVISE = Table(
    "madvise",
    "One row per madvise or process_madvise call.",
    (
        _TID, _START, _END,
        Column("remote_call", "bool", "", "process_madvise"),
        Column("address", "uint64", "", "start of the range, untagged; 0 for process_madvise"),
        Column("bytes", "int64", "bytes", "requested length; for process_madvise, the bytes advised according to its result"),
        Column("advice", "int32", "", "MADV_*; -1 where unknown"),
        _index("path", PATHS), _index("reason", REASONS),
        Column("lock_wait_ns", "int64", "ns", "time waited for mmap_lock inside the call"),
        Column("ret", "int64", "", "result"),
        Column("call", "int32", "", "row of syscall_calls"),
    ),
)  # fmt: skip
LOCK_BLOCKERS = Table(
    "lock_blockers",
    "Who waited for whom: one row per stretch of a wait for a lock in which another thread kept the waiter waiting, "
    "whatever their priorities. Several holders at once give several rows. Where events were lost, rows may be missing.",
    (
        _START, _END, _LOCK, _WAIT, _HOLDER_LOCK, _HOLD,
        Column(
            "via", "int64", "",
            "the wait of the thread in between: row of lock_waits (a writer in front of a reader), or of vma_waits (the "
            "holder of mmap_lock itself waits for a VMA's reader); -1 none",
        ),
        _MM, Column("waiter_tid", "int32", "", ""), Column("waiter_write", "bool", "", ""),
        Column("via_tid", "int32", "", "thread of that wait; -1 none"),
        Column("holder_tid", "int32", "", ""), Column("holder_write", "bool", "", "mode at the start of the stretch"),
        Column("operation", "str", "", "what took the lock: madvise(MADV_DONTNEED), munmap, fault, kernel, untraced, ..."),
    ),
)  # fmt: skip

INVERSIONS = Table(
    "inversions",
    "One row per inverted interval: the part of a wait in which one weaker thread, the one to blame, stands between "
    "the waiter and the lock.",
    (
        _START, _END, _LOCK,
        _index("kind", INVERSION_KINDS),
        _WAIT, _HOLDER_LOCK, _HOLD, _MM,
        Column("waiter_tid", "int32", "", ""), Column("waiter_prio", "int32", "", "at the start of the interval"),
        Column("waiter_write", "bool", "", ""),
        Column("via_tid", "int32", "", "chained: the writer that waits in front, or the holder of mmap_lock; -1 direct"),
        Column("holder_tid", "int32", "", ""), Column("holder_prio", "int32", "", "at the start of the interval"),
        Column("holder_write", "bool", "", "mode at the start of the interval"),
        Column("operation", "str", "", "what took the lock: madvise(MADV_DONTNEED), munmap, fault, kernel, untraced, ..."),
        Column("running_ns", "int64", "ns", "the holder ran"),
        Column("runnable_ns", "int64", "ns", "the holder was runnable: preempted or not yet on a CPU"),
        Column("blocked_ns", "int64", "ns", "the holder slept"),
        Column("holders", "int32", "", "largest number of weaker threads that held it at once"),
        _QUALITY,
    ),
)  # fmt: skip
INTRUDERS = Table(
    "intruders",
    "One row per thread that ran on the blamed holder's CPU while that holder was runnable.",
    (
        Column("inversion", "int64", "", "row of inversions"),
        _TID,
        Column("ran_ns", "int64", "ns", "how long it ran there meanwhile"),
    ),
)
SLICES = Table(
    "slices",
    "One row per slice of trace_marker (B/E, S/F); C counters are in counters.",
    (
        _TID,
        Column("tgid", "int32", "", "process written in the marker; -1 none"),
        _START, _END,
        Column("depth", "int32", "", "0 outermost; -1 for an asynchronous slice"),
        Column("name", "str", "", ""),
        Column("cut", "int8", "", "0 whole, 1 begin before the trace, 2 open at its end"),
    ),
)  # fmt: skip
COUNTERS = Table(
    "counters",
    "One row per counter marker (C|tgid|name|value).",
    (
        _TID, Column("tgid", "int32", "", ""), Column("ts_ns", "int64", "ns", ""), Column("name", "str", "", ""),
        Column("value", "int64", "", ""),
    ),
)  # fmt: skip

SPLIT_CAUSES = (
    "running",
    "runnable",
    "mmap_lock",
    "vma_lock",
    "kernel_lock",
    "monitor",
    "binder",
    "io",
    "sleeping",
    "unknown",
)
FRAMES = Table(
    "frames",
    "One row per frame of an app.",
    (
        Column("tgid", "int32", "", "process; -1 unknown"),
        Column("layer", "str", "", "layer or window; empty where the source has none"),
        Column("frame_id", "int64", "", "surface frame token or vsync id; -1 none"),
        Column("expected_start_ns", "int64", "ns", "-1 unknown"), Column("deadline_ns", "int64", "ns", "-1 unknown"),
        _START, _END,
        Column("overrun_ns", "int64", "ns", "actual end - deadline, positive is late; 0 where the deadline is unknown"),
        Column("late", "bool", "", "overrun_ns > 0"),
        Column("janky", "bool", "", "frametimeline: by its jank type, except stuffing and animation pauses; other sources: late"),
        Column("jank_type", "str", "", "as SurfaceFlinger names it; empty for the other sources"),
        Column("source", "str", "", "frametimeline, framestats or choreographer"),
        _QUALITY,
        Column("inverted_ns", "int64", "ns", "inverted waits of the ui and render threads inside the frame"),
        Column("from_inversion", "bool", "", "late, but in time without the inverted time; only where quality is exact"),
        *(Column(f"ui_{c}_ns", "int64", "ns", f"ui thread inside the frame: {c}; late frames only") for c in SPLIT_CAUSES),
        *(Column(f"render_{c}_ns", "int64", "ns", f"render thread: {c}; late frames only") for c in SPLIT_CAUSES),
        Column("waited_for", "str", "", "holder for which the ui thread waited longest for mmap_lock; empty if none"),
    ),
)  # fmt: skip
LAUNCHES = Table(
    "launches",
    "One row per app launch.",
    (
        Column("component", "str", "", "package/activity that drew; from a trace alone, the package if it names no more"),
        Column("source", "str", "", "am (`am start -W`) or trace (its slices)"),
        Column("asked", "str", "", "requested state: cold, warm, hot; empty where unknown"),
        Column("got", "str", "", "cold, warm, hot, relaunch, unknown; empty if not reported"),
        Column("outcome", "str", "", "ok, timeout, crash, elsewhere, wrong_state"),
        Column("initial_display_ms", "float64", "ms", "time to initial display; NaN unknown"),
        Column("full_display_ms", "float64", "ms", "time to full display; NaN unknown"),
        Column("limit_ms", "float64", "ms", "for a failed launch, the time waited for it; NaN for the others"),
        Column("discarded", "str", "", "why it has no time as a launch in the requested state; empty if it has"),
        _START, _END,
        *(Column(f"ui_{c}_ns", "int64", "ns", f"main thread during the launch: {c}") for c in SPLIT_CAUSES),
        Column("gc_ns", "int64", "ns", "overlap with GC cycles"),
        Column("inverted_ns", "int64", "ns", "inverted waits of the ui thread"),
        _QUALITY,
    ),
)  # fmt: skip
GC_CYCLES = Table(
    "gc_cycles",
    "One row per GC cycle.",
    (
        _TID, Column("tgid", "int32", "", ""), _START, _END,
        Column("collector", "str", "", "concurrent copying, concurrent mark compact, ..."),
        Column("cause", "str", "", "Background, Explicit, Alloc, ...; empty if the slice does not name it"),
        Column("running_ns", "int64", "ns", ""), Column("runnable_ns", "int64", "ns", ""),
        Column("lock_wait_ns", "int64", "ns", "waits of the thread for mmap_lock"),
        Column("madvise_calls", "int64", "", ""), Column("madvise_bytes", "int64", "bytes", ""),
        _QUALITY,
    ),
)  # fmt: skip

DERIVED_TABLES = (
    THREAD_ROLES, THREAD_STATES, SCHEDULING, UNINTERRUPTIBLE_SLEEPS, WAKEUPS,
    LOCK_WAITS, LOCK_HOLDS, VMA_WAITS, OTHER_WAITS, SYSCALL_CALLS, MADVISE, LOCK_BLOCKERS,
    FUTEX_WAITS, MONITOR_WAITS, BINDER_CALLS, BLAME, BLAME_LINKS,
    INVERSIONS, INTRUDERS, SLICES, COUNTERS, FRAMES, LAUNCHES, GC_CYCLES,
)  # fmt: skip
