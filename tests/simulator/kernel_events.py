"""Rows to kernel events: name, thread and the values of the event's own fields, and the format files of these events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from android_suite.tables import events
from benchmarks.event_forms import FORMS, Form
from tests.simulator.layout import Row
from tests.simulator.recording import Recording

_ARGUMENTS = {
    "madvise": ("start", "len_in", "behavior"), "process_madvise": ("pidfd", "vec", "vlen", "behavior", "flags"),
    "mmap": ("addr", "len", "prot", "flags", "fd", "off"), "munmap": ("addr", "len"), "mprotect": ("start", "len", "prot"),
    "clone": ("clone_flags", "newsp", "parent_tidptr", "child_tidptr", "tls"),
}  # fmt: skip
MEMCG_ID, MEMCG_PATH = 1, "/apps"
# prev_state: bits of today's kernels, and of those before 4.14, which are named otherwise and have another highest bit.
_TODAY = {"S": 1, "D": 2, "T": 4, "t": 8, "X": 16, "Z": 32, "P": 64, "I": 128, "R+": 256, "R": 0}
_OLD = {
    "S": 1, "D": 2, "T": 4, "t": 8, "Z": 16, "X": 32, "x": 64, "K": 128, "W": 256, "P": 512, "N": 1024, "R+": 2048, "R": 0,
}  # fmt: skip


class KernelEvent(NamedTuple):
    """One event; ``values`` in the order of the event's fields, texts as they are, states as letters."""

    ts: int
    cpu: int
    pid: int
    name: str
    values: tuple[object, ...]


def list_kernel_events(rows: Sequence[Row], comms: Mapping[int, str], recording: Recording) -> Iterator[KernelEvent]:
    """The events of ``rows``, in their order."""
    for ts, cpu, table, values in rows:
        name, pid, fields = _EACH[table](comms, recording, *values)
        yield KernelEvent(ts, cpu, pid, name, fields)


def field_names(form: Form) -> tuple[str, ...]:
    return tuple(_name(decl) for decl, _ in form.fields)


def _name(decl: str) -> str:
    return decl.split()[-1].partition("[")[0].lstrip("*")


# -- one function a table


def _switch(comms, _form, prev, prio, state, new, new_prio):  # type: ignore[no-untyped-def]
    letter = events.TASK_STATES[state]
    return "sched_switch", prev, (comms[prev], prev, prio, letter, comms[new], new, new_prio)


def _wake(comms, form, waker, kind, tid, prio, cpu):  # type: ignore[no-untyped-def]
    success = (1,) if form.success else ()
    return events.WAKE_KINDS[kind], waker, (comms[tid], tid, prio, *success, cpu)


def _setprio(comms, _form, current, tid, old, new):  # type: ignore[no-untyped-def]
    return "sched_pi_setprio", current, (comms[tid], tid, old, new)


def _lock(_comms, form, tid, kind, mm, write, success):  # type: ignore[no-untyped-def]
    name = events.MMAP_LOCK_KINDS[kind]
    memcg = MEMCG_PATH if form.memcg_path else MEMCG_ID
    told = (int(success),) if name == "mmap_lock_acquire_returned" else ()
    return name, tid, (mm, memcg, int(write), *told)


def _contention(_comms, _form, tid, kind, addr, flags, ret):  # type: ignore[no-untyped-def]
    return events.CONTENTION_KINDS[kind], tid, (addr, ret if kind else flags)


def _syscall(_comms, form, tid, kind, call, number, *rest):  # type: ignore[no-untyped-def]
    which, args, ret = events.SYSCALL_KINDS[kind], rest[:6], rest[6]
    if form.all_calls:
        return f"sys_{which}", tid, (number, ret) if kind else (number, args)
    name = events.SYSCALLS[call]
    return f"sys_{which}_{name}", tid, (number, ret) if kind else (number, *args[: len(_ARGUMENTS[name])])


def _page_fault(_comms, _form, tid, address, ip, code):  # type: ignore[no-untyped-def]
    return "page_fault_user", tid, (address, ip, code)


def _task(_comms, _form, tid, kind, target, thread_of_caller, comm):  # type: ignore[no-untyped-def]
    if events.TASK_KINDS[kind] == "newtask":
        return "task_newtask", tid, (target, comm, 0x3D0F00 if thread_of_caller else 0x1200011, 0)
    return "sched_process_exit", tid, (comm, target, 120)


def _marker(_comms, _form, tid, text):  # type: ignore[no-untyped-def]
    return "print", tid, (0x1234, text + "\n")


_EACH = {
    "sched_switch": _switch, "sched_wake": _wake, "pi_setprio": _setprio, "mmap_lock": _lock, "contention": _contention,
    "syscall": _syscall, "page_fault": _page_fault, "task": _task, "marker": _marker,
}  # fmt: skip


# -- format files


def state_bits(recording: Recording) -> Mapping[str, int]:
    """Number of each state in prev_state."""
    return _OLD if recording.old_states else _TODAY


def list_forms(recording: Recording) -> dict[str, Form]:
    """The formats of all events, as this kernel has them."""
    forms = [FORMS["print"], _switch_form(recording), *_wake_forms(recording), *_lock_forms(recording)]
    forms += [FORMS["contention_begin"], FORMS["contention_end"]]
    forms += [
        _form(
            "sched", "sched_pi_setprio", 703, ("char comm[16]", "S16"), ("pid_t pid", "i4"), ("int oldprio", "i4"),
            ("int newprio", "i4"),
        ),
        _form(
            "exceptions", "page_fault_user", 705, ("unsigned long address", "u8"), ("unsigned long ip", "u8"),
            ("unsigned long error_code", "u8"),
        ),
        _form(
            "task", "task_newtask", 700, ("pid_t pid", "i4"), ("char comm[16]", "S16"), ("unsigned long clone_flags", "u8"),
            ("short oom_score_adj", "i2"),
        ),
        _form("sched", "sched_process_exit", 706, ("char comm[16]", "S16"), ("pid_t pid", "i4"), ("int prio", "i4")),
        _form("raw_syscalls", "sys_enter", 400, ("long id", "i8"), ("unsigned long args[6]", "(6,)u8")),
        _form("raw_syscalls", "sys_exit", 401, ("long id", "i8"), ("long ret", "i8")),
    ]  # fmt: skip
    for number, (call, args) in enumerate(_ARGUMENTS.items()):
        fields = [(f"unsigned long {name}", "u8") for name in args]
        forms.append(_form("syscalls", f"sys_enter_{call}", 600 + 2 * number, ("int __syscall_nr", "i4"), *fields))
        exits = ("int __syscall_nr", "i4"), ("long ret", "i8")
        forms.append(_form("syscalls", f"sys_exit_{call}", 601 + 2 * number, *exits))
    return {form.name: form for form in forms}


def _form(system: str, name: str, number: int, *fields: tuple[str, str], print_fmt: str = "") -> Form:
    shown = ", ".join(f"REC->{_name(decl)}" for decl, _ in fields)
    text = " ".join("%s" if kind[0] == "S" else "%lx" for _, kind in fields)
    return Form(system=system, name=name, number=number, fields=fields, print_fmt=print_fmt or f'"{text}", {shown}')


def _switch_form(recording: Recording) -> Form:
    today = FORMS["sched_switch"]
    if not recording.old_states:
        return today
    flags = ", ".join(f'{{ {bit}, "{letter}" }}' for letter, bit in _OLD.items() if 0 < bit < 2048)
    shown = (
        '"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s%s ==> next_comm=%s next_pid=%d next_prio=%d", REC->prev_comm, '
        f'REC->prev_pid, REC->prev_prio, REC->prev_state & (2048-1) ? __print_flags(REC->prev_state & (2048-1), "|", {flags}) '
        ': "R", REC->prev_state & 2048 ? "+" : "", REC->next_comm, REC->next_pid, REC->next_prio'
    )
    return _form(today.system, today.name, today.number, *today.fields, print_fmt=shown)


def _wake_forms(recording: Recording) -> list[Form]:
    success = (("int success", "i4"),) if recording.success else ()
    fields = (("char comm[16]", "S16"), ("pid_t pid", "i4"), ("int prio", "i4"), *success, ("int target_cpu", "i4"))
    return [_form("sched", name, 318 + i, *fields) for i, name in enumerate(events.WAKE_KINDS)]


def _lock_forms(recording: Recording) -> list[Form]:
    memcg = ("__data_loc char[] memcg_path", "u4") if recording.memcg_path else ("u64 memcg_id", "u8")
    fields = (("struct mm_struct *mm", "u8"), memcg, ("bool write", "u1"))
    out = []
    for number, name in enumerate(events.MMAP_LOCK_KINDS):
        more = (("bool success", "u1"),) if name == "mmap_lock_acquire_returned" else ()
        out.append(_form("mmap_lock", name, 555 + number, *fields, *more))
    return out


def encode_records(found: Sequence[KernelEvent], recording: Recording) -> list[bytes]:
    """The records of the events, as they stand in the ring buffer."""
    forms, order = list_forms(recording), ">" if recording.big_endian else "<"
    bits = state_bits(recording)
    rows_of: dict[str, list[int]] = {}
    for row, event in enumerate(found):
        rows_of.setdefault(event.name, []).append(row)
    out = [b""] * len(found)
    for name, rows in rows_of.items():
        form = forms[name]
        record = form.record.newbyteorder(order)
        tail = b""
        if name.startswith("mmap_lock_") and recording.memcg_path:
            tail = MEMCG_PATH.encode() + b"\0"
        place = len(tail) << 16 | record.itemsize  # where the text of the dynamic field is
        data = np.array(
            [(form.number, 0, 0, found[r].pid, *(_encoded(v, place, bits) for v in found[r].values)) for r in rows],
            record,
        )
        size, raw = record.itemsize, data.tobytes()
        for i, r in enumerate(rows):
            out[r] = raw[i * size : (i + 1) * size] + tail
        if form.text_field:
            start = record.fields[form.text_field][1]  # type: ignore[index]
            for r in rows:
                out[r] = out[r][:start] + str(found[r].values[-1]).encode() + b"\0"
    return out


def _encoded(value: object, place: int, bits: Mapping[str, int]) -> object:
    if not isinstance(value, str):
        return value
    if value == MEMCG_PATH:
        return place
    return bits[value] if value in bits else value.encode()
