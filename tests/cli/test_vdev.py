"""Virtual devices that vanished: the lists clean up after them, and say so."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from android_suite.cli.main import run
from android_suite.config import Config
from android_suite.virtual.registry import DeviceRecord, Registry, read_start


def start_detached(registry: Registry, console: str) -> tuple[DeviceRecord, subprocess.Popen[bytes]]:
    """A device as a `vdev start` that has ended leaves it; its QEMU is a process that sleeps."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    record = registry.create(
        detached=True, arch="arm64", kernel="6.17.13", release=None, accel="tcg", deterministic=False
    )
    record = dataclasses.replace(
        record, pid=process.pid, pid_start=read_start(process.pid) or 0, owner_pid=999_999_999, owner_start=1
    )
    registry.update(record)
    record.console.write_text(console)
    return record, process


@pytest.mark.parametrize("words", [["vdev", "list"], ["devices"]])
@pytest.mark.parametrize(
    ("console", "why"),
    [
        ("[    1.0] Linux version 6.17.13\n", "its QEMU was killed by another process"),
        ("[    9.1] Kernel panic - not syncing: sysrq\n", "Kernel panic - not syncing: sysrq"),
        ("[    9.1] reboot: Power down\n", "the guest powered off"),
    ],
)
def test_a_device_that_vanished(
    words: list[str],
    console: str,
    why: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANDROID_SUITE_CACHE", str(tmp_path))
    registry = Registry(Config(cache=tmp_path))
    gone, killed = start_detached(registry, console)
    alive, process = start_detached(registry, "")
    try:
        killed.kill()
        killed.wait()
        assert run([*words, "--json"]) == 0
        out, said = capsys.readouterr()
        assert f"{gone.id} has ended ({why}); removed its files" in said
        assert not gone.folder.exists()
        if words == ["vdev", "list"]:
            assert [each["id"] for each in json.loads(out)["devices"]] == [alive.id]
        assert run([*words, "--json"]) == 0
        assert gone.id not in capsys.readouterr().err
    finally:
        process.kill()
        process.wait()
