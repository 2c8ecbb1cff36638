"""`android-suite kernels`: the kernels that a virtual device can boot."""

from __future__ import annotations

from pathlib import Path

import click

from android_suite.campaign.ending import end_as_interrupted
from android_suite.cli import survey
from android_suite.cli.output import print_json, print_table, say
from android_suite.cli.settings import read_settings, setting
from android_suite.virtual import build
from android_suite.virtual.cache import Cache
from android_suite.virtual.kernel_config import CONFIGURATIONS
from android_suite.virtual.kernels import ARCHES, KernelImage, fetch_kernel, list_kernels

_arch = click.option(
    "--arch", type=click.Choice(ARCHES), default=setting("arch", "arm64"), help="Architecture (arm64 by default)."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("kernels")
def command() -> None:
    """List, fetch, build and survey the kernels for virtual devices."""


command.add_command(survey.command)


@command.command("list")
@_arch
@_json
def list_command(arch: str, as_json: bool) -> None:
    """List Debian's kernels and the pairs built on this host."""
    config = read_settings()
    rows = [
        {"name": k.name, "release": k.release, "from": k.package, "cached": k.cached, "serial": k.serial}
        for k in list_kernels(arch, config=config)
    ] + [
        {"name": side.name, "release": side.release, "from": pair.source, "cached": True, "serial": side.serial}
        for pair in build.list_pairs(cache=Cache(config.cache))
        for side in (pair.baseline, pair.candidate)
        if side.arch == arch
    ]
    if as_json:
        print_json({"schema": "android-suite/kernels", "version": 1, "arch": arch, "kernels": rows})
    else:
        print_table(
            ["name", "release", "from", "cached", "adb through"],
            [
                [*map(str, list(r.values())[:3]), "yes" if r["cached"] else "", "serial port" if r["serial"] else ""]
                for r in rows
            ],
        )
        if any(r["serial"] for r in rows):
            say("serial port: Debian has dropped the modules and the configuration of this kernel; see docs/kernels.md")


@command.command("fetch")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_arch
@_json
def fetch_command(names: tuple[str, ...], arch: str, as_json: bool) -> None:
    """Fetch kernels into the cache: versions or releases that `kernels list` shows."""
    fetched = []
    for name in names:
        say(f"fetching {name}")
        fetched.append(_describe(fetch_kernel(name, arch, config=read_settings())))
    if as_json:
        print_json({"schema": "android-suite/kernels", "version": 1, "arch": arch, "kernels": fetched})
    else:
        print_table(["name", "release", "sha256", "path"], [[str(v) for v in row.values()] for row in fetched])


@command.command("build")
@click.argument("name")
@click.option(
    "--source", default=build.NEWEST, show_default="Debian's newest", metavar="PKG|DIR",
    help="Debian source package, such as linux-source-7.3, or a git tree.",
)  # fmt: skip
@click.option(
    "--patch", required=True, type=click.Path(path_type=Path), help="Unified diff for patch -p1, or a series."
)
@click.option(
    "--config", "configuration", type=click.Choice(CONFIGURATIONS), default="lab", show_default=True,
    help="lab: the smallest kernel; gki: with the options of Android's GKI; debug: with KASAN and lockdep.",
)  # fmt: skip
@click.option("--revert", is_flag=True, help="The source has the patch: revert it in the baseline.")
@click.option("--lock-stat", is_flag=True, help="Build with LOCK_STAT; do not use such a kernel for timing.")
@click.option("--jobs", type=click.IntRange(1), help="Parallel compilers (default: all CPUs).")
@_arch
@_json
@end_as_interrupted()
def build_command(
    name: str,
    source: str,
    patch: Path,
    configuration: str,
    revert: bool,
    lock_stat: bool,
    jobs: int | None,
    arch: str,
    as_json: bool,
) -> None:
    """Build a pair of kernels that differ in one patch; boot them as NAME:baseline and NAME:candidate."""
    pair = build.PairBuild(
        source=source,
        patch=patch,
        arch=arch,
        configuration=configuration,
        revert=revert,
        lock_stat=lock_stat,
        jobs=jobs,
        progress=say,
        config=read_settings(),
    ).build(name)
    sides = [_describe(side) for side in (pair.baseline, pair.candidate)]
    if as_json:
        print_json(
            {"schema": "android-suite/kernels", "version": 1, "arch": arch, "source": pair.source, "kernels": sides}
        )
    else:
        print_table(["name", "release", "sha256", "path"], [[str(v) for v in row.values()] for row in sides])


def _describe(kernel: KernelImage) -> dict[str, str | None]:
    return {"name": kernel.name, "release": kernel.release, "sha256": kernel.sha256, "path": str(kernel.path)}
