"""Draws one inversion as a small timeline: who waited, who held the lock, who ran instead."""

from __future__ import annotations

from android_suite.model.analysis import ChainSummary, ThreadSummary
from android_suite.report.chains import list_intruders, name_thread
from android_suite.report.plot import Plot

COLORS = {
    "waits": "#b3261e",
    "runs": "#1a7f4b",
    "runnable": "#e0a100",
    "blocked": "#7c8794",
    "runs instead": "#5b5fc7",
}
INTRUDERS = 4
_Bar = tuple[str, float, float, str]  # row, start and end in ns since the inversion began, kind


def draw_chain(chain: ChainSummary) -> str:
    """The picture of an inversion, as SVG."""
    bars = [bar for bar in (*_wait_bars(chain), *_holder_bars(chain), *_intruder_bars(chain)) if bar[2] > bar[1]]
    rows = list(dict.fromkeys(bar[0] for bar in bars))
    plot = Plot(0.0, chain.duration_ns / 1e6)
    bottom = 6 + 20.0 * len(rows)
    plot.grid(2, bottom)
    for row, name in enumerate(rows):
        plot.name(name, 6 + 20 * row + 8)
    for name, start, end, kind in bars:
        plot.bar(start / 1e6, end / 1e6, 7 + 20 * rows.index(name), 13, COLORS[kind])
    used = [(kind, color) for kind, color in COLORS.items() if any(bar[3] == kind for bar in bars)]
    label = "timeline of an inversion: who waited, who held the lock, who ran instead"
    return plot.finish(bottom, "ms since the inversion began", label, legend=used)


def _wait_bars(chain: ChainSummary) -> list[_Bar]:
    waiting = [chain.waiter, *([chain.via] if chain.via else [])]
    return [(_short(thread), 0, chain.duration_ns, "waits") for thread in waiting]


def _holder_bars(chain: ChainSummary) -> list[_Bar]:
    return [(_short(chain.holder), start, end, kind) for start, end, kind in _holder_pieces(chain)]


def _holder_pieces(chain: ChainSummary) -> list[tuple[int, int, str]]:
    """What the holder did: start, end (from the inversion's start) and kind; from totals if the order is unknown."""
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


def _intruder_bars(chain: ChainSummary) -> list[_Bar]:
    """Intruders ran while the holder was runnable; only the total of each is known, so they fill those gaps in turn."""
    gaps = [(float(start), float(end)) for start, end, kind in _holder_pieces(chain) if kind == "runnable"]
    bars: list[_Bar] = []
    for name, ran in list_intruders(chain)[:INTRUDERS]:
        if ran is not None and ran < chain.duration_ns / 100:
            continue
        left = float(ran) if ran is not None else sum(end - start for start, end in gaps)
        while left > 0 and gaps:
            start, end = gaps.pop(0)
            taken = min(left, end - start)
            bars.append((name.rsplit(" (", 1)[0], start, start + taken, "runs instead"))
            left -= taken
            if start + taken < end:
                gaps.insert(0, (start + taken, end))
    return bars


def _short(thread: ThreadSummary) -> str:
    """A thread without role and priority, which are in the sentence."""
    return name_thread(thread).rsplit(" (", 1)[0]
