"""The event tables that every trace reader delivers, whatever the format of the trace.

Common columns: ``seq`` is the position in the merged trace (unique, ascending; it breaks ties of ``ts_ns`` and joins the
tables), ``ts_ns`` is int64 nanoseconds on the trace's own clock (named in ``TraceSource.clock``), ``cpu`` the CPU that wrote the
event, ``tid`` the thread that was running (ftrace's ``common_pid``). A table is sorted by ``seq``.
"""

from __future__ import annotations

from android_suite.model.syscalls import CALL_NAMES
from android_suite.tables.schema import Column, Table

MAX_TID = 4 << 20  # the kernel's PID_MAX_LIMIT: a thread id above it comes from a damaged event

# prev_state is an index into these letters. '+' marks R left by preemption; a combination such as D|K is its first letter.
TASK_STATES = ("R", "R+", "S", "D", "T", "t", "X", "Z", "P", "I", "K", "W", "x", "N", "?")

# syscall.call is an index into these names; 'other' for a call that is not known by name.
SYSCALLS = CALL_NAMES

WAKE_KINDS = ("sched_waking", "sched_wakeup", "sched_wakeup_new")
MMAP_LOCK_KINDS = ("mmap_lock_start_locking", "mmap_lock_acquire_returned", "mmap_lock_released")
CONTENTION_KINDS = ("contention_begin", "contention_end")
BINDER_KINDS = ("binder_transaction", "binder_transaction_received")
ONE_WAY = 1  # TF_ONE_WAY of binder.flags: the caller waits for no reply
SYSCALL_KINDS = ("enter", "exit")
VMA_START_WRITE_KINDS = ("enter", "exit")
TASK_KINDS = ("fork", "exec", "exit", "rename", "newtask")

_SEQ = Column("seq", "int64", "", "position in the merged trace")
_TS = Column("ts_ns", "int64", "ns", "time on the trace clock")
_CPU = Column("cpu", "int32", "", "CPU that wrote the event")
_TID = Column("tid", "int32", "", "thread that was running (common_pid)")
_HEAD = (_SEQ, _TS, _CPU, _TID)


def _kind(names: tuple[str, ...]) -> Column:
    return Column("kind", "int8", "", "index into " + " | ".join(names))


SCHED_SWITCH = Table(
    "sched_switch",
    "One row per sched:sched_switch.",
    (
        _SEQ, _TS, _CPU,
        Column("prev_tid", "int32", "", "thread that leaves the CPU (0 is idle)"),
        Column("prev_prio", "int32", "", "its kernel priority at that time; lower is stronger"),
        Column("prev_state", "int8", "", "index into TASK_STATES"),
        Column("next_tid", "int32", "", "thread that gets the CPU"),
        Column("next_prio", "int32", "", "its kernel priority"),
    ),
)  # fmt: skip
SCHED_WAKE = Table(
    "sched_wake",
    "One row per sched:sched_waking, sched_wakeup or sched_wakeup_new; tid is the waker.",
    (
        *_HEAD, _kind(WAKE_KINDS),
        Column("target_tid", "int32", "", "thread that is woken"),
        Column("target_prio", "int32", "", "its kernel priority"),
        Column("target_cpu", "int32", "", "CPU it is put on; -1 where the format has none"),
    ),
)  # fmt: skip
MMAP_LOCK = Table(
    "mmap_lock",
    "One row per mmap_lock:* event, of either layout (memcg_path or memcg_id).",
    (
        *_HEAD, _kind(MMAP_LOCK_KINDS),
        Column("mm", "uint64", "", "address of the mm_struct; hashed by %p in text traces, but the same within one boot"),
        Column("write", "bool", "", "write mode"),
        Column("success", "bool", "", "only meaningful in mmap_lock_acquire_returned; True elsewhere"),
    ),
)  # fmt: skip
CONTENTION = Table(
    "contention",
    "One row per lock:contention_begin or contention_end.",
    (
        *_HEAD, _kind(CONTENTION_KINDS),
        Column("lock_addr", "uint64", "", "address of the lock"),
        Column("flags", "int32", "", "LCB_F_*: 1 SPIN 2 READ 4 WRITE 8 RT 16 PERCPU 32 MUTEX; 0 in contention_end"),
        Column("ret", "int32", "", "contention_end: 0 got it, negative errno otherwise; 0 in contention_begin"),
    ),
)  # fmt: skip
CONTENDED_RELEASE = Table(
    "contended_release",
    "One row per lock:contended_release: the running thread gave back a lock for which others waited.",
    (*_HEAD, Column("lock_addr", "uint64", "", "address of the lock, as in contention")),
)
BINDER = Table(
    "binder",
    "One row per binder:binder_transaction (tid sends) or binder_transaction_received (tid receives).",
    (
        *_HEAD, _kind(BINDER_KINDS),
        Column("transaction", "int32", "", "the kernel's number of the transaction (debug_id), which joins both kinds"),
        Column("to_tgid", "int32", "", "binder_transaction: receiving process; 0 in the other kind"),
        Column("to_tid", "int32", "", "binder_transaction: receiving thread, 0 where any of the process may take it"),
        Column("reply", "bool", "", "binder_transaction: it is the answer to a call"),
        Column("flags", "uint64", "", "binder_transaction: TF_*; 1 one way, which no answer follows"),
    ),
)  # fmt: skip
SYSCALL = Table(
    "syscall",
    "One row per entry or exit, from raw_syscalls:* or syscalls:sys_{enter,exit}_*.",
    (
        *_HEAD, _kind(SYSCALL_KINDS),
        Column("call", "int32", "", "index into SYSCALLS (android_suite/model/syscalls.py); 0 where not known by name"),
        Column("nr", "int32", "", "the kernel's number; -1 where the format prints only the name"),
        *(Column(f"arg{i}", "uint64", "", f"argument {i} at entry; 0 at exit") for i in range(6)),
        Column("ret", "int64", "", "result at exit; 0 at entry"),
    ),
)  # fmt: skip
MARKER = Table(
    "marker",
    "One row per write to trace_marker (ftrace:print, tracing_mark_write), without its trailing newline.",
    (*_HEAD, Column("text", "str", "", "the text written, such as B|123|Choreographer#doFrame 7")),
)
BLOCKED_REASON = Table(
    "blocked_reason",
    "One row per sched:sched_blocked_reason; tid is the waker's context.",
    (
        *_HEAD,
        Column("target_tid", "int32", "", "thread that was blocked"),
        Column("io_wait", "bool", "", "it waited for I/O"),
        Column("caller", "str", "", "symbol+offset, or a bare hexadecimal address; empty where unknown"),
    ),
)  # fmt: skip
PI_SETPRIO = Table(
    "pi_setprio",
    "One row per sched:sched_pi_setprio or binder:binder_set_priority.",
    (
        *_HEAD,
        Column("target_tid", "int32", "", "thread whose priority changes"),
        Column("old_prio", "int32", "", "kernel priority before"),
        Column("new_prio", "int32", "", "kernel priority after"),
    ),
)  # fmt: skip
TASK = Table(
    "task",
    "One row per sched_process_fork/exec/exit, task:task_newtask or task:task_rename.",
    (
        *_HEAD, _kind(TASK_KINDS),
        Column("target_tid", "int32", "", "the thread that is made, ends or is renamed"),
        Column("thread_of_caller", "bool", "", "newtask with CLONE_THREAD: it shares the caller's tgid"),
        Column("comm", "str", "", "its comm after the event"),
    ),
)  # fmt: skip
PAGE_FAULT = Table(
    "page_fault",
    "One row per exceptions:page_fault_user.",
    (
        *_HEAD,
        Column("address", "uint64", "", "faulting address"),
        Column("ip", "uint64", "", "instruction"),
        Column("error_code", "uint64", "", "the architecture's error code"),
    ),
)  # fmt: skip
VMA_START_WRITE = Table(
    "vma_start_write",
    "One row per kprobe event at the entry or the return of __vma_start_write, where a writer waits for a VMA's readers.",
    (*_HEAD, _kind(VMA_START_WRITE_KINDS)),
)
FRAME_TIMELINE = Table(
    "frame_timeline",
    "One row per surface or display frame of SurfaceFlinger's FrameTimeline (Perfetto only).",
    (
        Column("token", "int64", "", "surface_frame_token; -1 for a display frame"),
        Column("display_token", "int64", "", "display_frame_token"),
        Column("tgid", "int32", "", "process"),
        Column("layer", "str", "", "layer name; empty for a display frame"),
        Column("expected_start_ns", "int64", "ns", "-1 where no expected frame was seen"),
        Column("expected_end_ns", "int64", "ns", "the deadline; -1 where unknown"),
        Column("actual_start_ns", "int64", "ns", ""),
        Column("actual_end_ns", "int64", "ns", "-1 where the frame's end is not in the trace"),
        Column("present_type", "str", "", "On-time, Late, Early, Dropped, Unknown, Unspecified"),
        Column("jank_type", "str", "", "SurfaceFlinger's names, joined by ', '"),
        Column("on_time_finish", "bool", "", ""),
        Column("gpu_composition", "bool", "", ""),
        Column("prediction_type", "str", "", "Valid, Expired, Unknown, Unspecified"),
        Column("severity", "str", "", "None, Partial, Full, Unknown"),
    ),
)  # fmt: skip
THREADS = Table(
    "threads",
    "One row per thread seen anywhere in the trace. Join on tid: comms saved by the kernel can be stale.",
    (
        Column("tid", "int32", "", ""),
        Column("tgid", "int32", "", "process; -1 where unknown"),
        Column("comm", "str", "", "last name known, most trusted source first: sched events, /proc, saved_cmdlines"),
        Column("process", "str", "", "name of the process: cmdline if known, else the comm of its main thread; empty if unknown"),
    ),
)  # fmt: skip
THREAD_MOVES = Table(
    "thread_moves",
    "One row per change of the process that the trace itself names for a thread id.",
    (
        Column("tid", "int32", "", ""),
        Column("ts_ns", "int64", "ns", "first event under the other process; -1 where the format does not say when"),
        Column("tgid", "int32", "", "process before it"),
        Column("comm", "str", "", "name before it; empty if unknown"),
    ),
)
THREAD_LISTS = Table(
    "thread_lists",
    "One row per thread in a list of the device's threads that was read at a known time beside the events.",
    (
        Column("tid", "int32", "", ""),
        Column("ts_ns", "int64", "ns", "when it was read; outside the trace where it was read before or after it"),
        Column("tgid", "int32", "", "its process then; -1 where unknown"),
        Column("comm", "str", "", "its name then; empty if unknown"),
        Column("process", "str", "", "name of its process then; empty if unknown"),
    ),
)  # fmt: skip
LOST = Table(
    "lost",
    "One row per gap: events of that CPU are missing between the two times (inclusive).",
    (
        Column("cpu", "int32", "", "-1: any CPU"),
        Column("from_ns", "int64", "ns", "last event before the gap; the trace's start if none"),
        Column("to_ns", "int64", "ns", "first event after it; the trace's end if none"),
        Column("events", "int64", "", "how many; -1 where the kernel does not say"),
    ),
)  # fmt: skip

EVENT_TABLES = (
    SCHED_SWITCH, SCHED_WAKE, MMAP_LOCK, CONTENTION, SYSCALL, MARKER, BLOCKED_REASON, PI_SETPRIO, TASK, PAGE_FAULT,
    VMA_START_WRITE, CONTENDED_RELEASE, BINDER, FRAME_TIMELINE, THREADS, THREAD_MOVES, THREAD_LISTS, LOST,
)  # fmt: skip


def kernel_tid(tid: int) -> int:
    """The kernel's id for any thread or process id in the tables of an analysis (see analysis.lives)."""
    return tid % MAX_TID if tid > MAX_TID else tid
