"""A device that is there already, over USB or network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from android_suite.boot.booted import Booted
from android_suite.device.connect import connect
from android_suite.device.device import Device
from android_suite.errors import LabError
from android_suite.model.identity import CrashRecord

RECONNECT_TIMEOUT_S = 120.0
_REASONS = ("ro.boot.bootreason", "sys.boot.reason", "sys.boot.reason.last")
_PSTORE = "/sys/fs/pstore"
_MAX_CONSOLE_BYTES = 64 << 10


@contextmanager
def attach(serial: str | None = None) -> Iterator[Booted]:
    """The attached device; None: the only one, or ``ANDROID_SERIAL``.

    Raises:
        UsageError: several and none chosen.
        LabError: none is ready.
    """
    device = Device(connect(serial))
    boot = device.boot_id()
    yield Booted(
        device=device,
        release=None,
        accel=None,
        crash_probe=lambda: probe_reboot(device.serial, boot_before=boot),
    )


def probe_reboot(serial: str, *, boot_before: str, timeout: float = RECONNECT_TIMEOUT_S) -> CrashRecord | None:
    """Reconnects after a loss and looks: another boot id means that the tested kernel went down.

    Args:
        serial: of the lost device.
        boot_before: its boot id before.
        timeout: seconds to wait for it to come back.

    Returns:
        The reboot with its reasons and what pstore kept of the console; None if the same boot still runs, which makes
        it the cable's fault, or if the device does not come back, which proves nothing.
    """
    try:
        device = Device(connect(serial, timeout=timeout))
        if device.boot_id() == boot_before:
            return None
        properties = device.read_properties()
        kept = device.transport.run(f"cat {_PSTORE}/console-ramoops* {_PSTORE}/dmesg-ramoops* 2>/dev/null").stdout
    except LabError:
        return None
    reasons = [f"{name}={properties[name]}" for name in _REASONS if properties.get(name)]
    return CrashRecord(
        kind="reboot",
        summary=f"the device rebooted during the scenario ({', '.join(reasons) or 'it tells no reason'})",
        console=kept[-_MAX_CONSOLE_BYTES:].decode(errors="replace"),
    )
