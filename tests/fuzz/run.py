"""The readers that can be fuzzed, and their cases run in processes."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from tests.fuzz.dat import Dat6Reader, Dat7Reader
from tests.fuzz.detect import DetectReader
from tests.fuzz.engine import Reader, Tally, run_cases
from tests.fuzz.evidence import EvidenceReader
from tests.fuzz.perfetto import PerfettoReader
from tests.fuzz.ring_buffer import RawReader
from tests.fuzz.text import PackedReader, TextReader

READERS: dict[str, type[Reader]] = {
    reader.name: reader
    for reader in (
        RawReader, Dat6Reader, Dat7Reader, TextReader, PackedReader, PerfettoReader, DetectReader, EvidenceReader,
    )
}  # fmt: skip
SLICE = 2000  # cases a job takes at a time; a multiple of every reader's batch

_warm: dict[str, Reader] = {}


def run_slice(name: str, numbers: range, seed: int, folder: str) -> Tally:
    """Runs cases in this process; the reader is warmed up once."""
    worker = multiprocessing.current_process().pid
    if name not in _warm:
        scratch = Path(folder) / f"{name}-{worker}"
        scratch.mkdir(parents=True)
        _warm[name] = READERS[name](scratch)
    return run_cases(_warm[name], numbers, seed, Path(folder) / f"at-{worker}")


def _end_with(parent: int) -> None:
    """A worker whose parent was killed would go on with the cases that wait: nobody would read what it finds."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def fuzz(name: str, numbers: range, seed: int, jobs: int) -> Tally:
    """Runs the cases of one reader in ``jobs`` processes."""
    tally = Tally()
    memory = Path("/dev/shm")  # files that are written a thousand times a second belong in memory
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if memory.is_dir() else None) as folder:
        pool = ProcessPoolExecutor(
            jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with, initargs=(os.getpid(),)
        )
        with pool:
            parts = [numbers[at : at + SLICE] for at in range(0, len(numbers), SLICE)]
            waiting = [pool.submit(run_slice, name, part, seed, folder) for part in parts]
            for job in waiting:
                try:
                    tally.add(job.result())
                except BrokenProcessPool:
                    last = [file.read_text() for file in Path(folder).glob("at-*")]
                    tally.violations.append(f"{name} --only {' or '.join(last)}: the process died of it")
                    break
    return tally
