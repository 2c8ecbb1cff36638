"""How every device of a lab is: free, busy with whom, in quarantine and why, its kernel, battery and temperature."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from android_suite.config import Config
from android_suite.device.claim import CLAIM
from android_suite.device.connect import open_plain
from android_suite.device.lease import LEASE
from android_suite.errors import LabError
from android_suite.lab.inventory import Inventory, LabDevice, list_lab
from android_suite.lab.quarantine import why_aside
from android_suite.model.lab import DeviceStatus, LabStatus, Standing
from android_suite.ready.reading import parse_level

_AT_ONCE = 16
_CALL_S = 10.0
_MARK = "android-suite-part"
_SCRIPT = f"readlink {LEASE}; echo {_MARK}; readlink {CLAIM}; echo {_MARK}; uname -r; echo {_MARK}; dumpsys battery 2>/dev/null"
_CELSIUS = re.compile(r"^\s*temperature: (-?\d{1,5})\s*$", re.MULTILINE)
_STATES: dict[str, Standing] = {"offline": "offline", "unauthorized": "unauthorized"}


def read_lab(inventory: Inventory, config: Config) -> LabStatus:
    """Looks at every device at once; one that does not answer delays the others by no more than its time-out."""
    devices, faults = list_lab(inventory, config)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = tuple(pool.map(lambda device: read_device(device, inventory), devices))
    return LabStatus(devices=found, faults=tuple(faults))


def read_device(device: LabDevice, inventory: Inventory) -> DeviceStatus:
    """One device of the lab."""
    known = DeviceStatus(
        serial=device.serial,
        server=device.server.name,
        standing="unknown",
        labels=device.entry.labels,
        model=device.attached.model if device.attached else device.entry.model,
    )
    aside = why_aside(inventory.state, device.serial)
    if device.attached is None or device.attached.state != "device":
        state = "absent" if device.attached is None else device.attached.state
        standing: Standing = "absent" if device.attached is None else _STATES.get(state, "unknown")
        if aside:
            return replace(known, standing="quarantined", detail=aside)
        return replace(known, standing=standing, detail="" if standing == state else state)
    try:
        text = open_plain(device.config, device.serial).run(_SCRIPT, timeout=_CALL_S).text
    except LabError as error:
        return replace(known, standing="quarantined" if aside else "unknown", detail=aside or str(error))
    lease, claim, kernel, battery = ([part.strip() for part in text.split(_MARK)] + [""] * 4)[:4]
    holder = _holder(lease) or _holder(claim)
    celsius = _CELSIUS.search(battery)
    return replace(
        known,
        standing="quarantined" if aside else "busy" if holder else "free",
        detail=aside or holder,
        kernel=kernel or None,
        battery_pct=parse_level(battery),
        battery_c=int(celsius[1]) / 10 if celsius else None,
    )


def _holder(link: str) -> str:
    """Who a lease (TOKEN:COUNT:HOST:PID:START:HOLDER) or a claim (PID:START:BOOT:HOLDER) names."""
    parts = link.split(":")
    if len(parts) == 6:
        return f"{parts[5]}, process {parts[3]} on {parts[2]}"
    return parts[3] if len(parts) == 4 else ""


def choose_device(
    inventory: Inventory, config: Config, *, label: str | None, kernels: tuple[str, ...], seen: LabStatus | None = None
) -> list[tuple[LabDevice, DeviceStatus]]:
    """The devices of a lab that may boot these kernels and have the label, the free ones first.

    Raises:
        LabError: there is none.
    """
    devices, _ = list_lab(inventory, config)
    status = seen or read_lab(inventory, config)
    by_name = {(each.server, each.serial): each for each in status.devices}
    fitting = [
        (device, by_name[device.server.name, device.serial])
        for device in devices
        if (label is None or label in device.entry.labels)
        and all(device.entry.may_boot(kernel) for kernel in kernels)
        and (device.server.name, device.serial) in by_name
    ]
    usable = [pair for pair in fitting if pair[1].standing in ("free", "busy")]
    if not usable:
        wanted = f" with the label {label}" if label else ""
        states = ", ".join(f"{s.serial} is {s.standing}" for _, s in fitting) or "the lab's file names none"
        raise LabError(f"no device{wanted} that may boot {', '.join(kernels)} can be used: {states}; see `lab status`.")
    return sorted(usable, key=lambda pair: pair[1].standing != "free")
