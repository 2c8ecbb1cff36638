"""The axis of the pictures: round ticks within the data, whatever the data."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_suite.report.plot import LEFT, RIGHT, WIDTH, Plot, choose_ticks


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 100.0, [0, 20, 40, 60, 80, 100]),
        (-7.3, 9.8, [-5, 0, 5]),
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (382.1, 384.9, [383, 384]),
        (0.0, 3e-6, [0, 1e-6, 2e-6, 3e-6]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert choose_ticks(low, high) == pytest.approx(ticks, abs=1e-12)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_lie_within(low: float, width: float) -> None:
    high = low + width
    if high - low < abs(low) * 1e-9:
        return
    ticks = choose_ticks(low, high)
    step = (high - low) / 5
    assert len(ticks) <= 6
    assert all(low - step * 1e-3 <= tick <= high + step * 1e-3 for tick in ticks)


def test_ticks_of_a_range_beyond_the_largest_number() -> None:
    assert choose_ticks(-1e308, 1e308) == pytest.approx([-1e308, -5e307, 0.0, 5e307])


def test_a_value_outside_stays_in_the_picture() -> None:
    plot = Plot(0.0, 10.0)
    assert (plot.x(-5), plot.x(0), plot.x(10), plot.x(50)) == (LEFT, LEFT, WIDTH - RIGHT, WIDTH - RIGHT)
    assert Plot(3.0, 3.0).low < 3.0 < Plot(3.0, 3.0).high
    assert Plot(0.0, 0.0).low < 0.0


def test_foreign_names_stay_text() -> None:
    plot = Plot(0.0, 1.0)
    plot.name("<b>&\x1b", 10)
    svg = plot.finish(20, '"><script>', "a & b", legend=(("<i>", "#fff"),))
    root = Xml.fromstring(svg)
    assert root.get("aria-label") == "a & b"
    texts = [element.text for element in root.iter("text")]
    assert any(text and text.startswith("<b>&") for text in texts)
    assert '"><script>' in texts
    assert "<i>" in texts
