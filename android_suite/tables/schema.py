"""Declares tables (name, columns, dtypes, units), and makes and checks their frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from android_suite.errors import SchemaError


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its pandas dtype name, its unit ('' for a plain count, name or flag) and what it means.

    The values of a column of codes are indices into its ``names``.
    """

    name: str
    dtype: str
    unit: str
    doc: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A declared table. Every frame of it, even an empty one, has exactly these columns, in this order."""

    name: str
    doc: str
    columns: tuple[Column, ...]

    @property
    def dtypes(self) -> dict[str, str]:
        """Column name to pandas dtype name, in column order."""
        return {c.name: c.dtype for c in self.columns}


def make_frame(table: Table, columns: Mapping[str, object] | None = None) -> pd.DataFrame:
    """Builds a frame of ``table`` from its columns (no copy where the dtypes fit already).

    Args:
        table: the declaration.
        columns: one array per column, all of one length; None for an empty frame.

    Raises:
        SchemaError: a column is missing, unknown, or cannot have its declared dtype.
    """
    given: Mapping[str, object] = {c.name: () for c in table.columns} if columns is None else columns
    wrong = set(given) ^ set(table.dtypes)
    if wrong:
        raise SchemaError(f"table {table.name}: columns {sorted(wrong)} are missing or not declared; fix the reader.")
    try:
        # Arrays, because pandas would compare the indexes of Series one by one, which costs more than most tables' data.
        made = {c.name: _as_array(given[c.name], c.dtype) for c in table.columns}
        return pd.DataFrame(made, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise SchemaError(f"table {table.name}: {error}; fix the reader.") from error


def _as_array(values: object, dtype: str) -> object:
    if isinstance(values, np.ndarray) and values.dtype.name == dtype:
        return values
    made = values.astype(dtype) if isinstance(values, pd.Series) else pd.Series(values, dtype=dtype, copy=False)  # type: ignore[call-overload]
    return made.array if dtype == "str" else made.to_numpy()


def name_codes(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with each column of codes as a pandas categorical of names; a code without a name is missing (NaN)."""
    named = {}
    for column in table.columns:
        if column.names:
            codes = frame[column.name].to_numpy()
            codes = np.where((codes >= 0) & (codes < len(column.names)), codes, -1)
            named[column.name] = pd.Categorical.from_codes(codes, categories=pd.Index(column.names))
    return frame.assign(**named)


def check_frame(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Returns ``frame`` if it matches ``table``.

    Raises:
        SchemaError: columns or dtypes differ from the declaration.
    """
    found = {str(name): str(dtype) for name, dtype in frame.dtypes.items()}
    if found != table.dtypes:
        differ = {k: (table.dtypes.get(k), found.get(k)) for k in table.dtypes.keys() | found.keys()}
        differ = {k: v for k, v in differ.items() if v[0] != v[1]}
        raise SchemaError(f"table {table.name}: columns differ from the declaration: {differ}; rebuild with `analyze`.")
    return frame
