"""`lab serve` as a process: it says where it is, sends what changes, ends on Ctrl-C, and refuses what is unsafe."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from android_suite.cli.main import run
from tests.lab_page.test_app import EVENTS, journal

PROJECT = Path(__file__).resolve().parents[2]


@contextmanager
def serving(store: Path, port: int = 0, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command on a store, with its address."""
    argv = [
        sys.executable,
        "-m",
        "android_suite.cli.main",
        "lab",
        "serve",
        "--store",
        str(store),
        "--port",
        str(port),
        *more,
    ]
    # An adb server that is not there: the page shows why it has no list of devices.
    env = {**os.environ, "PYTHONPATH": str(PROJECT), "ANDROID_ADB_SERVER_PORT": "1"}
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, cwd=store, env=env)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"https?://\S+", line)
        assert found, line + process.stderr.read()
        yield process, found[0].rstrip(";")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        process.stderr.close()


def test_what_changes_is_sent(tmp_path: Path) -> None:
    campaign = tmp_path / "c"
    campaign.mkdir()
    (campaign / "journal.jsonl").write_text(journal(*EVENTS))
    with serving(tmp_path) as (_, address), urllib.request.urlopen(f"{address}events", timeout=60) as stream:
        first = read_event(stream)
        assert {"devices", "campaigns"} <= first.keys()
        assert "1 of 4 jobs" in first["campaigns"]
        with (campaign / "journal.jsonl").open("a") as out:
            out.write(journal({"event": "progress", "done": 2, "total": 4, "running": [], "remaining_s": 1}))
        second = read_event(stream)
        assert "2 of 4 jobs" in second["campaigns"]
        assert "devices" not in second, "what did not change is not sent again"


def read_event(stream: object) -> dict[str, str]:
    while not (line := stream.readline()).startswith(b"data: "):  # type: ignore[attr-defined]
        assert line, "the stream ended"
    told: dict[str, str] = json.loads(line[6:])
    return told


def test_ctrl_c_ends_it_while_somebody_reads(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, address):
        stream = urllib.request.urlopen(f"{address}events", timeout=60)
        read_event(stream)
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert process.returncode is not None
        stream.close()


def test_beyond_loopback_a_token_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "serve", "--store", str(tmp_path), "--host", "0.0.0.0"]) == 2
    assert "add --token-file FILE" in capsys.readouterr().err


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "serve", "--store", str(tmp_path / "absent")]) == 2
    assert "name the folder of your campaigns with --store" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run(["lab", "serve", "--store", str(tmp_path), "--port", str(taken.getsockname()[1])]) == 4
    assert "choose another with --port" in capsys.readouterr().err
    assert run(["lab", "serve", "--store", str(tmp_path), "--tls-cert", str(tmp_path / "c.pem")]) == 2
    assert "go together" in capsys.readouterr().err
    (tmp_path / "c.pem").write_text("no certificate")
    pem = str(tmp_path / "c.pem")
    assert run(["lab", "serve", "--store", str(tmp_path), "--port", "0", "--tls-cert", pem, "--tls-key", pem]) == 2
    assert "cannot be used" in capsys.readouterr().err
