"""Which devices there are, and the transport to one of them."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass

from android_suite.device.adb import AdbTransport, query_server, start_server
from android_suite.errors import LabError, NotReady, UsageError

_POLL_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedDevice:
    """A line of ``adb devices -l``."""

    serial: str
    state: str  # device, offline, unauthorized, recovery, ...
    model: str | None
    product: str | None


def parse_devices(text: str) -> tuple[AttachedDevice, ...]:
    """Reads the server's answer to ``host:devices-l``."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or line.startswith(("List of", "*")):
            continue
        facts = dict(word.split(":", 1) for word in words[2:] if ":" in word)
        found.append(
            AttachedDevice(serial=words[0], state=words[1], model=facts.get("model"), product=facts.get("product"))
        )
    return tuple(found)


def list_devices() -> tuple[AttachedDevice, ...]:
    """What the adb server sees, in its order.

    Raises:
        LabError: no adb, or no server.
    """
    return parse_devices(query_server(start_server(), "host:devices-l"))


def choose_serial(wanted: str | None, devices: tuple[AttachedDevice, ...]) -> str:
    """The serial to use: ``wanted``, else ``ANDROID_SERIAL``, else the only device there is.

    Raises:
        UsageError: several and none chosen.
        LabError: none at all.
    """
    if chosen := wanted or os.environ.get("ANDROID_SERIAL"):
        return chosen
    usable = [device.serial for device in devices if device.state == "device"]
    if len(usable) == 1:
        return usable[0]
    if usable:
        raise UsageError(f"several devices are attached ({', '.join(usable)}); choose one with --serial.")
    others = ", ".join(f"{device.serial} is {device.state}" for device in devices)
    raise LabError(
        f"no device is ready ({others or 'adb sees none'}); attach one, or use --kernel for a virtual device."
    )


def connect(serial: str | None = None, *, timeout: float = 20.0) -> AdbTransport:
    """A transport to the device, which answers.

    Args:
        serial: as adb names it; ``host:port`` is connected to first. None: ``ANDROID_SERIAL`` or the only one.
        timeout: seconds to wait for a device that is known and not ready.

    Raises:
        UsageError: several devices and none chosen.
        NotReady: it is offline or unauthorized, or does not appear.
        LabError: no adb, no server, no device.
    """
    client = start_server()
    chosen = choose_serial(serial, list_devices())
    deadline = time.monotonic() + timeout
    state = ""
    while True:
        state = next((d.state for d in list_devices() if d.serial == chosen), "absent")
        if state == "device":
            break
        if time.monotonic() >= deadline or (state == "absent" and ":" not in chosen):
            raise NotReady(f"{chosen} is {state}; {_remedy(state)}")
        if ":" in chosen and state in ("absent", "offline"):
            if state == "offline":
                disconnect(chosen)
            with suppress(LabError):  # the state tells; the deadline ends the tries
                query_server(client, f"host:connect:{chosen}", timeout=5)
        time.sleep(_POLL_S)
    try:
        features = frozenset(query_server(client, f"host-serial:{chosen}:features").split(","))
    except LabError as error:
        raise NotReady(f"{chosen} does not tell its features ({error}); unplug it and try again.") from error
    return AdbTransport(client, chosen, features=features)


def disconnect(serial: str) -> None:
    """Makes the adb server forget a ``host:port``, so that a dead virtual device does not stay listed."""
    if ":" not in serial:
        return
    with suppress(LabError):  # nothing that a caller could do about it
        query_server(start_server(), f"host:disconnect:{serial}")


def _remedy(state: str) -> str:
    match state:
        case "unauthorized":
            return "accept this machine's key on the device's screen."
        case "offline":
            return "unplug it or run `adb reconnect`, then try again."
        case "absent":
            return "check `adb devices` and the serial."
        case _:
            return "boot it into Android and try again."
