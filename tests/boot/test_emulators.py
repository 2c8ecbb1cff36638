"""AVDs and Cuttlefish, booted by scripted programs with the kernel of a plan."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from android_suite.boot import waiting
from android_suite.boot.avd import boot_avd
from android_suite.boot.booted import Booted, KernelCrashed
from android_suite.boot.cuttlefish import boot_cuttlefish
from android_suite.config import Config
from android_suite.errors import LabError, NotReady, SuiteError, Unsupported, UsageError
from android_suite.model.boots import BootKeys
from tests.scripted_emulators import FAULT, install
from tests.scripted_fastboot.flashable import AFTER, make_image
from tests.scripted_phone.server import AdbServer, own_server

pytestmark = pytest.mark.slow
AVD = BootKeys(boot="avd", avd="Pixel_6_API_34")


@pytest.fixture(scope="module")
def server() -> Iterator[AdbServer]:
    with own_server() as running:
        yield running


@pytest.fixture
def config(server: AdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """With an SDK whose emulator is scripted, in a home that has the console's token."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".emulator_console_auth_token").write_text("s3cret")
    install(tmp_path / "sdk" / "emulator", "emulator")
    install(tmp_path / "cvd" / "bin", "launch_cvd", "stop_cvd")
    return replace(server.config(tmp_path / "cache"), android_sdk=tmp_path / "sdk")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "Image"
    path.write_bytes(make_image(AFTER))
    return path


def fail(boot: AbstractContextManager[Booted], kind: type[SuiteError]) -> str:
    with pytest.raises(SuiteError) as caught, boot:
        pytest.fail("it booted")
    assert type(caught.value) is kind, caught.value
    return str(caught.value)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_an_avd_runs_the_kernel_until_the_block_ends(config: Config, image: Path) -> None:
    with boot_avd(config, image, AVD, timeout=300) as booted:
        port = int(booted.device.serial.removeprefix("emulator-"))
        assert booted.device.run(["uname", "-r"]).text.strip() == AFTER == booted.release
        assert not is_free(port)
        assert booted.crash_probe() is None
    assert is_free(port), "`adb emu kill` was not understood"
    assert is_free(port + 1)


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("disk", LabError, "enough disk space to run avd: `Pixel_6_API_34`. Not enough space.); free some space"),
        ("twice", LabError, "same AVD); end the other emulator of this AVD"),
        ("kvm", Unsupported, "requires hardware acceleration!); let this user open /dev/kvm"),
        ("other", NotReady, f"with another kernel: it runs 6.6.30-android15-8-gstock, not {AFTER}; check the image"),
        ("panic", KernelCrashed, "Kernel panic - not syncing: VFS"),
        ("offline panic", KernelCrashed, "Kernel panic - not syncing: VFS"),
    ],
)
def test_an_avd_that_does_not_boot(
    fault: str, kind: type[SuiteError], said: str, config: Config, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAULT, fault)
    assert said in fail(boot_avd(config, image, AVD, timeout=300), kind)


def test_an_avd_is_offline_until_its_adbd_runs(config: Config, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAULT, "offline")
    monkeypatch.setattr(waiting, "_STUCK_S", 0.5)
    with boot_avd(config, image, AVD, timeout=300) as booted:
        assert booted.device.run(["uname", "-r"]).text.strip() == AFTER


def test_an_avd_that_there_is_not(config: Config, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = fail(boot_avd(config, image, replace(AVD, avd="$(touch x)"), timeout=300), UsageError)
    assert "Unknown AVD name [$(touch x)], use -list-avds to see valid list.); correct `avd` in the plan" in said
    monkeypatch.setenv("PATH", "/nowhere")
    assert "set ANDROID_HOME to the SDK" in fail(boot_avd(replace(config, android_sdk=None), image, AVD), LabError)


def cuttlefish(config: Config, image: Path, tmp_path: Path) -> AbstractContextManager[Booted]:
    keys = BootKeys(boot="cuttlefish", host_package=str(tmp_path / "cvd"), ramdisk=str(image))
    return boot_cuttlefish(config, image, keys, timeout=300)


def test_cuttlefish_runs_the_kernel_until_the_block_ends(config: Config, image: Path, tmp_path: Path) -> None:
    with cuttlefish(config, image, tmp_path) as booted:
        assert booted.device.serial.endswith(":6520")
        assert booted.device.run(["uname", "-r"]).text.strip() == AFTER == booted.release
        assert booted.crash_probe() is None
    assert is_free(6520)


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("disk", LabError, "No space left on device); free some space"),
        ("kvm", Unsupported, "Unable to open /dev/kvm: Permission denied); let this user open"),
        (
            "slow",
            NotReady,
            "ended with status 10 (run_cvd E 01-12 02:55:11 boot_state_machine.cc:160] Virtual device failed",
        ),
        ("panic", KernelCrashed, "Kernel panic - not syncing: VFS"),
        ("other", NotReady, f"with another kernel: it runs 6.6.30-android15-8-gstock, not {AFTER}"),
    ],
)
def test_cuttlefish_that_does_not_boot(
    fault: str, kind: type[SuiteError], said: str, config: Config, image: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(FAULT, fault)
    assert said in fail(cuttlefish(config, image, tmp_path), kind)
    assert is_free(6520)


def test_no_cuttlefish(config: Config, image: Path, tmp_path: Path) -> None:
    keys = BootKeys(boot="cuttlefish", host_package=str(tmp_path / "nothing"))
    assert "there is no `launch_cvd` in" in fail(boot_cuttlefish(config, image, keys), LabError)
