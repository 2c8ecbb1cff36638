"""Mutated traces into the binary readers: a correct result or a TraceError, never anything else.

    python -m tests.trace.fuzz --reader raw --cases 200000 [--seed 1] [--only 4711]

Each case depends on the seed and its number alone, so a failure is repeated with ``--only``. ``NUMBA_BOUNDSCHECK=1`` makes
the compiled loops check their indexes.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from android_suite.errors import SuiteError, TraceError, Unsupported
from android_suite.tables import events
from android_suite.tables.schema import check_frame
from android_suite.trace.raw_capture import open_raw_capture
from android_suite.trace.render_text import render_text
from android_suite.trace.ring_buffer_trace import RingBufferTrace, decode_ring_buffer, read_ring_buffer_trace
from android_suite.trace.trace_dat import open_trace_dat
from android_suite.trace.trace_dat_write import write_trace_dat
from tests.trace.captures import DatBuffer, make_dat_v7, make_record, write_capture
from tests.trace.pages import PageWriter, make_layout

CASE_SECONDS = 20.0
MEMORY_BYTES = 1 << 30  # over what the process has before the first case
INTERESTING = (
    0,
    1,
    2,
    4,
    7,
    8,
    29,
    30,
    31,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    0xC0000000,
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """One reader: files that are whole, and how to open what became of them."""

    seeds: dict[str, bytes]  # name in the case's folder -> content
    weights: dict[str, int]
    open: Callable[[Path], RingBufferTrace]


def make_pages(rng: random.Random, *, big_endian: bool, page_bytes: int) -> bytes:
    """Pages with every kind of event and header."""
    writer = PageWriter(make_layout(big_endian=big_endian, page_bytes=page_bytes))
    ts = 1 << 40
    for i in range(120):
        ts += rng.choice((0, 5, 1000, 1 << 28))
        pid = rng.randrange(100, 108)
        name, values = rng.choice(
            (
                ("sched_switch", {"prev_comm": f"c{pid}", "prev_pid": pid, "prev_state": i % 5, "next_comm": "x", "next_pid": 1}),
                ("sched_waking", {"comm": "x", "pid": 1, "prio": 98, "target_cpu": 1}),
                ("mmap_lock_start_locking", {"mm": i, "write": i & 1}),
                ("mmap_lock_acquire_returned", {"mm": i, "memcg_path": "/a", "success": 1}),
                ("contention_begin", {"lock_addr": i, "flags": 2}),
                ("sys_enter_madvise", {"start": i, "behavior": 4}),
                ("sys_enter", {"id": 233, "args": (1, 2, 3, 4, 5, 6)}),
                ("print", {"buf": f"B|{pid}|slice {i}\n"}),
                ("task_newtask", {"pid": pid + 1, "comm": "new", "clone_flags": 0x10000}),
                ("sched_process_exec", {"filename": "/bin/sh", "pid": pid}),
                ("sched_blocked_reason", {"pid": pid, "caller": i}),
            )
        )  # fmt: skip
        if rng.random() < 0.03:
            writer.lose(rng.choice((None, 3)))
        record = make_record(name, pid, big_endian=big_endian, **values)
        writer.add(
            ts, record, absolute=rng.random() < 0.05, long_form=rng.random() < 0.1, discarded=rng.random() < 0.05
        )
        ts = writer._now
    return writer.finish()


def make_target(reader: str, scratch: Path, variant: int) -> Target:
    rng = random.Random(variant)
    big, page = bool(variant & 1), 1024 if variant & 2 else 4096
    layout = make_layout(big_endian=big, page_bytes=page)
    cpus = {cpu: make_pages(rng, big_endian=big, page_bytes=page) for cpu in (0, 1)}
    files = {"threads.txt": "100 101 t\n", "saved_cmdlines": "100 main\n", "kallsyms": "ffff800000001000 t f\n"}
    folder = write_capture(scratch / f"seed{variant}", layout, cpus, files=files)
    if reader == "raw":
        seeds = {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
        weights = {name: 60 if name.endswith(".raw") else 1 for name in seeds}
        return Target(seeds=seeds, weights=weights, open=open_raw_capture)
    path = scratch / f"seed{variant}.dat"
    if reader == "dat6":
        write_trace_dat(folder, path)
        data = path.read_bytes()
    else:
        compression = ("none", "zlib", "zstd")[variant % 3]
        buffers = [DatBuffer(cpus=cpus), DatBuffer(name="side", cpus={0: cpus[1]})]
        data = make_dat_v7(layout, buffers, compression=compression, cmdlines="100 main\n")
    return Target(seeds={"t.dat": data}, weights={"t.dat": 1}, open=lambda folder: open_trace_dat(folder / "t.dat"))


def mutate(rng: random.Random, data: bytes) -> bytes:
    """One to four faults: bit flips, numbers that lie, cuts, splices, holes."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not out:
            return bytes(out)
        at = rng.randrange(len(out))
        # Headers are small and matter most.
        if rng.random() < 0.4:
            at = min(at, rng.choice((64, 512, 8192)) - 1) % len(out)
        match rng.randrange(8):
            case 0:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at] = rng.randrange(256)
            case 2 | 3:
                size = rng.choice((2, 4, 8))
                at -= at % 4
                number = rng.choice((*INTERESTING, len(data), rng.getrandbits(32)))
                out[at : at + size] = (number & (1 << 8 * size) - 1).to_bytes(size, rng.choice(("little", "big")))
            case 4:
                del out[at:]
            case 5:
                length = rng.choice((1, 4, 100, 5000))
                start = rng.randrange(len(out))
                out[at : at + length] = out[start : start + length]
            case 6:
                del out[at : at + rng.choice((1, 4, 64, 4096))]
            case _:
                out[at:at] = bytes(rng.choice((1, 4, 64, 4096)))
    return bytes(out)


def check_case(target: Target, folder: Path, rng: random.Random) -> str:
    """Opens and decodes a mutated trace; returns 'ok' or 'refused'. One in eight is also made into frames and checked.

    Raises:
        AssertionError: what came out is not whole.
    """
    try:
        opened = target.open(folder)
        if rng.random() < 7 / 8:
            decode_ring_buffer(opened)
            return "ok"
        trace = read_ring_buffer_trace(opened)
        for table in events.EVENT_TABLES:
            check_frame(table, trace[table.name])
        seqs = np.concatenate([frame["seq"].to_numpy() for frame in trace.tables.values() if "seq" in frame])
        assert np.unique(seqs).size == seqs.size <= trace.source.events
        assert sum(trace.source.event_counts.values()) == trace.source.events
        if rng.random() < 0.3:
            for name in list(trace.source.event_counts)[:3]:
                if not name.startswith("unknown:"):
                    trace.decode_event(name)
        if rng.random() < 0.3:
            for _ in render_text(opened, {}):
                pass
    except Unsupported:
        return "refused"
    except TraceError as error:
        refusal = error
    else:
        return "ok"
    assert str(refusal.file).startswith(str(folder)), refusal
    return "refused"


def run_cases(reader: str, cases: Iterator[int], seed: int) -> dict[str, int]:
    """Runs the cases; counts how they ended.

    Raises:
        AssertionError: a case that ended in another way, with its number.
    """
    scratch = Path(tempfile.mkdtemp(prefix="fuzz-"))
    ended = {"ok": 0, "refused": 0}
    before = 0
    signal.signal(signal.SIGALRM, _too_slow)
    try:
        targets = [make_target(reader, scratch, variant) for variant in range(6)]
        for number in cases:
            rng = random.Random(seed << 32 | number)
            which = rng.randrange(len(targets))
            target, folder = targets[which], scratch / f"case{which}"
            name = rng.choices(list(target.weights), list(target.weights.values()))[0]
            _restore(folder, target, name, mutate(rng, target.seeds[name]))
            signal.setitimer(signal.ITIMER_REAL, CASE_SECONDS)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    ended[check_case(target, folder, rng)] += 1
            except (Exception, SuiteError) as error:
                raise AssertionError(
                    f"reader {reader}, seed {seed}, case {number}, {name} mutated: {error!r}"
                ) from error
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            before = before or _peak_bytes()
    finally:
        shutil.rmtree(scratch)
    grown = _peak_bytes() - before
    assert grown < MEMORY_BYTES, f"memory grew by {grown >> 20} MiB"
    return ended


def _restore(folder: Path, target: Target, name: str, content: bytes) -> None:
    """The target's files as they are, but one; only what differs is written."""
    note = folder / "mutated.txt"
    if not folder.exists():
        for other, data in target.seeds.items():
            (folder / other).parent.mkdir(parents=True, exist_ok=True)
            (folder / other).write_bytes(data)
    else:
        last = note.read_text()
        (folder / last).write_bytes(target.seeds[last])
    note.write_text(name)
    (folder / name).write_bytes(content)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"a case took more than {CASE_SECONDS} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reader", choices=("raw", "dat6", "dat7"), required=True)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="repeat one case")
    options = parser.parse_args()
    numbers = range(options.cases) if options.only is None else range(options.only, options.only + 1)
    start = time.monotonic()
    try:
        ended = run_cases(options.reader, iter(numbers), options.seed)
    except AssertionError:
        traceback.print_exc()
        return 1
    seconds = time.monotonic() - start
    sys.stdout.write(
        f"{options.reader}: {len(numbers)} cases in {seconds:.0f} s: {ended['ok']} decoded, {ended['refused']} refused; "
        f"peak {_peak_bytes() >> 20} MiB\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
