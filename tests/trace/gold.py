"""One of Perfetto's diff tests: its trace, its expected answer, and the suite's reading of the trace."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from android_suite.analysis.pipeline import analyze_trace
from android_suite.tables.trace import Trace
from android_suite.trace.detect import open_trace
from android_suite.trace.perfetto.reader import read_perfetto

_FIELD = re.compile(r'(\w+)\s*:\s*(?:"([^"]*)"|([^\s{}]+))|(\w+)\s*\{|(\})')
Message = dict[str, list[Any]]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A trace, and what Perfetto answers."""

    path: Path
    expected: str

    @cached_property
    def trace(self) -> Trace:
        return open_trace(self.path) if self.path.suffix == ".systrace" else read_perfetto(self.path)

    @cached_property
    def analysis(self) -> Mapping[str, pd.DataFrame]:
        return analyze_trace(self.trace)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The answer as a table: numbers, texts, None for NULL."""
        lines = [line.strip() for line in self.expected.strip().splitlines()]
        return [tuple(_value(word) for word in line.split(",")) for line in lines[1:]]

    @property
    def message(self) -> Message:
        """The answer as a message: lists of values and messages by field."""
        return _message(iter(_FIELD.findall(self.expected)))

    def decoded(self, event: str) -> pd.DataFrame:
        assert self.trace.decode_event is not None
        return self.trace.decode_event(event)

    def slices(self, name: str) -> pd.DataFrame:
        """Whole slices whose name matches, with their length."""
        table = self.analysis["slices"]
        table = table[(table["cut"] == 0) & table["name"].str.contains(f"^(?:{name})", regex=True)]
        return table.assign(dur=table["end_ns"] - table["start_ns"])


def _value(word: str) -> Any:
    word = word.strip()
    if word.startswith('"'):
        return None if word == '"[NULL]"' else word.strip('"')
    return float(word) if "." in word else int(word)


def _message(fields: Iterator[tuple[str, str, str, str, str]]) -> Message:
    out: Message = {}
    for name, text, word, inner, close in fields:
        if close:
            break
        if inner:
            out.setdefault(inner, []).append(_message(fields))
        else:
            out.setdefault(name, []).append(int(word) if re.fullmatch(r"-?\d+", word) else word or text)
    return out
