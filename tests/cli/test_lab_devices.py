"""How often the page of a lab asks devices, and what it shows of their answers."""

from __future__ import annotations

from android_suite.cli.lab_devices import BUSY_S, FREE_S, LabDevices
from android_suite.config import Config
from android_suite.device.connect import AttachedDevice
from android_suite.lab.inventory import LabDevice
from android_suite.model.inventory import DeviceEntry, ServerEntry
from android_suite.model.lab import DeviceStatus, Standing


class World:
    """Two phones whose standing a test sets; counts the questions."""

    def __init__(self) -> None:
        self.now = 0.0
        self.standing: dict[str, Standing] = {"A": "free", "B": "busy"}
        self.gone: set[str] = set()
        self.asked: list[str] = []
        self.devices = LabDevices(listing=self.list, asking=self.ask, clock=lambda: self.now)

    def list(self) -> tuple[list[LabDevice], list[str]]:
        server = ServerEntry(name="rack")
        found = [
            LabDevice(
                serial=serial,
                entry=DeviceEntry(serial=serial),
                server=server,
                config=Config(),
                attached=None if serial in self.gone else AttachedDevice(serial=serial, state="device"),
            )
            for serial in self.standing
        ]
        return found, ["adb server two: it does not answer"]

    def ask(self, device: LabDevice) -> DeviceStatus:
        self.asked.append(device.serial)
        standing: Standing = "absent" if device.serial in self.gone else self.standing[device.serial]
        detail = {"busy": "nightly, process 7 on host", "quarantined": "hot"}.get(standing, "")
        return DeviceStatus(
            serial=device.serial, server="rack", standing=standing, detail=detail, labels=("desk",), battery_pct=70
        )

    def later(self, seconds: float) -> list[str]:
        self.now += seconds
        self.asked.clear()
        self.devices()
        return sorted(self.asked)


def test_a_busy_device_is_left_alone() -> None:
    world = World()
    assert world.later(0) == ["A", "B"]
    assert world.later(FREE_S - 1) == []
    assert world.later(1) == ["A"]
    assert world.later(BUSY_S - FREE_S) == ["A", "B"]


def test_a_device_that_came_back_is_asked_at_once() -> None:
    world = World()
    world.later(0)
    world.gone = {"B"}
    assert world.later(1) == ["B"]
    world.gone = set()
    assert world.later(1) == ["B"]


def test_what_is_shown() -> None:
    world = World()
    world.standing = {"A": "free", "B": "busy", "C": "quarantined"}
    (free, busy, aside), trouble = world.devices()
    assert (free.state, free.busy_with, free.details) == ("free", "", "desk, battery 70 %")
    assert (busy.state, busy.busy_with) == ("busy", "nightly, process 7 on host")
    assert aside.quarantine == "hot"
    assert trouble == "adb server two: it does not answer"
