"""`android-suite history`: a metric over kernels, builds and dates, with change points."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import click

from android_suite.cli.output import console_for_results, print_json, say
from android_suite.cli.settings import Number
from android_suite.errors import UsageError

_file = click.Path(path_type=Path, dir_okay=False)


@click.command("history")
@click.argument("store")
@click.option(
    "--metric", "metrics", multiple=True, help="A metric, or `all`; the headline metrics by default. Repeatable."
)
@click.option("--scenario", "scenarios", multiple=True, help="Only this scenario. Repeatable.")
@click.option(
    "--by",
    "order",
    type=click.Choice(["kernel", "date"]),
    default="kernel",
    show_default=True,
    help="Order: kernels by version and build, or the recordings of each label by date.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What to print on stdout.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--html", type=_file, help="Write one HTML page with charts; it needs no network and no script.")
@click.option("--kcidb", type=_file, help="Write every measurement of the store in KCIDB's form (I/O schema 5).")
@click.option("--origin", default="android_suite", show_default=True, help="Name of this CI system in KCIDB.")
@click.option("--p-value", type=Number(0, 0.05, min_open=True), default=0.001, show_default=True, help="For Otava.")
@click.option(
    "--null-series",
    type=click.IntRange(0, 10_000),
    default=200,
    show_default=True,
    help="Random orders of each series in which false alarms are counted.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of these random orders.")
def command(
    store: str,
    metrics: tuple[str, ...],
    scenarios: tuple[str, ...],
    order: str,
    form: str,
    as_json: bool,
    html: Path | None,
    kcidb: Path | None,
    origin: str,
    p_value: float,
    null_series: int,
    seed: int,
) -> int:
    """Show metrics over kernels, builds and dates, with their change points.

    STORE is a folder with runs and campaigns: what `record -o` and `qualify -o` made, any number of them; or the URL of
    a run store, as for `qualify --store`, of which the results are read and no evidence. Runs under different
    conditions are never joined. Exit code 5: some runs could not be read; the rest is shown.
    """
    from android_suite.history.examine import Search, trace_history
    from android_suite.history.kcidb import render_kcidb
    from android_suite.history.runs import fetch_results, read_stored_runs
    from android_suite.report.history import render_history_html
    from android_suite.report.history_text import print_history
    from android_suite.store.remote import is_url
    from android_suite.store.run import write_atomic, write_json

    with contextlib.ExitStack() as stack:
        if is_url(store):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="android-suite-history-")))
            unread = fetch_results(store, folder, say=say)
            runs, refused = read_stored_runs(folder, say=say, analyze=False)
            refused = [*unread, *refused]
        else:
            runs, refused = read_stored_runs(Path(store), say=say)
    for each in refused:
        say(f"{each.run} is left out: {each.reason}")
    if kcidb is not None:
        write_json(kcidb, render_kcidb(runs, origin=origin))
        say(f"wrote {kcidb}")
    found = trace_history(
        runs,
        refused,
        store=store,
        order="date" if order == "date" else "kernel",
        metrics=_choose_metrics(metrics, {str(name) for run in runs for name in run.samples["metric"].unique()}),
        scenarios=_choose_scenarios(scenarios, {i.scenario for run in runs for i in run.manifest.iterations}),
        search=Search(max_p_value=p_value, null_series=null_series, seed=seed),
        say=say,
    )
    if html is not None:
        write_atomic(html, render_history_html(found).encode())
        say(f"wrote {html}")
    if as_json or form == "json":
        print_json(found.to_json())
    else:
        print_history(found, console_for_results())
    return 5 if refused else 0


def _choose_metrics(asked: tuple[str, ...], there: set[str]) -> frozenset[str] | None:
    """Names; None for the headline metrics.

    Raises:
        UsageError: no run has one of them.
    """
    if "all" in asked:
        return frozenset(there)
    if missing := sorted(set(asked) - there):
        raise UsageError(f"no run of the store has the metric {missing[0]}; there are: {_list(there)}.")
    return frozenset(asked) or None


def _choose_scenarios(asked: tuple[str, ...], there: set[str]) -> frozenset[str] | None:
    if missing := sorted(set(asked) - there):
        raise UsageError(f"no run of the store has the scenario {missing[0]}; there are: {_list(there)}.")
    return frozenset(asked) or None


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
