"""Sources start in order, stop in reverse, and the device is put back whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from android_suite.capture.session import run_session
from android_suite.errors import AdbError, DeviceLost, SuiteError
from android_suite.store.run import IterationWriter, create_run


class Noted:
    """A source that notes what is done to it, and fails where it is told to."""

    def __init__(self, name: str, done: list[str], failures: dict[str, SuiteError] | None = None) -> None:
        self.name, self._done, self._failures = name, done, failures or {}

    def _step(self, step: str) -> None:
        self._done.append(f"{self.name}.{step}")
        if step in self._failures:
            raise self._failures[step]

    def prepare(self, out: IterationWriter) -> None:
        self._step("prepare")

    def start(self) -> None:
        self._step("start")

    def stop(self) -> None:
        self._step("stop")

    def pull(self) -> None:
        self._step("pull")

    def restore(self) -> None:
        self._step("restore")


@pytest.fixture
def out(tmp_path: Path) -> Iterator[IterationWriter]:
    run = create_run(tmp_path / "run", label="x", mode="realtime")
    return run.begin_iteration("s", seed=1, boot="b", traced=False, parameters={})


def test_a_session_without_faults(out: IterationWriter) -> None:
    done: list[str] = []
    with run_session([Noted("a", done), Noted("b", done)], out):
        done.append("work")
    assert done == [
        *("a.prepare", "b.prepare", "a.start", "b.start", "work"),
        *("b.stop", "a.stop", "a.pull", "b.pull", "b.restore", "a.restore"),
    ]


def test_a_failing_workload_still_leaves_evidence_and_a_clean_device(out: IterationWriter) -> None:
    done: list[str] = []
    with pytest.raises(AdbError, match="work"), run_session([Noted("a", done), Noted("b", done)], out):
        raise AdbError("work")
    assert done[-6:] == ["b.stop", "a.stop", "a.pull", "b.pull", "b.restore", "a.restore"]


def test_a_lost_device_is_not_asked_again_for_evidence(out: IterationWriter) -> None:
    done: list[str] = []
    with pytest.raises(DeviceLost), run_session([Noted("a", done)], out):
        raise DeviceLost("gone")
    assert done == ["a.prepare", "a.start", "a.restore"]


def test_what_fails_on_the_way_out_becomes_a_note(out: IterationWriter) -> None:
    done: list[str] = []
    failing = Noted("a", done, {"stop": AdbError("no stop"), "restore": AdbError("no restore")})
    with pytest.raises(AdbError, match="work") as caught, run_session([failing], out):
        raise AdbError("work")
    assert caught.value.__notes__ == [
        "while saving evidence: no stop",
        "while restoring the device (a): no restore",
    ]


@pytest.mark.parametrize("step", ["prepare", "start", "stop", "pull"])
def test_every_prepared_source_is_restored(out: IterationWriter, step: str) -> None:
    done: list[str] = []
    sources = [Noted("a", done), Noted("b", done, {step: AdbError(step)}), Noted("c", done)]
    with pytest.raises(AdbError, match=step), run_session(sources, out):
        pass
    prepared = [name.split(".")[0] for name in done if name.endswith(".prepare")]
    restored = [name.split(".")[0] for name in done if name.endswith(".restore")]
    assert sorted(restored) == sorted(prepared)


def test_a_device_that_cannot_be_put_back_is_told(out: IterationWriter) -> None:
    done: list[str] = []
    with (
        pytest.raises(AdbError, match="stays"),
        run_session([Noted("a", done), Noted("b", done, {"restore": AdbError("stays")})], out),
    ):
        pass
    assert done[-1] == "a.restore", "the others are put back all the same"


def test_an_interrupt_leaves_the_device_as_it_was(out: IterationWriter) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), run_session([Noted("a", done)], out):
        raise KeyboardInterrupt
    assert done == ["a.prepare", "a.start", "a.stop", "a.restore"]


@pytest.mark.parametrize("step", ["stop", "pull"])
def test_a_source_that_fails_costs_no_other_its_evidence(out: IterationWriter, step: str) -> None:
    done: list[str] = []
    first, second = AdbError("first"), AdbError("second")
    sources = [Noted("a", done, {step: first}), Noted("b", done), Noted("c", done, {"stop": second})]
    with pytest.raises(AdbError) as caught, run_session(sources, out):
        pass
    assert [name for name in done if name.endswith((".stop", ".pull"))] == [
        *("c.stop", "b.stop", "a.stop", "a.pull", "b.pull", "c.pull")
    ]
    assert caught.value is second
    assert caught.value.__notes__ == ["while saving evidence: first"]


def test_a_device_lost_at_the_end_is_not_asked_again(out: IterationWriter) -> None:
    done: list[str] = []
    with pytest.raises(DeviceLost), run_session([Noted("a", done), Noted("b", done, {"stop": DeviceLost("x")})], out):
        pass
    assert done[-3:] == ["b.stop", "b.restore", "a.restore"]
