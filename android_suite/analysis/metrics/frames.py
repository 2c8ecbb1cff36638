"""Metrics of frames, and which frames of an analysis count."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from android_suite.analysis.doubts import SLICED, app_tids, doubt_blind, doubt_inversions, say_unexplained
from android_suite.analysis.frames import sees_views
from android_suite.analysis.metrics.value import Value
from android_suite.analysis.pipeline import Analysis
from android_suite.tables.derived import LOWER_BOUND, ROLES, UNKNOWN

_NO_FRAMES = "frames were not recorded; record framestats, FrameTimeline or the app's markers (atrace category view)"
_NO_MAIN = (
    "the main thread is not known, because the processes of threads were inferred from markers; "
    "set the trace option record-tgid"
)
_OVERRAN = ("gfxinfo's ring of frames overran between two polls",)
_WHOSE = ("some frames may be its or another process's, which had the same id",)


def frames_of_app(analysis: Analysis) -> pd.DataFrame:
    """The frames of the requested app; all if none was requested, or without a trace to tell apps apart."""
    table, threads = analysis["frames"], analysis["thread_roles"]
    if not analysis.process or not len(threads):
        return table
    return table[table["tgid"].isin(threads.loc[threads["process"] == analysis.process, "tgid"].unique())]


def _count_stray(analysis: Analysis) -> int:
    """Frames of an id that several processes had, which may be of the app that was asked for."""
    return int((analysis["frames"]["tgid"] < 0).sum()) if analysis.process and len(analysis["thread_roles"]) else 0


def sees_frames(analysis: Analysis) -> bool:
    """Whether frames could have been found, from their own source or from the app's markers."""
    if (
        len(frames_of_app(analysis))
        or _count_stray(analysis)
        or ("frames" in analysis.recorded and not len(analysis["frames"]))
    ):
        return True
    marked = bool(analysis["slices"]["tid"].isin(app_tids(analysis)).any())
    return marked and sees_views(analysis.source, analysis["slices"]) and not _has_unknown_main(analysis)


def _has_unknown_main(analysis: Analysis) -> bool:
    """Whether the app's main thread may be among the traced ones without being known as such.

    Markers alone tell the process of a thread. In a pid namespace they tell the number that it has there, which is not
    that of any traced thread.
    """
    threads = analysis["thread_roles"]
    mine = threads[threads["tid"].isin(app_tids(analysis))]
    return bool(mine["inferred"].any()) and not (mine["role"] == ROLES.index("ui")).any()


def _gaps_of_app(analysis: Analysis) -> pd.DataFrame:
    """Where hwui's ring of frames overran between two polls, for the requested app."""
    gaps, threads = analysis["frame_gaps"], analysis["thread_roles"]
    if not analysis.process or not len(threads):
        return gaps
    return gaps[gaps["pid"].isin(threads.loc[threads["process"] == analysis.process, "tgid"])]


def least_overrun(frames: pd.DataFrame, percentile: float, hidden: int = 0) -> float | None:
    """A percentile of the overrun in ms; frames that cannot be judged, and ``hidden`` more, rank below all others.

    None if the percentile falls on one of those.
    """
    known = frames.loc[frames["quality"] != UNKNOWN, "overrun_ns"].to_numpy() / 1e6
    below = len(frames) - len(known) + hidden
    rank = percentile / 100.0 * (len(known) + below - 1) - below
    return float(np.percentile(known, 100.0 * rank / max(len(known) - 1, 1))) if len(known) and rank >= 0 else None


def most_hidden(analysis: Analysis, frames: pd.DataFrame) -> int:
    """The most frames that fit into the gaps, at the shortest distance between frames that was seen."""
    gaps = _gaps_of_app(analysis)
    vsync = frames.sort_values(["tgid", "expected_start_ns"], kind="stable")
    apart = vsync.groupby("tgid")["expected_start_ns"].diff()
    shortest = apart[apart > 0].min() if len(gaps) else np.nan
    return 0 if np.isnan(shortest) else int(((gaps["to_ns"] - gaps["from_ns"]) // int(shortest)).sum())


def list_frames(analysis: Analysis) -> Iterator[Value]:
    """Frames of the app, and how late they were."""
    table = frames_of_app(analysis)
    known = table[table["quality"] != UNKNOWN]
    judged = len(known)
    # Gaps of the trace hide only frames known from slices, not those that SurfaceFlinger or hwui counted; hwui's ring has
    # gaps of its own.
    sliced = bool((table["source"] == "choreographer").any() or not len(table))
    stray = _count_stray(analysis)
    hidden = (
        (doubt_blind(analysis) if sliced else ()) + _OVERRAN * bool(len(_gaps_of_app(analysis))) + _WHOSE * bool(stray)
    )
    inexact = (SLICED,) * bool((table["quality"] == LOWER_BOUND).any())
    inexact += ("the end or the deadline of some frames is not known",) * (judged < len(table))
    beyond = most_hidden(analysis, table) + stray
    source = () if sees_frames(analysis) else (_NO_MAIN if _has_unknown_main(analysis) else _NO_FRAMES,)
    missing = source or (("it drew no frame",) if not len(table) else ("no frame has a known deadline",))
    yield Value("frameCount", None if source else len(table), hidden, missing)
    jank = 100.0 * float(known["janky"].sum()) / (len(table) + beyond) if judged else None
    yield Value("jankyFramesPct", jank, hidden + inexact, missing)
    for p in (50, 90, 95, 99):
        yield Value(
            f"frameOverrunMs_p{p}",
            least_overrun(table, p, beyond),
            hidden + inexact,
            hidden + inexact if judged else missing,
        )
    unseen = say_unexplained(analysis, table)
    late = int(known["from_inversion"].sum()) if judged and not unseen else None
    doubts = hidden + inexact + doubt_inversions(analysis)
    yield Value("jankyFromInversionCount", late, doubts, unseen if judged else missing)
