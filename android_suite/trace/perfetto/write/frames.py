"""FrameTimeline rows back to SurfaceFlinger's packets, field by field: the perfetto package has no class for them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd

from android_suite.trace.perfetto.frames import JANK, PREDICTION, PRESENT, SEVERITY
from android_suite.trace.perfetto.wire import write_varint

_SEQUENCE_ID = 3
_FRAME_TIMELINE = 76  # field of TracePacket
_BITS = {word: bit for bit, word in JANK.items()}


def _number(field: int, value: int) -> bytes:
    return write_varint(field << 3) + write_varint(value & 0xFFFFFFFFFFFFFFFF)


def _bytes(field: int, value: bytes) -> bytes:
    return write_varint(field << 3 | 2) + write_varint(len(value)) + value


def _packet(ts_ns: int, field: int, message: bytes) -> bytes:
    body = _number(8, ts_ns) + _number(10, _SEQUENCE_ID) + _bytes(_FRAME_TIMELINE, _bytes(field, message))
    return _bytes(1, body)


def encode_frames(frames: pd.DataFrame) -> Iterator[bytes]:
    """Packets of every frame: expected start and end (where known), actual start and end."""
    cookie = 0
    for row in frames.to_dict("records"):
        display = row["token"] < 0
        token = row["display_token"] if display else row["token"]
        head = _number(2, token) + (b"" if display else _number(3, row["display_token"]))
        owner = _number(3 if display else 4, row["tgid"])
        layer = b"" if display else _bytes(5, str(row["layer"]).encode())
        if row["expected_end_ns"] >= 0:
            cookie += 1
            yield _packet(row["expected_start_ns"], 1 if display else 3, _number(1, cookie) + head + owner + layer)
            yield _packet(row["expected_end_ns"], 5, _number(1, cookie))
        cookie += 1
        yield _packet(
            row["actual_start_ns"],
            2 if display else 4,
            _number(1, cookie) + head + owner + layer + _verdict(row, display),
        )
        if row["actual_end_ns"] >= 0:
            yield _packet(row["actual_end_ns"], 5, _number(1, cookie))


def _verdict(row: dict[Hashable, Any], display: bool) -> bytes:
    """Present type, on time, GPU composition, jank, prediction and severity, in the fields of either message."""
    jank = sum(_BITS.get(word, 0) for word in str(row["jank_type"]).split(", "))
    values = (
        PRESENT.index(str(row["present_type"])), int(bool(row["on_time_finish"])), int(bool(row["gpu_composition"])), jank,
        PREDICTION.index(str(row["prediction_type"])), SEVERITY.index(str(row["severity"])),
    )  # fmt: skip
    fields = (4, 5, 6, 7, 8, 9) if display else (6, 7, 8, 9, 10, 12)
    return b"".join(_number(field, value) for field, value in zip(fields, values, strict=True))
