"""Parses ``dumpsys gfxinfo PKG framestats``: frames of all windows, joined over several polls of the ring of 120."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from android_suite.evidence.gfxinfo import parse_gfxinfo
from android_suite.evidence.rows import frame_of, whole_number
from android_suite.tables.evidence import FRAME_GAPS, FRAMESTATS, FRAMESTATS_TIMES
from android_suite.tables.schema import make_frame

RING_FRAMES = 120  # hwui keeps the last 120 frames of a window
_PROCESS = re.compile(r"^\s*\*\* Graphics info for pid (\d{1,8}) \[(.*)\] \*\*\s*$")
_WINDOW = re.compile(r"^\s*Window: (.+?)\s*$")
_ANSWER = re.compile(r"^Applications Graphics Acceleration Info:", re.MULTILINE)
_UPTIME = re.compile(r"\s*Uptime: (\d{1,12}) ")
_MARK = "---PROFILEDATA---"
_SECOND_NS = 1_000_000_000
_PRESENTED_WITHIN_NS = 10 * _SECOND_NS


def parse_framestats(text: str) -> pd.DataFrame:
    """Reads the PROFILEDATA blocks of one reply (FRAMESTATS), in the layout of any Android version, by their headers.

    Android 12's header swaps FrameInterval and FrameStartTime: the smaller of the two is the interval. INT64_MAX means
    unknown and becomes -1. So does a present time of 0, before its frame, or 10 s or more after it, because hwui prints
    what the driver left in an unused fence.
    """
    rows: list[dict[str, object]] = []
    pid, process, window, blocks = -1, "", "", 0
    header: list[str] | None = None
    inside = False
    for line in text.splitlines():
        stripped = line.strip()
        if stripped == _MARK:
            inside, header = not inside, None
            if inside:
                blocks += 1
            else:
                window = ""
        elif inside:
            words = stripped.rstrip(",").split(",")
            if words[0] == "Flags":
                header = words
            elif header is not None and len(words) == len(header):
                where = {"pid": pid, "process": process, "window": window or f"#{blocks}"}
                rows.append(where | _frame(dict(zip(header, words, strict=True))))
        elif (match := _PROCESS.match(line)) is not None:
            pid, process, window, blocks = int(match[1]), match[2], "", 0
        elif (match := _WINDOW.match(line)) is not None:
            window = match[1]
    return frame_of(FRAMESTATS, rows)


def _frame(fields: dict[str, str]) -> dict[str, object]:
    numbers = {name: whole_number(word) for name, word in fields.items()}
    interval, start = numbers.get("FrameInterval", -1), numbers.get("FrameStartTime", -1)
    if interval >= _SECOND_NS > start >= 0:
        numbers["FrameInterval"], numbers["FrameStartTime"] = start, interval
    begin, present = numbers.get("IntendedVsync", -1), numbers.get("DisplayPresentTime", -1)
    if begin < 0 or not begin <= present < begin + _PRESENTED_WITHIN_NS:
        numbers["DisplayPresentTime"] = -1
    row: dict[str, object] = {ours: numbers.get(android, -1) for ours, android in FRAMESTATS_TIMES}
    return row | {"flags": numbers.get("Flags", -1), "vsync_id": numbers.get("FrameTimelineVsyncId", -1)}


def parse_framestats_polls(text: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads several replies, one after the other in ``text``; returns the same as ``merge_framestats``."""
    starts = [match.start() for match in _ANSWER.finditer(text)] or [0]
    bounds = zip(starts, [*starts[1:], len(text)], strict=True)
    answers = [text[start:end] for start, end in bounds]
    return merge_framestats([parse_framestats(each) for each in answers], [_about(each) for each in answers])


@dataclass(frozen=True, slots=True)
class _Poll:
    """When a reading was made (CLOCK_MONOTONIC; 0: not known), and how many frames each process had rendered by then."""

    read_ns: int
    totals: Mapping[int, int]


def _about(answer: str) -> _Poll:
    opening = _ANSWER.search(answer)
    uptime = _UPTIME.match(answer, opening.end()) if opening else None
    rows = parse_gfxinfo(answer)
    totals = dict(zip(rows["pid"].tolist(), rows["frames"].tolist(), strict=True))
    return _Poll(0 if uptime is None else int(uptime[1]) * 1_000_000, totals)


def merge_framestats(polls: Sequence[pd.DataFrame], about: Sequence[_Poll] = ()) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Joins several readings of the ring, oldest first; the ring was cleared before them.

    Args:
        polls: the readings.
        about: what else each says; empty: not known.

    Returns:
        The frames, each once (FRAMESTATS, by intended vsync), and the gaps (FRAME_GAPS): where a full ring shares no
        frame with the reading before it, frames between them may be missing. So may frames of a window whose ring was
        full when it was first read, unless its process had rendered no more; that gap begins with the reading before, or
        at 0 if there is none.
    """
    gaps: list[dict[str, object]] = []
    last: dict[tuple[Hashable, Hashable], tuple[set[tuple[int, int]], int]] = {}
    for number, poll in enumerate(polls):
        before_ns = about[number - 1].read_ns if about and number else 0
        shown: dict[Hashable, int] = poll["pid"].value_counts().to_dict()
        for (pid, window), rows in poll.groupby(["pid", "window"], sort=False):
            keys = set(zip(rows["vsync_id"], rows["intended_vsync_ns"], strict=True))
            newest, oldest = int(rows["intended_vsync_ns"].max()), int(rows["intended_vsync_ns"].min())
            before = last.get((pid, window))
            # A ring that is not full has lost nothing yet; hwui clears it only on `reset`.
            if len(rows) >= RING_FRAMES and before is None:
                if not about or about[number].totals.get(int(str(pid)), 1 << 62) > shown[pid]:
                    gaps.append({"pid": pid, "window": window, "from_ns": min(before_ns, oldest), "to_ns": oldest})
            elif before is not None and len(rows) >= RING_FRAMES and not keys & before[0]:
                gaps.append({"pid": pid, "window": window, "from_ns": before[1], "to_ns": oldest})
            last[pid, window] = keys, newest
    filled = [poll for poll in polls if len(poll)]
    if not filled:
        return make_frame(FRAMESTATS), frame_of(FRAME_GAPS, gaps)
    frames = pd.concat(filled, ignore_index=True)
    # The newest reading of a frame wins: hwui adds the present time later than the rest of the row.
    frames = frames.drop_duplicates(["pid", "window", "vsync_id", "intended_vsync_ns"], keep="last")
    frames = frames.sort_values(["intended_vsync_ns", "window"], kind="stable", ignore_index=True)
    return frames, frame_of(FRAME_GAPS, gaps)
