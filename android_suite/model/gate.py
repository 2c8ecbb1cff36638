"""Gates: which metric may not get worse, by how much, and with what confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from android_suite.model.metrics import CATALOGUE, Margin, find_metric, parse_margin
from android_suite.model.toml_source import STRICT, KeyPath, TomlSource, validate_source

_UNIT_OF_SUFFIX = (("Ms", "ms"), ("Count", "count"), ("Pct", "%"), ("Bytes", "bytes"), ("Ns", "ns"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate. Without ``scenario`` it covers every scenario; without ``margin`` it takes that of the catalogue."""

    metric: str
    scenario: str | None = None
    margin: Margin | None = None
    confidence: float = 0.95
    undecided: Literal["fail", "pass"] = "fail"

    @property
    def name(self) -> str:
        """Its name in reports: ``scenario/metric``."""
        return f"{self.scenario or '*'}/{self.metric}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTable:
    """One ``[[gate]]`` table of a file."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    metric: str
    scenario: str | None = None
    margin: str | int | float | None = None
    confidence: float = 0.95
    undecided: Literal["fail", "pass"] = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFile:
    """The tables of a gate file."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    gate: tuple[GateTable, ...] = ()


def parse_gates(source: TomlSource) -> tuple[Gate, ...]:
    """The gates of a gate file: ``[[gate]]`` tables and nothing else.

    Raises:
        ConfigError: an unknown key, a value of the wrong kind, a margin without a unit.
    """
    return read_gates(source, validate_source(source, GateFile).gate)


def read_gates(source: TomlSource, tables: Sequence[GateTable]) -> tuple[Gate, ...]:
    """The gates of the ``[[gate]]`` tables of a file.

    Raises:
        ConfigError: a value is invalid.
    """
    return tuple(_read_gate(source, ("gate", index), table) for index, table in enumerate(tables))


def _read_gate(source: TomlSource, path: KeyPath, table: GateTable) -> Gate:
    if not table.metric:
        raise source.fault((*path, "metric"), "a metric's name, for example 'frameOverrunMs_p95'", "''")
    if table.scenario == "":
        raise source.fault((*path, "scenario"), "a scenario's name", "''")
    if not 0.5 <= table.confidence < 1:
        expected = "a number from 0.5 to below 1, for example 0.95"
        raise source.fault((*path, "confidence"), expected, repr(table.confidence))
    margin = None
    if table.margin is not None:
        margin = read_margin(source, (*path, "margin"), table.margin, _unit(table.metric))
    return Gate(
        metric=table.metric,
        scenario=table.scenario,
        margin=margin,
        confidence=table.confidence,
        undecided=table.undecided,
    )


def read_margin(source: TomlSource, path: KeyPath, value: object, unit: str) -> Margin:
    """Reads the margin at ``path`` for a metric in ``unit`` (empty if unknown).

    Raises:
        ConfigError: it is not a number above 0 with a unit that fits the metric.
    """
    margin = parse_margin(value, unit) if isinstance(value, str) else None
    if margin is None:
        own = f" or '0.5 {'pp' if unit == '%' else unit}'" if unit else ""
        raise source.fault(path, f"a number above 0 with its unit in quotes, such as '5 %'{own}", repr(value))
    return margin


def _unit(metric: str) -> str:
    if any(known.name == metric for known in CATALOGUE):
        return find_metric(metric).unit
    stem = metric.split("_", 1)[0]
    return next((unit for suffix, unit in _UNIT_OF_SUFFIX if stem.endswith(suffix)), "")
