"""Puts a history into words, for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from android_suite.model.history import History, HistoryPoint, HistorySeries, LevelChange, ModeChange
from android_suite.report.phrases import format_percent, format_value, join_words, show_foreign

WEAK = 0.05  # a change that chance gives more often than this is called weak
_MOST_FACTS = 12
ORDERS = {"kernel": "by version and build", "date": "by date, one series a label"}


def summarize_history(history: History) -> str:
    """One sentence: how many changes, of what, in how many series."""
    examined = [series for series in history.series if series.status == "examined"]
    if not history.series:
        return "No complete iteration of the store has one of the chosen metrics."
    if not examined:
        return f"Nothing could be searched for change points: {_count(len(history.series), 'series')}, see each why."
    levels = sum(len(series.changes) for series in examined)
    modes = sum(len(series.modes) for series in examined)
    chances = [c.chance for s in examined for c in s.changes] + [m.chance for s in examined for m in s.modes]
    weak = sum(chance > WEAK for chance in chances)
    left = len(history.series) - len(examined)
    return (
        f"{_count(levels, 'change')} of level and {_count(modes, 'change')} of modes in {_count(len(examined), 'series')}"
        + (f", {weak} of them weak" if weak else "")
        + (f"; {left} more could not be searched." if left else ".")
    )


def explain_false_alarms(history: History) -> str:
    """What chance alone would have given."""
    rates = [series.false_alarms for series in history.series if series.false_alarms]
    if not rates:
        return "No series was searched, so there is no rate of false alarms."
    if not rates[0].null_series:
        return "The rate of false alarms was not measured (--null-series 0)."
    low, high = min(r.rate for r in rates), max(r.rate for r in rates)
    spread = format_percent(low) if low == high else f"{format_percent(low)} to {format_percent(high)}"
    return (
        f"False alarms, measured: with the noise of a series in random order ({rates[0].null_series} orders each, seed "
        f"{history.seed}), the same search finds a change in {spread} of the orders. Over all {len(rates)} series that "
        f"makes {history.expected_false_alarms:.2g} series with a false change of level to expect."
    )


def name_kernel_of(point: HistoryPoint) -> str:
    """The kernel of a point, with its label and what tells it from others of its version."""
    release = point.kernel.release or "a kernel that never answered"
    return show_foreign(f"{release} ({', '.join(point.labels)})" if point.labels else release, longest=80)


def describe_place(series: HistorySeries, change: LevelChange | ModeChange) -> str:
    """Between which points a change is."""
    point = series.points[change.after]
    if change.inside:
        return f"within {_name(point)}, whose kernel did not change: look at the device and the host"
    return f"{_name(series.points[change.after - 1])} to {_name(point)}"


def _name(point: HistoryPoint) -> str:
    """A point by its version; in order of date by its day, with the kernel."""
    release = point.kernel.release or "an unknown kernel"
    told = point.name if release.startswith(point.name.split(" ")[0]) else f"{point.name} ({release})"
    return show_foreign(told, longest=80)


def describe_change(series: HistorySeries, change: LevelChange) -> str:
    """Levels, size and direction of a change of level."""
    unit = series.unit
    relative = "" if change.effect_relative is None else f", {format_percent(change.effect_relative, signed=True)}"
    text = (
        f"{format_value(change.before_level, unit)} to {format_value(change.after_level, unit)} "
        f"({format_value(change.effect, unit, signed=True)}{relative})"
    )
    return text if change.beyond_margin else f"{text}, within the margin of {series.margin}"


def describe_modes(series: HistorySeries, change: ModeChange) -> str:
    """What the modes were and are, and what the median did."""
    places = join_words(
        f"{format_value(mode.place, series.unit)}: {format_percent(mode.before)} to {format_percent(mode.after)} of samples"
        for mode in change.modes
    )
    medians = f"{format_value(change.before_median, series.unit)} to {format_value(change.after_median, series.unit)}"
    stands = "though the median stands still" if change.median_stands else "and the median with them"
    return f"the modes changed, {stands} ({medians}). Near {places}"


def describe_chance(chance: float, series: HistorySeries) -> str:
    """How often random orders give a change at least as strong."""
    orders = series.false_alarms.null_series if series.false_alarms else 0
    if not orders:
        return "not measured"
    return f"{round(chance * (orders + 1))} of {orders + 1}{' (weak)' if chance > WEAK else ''}"


def list_doubts(series: HistorySeries) -> Iterator[str]:
    """What is left out of a series, and what else changed in it beside the kernel."""
    bounds = sum(point.lower_bound for point in series.points)
    unknown = sum(point.unknown for point in series.points)
    if bounds:
        yield f"{_count(bounds, 'boot')} known as lower bounds only: shown as open triangles, in no level and no search."
    if unknown:
        yield f"{_count(unknown, 'boot')} unknown: counted beside the name, in no level and no search."
    if len(suites := sorted({suite for point in series.points for suite in point.suites})) > 1:
        yield f"Recorded by several versions of android-suite: {show_foreign(', '.join(suites))}."


def list_conditions(history: History) -> dict[str, list[tuple[str, str]]]:
    """By name, the facts in which the conditions of the store's series differ; all facts where there is one set."""
    everything = history.conditions
    keys = sorted({key for told in everything.values() for key in told})
    differing = [key for key in keys if len({told.get(key) for told in everything.values()}) > 1]
    chosen = differing if len(everything) > 1 else keys
    return {name: _pick(told, chosen) for name, told in everything.items()}


def _pick(told: Mapping[str, str], keys: list[str]) -> list[tuple[str, str]]:
    facts = [(show_foreign(key), show_foreign(told[key])) for key in keys if key in told]
    more = len(facts) - _MOST_FACTS
    return [*facts[:_MOST_FACTS], ("more", f"{more} in the JSON")] if more > 0 else facts


def _count(number: int, what: str) -> str:
    plural = "" if number == 1 or what == "series" else "s"
    return f"{number} {what}{plural}"
