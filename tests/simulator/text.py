"""Worlds as ftrace text: as the kernel prints it, with or without tgids, as of 2012, and as trace-cmd reports it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence

from tests.simulator.kernel_events import MEMCG_PATH, KernelEvent, field_names, list_forms
from tests.simulator.layout import Gap
from tests.simulator.recording import Recording

TICKS = 1000  # times of layouts that print microseconds are multiplied by it, so that nothing is rounded off
_FLAGS = {2: "READ", 4: "WRITE"}
_MICROSECONDS = ("kernel", "tgids", "plain")


def ticks_of(recording: Recording) -> int:
    """By what the times in the text are longer than the world's."""
    return TICKS if recording.layout in _MICROSECONDS else 1


def render_text(
    found: Sequence[KernelEvent], gaps: Sequence[Gap], threads: Mapping[str, Sequence[object]], recording: Recording
) -> bytes:
    """All events, one line each, in their order; lost events as LOST lines, or only counted in the head."""
    tgids = dict(zip(threads["tid"], threads["tgid"], strict=True))
    comms = dict(zip(threads["tid"], threads["comm"], strict=True))
    heads = recording.loss == "heads"
    lost = sum(g.events for g in gaps) if heads else 0
    cpus = 1 + max([e.cpu for e in found] + [g.cpu for g in gaps])
    if recording.layout.startswith("trace_cmd"):
        lines = [f"cpus={cpus}"]
    else:
        told = f"{len(found)}/{len(found) + lost}"
        lines = ["# tracer: nop", "#", f"# entries-in-buffer/entries-written: {told}   #P:{cpus}", "#"]
    marks = {} if heads else {(g.cpu, g.to_ns): g.events for g in gaps if not g.at_end}
    fields = {name: field_names(form) for name, form in list_forms(recording).items()}
    head, body = _HEADS[recording.layout], _BODIES.get(recording.layout, _kernel_body)
    trace_cmd = recording.layout.startswith("trace_cmd")
    for event in found:
        if (event.cpu, event.ts) in marks:
            count = marks[event.cpu, event.ts]
            lines.append(
                f"CPU:{event.cpu} [{count} EVENTS DROPPED]" if trace_cmd else f"CPU:{event.cpu} [LOST {count} EVENTS]"
            )
        comm = comms.get(event.pid, "<idle>")
        values = dict(zip(fields[event.name], event.values, strict=True))
        lines.append(head(event, comm, tgids.get(event.pid)) + body(event.name, values))
    return _pack("\n".join(lines) + "\n", recording.packed)


def _pack(text: str, how: str) -> bytes:
    data = text.encode()
    if how == "gzip":
        return gzip.compress(data, 1)
    if how == "atrace":
        return b"TRACE:\n" + zlib.compress(data, 1)
    if how == "html":
        return (
            b'<!DOCTYPE html>\n<html><script class="trace-data" type="application/text">\n' + data + b"</script></html>"
        )
    return data


# -- the head of a line


def _micro(event: KernelEvent) -> str:
    return f"{event.ts // 10**9:5d}.{event.ts % 10**9 // 1000:06d}"


def _nano(event: KernelEvent) -> str:
    return f"{event.ts // 10**9:5d}.{event.ts % 10**9:09d}"


def _kernel_head(e: KernelEvent, comm: str, _tgid: object) -> str:
    return f"{comm:>16}-{e.pid:<7} [{e.cpu:03d}] d..2. {_micro(e)}: "


def _tgid_head(e: KernelEvent, comm: str, tgid: object) -> str:
    shown = "-----" if tgid is None else f"{tgid:>5}"
    return f"{comm:>16}-{e.pid:<7} ({shown}) [{e.cpu:03d}] d..2  {_micro(e)}: "


def _plain_head(e: KernelEvent, comm: str, _tgid: object) -> str:
    return f"{comm:>16}-{e.pid:<5} [{e.cpu:03d}] {_micro(e)}: "


def _nano_head(e: KernelEvent, comm: str, _tgid: object) -> str:
    return f"{comm:>16}-{e.pid:<7} [{e.cpu:03d}] dN.h311 {_nano(e)}: "


_HEADS = {
    "kernel": _kernel_head, "tgids": _tgid_head, "plain": _plain_head, "nanoseconds": _nano_head,
    "trace_cmd": _nano_head, "trace_cmd_raw": _nano_head,
}  # fmt: skip


# -- what follows it


def _kernel_body(name: str, v: Mapping[str, object]) -> str:
    if name in ("sched_wakeup", "sched_wakeup_new", "sched_waking"):
        success = "success=1 " if "success" in v else ""
        return f"{name}: comm={v['comm']} pid={v['pid']} prio={v['prio']} {success}target_cpu={v['target_cpu']:03d}"
    if name.startswith("mmap_lock"):
        memcg = f"memcg_path={MEMCG_PATH}" if "memcg_path" in v else f"memcg_id={v['memcg_id']}"
        told = f" success={_truth(v['success'])}" if "success" in v else ""
        return f"{name}: mm={v['mm']:016x} {memcg} write={_truth(v['write'])}{told}"
    if name.startswith("sys_enter_"):
        shown = ", ".join(f"{k}: {x:x}" for k, x in v.items() if k != "__syscall_nr")
        return f"sys_{name.removeprefix('sys_enter_')}({shown})"
    if name.startswith("sys_exit_"):
        return f"sys_{name.removeprefix('sys_exit_')} -> 0x{_unsigned(v['ret']):x}"
    return f"{name if name != 'print' else 'tracing_mark_write'}: " + _KERNEL_FORMS[name](v)


def _truth(value: object) -> str:
    return "true" if value else "false"


def _unsigned(value) -> int:  # type: ignore[no-untyped-def]
    return int(value) % (1 << 64)


def _switch(v):  # type: ignore[no-untyped-def]
    was = f"prev_comm={v['prev_comm']} prev_pid={v['prev_pid']} prev_prio={v['prev_prio']} prev_state={v['prev_state']}"
    return f"{was} ==> next_comm={v['next_comm']} next_pid={v['next_pid']} next_prio={v['next_prio']}"


_KERNEL_FORMS = {
    "sched_switch": _switch,
    "sched_pi_setprio": lambda v: f"comm={v['comm']} pid={v['pid']} oldprio={v['oldprio']} newprio={v['newprio']}",
    "contention_begin": lambda v: f"{v['lock_addr']:016x} (flags={_FLAGS[v['flags']]})",
    "contention_end": lambda v: f"{v['lock_addr']:016x} (ret={v['ret']})",
    "sys_enter": lambda v: f"NR {v['id']} ({', '.join(f'{a:x}' for a in v['args'])})",
    "sys_exit": lambda v: f"NR {v['id']} = {v['ret']}",
    "page_fault_user": lambda v: f"address=0x{v['address']:x} ip=0x{v['ip']:x} error_code=0x{v['error_code']:x}",
    "task_newtask": lambda v: f"pid={v['pid']} comm={v['comm']} clone_flags={v['clone_flags']:x} oom_score_adj=0",
    "sched_process_exit": lambda v: f"comm={v['comm']} pid={v['pid']} prio={v['prio']}",
    "print": lambda v: v["buf"].strip(),
}


def _report_body(name: str, v: Mapping[str, object]) -> str:
    """As ``trace-cmd report`` prints them."""
    if name == "sched_switch":
        was = f"{v['prev_comm']}:{v['prev_pid']} [{v['prev_prio']}] {v['prev_state']}"
        body = f"{was} ==> {v['next_comm']}:{v['next_pid']} [{v['next_prio']}]"
    elif name.startswith("sched_wak"):
        success = " success=1" if "success" in v else ""
        body = f"{v['comm']}:{v['pid']} [{v['prio']}]{success} CPU:{v['target_cpu']:03d}"
    elif name.startswith("sys_enter_"):
        body = ", ".join(f"{k}: 0x{x:08x}" for k, x in v.items() if k != "__syscall_nr")
    elif name.startswith("sys_exit_"):
        body = f"0x{_unsigned(v['ret']):x}"
    elif name == "print":
        body = f"tracing_mark_write: {str(v['buf']).strip()}"
    else:
        body = _kernel_body(name, v).partition(": ")[2]
    return f"{name + ':':<21} {body}"


def _raw_body(name: str, v: Mapping[str, object]) -> str:
    """As ``trace-cmd report -R`` prints them: every field, numbers as they are."""
    if name == "print":
        return _report_body(name, v)
    shown = []
    for key, value in v.items():
        if key == "prev_state":
            value = {"R": 0, "R+": 2048, "S": 1, "D": 2, "X": 16}[str(value)]
        if key == "args":
            words = b"".join(int(a).to_bytes(8, "little") for a in value)  # type: ignore[attr-defined]
            shown.append(f"args=ARRAY[{', '.join(f'{byte:02x}' for byte in words)}]")
        elif name.startswith("sys_enter_") and key != "__syscall_nr":
            shown.append(f"{key}={value}" if key in ("len", "len_in", "vlen") else f"{key}=0x{value:x}")
        elif key in ("mm", "lock_addr", "address", "ip", "error_code", "flags", "clone_flags"):
            shown.append(f"{key}=0x{value:x}")
        else:
            shown.append(f"{key}={value}")
    return f"{name + ':':<21} {' '.join(shown)}"


_BODIES = {"trace_cmd": _report_body, "trace_cmd_raw": _raw_body}
