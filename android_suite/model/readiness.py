"""What is asked of a device before it is measured: the options, and ``[ready]`` of a plan."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Literal

from android_suite.model.toml_source import STRICT, TomlSource

Part = Literal["screen", "animations", "airplane", "doze", "dexopt"]
ThermalName = Literal["none", "light", "moderate", "severe", "critical", "emergency", "shutdown"]
PARTS: Final[tuple[Part, ...]] = ("screen", "animations", "airplane", "doze", "dexopt")
THERMAL_NAMES: Final[tuple[ThermalName, ...]] = (
    "none", "light", "moderate", "severe", "critical", "emergency", "shutdown",
)  # fmt: skip
"""Android's PowerManager.THERMAL_STATUS_*, by number."""
MOST_REPEATS: Final = 100
LONGEST_WAIT_S: Final = 86_400.0
_GOVERNOR: Final = re.compile(r"[A-Za-z0-9_]{1,30}")
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(s|min|h|d)")
_SECONDS: Final = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


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

    keep: Set[str] = frozenset()
    governor: str | None = None
    idle_states: bool = True
    thermal_status: int = 1
    battery_c: float = 42.0
    battery_pct: int = 15
    cool_s: float = 900.0
    boot_s: float = 120.0
    repeats: int = 3

    def changes(self) -> dict[str, Any]:
        """The options that differ from the defaults, as JSON."""
        mine = {each.name: getattr(self, each.name) for each in fields(self)}
        told = {name: value for name, value in mine.items() if value != getattr(_DEFAULT, name)}
        return {name: sorted(value) if isinstance(value, Set) else value for name, value in told.items()}

    def describe(self) -> str:
        """One line for people."""
        parts = [part for part in PARTS if part not in self.keep]
        chosen = [f"governor {self.governor}"] * bool(self.governor) + ["no deep idle states"] * (not self.idle_states)
        return "; ".join(
            [
                f"set: {', '.join(parts) or 'nothing'}",
                *([f"left as found: {', '.join(sorted(self.keep))}"] if self.keep else []),
                *chosen,
                f"thermal status at most {THERMAL_NAMES[self.thermal_status]}",
                f"battery at most {self.battery_c:g} °C and at least {self.battery_pct} %",
                f"a hot device is waited for {self.cool_s:g} s",
                f"a disturbed iteration is repeated {self.repeats} times",
            ]
        )


_DEFAULT: Final = ReadyOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyTable:
    """``[ready]``: what is set on the device of a realtime plan, its limits, and what happens when it exceeds them."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    keep: tuple[Part | Literal["everything"], ...] = ()
    governor: str | None = None
    idle_states: bool = True
    thermal_status: ThermalName = "light"
    battery_c: float = _DEFAULT.battery_c
    battery_pct: int = _DEFAULT.battery_pct
    cool: str = "15 min"
    boot: str = "2 min"
    repeats: int = _DEFAULT.repeats


def parse_duration_s(text: str) -> float | None:
    """Seconds of ``"90 min"``, ``"1.5 h"``, ``"40 s"`` or ``"2 d"``; None for any other text, such as a bare number."""
    found = _DURATION.fullmatch(text.strip())
    return float(found[1]) * _SECONDS[found[2]] if found else None


def keep_parts(words: Collection[str]) -> frozenset[str]:
    """The parts that ``keep`` names; ``everything`` is all of them."""
    return frozenset(PARTS) if "everything" in words else frozenset(words)


def is_governor(name: str) -> bool:
    """Whether a name can be that of a CPU frequency governor."""
    return _GOVERNOR.fullmatch(name) is not None


def read_ready(source: TomlSource, table: ReadyTable) -> ReadyOptions:
    """The options of a plan.

    Raises:
        ConfigError: a value is outside of its range.
    """
    if table.governor is not None and not is_governor(table.governor):
        raise source.fault(("ready", "governor"), "the name of a governor, such as 'performance'", repr(table.governor))
    for name, least, most in (("battery_c", 0, 100), ("battery_pct", 0, 100), ("repeats", 0, MOST_REPEATS)):
        if not least <= getattr(table, name) <= most:
            raise source.fault(("ready", name), f"{least} to {most}", getattr(table, name))
    return ReadyOptions(
        keep=keep_parts(table.keep),
        governor=table.governor,
        idle_states=table.idle_states,
        thermal_status=THERMAL_NAMES.index(table.thermal_status),
        battery_c=table.battery_c,
        battery_pct=table.battery_pct,
        cool_s=_wait_s(source, "cool", table.cool),
        boot_s=_wait_s(source, "boot", table.boot),
        repeats=table.repeats,
    )


def _wait_s(source: TomlSource, name: str, text: str) -> float:
    seconds = parse_duration_s(text)
    if seconds is None or seconds > LONGEST_WAIT_S:
        raise source.fault(("ready", name), "a duration with its unit, such as '15 min', at most a day", repr(text))
    return seconds
