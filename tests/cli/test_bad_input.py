"""A wrong word on the command line: one clear sentence with the next step, the right exit code, nothing touched."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from android_suite.cli.main import run
from tests.cli.conftest import MakeRun


def ends(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    status = run(arguments)
    return status, capsys.readouterr().err


def test_wrong_scenario(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, said = ends(["record", "gc_stres", "--kernel", "6.17.13", "-o", str(tmp_path / "r")], capsys)
    assert status == 2
    assert "gc_stress" in said
    assert not (tmp_path / "r").exists()


def test_wrong_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(["record", "gc_stress", "--kernel", "6.17.13", "--set", "duration=5"], capsys)[0] == 2
    assert ends(["record", "gc_stress", "--kernel", "6.17.13", "--set", "duration_ms=soon"], capsys)[0] == 2
    assert ends(["record", "gc_stress", "--kernel", "6.17.13", "--set", "nonsense"], capsys)[0] == 2


def test_folder_in_use(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    status, said = ends(["record", "gc_stress", "--kernel", "6.17.13", "-o", str(tmp_path)], capsys)
    assert status == 2
    assert "already exists" in said


def test_port_in_use(capsys: pytest.CaptureFixture[str], lab_kernels: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        kernel = str(lab_kernels / "linux-7.3.4-lab-per-vma.arm64.Image.gz")
        status, said = ends(["vdev", "start", "--kernel", kernel, "--port", str(taken.getsockname()[1])], capsys)
    assert status == 2
    assert "in use" in said


def test_no_qemu(
    capsys: pytest.CaptureFixture[str], lab_kernels: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    status, said = ends(
        ["vdev", "start", "--kernel", str(lab_kernels / "linux-7.3.4-lab-per-vma.arm64.Image.gz")], capsys
    )
    assert status == 4
    assert "make setup" in said


def test_a_kernel_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    fake = tmp_path / "Image"
    fake.write_bytes(b"not a kernel" * 100)
    assert ends(["record", "gc_stress", "--kernel", str(fake), "-o", str(tmp_path / "r")], capsys)[0] == 2
    assert (
        ends(["record", "gc_stress", "--kernel", str(tmp_path / "absent/Image"), "-o", str(tmp_path / "r")], capsys)[0]
        == 2
    )
    assert not (tmp_path / "r").exists()


def test_no_network_for_the_first_fetch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANDROID_SUITE_CACHE", str(tmp_path))
    monkeypatch.setenv("ANDROID_SUITE_DEBIAN_MIRROR", "http://127.0.0.1:9/none")
    status, said = ends(["kernels", "fetch", "6.17.13"], capsys)
    assert status == 4
    assert "check the network" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_cache_disk(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lab_kernels: Path
) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)], check=True)
    try:
        (tmp_path / "filler").write_bytes(b"\0" * 40_000)
        monkeypatch.setenv("ANDROID_SUITE_CACHE", str(tmp_path))
        status, said = ends(["kernels", "fetch", "6.17.13"], capsys)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert status == 4
    assert "disk full" in said
    assert "ANDROID_SUITE_CACHE" in said


def test_analyze_answers_usefully_to_anything(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, small_trace: Path
) -> None:
    text = small_trace.read_text()
    (tmp_path / "packed.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 100)
    (tmp_path / "folder").mkdir()
    for name in ("small.txt", "packed.gz"):
        capsys.readouterr()
        assert run(["analyze", str(tmp_path / name), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["source"]["events"] == 20
    for name, code in {"empty": 5, "picture": 2, "folder": 2, "absent": 2}.items():
        status, said = ends(["analyze", str(tmp_path / name)], capsys)
        assert status == code, name
        assert said.startswith("android-suite: ")
        assert len(said.splitlines()) <= 3


def test_compare_refuses_what_is_no_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, said = ends(["compare", str(tmp_path), str(tmp_path)], capsys)
    assert status == 2
    assert "record" in said


def test_report_refuses_what_is_no_result(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"schema": "else"}')
    (tmp_path / "y.json").write_text("{")
    assert ends(["report", str(tmp_path / "x.json")], capsys)[0] == 5
    assert ends(["report", str(tmp_path / "y.json")], capsys)[0] == 5
    assert ends(["report", str(tmp_path / "z.json")], capsys)[0] == 2


def test_compare_refuses_other_overlays(capsys: pytest.CaptureFixture[str], make_run: MakeRun) -> None:
    plain, tools, more = "none", "aa" * 32, "bb" * 32
    old = make_run("old", overlays=(tools,)).path
    for name, overlays in {"plain": (), "other": (more,), "turned": (more, tools)}.items():
        status, said = ends(["compare", str(old), str(make_run("new", name, overlays=overlays).path)], capsys)
        assert status == 6, name
        named = ", ".join(each[:16] for each in overlays) or plain
        assert f"overlays is '{tools[:16]}' against '{named}'" in said
    assert ends(["compare", str(old), str(make_run("new", "same", overlays=(tools,)).path)], capsys)[0] in (0, 1)


def test_a_bad_overlay_is_told_before_anything_boots(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, lab_kernels: Path
) -> None:
    kernel = str(lab_kernels / "linux-7.3.4-lab-per-vma.arm64.Image.gz")
    (tmp_path / "bad").write_text("no archive")
    for name, mode in (("absent", ()), ("bad", ()), ("bad", ("--deterministic",))):
        out = tmp_path / "r"
        words = ["record", "gc_stress", "--kernel", kernel, "--overlay", str(tmp_path / name), "-o", str(out), *mode]
        status, said = ends(words, capsys)
        assert status == 2
        assert str(tmp_path / name) in said
        assert not out.exists()


NASTY = "we\nird \x1b[31mred \"q' $(touch pwned);`id`"


def test_a_nasty_file_name(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, small_trace: Path) -> None:
    trace = tmp_path / f"{NASTY}.txt"
    trace.write_text(small_trace.read_text())
    assert run(["analyze", str(trace)]) == 0
    said, _ = capfdbinary.readouterr()
    assert b"\x1b" not in said
    assert run(["analyze", str(tmp_path / f"{NASTY} absent")]) == 2
    _, said = capfdbinary.readouterr()
    assert b"\x1b" not in said
    assert said.count(b"\n") == 1
    assert not (Path.cwd() / "pwned").exists()


def test_a_run_whose_name_is_no_text(make_run: MakeRun) -> None:
    path = os.fsencode(make_run("old", os.fsdecode(b"\xff")).path)
    command = [sys.executable, "-m", "android_suite.cli.main", "analyze", path, "--json"]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, capture_output=True, env=strict, check=False)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert os.fsencode(json.loads(done.stdout)["run"]) == path


def test_output_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path, small_trace: Path) -> None:
    status, said = ends(["analyze", str(small_trace), "-o", str(small_trace / "below")], capsys)
    assert status == 4
    assert said.startswith(f"android-suite: cannot write {small_trace}")
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from android_suite.cli.main import run; sys.exit(run(sys.argv[1:]))\n"
    )
    out = tmp_path / "full"
    words = [sys.executable, "-c", limited, "analyze", str(small_trace), "-o", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1
    assert "File too large" in done.stderr
    assert not list(out.glob(".*part"))


def test_export_onto_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path, small_trace: Path) -> None:
    status, said = ends(["export", str(small_trace), "--perfetto", str(tmp_path)], capsys)
    assert status == 2
    assert "is a directory" in said
    status, said = ends(["export", str(small_trace), "--perfetto", str(small_trace / "x.pftrace")], capsys)
    assert status == 2
    assert "is no folder" in said
    assert len(said.splitlines()) == 1


def test_a_hostile_process_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("a;b\n", "a b", "", "$(reboot)", "x" * 300):
        words = ["record", "command", "--run", "true", "--process", name, "--serial", "none-such", "-o"]
        status, said = ends([*words, str(tmp_path / "r")], capsys)
        assert status in (2, 4), name
        assert "Traceback" not in said
        assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_number_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path, number: str) -> None:
    status, said = ends(["soak", "--hours", number, "--out", str(tmp_path / "s")], capsys)
    assert status == 2
    assert f"{number} is not a finite number" in said
