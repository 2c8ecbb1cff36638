"""Waits until a device has booted: a new boot id, then Android's ``sys.boot_completed``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from android_suite.config import Config
from android_suite.device.connect import connect
from android_suite.device.device import Device
from android_suite.errors import AdbTimeout, DeviceLost, LabError, NotReady, UsageError
from android_suite.model.identity import CrashRecord
from android_suite.virtual.console import parse_crash

BOOT_TIMEOUT_S = 420.0  # a first boot after flashing optimizes apps
_POLL_S = 0.5
_ANSWER_S = 5.0  # for a listed device to answer; adb lists one before adbd is ready
_STUCK_S = 45.0  # a state that only a person can end: a device passes through it in seconds
_STUCK = frozenset({"unauthorized", "offline", "no permissions", "recovery", "sideload", "rescue"})
_LOOP_BOOTS = 3  # boots seen before one was completed
_REBOOT_TIMEOUT_S = 20.0

REASONS = ("ro.boot.bootreason", "sys.boot.reason", "sys.boot.reason.last")
PSTORE = "/sys/fs/pstore"
MAX_CONSOLE_BYTES = 64 << 10
_CRASH_WORDS = ("panic", "watchdog", "wdt", "oops")


def send_reboot(device: Device, target: str = "") -> None:
    """Restarts a device into ``target`` (Android, or ``bootloader`` or ``fastboot``). It does not wait.

    Raises:
        LabError: the device refuses.
    """
    command = ["reboot", target] if target else ["reboot"]
    with suppress(DeviceLost, AdbTimeout):  # it goes down before it answers
        device.run(command, timeout=_REBOOT_TIMEOUT_S)


@dataclass(slots=True)
class _Watch:
    """What was seen of a device while it boots."""

    boots: list[str] = field(default_factory=list)
    state: str = "absent"
    since: float = 0.0
    detail: str = ""

    def note(self, state: str, now: float, detail: str = "") -> float:
        """Notes the state; returns the seconds that it has lasted."""
        if state != self.state:
            self.state, self.since = state, now
        self.detail = detail
        return now - self.since


def wait_booted(
    config: Config,
    serial: str,
    *,
    before: str | None,
    timeout: float = BOOT_TIMEOUT_S,
    give_up: Callable[[], str | None] = lambda: None,
) -> Device:
    """Waits for another boot than ``before`` to complete; the device is root again if it can be.

    Args:
        config: gives the adb server.
        serial: serial of the device.
        before: boot id of the boot that has to end; None if none ran.
        timeout: seconds for the whole boot.
        give_up: called while the device is not in adb or offline; returns why it will not come, if that is known.

    Raises:
        NotReady: it did not boot; the message says where it got stuck.
    """
    begun = time.monotonic()
    watch = _Watch(since=begun)
    # The port of an emulator is open from its start: adb calls it offline until its adbd runs.
    stuck = _STUCK - {"offline"} if serial.startswith("emulator-") else _STUCK
    while (now := time.monotonic()) - begun < timeout:
        device = _look(config, serial, before, watch, now, stuck=stuck)
        if device is not None:
            return device
        if len(watch.boots) >= _LOOP_BOOTS:
            raise NotReady(
                f"{serial} restarts again and again ({len(watch.boots)} boots before one was completed): a boot loop; "
                "boot another kernel, and read its console (pstore) for the reason."
            )
        if watch.state in ("absent", "offline") and (why := give_up()):
            raise NotReady(f"{serial} {why}")
        time.sleep(_POLL_S)
    raise NotReady(_explain_timeout(serial, watch, before, timeout))


def _look(
    config: Config, serial: str, before: str | None, watch: _Watch, now: float, *, stuck: frozenset[str]
) -> Device | None:
    """The device if its boot is complete.

    Raises:
        NotReady: it is in a state that does not pass by itself.
    """
    try:
        device = Device(connect(config, serial, timeout=_ANSWER_S))
        boot = device.boot_id()
        if boot == before:
            watch.note("still in the old boot", now)
            return None
        if boot not in watch.boots:
            watch.boots.append(boot)
        properties = device.read_properties()
    except UsageError:
        raise
    except LabError as error:
        state = (error.state if isinstance(error, NotReady) else "") or "absent"
        lasted = watch.note(state, now, str(error))
        if state in stuck and lasted > _STUCK_S:
            raise NotReady(f"after its reboot {error}") from error
        return None
    if properties.get("sys.boot_completed") == "1":
        return device
    watch.note("starting Android", now)
    return None


def _explain_timeout(serial: str, watch: _Watch, before: str | None, timeout: float) -> str:
    waited = f"in {timeout:.0f} s"
    if watch.state == "still in the old boot":
        return f"{serial} did not restart {waited}; restart it by hand (`adb reboot`), then try again."
    if watch.state == "starting Android":
        return (
            f"{serial} did not complete its boot {waited} (sys.boot_completed is not 1); look at its screen and at "
            "`adb logcat -b all`."
        )
    if watch.boots:
        return f"{serial} came up and went away again, and did not come back {waited}; look at its screen and cable."
    if watch.state == "absent":
        gone = "did not come back" if before else "did not come up"
        return f"{serial} {gone} {waited}: adb does not see it; look at its screen, and check cable and `adb devices`."
    return f"{serial} did not come back {waited}: {watch.detail}"


def read_reasons(properties: Mapping[str, str]) -> list[str]:
    """What the properties say of the reason of the last reboot, as ``name=value``."""
    return [f"{name}={properties[name]}" for name in REASONS if properties.get(name)]


def read_pstore(device: Device) -> str:
    """The console of the boot before, as pstore kept it; empty if it kept none or root is needed."""
    kept = device.transport.run(f"cat {PSTORE}/console-ramoops* {PSTORE}/dmesg-ramoops* 2>/dev/null").stdout
    return kept[-MAX_CONSOLE_BYTES:].decode(errors="replace")


def find_boot_crash(device: Device) -> CrashRecord | None:
    """The crash of the boot before, if the reasons of the reboot and the kept console both show one."""
    reasons = read_reasons(device.read_properties())
    if not any(word in reason.lower() for reason in reasons for word in _CRASH_WORDS):
        return None
    console = read_pstore(device)
    found = parse_crash(console)
    if found is None:
        return None
    summary = f"{found.title} ({', '.join(reasons)})"
    return CrashRecord(kind=found.kind, summary=summary, console=found.excerpt)
