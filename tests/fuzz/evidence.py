"""Broken text of everything a device is asked beside the trace: every parser gives frames or an EvidenceError."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from android_suite.errors import EvidenceError
from android_suite.evidence import am_start, framestats, gfxinfo, lock_stat, logcat, maps, rows, vmstat
from android_suite.tables.evidence import EVIDENCE_TABLES, LOGCAT
from android_suite.tables.schema import Table, make_frame
from tests.fuzz.engine import Case, Reader
from tests.fuzz.mutate import mutate_text
from tests.trace.samples import EVIDENCE_TEXT

FRAMES_SHARE = 0.1  # the others check the rows and make no frames of them
ALL_SHARE = 0.1  # is given to every parser, the others to those it is meant for


def _read_logcat(text: str) -> None:
    lines = logcat.parse_logcat(text)
    for parse in (logcat.parse_gc_lines, logcat.parse_displayed, logcat.parse_monitor_contention):
        with contextlib.suppress(EvidenceError):
            parse(lines)


def _read_framestats(text: str) -> None:
    if len(framestats.parse_framestats(text)):
        framestats.parse_framestats_polls(text)


_PARSERS: tuple[Sequence[Callable[[str], object]], ...] = (  # beside EVIDENCE_TEXT
    (_read_framestats, gfxinfo.parse_gfxinfo),
    (lock_stat.parse_lock_stat,),
    (_read_logcat,),
    (am_start.parse_am_start_answers, maps.parse_smaps, vmstat.parse_vmstat),
)
_PARSED_BY = (am_start, framestats, gfxinfo, lock_stat, logcat, maps, vmstat)


def _check_rows(table: Table, found: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Whether a frame of ``table`` could be made of the rows. Only log lines, which others read on, are made one."""
    for column in table.columns:
        values = [value for row in found if (value := row.get(column.name)) is not None]
        if column.dtype == "str":
            assert all(isinstance(value, str) for value in values), (column, values)
        else:
            np.array(values, dtype=column.dtype)
    if table is LOGCAT:
        return pd.DataFrame(list(found), columns=list(table.dtypes), dtype=object)
    return _EMPTY[table.name]


def _pick_rows(lines: pd.DataFrame, table: Table, read: Callable[[str], dict[str, object] | None]) -> pd.DataFrame:
    return _check_rows(table, [found for message in lines["message"] if (found := read(message)) is not None])


def _check_columns(table: Table, columns: Mapping[str, Any] | None = None) -> pd.DataFrame:
    for column in table.columns if columns else ():
        if column.dtype != "str":
            np.array(list(columns[column.name]), dtype=column.dtype)  # type: ignore[index]
    return _EMPTY[table.name]


_EMPTY = {table.name: make_frame(table) for table in EVIDENCE_TABLES}


@contextlib.contextmanager
def _rows_only() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for module in _PARSED_BY:
            for name, check in (("frame_of", _check_rows), ("make_frame", _check_columns), ("_pick", _pick_rows)):
                if hasattr(module, name):
                    stack.enter_context(mock.patch.object(module, name, check))
        yield


class EvidenceReader(Reader):
    """The parsers of evidence."""

    name = "evidence"

    def warm_up(self) -> None:
        self._texts = [text.decode() for text in EVIDENCE_TEXT]
        for text, parsers in zip(self._texts, _PARSERS, strict=True):
            for parse in parsers:
                parse(text)
        assert len(framestats.parse_framestats(self._texts[0])) == 2
        assert rows.frame_of is framestats.frame_of  # the one step that _rows_only replaces

    def make(self, case: Case) -> tuple[str, Sequence[Callable[[str], object]]]:
        which = case.rng.randrange(len(EVIDENCE_TEXT))
        broken = mutate_text(case, EVIDENCE_TEXT[which], case.rng.choice(EVIDENCE_TEXT))
        everyone = case.chance(ALL_SHARE, "read: by every parser")
        parsers = [parse for group in _PARSERS for parse in group] if everyone else _PARSERS[which]
        return broken.decode("utf-8", "replace"), parsers

    def read(self, case: Case, made: tuple[str, Sequence[Callable[[str], object]]]) -> None:
        text, parsers = made
        refused: EvidenceError | None = None
        with contextlib.ExitStack() as stack:
            if not case.chance(FRAMES_SHARE, "read: frames"):
                stack.enter_context(_rows_only())
            for parse in parsers:
                try:
                    parse(text)
                except EvidenceError as error:
                    refused = error
        if refused is not None:
            raise refused
