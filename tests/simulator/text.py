"""Worlds as ftrace text, as the kernel would print it, with all nine digits of the time."""

from __future__ import annotations

from collections.abc import Sequence

from android_suite.tables import events
from tests.simulator.layout import Row

_FLAGS = {2: "READ", 4: "WRITE"}


def render_text(rows: Sequence[Row]) -> str:
    """All events, one line each, in their order."""
    head = f"# tracer: nop\n#\n# entries-in-buffer/entries-written: {len(rows)}/{len(rows)}   #P:{1 + max(r[1] for r in rows)}\n"
    return head + "".join(f"{_line(*row)}\n" for row in rows)


def _line(ts: int, cpu: int, table: str, values: tuple[object, ...]) -> str:
    tid = int(str(values[0]))
    comm = "<idle>" if tid == 0 else f"t{tid}"
    return f"{comm:>16}-{tid:<7} [{cpu:03d}] d..2. {ts // 10**9:5d}.{ts % 10**9:09d}: {_EACH[table](*values)}"


def _switch(prev, prio, state, new, new_prio):  # type: ignore[no-untyped-def]
    was = f"prev_comm={_comm(prev)} prev_pid={prev} prev_prio={prio} prev_state={events.TASK_STATES[state]}"
    return f"sched_switch: {was} ==> next_comm={_comm(new)} next_pid={new} next_prio={new_prio}"


def _comm(tid: int) -> str:
    return f"t{tid}" if tid else "swapper/0"


def _wake(_waker, kind, tid, prio, cpu):  # type: ignore[no-untyped-def]
    return f"{events.WAKE_KINDS[kind]}: comm={_comm(tid)} pid={tid} prio={prio} target_cpu={cpu:03d}"


def _setprio(_current, tid, old, new):  # type: ignore[no-untyped-def]
    return f"sched_pi_setprio: comm={_comm(tid)} pid={tid} oldprio={old} newprio={new}"


def _lock(_tid, kind, mm, write, success):  # type: ignore[no-untyped-def]
    name = events.MMAP_LOCK_KINDS[kind]
    told = f" success={str(success).lower()}" if name.endswith("acquire_returned") else ""
    return f"{name}: mm={mm:016x} memcg_id=1 write={str(write).lower()}{told}"


def _contention(_tid, kind, addr, flags, ret):  # type: ignore[no-untyped-def]
    said = f"(ret={ret})" if kind else f"(flags={_FLAGS[flags]})"
    return f"{events.CONTENTION_KINDS[kind]}: {addr:016x} {said}"


def _syscall(_tid, kind, _call, number, *rest):  # type: ignore[no-untyped-def]
    if kind:
        return f"sys_exit: NR {number} = {rest[-1]}"
    return f"sys_enter: NR {number} ({', '.join(f'{a:x}' for a in rest[:6])})"


_EACH = {
    "sched_switch": _switch, "sched_wake": _wake, "pi_setprio": _setprio, "mmap_lock": _lock, "contention": _contention,
    "syscall": _syscall,
}  # fmt: skip
