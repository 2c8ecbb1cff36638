"""Renders measurements as Markdown that also reads well on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.measured import Measured

LABELS = {
    "raw": "raw pages to tables", "analyze": "raw pages, whole analyze", "dat": "trace.dat to tables",
    "perfetto": "Perfetto to tables", "text": "text to tables",
}  # fmt: skip
TARGETS = {"raw": 10.0, "text": 1.5, "perfetto": 1.0, "analyze": 3.0}  # M events/s a core
YARD_RATE = 0.81  # M events/s that `trace-cmd report` makes on the machine for which TARGETS were set
MEMORY_LIMIT_BYTES = 4 << 30  # for raw pages and the whole analyze, at any size here


def render_results(
    *, conditions: Sequence[tuple[str, str]], measured: Sequence[Measured], peers: Sequence[Measured],
    compile_s: Mapping[str, float], notes: Sequence[str],
) -> str:  # fmt: skip
    """The whole page.

    Args:
        conditions: pairs of name and value.
        measured: measurements of the suite's own steps, all sizes.
        peers: measurements of the other programs.
        compile_s: seconds of the very first call of a step on a machine, compilation included.
        notes: sentences about what is missing.
    """
    parts = ["# Benchmarks", "Written by `make bench` (`python -m benchmarks --write docs/benchmarks.md`).", _ABOUT]
    parts += ["## Conditions", render_table(("what", "value"), conditions)]
    parts += ["## The suite", _steps(measured)]
    if len({one.events for one in measured}) > 1:
        parts += ["## Growth with size", _GROWTH, _growth(measured)]
    if compile_s:
        first = [(LABELS[step], f"{seconds:.1f}") for step, seconds in compile_s.items()]
        parts += ["## First use", _FIRST, render_table(("step", "first call, s"), first)]
    if peers:
        parts += ["## Peers, the same events", _PEERS, _peers(peers, measured)]
    if notes:
        parts += ["\n".join(f"- {note}" for note in notes)]
    return "\n\n".join(parts) + "\n"


_ABOUT = """\
Generated captures of 8 CPUs (`benchmarks/scenes.py`): sched_switch and sched_waking, mmap_lock, madvise, mmap and munmap,
lock contention, trace markers; GC with the lock held, frames, direct and chained inversions, binder chatter. All formats hold
the same events, and the readers must give the same rows or nothing is printed. Each run is a process of its own that has
done the same on a small trace before. Wall and CPU time are medians of the runs, memory is the highest resident size of the
whole process (interpreter and libraries, about 0.25 GB, included).

Shared machines change speed by the minute, so before each run `trace-cmd report` reads 1 M of the same events (the smallest
size): "times trace-cmd" is the median, over the runs, of its CPU time per event divided by the step's. The targets were set on
a machine where it reads 0.81 M events/s; "its target" is the target in the same measure."""
_GROWTH = (
    "Nanoseconds of CPU and bytes of peak memory (beyond what the process had before) per event: constant is linear."
)
_FIRST = "Code is compiled once and kept on disk. First call on a machine, on 20,000 events; a row adds to those above."
_PEERS = (
    "Times of whole processes; the factor is against the suite's reader of the same file, by wall time of the work."
)


def _steps(measured: Sequence[Measured]) -> str:
    head = (
        "step", "events", "runs", "wall s", "best s", "CPU s", "M events/s", "best", "per CPU s", "peak GB", "target",
        "times trace-cmd", "its target",
    )  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for one in measured:
        target = TARGETS.get(one.step)
        rows.append(
            (
                LABELS[one.step], _size(one.events), str(len(one.runs)), f"{one.wall_s:.2f}", f"{one.best_s:.2f}",
                f"{one.cpu_s:.2f}", _rate(one.events, one.wall_s), _rate(one.events, one.best_s),
                _rate(one.events, one.cpu_s), f"{one.peak_bytes / 1e9:.2f}", f"{target:g}" if target else "",
                f"{one.times_yard:.1f}" if one.times_yard else "", f"{target / YARD_RATE:.1f}" if target else "",
            )
        )  # fmt: skip
        if "decode_s" in one.told:
            rest = one.wall_s - one.told["decode_s"]
            rows.append(("- of it analysis", "", "", f"{rest:.2f}", "", "", _rate(one.events, rest), *[""] * 6))
    return render_table(head, rows)


def _growth(measured: Sequence[Measured]) -> str:
    sizes = sorted({one.events for one in measured})
    found = {(one.step, one.events): one for one in measured}
    rows = []
    for step in dict.fromkeys(one.step for one in measured):
        each = [found.get((step, size)) for size in sizes]
        rows.append(
            (
                LABELS[step],
                *(f"{one.cpu_s / one.events * 1e9:.0f}" if one else "" for one in each),
                *(f"{max(0, one.peak_bytes - one.started_bytes) / one.events:.0f}" if one else "" for one in each),
            )
        )
    return render_table(("step", *(f"ns, {_size(s)}" for s in sizes), *(f"bytes, {_size(s)}" for s in sizes)), rows)


def _peers(peers: Sequence[Measured], measured: Sequence[Measured]) -> str:
    own = {(one.step, one.events): one for one in measured}
    readers = {"(txt)": "text", "(dat)": "dat", "(perfetto)": "perfetto"}
    rows = []
    for one in peers:
        reader = own.get((readers.get(one.step.split()[-1], ""), one.events))
        factor = f"{one.wall_s / reader.wall_s:.1f} times" if reader else ""
        rows.append(
            (
                one.step, _size(one.events), f"{one.wall_s:.2f}", f"{one.cpu_s:.2f}", _rate(one.events, one.wall_s),
                f"{one.peak_bytes / 1e9:.2f}", factor,
            )
        )  # fmt: skip
    return render_table(
        ("program", "events", "wall s", "CPU s", "M events/s", "peak GB", "the suite is faster by"), rows
    )


def _rate(events: int, seconds: float) -> str:
    return f"{events / seconds / 1e6:.2f}" if seconds > 0 else ""


def _size(events: int) -> str:
    return f"{events / 1e6:.0f} M" if events >= 950_000 else f"{events / 1e3:.0f} k"


def render_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns; those after the first are numbers, aligned to the right."""
    cells = [head, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    right = [i > 0 and len(head) > 2 for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        shown = (cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True))
        return "| " + " | ".join(shown) + " |"

    rule = "| " + " | ".join("-" * (w - 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)) + " |"
    return "\n".join([line(head), rule, *map(line, rows)])
