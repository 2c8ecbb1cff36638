"""`android-suite qualify`: runs a planned experiment; resumable."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from android_suite.campaign.ending import end_as_interrupted
from android_suite.capture.ways import WAYS
from android_suite.cli.cluster import Where, open_place, where_options
from android_suite.cli.output import console_for_results, print_json, print_text, say
from android_suite.cli.ready import ready_options, refuse_in_virtual_time
from android_suite.cli.settings import read_settings
from android_suite.errors import LabError, UsageError
from android_suite.model.plan import MIN_BOOTS, CaptureWay, describe_app
from android_suite.virtual.kernel_config import CONFIGURATIONS
from android_suite.virtual.kernels import ARCHES
from android_suite.workload.registry import scenario_names

if TYPE_CHECKING:
    from android_suite.campaign.attempt import Progress as Event
    from android_suite.campaign.plan_file import PlanFile
    from android_suite.campaign.qualify import Preview
    from android_suite.campaign.schedule import Cost
    from android_suite.config import Config
    from android_suite.virtual.build import PairBuild


@click.command("qualify")
@click.argument("plan", type=click.Path(path_type=Path), required=False)
@click.option(
    "--patch", type=click.Path(path_type=Path),
    help="Build the kernels without and with this patch (a diff, an mbox or a folder) in place of the plan's.",
)  # fmt: skip
@click.option(
    "--source", metavar="TREE|PKG|debian",
    help="What --patch applies to: a git tree, linux-source-7.3, or debian: the newest (default).",
)  # fmt: skip
@click.option(
    "--config", "configuration", type=click.Choice(CONFIGURATIONS),
    help="Of the kernels for --patch: lab, the smallest (default), gki, with the options of Android's GKI, or debug.",
)  # fmt: skip
@click.option("--revert", is_flag=True, help="The source has the patch: the kernel without it has it reverted.")
@click.option("--arch", type=click.Choice(ARCHES), help="Architecture of the kernels for --patch (default: arm64).")
@click.option("--jobs", "compilers", type=click.IntRange(1), help="Parallel compilers for --patch (default: all CPUs).")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the experiment (default: reports/NAME).",
)
@click.option(
    "--dry-run", is_flag=True, help="Print the schedule, what is finished and the cost of the rest; do nothing else."
)
@click.option("--aa", is_flag=True, help="Run the baseline against itself, to show false alarms.")
@click.option("--fresh", is_flag=True, help="Start again; an earlier experiment is renamed.")
@click.option(
    "--workers", type=click.IntRange(1), help="Parallel jobs (default: one per core if deterministic, else 1)."
)
@click.option("--serial", help="Attached device, if the plan uses one.")
@click.option("--take-tracing", is_flag=True, help="Take over a trace that another tool records on the device.")
@click.option("--preview", is_flag=True, help="Print the main numbers after each seed of the first scenario.")
@click.option(
    "--capture", type=click.Choice(WAYS), help="Who records the kernel's events (default: as the plan says, else auto)."
)
@where_options
@ready_options
@click.option("--json", "as_json", is_flag=True, help="Print the comparisons as JSON.")
@end_as_interrupted()
def command(
    plan: Path | None,
    patch: Path | None,
    source: str | None,
    configuration: str | None,
    revert: bool,
    arch: str | None,
    compilers: int | None,
    output: Path | None,
    dry_run: bool,
    aa: bool,
    fresh: bool,
    workers: int | None,
    serial: str | None,
    take_tracing: bool,
    preview: bool,
    capture: CaptureWay | None,
    ready: Mapping[str, Any],
    where: Where,
    as_json: bool,
) -> int:
    """Boot each kernel of PLAN in random blocks, record, analyze, compare and report.

    With --patch the kernels are built: Debian's source (or yours) without and with the patch. Without a PLAN it is then the
    standard plan. Exit code 2: the patch does not apply or does not compile; 1: its kernel does not boot.

    Jobs run on this host, or on the workers of --scheduler. After an interruption, call it again to continue. Exit
    code 1: a gate failed, a metric got WORSE or a tested kernel crashed.
    """
    from android_suite.campaign.attempt import default_out
    from android_suite.campaign.lab import (
        check_kernels,
        check_parameters,
        make_collaborators,
        make_pool_device,
        prepare_lab,
        restored_at_end,
    )
    from android_suite.campaign.plan_file import read_plan
    from android_suite.campaign.qualify import (
        estimate,
        qualify,
        read_durations,
        render_device,
        render_schedule,
        schedule,
        schedule_rest,
    )
    from android_suite.report.model import ReportModel
    from android_suite.report.terminal import render_terminal
    from android_suite.report.terminal_preview import render_preview

    config = read_settings()
    build: PairBuild | None = None
    if patch is not None:
        if aa:
            raise UsageError("--aa compares a kernel with itself and --patch compares two; give one of them.")
        build, file = _read_patched(
            plan,
            patch,
            source=source,
            configuration=configuration,
            revert=revert,
            arch=arch,
            jobs=compilers,
            config=config,
        )
    elif plan is None:
        raise UsageError("give a PLAN, or --patch FILE for the standard plan on your patch.")
    elif revert or (source, configuration, arch, compilers) != (None, None, None, None):
        raise UsageError("--source, --config, --revert, --arch and --jobs are for --patch; give a patch.")
    else:
        file = read_plan(plan, scenarios=scenario_names())
    file = _change_plan(file, capture, ready)
    check_parameters(file)
    for warning in file.plan.warnings:
        say(f"note: {warning}")
    measured = config.cache / "durations.json"
    durations = read_durations(measured)
    out = output or (Path("reports") / file.plan.name if build or plan is None else default_out(plan))
    if dry_run:
        if build is None:
            check_kernels(file, config, say=say)
        file, jobs, finished = (*schedule(file, aa=aa), frozenset[str]()) if fresh else schedule_rest(file, out, aa=aa)
        left = [job for job in jobs if job.name not in finished]
        print_text(render_device(file.plan))
        print_text(render_schedule(jobs, estimate(file, left, durations, workers=workers), finished))
        return 0
    if build is not None:
        cost = estimate(file, schedule(file)[1], durations, workers=workers)
        say(f"two kernels and {len(cost.job_s)} boots; the boots take about {_minutes(cost)}")
        built = _build_pair(build, file, config, out)
        if built is None:
            return 1
        file = built
    file = prepare_lab(file, config, say=say)
    notes = [note] if (note := describe_app(file.plan)) else []

    def show(so_far: Preview) -> None:
        boots, total = so_far.boots, file.plan.boots
        title = f"{file.plan.name}: {so_far.label}, {boots} of {total} seeds so far"
        decided = boots >= MIN_BOOTS
        render_preview(so_far.comparison, console_for_results(), title=title, scenario=so_far.scenario, decided=decided)

    with (
        open_place(file, where, config, serial, holder=f"qualify {out}") as place,
        ExitStack() as stack,
    ):
        for phone in place.phones:
            stack.enter_context(restored_at_end(file.plan, phone.config, phone.serial, say=say))
        devices = [
            make_pool_device(
                phone.config,
                phone.serial,
                take_tracing=take_tracing,
                check=phone.check,
                quarantine=phone.quarantine,
            )
            for phone in place.phones
        ]
        try:
            with _Bar() as bar:
                outcome = qualify(
                    file,
                    out,
                    make_collaborators(config, take_tracing=take_tracing),
                    aa=aa,
                    fresh=fresh,
                    workers=workers,
                    durations_s=durations,
                    progress=bar.tell,
                    preview=show if preview and not as_json else None,
                    cluster=place.cluster,
                    store=place.store,
                    devices=devices,
                )
        finally:
            _keep_durations(measured, durations)
        if as_json:
            print_json({label: comparison.to_json() for label, comparison in outcome.comparisons.items()})
        else:
            for label, comparison in outcome.comparisons.items():
                title = f"{file.plan.name}: {label}"
                render_terminal(ReportModel(title=title, comparison=comparison, notes=notes), console_for_results())
        for crash in outcome.crashes:
            say(f"android-suite: kernel {crash.label} crashed during {crash.during}: {crash.summary}")
        say(f"report: {out}")
    return outcome.exit_code


def _change_plan(file: PlanFile, capture: CaptureWay | None, ready: Mapping[str, Any]) -> PlanFile:
    """The plan with what the command line says otherwise."""
    if file.plan.mode == "deterministic":
        refuse_in_virtual_time(ready)
        if capture in ("perfetto", "both"):
            raise UsageError("a deterministic guest has one trace, from tracefs; leave out --capture.")
    way = file.plan.capture if capture is None else capture
    return replace(file, plan=replace(file.plan, capture=way, ready=replace(file.plan.ready, **ready)))


def _read_patched(
    plan: Path | None,
    patch: Path,
    *,
    source: str | None,
    configuration: str | None,
    revert: bool,
    arch: str | None,
    jobs: int | None,
    config: Config,
) -> tuple[PairBuild, PlanFile]:
    """The pair of kernels of a patch, not built yet, and the plan for it."""
    from android_suite.campaign.patched import STANDARD, read_patched_plan
    from android_suite.virtual.build import NEWEST, PairBuild

    build = PairBuild(
        patch=patch,
        source=source or NEWEST,
        arch=arch or config.arch or "arm64",
        configuration=configuration or "lab",
        revert=revert,
        jobs=jobs,
        config=config,
        progress=say,
    )
    return build, read_patched_plan(plan or STANDARD, build, scenarios=scenario_names())


def _build_pair(build: PairBuild, file: PlanFile, config: Config, out: Path) -> PlanFile | None:
    """Builds the kernels; None if the one with the patch does not boot, which is said."""
    from android_suite.campaign.patched import add_notes, try_pair

    pair = build.build()
    begun = any(out.glob("jobs/*"))  # then both have booted
    if not begun and (dead := try_pair(pair, config, out, say=say)) is not None:
        say(
            f"android-suite: the kernel with {build.patch.name} does not boot, the one without it does: {dead.line}; "
            f"mend the patch and run the same command again. The console is in {out}/console.txt."
        )
        return None
    return add_notes(file, build.describe())


def _minutes(cost: Cost) -> str:
    known = "measured" if cost.measured == len(cost.job_s) else "assumed"
    return f"{cost.wall_s / 60:.0f} min ({known})"


def _keep_durations(path: Path, durations: dict[str, list[float]]) -> None:
    from android_suite.campaign.qualify import write_durations

    try:
        write_durations(path, durations)
    except LabError as error:
        say(f"the measured durations could not be saved, so the next estimate is less accurate: {error}")


class _Bar:
    """Progress with an estimate of the end on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        console = console_for_results(to_stderr=True)
        self._plain = not console.is_terminal
        self._progress = Progress(
            TextColumn("{task.completed:.0f}/{task.total:.0f} jobs"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.description}"),
            console=console,
            disable=self._plain,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, left="")

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, event: Event) -> None:
        """Shows one event of the campaign."""
        left = f"about {event.remaining_s / 60:.1f} min left" if event.remaining_s else ""
        if self._plain:
            say(
                f"[{event.done}/{event.total}] {event.elapsed_s:5.0f} s  {event.message}"
                + (f"  ({left})" if left else "")
            )
        else:
            self._progress.update(
                self._task,
                completed=event.done,
                total=event.total,
                left=left,
                description=event.message.replace("[", r"\["),
            )
