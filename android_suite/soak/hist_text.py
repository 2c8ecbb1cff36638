"""The tables of hist triggers, as the kernel prints them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from android_suite.soak.plan import Reading, Trigger

# A comm may hold anything, line ends as well, but is too short to look like the end of a row.
_ROW = re.compile(
    r"\{ \w+: (?:(?P<comm>.*?)\s*\[ *(?P<named>\d+)\]|\s*(?P<tid>\d+))(?:, lat: ~ 2\^(?P<bucket>\d+))? +\}"
    r" hitcount: +(?P<count>\d+)(?P<values>.*)",
    re.DOTALL,
)
_VALUE = re.compile(r"([\w$]+):\s+(\d+)")


@dataclass(slots=True)
class TableText:
    """A table as the kernel prints it: rows by (tid, bucket), comms by tid, and how many events found no room."""

    rows: dict[tuple[int, int], tuple[int, int, int]]
    comms: dict[int, str]
    dropped: int = 0


def parse_hist(text: str, triggers: Collection[Trigger]) -> dict[str, TableText]:
    """Reads the ``hist`` file of one event.

    Args:
        text: its content.
        triggers: the triggers of that event; tables of others are skipped.

    Returns:
        The tables by name; a trigger that is not there any more is not in it.
    """
    found: dict[str, TableText] = {}
    table: TableText | None = None
    reading: Reading | None = None
    last: tuple[int, int] | None = None
    part = ""  # of a row whose comm has a line end
    for line in text.split("\n"):
        if line.startswith("# trigger info:"):
            mine = next((trigger for trigger in triggers if trigger.is_printed_as(line)), None)
            reading = mine.reading if mine else None
            table = TableText(rows={}, comms={}) if reading else None
            if reading and table is not None:
                found[reading.table] = table
            last, part = None, ""
        elif table is None or reading is None:
            continue
        elif part or line.startswith("{ "):
            part = f"{part}\n{line}" if part else line
            if row := _ROW.fullmatch(part):
                last, part = _read_row(row, reading, table), ""
        elif line.startswith("\tmax:") and last is not None and reading.longest:
            count, total, _ = table.rows[last]
            table.rows[last] = (count, total, int(dict(_VALUE.findall(line))["max"]))
        elif line.strip().startswith("Dropped:"):
            table.dropped = int(line.rpartition(":")[2])
    return found


def _read_row(row: re.Match[str], reading: Reading, table: TableText) -> tuple[int, int]:
    tid = int(row["named"] or row["tid"])
    if row["comm"]:
        table.comms[tid] = row["comm"].strip()
    bucket = int(row["bucket"]) if row["bucket"] else -1
    values = {name.lstrip("$"): int(value) for name, value in _VALUE.findall(row["values"])}
    total = 0
    if len(reading.total) == 1:
        total = values.get(reading.total[0], 0)
    elif reading.total:
        high, low = reading.total
        total = (values.get(high, 0) - values.get(low, 0)) % (1 << 64)  # sums of timestamps may have wrapped
    table.rows[tid, bucket] = (int(row["count"]), total, -1)
    return tid, bucket
