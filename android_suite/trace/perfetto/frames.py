"""Decodes SurfaceFlinger's FrameTimeline: joins starts and ends by cookie, and actual frames to expected ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from android_suite.tables.events import FRAME_TIMELINE
from android_suite.tables.schema import make_frame
from android_suite.trace.core.string_columns import string_column
from android_suite.trace.perfetto.numbers import numbers_of
from android_suite.trace.perfetto.scan import Array, read_columns

KINDS = (
    "expected_display_frame_start", "actual_display_frame_start", "expected_surface_frame_start",
    "actual_surface_frame_start", "frame_end",
)  # fmt: skip
_EXPECTED_DISPLAY, _ACTUAL_DISPLAY, _EXPECTED_SURFACE, _ACTUAL_SURFACE, _END = range(5)  # of KINDS
SURFACE, DISPLAY, END = (f"FrameTimelineEvent.{message}" for message in ("SurfaceFrame", "DisplayFrame", "FrameEnd"))
# Fields of an actual frame: our name and Perfetto's, which is the same in both messages.
VERDICT = {
    "present": "present_type", "on_time": "on_time_finish", "gpu": "gpu_composition", "jank": "jank_type",
    "prediction": "prediction_type", "severity": "jank_severity_type",
}  # fmt: skip
_EXPECTED_SURFACE_FIELDS = {
    "cookie": "cookie", "token": "token", "display_token": "display_frame_token", "tgid": "pid", "layer": "layer_name",
}  # fmt: skip
_EXPECTED_DISPLAY_FIELDS = {"cookie": "cookie", "token": "token", "tgid": "pid"}

PRESENT = ("Unspecified", "On-time", "Late", "Early", "Dropped", "Unknown")
PREDICTION = ("Unspecified", "Valid", "Expired", "Unknown")
SEVERITY = ("Unknown", "None", "Partial", "Full")
JANK = {
    1: "None", 2: "SurfaceFlinger Scheduling", 4: "Prediction Error", 8: "Display HAL",
    16: "SurfaceFlinger CPU Deadline Missed", 32: "SurfaceFlinger GPU Deadline Missed", 64: "App Deadline Missed",
    128: "Buffer Stuffing", 256: "Unknown Jank", 512: "SurfaceFlinger Stuffing", 1024: "Dropped Frame",
    2048: "Non Animating", 4096: "App Resynced Jitter", 8192: "Display not ON", 16384: "ModeChange in progress",
    32768: "PowerModeChange in progress",
}  # fmt: skip


def name_jank(bits: int) -> str:
    """SurfaceFlinger's names for a jank mask, joined by ', '."""
    return ", ".join(word for bit, word in JANK.items() if bits & bit) or "Unspecified"


def decode_frame_timeline(buf: Array, starts: Array, ends: Array, ts_ns: Array) -> pd.DataFrame:
    """Reads FrameTimelineEvents in file order (FRAME_TIMELINE, by actual start).

    Args:
        buf: the trace (uint8).
        starts: first byte of each event's message.
        ends: byte after each message.
        ts_ns: time of each event's packet, in ns on the trace's clock.
    """
    if not len(starts):
        return make_frame(FRAME_TIMELINE)
    outer = read_columns(buf, starts, ends, numbers_of("FrameTimelineEvent", *KINDS))
    order = np.argsort(ts_ns, kind="stable")

    def part(kind: int, message: str, fields: Mapping[str, str]) -> pd.DataFrame:
        rows = order[outer.has(kind)[order] & outer.good[order]]
        start, end = outer.span(kind)
        found = read_columns(buf, start[rows], end[rows], numbers_of(message, *fields.values()))
        frame = pd.DataFrame({name: found.number(i) for i, name in enumerate(fields)})
        if "layer" in frame:
            frame["layer"] = string_column(buf, *found.span(list(fields).index("layer")))
        frame["start_ns"] = ts_ns[rows]
        return frame[found.good].reset_index(drop=True)

    surface = part(_ACTUAL_SURFACE, SURFACE, _EXPECTED_SURFACE_FIELDS | VERDICT)
    display = part(_ACTUAL_DISPLAY, DISPLAY, _EXPECTED_DISPLAY_FIELDS | VERDICT)
    ends_of = part(_END, END, {"cookie": "cookie"}).rename(columns={"start_ns": "end_ns"})
    expected_surface = _closed(part(_EXPECTED_SURFACE, SURFACE, _EXPECTED_SURFACE_FIELDS), ends_of)
    expected_display = _closed(part(_EXPECTED_DISPLAY, DISPLAY, _EXPECTED_DISPLAY_FIELDS), ends_of)
    surface = _expect(_closed(surface, ends_of), expected_surface)
    display = _expect(_closed(display, ends_of), expected_display)
    display["display_token"], display["token"], display["layer"] = display["token"], -1, ""
    joined = pd.concat([surface, display], ignore_index=True).sort_values("start_ns", kind="stable", ignore_index=True)
    jank = joined["jank"].map({bits: name_jank(int(bits)) for bits in joined["jank"].unique()})
    return make_frame(
        FRAME_TIMELINE,
        {
            "token": joined["token"], "display_token": joined["display_token"], "tgid": joined["tgid"],
            "layer": joined["layer"].astype("str"), "expected_start_ns": joined["expected_start_ns"],
            "expected_end_ns": joined["expected_end_ns"], "actual_start_ns": joined["start_ns"],
            "actual_end_ns": joined["end_ns"], "present_type": _words(joined["present"], PRESENT, "Unknown"),
            "jank_type": jank.astype("str"), "on_time_finish": joined["on_time"] != 0, "gpu_composition": joined["gpu"] != 0,
            "prediction_type": _words(joined["prediction"], PREDICTION, "Unknown"),
            "severity": _words(joined["severity"], SEVERITY, "Unknown"),
        },
    )  # fmt: skip


def _closed(started: pd.DataFrame, ends: pd.DataFrame) -> pd.DataFrame:
    """Adds end_ns: the first end with the same cookie at or after the start; -1 if there is none."""
    if started.empty or ends.empty:
        return started.assign(end_ns=np.int64(-1))
    left = started.assign(_row=np.arange(len(started))).sort_values("start_ns", kind="stable")
    right = ends.assign(_at=ends["end_ns"]).sort_values("_at", kind="stable")
    joined = pd.merge_asof(left, right, left_on="start_ns", right_on="_at", by="cookie", direction="forward")
    joined = joined.sort_values("_row", ignore_index=True).drop(columns=["_row", "_at"])
    joined["end_ns"] = joined["end_ns"].fillna(-1).astype(np.int64)
    return joined


def _expect(actual: pd.DataFrame, expected: pd.DataFrame) -> pd.DataFrame:
    """Adds expected_start_ns and expected_end_ns from the expected frame of the same token and process."""
    keys = ["token", "tgid"]
    wanted = expected[[*keys, "start_ns", "end_ns"]].drop_duplicates(keys, keep="last")
    wanted = wanted.rename(columns={"start_ns": "expected_start_ns", "end_ns": "expected_end_ns"})
    joined = actual.merge(wanted, on=keys, how="left")
    for column in ("expected_start_ns", "expected_end_ns"):
        joined[column] = joined[column].astype("Int64").fillna(-1).astype(np.int64)
    return joined


def _words(numbers: pd.Series, names: tuple[str, ...], other: str) -> pd.Series:
    return numbers.map({n: names[n] if 0 <= n < len(names) else other for n in numbers.unique()}).astype("str")
