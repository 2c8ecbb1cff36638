from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from android_suite.config import Config
from android_suite.errors import MachineError, UsageError
from android_suite.virtual.cache import Cache
from android_suite.virtual.kernels import KernelImage
from android_suite.virtual.machine import VirtualDevice
from android_suite.virtual.qemu import choose_accel, read_qemu_version, render_argv

KERNEL = KernelImage(name="k", release="6.17.13", arch="arm64", path=Path("/k/Image"), sha256="0" * 64)


def render(**changes: object) -> str:
    options: dict[str, object] = {
        "kernel": KERNEL,
        "initrd": Path("/i"),
        "accel": "tcg",
        "cpus": 2,
        "memory_mb": 1024,
        "port": 0,
        "deterministic": False,
        "seed": 7,
    }
    return " ".join(render_argv(**(options | changes)))  # type: ignore[arg-type]


def fake_qemu(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    program = folder / "qemu-system-aarch64"
    program.write_text(f"#!/bin/sh\necho '{text}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_realtime_device_has_its_card_from_the_start() -> None:
    line = render()
    assert "qemu-system-aarch64 -M virt -cpu max,pauth-impdef=on -accel tcg,thread=multi" in line
    assert "hostfwd=tcp:127.0.0.1:0-:5555" in line
    assert "-icount" not in line
    assert "transparent_hugepage=never" in line
    assert "panic=-1" in line


def test_deterministic_device_has_no_card_and_no_host_clock() -> None:
    line = render(deterministic=True)
    assert "-icount shift=0,sleep=off -seed 7 -rtc base=2026-01-01T00:00:00,clock=vm" in line
    assert "thread=multi" not in line
    assert "hostfwd" not in line
    assert "nokaslr norandmaps" in line
    assert line != render(deterministic=True, seed=8)


def test_a_kernel_without_a_driver_for_the_card_has_a_serial_port() -> None:
    kernel = replace(KERNEL, serial=True)
    line = render(kernel=kernel, port=5)
    assert "socket,id=adb,host=127.0.0.1,port=5,server=on,wait=off" in line
    assert "name=android-suite.adb" in line
    assert "virtio-net" not in line
    assert render(kernel=kernel, deterministic=True) == render(
        deterministic=True
    )  # it is plugged in later, as the card is


def test_no_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="qemu-system-aarch64 not found; run make setup"):
        VirtualDevice(kernel=KERNEL, config=Config(cache=tmp_path)).start()


@pytest.mark.parametrize(
    ("said", "match"),
    [("QEMU emulator version 7.2.17 (Debian)", r"version 7\.2\.17, older than 10"), ("hello", "gives no version")],
)
def test_wrong_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, match: str) -> None:
    fake_qemu(tmp_path, monkeypatch, said)
    with pytest.raises(MachineError, match=match):
        read_qemu_version("arm64")


def test_new_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_qemu(tmp_path, monkeypatch, "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)")
    assert read_qemu_version("arm64") == "10.0.2"


@pytest.mark.parametrize("deterministic", [False, True])
def test_port_in_use_is_named(tmp_path: Path, deterministic: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        device = VirtualDevice(kernel=KERNEL, port=port, deterministic=deterministic, config=Config(cache=tmp_path))
        with pytest.raises(UsageError, match=f"port {port} is in use; choose another"):
            device.start()


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_port_out_of_range(tmp_path: Path, port: int) -> None:
    with pytest.raises(UsageError, match=f"port {port} is not between 1 and 65535"):
        VirtualDevice(kernel=KERNEL, port=port, config=Config(cache=tmp_path)).start()


@pytest.mark.parametrize(
    ("cpus", "memory_mb", "match"), [(0, 1024, "0 virtual CPUs"), (9, 1024, "9 virtual"), (2, 64, "64 MB")]
)
def test_impossible_machine(tmp_path: Path, cpus: int, memory_mb: int, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        VirtualDevice(kernel=KERNEL, cpus=cpus, memory_mb=memory_mb, config=Config(cache=tmp_path)).start()


def test_foreign_architecture_is_emulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert choose_accel(KERNEL, cache=Cache(tmp_path), version="10.0.2") == "tcg"
    assert Cache(tmp_path).list_entries("kvm") == [], "no probe is worth anything here"
