"""A device that is already attached, over USB or network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from android_suite.boot.booted import Booted
from android_suite.boot.proof import Expected, check_running
from android_suite.boot.waiting import BOOT_TIMEOUT_S, read_pstore, read_reasons, send_reboot, wait_booted
from android_suite.config import Config
from android_suite.device.claim import claim_device
from android_suite.device.connect import connect
from android_suite.device.device import Device
from android_suite.errors import LabError, UsageError
from android_suite.model.identity import CrashRecord
from android_suite.virtual.console import parse_crash, parse_farewell
from android_suite.virtual.registry import DeviceRecord, Registry

RECONNECT_TIMEOUT_S = 120.0
END_TIMEOUT_S = 10.0  # adb can notice the end of a guest before QEMU writes the last console line


@contextmanager
def attach(config: Config, serial: str | None = None, *, release: str | None = None) -> Iterator[Booted]:
    """Opens the attached device. Without a serial: the configured device, or the only one.

    The recorder refuses another ``release`` than the given one.

    Raises:
        UsageError: several are attached and none was chosen.
        LabError: no device is ready.
    """
    device = Device(connect(config, serial))
    boot = device.boot_id()
    virtual = next((record for record in Registry(config).list_devices() if record.serial == device.serial), None)

    def probe() -> CrashRecord | None:
        return probe_console(virtual) if virtual else probe_reboot(config, device.serial, boot_before=boot)

    yield Booted(device=device, release=release, accel=virtual.accel if virtual else None, crash_probe=probe)


@contextmanager
def reboot_attached(
    config: Config,
    serial: str | None = None,
    *,
    release: str | None = None,
    timeout: float = BOOT_TIMEOUT_S,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Booted]:
    """Restarts the attached device and opens it, so that what is recorded comes from a boot of its own.

    Args:
        config: gives the adb server, and the device if ``serial`` is None.
        serial: as for :func:`attach`.
        release: the release that has to run; None for any.
        timeout: seconds for the boot.
        say: called with progress messages.

    Raises:
        UsageError: it is a virtual device, which a reboot ends.
        NotReady: it does not come back, or with another kernel.
        LabError: another recording runs on it, or no device is ready.
    """
    device = Device(connect(config, serial))
    if any(record.serial == device.serial for record in Registry(config).list_devices()):
        raise UsageError(
            f"{device.serial} is a virtual device, which a reboot ends; name its kernel in the plan instead of 'attached'."
        )
    before = restart(config, device)
    say(f"{device.serial} restarts")
    device = wait_booted(config, device.serial, before=before, timeout=timeout)
    check_running(device, Expected(release=release))
    boot = device.boot_id()
    yield Booted(
        device=device,
        release=release,
        accel=None,
        crash_probe=lambda: probe_reboot(config, device.serial, boot_before=boot),
    )


def restart(config: Config, device: Device, target: str = "") -> str:
    """Restarts a device that no recording uses; returns the boot id that ends.

    Raises:
        LabError: another recording runs on it.
    """
    before = device.boot_id()
    with claim_device(device, config.cache):  # the reboot frees the claim, too
        send_reboot(device, target)
    return before


def probe_console(record: DeviceRecord, *, timeout: float = END_TIMEOUT_S) -> CrashRecord | None:
    """Finds out whether the kernel of a virtual device started by `vdev start` crashed. It does not come back.

    Args:
        record: the lost device.
        timeout: seconds to wait for its QEMU to end.

    Returns:
        The crash that its console shows; None if the device still runs or was stopped from outside.
    """
    deadline = time.monotonic() + timeout
    while record.running and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        console = record.console.read_text("utf-8", "replace")
    except OSError:
        return None
    if crash := parse_crash(console):
        return CrashRecord(kind=crash.kind, summary=crash.title, console=crash.excerpt)
    farewell = None if record.running else parse_farewell(console)
    if farewell is None:
        return None
    return CrashRecord(kind="reboot", summary=f"the guest {farewell.replace('_', ' ')}", console=console[-4000:])


def probe_reboot(
    config: Config, serial: str, *, boot_before: str, timeout: float = RECONNECT_TIMEOUT_S
) -> CrashRecord | None:
    """Reconnects after a loss and compares boot ids: another boot id means that the tested kernel went down.

    Args:
        config: gives the adb server.
        serial: serial of the lost device.
        boot_before: its boot id before the loss.
        timeout: seconds to wait for it to come back.

    Returns:
        The reboot with its reasons and the console that pstore kept. None if the same boot still runs, because then
        only the connection failed. None also if the device does not come back, because that proves nothing.
    """
    try:
        device = Device(connect(config, serial, timeout=timeout, expected=True))
        if device.boot_id() == boot_before:
            return None
        reasons = read_reasons(device.read_properties())
        console = read_pstore(device)
    except LabError:
        return None
    return CrashRecord(
        kind="reboot",
        summary=f"the device rebooted during the scenario ({', '.join(reasons) or 'it gives no reason'})",
        console=console,
    )
