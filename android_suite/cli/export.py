"""`android-suite export`: writes a trace for other viewers."""

from __future__ import annotations

from pathlib import Path

import click

from android_suite.cli.output import say
from android_suite.errors import UsageError

_file = click.Path(path_type=Path, dir_okay=False)
_READ_WITH = {
    "--perfetto": "open it at ui.perfetto.dev",
    "--trace-dat": "read it with trace-cmd report or kernelshark",
    "--text": "one line per event",
}
_NAMED = 4  # number of left-out kinds of events to name in a message


@click.command("export")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--perfetto", type=_file, help="Write a Perfetto trace: the events and the suite's tracks.")
@click.option("--trace-dat", type=_file, help="Write trace.dat, for trace-cmd and KernelShark (from a run directory).")
@click.option(
    "--text",
    type=_file,
    help="Write text, one line per event as in trace-cmd report (from a run directory or trace.dat).",
)
@click.option(
    "--iteration", type=click.IntRange(0), default=None, help="Which iteration of a run (default: its only one)."
)
@click.option("--process", help="The app's process name (default: the run's).")
def command(
    path: Path,
    perfetto: Path | None,
    trace_dat: Path | None,
    text: Path | None,
    iteration: int | None,
    process: str | None,
) -> int:
    """Write a trace for other tools. You can combine the options.

    PATH is a run directory or any trace that `analyze` reads. Perfetto files add the suite's tracks (waits, holds,
    inversions, late frames) to the events.
    """
    from android_suite.export import PERFETTO, TEXT, TRACE_DAT, export_trace

    asked = {PERFETTO: perfetto, TRACE_DAT: trace_dat, TEXT: text}
    targets = {option: target for option, target in asked.items() if target is not None}
    if not targets:
        raise UsageError(f"choose what to write: {PERFETTO} FILE, {TRACE_DAT} FILE or {TEXT} FILE.")
    exported = export_trace(path, targets, iteration=iteration, process=process)
    for option, target in targets.items():
        say(f"wrote {target}; {_READ_WITH[option]}")
    if exported.left_out:
        most = sorted(exported.left_out, key=lambda name: -exported.left_out[name])
        listed = ", ".join(f"{exported.left_out[name]} {name}" for name in most[:_NAMED])
        more = f" and {len(most) - _NAMED} more kinds" if len(most) > _NAMED else ""
        count = sum(exported.left_out.values())
        say(f"{count} events of kinds that the suite does not keep are not in {perfetto}: {listed}{more}")
    return 0
