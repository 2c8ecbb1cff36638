"""The catalogue of events: the table of each kernel event, and where each format stores the value of each column.

Events are described only here. A reader takes an event's columns from here and adds what is specific to its format; the
Perfetto writer writes these events. To keep another field of an event, add the column to ``tables/events.py`` and its
``Place`` here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from android_suite.model.syscalls import call_of_name
from android_suite.tables import events
from android_suite.tables.schema import Table
from android_suite.trace.core.event_format import EventFormat

# How a column is made from the kernel's value:
# state: bits or letters of prev_state to an index into TASK_STATES. call: a system call's number to an index into
# SYSCALLS. shares_tgid: whether CLONE_THREAD is among the clone flags. comm_of_path: the file's name as the kernel
# truncates it. symbol: a kernel address to its name. line: the text without its trailing newline.
Change = Literal["", "state", "call", "shares_tgid", "comm_of_path", "symbol", "line"]

RUNNING = "common_pid"  # as a kernel field: the thread that ran, if the event has none of the fields named before it
CLONE_THREAD = 0x10000
COMM_BYTES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The source of the value of one column.

    Attributes:
        kernel: names of the field in the formats of different kernels, which Perfetto uses too; the first one that the
            event has counts.
        text: keys before ``=`` in text; the first one that the text has counts.
        change: how the column is made from the kernel's value.
        absent: the column's value if this kernel's event lacks the field. None: every kernel has it, and text without it
            is not read.
        never_zero: the kernel never writes 0. A protobuf event, which omits zeros, is therefore damaged without it.
    """

    kernel: tuple[str, ...]
    text: tuple[str, ...]
    change: Change = ""
    absent: int | None = None
    never_zero: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One kind of event, and how it becomes rows of ``table``.

    Attributes:
        name: ``system:event``.
        table: the table of its rows.
        columns: the columns that are read from the event.
        constants: columns with the same value in every row; a column that is neither here nor in ``columns`` is 0.
        names: pairs of a column with a thread id and the place of that thread's comm.
        arrays: prefix of the columns (``arg`` of arg0, ...) that hold the elements of an array field.
        text_form: a regular expression for the event's text, if comms, which may contain anything, stand among its keys.
            ``{column}`` is replaced by the expression for that column's value.
        text_names: names of the event in text, if they differ from ``event``.
    """

    name: str
    table: Table
    columns: Mapping[str, Place] = field(default_factory=dict)
    constants: Mapping[str, int] = field(default_factory=dict)
    names: tuple[tuple[str, Place], ...] = ()
    arrays: Mapping[str, str] = field(default_factory=dict)
    text_form: str = ""
    text_names: tuple[str, ...] = ()

    @property
    def bare_name(self) -> str:
        """The event's name without its system, as in text and Perfetto."""
        return self.name.partition(":")[2]

    @property
    def kind(self) -> int:
        """Its index among the kinds of event that share the table; 0 if the table has no such column."""
        return self.constants.get("kind", 0)


def _at(
    *kernel: str, text: tuple[str, ...] = (), change: Change = "", absent: int | None = None, never_zero: bool = False
) -> Place:
    return Place(kernel=kernel, text=text or kernel, change=change, absent=absent, never_zero=never_zero)


def _wake(kind: str, text_names: tuple[str, ...] = ()) -> Event:
    return Event(
        name=f"sched:{kind}",
        table=events.SCHED_WAKE,
        constants={"kind": events.WAKE_KINDS.index(kind)},
        columns={"target_tid": _at("pid"), "target_prio": _at("prio"), "target_cpu": _at("target_cpu", absent=-1)},
        names=(("target_tid", _at("comm")),),
        text_names=text_names,
    )


def _mmap_lock(kind: str, **more: Place) -> Event:
    return Event(
        name=f"mmap_lock:{kind}",
        table=events.MMAP_LOCK,
        constants={"kind": events.MMAP_LOCK_KINDS.index(kind), **({} if more else {"success": 1})},
        columns={"mm": _at("mm", never_zero=True), "write": _at("write"), **more},
    )


def _contention(kind: str, **more: Place) -> Event:
    return Event(
        name=f"lock:{kind}",
        table=events.CONTENTION,
        constants={"kind": events.CONTENTION_KINDS.index(kind)},
        columns={"lock_addr": _at("lock_addr", never_zero=True), **more},
    )


def _raw_syscall(kind: str, *, arrays: Mapping[str, str] | None = None, **more: Place) -> Event:
    return Event(
        name=f"raw_syscalls:sys_{kind}",
        table=events.SYSCALL,
        constants={"kind": events.SYSCALL_KINDS.index(kind)},
        columns={"nr": _at("id"), "call": _at("id", change="call"), **more},
        arrays=arrays or {},
    )


def _task(
    name: str, kind: str, *, comm: Place, text_form: str, tid: Place | None = None, named: bool = True, **more: Place
) -> Event:
    return Event(
        name=name,
        table=events.TASK,
        constants={"kind": events.TASK_KINDS.index(kind)},
        columns={"target_tid": tid or _at("pid"), "comm": comm, **more},
        names=(("target_tid", comm),) if named else (),
        text_form=text_form,
    )


def _vma_start_write(name: str, kind: str) -> Event:
    """``p:kprobes/vma_start_write __vma_start_write`` and ``r:kprobes/vma_start_write_return __vma_start_write``."""
    return Event(
        name=f"kprobes:{name}",
        table=events.VMA_START_WRITE,
        constants={"kind": events.VMA_START_WRITE_KINDS.index(kind)},
    )


# In the order in which the Perfetto writer describes them. If several events have the same table and constants, rows are
# written as the first of them.
EVENTS: tuple[Event, ...] = (
    Event(
        name="sched:sched_switch",
        table=events.SCHED_SWITCH,
        columns={
            "prev_tid": _at("prev_pid"),
            "prev_prio": _at("prev_prio"),
            "prev_state": _at("prev_state", change="state"),
            "next_tid": _at("next_pid"),
            "next_prio": _at("next_prio"),
        },
        names=(("prev_tid", _at("prev_comm")), ("next_tid", _at("next_comm"))),
        text_names=("sched_switch", "context_switch"),  # the latter: lines that the wakeup tracers write
    ),
    _wake("sched_waking"),
    _wake("sched_wakeup", text_names=("sched_wakeup", "wakeup")),
    _wake("sched_wakeup_new"),
    Event(
        name="sched:sched_blocked_reason",
        table=events.BLOCKED_REASON,
        columns={
            "target_tid": _at("pid"),
            "caller": _at("caller", change="symbol"),
            "io_wait": _at("io_wait", text=("iowait", "io_wait")),
        },
    ),
    Event(
        name="sched:sched_pi_setprio",
        table=events.PI_SETPRIO,
        columns={"target_tid": _at("pid"), "old_prio": _at("oldprio"), "new_prio": _at("newprio")},
        names=(("target_tid", _at("comm")),),
    ),
    Event(
        name="binder:binder_set_priority",
        table=events.PI_SETPRIO,
        columns={
            "target_tid": _at("thread"),
            "old_prio": _at("old_prio", text=("old", "old_prio")),
            "new_prio": _at("new_prio", text=("new", "new_prio")),
        },
    ),
    _task(
        "task:task_newtask",
        "newtask",
        comm=_at("comm"),
        thread_of_caller=_at("clone_flags", change="shares_tgid"),
        text_form=r"pid={target_tid} comm={comm} clone_flags=(?:0x)?{thread_of_caller} oom_score_adj=",
    ),
    # A thread can only rename itself, and newer kernels omit its pid.
    _task(
        "task:task_rename",
        "rename",
        tid=_at("pid", RUNNING),
        comm=_at("newcomm"),
        text_form=r"(?:pid={target_tid} )?oldcomm=.* newcomm={comm} oom_score_adj=",
    ),
    _task(
        "sched:sched_process_exec",
        "exec",
        comm=_at("filename", change="comm_of_path"),
        named=False,  # the thread has this name from then on, and sched events report it
        text_form=r"filename={comm} pid={target_tid} old_pid=",
    ),
    _task("sched:sched_process_exit", "exit", comm=_at("comm"), text_form=r"comm={comm} pid={target_tid} prio="),
    _task(
        "sched:sched_process_fork",
        "fork",
        tid=_at("child_pid"),
        comm=_at("child_comm"),
        text_form=r"comm=.* pid=\d+ child_comm={comm} child_pid={target_tid}",
    ),
    _mmap_lock("mmap_lock_start_locking"),
    _mmap_lock("mmap_lock_acquire_returned", success=_at("success", absent=1)),
    _mmap_lock("mmap_lock_released"),
    _contention("contention_begin", flags=_at("flags")),
    _contention("contention_end", ret=_at("ret")),
    Event(
        name="lock:contended_release",
        table=events.CONTENDED_RELEASE,
        columns={"lock_addr": _at("lock_addr", never_zero=True)},
    ),
    Event(
        name="binder:binder_transaction",
        table=events.BINDER,
        constants={"kind": events.BINDER_KINDS.index("binder_transaction")},
        columns={
            "transaction": _at("debug_id", text=("transaction", "debug_id")),
            "to_tgid": _at("to_proc", text=("dest_proc", "to_proc")),
            "to_tid": _at("to_thread", text=("dest_thread", "to_thread")),
            "reply": _at("reply"),
            "flags": _at("flags"),
        },
    ),
    Event(
        name="binder:binder_transaction_received",
        table=events.BINDER,
        constants={"kind": events.BINDER_KINDS.index("binder_transaction_received")},
        columns={"transaction": _at("debug_id", text=("transaction", "debug_id"))},
    ),
    Event(
        name="exceptions:page_fault_user",
        table=events.PAGE_FAULT,
        columns={"address": _at("address"), "ip": _at("ip", absent=0), "error_code": _at("error_code")},
    ),
    _raw_syscall("enter", arrays={"args": "arg"}),
    _raw_syscall("exit", ret=_at("ret")),
    _vma_start_write("vma_start_write", "enter"),
    _vma_start_write("vma_start_write_return", "exit"),
    Event(
        name="ftrace:print",
        table=events.MARKER,
        columns={"text": _at("buf", change="line")},
        text_names=("tracing_mark_write", "print", "0"),  # "0": what kernels of 2012 printed for it
    ),
)  # fmt: skip

_BY_NAME = {event.name: event for event in EVENTS}
_NUMBER = ("__syscall_nr", "nr")
ENTERED, LEFT = "sys_enter_", "sys_exit_"

# Names of the arguments of system calls in the kernel's trace events, in order.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "madvise": ("start", "len_in", "behavior"),
    "process_madvise": ("pidfd", "vec", "vlen", "behavior", "flags"),
    "mmap": ("addr", "len", "prot", "flags", "fd", "off"),
    "munmap": ("addr", "len"),
    "mprotect": ("start", "len", "prot"),
    "mremap": ("addr", "old_len", "new_len", "flags", "new_addr"),
    "brk": ("brk",),
    "clone": ("clone_flags", "newsp", "parent_tidptr", "child_tidptr", "tls"),
    "futex": ("uaddr", "op", "val", "utime", "uaddr2", "val3"),
    "ioctl": ("fd", "cmd", "arg"),
    "prctl": ("option", "arg2", "arg3", "arg4", "arg5"),
    "userfaultfd": ("flags",),
    "exit": ("error_code",),
    "exit_group": ("error_code",),
}


def events_of(table: Table) -> Iterator[Event]:
    """The events whose rows go to ``table``, without named system calls."""
    return (event for event in EVENTS if event.table is table)


def names_of_event() -> frozenset[str]:
    """Names of the catalogue's events in text and Perfetto, without named system calls."""
    return frozenset(name for event in EVENTS for name in (event.bare_name, *event.text_names))


def text_key(name: str, column: str) -> str:
    """The key before the column's value in text, such as ``prev_pid=``. ``name`` is the event's ``system:event``."""
    event = _BY_NAME[name]
    comms = {f"{tid}.comm": comm for tid, comm in event.names}
    return f"{(comms.get(column) or event.columns[column]).text[0]}="


def find_event(form: EventFormat) -> Event | None:
    """The catalogue's entry for an event that a trace describes; None if it goes to no table."""
    if form.system != "syscalls":
        return _BY_NAME.get(form.full_name)
    if not form.name.startswith((ENTERED, LEFT)):
        return None
    # A kernel may add fields after the six arguments, such as the text of a path; they are not arguments.
    own = [f for f in form.own_fields if f.location == "here" and not f.is_array and f.name not in _NUMBER]
    return named_syscall(form.name, tuple(f.name for f in own[:6]), numbered=True)


def named_syscall(name: str, arguments: tuple[str, ...] = (), *, numbered: bool = False) -> Event | None:
    """The entry for ``sys_enter_CALL`` or ``sys_exit_CALL`` of the syscalls group; None for any other name.

    Args:
        name: name of the event, without its system.
        arguments: names of an entry event's arguments; by default the known ones of the call.
        numbered: whether the event may contain the call's number.
    """
    entered = name.startswith(ENTERED)
    if not entered and not name.startswith(LEFT):
        return None
    call = call_of_name(name.removeprefix(ENTERED if entered else LEFT))
    columns: dict[str, Place] = {"nr": Place(kernel=_NUMBER, text=(), absent=-1)} if numbered else {}
    if entered:
        known = arguments or ARGUMENTS.get(events.SYSCALLS[call], ())
        columns |= {f"arg{i}": _at(argument) for i, argument in enumerate(known[:6])}
    else:
        columns["ret"] = _at("ret")
    constants = {"kind": 0 if entered else 1, "call": call, **({} if numbered else {"nr": -1})}
    return Event(name=f"syscalls:{name}", table=events.SYSCALL, columns=columns, constants=constants)


def is_text(table: Table, column: str) -> bool:
    """Whether the column holds text."""
    return table.dtypes[column] == "str"
