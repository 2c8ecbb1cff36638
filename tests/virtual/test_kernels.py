from __future__ import annotations

import random
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from android_suite.cli import main as cli
from android_suite.config import Config
from android_suite.device.connect import connect
from android_suite.errors import MachineError, UsageError
from android_suite.virtual import adb_link, kernels, packages
from android_suite.virtual.cache import Cache
from android_suite.virtual.kernels import fetch_kernel, find_missing, list_kernels, read_kernel, sort_modules
from android_suite.virtual.machine import VirtualDevice
from tests.settings import CONFIG

NOWHERE = "http://127.0.0.1:9/none"  # nothing listens there, and apt's retries must not make it hang


@pytest.fixture
def stored(tmp_path: Path) -> Config:
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
    return Config(cache=tmp_path, debian_mirror=NOWHERE)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["6.17.13", "6.17.13+deb13-cloud-arm64", "linux-image-6.17.13+deb13-cloud-arm64"])
def test_cached_kernel_needs_no_network(stored: Config, no_network: None, name: str) -> None:
    kernel = fetch_kernel(name, config=stored)
    assert kernel.release == "6.17.13+deb13-cloud-arm64"
    assert kernel.path.read_bytes() == b"image"
    assert kernel.module_names == ("virtio_net",)
    assert kernel.modules[0].read_bytes() == b"module"
    assert kernel.config_sha256 is not None


def test_no_network_is_one_sentence_and_soon(tmp_path: Path, no_network: None) -> None:
    began = time.monotonic()
    with pytest.raises(MachineError) as caught:
        fetch_kernel("6.16.12", config=Config(cache=tmp_path, debian_mirror=NOWHERE))
    assert time.monotonic() - began < 30
    assert "cannot fetch the Debian package index for arm64; check the network" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_network_the_cached_ones_are_listed(stored: Config, no_network: None) -> None:
    assert [(choice.name, choice.cached) for choice in list_kernels("arm64", config=stored)] == [("6.17.13", True)]


INDEX = {  # package: what it depends on
    "linux-image-6.1.0-47-cloud-arm64": ["kmod"],
    "linux-image-6.1.0-50-cloud-arm64": ["kmod"],
    "linux-image-6.1.0-50-cloud-arm64-unsigned": ["kmod"],
    "linux-image-6.1.0-50-arm64": ["kmod"],
    "linux-image-6.12.90+deb12.1-cloud-arm64": ["kmod"],
    "linux-image-6.18.15+deb13-cloud-arm64": ["kmod", "linux-base-6.18.15+deb13-cloud-arm64"],
    "linux-image-6.19.14+deb13-cloud-arm64": [
        f"linux-{part}-6.19.14+deb13-cloud-arm64" for part in ("base", "binary", "modules")
    ],
    "linux-binary-6.19.14+deb13-cloud-arm64": [],
    "linux-image-7.2-cloud-arm64": [f"linux-{part}-7.2-cloud-arm64" for part in ("base", "binary", "modules")],
    "linux-image-7.3-cloud-arm64": [f"linux-{part}-7.3-cloud-arm64" for part in ("base", "binary", "modules")],
    **{f"linux-{part}-7.3-cloud-arm64": [] for part in ("base", "binary", "modules")},
    "linux-image-cloud-arm64": ["linux-image-7.3-cloud-arm64"],
}

PLAN = """
[plan]
name = "x"
mode = "deterministic"
seeds = [1]

[[kernel]]
label = "before"
kernel = "{known}"
role = "baseline"

[[kernel]]
label = "after"
kernel = "{kernel}"
role = "candidate"

[[scenario]]
name = "gc_stress"
"""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.Packages, "list_names", lambda self, prefix: sorted(INDEX))
    monkeypatch.setattr(
        packages.Packages, "list_depends", lambda self, names: {name: frozenset(INDEX[name]) for name in names}
    )


def test_the_kernels_that_have_an_image_are_listed(tmp_path: Path, index: None) -> None:
    found = [(each.name, each.release, each.serial) for each in list_kernels("arm64", config=Config(cache=tmp_path))]
    assert found == [
        ("6.1.0-47", "6.1.0-47-cloud-arm64", False),
        ("6.1.0-50", "6.1.0-50-cloud-arm64", False),
        ("6.12.90", "6.12.90+deb12.1-cloud-arm64", False),
        ("6.18.15", "6.18.15+deb13-cloud-arm64", False),  # its image package holds all, whatever it depends on
        ("6.19.14", "6.19.14+deb13-cloud-arm64", True),  # its modules and its configuration are gone
        ("7.3", "7.3-cloud-arm64", False),  # of 7.2 the image is gone
    ]


def test_a_kernel_without_modules_is_fetched_and_kept(
    tmp_path: Path, index: None, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(self: packages.Packages, specs: Sequence[str], use: Callable[[Sequence[Path]], None]) -> None:
        asked.extend(specs)
        use([tmp_path / "binary.deb"])

    def read(deb: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        member = tarfile.TarInfo("boot/vmlinuz-6.19.14+deb13-cloud-arm64")
        assert wanted(member.name)
        yield member, b"image"

    monkeypatch.setattr(packages.Packages, "read_version", lambda self, name: "6.19.14-1")
    monkeypatch.setattr(packages.Packages, "fetch", fetch)
    monkeypatch.setattr(kernels, "read_members", read)
    config = Config(cache=tmp_path / "cache", debian_mirror=NOWHERE)
    kernel = fetch_kernel("6.19.14", config=config)
    assert asked == [
        "linux-image-6.19.14+deb13-cloud-arm64=6.19.14-1", "linux-binary-6.19.14+deb13-cloud-arm64=6.19.14-1"
    ]  # fmt: skip
    assert (kernel.serial, kernel.config, kernel.config_sha256, kernel.modules) == (True, None, None, ())
    assert kernel.path.read_bytes() == b"image"
    monkeypatch.undo()  # and with it the network: what is kept needs none
    assert fetch_kernel("6.19.14", config=config) == kernel
    assert [(each.name, each.serial) for each in list_kernels("arm64", config=config)] == [("6.19.14", True)]


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("6.1.0", "linux-image-6.1.0-50-cloud-arm64"),  # the newest of that version
        ("6.1.0-47", "linux-image-6.1.0-47-cloud-arm64"),
        ("6.1.0-50-cloud", "linux-image-6.1.0-50-cloud-arm64"),
        ("6.12.90+deb12.1", "linux-image-6.12.90+deb12.1-cloud-arm64"),
        ("7.3-cloud", "linux-image-7.3-cloud-arm64"),
    ],
)
def test_names_of_a_kernel(
    tmp_path: Path, index: None, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    asked: list[str] = []

    def stop(self: packages.Packages, wanted: str) -> str:
        asked.append(wanted)
        raise MachineError("not fetched in this test")

    monkeypatch.setattr(packages.Packages, "read_version", stop)
    with pytest.raises(MachineError, match="not fetched"):
        fetch_kernel(name, "arm64", config=Config(cache=tmp_path))
    assert asked == [package]


def test_a_dry_run_refuses_a_kernel_that_does_not_exist_and_fetches_none(
    tmp_path: Path, index: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANDROID_SUITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    plan = tmp_path / "plan.toml"
    known = next(choice.name for choice in list_kernels("arm64", config=Config(cache=tmp_path)))

    def dry_run(kernel: str) -> int:
        plan.write_text(PLAN.format(known=known, kernel=kernel))
        return cli.run(["qualify", str(plan), "--dry-run"])

    assert dry_run("9.9.9") == 2
    assert "unknown kernel '9.9.9' for arm64" in capsys.readouterr().err
    assert dry_run("mine:baseline") == 2
    assert "no built kernel pair 'mine'" in capsys.readouterr().err
    (tmp_path / "Image").write_bytes(b"no kernel")
    assert dry_run("./Image") == 2
    assert "is not a kernel image" in capsys.readouterr().err
    assert dry_run(list_kernels("arm64", config=Config(cache=tmp_path))[-1].name) == 0
    assert "2 jobs, about" in capsys.readouterr().out
    assert not (tmp_path / "cache" / "entries").exists()


def test_a_kernel_that_lacks_a_driver_is_fetched_again(stored: Config, no_network: None) -> None:
    """In Debian's 6.1 all of virtio are modules, and the cache may hold such a kernel without virtio_pci."""
    release = "6.1.0-50-cloud-arm64"
    config = b"# CONFIG_VIRTIO_PCI_LEGACY is not set\nCONFIG_VIRTIO_PCI=m\nCONFIG_VIRTIO_NET=m\n"
    files = {"vmlinuz": b"image", "config": config, "virtio_net.ko": b"module"}
    meta = {"release": release, "version": "6.1.176-1", "arch": "arm64", "modules": ["virtio_net"]}
    cache = Cache(stored.cache)
    cache.write_entry("kernels", f"linux-image-{release}", files, meta)
    with pytest.raises(MachineError, match="cannot fetch the Debian package index"):
        fetch_kernel("6.1.0-50", config=stored)
    assert find_missing(config, ["virtio_net"]) == ["virtio_pci"]
    cache.write_entry("kernels", f"linux-image-{release}", {"vmlinuz": b"image"}, meta)  # nor without its configuration
    with pytest.raises(MachineError, match="cannot fetch the Debian package index"):
        fetch_kernel("6.1.0-50", config=stored)
    both = {**meta, "modules": ["virtio_pci", "virtio_net"]}
    cache.write_entry("kernels", f"linux-image-{release}", {**files, "virtio_pci.ko": b"module"}, both)
    assert fetch_kernel("6.1.0-50", config=stored).module_names == ("virtio_pci", "virtio_net")


def test_modules_are_loaded_after_what_they_need() -> None:
    needs = {
        "virtio_net": "net_failover,virtio,virtio_ring",
        "net_failover": "failover",
        "virtio_pci": "virtio_ring,virtio",
        "virtio_ring": "virtio",
        "virtio_mmio": "virtio_ring",
        **dict.fromkeys(("failover", "virtio"), ""),
    }
    order = sort_modules({name: b"\0license=GPL\0depends=" + of.encode() + b"\0" for name, of in needs.items()})
    assert set(order) == needs.keys() - {"virtio_mmio"}
    for name in order:
        assert all(order.index(each) < order.index(name) for each in needs[name].split(",") if each), name


@pytest.mark.vdev
@pytest.mark.parametrize("place", [0, -1], ids=["oldest", "newest"])
def test_the_ends_of_the_list_boot(place: int) -> None:
    """The oldest has virtio as modules; the newest has image, configuration and modules in packages of their own."""
    listed = list_kernels("arm64", config=CONFIG)[place]
    with VirtualDevice(config=CONFIG, kernel=fetch_kernel(listed.name, "arm64", config=CONFIG)) as device:
        device.start()
        assert adb_link.run_shell(CONFIG, device.serial, "uname -r").strip() == listed.release


@pytest.mark.vdev
def test_a_kernel_without_modules_is_reached_through_a_serial_port() -> None:
    """The port outlives connections: files arrive whole, and adbd may end."""
    listed = [each for each in list_kernels("arm64", config=CONFIG) if each.serial]
    if not listed:
        pytest.skip("Debian has the modules of all its kernels")
    kernel = fetch_kernel(listed[-1].name, "arm64", config=CONFIG)
    with VirtualDevice(config=CONFIG, kernel=kernel, cpus=1) as started:
        started.start()
        serial = started.serial

        def shell(command: str) -> str:
            return adb_link.run_shell(CONFIG, serial, command).strip()

        assert shell("uname -r; ls /sys/class/net") == f"{listed[-1].release}\nlo"
        blob = random.Random(1).randbytes(3_000_000)
        transport = connect(CONFIG, serial)
        with ThreadPoolExecutor(3) as pool:
            pushed = [pool.submit(transport.push, blob, f"/data/{name}") for name in "abc"]
            assert [future.result() for future in pushed] == [None] * 3
        assert [transport.pull(f"/data/{name}") == blob for name in "abc"] == [True] * 3
        adb_link.disconnect(CONFIG, serial)
        adb_link.wait_boot_completed(CONFIG, serial, timeout_s=60, check=lambda: None)
        assert shell("echo again") == "again"
        shell("kill -9 $(pidof adbd)")
        adb_link.wait_boot_completed(CONFIG, serial, timeout_s=60, check=lambda: None)
        assert shell("echo and again") == "and again"


def test_unknown_kernel_names_the_known(stored: Config, no_network: None) -> None:
    with pytest.raises(UsageError, match=r"unknown kernel '6\.1\.0' for arm64: .* one of 6\.17\.13$"):
        fetch_kernel("6.1.0", config=stored)


@pytest.mark.parametrize("name", ["/no/such/Image", "./Image"])
def test_path_that_is_not_there(name: str) -> None:
    with pytest.raises(UsageError, match="no kernel image at"):
        fetch_kernel(name, config=Config())


def test_path_that_is_no_kernel(tmp_path: Path) -> None:
    (tmp_path / "Image").write_bytes(b"\x89PNG\r\n" * 200)
    with pytest.raises(UsageError, match="is not a kernel image"):
        read_kernel(tmp_path / "Image")


def test_unknown_architecture() -> None:
    with pytest.raises(UsageError, match="unknown architecture 'riscv'; use arm64 or amd64"):
        fetch_kernel("6.16.12", "riscv", config=Config())


@pytest.mark.parametrize(("side", "arch"), [("arm64.Image.gz", "arm64"), ("amd64.bzImage", "amd64")])
def test_lab_kernels(lab_kernels: Path, side: str, arch: str) -> None:
    kernel = read_kernel(lab_kernels / f"linux-7.3.4-lab-per-vma.{side}")
    assert (kernel.release, kernel.arch, kernel.modules) == ("7.3.4", arch, ())
    assert kernel.config_sha256 is not None
    other = "amd64" if arch == "arm64" else "arm64"
    with pytest.raises(UsageError, match=f"is an {arch} kernel, not {other}; use --arch {arch}"):
        read_kernel(kernel.path, other)


def test_no_mirror_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "run_apt", lambda argv: "Ubuntu http://x.invalid/ubuntu\n")
    with pytest.raises(MachineError, match=r"no Debian mirror, .*: set"):
        packages.read_mirror(None)


def test_security_mirror_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "Debian http://m.invalid/deb-security/\nDebian http://m.invalid/deb/\n"
    monkeypatch.setattr(packages, "run_apt", lambda argv: lines)
    assert packages.read_mirror(None) == "http://m.invalid/deb/"
