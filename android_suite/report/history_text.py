"""Prints a history on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from android_suite.model.history import History, HistorySeries
from android_suite.report import history_words as words
from android_suite.report.phrases import format_percent, format_value, show_foreign
from android_suite.report.terminal_tables import make_table

_STYLES = {"better": "green", "worse": "bold red", "changed": "magenta"}
_MOST = 30  # builds of a series; the rest is in the JSON


def print_history(history: History, console: Console) -> None:
    """Prints every series with its builds and changes; plain text if the console is not a terminal."""
    console.print(Text(words.summarize_history(history), style="bold"))
    console.print(Text(words.explain_false_alarms(history)))
    if history.repeats:
        console.print(Text(f"{history.repeats} boots repeat another and are left out.", style="yellow"))
    several = len(history.conditions) > 1
    for series in history.series:
        _print_series(series, console, several=several)
    for name, facts in words.list_conditions(history).items() if several else ():
        console.print(Text(f"conditions {name}: " + "; ".join(f"{key} {value}" for key, value in facts), style="dim"))


def _print_series(series: HistorySeries, console: Console, *, several: bool) -> None:
    title = " ".join([series.scenario, series.metric, series.label, *([series.conditions] if several else [])])
    columns = [("build", "left"), ("kernel", "left"), ("recorded", "left"), ("level", "right"), ("boots", "right")]
    table = make_table(show_foreign(title).strip(), *columns)
    for point in series.points[-_MOST:]:
        boots = [
            str(point.exact),
            *([f"{point.lower_bound} bound{'' if point.lower_bound == 1 else 's'}"] if point.lower_bound else []),
        ]
        boots += [f"{point.unknown} unknown"] if point.unknown else []
        table.add_row(
            Text(show_foreign(point.name)),
            Text(show_foreign(point.kernel.release or "unknown", longest=60)),
            Text(show_foreign(point.first_at[:10])),
            format_value(point.level, series.unit),
            ", ".join(boots),
        )
    console.print(table)
    if len(series.points) > _MOST:
        console.print(Text(f"  {len(series.points) - _MOST} earlier builds are in the JSON."))
    for change in series.changes:
        text = f"  {change.direction.upper()} {words.describe_place(series, change)}: {words.describe_change(series, change)}"
        text += f"; by chance in {words.describe_chance(change.chance, series)}"
        console.print(Text(text, style=_STYLES[change.direction]))
    for mode in series.modes:
        text = f"  MODES {words.describe_place(series, mode)}: {words.describe_modes(series, mode)}"
        console.print(Text(f"{text}; by chance in {words.describe_chance(mode.chance, series)}", style="magenta"))
    if series.status != "examined":
        word = "too few" if series.status == "too_few" else "not exact"
        console.print(Text(f"  {word}: {show_foreign(series.reason)}", style="yellow"))
    elif series.false_alarms and series.false_alarms.null_series:
        found = "" if series.changes or series.modes else "no change; "
        rate = f"{format_percent(series.false_alarms.rate)} of {series.false_alarms.null_series} random orders"
        console.print(Text(f"  {found}false alarms: {rate}", style="dim"))
    for doubt in words.list_doubts(series):
        console.print(Text(f"  {doubt}", style="yellow"))
