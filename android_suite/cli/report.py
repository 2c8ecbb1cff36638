"""`android-suite report`: renders the results of analyze or compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from android_suite import __version__
from android_suite.cli.compare import find_runs
from android_suite.cli.output import console_for_results, say
from android_suite.errors import SchemaError, UsageError
from android_suite.model.analysis import SCHEMA as ANALYSIS
from android_suite.model.analysis import read_analysis
from android_suite.model.analyzed import AnalyzedRun
from android_suite.model.comparison import SCHEMA, Comparison
from android_suite.model.identity import LabelledKernel
from android_suite.store.run import read_json

if TYPE_CHECKING:
    from android_suite.report.model import ReportModel

_file = click.Path(path_type=Path, dir_okay=False)


@click.command("report")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--html", type=_file, help="Write one HTML page that needs no network and no script.")
@click.option("--junit", type=_file, help="Write JUnit XML: a gate is a test case.")
@click.option("--markdown", type=_file, help="Write Markdown that fits a pull request comment.")
@click.option("--json", "json_file", type=_file, help="Write JSON.")
@click.option("--title", default=None, help="Title of the report.")
def command(
    path: Path, html: Path | None, junit: Path | None, markdown: Path | None, json_file: Path | None, title: str | None
) -> int:
    """Render a run directory, a folder of them, JSON of analyze or compare, or a folder of `compare -o`.

    Without an option it prints the report on the terminal.
    """
    from android_suite.report.html import render_html
    from android_suite.report.json_file import render_json
    from android_suite.report.junit import render_junit
    from android_suite.report.markdown import render_markdown
    from android_suite.report.terminal import render_terminal
    from android_suite.store.run import write_atomic

    model = read_model(path, title)
    wanted = ((html, render_html), (junit, render_junit), (markdown, render_markdown), (json_file, render_json))
    for file, render in wanted:
        if file is not None:
            write_atomic(file, render(model).encode())
            say(f"wrote {file}")
    if not any(file for file, _ in wanted):
        render_terminal(model, console_for_results())
    return 0


def read_model(path: Path, title: str | None) -> ReportModel:
    """The model to render.

    Raises:
        UsageError: there is nothing to render.
        SchemaError: the JSON file is not one of the suite's.
    """
    from android_suite.analyze import load_run
    from android_suite.report.model import ReportModel

    if path.is_dir() and not (path / "summary.json").is_file():
        analyses = [load_run(run, say=say) for run in find_runs(path)]
        kernels = {
            a.run.manifest.label or a.run.path.name: LabelledKernel.of("", a.run.manifest.kernel) for a in analyses
        }
        return ReportModel(
            title=title or f"Analysis of {path.name}",
            runs=[run for each in analyses for run in each.describe()],
            kernels=kernels,
            crashes=[i.crash for a in analyses for i in a.run.manifest.iterations if i.crash],
            commands=[f"android-suite report {path}"],
            suite_version=__version__,
        )
    file = path / "summary.json" if path.is_dir() else path
    try:
        data = read_json(file, remedy="give a run directory, or JSON of analyze or compare")
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read ({error.strerror}); give a run directory or a summary.json."
        ) from error
    if isinstance(data, dict) and data.get("schema") == SCHEMA:
        comparison = Comparison.from_json(data, str(file))
        return ReportModel(title=title or "Kernel comparison", comparison=comparison, suite_version=__version__)
    if isinstance(data, dict) and data.get("schema") == ANALYSIS:
        runs = [AnalyzedRun(name=file.name, analysis=read_analysis(data, str(file)))]
        return ReportModel(title=title or f"Analysis of {file.name}", runs=runs, suite_version=__version__)
    raise SchemaError(
        f"{file} is neither an analysis nor a comparison; give the output of `analyze --json` or `compare --json`."
    )
