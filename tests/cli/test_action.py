"""The shell lines of the GitHub action and of the workflows: run as a runner runs them, with stand-ins for what they call."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

_EXPRESSION = re.compile(r"\$\{\{.*?\}\}")
# What a hosted runner starts for `shell: bash`.
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
# A stand-in tells its words, one a line, and the exit code that it was given.
STAND_IN = '#!/bin/bash\nprintf "%s\\n" "${0##*/}" "$@" >> "$TOLD"\nexit "${FAILS:-0}"\n'


def steps_of(project_root: Path) -> dict[str, dict[str, Any]]:
    action = yaml.safe_load((project_root / "action.yml").read_text())
    return {step["name"]: step for step in action["runs"]["steps"]}


def find_scripts(project_root: Path) -> Iterator[tuple[str, str, str]]:
    """Where, with which shell, and the lines: of the action, of what `init` writes, and of the workflows in the docs."""
    for name, step in steps_of(project_root).items():
        if "run" in step:
            yield f"action.yml, {name}", step["shell"], step["run"]
    template = (project_root / "android_suite/cli/templates").glob("*.yml")
    texts = {file.name: file.read_text() for file in template}
    for page in ("docs/ci.md", "docs/lab.md"):
        blocks = re.findall(r"^```yaml\n(.*?)^```", (project_root / page).read_text(), re.MULTILINE | re.DOTALL)
        texts |= {f"{page} {number}": block for number, block in enumerate(blocks)}
    for name, text in texts.items():
        for job in yaml.safe_load(text).get("jobs", {}).values():
            for step in job.get("steps", ()):
                if "run" in step:
                    yield name, "bash", step["run"]
                # android-emulator-runner gives each line of `script` to a shell of its own
                for line in str(step.get("with", {}).get("script", "")).splitlines():
                    yield f"{name}, script", "sh", line


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """A runner's folders and programs. Blanks are where a careless line would break."""
    (tmp_path / "my action/.venv/bin").mkdir(parents=True)
    (tmp_path / "work space").mkdir()
    (tmp_path / "bin").mkdir()
    for name in ("make", "python3", "android-suite"):
        (tmp_path / "bin" / name).write_text(STAND_IN)
        (tmp_path / "bin" / name).chmod(0o755)
    shutil.copy(tmp_path / "bin/make", tmp_path / "my action/.venv/bin/pip")
    return tmp_path


def run_step(runner: Path, step: Mapping[str, Any], **environment: str) -> tuple[int, list[str]]:
    """Runs a step; its exit code and the words of the programs that it called."""
    assert set(step.get("env", {})) <= set(environment)
    told = runner / "told"
    told.write_text("")
    script = runner / "step.sh"
    script.write_text(step["run"])
    done = subprocess.run(
        [*BASH, str(script)], cwd=runner / "work space", check=False, timeout=60,
        env={
            "PATH": f"{runner / 'bin'}:{os.environ['PATH']}", "HOME": "/home/runner", "TOLD": str(told),
            "GITHUB_ACTION_PATH": str(runner / "my action"), "GITHUB_PATH": str(runner / "path"),
            "GITHUB_ENV": str(runner / "env"), "GITHUB_STEP_SUMMARY": str(runner / "summary"), **environment,
        },
    )  # fmt: skip
    return done.returncode, told.read_text().splitlines()


def test_every_line_is_valid_shell(project_root: Path) -> None:
    scripts = list(find_scripts(project_root))
    assert len([name for name, _, _ in scripts if name.startswith("action.yml")]) == 3
    assert any("script" in name for name, _, _ in scripts)
    for name, shell, text in scripts:
        # an expression is put into the text before any shell sees it: only `env` is safe for what a user gives
        assert not _EXPRESSION.search(text), name
        done = subprocess.run([shell, "-n"], input=text, text=True, capture_output=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), (name, text)
        if checker := shutil.which("shellcheck"):
            done = subprocess.run(
                [checker, f"--shell={shell}", "-"], input=text, text=True, capture_output=True, check=False, timeout=60
            )
            assert done.returncode == 0, (name, done.stdout)


def test_it_installs_all_or_what_phones_need(project_root: Path, runner: Path) -> None:
    step = steps_of(project_root)["Install android-suite"]
    home = str(runner / "my action")
    assert run_step(runner, step, PHONES_ONLY="false") == (0, ["make", "-C", home, "setup"])
    assert (runner / "path").read_text() == f"{home}/.venv/bin\n"
    assert (runner / "env").read_text() == (
        f"ANDROID_SUITE_HOME={home}\nANDROID_SUITE_CACHE=/home/runner/.cache/android-suite\n"
    )
    code, told = run_step(runner, step, PHONES_ONLY="true")
    assert code == 0
    assert told == ["python3", "-m", "venv", f"{home}/.venv", "pip", "install", "--quiet", home, "pytest"]
    (runner / "path").unlink()
    assert run_step(runner, step, PHONES_ONLY="false", FAILS="2")[0] == 2
    assert not (runner / "path").exists()  # what was not installed is not offered to the next step


@pytest.mark.parametrize("serial", ["", "emulator-5554", "adb-1A2B (2)._adb-tls-connect._tcp", "$(reboot);"])
@pytest.mark.parametrize("plan", ["plan.toml", "my plans/a b.toml", "$(touch pwned).toml", "it's.toml"])
def test_it_qualifies_the_plan_and_ends_as_qualify_does(
    project_root: Path, runner: Path, plan: str, serial: str
) -> None:
    step = steps_of(project_root)["Qualify"]
    chosen = ["--serial", serial] if serial else []
    expected = ["android-suite", "qualify", plan, "-o", "re ports", *chosen]
    for code in ("0", "1", "5"):
        assert run_step(runner, step, PLAN=plan, OUTPUT="re ports", SERIAL=serial, FAILS=code) == (int(code), expected)
    assert list((runner / "work space").iterdir()) == []


def test_the_summary_has_every_report(project_root: Path, runner: Path) -> None:
    step = steps_of(project_root)["Summary"]
    assert step["if"].startswith("always()")
    assert run_step(runner, step, OUTPUT="re ports")[0] == 0  # there is none if the plan was refused
    assert (runner / "summary").read_text() == ""
    for name in ("vs-a b", "vs-c"):
        folder = runner / "work space/re ports" / name
        folder.mkdir(parents=True)
        (folder / "report.md").write_text(f"# {name}\n")
    assert run_step(runner, step, OUTPUT="re ports")[0] == 0
    assert sorted((runner / "summary").read_text().split("\n")) == ["", "# vs-a b", "# vs-c"]
