"""`android-suite kernels survey`: one table and one chart over Debian's kernels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from android_suite.cli.output import print_json, print_text, say
from android_suite.cli.settings import read_settings, setting
from android_suite.errors import UsageError
from android_suite.virtual.kernels import ARCHES

if TYPE_CHECKING:
    from android_suite.campaign.attempt import Progress
    from android_suite.model.plan import Arch


@click.command("survey")
@click.argument("versions", nargs=-1, metavar="[VERSION]...")
@click.option(
    "--kernels",
    metavar="A,B|A..B|all",
    help="Which kernels (default: the newest of each series, as 6.12, that the mirror has).",
)
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="How many of the plan's seeds.")
@click.option("--scenario", "scenarios", multiple=True, help="Only this scenario of the plan; may be repeated.")
@click.option("--plan", type=click.Path(path_type=Path), help="Deterministic plan; its kernels do not count.")
@click.option("--arch", type=click.Choice(ARCHES), default=setting("arch", None), help="Default: the plan's.")
@click.option("--workers", type=click.IntRange(1), help="Parallel recordings (default: one per core).")
@click.option(
    "-o", "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("reports/survey"), show_default=True,
    help="Folder of the survey; a later call goes on there.",
)  # fmt: skip
@click.option("--page", type=click.Path(path_type=Path), help="Also write table and chart into this Markdown page.")
@click.option("--fresh", is_flag=True, help="Start again; an earlier survey in the folder is renamed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    versions: tuple[str, ...],
    kernels: str | None,
    seeds: int,
    scenarios: tuple[str, ...],
    plan: Path | None,
    arch: Arch | None,
    workers: int | None,
    out: Path,
    page: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Boot many kernels and show what each did to locks, frames, launches and faults.

    Every kernel runs the same scenarios in virtual time under the same seeds. What a kernel cannot show is `unknown`,
    with the reason.
    """
    from android_suite.report.survey import render_survey
    from android_suite.survey.page import read_page, update_page, write_survey
    from android_suite.survey.plan import choose_kernels, choose_plan
    from android_suite.survey.run import open_survey

    if versions and kernels:
        raise UsageError("name the kernels as arguments or with --kernels, not both.")
    if page is not None:
        read_page(page)
    config = read_settings()
    file = choose_plan(plan, arch, seeds, scenarios)
    named = ",".join(versions) if versions else kernels
    chosen = choose_kernels(named, file.plan.arch, config)
    with open_survey(file, out, config, workers=workers, fresh=fresh, progress=_tell, say=say) as surveyor:
        found = surveyor.run(chosen, tell=lambda so_far: write_survey(so_far, out))
    if page is not None:
        update_page(page, found)
    if as_json:
        from android_suite.model.document import to_plain

        print_json(to_plain(found))
    else:
        print_text(render_survey(found))
    say(f"report: {out}/survey.md")


def _tell(event: Progress) -> None:
    minutes = f", about {event.remaining_s / 60:.0f} min left" if event.remaining_s >= 60 else ""
    say(f"[{event.done}/{event.total}{minutes}] {event.message}")
