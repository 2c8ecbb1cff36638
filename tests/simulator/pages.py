"""Worlds as ring-buffer pages: a raw capture, and trace.dat of both versions."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from android_suite.trace.core.event_format import EventFormat, parse_event_format
from android_suite.trace.dat.writer import write_trace_dat
from tests.simulator.kernel_events import KernelEvent, encode_records, list_forms
from tests.simulator.layout import Gap
from tests.simulator.recording import Recording
from tests.trace.captures import DatBuffer, make_dat_v7, write_capture
from tests.trace.pages import PageWriter, make_layout

_CPUSTAT, _UNAME = 2, 5


def write_pages(
    folder: Path, found: Sequence[KernelEvent], gaps: Sequence[Gap], threads: Mapping[str, Sequence[object]],
    recording: Recording,
) -> Path:  # fmt: skip
    """Writes the events as ``recording.format`` and returns what to read."""
    layout = make_layout(page_bytes=recording.page_bytes, big_endian=recording.big_endian)
    cpus = _fill_pages(found, gaps, recording)
    stats = {cpu: _stats_text(cpu, gaps, recording) for cpu in {*cpus, *(g.cpu for g in gaps)}}
    for cpu in stats.keys() - cpus.keys():
        cpus[cpu] = b""
    known = _parse_formats(recording)
    comms = "".join(f"{tid} {comm}\n" for tid, comm in zip(threads["tid"], threads["comm"], strict=True))
    if recording.format == "trace_dat_7":
        path = folder / "trace.dat"
        options = [(_CPUSTAT, f"CPU: {cpu}\n{text}".encode() + b"\0") for cpu, text in stats.items()]
        options.append((_UNAME, b"Linux localhost 6.17.0-test #1 aarch64\0"))
        buffers = [DatBuffer(cpus=cpus)]
        path.write_bytes(
            make_dat_v7(layout, buffers, compression=recording.packed, options=options, cmdlines=comms, known=known)
        )
        return path
    rows = zip(threads["tgid"], threads["tid"], threads["comm"], strict=True)
    files = {"threads.txt": "".join(f"{tgid} {tid} {comm}\n" for tgid, tid, comm in rows)}
    files["processes.txt"] = "".join(f"{g} {p}\n" for g, p in zip(threads["tgid"], threads["process"], strict=True))
    enabled = {"page_fault_user": recording.faults}
    names = [
        f.full_name for f in known.values() if enabled.get(f.name, f.system != "raw_syscalls" or recording.all_calls)
    ]
    write_capture(folder, layout, cpus, stats=stats, files=files, meta={"enabled_events": names}, known=known)
    if recording.format == "raw":
        return folder
    path = folder / "trace.dat"
    write_trace_dat(folder, path)
    return path


def _parse_formats(recording: Recording) -> dict[str, EventFormat]:
    return {
        name: parse_event_format(form.render(), system=form.system, file=f"{form.system}/{name}")
        for name, form in list_forms(recording).items()
    }


def _fill_pages(found: Sequence[KernelEvent], gaps: Sequence[Gap], recording: Recording) -> dict[int, bytes]:
    rng = random.Random(len(found))
    layout = make_layout(page_bytes=recording.page_bytes, big_endian=recording.big_endian)
    marks = {} if recording.loss == "counters" else {(g.cpu, g.to_ns): g.events for g in gaps if not g.at_end}
    writers: dict[int, PageWriter] = {}
    for event, record in zip(found, encode_records(found, recording), strict=True):
        writer = writers.get(event.cpu)
        if writer is None:
            writer = writers[event.cpu] = PageWriter(layout)
        if (event.cpu, event.ts) in marks:
            count = marks[event.cpu, event.ts]
            writer.lose(None if recording.loss == "uncounted" else count)
        pick = rng.random()
        if pick < 0.01:
            writer.new_page(event.ts)
        writer.add(event.ts, record, absolute=0.01 < pick < 0.02, long_form=0.02 < pick < 0.03)
    return {cpu: writer.finish() for cpu, writer in writers.items()}


def _stats_text(cpu: int, gaps: Sequence[Gap], recording: Recording) -> str:
    """What the kernel counts itself: overwritten events, and the last ones of a CPU as dropped."""
    lost = sum(g.events for g in gaps if g.cpu == cpu and not g.at_end)
    dropped = sum(g.events for g in gaps if g.cpu == cpu and g.at_end)
    return f"entries: 0\noverrun: {lost}\ncommit overrun: 0\ndropped events: {dropped}\n"
