"""The adb server ends while a virtual device boots: it is started again, and the device is found."""

from __future__ import annotations

from pathlib import Path

from android_suite.virtual.adb_link import wait_boot_completed
from tests.phone.conftest import MakePhone
from tests.scripted_phone.server import AdbServer


def test_a_server_that_ends_while_a_device_boots_costs_no_boot(
    make_phone: MakePhone, server: AdbServer, tmp_path: Path
) -> None:
    phone = make_phone(connect=False)
    looks = 0

    def kill_once() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            server.kill()

    wait_boot_completed(server.config(tmp_path), phone.address, timeout_s=60, check=kill_once)
    assert looks > 1
    assert phone.address in server.run("devices").stdout
