"""`qualify --patch` on a folder of five files that stands in for the kernel: what is said, and the exit code."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from android_suite.cli.main import run
from android_suite.virtual import series_tree
from tests.virtual.stand_in import change, make_tree


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(series_tree, "check_tools", lambda arch: None)
    monkeypatch.setenv("ANDROID_SUITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    make_tree(tmp_path / "linux")
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("7", "8", "hunk 1 of a.c (at line 1) does not fit; rebase it onto commit"),
        (
            "0",
            "BROKEN",
            "could not build the kernel with the patch: a.c:1:9: error: 'BROKEN' undeclared; mend my.patch",
        ),
    ],
)
def test_a_patch_that_does_not_fit_or_compile(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    (folder / "my.patch").write_bytes(change("a", old, new).diff)
    assert run(["qualify", "--patch", "my.patch", "--source", "linux"]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "two kernels and 48 boots" in told
    assert not (folder / "reports").exists(), "nothing was measured"


def test_a_build_that_sigterm_ends_goes_on_where_it_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "my.patch").write_bytes(change("a", "0", "1").diff)
    argv = ["kernels", "build", "mine", "--patch", "my.patch", "--source", "linux"]
    with monkeypatch.context() as patch:
        patch.setattr(series_tree.BuildProgress, "count", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        assert run(argv) == 130
    (tree,) = (folder / "cache/trees").iterdir()
    (tree / "mark").touch()
    assert run(argv) == 0, capsys.readouterr().err
    assert (tree / "mark").exists(), "the tree was not unpacked again"


def test_the_schedule_of_a_patch(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "my.patch").write_bytes(change("a", "0", "1").diff)
    assert run(["qualify", "--patch", "my.patch", "--source", "linux", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "48 jobs" in told
    assert all(name in told for name in ("vma_stress", "page_faults", "madvise_safety"))
    assert not (folder / "cache/trees").exists(), "nothing was built"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give a PLAN, or --patch FILE"),
        (["plan.toml", "--revert"], "are for --patch"),
        (["--patch", "none.patch", "--source", "linux"], "no patch at none.patch"),
        (["--patch", "text.patch", "--source", "linux"], "is not a unified diff"),
        (["--patch", "my.patch", "--source", "./nothing"], "nothing"),
        (["--patch", "my.patch", "--aa"], "give one of them"),
        (["none.toml", "--patch", "my.patch", "--source", "linux"], "cannot read the plan none.toml"),
        (["--patch", "my.patch", "--config", "phone"], "phone"),
    ],
)
def test_bad_input(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    (folder / "my.patch").write_bytes(change("a", "0", "1").diff)
    (folder / "text.patch").write_text("dear all,\n")
    assert run(["qualify", *words]) == 2
    assert said in capsys.readouterr().err
