"""One inversion chain as a small timeline: who waited, who held the lock, who ran instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from android_suite.report.charts import WIDTH, render_svg
from android_suite.report.phrases import format_ms, show_foreign

KINDS = ("waits", "runs", "runnable", "blocked", "runs instead")
_COLORS = ("#b3261e", "#1a7f4b", "#e0a100", "#7c8794", "#5b5fc7")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """An inversion as a reader meets it: a sentence, and a picture of it."""

    where: str
    sentence: str
    start_ms: float | None
    svg: str


def list_chains(sources: Sequence[tuple[str, Mapping[str, Any]]], *, most: int) -> list[Chain]:
    """The longest chains of several analyses; where several threads wait behind one hold, the longest wait.

    Args:
        sources: name of each analysis, and the analysis.
        most: how many chains at the most.
    """
    found = [
        (where, chain)
        for where, analysis in sources
        for chain in (analysis.get("inversions") or {}).get("chains") or ()
        if (chain.get("duration_ns") or 0) > 0
    ]
    found.sort(key=lambda item: -int(item[1]["duration_ns"]))
    chosen: list[tuple[str, Mapping[str, Any]]] = []
    for where, chain in found:
        if len(chosen) == most:
            break
        if not any(where == other and _overlap(chain, shown) for other, shown in chosen):
            chosen.append((where, chain))
    return [_chain(where, chain) for where, chain in chosen]


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """The same hold seen by two waiters: one picture of it is enough."""
    if one.get("start_ns") is None or other.get("start_ns") is None or one.get("holder") != other.get("holder"):
        return False
    return bool(
        one["start_ns"] < other["start_ns"] + other["duration_ns"]
        and other["start_ns"] < one["start_ns"] + one["duration_ns"]
    )


def name_thread(thread: object) -> str:
    """A thread as the analysis names it, a text or an object with ``thread``, ``role``, ``process``, ``prio``."""
    if not isinstance(thread, Mapping):
        return show_foreign(thread, longest=60)
    comm = thread.get("thread") or thread.get("comm") or thread.get("name") or "?"
    details = [str(thread[key]) for key in ("role",) if thread.get(key) not in (None, "", "other")]
    if thread.get("prio") is not None:
        details.append(f"prio {thread['prio']}")
    text = f"{comm} ({', '.join(details)})" if details else str(comm)
    return show_foreign(text, longest=60)


def _chain(where: str, chain: Mapping[str, Any]) -> Chain:
    waiter, holder = name_thread(chain.get("waiter")), name_thread(chain.get("holder"))
    duration = int(chain["duration_ns"])
    states = {key: int(value or 0) for key, value in (chain.get("holder_state_ns") or {}).items()}
    operation = show_foreign(chain.get("holder_operation") or "an unknown operation", longest=60)
    via = f", behind the waiting writer {name_thread(chain['via'])}" if chain.get("via") else ""
    parts = ", ".join(f"{key} {format_ms(value)}" for key, value in states.items() if value)
    instead = [name for name, _ in _intruders(chain)]
    ran = f" Meanwhile ran: {', '.join(instead[:4])}{' and others' if len(instead) > 4 else ''}." if instead else ""
    start = chain.get("start_ns")
    return Chain(
        where=show_foreign(where, longest=80),
        sentence=f"{waiter} waited {format_ms(duration)} for mmap_lock{via}; {holder} held it in {operation}"
        f"{f' ({parts})' if parts else ''}.{ran}",
        start_ms=None if start is None else start / 1e6,
        svg=_draw(chain, duration),
    )


def _intruders(chain: Mapping[str, Any]) -> list[tuple[str, int | None]]:
    """Names of who ran instead, and for how long where that is known; longest first, one row a thread."""
    totals: dict[str, int | None] = {}
    for intruder in chain.get("intruders") or ():
        ran = int(intruder["ran_ns"]) if isinstance(intruder, Mapping) and intruder.get("ran_ns") else None
        name = name_thread(intruder)
        before = totals.get(name)
        totals[name] = ran if before is None else before + (ran or 0)
    return sorted(totals.items(), key=lambda item: -(item[1] or 0))


def _holder_pieces(chain: Mapping[str, Any], duration: int) -> list[tuple[int, int, str]]:
    """What the holder did: start, end (from the inversion's start) and kind; by its totals where no order is told."""
    pieces = []
    if chain.get("holder_segments"):
        origin = int(chain.get("start_ns") or 0)
        for piece in chain["holder_segments"]:
            start = int(piece["start_ns"]) - origin
            kind = "runs" if piece["state"] == "running" else str(piece["state"])
            pieces.append((max(0, start), min(duration, start + int(piece["duration_ns"])), kind))
        return pieces
    at = 0
    for state, kind in (("running", "runs"), ("runnable", "runnable"), ("blocked", "blocked")):
        length = int((chain.get("holder_state_ns") or {}).get(state) or 0)
        pieces.append((at, min(duration, at + length), kind))
        at += length
    return pieces


def _draw(chain: Mapping[str, Any], duration: int) -> str:
    rows: list[dict[str, Any]] = []

    def bar(who: str, start: float, end: float, kind: str) -> None:
        if end > start:
            rows.append({"who": _short(who), "start": start / 1e6, "end": end / 1e6, "kind": kind})

    bar(name_thread(chain.get("waiter")), 0, duration, "waits")
    if chain.get("via"):
        bar(name_thread(chain["via"]), 0, duration, "waits")
    pieces = _holder_pieces(chain, duration)
    for start, end, kind in pieces:
        bar(name_thread(chain.get("holder")), start, end, kind)
    # intruders ran while the holder was runnable; of each only the total is known, so they fill those gaps in turn
    gaps = [(start, end) for start, end, kind in pieces if kind == "runnable"]
    for name, ran in _intruders(chain)[:4]:
        if ran is not None and ran < duration / 100:
            continue
        left = ran if ran is not None else sum(end - start for start, end in gaps)
        while left > 0 and gaps:
            start, end = gaps.pop(0)
            taken = min(left, end - start)
            bar(name, start, start + taken, "runs instead")
            left -= taken
            if start + taken < end:
                gaps.insert(0, (start + taken, end))
    order = list(dict.fromkeys(row["who"] for row in rows))
    used = [kind for kind in KINDS if any(row["kind"] == kind for row in rows)]
    colors = alt.Scale(domain=used, range=[_COLORS[KINDS.index(kind)] for kind in used])
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(height=13)
        .encode(
            x=alt.X("start:Q", title="ms since the inversion began", scale=alt.Scale(domain=[0, duration / 1e6])),
            x2="end:Q",
            y=alt.Y("who:N", sort=order, title=None),
            color=alt.Color("kind:N", scale=colors),
        )
        .properties(width=WIDTH, height={"step": 20})
    )
    return render_svg(chart, "timeline of an inversion: who waited, who held the lock, who ran instead")


def _short(name: str) -> str:
    """Without role and priority, which the sentence tells."""
    comm = name.rsplit(" (", 1)[0]
    return comm if len(comm) <= 20 else comm[:19] + "\N{HORIZONTAL ELLIPSIS}"
