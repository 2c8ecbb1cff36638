from __future__ import annotations

import time
from pathlib import Path

import pytest

from android_suite.errors import MachineError, UsageError
from android_suite.virtual import packages
from android_suite.virtual.cache import Cache
from android_suite.virtual.kernels import fetch_kernel, list_kernels, read_kernel


@pytest.fixture
def stored(tmp_path: Path) -> Cache:
    """A cache with one fetched kernel, and no way to fetch another."""
    cache = Cache(tmp_path)
    files = {"vmlinuz": b"image", "config": b"CONFIG_X=y\n", "virtio_net.ko": b"module"}
    meta = {
        "release": "6.17.13+deb13-cloud-arm64",
        "version": "6.17.13-1~bpo13+1",
        "arch": "arm64",
        "modules": ["virtio_net"],
    }
    cache.write_entry("kernels", "linux-image-6.17.13+deb13-cloud-arm64", files, meta)
    return cache


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    # Port 9 of this machine: nothing listens there, and apt's retries must not make it hang.
    monkeypatch.setenv(packages.MIRROR_ENV, "http://127.0.0.1:9/none")
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["6.17.13", "6.17.13+deb13-cloud-arm64", "linux-image-6.17.13+deb13-cloud-arm64"])
def test_cached_kernel_needs_no_network(stored: Cache, no_network: None, name: str) -> None:
    kernel = fetch_kernel(name, cache=stored)
    assert kernel.release == "6.17.13+deb13-cloud-arm64"
    assert kernel.path.read_bytes() == b"image"
    assert kernel.module_names == ("virtio_net",)
    assert kernel.modules[0].read_bytes() == b"module"
    assert kernel.config_sha256 is not None


def test_no_network_is_one_sentence_and_soon(tmp_path: Path, no_network: None) -> None:
    began = time.monotonic()
    with pytest.raises(MachineError) as caught:
        fetch_kernel("6.16.12", cache=Cache(tmp_path))
    assert time.monotonic() - began < 30
    assert "cannot fetch the Debian package index for arm64; check the network" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_network_the_cached_ones_are_listed(stored: Cache, no_network: None) -> None:
    assert [(choice.name, choice.cached) for choice in list_kernels("arm64", cache=stored)] == [("6.17.13", True)]


def test_unknown_kernel_names_the_known(stored: Cache, no_network: None) -> None:
    with pytest.raises(UsageError, match=r"unknown kernel '6\.1\.0' for arm64: .* one of 6\.17\.13$"):
        fetch_kernel("6.1.0", cache=stored)


@pytest.mark.parametrize("name", ["/no/such/Image", "./Image"])
def test_path_that_is_not_there(name: str) -> None:
    with pytest.raises(UsageError, match="no kernel image at"):
        fetch_kernel(name)


def test_path_that_is_no_kernel(tmp_path: Path) -> None:
    (tmp_path / "Image").write_bytes(b"\x89PNG\r\n" * 200)
    with pytest.raises(UsageError, match="is not a kernel image"):
        read_kernel(tmp_path / "Image")


def test_unknown_architecture() -> None:
    with pytest.raises(UsageError, match="unknown architecture 'riscv'; use arm64 or amd64"):
        fetch_kernel("6.16.12", "riscv")


@pytest.mark.parametrize(("side", "arch"), [("arm64.Image.gz", "arm64"), ("amd64.bzImage", "amd64")])
def test_lab_kernels(lab_kernels: Path, side: str, arch: str) -> None:
    kernel = read_kernel(lab_kernels / f"linux-7.3.4-lab-per-vma.{side}")
    assert (kernel.release, kernel.arch, kernel.modules) == ("7.3.4", arch, ())
    assert kernel.config_sha256 is not None
    other = "amd64" if arch == "arm64" else "arm64"
    with pytest.raises(UsageError, match=f"is an {arch} kernel, not {other}; use --arch {arch}"):
        read_kernel(kernel.path, other)


def test_no_mirror_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(packages.MIRROR_ENV, raising=False)
    monkeypatch.setattr(packages, "run_apt", lambda argv: "Ubuntu http://x.invalid/ubuntu\n")
    with pytest.raises(MachineError, match=r"apt reads from no Debian mirror here, .*: set"):
        packages.read_mirror()


def test_security_mirror_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(packages.MIRROR_ENV, raising=False)
    lines = "Debian http://m.invalid/deb-security/\nDebian http://m.invalid/deb/\n"
    monkeypatch.setattr(packages, "run_apt", lambda argv: lines)
    assert packages.read_mirror() == "http://m.invalid/deb/"
