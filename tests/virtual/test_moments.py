"""What happens between two steps of a virtual device's life: each moment is made, none is waited for."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from android_suite.config import Config
from android_suite.device import adb
from android_suite.errors import LabError, MachineError
from android_suite.virtual import adb_link
from android_suite.virtual.kernels import KernelImage
from android_suite.virtual.machine import VirtualDevice
from android_suite.virtual.registry import Registry

PANIC = "[    1.0] Kernel panic - not syncing: x\n"


def test_a_panic_between_two_looks_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = KernelImage(name="k", arch="arm64", path=tmp_path / "k", release="6.17", sha256="0" * 64)
    device = VirtualDevice(kernel=kernel, config=Config(cache=tmp_path))
    device._record = Registry(device._config).create(
        detached=False, arch="arm64", kernel="k", release=None, accel="tcg", deterministic=False
    )
    device._process = SimpleNamespace(returncode=0)  # type: ignore[assignment]
    consoles = iter(["booting\n"])

    def read_console() -> str:
        """At the first look the guest still boots; while that is read, it panics and QEMU ends."""
        seen = next(consoles, "booting\n" + PANIC)
        device._exited.set()
        return seen

    monkeypatch.setattr(device, "read_console", read_console)
    assert device.exit_report().kind == "running"
    assert device.exit_report().kind == "crashed"


def test_a_device_that_is_named_while_another_process_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(Config(cache=tmp_path))
    (registry.root / ".new-x").mkdir(parents=True)
    glob = Path.glob

    def slow_glob(self: Path, pattern: str) -> Iterator[Path]:
        for found in list(glob(self, pattern)):
            if found.name == ".new-x":
                found.rename(found.with_name("vd-x"))
            yield found

    monkeypatch.setattr(Path, "glob", slow_glob)
    assert registry.sweep() == []
    assert (registry.root / "vd-x").is_dir()


@pytest.fixture
def config() -> Iterator[Config]:
    """Of an adb server that does not run; `start-server` fails, because another process is just starting one."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        yield Config(adb_server_port=reserved.getsockname()[1])


@pytest.mark.parametrize("how", ["taken", "late", "absent"])
@pytest.mark.parametrize("start", [adb.start_server, adb_link.start_server])
def test_two_start_the_adb_server_at_once(
    config: Config, monkeypatch: pytest.MonkeyPatch, start: Any, how: str
) -> None:
    with ExitStack() as stack:

        def run(argv: list[str], *, check: bool, timeout: float, **more: Any) -> subprocess.CompletedProcess[bytes]:
            if how != "absent":
                other = socket.socket()
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                stack.enter_context(other).bind(("127.0.0.1", config.adb_server_port))
                other.listen()
            if how == "late":
                raise subprocess.TimeoutExpired(argv, timeout)
            if check:
                raise subprocess.CalledProcessError(1, argv)
            return subprocess.CompletedProcess(argv, 1)

        monkeypatch.setattr(subprocess, "run", run)
        if how == "absent":
            with pytest.raises((LabError, MachineError), match="start-server"):
                start(config)
        else:
            start(config)
