"""Writes captures of any number of events: ``python -m benchmarks.generate FOLDER EVENTS [FORMAT...]``.

A piece of up to 100,000 events is made once (benchmarks.scenes) and repeated at later times. All formats come from the
same pages: trace.dat and Perfetto through the suite's writers, text through its rendering.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.tables.trace import Trace
from android_suite.trace.dat.writer import write_trace_dat
from android_suite.trace.perfetto.write.writer import write_perfetto
from android_suite.trace.render.lines import render_text
from android_suite.trace.ring.capture_folder import open_raw_capture, read_raw_capture
from benchmarks.event_forms import FORMS
from benchmarks.pages import HEADER_PAGE, PAGE_BYTES, pack_events, shift_pages
from benchmarks.scenes import play

FORMATS = ("raw", "dat", "text", "perfetto")
_LANES = 4  # 8 CPUs
_PIECE_EVENTS = 100_000
_START_NS = 10_000 * 1_000_000_000  # all times in text have five digits of seconds, at fixed places
_DIGITS = 12  # SSSSS.UUUUUU
_PERFETTO_PIECES = 5  # written at once

Pages = dict[int, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The part of a capture that is repeated.

    Attributes:
        pages: of each CPU, uint8 (pages, PAGE_BYTES).
        events: number of events in the pages.
        duration_ns: time between repetitions; whole microseconds, so that text rounds all of them alike.
        threads: tgid, tid and comm of every thread.
    """

    pages: Pages
    events: int
    duration_ns: int
    threads: tuple[tuple[int, int, str], ...]


def make_piece(events: int, *, seed: int = 1) -> Piece:
    """Plays about ``events`` events."""
    lanes = play(events=events, lanes=_LANES, start_ns=_START_NS, seed=seed)
    end = max(lane.now_ns for lane in lanes)
    return Piece(
        pages=pack_events([event for lane in lanes for event in lane.events]),
        events=sum(len(lane.events) for lane in lanes),
        duration_ns=((end - _START_NS) // 1000 + 100) * 1000,
        threads=tuple((lane.tgid, lane.tgid + n, lane.thread(n).comm) for lane in lanes for n in range(6)),
    )


def generate(folder: Path, events: int, formats: Sequence[str] = FORMATS) -> int:
    """Writes ``raw/``, ``trace.dat``, ``trace.txt``, ``trace.perfetto`` of the same events.

    Args:
        folder: created if it does not exist.
        events: least number of events; whole pieces are written.
        formats: names in FORMATS; all are made from the raw capture, which is always written.

    Returns:
        The number of events.
    """
    piece = make_piece(min(events, _PIECE_EVENTS))
    times = -(-events // piece.events)
    write_raw(folder / "raw", piece, times)
    if "dat" in formats:
        one = write_raw(folder / "piece", piece, 1)
        write_trace_dat(folder / "raw", folder / "trace.dat", trace=read_raw_capture(one))
    if "text" in formats:
        _write_text(folder / "trace.txt", write_raw(folder / "piece", piece, 1), piece, times)
    if "perfetto" in formats:
        _write_perfetto(folder / "trace.perfetto", folder / "piece", piece, times)
    return piece.events * times


def write_raw(folder: Path, piece: Piece, times: int) -> Path:
    """A raw capture of ``times`` repetitions, as the suite records them."""
    place = folder / "ftrace"
    for form in FORMS.values():
        path = place / "formats" / form.system / form.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(form.render())
    (place / "stats").mkdir(exist_ok=True)
    for cpu, pages in piece.pages.items():
        with (place / f"cpu{cpu}.raw").open("wb") as file:
            for time in range(times):
                file.write(shift_pages(pages, time * piece.duration_ns).data)
        (place / "stats" / f"cpu{cpu}.txt").write_text(
            "entries: 0\noverrun: 0\ncommit overrun: 0\ndropped events: 0\nread events: 0\n"
        )
    (place / "header_page").write_text(HEADER_PAGE)
    (place / "header_event").write_text("# compressed entry header\n")
    (place / "threads.txt").write_text("".join(f"{tgid} {tid} {comm}\n" for tgid, tid, comm in piece.threads))
    (place / "saved_cmdlines").write_text("".join(f"{tid} {comm}\n" for _, tid, comm in piece.threads))
    (place / "processes.txt").write_text(
        "".join(f"{tgid} com.example.app{n}\n" for n, tgid in enumerate(sorted({t for t, _, _ in piece.threads})))
    )
    about = {
        "page_size": PAGE_BYTES, "clock": "mono", "long_size": 8, "endian": "little", "kernel": "6.16.12-generated",
        "machine": "aarch64", "enabled_events": [f"{f.system}:{f.name}" for f in FORMS.values() if f.system != "ftrace"],
    }  # fmt: skip
    (place / "meta.json").write_text(json.dumps(about))
    return folder


def _write_text(path: Path, one: Path, piece: Piece, times: int) -> None:
    """Renders one repetition; the others differ only in the digits of their times, which are at fixed places."""
    comms = {tid: comm for _, tid, comm in piece.threads}
    lines = list(render_text(open_raw_capture(one), comms, plugins=False))
    first_at = lines[0].index(".") - 5
    text = np.frombuffer(("\n".join(lines) + "\n").encode(), np.uint8).copy()
    starts = np.concatenate([[0], np.cumsum([len(line.encode()) + 1 for line in lines])[:-1]])
    at = (starts + first_at)[:, None] + np.delete(np.arange(_DIGITS), 5)  # without the point
    weights = 10 ** np.arange(_DIGITS - 2, -1, -1)
    us = (text[at] - ord("0")).astype(np.int64) @ weights
    with path.open("wb") as file:
        file.write(f"cpus={len(piece.pages)}\n".encode())
        for time in range(times):
            now = us + time * (piece.duration_ns // 1000)
            text[at] = now[:, None] // weights % 10 + ord("0")
            file.write(text.data)


def _write_perfetto(path: Path, scratch: Path, piece: Piece, times: int) -> None:
    """Perfetto files may be joined end to end, so a few repetitions are written at a time."""
    whole, part = min(times, _PERFETTO_PIECES), path.with_suffix(".part")
    trace = read_raw_capture(write_raw(scratch, piece, whole))
    left = trace if times % whole == 0 else read_raw_capture(write_raw(scratch, piece, times % whole))
    with path.open("wb") as file:
        for time in range(0, times, whole):
            now = trace if times - time >= whole else left
            write_perfetto(_shift(now, time * piece.duration_ns), {}, part)
            file.write(part.read_bytes())
    part.unlink()


def _shift(trace: Trace, by_ns: int) -> Trace:
    tables = {
        name: frame.assign(ts_ns=frame["ts_ns"] + by_ns) if "ts_ns" in frame and len(frame) else frame
        for name, frame in trace.tables.items()
    }
    return dataclasses.replace(trace, tables=tables)


def main() -> None:
    """Writes the captures and prints the number of events."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("events", type=int)
    parser.add_argument("formats", nargs="*", default=FORMATS, metavar="FORMAT", help=", ".join(FORMATS))
    options = parser.parse_args()
    print(generate(options.folder, options.events, options.formats))


if __name__ == "__main__":
    main()
