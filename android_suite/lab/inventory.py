"""The lab's file, and which attached device is which of its entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from android_suite.config import Config
from android_suite.device.connect import AttachedDevice, list_devices
from android_suite.errors import LabError
from android_suite.model.inventory import DeviceEntry, LabFile, ServerEntry, parse_inventory
from android_suite.model.toml_source import expand_home, read_toml


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """A lab's file that was read. ``state`` is its folder of quarantine."""

    file: LabFile
    state: Path

    @property
    def servers(self) -> tuple[ServerEntry, ...]:
        """The adb servers; that of this host if the file names none."""
        return self.file.server or (ServerEntry(name="local"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabDevice:
    """A device of the lab. ``attached`` is None if its server does not list it; ``config`` reaches its server."""

    serial: str
    entry: DeviceEntry
    server: ServerEntry
    config: Config
    attached: AttachedDevice | None


def read_inventory(path: Path) -> Inventory:
    """Reads ``lab.toml``.

    Raises:
        UsageError: the file cannot be read.
        ConfigError: it is invalid.
    """
    source = read_toml(path, "the lab's file", "docs/lab.md shows one")
    file = parse_inventory(source)
    if "\0" in file.state:
        raise source.fault(("state",), "the path of a folder", repr(file.state))
    return Inventory(file=file, state=path.absolute().parent / expand_home(file.state))


def list_lab(inventory: Inventory, config: Config) -> tuple[list[LabDevice], list[str]]:
    """The devices of a lab, in the order of its file, and why a server does not answer."""
    found: list[LabDevice] = []
    faults = []
    for server in inventory.servers:
        there = replace(config, adb_server_host=server.host, adb_server_port=server.port)
        try:
            attached = list_devices(there)
        except LabError as error:
            faults.append(f"adb server {server.name}: {error}")
            attached = ()
        entries = [each for each in inventory.file.device if each.server in (server.name, None)]
        found += _match(entries, attached, server, there)
    return found, faults


def _match(
    entries: list[DeviceEntry], attached: tuple[AttachedDevice, ...], server: ServerEntry, config: Config
) -> Iterator[LabDevice]:
    """A device that several entries name is that of the first that names it by serial or transport."""
    taken: set[int] = set()
    named = [each for each in entries if not each.model]
    of_model = [each for each in entries if each.model]
    for entry in named:
        mine = next((i for i, a in enumerate(attached) if i not in taken and a.is_named(entry.name)), None)
        if mine is None:
            yield LabDevice(serial=entry.name, entry=entry, server=server, config=config, attached=None)
            continue
        taken.add(mine)
        yield LabDevice(serial=entry.name, entry=entry, server=server, config=config, attached=attached[mine])
    for entry in of_model:
        for i, each in enumerate(attached):
            if i not in taken and each.model == entry.model:
                taken.add(i)
                yield LabDevice(serial=each.serial, entry=entry, server=server, config=config, attached=each)
