"""Measures frames, from FrameTimeline, framestats or Choreographer slices, and what made them late."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as compute
from numpy.typing import NDArray

from android_suite.analysis.causes import Waits, inverted_set, split_windows
from android_suite.analysis.slices import pick
from android_suite.analysis.threads import RENDER, UI
from android_suite.model.operation import describe_operation
from android_suite.tables.derived import EXACT, FRAMES, LOWER_BOUND, RUNNING, SLEEPING, SPLIT_CAUSES, UNKNOWN
from android_suite.tables.events import FRAME_TIMELINE
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace, TraceSource

I64 = NDArray[np.int64]

_HEAD = (
    "tgid", "layer", "frame_id", "expected_start_ns", "deadline_ns", "start_ns", "end_ns", "jank_type", "source", "quality",
)  # fmt: skip
# FrameTimeline's jank types that are not jank; with a stuffed buffer, frames come later but stay smooth.
_NOT_JANK = ("", "Unspecified", "None", "Non Animating", "Display not ON", "Buffer Stuffing")
_DO_FRAME = r"Choreographer#doFrame(?:[^-]|$)"
_DRAW_FRAME = r"DrawFrames?\b"
_FEW = 8  # frames from which a refresh period can be read
# What the framework writes with its categories view and gfx, with or without a frame.
_OF_VIEW = re.compile(
    r"Choreographer#|Record View#draw|DrawFrame|(?:measure|layout|draw|inflate|traversal|animation|input)$|performTraversals|"
    r"deliverInputEvent|syncFrameState|prepareTree|dequeueBuffer|queueBuffer|eglSwapBuffers|flush commands|postAndWait|"
    r"relayoutWindow|setupGridItem|animator:|RV |HWUI|VSYNC"
)
_OWN_CAPTURE = "ftrace_raw"  # of this suite, which switches the categories on
_SLOWEST_NS = 50_000_000  # frames further apart than this do not belong to one animation
_WAKE_RUN_NS = 500_000  # the most that a ui thread runs between its vsync wake-up and doFrame


def sees_views(source: TraceSource, slices: pd.DataFrame) -> bool:
    """Whether the framework's markers of drawing were recorded, so that no frame in them means that none was drawn."""
    if not len(slices) or source.format == _OWN_CAPTURE:
        return bool(len(slices))
    return any(_OF_VIEW.match(name) for name in slices["name"].unique())


def read_timeline_frames(trace: Trace) -> pd.DataFrame:
    """Surface frames of FrameTimeline, one per process and token: of several layers, the one that ended last."""
    table = trace[FRAME_TIMELINE.name]
    rows = table[(table["token"] >= 0) & (table["tgid"] >= 0)].sort_values("actual_end_ns", kind="stable")
    rows = rows.drop_duplicates(["tgid", "token"], keep="last").sort_values("actual_start_ns", kind="stable")
    whole = (rows["expected_end_ns"] >= 0) & (rows["actual_end_ns"] >= 0)
    return pd.DataFrame(
        {
            "tgid": rows["tgid"], "layer": rows["layer"], "frame_id": rows["token"],
            "expected_start_ns": rows["expected_start_ns"], "deadline_ns": rows["expected_end_ns"],
            "start_ns": rows["actual_start_ns"], "end_ns": rows["actual_end_ns"], "jank_type": rows["jank_type"],
            "source": "frametimeline", "quality": np.where(whole, EXACT, UNKNOWN).astype(np.int8),
        },
    )  # fmt: skip


def read_framestats_frames(framestats: pd.DataFrame) -> pd.DataFrame:
    """Frames of `dumpsys gfxinfo framestats`; flagged ones (first draws, skipped) have no deadline and are left out."""
    rows = framestats[(framestats["flags"] == 0) & (framestats["completed_ns"] >= 0)]
    rows = rows[rows["intended_vsync_ns"] >= 0].sort_values("intended_vsync_ns", kind="stable")
    interval = rows["interval_ns"].where(rows["interval_ns"] > 0)
    guess = rows["intended_vsync_ns"].diff()
    period = interval.fillna(guess[(guess > 0) & (guess < _SLOWEST_NS)].median())
    # Before Android 12 no deadline is printed; it is one refresh period after the vsync the frame was meant for.
    deadline = rows["deadline_ns"].where(rows["deadline_ns"] >= 0, rows["intended_vsync_ns"] + period)
    return pd.DataFrame(
        {
            "tgid": rows["pid"], "layer": rows["window"], "frame_id": rows["vsync_id"],
            "expected_start_ns": rows["intended_vsync_ns"], "deadline_ns": deadline.fillna(-1).astype("int64"),
            "start_ns": rows["intended_vsync_ns"], "end_ns": rows["completed_ns"], "jank_type": "",
            "source": "framestats", "quality": np.where(deadline.notna(), EXACT, UNKNOWN).astype(np.int8),
        },
    )  # fmt: skip


def measure_choreographer_frames(
    trace: Trace, slices: pd.DataFrame, threads: pd.DataFrame, waits: Waits, refresh_hz: float | None
) -> pd.DataFrame:
    """Frames from slices: from the wake-up of the ui thread for Choreographer#doFrame to the end of DrawFrame.

    The deadline is one refresh period after the wake-up; the period is the device's (``refresh_hz``) or the median
    distance of frames. If the wake-up is not in the trace, the begin of doFrame replaces it. Every overrun is a lower
    bound: the wake-up comes after its vsync, and a drawn frame is not yet on the display.
    """
    ui = threads[threads["role"] == UI].set_index("tid")["tgid"]
    work = slices[pick(slices, _DO_FRAME) & slices["tid"].isin(ui.index).to_numpy()]
    work = work[work["cut"] == 0].sort_values(["tid", "start_ns"], kind="stable")
    nested = (work["tid"] == work["tid"].shift()) & (work["start_ns"] < work["end_ns"].shift())
    work = work[~nested]
    tgid = ui.reindex(work["tid"].to_numpy()).to_numpy()
    frame_id = _numbers_in(work["name"])
    start = _vsync_wakes(waits, work)
    end = _draw_ends(slices, threads, tgid, frame_id, work["end_ns"].to_numpy())
    apart = np.diff(start, append=np.iinfo(np.int64).max)
    steady = apart[(np.append(tgid[1:], -1) == tgid) & (apart > 0) & (apart < _SLOWEST_NS)]
    period = 1e9 / refresh_hz if refresh_hz else (float(np.median(steady)) if len(steady) >= _FEW else 0.0)
    deadline = start + round(period) if period else np.full(len(start), -1, np.int64)
    quality = np.where(deadline < 0, UNKNOWN, LOWER_BOUND)
    process = threads.set_index("tid")["process"].reindex(work["tid"].to_numpy()).to_numpy()
    return pd.DataFrame(
        {
            "tgid": tgid, "layer": process, "frame_id": frame_id,
            "expected_start_ns": start, "deadline_ns": deadline, "start_ns": start, "end_ns": end, "jank_type": "",
            "source": "choreographer", "quality": quality.astype(np.int8),
        },
    )  # fmt: skip


def _vsync_wakes(waits: Waits, work: pd.DataFrame) -> I64:
    """When each ui thread was woken for its frame (ns); the begin of doFrame if it ran for long in between."""
    line = waits.timeline
    start = work["start_ns"].to_numpy(copy=True)
    for tid in work["tid"].unique():
        k = int(line.index.number(np.array([tid], np.int32))[0])
        if k < 0:
            continue
        own = slice(int(line.starts[k]), int(line.starts[k + 1]))
        asleep, ran = line.state[own] == SLEEPING, line.state[own] == RUNNING
        wake = line.end_ns[own][asleep]
        of = (work["tid"] == tid).to_numpy()
        begin = start[of]
        at = np.searchsorted(wake, begin, side="right") - 1
        if not len(wake):
            continue
        since = wake[np.maximum(at, 0)]
        total = np.concatenate([[0], np.cumsum((line.end_ns[own] - line.start_ns[own])[ran])])
        runs = line.start_ns[own][ran]
        before = [np.searchsorted(runs, t) for t in (since, begin)]
        busy = total[np.maximum(before[1] - 1, 0)] - total[before[0]]  # without the run that doFrame begins in
        into = begin - runs[np.maximum(before[1] - 1, 0)] if len(runs) else begin
        good = (at >= 0) & (np.maximum(busy, 0) + np.minimum(into, begin - since) < _WAKE_RUN_NS)
        start[of] = np.where(good, since, begin)
    return start


def _draw_ends(slices: pd.DataFrame, threads: pd.DataFrame, tgid: NDArray[np.int32], frame_id: I64, end: I64) -> I64:
    """The end of each frame's DrawFrame on RenderThread, matched by the id in its name; without one, doFrame's end."""
    render = threads[threads["role"] == RENDER].set_index("tid")["tgid"]
    draws = slices[pick(slices, _DRAW_FRAME) & slices["tid"].isin(render.index).to_numpy()]
    number = _numbers_in(draws["name"])
    owner = render.reindex(draws["tid"].to_numpy()).to_numpy()
    last = (
        pd.Series(draws["end_ns"].to_numpy(), index=pd.MultiIndex.from_arrays([owner, number]))
        .groupby(level=[0, 1])
        .max()
    )
    found = last.reindex(pd.MultiIndex.from_arrays([tgid, frame_id])).to_numpy(dtype=np.float64)
    matched = ~np.isnan(found) & (frame_id >= 0)
    return np.where(matched, np.maximum(np.where(matched, found, 0).astype(np.int64), end), end)


def _numbers_in(names: pd.Series) -> I64:
    """The first number in each name; -1 where there is none."""
    parts = compute.extract_regex(pa.array(names, pa.large_string()), r"(?P<number>[0-9]{1,18})")
    number = compute.fill_null(compute.struct_field(parts, "number"), "-1")
    return np.asarray(number.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)


def measure_frames(
    frames: pd.DataFrame, threads: pd.DataFrame, waits: Waits, inversions: pd.DataFrame, *, joined: bool = True
) -> pd.DataFrame:
    """Decides which frames are late and what the late ones spent their time on.

    Args:
        frames: as the functions above give them.
        threads: frame of THREAD_ROLES.
        waits: what the threads waited for.
        inversions: frame of INVERSIONS.
        joined: whether the frames use the clock of the trace; if not, only their overrun is known.

    Returns:
        A frame of FRAMES, by process and start.
    """
    if not len(frames):
        return make_frame(FRAMES)
    frames = frames[list(_HEAD)].sort_values(["tgid", "start_ns"], kind="stable").reset_index(drop=True)
    known, exact = (frames["quality"] != UNKNOWN).to_numpy(), (frames["quality"] == EXACT).to_numpy()
    overrun = np.where(known, frames["end_ns"] - frames["deadline_ns"], 0).astype(np.int64)
    late = overrun > 0
    words = frames["jank_type"].astype("str")
    typed = (frames["source"] == "frametimeline").to_numpy()
    harmless = [each for each in words.unique() if all(word in _NOT_JANK for word in each.split(", "))]
    smooth = words.isin(harmless).to_numpy(dtype=bool)
    columns: dict[str, NDArray[np.generic]] = {
        f"{side}_{cause}_ns": np.zeros(len(frames), np.int64) for side in ("ui", "render") for cause in SPLIT_CAUSES
    }
    inverted, waited_for = np.zeros(len(frames), np.int64), np.full(len(frames), "", object)
    for tgid in frames.loc[frames["tgid"] >= 0, "tgid"].unique() if joined else ():
        rows = np.flatnonzero((frames["tgid"] == tgid).to_numpy() & known)
        start, end = frames["start_ns"].to_numpy()[rows], frames["end_ns"].to_numpy()[rows]
        ui, render = (_thread_of(threads, int(tgid), role) for role in (UI, RENDER))
        inverted[rows] = inverted_set(inversions, ui, render).time_in(start, end)
        rows, start, end = rows[late[rows]], start[late[rows]], end[late[rows]]
        for side, tid in (("ui", ui), ("render", render)):
            for name, values in split_windows(waits, tid, start, end, side).items():
                columns[name][rows] = values
        waited_for[rows] = _waited_for(inversions, threads, ui, start, end)
    return make_frame(
        FRAMES,
        {
            **{name: frames[name] for name in _HEAD}, "overrun_ns": overrun, "late": late,
            "janky": np.where(typed, ~smooth, late), "inverted_ns": inverted,
            # An overrun that may be longer than shown may be longer than the inverted time, too.
            "from_inversion": late & exact & (inverted > 0) & (overrun <= inverted), **columns, "waited_for": waited_for,
        },
    )  # fmt: skip


def _thread_of(threads: pd.DataFrame, tgid: int, role: int) -> int:
    found = threads[(threads["tgid"] == tgid) & (threads["role"] == role)]["tid"]
    if role == UI and not len(found):
        found = threads[threads["tid"] == tgid]["tid"]
    return int(found.iloc[0]) if len(found) else -1


def _waited_for(inversions: pd.DataFrame, threads: pd.DataFrame, tid: int, start: I64, end: I64) -> NDArray[np.object_]:
    """Per window, the holder and operation that the thread waited behind longest; empty if it waited behind none."""
    out = np.full(len(start), "", object)
    own = inversions[inversions["waiter_tid"] == tid].sort_values("start_ns", kind="stable")
    begin, until = own["start_ns"].to_numpy(), own["end_ns"].to_numpy()
    # The inverted intervals of one thread are disjoint: those that meet a window follow each other.
    low, high = np.searchsorted(until, start, side="right"), np.searchsorted(begin, end, side="left")
    count = np.maximum(high - low, 0)
    window = np.repeat(np.arange(len(start)), count)
    row = low[window] + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    inside = np.minimum(until[row], end[window]) - np.maximum(begin[row], start[window])
    blamed = pd.DataFrame({"window": window, "ns": inside, "holder": own["holder_tid"].to_numpy()[row]})
    blamed["operation"] = own["operation"].to_numpy()[row]
    total = blamed.groupby(["window", "holder", "operation"])["ns"].sum().reset_index().sort_values("ns", kind="stable")
    top = total.drop_duplicates("window", keep="last")
    comm = dict(zip(threads["tid"].tolist(), threads["comm"].tolist(), strict=True))
    for at, holder, operation in zip(top["window"], top["holder"], top["operation"], strict=True):
        out[at] = f"{comm.get(holder, holder)} in {describe_operation(operation)}"
    return out
