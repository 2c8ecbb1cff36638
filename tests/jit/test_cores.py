"""One core and many give the same tables, the same errors, and use no more cores than they may."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from android_suite.analysis.pipeline import analyze_trace
from android_suite.errors import TraceError
from android_suite.jit import workers
from android_suite.jit.workers import CORES_VARIABLE, Workers, count_cores
from android_suite.trace.core.byte_readers import find_newline, whole_words
from android_suite.trace.ring import batches
from android_suite.trace.ring.capture_folder import read_raw_capture
from android_suite.trace.text import reader
from android_suite.trace.text.reader import read_text
from benchmarks.generate import generate


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cores")
    generate(folder, 30_000, ("raw", "text"))
    return folder / "raw"


def use_cores(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "count_cores", lambda: cores)  # also more than this machine has


@pytest.mark.parametrize("slot_bytes", [4096, 20_000, 1 << 20])
def test_tables_are_the_same(capture: Path, slot_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_raw_capture(capture)
    assert whole.source.events > 20_000
    # Slots of one page: every batch refills one while the rows before it are written.
    monkeypatch.setattr(batches.iter_batches, "__kwdefaults__", {"slot_bytes": slot_bytes, "batch_events": 1 << 16})
    for cores in (1, 2, 5):
        use_cores(cores, monkeypatch)
        trace = read_raw_capture(capture)
        assert trace.source == whole.source
        assert list(trace.tables) == list(whole.tables)
        for name, table in trace.tables.items():
            pd.testing.assert_frame_equal(table, whole.tables[name])


@pytest.mark.parametrize("chunk_bytes", [1, 5000, 8 << 20])
def test_text_gives_the_same_tables(capture: Path, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (capture.parent / "trace.txt").read_bytes().splitlines(keepends=True)
    data = b"".join(lines[: 300 if chunk_bytes == 1 else None])
    monkeypatch.setattr(reader, "_CHUNK_BYTES", chunk_bytes)
    use_cores(1, monkeypatch)
    whole = read_text(data)
    for cores in (2, 5):
        use_cores(cores, monkeypatch)
        trace = read_text(data)
        assert trace.source == whole.source
        for name, table in whole.tables.items():
            pd.testing.assert_frame_equal(trace.tables[name], table)


def test_newlines_are_found_at_every_place() -> None:
    for start in range(9):
        memory = np.full(64, 65, np.uint8)[start:]
        memory[[20, 21, 40]] = 10
        memory[30] = 138  # a newline but for its top bit
        words, first = whole_words(memory)
        for at in range(len(memory)):
            for end in range(at, len(memory)):
                found = [n for n in (20, 21, 40) if at <= n < end]
                assert find_newline(memory, words, first, at, end) == (found[0] if found else end)


def test_errors_are_the_same(capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(capture, damaged)
    (file,) = damaged.rglob("cpu3.raw")
    pages = bytearray(file.read_bytes())
    at = 3 * 4096 + 8  # the commit word of a page in the middle
    pages[at : at + 4] = (4095).to_bytes(4, "little")
    file.write_bytes(pages)
    said = set()
    for cores in (1, 2, 5):
        use_cores(cores, monkeypatch)
        with pytest.raises(TraceError) as raised:
            read_raw_capture(damaged)
        said.add((str(raised.value), raised.value.offset))
    assert len(said) == 1
    assert threading.active_count() < 5  # no thread is left behind


def test_the_number_of_cores_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = len(os.sched_getaffinity(0))
    monkeypatch.delenv(CORES_VARIABLE, raising=False)
    assert count_cores() == allowed
    for text, cores in (("1", 1), ("0", allowed), ("many", allowed), ("999", allowed)):
        monkeypatch.setenv(CORES_VARIABLE, text)
        assert count_cores() == cores
    monkeypatch.delenv(CORES_VARIABLE)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert count_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_every_task_is_done_once_and_errors_come_through(cores: int) -> None:
    done: list[int] = []
    with Workers(cores) as some:
        some.map(done.append, range(100))
        assert sorted(done) == list(range(100))

        def fail(value: int) -> None:
            if value == 7:
                raise TraceError(Path("x"), value, "no seven")

        with pytest.raises(TraceError, match="no seven"):
            some.map(fail, range(20))


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_a_task_that_was_started_runs_once_whoever_asks_for_its_result(cores: int) -> None:
    done: list[str] = []

    def note(name: str) -> str:
        done.append(name)
        return name

    def fail() -> str:
        raise TraceError(Path("x"), 3, "no three")

    with Workers(cores) as some:
        first = some.start(lambda: note("first"))
        # With two cores its thread asks for the first one's result, which this thread may be making at that moment.
        second = some.start(lambda: note(first.result() + " second"))
        failing = some.start(fail)
        asked = [threading.Thread(target=second.result) for _ in range(3)]
        for thread in asked:
            thread.start()
        assert second.result() == "first second"
        for thread in asked:
            thread.join()
        for _ in range(2):  # who asks again gets the error, too
            with pytest.raises(TraceError, match="no three"):
                failing.result()
    assert done == ["first", "first second"]


def test_with_one_core_a_task_runs_when_its_result_is_asked_for() -> None:
    done: list[int] = []
    with Workers(1) as alone:
        begun = alone.start(lambda: done.append(1))
        assert not done
        begun.result()
    assert done == [1]


def test_the_analysis_is_the_same(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_cores(1, monkeypatch)
    alone = analyze_trace(read_raw_capture(capture))
    assert all(len(alone[name]) for name in ("lock_waits", "frames", "inversions"))
    for cores in (2, 5):
        use_cores(cores, monkeypatch)
        several = analyze_trace(read_raw_capture(capture))
        assert several.notes == alone.notes
        for name in alone:
            pd.testing.assert_frame_equal(several[name], alone[name])
