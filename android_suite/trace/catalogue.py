"""Which kernel event goes into which table, and which of its fields into which column. Names only, no bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from android_suite.model.syscalls import call_of_name
from android_suite.tables import events
from android_suite.tables.schema import Table
from android_suite.trace.core.event_format import EventFormat, Field


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSpec:
    """How one kind of event becomes rows of ``table``.

    ``fields`` maps a column to the names that its field has had; a column without any keeps ``defaults``. ``texts`` are
    the same for text columns. ``names`` are (tid field, comm field) pairs that tell what threads are called; of several
    tid fields, joined by '|', the first that is there.
    """

    table: Table
    defaults: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: tuple[tuple[str, str], ...] = ()
    # Columns whose values need more than a copy: "state", "call" (by number), "comm_of_path", "newtask", "address_name".
    special: Mapping[str, str] = field(default_factory=dict)
    array_columns: Mapping[str, str] = field(default_factory=dict)  # array field -> column prefix (args -> arg)


def _wake(kind: int) -> EventSpec:
    return EventSpec(
        table=events.SCHED_WAKE,
        defaults={"kind": kind, "target_cpu": -1},
        fields={"target_tid": ("pid",), "target_prio": ("prio",), "target_cpu": ("target_cpu",)},
        names=(("pid", "comm"),),
    )


def _lock(kind: int) -> EventSpec:
    return EventSpec(
        table=events.MMAP_LOCK,
        defaults={"kind": kind, "success": 1},
        fields={"mm": ("mm",), "write": ("write",), "success": ("success",)},
    )


def _task(
    kind: str, *, tid: tuple[str, ...] = ("pid",), comm: str = "comm", special: Mapping[str, str] | None = None,
    flags: str | None = None, names: bool = True,
) -> EventSpec:  # fmt: skip
    return EventSpec(
        table=events.TASK,
        defaults={"kind": events.TASK_KINDS.index(kind)},
        fields={"target_tid": tid, **({"thread_of_caller": (flags,)} if flags else {})},
        texts={"comm": (comm,)},
        special=special or {},
        names=(("|".join(tid), comm),) if names else (),
    )


_FIXED: dict[str, EventSpec] = {
    "sched:sched_switch": EventSpec(
        table=events.SCHED_SWITCH,
        fields={
            "prev_tid": ("prev_pid",), "prev_prio": ("prev_prio",), "prev_state": ("prev_state",),
            "next_tid": ("next_pid",), "next_prio": ("next_prio",),
        },
        special={"prev_state": "state"},
        names=(("prev_pid", "prev_comm"), ("next_pid", "next_comm")),
    ),
    "sched:sched_waking": _wake(0),
    "sched:sched_wakeup": _wake(1),
    "sched:sched_wakeup_new": _wake(2),
    "mmap_lock:mmap_lock_start_locking": _lock(0),
    "mmap_lock:mmap_lock_acquire_returned": _lock(1),
    "mmap_lock:mmap_lock_released": _lock(2),
    "lock:contention_begin": EventSpec(
        table=events.CONTENTION, defaults={"kind": 0}, fields={"lock_addr": ("lock_addr",), "flags": ("flags",)}
    ),
    "lock:contention_end": EventSpec(
        table=events.CONTENTION, defaults={"kind": 1}, fields={"lock_addr": ("lock_addr",), "ret": ("ret",)}
    ),
    "raw_syscalls:sys_enter": EventSpec(
        table=events.SYSCALL, defaults={"kind": 0}, fields={"nr": ("id",), "call": ("id",)}, special={"call": "call"},
        array_columns={"args": "arg"},
    ),
    "raw_syscalls:sys_exit": EventSpec(
        table=events.SYSCALL, defaults={"kind": 1}, fields={"nr": ("id",), "call": ("id",), "ret": ("ret",)},
        special={"call": "call"},
    ),
    "ftrace:print": EventSpec(table=events.MARKER, texts={"text": ("buf",)}),
    "sched:sched_blocked_reason": EventSpec(
        table=events.BLOCKED_REASON, fields={"target_tid": ("pid",), "io_wait": ("io_wait",)},
        texts={"caller": ("caller",)}, special={"caller": "address_name"},
    ),
    "sched:sched_pi_setprio": EventSpec(
        table=events.PI_SETPRIO,
        fields={"target_tid": ("pid",), "old_prio": ("oldprio",), "new_prio": ("newprio",)},
    ),
    "binder:binder_set_priority": EventSpec(
        table=events.PI_SETPRIO,
        fields={"target_tid": ("thread",), "old_prio": ("old_prio",), "new_prio": ("new_prio",)},
    ),
    "sched:sched_process_fork": _task("fork", tid=("child_pid",), comm="child_comm"),
    # The name is in the path; the kernel cuts it to 15 characters.
    "sched:sched_process_exec": _task("exec", comm="filename", special={"comm": "comm_of_path"}, names=False),
    "sched:sched_process_exit": _task("exit"),
    # A thread can only rename itself, and newer kernels leave its pid out.
    "task:task_rename": _task("rename", tid=("pid", "common_pid"), comm="newcomm"),
    "task:task_newtask": _task("newtask", flags="clone_flags", special={"thread_of_caller": "newtask"}),
    "exceptions:page_fault_user": EventSpec(
        table=events.PAGE_FAULT,
        fields={"address": ("address",), "ip": ("ip",), "error_code": ("error_code",)},
    ),
}  # fmt: skip


def find_spec(form: EventFormat) -> EventSpec | None:
    """The spec of an event; None if no table wants it."""
    if form.system == "syscalls":
        return _syscall_spec(form)
    return _FIXED.get(form.full_name)


def _syscall_spec(form: EventFormat) -> EventSpec | None:
    """``sys_enter_NAME``: the fields after the number are the arguments, in order; ``sys_exit_NAME`` has ``ret``."""
    number: tuple[str, ...] = ("__syscall_nr", "nr")
    if form.name.startswith("sys_exit_"):
        call = call_of_name(form.name.removeprefix("sys_exit_"))
        return EventSpec(
            table=events.SYSCALL, defaults={"kind": 1, "call": call, "nr": -1}, fields={"nr": number, "ret": ("ret",)}
        )
    if form.name.startswith("sys_enter_"):
        call = call_of_name(form.name.removeprefix("sys_enter_"))
        # A kernel may add fields after the six arguments (the text of a path, say): those are not arguments.
        args = _argument_fields(form)
        fields = {"nr": number, **{f"arg{i}": (f.name,) for i, f in enumerate(args)}}
        return EventSpec(table=events.SYSCALL, defaults={"kind": 0, "call": call, "nr": -1}, fields=fields)
    return None


def _argument_fields(form: EventFormat) -> tuple[Field, ...]:
    own = [
        f for f in form.own_fields if f.location == "here" and not f.is_array and f.name not in ("__syscall_nr", "nr")
    ]
    return tuple(own[:6])
