"""`qualify` on a scripted phone: the installed kernel, one that is flashed to the other slot, and what goes wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from android_suite.cli.main import run
from android_suite.store.run import open_run
from tests.scripted_fastboot.flashable import AFTER, STOCK, FlashablePhone, write_images
from tests.scripted_phone.server import AdbServer, own_server

pytestmark = pytest.mark.slow

PLAN = """\
[plan]
name = "phone"
mode = "realtime"
boots = 2

[[kernel]]
label = "installed"
kernel = "attached"
role = "baseline"

[[kernel]]
label = "flashed"
kernel = "./after.img"
boot = "fastboot"
flash = { boot = "./after.img" }
slot = "other"
role = "candidate"

[[scenario]]
name = "command"
traced = false
parameters = { run = "getprop ro.boot.slot_suffix; uname -r" }
"""

SLEEP = f"uname -r; if [ $(uname -r) = {AFTER} ]; then sleep 30; fi"


@pytest.fixture(scope="module")
def server() -> Iterator[AdbServer]:
    with own_server() as running:
        yield running


@pytest.fixture
def phone(server: AdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlashablePhone]:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path)
    (tmp_path / "plan.toml").write_text(PLAN)
    with FlashablePhone() as one:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        monkeypatch.setenv("ANDROID_SUITE_FASTBOOT_SERIAL", one.bootloader.serial)
        monkeypatch.setenv("ANDROID_SUITE_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("ANDROID_SERIAL", one.address)
        yield one
        server.run("disconnect", one.address)


def read_events(out: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]


def test_two_kernels_with_a_fallback_on_the_way(
    phone: FlashablePhone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stock = phone.stock
    phone.fates = {AFTER: "slot"}
    up, boots = phone._up, []

    def note(release: str) -> None:
        """The first time the flashed slot does not boot, from then on it does."""
        if phone.bootloader.slots["b"].unbootable:
            phone.fates = {}
        boots.append(release)
        up(release)

    phone._up = note  # type: ignore[method-assign]
    assert run(["qualify", "plan.toml", "-o", "out"]) == 0
    said = capsys.readouterr().err
    (failed,) = [event for event in read_events(tmp_path / "out") if event["event"] == "failed"]
    assert "fell back to slot a: slot b did not boot" in failed["text"]
    seen = {}
    for job in sorted((tmp_path / "out" / "jobs").iterdir()):
        recorded = open_run(job)
        assert recorded.manifest.kernel is not None
        (iteration,) = recorded.manifest.iterations
        text = (recorded.raw(iteration) / "command_stdout.txt").read_text()
        seen[iteration.boot] = (recorded.manifest.label, recorded.manifest.kernel.release, text)
    told = sorted(seen.values())
    assert told == [("flashed", AFTER, f"_b\n{AFTER}\n")] * 2 + [("installed", STOCK, f"_a\n{STOCK}\n")] * 2
    assert phone.stock == stock
    assert (phone.bootloader.current, boots[-1]) == ("a", STOCK)
    assert f"it runs {STOCK}" in said
    assert not list((tmp_path / "cache" / "phones").glob("*/*.img"))


def test_installed_and_from_memory_on_a_build_that_needs_adb_root(
    server: AdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written; after every boot adbd runs as the shell again, there is no su, and `adb root` is called."""
    write_images(tmp_path)
    text = PLAN.replace('flash = { boot = "./after.img" }\nslot = "other"\n', "").replace("getprop", "id -u; getprop")
    (tmp_path / "plan.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    monkeypatch.setenv("ANDROID_SUITE_CACHE", str(tmp_path / "cache"))
    with FlashablePhone(root="adb root") as phone:
        monkeypatch.setenv("ANDROID_SUITE_FASTBOOT_SERIAL", phone.bootloader.serial)
        monkeypatch.setenv("ANDROID_SERIAL", phone.address)
        stock = phone.stock
        assert run(["qualify", "plan.toml", "-o", "out"]) == 0
        assert phone.stock == stock
        assert phone.kernel == STOCK
        assert not any(command.startswith(("flash", "set_active")) for command in phone.bootloader.commands)
        assert sum(command.startswith("boot") for command in phone.bootloader.commands) == 2
        server.run("disconnect", phone.address)
    runs = [open_run(job) for job in sorted((tmp_path / "out" / "jobs").iterdir())]
    told = sorted(
        (each.manifest.label, (each.raw(each.manifest.iterations[0]) / "command_stdout.txt").read_text())
        for each in runs
    )
    assert told == [("flashed", f"0\n_a\n{AFTER}\n")] * 2 + [("installed", f"0\n_a\n{STOCK}\n")] * 2
    assert len({each.manifest.iterations[0].boot for each in runs}) == 4


def test_a_kernel_that_goes_down_in_a_scenario(
    phone: FlashablePhone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = PLAN.replace("boots = 2", "boots = 1").replace(
        "uname -r", "uname -r; if [ $(uname -r) = 6.6.57-android15-8-gafter ]; then sleep 30; fi"
    )
    (tmp_path / "plan.toml").write_text(text)
    stock, done = phone.stock, threading.Event()

    def watch() -> None:
        """Restarts the phone once, as soon as the scenario runs on the flashed kernel; a short one runs then."""
        while not done.wait(0.1):
            if phone.kernel == AFTER and any("sleep 30" in service for service in phone.services):
                phone.state.properties["ro.boot.bootreason"] = "kernel_panic"
                phone.reboot()
                return

    phone.services.clear()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert run(["qualify", "plan.toml", "-o", "out"]) == 1
    finally:
        done.set()
        watcher.join()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    (crash,) = summary["crashes"]
    assert (crash["label"], crash["during"], crash["kind"]) == ("flashed", "command", "reboot")
    assert "ro.boot.bootreason=kernel_panic" in crash["summary"]
    assert "kernel flashed crashed during command" in capsys.readouterr().err
    assert phone.stock == stock
    assert phone.kernel == STOCK
