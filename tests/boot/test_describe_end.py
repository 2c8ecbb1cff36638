"""Whose fault the end of a device was."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.boot import attached
from android_suite.boot.attached import probe_console, probe_reboot
from android_suite.boot.virtual import describe_end
from android_suite.config import Config
from android_suite.device.device import BOOT_ID
from android_suite.device.files import render_read_lines_script
from android_suite.device.scripted import Exchange, ScriptedTransport
from android_suite.errors import NotReady
from android_suite.virtual.console import GuestCrash
from android_suite.virtual.machine import ExitReport
from android_suite.virtual.registry import DeviceRecord

PSTORE = "cat /sys/fs/pstore/console-ramoops* /sys/fs/pstore/dmesg-ramoops* 2>/dev/null"
CRASH = GuestCrash(kind="panic", title="Kernel panic - not syncing: x", excerpt="...", fatal=True)


def test_a_crashed_guest_is_a_result() -> None:
    found = describe_end(ExitReport(kind="crashed", crash=CRASH), "console")
    assert found is not None
    assert (found.kind, found.summary) == ("panic", CRASH.title)


@pytest.mark.parametrize("kind", ["restarted", "powered_off"])
def test_a_guest_that_goes_away_by_itself_is_a_result(kind: str) -> None:
    found = describe_end(ExitReport(kind=kind, detail="the guest restarted"), "last words")
    assert found is not None
    assert (found.kind, found.console) == ("reboot", "last words")


@pytest.mark.parametrize("kind", ["running", "stopped", "killed"])
def test_the_rest_is_the_labs(kind: str) -> None:
    assert describe_end(ExitReport(kind=kind), "") is None
    assert describe_end(ExitReport(kind="running", crash=CRASH), "") is None, "a warning is not an end"


def answer_boot_id(boot: str) -> Exchange:
    line = render_read_lines_script([BOOT_ID])
    return Exchange(command=line, stdout=f"=android-suite-end-of-file= {BOOT_ID}\n{BOOT_ID}:{boot}\n".encode())


def test_another_boot_id_is_a_reboot(monkeypatch: pytest.MonkeyPatch) -> None:
    script = ScriptedTransport(
        [
            answer_boot_id("new"),
            Exchange(command="getprop", stdout=b"[ro.boot.bootreason]: [kernel_panic]\n"),
            Exchange(command=PSTORE, stdout=b"Kernel panic - not syncing\n"),
        ]
    )
    monkeypatch.setattr(attached, "connect", lambda *_, **__: script)
    found = probe_reboot(Config(), "scripted", boot_before="old")
    assert found is not None
    assert "ro.boot.bootreason=kernel_panic" in found.summary
    assert "not syncing" in found.console
    script.finish()


def test_the_same_boot_is_the_cables_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached, "connect", lambda *_, **__: ScriptedTransport([answer_boot_id("old")]))
    assert probe_reboot(Config(), "scripted", boot_before="old") is None


def test_a_device_that_stays_away_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def stay_away(*_: object, **__: object) -> ScriptedTransport:
        raise NotReady("absent")

    monkeypatch.setattr(attached, "connect", stay_away)
    assert probe_reboot(Config(), "scripted", boot_before="old") is None


@pytest.mark.parametrize(
    ("console", "kind", "summary"),
    [
        ("[ 9.1] Kernel panic - not syncing: sysrq\n", "panic", "Kernel panic - not syncing: sysrq"),
        ("[ 9.1] reboot: Restarting system\n", "reboot", "the guest restarted"),
        ("[ 9.1] all is well\n", None, None),
        (None, None, None),
    ],
)
def test_a_virtual_device_that_outlived_its_command(
    console: str | None, kind: str | None, summary: str | None, tmp_path: Path
) -> None:
    record = DeviceRecord(
        id="vd-x", folder=tmp_path, serial="127.0.0.1:1", owner_pid=1, owner_start=1, detached=True, arch="arm64",
        kernel="6.17.13", release=None, accel="tcg", deterministic=False,
    )  # fmt: skip
    if console is not None:
        record.console.write_text(console)
    found = probe_console(record)
    assert (found and found.kind, found and found.summary) == (kind, summary)
