"""House rules that a reader should be able to rely on."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path

import click
import pytest

from android_suite.cli.main import VERBS, cli, run


def tracked(project_root: Path) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=project_root, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    return [project_root / name for name in listed.split("\0") if name and (project_root / name).is_file()]


def test_nothing_names_a_registry_or_a_checkout(project_root: Path) -> None:
    host = re.compile(r"https?://[^ \"']*(/simple\b|/debian\b|/maven2?\b|registry\.)")
    for file in tracked(project_root):
        text = file.read_bytes().decode(errors="replace")
        assert not host.search(text), file
        assert f"{project_root.parent}/" not in text, file


def test_files_stay_readable(project_root: Path) -> None:
    for file in tracked(project_root):
        if file.suffix == ".py":
            assert len(file.read_text().splitlines()) <= 600, f"{file} wants to be two rooms"


def test_every_module_can_be_imported(project_root: Path) -> None:
    for file in tracked(project_root):
        name = file.relative_to(project_root)
        if name.suffix == ".py" and name.parts[0] in ("android_suite", "benchmarks", "scripts"):
            importlib.import_module(".".join(name.with_suffix("").parts))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == 0
    assert "Usage: android-suite" in capsys.readouterr().out


def test_every_option_has_a_help_text() -> None:
    context = click.Context(cli)
    for verb in VERBS:
        command = cli.get_command(context, verb)
        assert command is not None
        subcommands = list(command.commands.values()) if isinstance(command, click.Group) else [command]
        for each in subcommands:
            assert each.help, each.name
            for option in each.params:
                if isinstance(option, click.Option):
                    assert option.help, f"{verb}: {option.name}"


def test_a_typo_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recrod"]) == 2
    assert "No such command" in capsys.readouterr().err
