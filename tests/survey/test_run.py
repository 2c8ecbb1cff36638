"""A whole survey on a lab whose every answer is known; folders, runs, jobs and the analysis are real."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from android_suite.campaign.evaluate import analyze_job
from android_suite.campaign.journal import open_campaign
from android_suite.campaign.schedule import IMAGE, Job
from android_suite.campaign.worker import run_job
from android_suite.errors import LabError, MachineError, NotReady
from android_suite.model.analysis import AnalysisSummary, MadviseSummary, Quality, SourceSummary
from android_suite.model.identity import CrashRecord, KernelIdentity
from android_suite.model.survey import COLUMNS, Survey, SurveyRow, SurveyValue
from android_suite.store.run import create_run
from android_suite.survey.plan import choose_plan
from android_suite.survey.rows import _read, find_steps
from android_suite.survey.run import Surveyor
from tests.bisection.test_run import DEVICE

FAULTS = {"6.1": 4000, "6.12": 900, "7.3": 800}
COLD_MS = {"6.1": 120, "6.12": 90, "7.3": 90}
SCENARIOS = ("gc_stress", "proc_reader", "app_launch")
FEW = ("gc_stress", "app_launch")  # an analysis of each takes a moment


@dataclass
class Lab:
    """Records made evidence of a kernel; ``kinds`` says what goes wrong with one, ``stops`` after how many jobs it ends."""

    kinds: dict[str, str] = field(default_factory=dict)
    stops: int | None = None
    recorded: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)

    def __call__(self, job: Job, path: Path, say: Callable[[str], None]) -> None:
        if self.stops is not None and len(self.recorded) >= self.stops:
            raise LabError("the cable fell out; plug it in.")
        self.recorded.append(job.name)
        kind = self.kinds.get(job.kernel, "")
        scenario = job.scenarios[0].name
        if kind in ("hangs", f"hangs in {scenario}", f"hangs in {scenario} with seed {job.seed}"):
            raise NotReady(f"kernel {job.kernel} did not boot within 120 s; read its last lines")
        run = create_run(path, label=job.label, mode=job.mode)
        if kind == "crashes":
            run.set_crash(CrashRecord(kind="panic", summary="Kernel panic - not syncing: x", console="x"))
            run.seal()
            return
        run.set_identity(KernelIdentity(release=f"{job.kernel}-cloud", version="#1", build_id="ab" * 20), DEVICE)
        out = run.begin_iteration(scenario, seed=job.seed, boot="b", traced=True, parameters={}, process="com.x")
        out.write("vmstat_before.txt", "pgfault 100\n")
        out.write("vmstat_after.txt", f"pgfault {100 + FAULTS[job.kernel] + job.seed}\n")
        if scenario == "proc_reader":
            out.write("beside.txt", "did read maps 3000000 1000000 5000 2\ndid read smaps 9000000 4000000 50000 13\n")
        if scenario == "app_launch":
            out.write("launches.json", json.dumps([launch(COLD_MS[job.kernel] + job.seed)]))
        out.note(
            lost_events=0,
            trace_setup={"events": ["mmap_lock:mmap_lock_start_locking"], "missing": ["lock:contention_begin"]},
        )
        out.seal("complete")
        run.seal()


def launch(cold_ms: int) -> dict[str, object]:
    text = f"Status: ok\nLaunchState: COLD\nActivity: com.x/.A\nTotalTime: {cold_ms}\nWaitTime: {cold_ms}\nComplete\n"
    return {
        "component": "com.x/.A",
        "asked": "cold",
        "output": f"Starting: Intent {{ cmp=com.x/.A }}\n{text}",
        "fully_drawn": "",
    }


def survey(
    folder: Path, lab: Lab, kernels: Sequence[str], *, seeds: int = 1, only: Sequence[str] = FEW,
    told: list[Survey] | None = None,
) -> Survey:  # fmt: skip
    file = choose_plan(None, None, seeds, only)
    file = replace(file, digests={IMAGE: "1" * 64})
    with open_campaign(folder, {"survey": "arm64"}) as opened:

        def execute(jobs: Sequence[Job]) -> None:
            for job in jobs:
                if not opened.finished(job.name):
                    run_job(opened.path, job, lab, analyze_job, lambda _: None)

        def fetch(kernel: str) -> str:
            if lab.kinds.get(kernel) == "gone":
                raise MachineError(f"package linux-image-{kernel} cannot be fetched")
            return kernel.encode().hex().ljust(64, "0")

        def try_boot(kernel: str) -> str | None:
            lab.tried.append(kernel)
            return f"kernel {kernel} did not boot within 120 s" if lab.kinds.get(kernel) == "dead" else None

        surveyor = Surveyor(file=file, folder=opened, execute=execute, fetch=fetch, try_boot=try_boot)
        return surveyor.run(kernels, tell=(told if told is not None else []).append)


def value(row: SurveyRow, key: str) -> float | None:
    return row.values[key].value


def test_a_row_has_the_mean_over_the_seeds_and_its_range(tmp_path: Path) -> None:
    found = survey(tmp_path / "s", Lab(), ["6.1", "6.12", "7.3"], seeds=2, only=SCENARIOS)
    old, middle, new = found.rows
    assert (old.release, old.boots, old.planned) == ("6.1-cloud", 6, 6)
    faults = old.values["faults"]
    assert (faults.value, faults.low, faults.high, faults.quality) == (4001.5, 4001, 4002, "exact")
    assert (value(middle, "coldLaunch"), value(new, "readMaps"), value(new, "readSmaps")) == (91.5, 1.0, 4.0)
    assert (old.mmap_lock_events, old.contention_events, old.vma_probe) == (True, False, None)
    # Nothing was traced, so no number of a lock is known, and each says why.
    assert value(old, "mmapLockWait") is None
    assert "mmap_lock events were not recorded" in (old.values["mmapLockWait"].reason or "")
    steps = {step.key: (step.before, step.after) for step in found.steps}
    assert steps == {"faults": ("6.1", "6.12"), "coldLaunch": ("6.1", "6.12")}


def test_an_interrupted_survey_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    lab = Lab(stops=3)
    told: list[Survey] = []
    with pytest.raises(LabError):
        survey(tmp_path / "s", lab, ["6.1", "7.3"], told=told)
    assert [row.name for row in told[-1].rows] == ["6.1"]
    lab.stops = None
    whole = survey(tmp_path / "s", lab, ["6.1", "7.3"])
    assert len(lab.recorded) == len(set(lab.recorded)) == 4
    assert whole == survey(tmp_path / "s", Lab(stops=0), ["6.1", "7.3"])
    assert lab.tried == ["6.1", "7.3"], "a kernel that has booted is not tried again"
    # A further kernel and a further seed record only what is new.
    more = Lab()
    survey(tmp_path / "s", more, ["6.1", "6.12"], seeds=2)
    assert [name.split("-seed")[0].split("-", 1)[1] for name in more.recorded] == ["6.1", "6.1", *["6.12"] * 4]


def test_a_kernel_that_does_not_boot_crashes_or_is_gone_has_a_row_that_says_so(tmp_path: Path) -> None:
    lab = Lab(kinds={"6.1": "hangs", "6.12": "crashes", "7.0": "dead", "7.1": "gone"})
    hangs, crashes, dead, gone, fine = survey(tmp_path / "s", lab, ["6.1", "6.12", "7.0", "7.1", "7.3"]).rows
    assert (hangs.boots, hangs.values) == (0, {})
    assert "gc_stress, seed 1: kernel 6.1 did not boot within 120 s; read its last lines" in hangs.notes
    assert crashes.notes == ("crashed: Kernel panic - not syncing: x",)
    assert (dead.boots, dead.planned, dead.notes) == (0, 2, ("kernel 7.0 did not boot within 120 s",))
    assert not [name for name in lab.recorded if "-7.0-" in name]
    assert gone.notes == ("package linux-image-7.1 cannot be fetched",)
    assert (fine.boots, fine.notes) == (2, ())


def test_a_scenario_that_fails_leaves_the_others(tmp_path: Path) -> None:
    lab = Lab(kinds={"7.3": "hangs in gc_stress"})
    (row,) = survey(tmp_path / "s", lab, ["7.3"]).rows
    assert (row.boots, row.planned) == (1, 2)
    assert [note.partition(":")[0] for note in row.notes] == ["gc_stress, seed 1"]
    assert value(row, "coldLaunch") == 91
    assert "faults" not in row.values


def test_a_mean_over_fewer_seeds_says_so(tmp_path: Path) -> None:
    (row,) = survey(tmp_path / "s", Lab(kinds={"7.3": "hangs in gc_stress with seed 2"}), ["7.3"], seeds=2).rows
    assert (row.boots, row.planned) == (3, 4)
    assert value(row, "faults") == 801
    assert row.values["faults"].reason == "only 1 of 2 recordings of gc_stress are complete"
    assert (value(row, "coldLaunch"), row.values["coldLaunch"].reason) == (91.5, None)


def test_calls_that_a_loss_may_hide_are_a_lower_bound() -> None:
    (column,) = (each for each in COLUMNS if each.key == "madvisePerVma")
    calls = MadviseSummary(role="gc", process="com.x", per_vma=7)

    def read(**lost: int) -> tuple[float | None, str, str | None]:
        summary = AnalysisSummary(source=SourceSummary(**lost), madvise=(calls,))  # type: ignore[arg-type]
        return _read(column, SimpleNamespace(summary=summary, record=SimpleNamespace(process="com.x")))  # type: ignore[arg-type]

    assert read(blind_ns=0) == (7, "exact", None)
    assert read(blind_ns=5) == (7, "lower_bound", "events are missing in a part of the trace")


def test_a_lower_bound_is_no_level() -> None:
    def row(name: str, value: float, quality: Quality) -> SurveyRow:
        found = SurveyValue(value=value, low=value, high=value, quality=quality)
        return SurveyRow(name=name, values={"mmapLockWait": found})

    fast = [row("a", 1.0, "exact"), row("b", 9.0, "exact"), row("c", 10.0, "exact")]
    assert [(step.before, step.after) for step in find_steps(fast)] == [("a", "b")]
    assert find_steps([row("a", 1.0, "lower_bound"), *fast[1:]]) == ()
