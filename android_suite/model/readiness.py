"""What is asked of a device before it is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Part = Literal["screen", "animations", "airplane", "doze", "dexopt"]
PARTS: Final[tuple[Part, ...]] = ("screen", "animations", "airplane", "doze", "dexopt")
THERMAL_NAMES: Final = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Android's PowerManager.THERMAL_STATUS_*, by number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyOptions:
    """What a recording asks of its device.

    Attributes:
        keep: parts of the device that stay as they are found.
        governor: CPU frequency governor to set on every policy (needs root); None leaves it.
        idle_states: False switches off the deeper CPU idle states (needs root).
        thermal_status: the highest thermal status at which an iteration counts: 0 none, 1 light.
        battery_c: the highest temperature of the battery in degrees Celsius.
        battery_pct: the lowest charge of the battery.
        cool_s: seconds to wait for the device to cool.
        boot_s: seconds to wait until Android has booted.
        repeats: how often an iteration is repeated that the device disturbed.
    """

    keep: frozenset[str] = frozenset()
    governor: str | None = None
    idle_states: bool = True
    thermal_status: int = 1
    battery_c: float = 42.0
    battery_pct: int = 15
    cool_s: float = 900.0
    boot_s: float = 120.0
    repeats: int = 3
