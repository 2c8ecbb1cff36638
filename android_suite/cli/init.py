"""`android-suite init`: a plan, settings and a CI file to start from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from android_suite.cli.output import print_text, say
from android_suite.errors import LabError, UsageError

WRITTEN: Final = {
    "plan.toml": "plan.toml",
    "suite.toml": "suite.toml",
    ".github/workflows/android-suite.yml": "android-suite.yml",
}  # path in the folder -> template


@click.command("init", short_help="Write a plan, settings and a CI file to start from.")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def command(folder: Path, force: bool) -> None:
    """Write a commented plan.toml, suite.toml and a GitHub workflow into DIR (by default this folder).

    The plan compares two Debian kernels on virtual devices and runs as it is. Nothing is overwritten without --force.
    """
    there = [name for name in WRITTEN if (folder / name).exists() or (folder / name).is_symlink()]
    if there and not force:
        raise UsageError(f"{folder} has {', '.join(there)} already; choose another folder, or --force to overwrite.")
    for name, template in WRITTEN.items():
        _write(folder / name, files("android_suite.cli").joinpath("templates", template).read_text(encoding="utf-8"))
        print_text(f"{folder / name}\n")
    say(f"edit {folder / 'plan.toml'}, then run: android-suite qualify {folder / 'plan.toml'} --dry-run")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another folder.") from error
    except OSError as error:
        raise LabError(f"cannot write {path}: {error.strerror}; check the folder and its disk.") from error
