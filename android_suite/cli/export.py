"""`android-suite export`: a trace for the field's own viewers."""

from __future__ import annotations

from pathlib import Path

import click

from android_suite.cli.output import say
from android_suite.errors import UsageError

_file = click.Path(path_type=Path, dir_okay=False)


@click.command("export")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--perfetto", type=_file, help="Write a Perfetto trace: the events and the suite's own tracks.")
@click.option("--trace-dat", type=_file, help="Write trace.dat, for trace-cmd and KernelShark (from a run directory).")
@click.option(
    "--iteration", type=click.IntRange(0), default=None, help="Which iteration of a run (default: its only one)."
)
@click.option("--process", help="The app's process name (default: the run's).")
def command(
    path: Path, perfetto: Path | None, trace_dat: Path | None, iteration: int | None, process: str | None
) -> int:
    """Write a trace with the suite's own tracks (waits, holds, inversions, late frames) beside the original events.

    PATH is a run directory or any trace that `analyze` reads.
    """
    from android_suite.analyze import export_perfetto, export_trace_dat

    if perfetto is None and trace_dat is None:
        raise UsageError("say what to write: --perfetto FILE or --trace-dat FILE.")
    for target in (perfetto, trace_dat):
        if target is not None and not target.parent.is_dir():
            raise UsageError(f"{target.parent} is no folder to write {target.name} to; make it or name another.")
    if perfetto is not None:
        export_perfetto(path, perfetto, iteration=iteration, process=process)
        say(f"wrote {perfetto}; open it at ui.perfetto.dev")
    if trace_dat is not None:
        export_trace_dat(path, trace_dat, iteration=iteration)
        say(f"wrote {trace_dat}; read it with trace-cmd report or kernelshark")
    return 0
