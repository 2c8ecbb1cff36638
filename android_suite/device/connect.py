"""Lists devices and opens a transport to one."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass

import adbutils

from android_suite.config import Config
from android_suite.device.adb import AdbTransport, query_server, start_server
from android_suite.device.root import become_root, may_restart_as_root
from android_suite.device.transport import Transport
from android_suite.errors import DeviceLost, LabError, NotReady, UsageError

_POLL_S = 0.25
_NAMELESS = (
    "(no serial number)",
    "????????????",
)  # what adb prints for a device that has no serial or may not be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedDevice:
    """A line of ``adb devices -l``."""

    serial: str
    state: str  # device, offline, unauthorized, no permissions, recovery, ...
    model: str | None = None
    product: str | None = None
    usb: str | None = None  # USB path as adb prints it, "usb:1-2"
    transport_id: int | None = None  # changes at each reconnection
    detail: str = ""  # what adb adds to the state, such as why it lacks permissions

    @property
    def address(self) -> str:
        """A ``--serial`` value that is unique among devices of one serial: the USB path, else the transport id."""
        return self.usb or f"transport_id:{self.transport_id}"

    def is_named(self, name: str) -> bool:
        """Whether ``name`` means this device: its serial, USB path or ``transport_id:N``."""
        return name in (self.serial, self.usb) or (
            self.transport_id is not None and name == f"transport_id:{self.transport_id}"
        )


_MDNS = re.compile(r"\._adb(-tls-connect)?\._tcp\b")
# A serial may contain blanks: "adb-AB12 (2)._adb-tls-connect._tcp". After it come a state and key:value words.
_LINE = re.compile(
    r"^(?P<serial>\S.*?)\s+"
    r"(?:(?P<state>device|offline|unauthorized|authorizing|connecting|recovery|sideload|rescue|bootloader|host|detached|unknown)"
    r"|(?P<denied>no permissions)\b[ ;]*(?P<detail>.*?)|(?P<other>[a-z]+))"
    r"(?P<facts>(?:\s+[a-z_]+:\S*)*)\s*$"
)


def parse_devices(text: str) -> tuple[AttachedDevice, ...]:
    """Reads the server's answer to ``host:devices-l`` (or ``adb devices -l``)."""
    found = []
    for line in text.splitlines():
        if line.startswith(("List of", "*")) or (said := _LINE.match(line)) is None:
            continue
        words = said["facts"].split()
        facts = dict(word.split(":", 1) for word in words)
        transport = facts.get("transport_id", "")
        found.append(
            AttachedDevice(
                serial=said["serial"],
                state=said["state"] or said["denied"] or said["other"],
                model=facts.get("model"),
                product=facts.get("product"),
                usb=next((word for word in words if word.startswith("usb:")), None),
                transport_id=int(transport) if transport.isascii() and transport.isdigit() else None,
                detail=said["detail"] or "",
            )
        )
    return tuple(found)


def list_devices(config: Config) -> tuple[AttachedDevice, ...]:
    """The devices that the adb server lists, in its order.

    Raises:
        LabError: adb is not installed, or no server answers.
    """
    return parse_devices(query_server(start_server(config), "host:devices-l"))


def choose_serial(wanted: str | None, devices: tuple[AttachedDevice, ...]) -> str:
    """Chooses the device: ``wanted``, else the only attached device.

    Returns:
        A serial; a USB path or ``transport_id:N`` if several devices have the same serial, or it has none.

    Raises:
        UsageError: several are attached and none was chosen.
        LabError: no device is attached.
    """
    if wanted:
        twins = [device.address for device in devices if device.serial == wanted]
        if len(twins) > 1:
            raise UsageError(
                f"several devices have the serial {wanted}; choose one with --serial {' or '.join(twins)}."
            )
        return twins[0] if twins and wanted in _NAMELESS else _name_for_long(wanted, devices)
    usable = [device for device in devices if device.state == "device"]
    names = [name_device(each, devices) for each in usable]
    if len(names) == 1:
        return names[0]
    if names:
        raise UsageError(f"several devices are attached ({', '.join(names)}); choose one with --serial.")
    others = ", ".join(f"{device.serial} is {device.state}" for device in devices)
    if len(devices) == 1:  # then that one is meant
        step = remedy(devices[0].state, network=crosses_network(devices[0].serial))
        raise LabError(f"no device is ready ({others}); {step}")
    raise LabError(
        f"no device is ready ({others or 'adb sees none'}); attach one, or use --kernel for a virtual device."
    )


def name_device(device: AttachedDevice, devices: tuple[AttachedDevice, ...]) -> str:
    """What ``--serial`` takes for it: its serial, or its address if it has none or shares it."""
    twins = [each for each in devices if each.serial == device.serial]
    return device.serial if len(twins) == 1 and device.serial not in _NAMELESS else device.address


def _name_for_long(wanted: str, devices: tuple[AttachedDevice, ...]) -> str:
    """A name that outlives a reconnection: a transport id ends with the first reboot or `adb root`."""
    if not wanted.startswith("transport_id:"):
        return wanted
    return next((name_device(each, devices) for each in devices if each.is_named(wanted)), wanted)


def open_plain(config: Config, serial: str) -> Transport:
    """A transport to a device as adb has it now: it waits for nothing and never restarts adbd to become root.

    Raises:
        NotReady: the device is absent or adb may not talk to it.
        LabError: there is no adb server.
    """
    client = start_server(config)
    found = next(
        (each for each in parse_devices(query_server(client, "host:devices-l")) if each.is_named(serial)), None
    )
    if found is None or found.state != "device":
        state = found.state if found else "absent"
        raise NotReady(f"{serial} is {state}; check its cable and its screen.", state=state)
    target = found.serial if serial == found.serial else found.usb
    via = f"host:transport:{target}" if target else f"host:transport-id:{found.transport_id}"
    asked = f"host-serial:{target}:features" if target else f"host-transport-id:{found.transport_id}:features"
    try:
        features = frozenset(query_server(client, asked).split(","))
    except LabError as error:
        raise NotReady(f"{serial} does not report its features ({error}); unplug it and try again.") from error
    return AdbTransport(client, serial, features=features, via=via)


def choose_ready(config: Config, serial: str | None = None, *, timeout: float = 20.0) -> str:
    """The name of the device that :func:`connect` would open, once adb may talk to it; nothing is done to the device.

    Raises:
        UsageError: several devices are attached and none was chosen.
        NotReady: see :func:`connect`.
        LabError: see :func:`connect`.
    """
    client = start_server(config)
    chosen = choose_serial(serial or config.serial, list_devices(config))
    _wait_ready(config, client, chosen, timeout, expected=False)
    return chosen


def connect(config: Config, serial: str | None = None, *, timeout: float = 20.0, expected: bool = False) -> Transport:
    """Opens a transport to a device and checks that it answers. It is root if the device allows that.

    Args:
        config: gives the adb server, and the device if ``serial`` is None.
        serial: as adb prints it. ``host:port`` is connected first. ``usb:PATH`` and ``transport_id:N`` distinguish
            devices with the same serial. None takes the configured device, or the only one.
        timeout: seconds to wait for a known device to become ready.
        expected: the device was there and will be back: it is also waited for while adb does not list it.

    Raises:
        UsageError: several devices are attached and none was chosen.
        NotReady: the device is offline or unauthorized, or does not appear.
        LabError: adb is not installed, or there is no server or no device.
    """
    client = start_server(config)
    chosen = choose_serial(serial or config.serial, list_devices(config))
    found = _wait_ready(config, client, chosen, timeout, expected=expected)
    # A USB path outlives a reconnection, a transport id does not; adb takes either where it takes a serial.
    target = found.serial if chosen == found.serial else found.usb
    via = f"host:transport:{target}" if target else f"host:transport-id:{found.transport_id}"
    asked = f"host-serial:{target}:features" if target else f"host-transport-id:{found.transport_id}:features"
    try:
        features = frozenset(query_server(client, asked).split(","))
    except LabError as error:
        raise NotReady(f"{chosen} does not report its features ({error}); unplug it and try again.") from error
    plain = AdbTransport(client, chosen, features=features, via=via)
    transport = become_root(plain)
    if transport is plain and may_restart_as_root(plain):
        plain.ask_adbd("root:")
        return _reconnect_as_root(config, client, chosen, plain, deadline=time.monotonic() + timeout)
    return transport


def _reconnect_as_root(
    config: Config, client: adbutils.AdbClient, chosen: str, plain: AdbTransport, *, deadline: float
) -> Transport:
    """Waits until adbd is back after `adb root`; without root if it did not become root."""
    while True:
        # over USB adb does not list it at all while adbd restarts
        found = _wait_ready(config, client, chosen, max(1.0, deadline - time.monotonic()), expected=True)
        via = (
            plain.via
            if found.transport_id is None or chosen == found.serial
            else f"host:transport-id:{found.transport_id}"
        )
        fresh = plain.reopen(via)
        try:
            if not may_restart_as_root(fresh) or time.monotonic() >= deadline:
                return fresh
        except DeviceLost:  # the server has not noticed yet that the old adbd is gone
            if time.monotonic() >= deadline:
                raise
        time.sleep(_POLL_S)


def _wait_ready(
    config: Config, client: adbutils.AdbClient, chosen: str, timeout: float, *, expected: bool
) -> AttachedDevice:
    """The device as adb lists it once it is ready; a `host:port` is connected first, and forgotten if that fails.

    What adb does not list is waited for only if it is ``expected`` or can be connected.

    Raises:
        NotReady: it does not become ready within ``timeout`` seconds.
    """
    network = _is_network(chosen)
    deadline = time.monotonic() + timeout
    found = _find(config, chosen)
    ours = network and found is None
    try:
        while found is None or found.state != "device":
            state = found.state if found else "absent"
            if time.monotonic() >= deadline or (state == "absent" and not (network or expected)):
                raise NotReady(f"{chosen} is {state}; {remedy(state, network=network)}", state=state)
            if network and state in ("absent", "offline"):
                if state == "offline":
                    disconnect(config, chosen)
                with suppress(LabError):  # the state shows it; the deadline ends the attempts
                    query_server(client, f"host:connect:{chosen}", timeout=5)
            time.sleep(_POLL_S)
            found = _find(config, chosen)
    except BaseException:
        if ours:  # adb would list it as offline from now on
            disconnect(config, chosen)
        raise
    return found


def _find(config: Config, chosen: str) -> AttachedDevice | None:
    return next((device for device in list_devices(config) if device.is_named(chosen)), None)


def crosses_network(name: str) -> bool:
    """Whether adb reaches the device over a network: ``host:port``, or a name that mDNS found."""
    return _is_network(name) or name.startswith("transport_id:")  # which remains only of a device without a USB path


def _is_network(name: str) -> bool:
    """Whether adb can be told to connect to it: ``host:port`` or mDNS's name, unlike ``usb:1-2``, ``transport_id:7``."""
    return _MDNS.search(name) is not None or (":" in name and not name.startswith(("usb:", "transport_id:")))


def disconnect(config: Config, serial: str) -> None:
    """Makes the adb server forget a ``host:port``, so that a dead virtual device does not stay listed."""
    if not _is_network(serial):
        return
    with suppress(LabError):  # nothing that a caller could do about it
        query_server(start_server(config), f"host:disconnect:{serial}")


def remedy(state: str, *, network: bool) -> str:
    """What to do about a device in a state that is not ``device``, as the end of a sentence."""
    match state:
        case "unauthorized":
            return "accept this machine's key on the device's screen."
        case "no permissions":
            return (
                "let this user open USB devices: install udev rules (Debian: android-sdk-platform-tools-common), join the group "
                "plugdev, log in again, run `adb kill-server` and plug it in again."
            )
        case "authorizing" | "connecting":
            return "wait a moment and try again."
        case "offline" | "absent" if network:
            return (
                "check address and port, and that the device runs and lets adb in over the network (`adb tcpip 5555`)."
            )
        case "offline":
            return "unplug it or run `adb reconnect`, then try again."
        case "absent":
            return "check `adb devices` and the serial."
        case _:
            return "boot it into Android (`adb reboot`) and try again."
