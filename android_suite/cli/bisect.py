"""`android-suite bisect`: the first of many changes that moved a metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from android_suite.campaign.ending import end_as_interrupted
from android_suite.cli.output import print_json, print_text, say
from android_suite.cli.settings import read_settings, setting
from android_suite.errors import EvidenceError, SuiteError, UsageError
from android_suite.virtual.kernel_config import CONFIGURATIONS
from android_suite.virtual.kernels import ARCHES

if TYPE_CHECKING:
    from android_suite.bisection.points import Points
    from android_suite.campaign.attempt import Progress
    from android_suite.campaign.plan_file import PlanFile
    from android_suite.config import Config
    from android_suite.model.bisection import Bisection
    from android_suite.model.plan import Arch
    from android_suite.store.run import Run

_F = TypeVar("_F", bound=Callable[..., object])
# What git understands: https://git-scm.com/docs/git-bisect#_bisect_run
_GOOD, _BAD, _SKIP, _ABORT = 0, 1, 125, 128

_metric = click.option("--metric", default="invertedMs", show_default=True, help="By which kernels are judged.")
_plan = click.option("--plan", type=click.Path(path_type=Path), help="Deterministic plan; its kernels do not count.")
_scenario = click.option("--scenario", help="Scenario of the plan, where several give the metric.")
_arch = click.option("--arch", type=click.Choice(ARCHES), default=setting("arch", None), help="Default: the plan's.")
_jobs = click.option("--jobs", type=click.IntRange(1), help="Parallel compilers (default: all CPUs).")
_config = click.option(
    "--config", "configuration", type=click.Choice(CONFIGURATIONS), default="lab", show_default=True,
    help="Of the kernels that are built: the smallest, one with the options of Android's GKI, or one that checks itself.",
)  # fmt: skip
_workers = click.option("--workers", type=click.IntRange(1), help="Parallel recordings (default: one per core).")
_output = click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("reports/bisect"), show_default=True,
    help="Folder of the bisection; the same command continues there.",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """What the whole search and one step of it are asked for alike."""

    metric: str
    plan: Path | None
    scenario: str | None
    arch: Arch | None
    jobs: int | None
    configuration: str
    workers: int | None
    output: Path


def _search_options(function: _F) -> _F:
    for option in (_output, _workers, _config, _jobs, _arch, _scenario, _plan, _metric):
        function = option(function)
    return function


@click.group("bisect", invoke_without_command=True)
@click.option("--series", type=click.Path(path_type=Path), help="Quilt folder, folder of *.patch files, or mbox.")
@click.option("--source", metavar="PKG|DIR", help="What it applies to: linux-source-7.3, or a git tree.")
@click.option(
    "--without", type=click.Path(path_type=Path),
    help="Patch, or series, that the source has and that the series starts without.",
)  # fmt: skip
@click.option("--range", "span", metavar="GOOD..BAD", help="Commits of the git tree --source.")
@click.option("--kernels", metavar="A..B|A,B,C", help="Debian's releases, the older first; a series is its newest.")
@_search_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
@end_as_interrupted()
def command(
    context: click.Context,
    /,
    series: Path | None,
    source: str | None,
    without: Path | None,
    span: str | None,
    kernels: str | None,
    as_json: bool,
    **asked: Any,
) -> int | None:
    """Find the first change that moved a metric, of a patch series, a range of commits, or Debian's releases.

    Kernels run in virtual time under the seeds of the plan, so noise cannot lead the search astray. `bisect step` is one
    step for `git bisect run`.
    """
    if context.invoked_subcommand is not None:
        return None
    from android_suite.bisection.session import choose_plan, open_bisection, write_bisection
    from android_suite.report.bisection import render_bisection

    config, search = read_settings(), _Search(**asked)
    file = choose_plan(search.metric, search.plan, search.scenario, search.arch)
    points, identity = _find_points(series, source, without, span, kernels, file, search, config)
    with open_bisection(
        points, file, search.metric, search.output, config, identity=identity, workers=search.workers, progress=_tell,
        say=say,
    ) as bisector:  # fmt: skip
        found = bisector.run()
        write_bisection(found, search.output)
        reports = _write_reports(found, bisector.recorded, search.output)
    if as_json:
        from android_suite.model.document import to_plain

        print_json(to_plain(found))
    else:
        print_text(render_bisection(found))
    say(f"report: {search.output}/bisection.md")
    for each in reports:
        say(each)
    if found.repeated is False:
        raise EvidenceError("an end gave another trace when it was recorded again; run it with a fixed QEMU version.")
    return 0


def _write_reports(found: Bisection, recorded: Mapping[int, Sequence[Run]], output: Path) -> list[str]:
    """Writes the reports of the whole series and of the change, if it was found, in all metrics; returns what to say."""
    from android_suite.cli.compare import compare_folders, write_report

    asked = [("ends", 0, found.points[-1].position)]
    if found.first is not None:
        before = max(p.position for p in found.points if p.position < found.first and p.standing == "before")
        asked.insert(0, ("change", before, found.first))
    said = []
    for name, one, other in asked:
        baseline, candidate = ([run.path for run in recorded[position]] for position in (one, other))
        title = f"{found.points[one].title} against {found.points[other].title}"
        write_report(output / name, *compare_folders(baseline, candidate, title=title, asked="android-suite bisect"))
        said.append(f"report: {output / name}/report.html: position {one} against {other}")
    return said


@command.command("step")
@click.option("--tree", type=click.Path(path_type=Path), default=Path(), help="Git tree (default: this folder).")
@click.option("--good", metavar="COMMIT", help="Compare with it (default: the good commit of `git bisect`).")
@_search_options
@click.pass_context
@end_as_interrupted()
def step_command(context: click.Context, /, tree: Path, good: str | None, **asked: Any) -> None:
    """One step for `git bisect run`: judges the commit that is checked out.

    Exit code 0: the metric is as in the good commit; 1: it has moved, as in the bad one; 125: this commit cannot be
    tested; from 128 on: the search should stop (128 plus the suite's exit code).
    """
    try:
        status = _step(tree, good, _Search(**asked))
    except SuiteError as error:
        from android_suite.cli.output import say_error

        say_error(error)
        status = _ABORT + error.exit_code
    except (click.Abort, KeyboardInterrupt):
        status = _ABORT + 2
    context.exit(status)


def _step(tree: Path, good: str | None, search: _Search) -> int:
    from android_suite.bisection.bench import UntestableError
    from android_suite.bisection.points import CommitPoints
    from android_suite.bisection.search import Standing
    from android_suite.bisection.session import choose_plan, open_bisection
    from android_suite.virtual.git_tree import GitTree, read_commit, read_first_marked, read_sha, read_title

    config = read_settings()
    file = choose_plan(search.metric, search.plan, search.scenario, search.arch)
    head = read_commit(tree)
    base = read_sha(tree, good) if good is not None else read_first_marked(tree, "good")
    if base is None:
        raise UsageError("there is no good commit to compare with; mark one with `git bisect good`, or give --good.")
    bad = read_first_marked(tree, "bad")
    # The end of the search tells in which direction the metric moves, and is what an undecided commit is compared with.
    ends = [bad] if bad not in (None, base, head) else []
    commits = [(sha, read_title(tree, sha)) for sha in (base, head, *ends)]
    git = GitTree(tree, file.plan.arch, config, jobs=search.jobs, progress=say, configuration=search.configuration)
    points = CommitPoints(git, commits)
    identity = [base, *_besides(search.configuration)]
    with open_bisection(
        points, file, search.metric, search.output, config, identity=identity, workers=search.workers, progress=_tell,
        say=say,
    ) as bisector:  # fmt: skip
        try:
            standing = bisector.judge(1) if head != base else Standing.BEFORE
        except UntestableError as error:
            say(f"{points.titles[1]}: cannot be tested: {error}")
            return _SKIP
    say(f"{points.titles[1]}: {standing.value}")
    return {Standing.BEFORE: _GOOD, Standing.AFTER: _BAD, Standing.SKIPPED: _SKIP}[standing]


def _find_points(
    series: Path | None,
    source: str | None,
    without: Path | None,
    span: str | None,
    kernels: str | None,
    file: PlanFile,
    search: _Search,
    config: Config,
) -> tuple[Points, list[str]]:
    from android_suite.bisection.points import (
        CommitPoints,
        ReleasePoints,
        SeriesPoints,
        choose_releases,
        read_commits,
    )
    from android_suite.virtual.git_tree import GitTree
    from android_suite.virtual.series import read_series
    from android_suite.virtual.series_tree import SeriesTree

    jobs, configuration = search.jobs, search.configuration
    if without is not None and series is None:
        raise UsageError("--without takes patches out of the source of a --series; give one.")
    if [series, span, kernels].count(None) != 2:
        raise UsageError("give one of --series, --range and --kernels: what to search through.")
    if kernels is not None:
        names = choose_releases(kernels, file.plan.arch, config=config, say=say)
        return ReleasePoints(names), list(names)
    if source is None:
        raise UsageError("give --source: a linux-source-* package, or a git tree of the kernel.")
    if series is not None:
        patches, removed = read_series(series), read_series(without) if without else ()
        tree = SeriesTree(
            source, patches, file.plan.arch, config, jobs=jobs, progress=say, configuration=configuration,
            without=removed, if_present="leave it out of the series, or take it out of the source with --without",
        )  # fmt: skip
        taken_out = [f"without {patch.sha256}" for patch in removed]
        digests = [patch.sha256 for patch in patches]
        return SeriesPoints(tree, patches), [tree.origin, *taken_out, *digests, *_besides(configuration)]
    assert span is not None
    commits = read_commits(Path(source), span)
    git = GitTree(Path(source), file.plan.arch, config, jobs=jobs, progress=say, configuration=configuration)
    return CommitPoints(git, commits), [*(sha for sha, _ in commits), *_besides(configuration)]


def _besides(configuration: str) -> list[str]:
    """What makes a bisection another one, besides its kernels' sources."""
    return [] if configuration == "lab" else [f"configuration {configuration}"]


def _tell(event: Progress) -> None:
    say(f"[{event.done}/{event.total}] {event.message}")
