"""Who reads a command's output may leave early, and the disk it goes to may be full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from android_suite.cli.main import run
from android_suite.cli.output import print_table, say
from android_suite.virtual.cache import Cache
from tests.cli.conftest import MakeRun

COMMAND = (sys.executable, "-m", "android_suite.cli.main")


def run_unread(*arguments: str, both: bool = False) -> tuple[int, str]:
    """Runs a command whose stdout (or both streams) goes into a pipe that nobody reads; status and stderr."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*COMMAND, *arguments], stdout=write, stderr=write if both else subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(write)
    return done.returncode, done.stderr or ""


def test_a_reader_that_leaves_changes_nothing(small_trace: Path) -> None:
    assert run_unread("analyze", str(small_trace)) == (0, "")
    assert run_unread("analyze", str(small_trace), "--json") == (0, "")


def test_nor_does_it_hide_how_a_comparison_ended(make_run: MakeRun) -> None:
    old, new = make_run("old").path, make_run("new").path
    heard = run(["compare", str(old), str(new)])
    assert heard in (0, 1)
    assert run_unread("compare", str(old), str(new)) == (heard, "")
    gate = old.parent / "gates.toml"
    gate.write_text('[[gate]]\nmetric = "invertedMs"\nscenario = "command"\nmargin = "5 %"\n')
    assert run_unread("compare", str(old), str(new), "--gate", str(gate)) == (1, "")


@pytest.mark.parametrize("words", ["--help", "--version", "analyze --help", "kernels list", "vdev list", "devices"])
def test_nobody_reads(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(tmp_path).write_entry("kernels", "linux-image-6.17.13+deb13-cloud-arm64", {}, {})
    monkeypatch.setenv("ANDROID_SUITE_CACHE", str(tmp_path))
    monkeypatch.setenv("ANDROID_SUITE_DEBIAN_MIRROR", "file:///nowhere")  # a list of Debian's is not the matter here
    status, said = run_unread(*words.split())
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert status in ((0, 4) if words == "devices" else (0,))


@pytest.mark.parametrize(("words", "status"), [("analyze", 2), ("analyze absent", 2), ("analyze -o", 2)])
def test_nobody_hears_the_fault_either(words: str, status: int) -> None:
    assert run_unread(*words.split(), both=True)[0] == status


@pytest.mark.parametrize("words", ["analyze {}", "analyze {} --json"])
def test_a_full_disk_behind_stdout(small_trace: Path, words: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *words.format(small_trace).split()], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        "android-suite: the output cannot be written: No space left on device; free some space."
    ]


def test_names_from_files_and_devices_cannot_write_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("commit \x1b[2Jx\nnext \u202eline é")
    print_table(["serial"], [["A\x1b[31m[bold]"]])
    told = capsys.readouterr()
    assert told.err == "commit ⟨U+001B⟩[2Jx\nnext ⟨U+202E⟩line é\n"
    assert "A⟨U+001B⟩[31m[bold]" in told.out


@pytest.mark.parametrize(
    "words",
    [
        "analyze {trace} -o {file}",
        "bisect --kernels 6.16.12..6.17.13 --metric invertedMs -o {file}",
        "compare {trace} {trace} -o {file}",
        "kernels survey -o {file}",
        "qualify --dry-run -o {file}",
        "record gc_stress --deterministic --kernel 6.17.13 -o {file}",
        "soak -o {file}",
    ],
)
def test_a_folder_for_results_that_is_a_file_is_refused_before_anything_runs(
    words: str, small_trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    assert run(words.format(file=file, trace=small_trace).split()) == 2
    assert f"'{file}' is a file" in capsys.readouterr().err
    assert file.read_text() == "mine"
