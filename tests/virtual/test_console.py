from __future__ import annotations

import pytest

from android_suite.virtual.console import parse_crash, parse_farewell

SYSRQ = """\
android-suite: ready
[   12.345678] sysrq: Trigger a crash
[   12.345999] Kernel panic - not syncing: sysrq triggered crash
[   12.346100] CPU: 1 UID: 0 PID: 171 Comm: sh Not tainted 6.17.13 #1
[   12.346200] Call trace:
[   12.346300]  panic+0x168/0x328
[   12.346400] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---
"""
OOPS = """\
[    3.1] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000
[    3.2] Internal error: Oops: 0000000096000044 [#1]  SMP
[    3.3] Kernel panic - not syncing: Oops: Fatal exception
"""
X86 = "[ 1.5][   T99] BUG: kernel NULL pointer dereference, address: 0000000000000000\n[ 1.6] Oops: Oops: 0002 [#1]\n"


@pytest.mark.parametrize(
    ("console", "kind", "title", "fatal"),
    [
        (SYSRQ, "panic", "Kernel panic - not syncing: sysrq triggered crash", True),
        (OOPS, "oops", "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000", True),
        (X86, "bug", "BUG: kernel NULL pointer dereference, address: 0000000000000000", False),
        (
            "watchdog: BUG: soft lockup - CPU#0 stuck for 26s!",
            "bug",
            "watchdog: BUG: soft lockup - CPU#0 stuck for 26s!",
            False,
        ),
    ],
)
def test_crash_is_read_from_the_console(console: str, kind: str, title: str, fatal: bool) -> None:
    crash = parse_crash(console)
    assert crash is not None
    assert (crash.kind, crash.title, crash.fatal) == (kind, title, fatal)
    assert title in crash.excerpt


def test_excerpt_is_bounded_and_clean() -> None:
    crash = parse_crash("\x1b[31mred\n" + "x\n" * 20 + SYSRQ + "y\n" * 500)
    assert crash is not None
    assert len(crash.excerpt.splitlines()) == 80
    assert "\x1b" not in crash.excerpt
    assert crash.excerpt.splitlines()[4].endswith("Trigger a crash")


@pytest.mark.parametrize("console", ["", "android-suite: ready\n", "DEBUG: all fine\n", "\ufffd\0\n"])
def test_a_healthy_console_has_no_crash(console: str) -> None:
    assert parse_crash(console) is None


def test_farewell() -> None:
    assert parse_farewell("[ 9.1] reboot: Power down\n") == "powered_off"
    assert parse_farewell("[ 9.1] reboot: Restarting system\n") == "restarted"
    assert parse_farewell("ready") is None
