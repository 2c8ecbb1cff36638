"""One story in every format, in which the kernel gives a thread id out twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.analysis.pipeline import Analysis
from android_suite.tables.derived import ROLES
from android_suite.tables.events import MAX_TID
from android_suite.tables.trace import Trace
from android_suite.trace.dat.reader import read_trace_dat
from android_suite.trace.perfetto.reader import read_perfetto
from android_suite.trace.ring.capture_folder import read_raw_capture
from android_suite.trace.text.reader import read_text
from tests.trace.captures import DatBuffer, make_dat_v7, make_record, write_capture
from tests.trace.pages import PageWriter, make_layout

REUSED = 200
OLD = MAX_TID + REUSED
COMMS = {100: "com.example.a", 300: "com.example.b", 0: "swapper/0"}
NAMES = {"print": "tracing_mark_write"}
Event = tuple[int, int, str, dict[str, Any]]


def switch(ts: int, prev: tuple[int, str], state: str, new: tuple[int, str]) -> Event:
    names = {"prev_comm": prev[1], "prev_pid": prev[0], "next_comm": new[1], "next_pid": new[0]}
    return ts, prev[0], "sched_switch", {**names, "prev_prio": 120, "next_prio": 120, "prev_state": state}


def lock(ts: int, tid: int, kind: str, mm: int) -> Event:
    more = {"success": 1} if kind == "acquire_returned" else {}
    return ts, tid, f"mmap_lock_{kind}", {"mm": mm, "memcg_path": "/", "write": 1, **more}


def story(gc: tuple[int, str], worker: tuple[int, str]) -> list[Event]:
    """The UI thread of A waits 4 us for its collector, which ends; then B's main thread waits 2 us for its worker."""
    ui, main, idle = (100, COMMS[100]), (300, COMMS[300]), (0, COMMS[0])
    out: list[Event] = []
    for start, holder, waiter, mm, length in ((1000, gc, ui, 0xA000, 4000), (31000, worker, main, 0xB000, 2000)):
        if holder is worker:
            made = {"pid": worker[0], "comm": main[1], "clone_flags": 0x10F00}
            out += [(start - 3000, main[0], "print", {"buf": "B|300|b"}), (start - 2000, main[0], "task_newtask", made)]
        out += [
            switch(start, idle, "R", holder), lock(start + 1000, holder[0], "start_locking", mm),
            lock(start + 1000, holder[0], "acquire_returned", mm), switch(start + 2000, holder, "S", waiter),
            lock(start + 3000, waiter[0], "start_locking", mm), switch(start + 3000, waiter, "D", holder),
            lock(start + 3000 + length, holder[0], "released", mm),
            switch(start + 3000 + length, holder, "X" if holder is gc else "S", waiter),
            lock(start + 3000 + length, waiter[0], "acquire_returned", mm),
            lock(start + 4000 + length, waiter[0], "released", mm), switch(start + 5000 + length, waiter, "S", idle),
        ]  # fmt: skip
    return out


GC, WORKER = (REUSED, "HeapTaskDaemon"), (REUSED, "Worker")


def as_text(recorded: list[Event], tgid: Callable[[int, int], int] | None, *, without: str = "") -> Trace:
    lines = ["# tracer: nop"]
    for ts, tid, name, fields in recorded:
        if name == without:
            continue
        comm = "HeapTaskDaemon" if tid == REUSED and ts < 20000 else COMMS.get(tid, "Worker")
        group = f"({tgid(ts, tid):5d}) " if tgid else ""
        values = {**fields, "mm": hex(fields["mm"])} if "mm" in fields else fields
        if name == "task_newtask":
            values = {**fields, "clone_flags": f"{fields['clone_flags']:x}"}
        text = values.get("buf") or " ".join(f"{key}={value}" for key, value in values.items())
        if name == "sched_switch":
            text = (
                "prev_comm={prev_comm} prev_pid={prev_pid} prev_prio=120 prev_state={prev_state} ==> "
                "next_comm={next_comm} next_pid={next_pid} next_prio=120".format(**fields)
            )
        lines.append(f"  {comm}-{tid} {group}[000] d..2. {ts / 1e9:.9f}: {NAMES.get(name, name)}: {text}")
    return read_text("\n".join(lines).encode() + b"\n")


def pages(recorded: list[Event]) -> bytes:
    states = {"R": 0, "S": 1, "D": 2, "X": 16, "Z": 32}
    writer = PageWriter(make_layout())
    for ts, tid, name, fields in recorded:
        values = {k: v for k, v in fields.items() if k not in ("prev_state", "memcg_path")}
        if name == "sched_switch":
            values["prev_state"] = states[fields["prev_state"]]
        writer.add(ts, make_record(name, tid, **values))
    return writer.finish()


def as_perfetto(recorded: list[Event]) -> bytes:
    raw = protos.Trace()
    bundle = raw.packet.add(trusted_packet_sequence_id=1).ftrace_events
    bundle.cpu = 0
    states = {"R": 0, "S": 1, "D": 2, "X": 16, "Z": 32}
    for ts, tid, name, fields in recorded:
        event = bundle.event.add(timestamp=ts, pid=tid)
        if name == "print":
            event.print.buf = fields["buf"]
        elif name.startswith("mmap_lock"):
            event.generic.event_name = name
            event.generic.field.add(name="mm", uint_value=fields["mm"])
            for key in {"write", "success"} & set(fields):
                event.generic.field.add(name=key, uint_value=fields[key])
        else:
            for key, value in fields.items():
                setattr(getattr(event, name), key, states[value] if key == "prev_state" else value)
    return raw.SerializeToString()


def in_format(form: str, folder: Path) -> Trace:
    recorded = story(GC, WORKER)
    leader = {100: 100, 300: 300, 0: 0}
    if form == "text":
        return as_text(recorded, None)
    if form == "text with processes":
        return as_text(recorded, lambda ts, tid: leader.get(tid, 100 if ts < 20000 else 300))
    if form == "text with processes, no newtask":
        return as_text(
            [(ts, tid, name, {**f, "prev_state": "S"} if "prev_state" in f else f) for ts, tid, name, f in recorded],
            lambda ts, tid: leader.get(tid, 100 if ts < 20000 else 300),
            without="task_newtask",
        )
    if form == "text without newtask":
        return as_text(recorded, None, without="task_newtask")
    if form == "perfetto":
        return read_perfetto(as_perfetto(recorded))
    if form == "ring":
        return read_raw_capture(write_capture(folder / "capture", make_layout(), {0: pages(recorded)}))
    path = folder / "trace.dat"
    path.write_bytes(make_dat_v7(make_layout(), [DatBuffer(cpus={0: pages(recorded)})]))
    return read_trace_dat(path)


FORMS = (
    "text",
    "text with processes",
    "text with processes, no newtask",
    "text without newtask",
    "perfetto",
    "ring",
    "dat",
)


def roles(analysis: Analysis) -> dict[int, tuple[str, str, int]]:
    table = analysis["thread_roles"]
    rows = zip(*(table[name].tolist() for name in ("tid", "comm", "role", "tgid")), strict=True)
    return {tid: (comm, ROLES[role], tgid) for tid, comm, role, tgid in rows if tid}


def as_capture(folder: Path, recorded: list[Event], **files: str) -> Path:
    """A raw capture of the story; ``files`` are lists of threads and processes, by name without the end."""
    texts = {f"{name}.txt": text for name, text in files.items()}
    return write_capture(folder / "capture", make_layout(), {0: pages(recorded)}, files=texts)
