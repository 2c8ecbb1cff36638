"""suite.toml through the commands: flags win over the environment, that over the file, that over the defaults."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from android_suite.boot import virtual as boot
from android_suite.cli import vdev
from android_suite.cli.main import run
from android_suite.errors import UsageError
from android_suite.virtual.cache import Cache

NOWHERE = "file:///nowhere"  # no mirror, and apt does not wait and try again as it does with one on the network
VARIABLES = ("ANDROID_SERIAL", "ANDROID_ADB_SERVER_HOST", "ANDROID_ADB_SERVER_PORT", "ANDROID_SUITE_CACHE")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but the test's."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANDROID_SUITE_DEBIAN_MIRROR", NOWHERE)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def adb_servers() -> Iterator[list[int]]:
    """Ports of two adb servers, each of which knows one device, named by its port."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [each.getsockname()[1] for each in sockets]
    for listener, port in zip(sockets, ports, strict=True):
        threading.Thread(target=_serve, args=(listener, f"phone-{port}\toffline\n"), daemon=True).start()
    yield ports
    for each in sockets:
        each.close()


def _serve(listener: socket.socket, devices: str) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            if connection.recv(100):
                connection.sendall(f"OKAY{len(devices):04x}{devices}".encode())


def serial_seen(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    before = dict(os.environ)
    assert run(["devices", "--json"]) == 0
    assert dict(os.environ) == before  # what a command sets for itself is gone when it ends
    [device] = json.loads(capsys.readouterr().out)["devices"]
    return str(device["serial"])


def test_the_adb_server_of_the_file_or_of_the_environment(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, adb_servers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = adb_servers
    (tmp_path / "suite.toml").write_text(f"[adb]\nserver_port = {first}\n")
    assert serial_seen(capsys) == f"phone-{first}"
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(second))
    assert serial_seen(capsys) == f"phone-{second}"


def test_cache_and_architecture(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "suite.toml").write_text('[virtual]\narch = "amd64"\n[cache]\nfolder = "kept"\n')
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    for arch in ("arm64", "amd64"):
        Cache(tmp_path / "kept").write_entry("kernels", f"linux-image-6.17.13+deb13-cloud-{arch}", {}, {})
    for flags, arch in (((), "amd64"), (("--arch", "arm64"), "arm64")):
        assert run(["kernels", "list", "--json", *flags]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["arch"] == arch
        assert [kernel["release"] for kernel in said["kernels"]] == [f"6.17.13+deb13-cloud-{arch}"]
    monkeypatch.setenv("ANDROID_SUITE_CACHE", str(tmp_path / "other"))
    assert run(["kernels", "list", "--json"]) == 4


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("vdev start --kernel {}", (1, 700)),
        ("vdev start --kernel {} --cpus 4 --memory-mb 512", (4, 512)),
        ("record gc_stress --kernel {} -o out", (1, 700)),
        ("record gc_stress --kernel {} -o out --cpus 2", (2, 700)),
        ("record gc_stress --kernel {} -o out --deterministic", (1, 700)),
    ],
)
def test_the_virtual_device(
    words: str, expected: tuple[int, int], tmp_path: Path, lab_kernels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    def stop(**described: Any) -> None:
        seen.append(described)
        raise UsageError("stopped where it would boot.")

    monkeypatch.setattr(vdev, "VirtualDevice", stop)
    monkeypatch.setattr(boot, "VirtualDevice", stop)
    # An architecture in the file is for kernels that do not say theirs; this one does, and is another.
    (tmp_path / "suite.toml").write_text('[virtual]\narch = "amd64"\ncpus = 1\nmemory_mb = 700\n')
    kernel = lab_kernels / "linux-7.3.4-lab-per-vma.arm64.Image.gz"
    assert run(words.format(kernel).split()) == 2
    assert [(each["cpus"], each["memory_mb"], each["kernel"].arch) for each in seen] == [(*expected, "arm64")]


@pytest.mark.parametrize(
    "words", ["devices", "doctor", "vdev list", "kernels list", "record gc_stress", "qualify p.toml"]
)
def test_a_fault_in_it_is_named(words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "suite.toml"
    file.write_text("[virtual]\ncpus = 1\nmemory_mb = '1 GB'\n")
    assert run(words.split()) == 2
    assert capsys.readouterr().err == (
        f"android-suite: {file}:3: virtual.memory_mb: expected a valid integer, found '1 GB'\n"
    )
    file.write_text("[virtual]\nmemory_mb = 100\n")
    assert run(words.split()) == 2
    assert "memory_mb: expected 256 or more, found 100" in capsys.readouterr().err


def test_the_offline_half_does_not_care(tmp_path: Path, small_trace: Path) -> None:
    (tmp_path / "suite.toml").write_text("what is this")
    assert run(["analyze", str(small_trace), "--json"]) == 0


def test_sigterm_ends_a_recording_as_an_interrupt_does(
    lab_kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(boot, "VirtualDevice", lambda **_: os.kill(os.getpid(), signal.SIGTERM))
    kernel = lab_kernels / "linux-7.3.4-lab-per-vma.arm64.Image.gz"
    assert run(["record", "gc_stress", "--kernel", str(kernel), "-o", str(tmp_path / "out")]) == 130
    assert not (tmp_path / "out").exists(), "nothing was recorded"
    assert signal.getsignal(signal.SIGTERM) == before
