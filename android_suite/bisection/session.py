"""Puts a bisection together: plan, folder, kernels, and the files that it leaves.

::

    OUT/bisection.json, bisection.md    the answer
    OUT/journal.jsonl, jobs/, ...       as of `qualify`: what was recorded, so that another call continues
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from android_suite.bisection.bench import Bench
from android_suite.bisection.points import Points
from android_suite.bisection.run import Bisector
from android_suite.campaign import evaluate
from android_suite.campaign.attempt import Progress, default_workers
from android_suite.campaign.journal import open_campaign
from android_suite.campaign.lab import LabRecorder, check_parameters, identify_guest, try_boot
from android_suite.campaign.plan_file import ANY_PAIR, PlanFile, read_plan
from android_suite.campaign.runner import Runner
from android_suite.campaign.schedule import Job, describe_plan
from android_suite.config import Config
from android_suite.errors import NotReady, UsageError
from android_suite.model.bisection import Bisection
from android_suite.model.comparison import MetricComparison
from android_suite.model.document import to_plain
from android_suite.model.metrics import CATALOGUE, find_metric
from android_suite.model.plan import Arch, Plan, parse_plan
from android_suite.model.toml_source import expected_name, parse_toml
from android_suite.report.bisection import render_bisection
from android_suite.store.run import Run, write_atomic, write_json
from android_suite.virtual.kernels import fetch_kernel
from android_suite.workload.registry import scenario_names

STANDARD = f"""\
[plan]
name = "bisect"
mode = "deterministic"
seeds = [1, 2, 3, 4, 5, 6, 7, 8]

{ANY_PAIR}
[[scenario]]
name = "gc_stress"
parameters = {{ duration_ms = 3000, profile = "inversion" }}

[[scenario]]
name = "app_launch"
parameters = {{ launches = 3 }}
"""


def choose_plan(metric: str, plan: Path | None, scenario: str | None, arch: Arch | None = None) -> PlanFile:
    """The plan of a bisection, with the one scenario that gives the metric.

    Args:
        metric: by which positions are judged.
        plan: a plan file, whose kernels do not count; None: the standard plan.
        scenario: which of its scenarios; None: the only one that gives the metric.
        arch: in place of the plan's.

    Raises:
        UsageError: there is no such metric or scenario, several scenarios give it, or the plan is not deterministic.
    """
    names = scenario_names()
    if plan is None:
        source = parse_toml(STANDARD, Path("the standard plan"))
        file = PlanFile(source=source, plan=parse_plan(source, scenarios=names), digests={})
    else:
        file = read_plan(plan, scenarios=names)
    known = [each.name for each in CATALOGUE]
    if metric not in known:
        raise UsageError(
            f"--metric: expected {expected_name(metric, known)}, found {metric!r}; docs/metrics.md lists them."
        )
    if file.plan.mode != "deterministic":
        raise UsageError("only deterministic plans can be bisected: in real time noise would lead the search astray.")
    wanted = find_metric(metric).scenarios
    fitting = [each for each in file.plan.scenarios if not wanted or each.name in wanted]
    if scenario is not None:
        fitting = [each for each in fitting if each.name == scenario]
    elif plan is None and not wanted:
        fitting = fitting[:1]
    have = ", ".join(each.name for each in file.plan.scenarios)
    if scenario is not None and scenario not in [each.name for each in file.plan.scenarios]:
        raise UsageError(
            f"the plan has no scenario {scenario!r}; choose among {have}, or give another plan with --plan."
        )
    if not fitting:
        raise UsageError(
            f"{metric} is of {' or '.join(wanted)}, and not of {scenario or have}; give a plan with --plan."
        )
    if len(fitting) > 1:
        found = ", ".join(each.name for each in fitting)
        raise UsageError(f"several scenarios of the plan give {metric}: {found}; choose one with --scenario.")
    one = replace(fitting[0], traced=True)
    file = replace(file, plan=replace(file.plan, arch=arch or file.plan.arch, scenarios=(one,), gates=()))
    check_parameters(file)
    return file


@contextmanager
def open_bisection(
    points: Points,
    file: PlanFile,
    metric: str,
    out: Path,
    config: Config,
    *,
    identity: Sequence[str],
    workers: int | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Bisector]:
    """A bisection, ready to run; another call with the same arguments continues where it stopped.

    Args:
        points: the kernels.
        file: the plan from `choose_plan`.
        metric: by which they are judged.
        out: its folder.
        config: the settings.
        identity: what the points are, by content; a folder of another bisection is refused.
        workers: parallel jobs; None: one per core.
        progress: called after every event.
        say: told of each answer.

    Raises:
        UsageError: the folder is in use or holds something else.
        MachineError: the virtual device or the runtime cannot be built.
    """
    file = identify_guest(file, config, say=say)

    def identify(kernel: str) -> str:
        return fetch_kernel(kernel, file.plan.arch, config=config).sha256

    def try_kernel(kernel: str) -> str | None:
        try:
            crash = try_boot(kernel, file.plan.arch, config)
        except NotReady as error:
            return str(error)
        return f"it crashed while it booted: {crash.summary}" if crash else None

    def judge(plan: Plan, baseline: Sequence[Run], candidate: Sequence[Run]) -> MetricComparison | None:
        found = evaluate.compare_plan(plan, baseline, candidate, only=metric)
        return next(iter(found.metrics), None)

    described = describe_plan(replace(file.plan, kernels=()), file.digests)
    asked = {**described, "metric": metric, "points": list(identity)}
    with open_campaign(out, asked, restart="remove it to start again") as folder:

        def execute(jobs: Sequence[Job]) -> None:
            Runner(
                folder=folder,
                recorder=LabRecorder(config=config),
                analyzer=evaluate.analyze_job,
                workers=workers or default_workers(file.plan.mode),
                durations_s={},
                progress=progress,
            ).run(jobs)

        bench = Bench(plan=file.plan, digests=file.digests, folder=folder, execute=execute, judge=judge)
        yield Bisector(points=points, bench=bench, metric=metric, identify=identify, try_boot=try_kernel, say=say)


def write_bisection(found: Bisection, out: Path) -> None:
    """Writes ``bisection.json`` and ``bisection.md``."""
    write_json(out / "bisection.json", to_plain(found))
    write_atomic(out / "bisection.md", render_bisection(found, markdown=True).encode())
