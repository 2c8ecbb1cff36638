"""Columns that several derived tables have, and the names behind their codes."""

from __future__ import annotations

from android_suite.model.analysis import Quality
from android_suite.tables.schema import Column

QUALITIES: tuple[Quality, ...] = ("exact", "lower_bound", "unknown")
WHO_EVIDENCE = ("exact", "inferred", "unknown")  # how a thread that is waited for is known


def index_into(name: str, names: tuple[str, ...]) -> Column:
    """A column of indices into ``names``."""
    return Column(name, "int8", "", "index into " + " | ".join(n or "(none)" for n in names), names)


QUALITY = index_into("quality", QUALITIES)
START = Column("start_ns", "int64", "ns", "start")
END = Column("end_ns", "int64", "ns", "end; the trace's end if it is cut there")
TID = Column("tid", "int32", "", "thread")
HOLDER_TID = Column("holder_tid", "int32", "", "thread waited for; -1 unknown")
HOLDER_EVIDENCE = index_into("holder_evidence", WHO_EVIDENCE)
