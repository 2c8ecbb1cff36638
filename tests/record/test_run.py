"""A run is created, sealed or dropped once, however the recording ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.boot.booted import KernelCrashed
from android_suite.errors import AdbError, DeviceLost, LabError, UsageError
from android_suite.model.identity import CrashRecord
from android_suite.model.run import Status
from android_suite.record.run import record_iteration, record_run
from android_suite.store.run import IterationWriter, RunWriter, open_run
from android_suite.workload.workload import Outcome

CRASH = CrashRecord(kind="panic", summary="Kernel panic", console="...")


def begin(run: RunWriter) -> IterationWriter:
    return run.begin_iteration("s", seed=1, boot="b", traced=False, parameters={})


def test_a_whole_run_is_sealed(tmp_path: Path) -> None:
    run = record_run(tmp_path / "run", lambda run: begin(run).seal("complete"), label="x", mode="realtime")
    assert run.manifest.sealed
    assert open_run(run.path).manifest == run.manifest


def test_a_run_that_ends_early_is_kept_with_what_it_has(tmp_path: Path) -> None:
    said: list[str] = []

    def work(run: RunWriter) -> None:
        begin(run).seal("complete")
        raise LabError("the cable fell out.")

    with pytest.raises(LabError):
        record_run(tmp_path / "run", work, label="x", mode="realtime", say=said.append)
    manifest = open_run(tmp_path / "run").manifest
    assert manifest.sealed
    assert manifest.notes == ("recording ended early: the cable fell out.",)
    assert said == [f"the recording so far is kept in {tmp_path / 'run'}"]


def test_a_run_with_nothing_in_it_leaves_no_folder(tmp_path: Path) -> None:
    def work(run: RunWriter) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record_run(tmp_path / "run", work, label="x", mode="realtime")
    assert not (tmp_path / "run").exists()


def test_a_kernel_that_crashes_while_it_boots_is_a_result(tmp_path: Path) -> None:
    def work(run: RunWriter) -> None:
        raise KernelCrashed(CRASH)

    run = record_run(tmp_path / "run", work, label="x", mode="realtime")
    assert run.manifest.crash == CRASH
    assert run.manifest.sealed


def test_a_taken_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="already exists"):
        record_run(tmp_path, lambda run: pytest.fail("worked"), label="x", mode="realtime")


@pytest.mark.parametrize(
    ("outcome", "status", "reason"),
    [
        (Outcome(), "complete", ""),
        (Outcome(discarded="wrong state"), "discarded", "wrong state"),
        (Outcome(incomplete="cut"), "incomplete", "cut"),
        (Outcome(incomplete="cut", discarded="wrong state"), "incomplete", "cut"),
        (Outcome(crash=CRASH), "incomplete", ""),
    ],
)
def test_an_iteration_is_sealed_as_it_was_judged(tmp_path: Path, outcome: Outcome, status: Status, reason: str) -> None:
    done = []
    record_run(
        tmp_path / "run",
        lambda run: done.append(record_iteration(begin(run), lambda: outcome)),
        label="x",
        mode="realtime",
    )
    assert (done[0].status, done[0].reason, done[0].crash) == (status, reason, outcome.crash)


@pytest.mark.parametrize(
    ("error", "probed", "crashes"),
    [(DeviceLost("gone"), CRASH, True), (DeviceLost("gone"), None, False), (AdbError("refused"), CRASH, False)],
)
def test_only_a_loss_of_the_device_can_be_the_kernels_fault(
    tmp_path: Path, error: LabError, probed: CrashRecord | None, crashes: bool
) -> None:
    def fail() -> Outcome:
        raise error

    def work(run: RunWriter) -> None:
        record_iteration(begin(run), fail, crash_probe=lambda: probed)

    if crashes:
        record_run(tmp_path / "run", work, label="x", mode="realtime")
    else:
        with pytest.raises(LabError):
            record_run(tmp_path / "run", work, label="x", mode="realtime")
    [iteration] = open_run(tmp_path / "run").manifest.iterations
    assert iteration.status == "incomplete"
    assert iteration.crash == (CRASH if crashes else None)
