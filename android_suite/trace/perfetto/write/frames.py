"""Encodes FrameTimeline rows as SurfaceFlinger's packets, field by field: the perfetto package has no class for them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd

from android_suite.trace.perfetto.frames import (
    DISPLAY,
    END,
    JANK,
    PREDICTION,
    PRESENT,
    SEVERITY,
    SURFACE,
    VERDICT,
)
from android_suite.trace.perfetto.numbers import number_of
from android_suite.trace.perfetto.wire import write_varint

_SEQUENCE_ID = 3
_BITS = {word: bit for bit, word in JANK.items()}


def _number(field: int, value: int) -> bytes:
    return write_varint(field << 3) + write_varint(value & 0xFFFFFFFFFFFFFFFF)


def _bytes(field: int, value: bytes) -> bytes:
    return write_varint(field << 3 | 2) + write_varint(len(value)) + value


def _packet(ts_ns: int, kind: str, message: bytes) -> bytes:
    body = (
        _number(number_of("TracePacket", "timestamp"), ts_ns)
        + _number(number_of("TracePacket", "trusted_packet_sequence_id"), _SEQUENCE_ID)
        + _bytes(
            number_of("TracePacket", "frame_timeline_event"), _bytes(number_of("FrameTimelineEvent", kind), message)
        )
    )
    return _bytes(number_of("Trace", "packet"), body)


def encode_frames(frames: pd.DataFrame) -> Iterator[bytes]:
    """Packets of every frame: expected start and end (if known), actual start and end."""
    cookie = 0
    for row in frames.to_dict("records"):
        display = row["token"] < 0
        message, shown = (DISPLAY, "display") if display else (SURFACE, "surface")
        owner = _number(number_of(message, "token"), row["display_token"] if display else row["token"])
        if not display:
            owner += _number(number_of(message, "display_frame_token"), row["display_token"])
        owner += _number(number_of(message, "pid"), row["tgid"])
        if not display:
            owner += _bytes(number_of(message, "layer_name"), str(row["layer"]).encode())
        if row["expected_end_ns"] >= 0:
            cookie += 1
            yield _packet(row["expected_start_ns"], f"expected_{shown}_frame_start", _cookie(message, cookie) + owner)
            yield _packet(row["expected_end_ns"], "frame_end", _cookie(END, cookie))
        cookie += 1
        told = _cookie(message, cookie) + owner + _verdict(row, message)
        yield _packet(row["actual_start_ns"], f"actual_{shown}_frame_start", told)
        if row["actual_end_ns"] >= 0:
            yield _packet(row["actual_end_ns"], "frame_end", _cookie(END, cookie))


def _cookie(message: str, cookie: int) -> bytes:
    return _number(number_of(message, "cookie"), cookie)


def _verdict(row: dict[Hashable, Any], message: str) -> bytes:
    """Present type, on time, GPU composition, jank, prediction and severity, in the fields of either message."""
    values = {
        "present": PRESENT.index(str(row["present_type"])), "on_time": int(bool(row["on_time_finish"])),
        "gpu": int(bool(row["gpu_composition"])),
        "jank": sum(_BITS.get(word, 0) for word in str(row["jank_type"]).split(", ")),
        "prediction": PREDICTION.index(str(row["prediction_type"])), "severity": SEVERITY.index(str(row["severity"])),
    }  # fmt: skip
    return b"".join(_number(number_of(message, field), values[name]) for name, field in VERDICT.items())
