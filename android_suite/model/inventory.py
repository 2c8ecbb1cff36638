"""``lab.toml``: the adb servers and devices of a lab. See docs/lab.md and docs/schema/lab.json."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, ClassVar

from android_suite.model.toml_source import STRICT, TomlSource, expected_name, validate_source


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEntry:
    """An adb server: ``host`` as the computers see it that drive its devices."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    name: str
    host: str = "127.0.0.1"
    port: int = 5037


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEntry:
    """Devices of one server: the one of a ``serial`` or ``transport`` (a USB path, ``usb:1-4.2``), or all of a ``model``.

    ``kernels`` are the kernels that a plan may boot there: names or file names, with ``*`` and ``?``; absent: any.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    serial: str | None = None
    transport: str | None = None
    model: str | None = None
    server: str | None = None
    labels: tuple[str, ...] = ()
    kernels: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """What it is named by."""
        return self.serial or self.transport or self.model or ""

    def may_boot(self, kernel: str) -> bool:
        """Whether a plan may boot this kernel, by its name or its file's."""
        names = (kernel, PurePath(kernel).name)
        return self.kernels is None or any(fnmatch.fnmatchcase(n, k) for n in names for k in self.kernels)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabFile:
    """The whole file. ``state`` is the folder for quarantine, relative to the file; hosts of one lab share it."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    state: str = "lab-state"
    server: tuple[ServerEntry, ...] = ()
    device: tuple[DeviceEntry, ...] = ()


def parse_inventory(source: TomlSource) -> LabFile:
    """Reads and checks a ``lab.toml``.

    Raises:
        ConfigError: it is invalid; names the line, the key, and what was expected and found.
    """
    lab = validate_source(source, LabFile)
    names: set[str] = set()
    for index, server in enumerate(lab.server):
        if server.name in names:
            raise source.fault(("server", index, "name"), "a name of its own", repr(server.name))
        if not 0 < server.port < 65536:
            raise source.fault(("server", index, "port"), "a port, 1 to 65535", server.port)
        names.add(server.name)
    seen: set[tuple[str | None, str]] = set()
    for index, device in enumerate(lab.device):
        given = [each for each in (device.serial, device.transport, device.model) if each]
        if len(given) != 1:
            raise source.fault(("device", index), "one of serial, transport and model", f"{len(given)} of them")
        if device.server is None and len(lab.server) > 1:
            raise source.fault(("device", index), "server, because there are several", "none")
        if device.server is not None and device.server not in names:
            expected = expected_name(device.server, sorted(names)) if names else "a server of the file"
            raise source.fault(("device", index, "server"), expected, repr(device.server))
        if (device.server, device.name) in seen:
            raise source.fault(("device", index), "each device once", repr(device.name))
        seen.add((device.server, device.name))
    return lab
