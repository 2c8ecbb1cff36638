"""A soak's summary for people: text for the terminal, and one small HTML page that needs no network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from html import escape

from android_suite.model.soak import SoakComparison, SoakPoint, SoakSummary
from android_suite.report.phrases import show_foreign

_MOST_ROWS = 15
_WIDTH, _HEIGHT, _EDGE = 720, 120, 44
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2430;max-width:980px;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;margin:.5em 0 1.5em;display:block;overflow-x:auto}
td,th{padding:.2em .8em .2em 0;text-align:right;border-bottom:1px solid #eef1f4;white-space:nowrap}
td:first-child,th:first-child,td.l,th.l{text-align:left}svg{width:100%;height:auto}
.note{background:#fff7e0;padding:.4em .8em;margin:.4em 0}figcaption{color:#5a6675}
"""


def render_soak_text(soak: SoakSummary) -> str:
    """The summary as text."""
    lines = [
        f"soak {show_foreign(soak.label)}: {_hours(soak.seconds)} on {show_foreign(soak.kernel.release)}, "
        f"{len(soak.segments)} segment{'s' if len(soak.segments) != 1 else ''}"
        + ("" if soak.finished else ", not finished")
    ]
    for rows in (_madvise_rows(soak), _lock_rows(soak)):
        if len(rows) > 1:
            lines += ["", *_grid(rows[: 1 + _MOST_ROWS])]
            lines += (
                [f"and {len(rows) - 1 - _MOST_ROWS} more: see --json or --html"] if len(rows) > 1 + _MOST_ROWS else []
            )
    lines += ["", *_grid(_system_rows(soak))]
    lines += [f"note: {note}" for note in _notes(soak)]
    return "\n".join(lines) + "\n"


def render_soak_comparison_text(found: SoakComparison) -> str:
    """A comparison as text."""
    rows = [["rate", found.baseline or "baseline", found.candidate or "candidate", "difference", "interval"]]
    for rate in found.rates:
        interval = "-" if rate.interval is None else f"{_number(rate.interval[0])} to {_number(rate.interval[1])}"
        rows.append(
            [rate.said, *(_number(value) for value in (rate.baseline, rate.candidate, rate.difference)), interval]
        )
    head = f"{found.segments[0]} and {found.segments[1]} segments; {found.confidence:.0%} intervals over segments"
    return "\n".join([head, "", *_grid(rows), *(f"note: {note}" for note in found.notes)]) + "\n"


def render_soak_html(soak: SoakSummary) -> str:
    """The summary as one page."""
    title = f"Soak {show_foreign(soak.label)}".strip()
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(_where(soak))}</p>",
        *(f'<p class="note">{escape(note)}</p>' for note in _notes(soak)),
    ]
    series: tuple[tuple[str, Callable[[SoakPoint], float | None]], ...] = (
        ("madvise calls a minute", lambda p: _per_minute(p, p.calls)),
        ("of them on mmap_lock, a minute", lambda p: _per_minute(p, p.mmap_lock)),
        ("MiB advised a minute", lambda p: _per_minute(p, None if p.bytes is None else p.bytes / (1 << 20))),
        ("waits that slept or spun, a minute", lambda p: _per_minute(p, p.waits)),
        ("ms waited, a minute", lambda p: _per_minute(p, None if p.wait_ns is None else p.wait_ns / 1e6)),
        ("longest wait, ms", lambda p: None if p.longest_ns is None else p.longest_ns / 1e6),
    )
    parts.append("<h2>Over time</h2>")
    parts += [_chart(name, soak.over_time, value) for name, value in series]
    for heading, rows in (
        ("madvise by thread", _madvise_rows(soak)),
        ("Locks by thread", _lock_rows(soak)),
        ("How long waits were", _bucket_rows(soak)),
        ("Segments", _segment_rows(soak)),
        ("The system", _system_rows(soak)),
    ):
        if len(rows) > 1:
            parts += [f"<h2>{heading}</h2>", _table(rows)]
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
    )
    return head + "\n".join(parts) + "</main></body></html>\n"


def _where(soak: SoakSummary) -> str:
    parts = [f"{soak.kernel.release} on {soak.device.model}", _hours(soak.seconds), f"{len(soak.segments)} segments"]
    return show_foreign(" · ".join(parts if soak.finished else [*parts, "not finished"]))


def _notes(soak: SoakSummary) -> list[str]:
    notes = [
        f"after segment {loss.after_segment} {loss.why}: at most {loss.at_most_s:.0f} s were not counted"
        + (f" (about {loss.calls_expected} calls at the highest rate seen)" if loss.calls_expected else "")
        for loss in soak.losses
    ]
    notes += [f"not counted: {each.name}, because {each.reason}; {each.remedy}." for each in soak.missing]
    notes += [
        f"{count} events of {table} found no room in the device's table: that table's rows are lower bounds"
        for table, count in soak.dropped.items()
    ]
    if soak.outliers:
        notes.append(
            f"{len(soak.outliers)} traces of outliers, outliers/{soak.outliers[0]} the first: `analyze` reads them"
        )
    return [show_foreign(note) for note in (*notes, *soak.notes)]


def _madvise_rows(soak: SoakSummary) -> list[list[str]]:
    rows = [["process", "thread", "role", "calls", "per VMA", "mmap_lock", "unknown", "MiB"]]
    return rows + [
        [show_foreign(each.process or "?"), show_foreign(each.thread), each.role, str(each.calls), str(each.per_vma),
         str(each.mmap_lock), str(each.unknown), f"{(each.bytes or 0) / (1 << 20):.1f}"]
        for each in sorted(soak.madvise, key=lambda row: -(row.calls or 0))
    ]  # fmt: skip


def _lock_rows(soak: SoakSummary) -> list[list[str]]:
    rows = [["process", "thread", "role", "lock", "mode", "waits", "total ms", "longest ms"]]
    return rows + [
        [show_foreign(each.process or "?"), show_foreign(each.thread), each.role, each.lock, each.mode,
         str(each.waits), _ms(each.wait_total_ns), _ms(each.wait_max_ns)]
        for each in sorted(soak.locks, key=lambda row: -(row.wait_total_ns or 0))
    ]  # fmt: skip


def _bucket_rows(soak: SoakSummary) -> list[list[str]]:
    rows = [["lock", "mode", "role", "above us", "waits"]]
    return rows + [[b.lock, b.mode, b.role, f"{b.above_ns / 1000:.1f}", str(b.waits)] for b in soak.buckets]


def _segment_rows(soak: SoakSummary) -> list[list[str]]:
    rows = [["segment", "began (UTC)", "hours", "checkpoints", "calls", "per VMA", "mmap_lock", "calls an hour"]]
    for each in soak.segments:
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(each.began_unix_ns / 1e9))
        counts = [_number(value) for value in (each.calls, each.per_vma, each.mmap_lock)]
        rate = _number(each.per_hour.get("madviseCalls"))
        rows.append([str(each.number), began, f"{each.seconds / 3600:.2f}", str(each.checkpoints), *counts, rate])
    return rows


def _system_rows(soak: SoakSummary) -> list[list[str]]:
    return [["counter of the system", "value"], *([name, str(value)] for name, value in soak.system.items())]


def _chart(name: str, points: Sequence[SoakPoint], value: Callable[[SoakPoint], float | None]) -> str:
    told = [(point.at_unix_ns, point.segment, found) for point in points if (found := value(point)) is not None]
    if not told:
        return ""
    first, last = told[0][0], max(told[-1][0], told[0][0] + 1)
    most = max(found for _, _, found in told) or 1.0
    path, segment = "", -1
    for at, number, found in told:
        x = _EDGE + (_WIDTH - _EDGE) * (at - first) / (last - first)
        y = _HEIGHT - 8 - (_HEIGHT - 16) * found / most
        path += f"{'M' if number != segment else 'L'}{x:.1f} {y:.1f}"
        segment = number
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(name)}">'
        f'<text x="0" y="14" font-size="11">{_number(most)}</text><text x="0" y="{_HEIGHT - 6}" font-size="11">0</text>'
        f'<path d="{path}" fill="none" stroke="#2f6fab" stroke-width="1.5"/></svg>'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _grid(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _per_minute(point: SoakPoint, value: float | None) -> float | None:
    return None if value is None or point.seconds <= 0 else 60.0 * value / point.seconds


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _ms(value: int | None) -> str:
    return "?" if value is None else f"{value / 1e6:.3f}"


def _number(value: float | None) -> str:
    return "?" if value is None else (str(value) if isinstance(value, int) else f"{value:.4g}")
