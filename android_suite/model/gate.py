"""Gates: which metric may not get worse, by how much, and with what confidence. Parsed from TOML text."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from android_suite.errors import ConfigError
from android_suite.model.metrics import CATALOGUE, Margin, find_metric, parse_margin

_KEYS = ("metric", "scenario", "margin", "confidence", "undecided")
_UNIT_OF_SUFFIX = (("Ms", "ms"), ("Count", "count"), ("Pct", "%"), ("Bytes", "bytes"), ("Ns", "ns"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate. ``scenario`` None means every scenario that has the metric; ``margin`` None the catalogue's own."""

    metric: str
    scenario: str | None = None
    margin: Margin | None = None
    confidence: float = 0.95
    undecided: Literal["fail", "pass"] = "fail"

    @property
    def name(self) -> str:
        """How reports call it: ``scenario/metric``."""
        return f"{self.scenario or '*'}/{self.metric}"


def parse_gates(text: str, file: Path | str) -> tuple[Gate, ...]:
    """Reads the ``[[gate]]`` tables of a gate file.

    Args:
        text: the TOML text.
        file: its name, for messages.

    Raises:
        ConfigError: not TOML, an unknown key, a value of the wrong kind, a margin without a unit.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        raise ConfigError(
            file, "TOML", "a valid TOML file", str(error), line=int(found[1]) if found else None
        ) from None
    unknown = [key for key in document if key != "gate"]
    if unknown:
        raise ConfigError(file, unknown[0], "only [[gate]] tables", repr(unknown[0]), line=_line(text, unknown[0]))
    return read_gate_tables(document.get("gate", []), file, text)


def read_gate_tables(tables: object, file: Path | str, text: str = "") -> tuple[Gate, ...]:
    """Gates from TOML that is parsed already (a plan's ``[[gate]]``); ``text`` serves to name lines.

    Raises:
        ConfigError: as for :func:`parse_gates`.
    """
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise ConfigError(file, "gate", "[[gate]] tables", repr(tables), line=_line(text, "gate"))
    return tuple(_gate(table, number, file, text) for number, table in enumerate(tables))


def _gate(table: Mapping[str, object], number: int, file: Path | str, text: str) -> Gate:
    def fault(key: str, expected: str, found: object) -> ConfigError:
        return ConfigError(file, f"gate[{number}].{key}", expected, found, line=_line(text, key, number))

    for key in table:
        if key not in _KEYS:
            raise fault(key, f"one of {', '.join(_KEYS)}", f"{key!r}")
    metric = table.get("metric")
    if not isinstance(metric, str) or not metric:
        raise fault("metric", "a metric's name, for example 'frameOverrunMs_p95'", repr(metric))
    scenario = table.get("scenario")
    if scenario is not None and (not isinstance(scenario, str) or not scenario):
        raise fault("scenario", "a scenario's name", repr(scenario))
    confidence = table.get("confidence", 0.95)
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0.5 <= confidence < 1:
        raise fault("confidence", "a number from 0.5 to below 1, for example 0.95", repr(confidence))
    undecided = table.get("undecided", "fail")
    if undecided != "fail" and undecided != "pass":
        raise fault("undecided", "'fail' or 'pass'", repr(undecided))
    given, unit = table.get("margin"), _unit(metric)
    margin = parse_margin(given, unit) if isinstance(given, str) else None
    if given is not None and margin is None:
        words = f"'0.5 {'pp' if unit == '%' else unit}'" if unit else "a number of the metric's unit"
        raise fault("margin", f"a number above 0 with its unit in quotes, as '5 %' or {words}", repr(given))
    return Gate(metric=metric, scenario=scenario, margin=margin, confidence=float(confidence), undecided=undecided)


def _unit(metric: str) -> str:
    if any(known.name == metric for known in CATALOGUE):
        return find_metric(metric).unit
    stem = metric.split("_", 1)[0]
    return next((unit for suffix, unit in _UNIT_OF_SUFFIX if stem.endswith(suffix)), "")


def _line(text: str, key: str, number: int | None = None) -> int | None:
    """The line of ``key`` (in the ``number``-th [[gate]] table, else that table's own), or None where there is none."""
    table, heading = -1, None
    wanted = re.compile(rf"\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=\]]")
    for index, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if re.match(r"\[\[\s*gate\s*\]\]", bare):
            table += 1
            heading = index if table == number else heading
        if (number is None or number == table) and wanted.match(bare):
            return index
    return heading
