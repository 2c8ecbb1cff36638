from pathlib import Path

import pytest

from android_suite.trace.perfetto import read_perfetto
from android_suite.trace.text import read_text
from tests.trace.fuzz_text import READERS, run_cases
from tests.trace.samples import TRACE_CMD_TEXT, TRACE_TEXT, make_perfetto

CASES = {"text": 1000, "packed": 1000, "perfetto": 1000, "detect": 100, "evidence": 300}


@pytest.mark.parametrize("reader", READERS)
def test_mutated_input(reader: str, tmp_path: Path) -> None:
    ended = run_cases(reader, range(CASES[reader]), 20261123, tmp_path)
    assert sum(ended.values()) == CASES[reader]
    assert ended["ok"] > 20


def test_the_samples_are_whole() -> None:
    for text in (TRACE_TEXT, TRACE_CMD_TEXT):
        trace = read_text(text)
        assert not any("could not be read" in note for note in trace.source.notes)
    trace = read_perfetto(make_perfetto(0))
    assert len(trace["frame_timeline"]) == 1
    assert len(trace["mmap_lock"]) == len(trace["contention"]) == 2
