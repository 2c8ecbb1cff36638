"""What was changed on a device and how it was found: kept on the host and on the device until it is put back.

The copy on the host survives a device that lost ours, the copy on the device a host that died or was changed for
another. Whoever records next on the device puts back what either of them names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from android_suite.device.device import WORK_FOLDER, Device
from android_suite.ready.knobs import is_known
from android_suite.store.run import write_json

ON_DEVICE: Final = f"{WORK_FOLDER}/ready-as-found.json"
_ANDROID_ID: Final = re.compile(r"[0-9a-f]{8,16}")


def name_settings(device: Device) -> str:
    """The name of the settings that a device has now: another device has another, so has a device that lost them.

    Neither a serial number nor an address is enough: a network address and the port of a virtual device are given to the
    next one, emulators share a serial number, and so do some phones. Android draws ``android_id`` anew with its settings
    (at a factory reset, or when a virtual device starts). Where there is none, the settings are those of this boot.
    """
    serial = device.read_properties().get("ro.serialno") or device.serial
    drawn = device.transport.run(["settings", "get", "--user", "0", "secure", "android_id"]).text.strip()
    which = drawn if _ANDROID_ID.fullmatch(drawn) else f"boot-{device.boot_id()}"
    return f"{serial}-{which}"


class Journal:
    """The journal of one device, whose settings have a name (:func:`name_settings`)."""

    def __init__(self, device: Device, cache: Path, settings: str) -> None:
        self._device = device
        self._path = cache / "ready" / (re.sub(r"[^0-9A-Za-z._-]", "_", settings)[:150] + ".json")

    def read(self) -> Mapping[str, str]:
        """Name -> value as found, of an interrupted recording; the device's word counts more. Empty if there is none."""
        try:
            text = self._path.read_text("utf-8", errors="replace")
        except OSError:
            text = ""
        return {**_parse(text), **_parse(self._device.read_text(ON_DEVICE) or "")}

    def write(self, found: Mapping[str, str]) -> None:
        """Writes both copies, before anything is changed."""
        write_json(self._path, {"found": dict(found)})
        self._device.run(["mkdir", "-p", WORK_FOLDER])
        self._device.transport.push(json.dumps({"found": dict(found)}).encode(), ON_DEVICE)

    def remove(self) -> None:
        """Everything is put back."""
        self._device.run(["rm", "-f", ON_DEVICE])
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def _parse(text: str) -> Mapping[str, str]:
    try:
        found = json.loads(text)["found"]
        return {name: value for name, value in found.items() if isinstance(value, str) and is_known(name, value)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
