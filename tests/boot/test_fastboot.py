"""A scripted phone that the real `fastboot` and the real adb boot with other kernels, and that gets back what it had."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from android_suite.boot import waiting
from android_suite.boot.booted import KernelCrashed
from android_suite.boot.fastboot import Patience, boot_fastboot, restore_phone
from android_suite.boot.kept import hold_phone, list_kept, read_kept
from android_suite.config import Config
from android_suite.errors import LabError, NotReady, SuiteError, Unsupported
from android_suite.model.boots import BootKeys
from tests.scripted_fastboot.flashable import (
    AFTER,
    BEFORE,
    STOCK,
    FlashablePhone,
    make_image,
    write_images,
)
from tests.scripted_phone.server import AdbServer, own_server

PATIENCE = Patience(boot_s=300, bootloader_s=120, leave_s=10)  # what should come comes sooner, on a busy machine, too
MEMORY = BootKeys(boot="fastboot")


@pytest.fixture(scope="module")
def server() -> Iterator[AdbServer]:
    with own_server() as running:
        yield running


@pytest.fixture
def phone(server: AdbServer) -> Iterator[FlashablePhone]:
    with FlashablePhone() as one:
        yield one
        server.run("disconnect", one.address)


@pytest.fixture
def config(phone: FlashablePhone, server: AdbServer, tmp_path: Path) -> Config:
    return phone.configure(server.config(tmp_path / "cache"))


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    return write_images(tmp_path)


def flash(image: Path, **keys: object) -> BootKeys:
    return BootKeys(boot="fastboot", flash={"boot": str(image)}, **keys)  # type: ignore[arg-type]


def fail(config: Config, phone: FlashablePhone, image: Path, keys: BootKeys, kind: type[SuiteError]) -> str:
    """What the boot says when it fails as ``kind`` exactly."""
    with pytest.raises(SuiteError) as caught, boot_fastboot(config, phone.address, image, keys, patience=PATIENCE):
        pytest.fail("it booted")
    assert type(caught.value) is kind, caught.value
    return " ".join([str(caught.value), *getattr(caught.value, "__notes__", ())])


def restore(config: Config, phone: FlashablePhone) -> list[str]:
    told: list[str] = []
    device = restore_phone(config, phone.address, patience=PATIENCE, say=told.append)
    assert device is not None
    assert device.run(["uname", "-r"]).text.strip() == STOCK
    assert read_kept(config, phone.address) is None
    return told


def test_an_image_is_booted_from_memory_and_nothing_is_written(
    phone: FlashablePhone, config: Config, images: dict[str, Path]
) -> None:
    stock, first = phone.stock, phone.state.boot_id
    with boot_fastboot(config, phone.address, images[AFTER], MEMORY, patience=PATIENCE) as booted:
        assert booted.release == AFTER
        assert booted.device.run(["uname", "-r"]).text.strip() == AFTER
        assert booted.device.boot_id() != first
        assert booted.crash_probe() is None
        with pytest.raises(LabError, match=r"process \d+ boots this phone"), hold_phone(config, phone.address):
            pass
    assert [kept.serial for kept in list_kept(config)] == [phone.address]
    [told] = restore(config, phone)
    assert told.endswith(f"put back nothing, only restarted; it runs {STOCK}")
    assert phone.stock == stock
    assert not any(command.startswith(("flash", "set_active")) for command in phone.bootloader.commands)
    assert restore_phone(config, phone.address) is None


def test_partitions_of_the_other_slot_are_flashed_and_put_back(
    phone: FlashablePhone, config: Config, images: dict[str, Path], tmp_path: Path
) -> None:
    stock = phone.stock
    modules = tmp_path / "vendor_dlkm.img"
    modules.write_bytes(b"modules" * 1000)
    keys = BootKeys(boot="fastboot", slot="other", flash={"vendor_dlkm": str(modules), "boot": str(images[AFTER])})

    boot = boot_fastboot(config, phone.address, images[AFTER], keys, patience=PATIENCE)
    with pytest.raises(ZeroDivisionError), boot as booted:  # noqa: PT012 - the suite crashes after all was looked at
        assert booted.device.read_properties()["ro.boot.slot_suffix"] == "_b"
        assert phone.stock["vendor_dlkm_b"] == modules.read_bytes()
        assert (phone.marked, phone.bootloader.current) == (1, "b")
        raise ZeroDivisionError
    # The next kernel of the plan needs no modules: they are put back before it boots.
    with boot_fastboot(config, phone.address, images[BEFORE], flash(images[BEFORE]), patience=PATIENCE) as booted:
        assert booted.device.read_properties()["ro.boot.slot_suffix"] == "_a"
        assert phone.stock["vendor_dlkm_b"] == stock["vendor_dlkm_b"]
    assert read_kept(config, phone.address) is not None
    told = restore(config, phone)
    assert told[-1].endswith(f"put back boot_b, boot_a; it runs {STOCK}") or "boot_a" in told[-1]
    assert phone.stock == stock
    assert phone.bootloader.current == "a"


@pytest.mark.parametrize("panics", [False, True])
def test_a_slot_that_does_not_boot_falls_back(
    panics: bool, phone: FlashablePhone, config: Config, images: dict[str, Path]
) -> None:
    phone.fates, phone.panics = {AFTER: "slot"}, panics
    keys = flash(images[AFTER], slot="b")
    said = fail(config, phone, images[AFTER], keys, KernelCrashed if panics else NotReady)
    if panics:
        assert "Kernel panic - not syncing: VFS" in said
        assert "bootreason=kernel_panic" in said
    else:
        assert "fell back to slot a: slot b did not boot" in said
    assert phone.bootloader.slots["b"].unbootable
    restore(config, phone)


def test_a_kernel_that_ends_in_the_bootloader(phone: FlashablePhone, config: Config, images: dict[str, Path]) -> None:
    phone.fates = {AFTER: "bootloader"}
    said = fail(config, phone, images[AFTER], flash(images[AFTER]), NotReady)
    assert "shows its bootloader again: the kernel did not boot (slot a: successful yes" in said
    stock = {name: make_image(STOCK) for name in ("boot_a", "boot_b")}
    restore(config, phone)
    assert {name: phone.stock[name] for name in stock} == stock


def test_a_phone_that_comes_back_with_another_kernel(
    phone: FlashablePhone, config: Config, images: dict[str, Path], tmp_path: Path
) -> None:
    phone.fates = {AFTER: "silent"}  # from memory; the phone then boots what is installed
    said = fail(config, phone, images[AFTER], MEMORY, NotReady)
    assert f"came back with another kernel: it runs {STOCK}, not {AFTER}" in said
    phone.fates = {}
    restore(config, phone)


def test_a_boot_loop(phone: FlashablePhone, config: Config, images: dict[str, Path]) -> None:
    phone.fates = {AFTER: "loop"}
    said = fail(config, phone, images[AFTER], flash(images[AFTER]), NotReady)
    assert "restarts again and again (3 boots before one was completed): a boot loop" in said


def test_a_phone_that_stays_away(phone: FlashablePhone, config: Config, images: dict[str, Path]) -> None:
    phone.fates = {AFTER: "silent"}
    impatient = replace(PATIENCE, boot_s=6)
    with (
        pytest.raises(NotReady, match=r"did not come back in 6 s: adb does not see it"),
        boot_fastboot(config, phone.address, images[AFTER], flash(images[AFTER]), patience=impatient),
    ):
        pass


def test_a_phone_that_does_not_know_this_machine_any_more(
    phone: FlashablePhone, config: Config, images: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_STUCK_S", 3.0)
    monkeypatch.setattr(waiting, "_ANSWER_S", 2.0)
    run = phone.bootloader.on_leave

    def lock_out(where: str, image: bytes | None) -> None:
        phone.authorization = "refuse"
        run(where, image)

    phone.bootloader.on_leave = lock_out
    said = fail(config, phone, images[AFTER], MEMORY, NotReady)
    assert "unauthorized; accept this machine's key on the device's screen" in said


def test_what_a_bootloader_refuses(
    phone: FlashablePhone, config: Config, images: dict[str, Path], tmp_path: Path
) -> None:
    loader, image = phone.bootloader, images[AFTER]
    loader.unlocked = False
    said = fail(config, phone, image, MEMORY, Unsupported)
    assert "its bootloader is locked; unlock it (`fastboot flashing unlock`, which erases the phone)" in said
    loader.unlocked, loader.fails = True, {"boot": "unknown command"}
    said = fail(config, phone, image, MEMORY, Unsupported)
    assert (
        "`fastboot boot` failed (unknown command); this bootloader cannot do that: give the images to `flash`" in said
    )
    loader.fails = {}
    said = fail(config, phone, image, flash(image), NotReady)
    assert "what is in boot_a can only be kept from Android; start it (`fastboot reboot`)" in said
    restore(config, phone)


def test_images_that_do_not_fit(phone: FlashablePhone, config: Config, images: dict[str, Path], tmp_path: Path) -> None:
    loader, image, stock = phone.bootloader, images[AFTER], phone.stock
    modules = tmp_path / "m.img"
    modules.write_bytes(b"m" * 4096)
    keys = BootKeys(boot="fastboot", flash={"vendor_dlkm": str(modules), "boot": str(image)})
    loader.sizes = {"vendor_dlkm_a": 4095}
    said = fail(config, phone, image, keys, LabError)
    assert "Not enough space to resize partition" in said
    assert "the image does not fit its partition" in said
    loader.sizes = {}
    restore(config, phone)
    loader.sizes = {"boot_a": 4096}
    assert "Volume Full" in fail(config, phone, image, keys, LabError)
    loader.sizes = {}
    restore(config, phone)
    assert phone.stock == stock
    assert "has no partition dtbo_a" in fail(
        config, phone, image, replace(keys, flash={"dtbo": str(modules), "boot": str(image)}), Unsupported
    )


def test_without_root_nothing_is_flashed(server: AdbServer, tmp_path: Path) -> None:
    with FlashablePhone(root="none") as phone:
        config = phone.configure(server.config(tmp_path / "cache"))
        image = write_images(tmp_path)[AFTER]
        said = fail(config, phone, image, flash(image), Unsupported)
        assert "keeps what is there, which needs root" in said
        assert not phone.bootloader.commands


def test_a_full_disk_is_found_before_the_phone_is_touched(
    phone: FlashablePhone, config: Config, images: dict[str, Path], tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], check=True)
    try:
        phone.bootloader.partitions["boot_a"] += bytes(200_000)
        phone._show_partitions()
        full = replace(config, cache=small)
        said = fail(full, phone, images[AFTER], flash(images[AFTER]), LabError)
        assert "No space left on device" in said
        assert "set ANDROID_SUITE_CACHE" in said
        assert not phone.bootloader.commands
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_wrong_serial(config: Config, images: dict[str, Path], tmp_path: Path) -> None:
    elsewhere = replace(config, fastboot_serial="NOSUCHPHONE")
    with (
        pytest.raises(NotReady, match=r"NOSUCHPHONE is absent; check `adb devices` and the serial") as caught,
        boot_fastboot(elsewhere, "NOSUCHPHONE", images[AFTER], MEMORY, patience=PATIENCE),
    ):
        pass
    assert "fastboot does not see NOSUCHPHONE either" in caught.value.__notes__[0]
