"""Decodes texts inside records (comms, markers) to Arrow string columns, without a Python loop per event."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from android_suite.trace.core import gather
from android_suite.trace.core.byte_readers import copy_spans
from android_suite.trace.core.event_format import Field

Array = npt.NDArray[Any]


def string_column(buf: Array, starts: Array, ends: Array) -> pd.Series:
    """The spans of ``buf`` as a string column; bytes that are not UTF-8 become U+FFFD."""
    data, offsets = copy_spans(buf, starts, ends)
    return pd.Series(pd.array(strings_from(offsets, data), dtype="str"), dtype="str")


def decode_text(
    words: Array, where: Array, size: Array, big: bool, field: Field, *, strip_newline: bool = False
) -> Any:
    """The texts of ``field`` as a pyarrow large_string array, one per record; bytes that are not UTF-8 become U+FFFD.

    A dynamic field that points outside its record gives the part inside it.
    """
    begin, limit = text_spans(words, where, size, big, field)
    offsets = np.empty(where.size + 1, np.int64)
    gather.measure_texts(words, where, begin, limit, big, strip_newline, offsets)
    data = np.empty(int(offsets[-1]), np.uint8)
    ascii_ = gather.gather_bytes(words, where, begin, big, offsets, data) < 128
    return strings_from(offsets, data, ascii_=ascii_)


def text_spans(words: Array, where: Array, size: Array, big: bool, field: Field) -> tuple[Array, Array]:
    """Where the data of ``field`` begins in each record, and its largest size in bytes; both stay inside the record."""
    begin, limit = np.empty(where.size, np.int64), np.empty(where.size, np.int64)
    after = field.offset + field.size if field.location == "rel_loc" else 0
    dynamic = field.location != "here"
    gather.find_spans(words, where, size, field.offset, field.size, dynamic, after, big, begin, limit)
    return begin, limit


def strings_from(offsets: Array, data: Array, *, ascii_: bool | None = None) -> Any:
    """Arrow large_string array of the n texts in ``data`` (bytes) that ``offsets`` (int64, n + 1) delimits.

    ``ascii_`` says whether all of them are ASCII; None if unknown.
    """
    made = pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
    # ASCII is valid UTF-8. Anything else is checked, and if it is not UTF-8, repaired text by text.
    if ascii_ is None:
        ascii_ = not data.size or int(data.max()) < 128
    if not ascii_:
        try:
            made.validate(full=True)
        except pa.ArrowInvalid:
            raw = data.tobytes()
            ends = offsets.tolist()
            made = pa.array(
                [raw[a:b].decode("utf-8", "replace") for a, b in itertools.pairwise(ends)], pa.large_string()
            )
    return made
