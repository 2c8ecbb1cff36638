"""`android-suite compare`: compares two sets of runs and gives verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from android_suite import __version__
from android_suite.cli.output import console_for_results, print_json, say
from android_suite.errors import UsageError
from android_suite.model.gate import Gate, parse_gates
from android_suite.model.toml_source import read_toml

if TYPE_CHECKING:
    from android_suite.model.comparison import Comparison
    from android_suite.report.model import ReportModel


@click.command("compare")
@click.argument("baseline", type=click.Path(path_type=Path))
@click.argument("candidate", type=click.Path(path_type=Path))
@click.option(
    "--gate", type=click.Path(path_type=Path), help="TOML file of gates: metric, scenario, margin, confidence."
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.html, summary.json, junit.xml.",
)
@click.option("--title", default="Kernel comparison", show_default=True, help="Title of the report.")
def command(baseline: Path, candidate: Path, gate: Path | None, as_json: bool, output: Path | None, title: str) -> int:
    """Compare two sets of runs that differ only in the kernel.

    BASELINE and CANDIDATE are run directories, or folders of run directories (one per boot). Exit code 1: a gate failed
    or a metric got WORSE; 6: the runs differ in more than the kernel.
    """
    from android_suite.report.terminal import render_terminal

    gates = parse_gates(read_toml(gate, "the gate file", "give a TOML file")) if gate is not None else ()
    asked = f"android-suite compare {baseline} {candidate}" + (f" --gate {gate}" if gate else "")
    comparison, model = compare_folders(find_runs(baseline), find_runs(candidate), gates, title=title, asked=asked)
    if output is not None:
        write_report(output, comparison, model)
        say(f"report in {output / 'report.html'}")
    if as_json:
        print_json(comparison.to_json())
    else:
        render_terminal(model, console_for_results())
    return comparison.exit_code


def compare_folders(
    baseline: Sequence[Path], candidate: Sequence[Path], gates: Sequence[Gate] = (), *, title: str, asked: str
) -> tuple[Comparison, ReportModel]:
    """Compares run directories, which are analyzed where they are not yet.

    Args:
        baseline: run directories of the one kernel.
        candidate: those of the other.
        gates: what may not get worse.
        title: of the report.
        asked: the command that does this, for the report.

    Raises:
        NotComparable: the sets differ in more than the kernel.
        EvidenceError: no iteration of a side is complete.
    """
    from android_suite.analyze import load_run
    from android_suite.compare.analyzed import make_run_set
    from android_suite.compare.runs import compare_runs
    from android_suite.report.model import ReportModel

    sides = [[load_run(path, say=say) for path in side] for side in (baseline, candidate)]
    comparison = compare_runs(make_run_set(sides[0]), make_run_set(sides[1]), gates=gates)
    manifests = [analysis.run.manifest for side in sides for analysis in side]
    model = ReportModel(
        title=title,
        comparison=comparison,
        runs=[
            run
            for name, side in zip(("baseline", "candidate"), sides, strict=True)
            for each in side
            for run in each.describe(name)
        ],
        commands=[asked],
        notes=[note for manifest in manifests for note in manifest.notes],
        created_at=max(manifest.created_at for manifest in manifests),
        suite_version=__version__,
    )
    return comparison, model


def write_report(output: Path, comparison: Comparison, model: ReportModel) -> None:
    """Writes ``summary.json``, ``report.html`` and the other forms of the report into a folder."""
    from android_suite.report.files import render_files
    from android_suite.store.run import write_atomic, write_json

    write_json(output / "summary.json", comparison.to_json())
    for name, text in render_files(model).items():
        write_atomic(output / name, text.encode())


def find_runs(path: Path) -> list[Path]:
    """The run directories of one side: the folder itself, or those in it.

    Raises:
        UsageError: there is no run directory.
    """
    from android_suite.store.run import is_run

    if is_run(path):
        return [path]
    found = sorted(child for child in path.iterdir() if is_run(child)) if path.is_dir() else []
    if not found:
        raise UsageError(f"{path} has no run directory; give one that `android-suite record -o` made.")
    return found
