"""One inversion chain as a small timeline: who waited, who held the lock, who ran instead."""

from __future__ import annotations

from typing import Any

import altair as alt

from android_suite.model.analysis import ChainSummary
from android_suite.report.chains import list_intruders, name_thread
from android_suite.report.charts import WIDTH, render_svg

KINDS = ("waits", "runs", "runnable", "blocked", "runs instead")
_COLORS = ("#b3261e", "#1a7f4b", "#e0a100", "#7c8794", "#5b5fc7")


def _holder_pieces(chain: ChainSummary) -> list[tuple[int, int, str]]:
    """What the holder did: start, end (from the inversion's start) and kind; by its totals where no order is told."""
    pieces = []
    if chain.holder_segments:
        for piece in chain.holder_segments:
            start = piece.start_ns - (chain.start_ns or 0)
            kind = "runs" if piece.state == "running" else piece.state
            pieces.append((max(0, start), min(chain.duration_ns, start + piece.duration_ns), kind))
        return pieces
    states, at = chain.holder_state_ns, 0
    for length, kind in ((states.running, "runs"), (states.runnable, "runnable"), (states.blocked, "blocked")):
        pieces.append((at, min(chain.duration_ns, at + length), kind))
        at += length
    return pieces


def draw_chain(chain: ChainSummary) -> str:
    """The picture of an inversion, as SVG."""
    duration = chain.duration_ns
    rows: list[dict[str, Any]] = []

    def bar(who: str, start: float, end: float, kind: str) -> None:
        if end > start:
            rows.append({"who": _short(who), "start": start / 1e6, "end": end / 1e6, "kind": kind})

    bar(name_thread(chain.waiter), 0, duration, "waits")
    if chain.via:
        bar(name_thread(chain.via), 0, duration, "waits")
    pieces = _holder_pieces(chain)
    for start, end, kind in pieces:
        bar(name_thread(chain.holder), start, end, kind)
    # intruders ran while the holder was runnable; of each only the total is known, so they fill those gaps in turn
    gaps = [(start, end) for start, end, kind in pieces if kind == "runnable"]
    for name, ran in list_intruders(chain)[:4]:
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
