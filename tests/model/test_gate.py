"""Gate files: what is read, and how each fault is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.errors import ConfigError
from android_suite.model.gate import Gate, parse_gates
from android_suite.model.metrics import CATALOGUE, Margin, find_metric, parse_margin
from android_suite.model.toml_source import parse_toml

GOOD = """
# what may not get worse
[[gate]]
metric = "frameOverrunMs_p95"
scenario = "gc_stress"
margin = "500 us"
confidence = 0.9

[[gate]]
metric = "invertedMs"
undecided = "pass"
"""


def test_reads_gates_and_converts_units() -> None:
    first, second = parse_gates(parse_toml(GOOD, Path("gates.toml")))
    assert first == Gate(
        metric="frameOverrunMs_p95", scenario="gc_stress", margin=Margin(value=0.5, unit="ms"), confidence=0.9
    )
    assert (second.scenario, second.margin, second.undecided) == (None, None, "pass")


@pytest.mark.parametrize(
    ("old", "new", "line", "key"),
    [
        ('margin = "500 us"', 'margin = "0.5"', 6, "margin"),
        ('margin = "500 us"', "margin = 0.5", 6, "margin"),
        ('margin = "500 us"', 'margin = "0.5 MiB"', 6, "margin"),
        ('margin = "500 us"', 'margin = "-1 ms"', 6, "margin"),
        ("confidence = 0.9", "confidence = 95", 7, "confidence"),
        ("confidence = 0.9", "confidence = true", 7, "confidence"),
        ('undecided = "pass"', 'undecided = "maybe"', 11, "undecided"),
        ('undecided = "pass"', 'undecidd = "pass"', 11, "undecidd"),
        ('metric = "invertedMs"', "metric = 3", 10, "metric"),
        ('metric = "invertedMs"\n', "", 9, "metric"),
        ('scenario = "gc_stress"', "scenario = []", 5, "scenario"),
        ("[[gate]]\nmetric = \"invertedMs\"", "[gates]\nmetric = \"invertedMs\"", 9, "gates"),
        ("confidence = 0.9", "confidence = ", 7, "syntax"),
    ],
)  # fmt: skip
def test_every_fault_has_file_line_and_key(old: str, new: str, line: int, key: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        parse_gates(parse_toml(GOOD.replace(old, new), Path("gates.toml")))
    assert caught.value.line == line
    assert key in caught.value.key
    assert str(caught.value).startswith(f"gates.toml:{line}: ")


@pytest.mark.parametrize("text", ["gate = 3", "gate = [1]", "[gate]\nmetric='a'"])
def test_gate_must_be_tables(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_gates(parse_toml(text, Path("gates.toml")))


def test_margins_keep_their_floor() -> None:
    assert Margin(value=5, unit="%", floor=0.5).width(2.0) == 0.5
    assert Margin(value=5, unit="%").width(-200.0) == 10.0
    assert Margin(value=0.5, unit="ms").width(1e9) == 0.5
    assert parse_margin("2 pp", "%") == Margin(value=2, unit="pp")
    assert parse_margin("5%", "ms") == Margin(value=5, unit="%")
    assert parse_margin("nan ms", "ms") is None


def test_the_catalogue_is_sound() -> None:
    names = [metric.name for metric in CATALOGUE]
    assert len(names) == len(set(names))
    for metric in CATALOGUE:
        assert metric.doc
        assert metric.margin.width(100.0) > 0
        stem = metric.name.split("_")[0]
        assert {"ms": "Ms", "ns": "Ns", "count": "Count", "%": "Pct"}[metric.unit] in stem
    assert find_metric("mine", unit="widgets", better="higher").unit == "widgets"
