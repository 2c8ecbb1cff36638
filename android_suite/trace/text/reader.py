"""ftrace text of any layout to a Trace: ``trace`` and ``trace_pipe``, trace-cmd report, atrace, systrace html."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from android_suite.errors import TraceError, UsageError
from android_suite.jit.workers import Workers
from android_suite.tables import events
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace, TraceSource
from android_suite.trace.core.byte_readers import line_end
from android_suite.trace.core.calls import name_calls
from android_suite.trace.core.foreign import KNOWN, name_text
from android_suite.trace.core.mapped import map_file, release_pages
from android_suite.trace.core.string_columns import string_column
from android_suite.trace.text.lines import (
    ANNOUNCED_CPUS,
    BAD_TIME,
    DIGITS,
    FLAGS,
    GAPS,
    HEADERS,
    IN_BUFFER,
    LAST_TS,
    LATENCY,
    MAX_MOVES,
    MOVED,
    NEAR,
    STACKS,
    UNPARSED,
    UNSORTED,
    WRITTEN,
    ScanState,
    scan_chunk,
)
from android_suite.trace.text.tables import TextTables
from android_suite.trace.text.threads import apply_process_dump, move_table, thread_table
from android_suite.trace.text.unwrap import unwrap_text

_CHUNK_BYTES = 8 << 20  # small beside a trace: the tables of one chunk are made while the next is scanned
_HEAD_BYTES = 1 << 16
_MOST_UNREAD = 4096  # events whose windows are told apart
_FLAGS_IN_HEADER = re.compile(rb"TASK-PID.{0,40}CPU#\s+(\|{3,8})\s+TIMESTAMP")
_SECONDS = re.compile(rb"\] +[A-Za-z.#]\S{2,7} +([0-9]{1,10})\.[0-9]{1,9}: ")
_FUNCTION_GRAPH = re.compile(rb"^# tracer: function_graph|^ *\d{1,4}\) .*\|  ", re.MULTILINE)
_VERBOSE_LATENCY = re.compile(rb"^ *\S.* \[[0-9a-f]{8,16}\] -?\d+(\.\d{3}ms)? \(\+\d", re.MULTILINE)
_SUBSYSTEMS = frozenset(
    {"sched", "raw_syscalls", "syscalls", "lock", "mmap_lock", "exceptions", "irq", "power", "block"}
)
_FIELD = re.compile(r"([A-Za-z_]\w{0,63})=(.{0,999}?)(?=,? [A-Za-z_]\w{0,63}=|$)")


def read_text(source: Path | str | bytes, *, name: str = "trace", process_dump: bytes = b"") -> Trace:
    """Reads ftrace text, plain or wrapped (systrace html, ``atrace -z``, gzip).

    Args:
        source: a path, or the bytes themselves.
        name: what to call bytes in messages.
        process_dump: ``/proc/TGID/task/TID`` lines or ``ps -AT`` output, for traces without a tgid column.

    Returns:
        The trace; times are the text's, exact to its printed digits. The clock is not named in text.

    Raises:
        UsageError: the path cannot be read, or the text is something else that has a name.
        TraceError: no line of it is an ftrace event, or it is packed and damaged.
    """
    if isinstance(source, bytes):
        return _read(source, name, process_dump, None)
    path = Path(source)
    mapped = map_file(path, "ftrace text")
    return _read(memoryview(mapped), str(path), process_dump, path, mapped)


def _read(
    data: bytes | memoryview, name: str, process_dump: bytes, path: Path | None, mapped: mmap.mmap | None = None
) -> Trace:
    parts = unwrap_text(data, name)
    if parts.text is not data:
        mapped = None
    buf = np.frombuffer(parts.text, dtype=np.uint8)
    builder = TextTables(buf=buf)
    _learn_layout(buf, builder.state)
    done = 0
    with Workers() as workers:
        for begin, end in _chunks(buf):
            lines = scan_chunk(buf, begin, end, builder.state)
            builder.state.counts[LAST_TS] = max(builder.state.counts[LAST_TS], 0)
            workers.finish()
            release_pages(mapped, done, begin)
            done = begin
            builder.learn_names()
            builder.begin(lines, workers)
        workers.finish()
        release_pages(mapped, done, len(buf))
    _check_found(builder, buf, name)
    return _finish(builder, parts.format, name, process_dump or parts.process_dump, path)


def _learn_layout(buf: np.ndarray, state: ScanState) -> None:
    """How many flags a line has, by the header, and about what time it is: for lines without a space between the two."""
    head = buf[:_HEAD_BYTES].tobytes()
    if (header := _FLAGS_IN_HEADER.search(head)) is not None:
        state.counts[FLAGS] = len(header[1])
    if (line := _SECONDS.search(head)) is not None:
        state.counts[NEAR] = int(line[1])


def _chunks(buf: np.ndarray) -> Iterator[tuple[int, int]]:
    """Bounds of pieces of about ``_CHUNK_BYTES``, each ending after a newline."""
    begin = 0
    while begin < len(buf):
        end = min(begin + _CHUNK_BYTES, len(buf))
        end = line_end(buf, end, len(buf))
        yield begin, end
        begin = end


def _check_found(builder: TextTables, buf: np.ndarray, name: str) -> None:
    counts = builder.state.counts
    if builder.events:
        if builder.counts.keys() <= _SUBSYSTEMS and (found := _name_foreign(buf)) is not None:
            raise UsageError(f"{name} is {found[0]}; {found[1]}.")  # ":-1    -1 [000] 1.0: sched:sched_switch:" of perf
        return
    if counts[BAD_TIME]:
        hint = "Its trace_clock counts no nanoseconds; record with trace_clock set to boot or mono."
        raise TraceError(name, 0, "times in seconds", hint=hint)
    head = buf[:_HEAD_BYTES].tobytes()
    if _FUNCTION_GRAPH.search(head):
        hint = "The function_graph tracer writes durations of functions; record events, with current_tracer set to nop."
        raise TraceError(name, 0, "events, this is output of function_graph", hint=hint)
    if _VERBOSE_LATENCY.search(head):
        hint = "Switch it off (echo 0 > options/verbose) and save the trace again."
        raise TraceError(name, 0, "one of ftrace's usual layouts, this is its verbose latency format", hint=hint)
    if b"(ftrace buffer empty)" in buf[: 64 << 20].tobytes():
        hint = "Set kernel.ftrace_dump_on_oops and record events (events/sched/enable) before the crash."
        raise TraceError(name, 0, "events of ftrace, the log says that its buffer was empty", hint=hint)
    if (found := _name_foreign(buf)) is not None:
        raise UsageError(f"{name} is {found[0]}; {found[1]}.")
    if counts[UNPARSED] and (line := _first_line(head)):
        hint = f"Its {int(counts[UNPARSED])} lines are not understood, such as '{line}'; give {KNOWN}."
        raise TraceError(
            name, 0, "lines of ftrace text such as 'sh-175 [001] d..2. 5.067: sched_switch: ...'", hint=hint
        )
    if b"# tracer:" in head or counts[HEADERS]:
        hint = "Switch events on (events/sched/enable, events/mmap_lock/enable) and record while something happens."
        raise TraceError(name, 0, "an event, the trace is empty", hint=hint)
    hint = f"Give {KNOWN}."
    raise TraceError(name, 0, "a line of ftrace text such as 'sh-175 [001] d..2. 5.067: sched_switch: ...'", hint=hint)


def _name_foreign(buf: np.ndarray) -> tuple[str, str] | None:
    head = buf[:_HEAD_BYTES].tobytes()
    return None if head.lstrip().startswith(b"# tracer:") else name_text(head)


def _first_line(head: bytes) -> str:
    """The first line after the header of ftrace, made safe for a message; empty if the text does not begin with one."""
    if not head.lstrip().startswith(b"# tracer:"):
        return ""
    lines = (line.strip() for line in head.decode("utf-8", "replace").splitlines())
    found = next((line for line in lines if line and not line.startswith("#")), "")
    return "".join(c if c.isprintable() else "?" for c in found[:80])


def _finish(builder: TextTables, form: str, name: str, process_dump: bytes, path: Path | None) -> Trace:
    state, counts = builder.state, builder.state.counts
    ts = builder.times.finish()
    rank: np.ndarray | None = None
    if counts[UNSORTED]:
        order = np.argsort(ts, kind="stable")
        rank = np.empty(len(ts), np.int64)
        rank[order] = np.arange(len(ts), dtype=np.int64)
    start, end = (int(ts.min()), int(ts.max())) if len(ts) else (0, 0)
    not_events = (events.FRAME_TIMELINE, events.THREADS, events.THREAD_MOVES, events.THREAD_LISTS, events.LOST)
    threads_only = {table.name for table in not_events}
    tables = {t.name: builder.finish(t, rank) for t in events.EVENT_TABLES if t.name not in threads_only}
    notes = _notes(builder)
    dumped = apply_process_dump(process_dump, state.tgid)
    threads = tables[events.THREADS.name] = thread_table(builder, tables, dumped)
    tables[events.THREAD_MOVES.name] = move_table(builder)
    notes += name_calls(tables[events.SYSCALL.name], threads, None)
    tables |= {table.name: make_frame(table) for table in (events.FRAME_TIMELINE, events.THREAD_LISTS)}
    tables[events.LOST.name], lost_events = _lost(state, start, end)
    cpus = int(max(counts[ANNOUNCED_CPUS], (state.cpu_first >= 0).nonzero()[0].max(initial=-1) + 1))
    source = TraceSource(
        format=form, path=name, events=builder.events, lost_events=lost_events, clock="unknown", start_ns=start, end_ns=end,
        cpus=cpus, event_counts=dict(sorted(builder.counts.items())), notes=tuple(notes),
    )  # fmt: skip
    decode = _Decoder(path, form, rank, builder).decode
    return Trace(source=source, tables=tables, decode_event=decode, unread=_unread(builder))


def _notes(builder: TextTables) -> list[str]:
    counts, notes = builder.state.counts, []
    if 0 < counts[DIGITS] <= 6:
        notes.append(f"times have {'microsecond' if counts[DIGITS] == 6 else 'coarse'} precision: text prints no more")
    if counts[UNSORTED]:
        notes.append(f"{int(counts[UNSORTED])} lines stood earlier than the line before them; sorted by time")
    if counts[LATENCY]:
        notes.append("latency format: the kernel cuts names to 8 characters in it")
    if builder.repeated:
        notes.append(
            f"{builder.repeated} lines of the tracer itself about switches and wakeups were left out: "
            "they repeat events of the trace"
        )
    if counts[MOVED] > MAX_MOVES:
        notes.append(f"only the first {MAX_MOVES} changes of a thread id's process were told apart")
    if counts[STACKS]:
        notes.append(f"{int(counts[STACKS])} lines of stack traces were left out")
    if counts[UNPARSED] + counts[BAD_TIME]:
        notes.append(f"{int(counts[UNPARSED] + counts[BAD_TIME])} lines are no events and were left out")
    if builder.malformed:
        what = ", ".join(f"{count} {name}" for name, count in sorted(builder.malformed.items()))
        notes.append(f"events whose fields could not be read: {what}")
    return notes


def _lost(state: ScanState, start: int, end: int) -> tuple[pd.DataFrame, int | None]:
    """The gaps: LOST lines, and the start of each CPU's ring where older events were overwritten."""
    counts = state.counts
    listed = state.gaps[: int(counts[GAPS])]
    rows = [
        (int(cpu), start if from_ < 0 else int(from_), end if to < 0 else int(to), int(number))
        for cpu, from_, to, number in listed
    ]
    overwritten = int(counts[WRITTEN] - counts[IN_BUFFER])
    if overwritten > 0:
        # The header names no CPU: each ring begins at its own first event, and what came before is gone.
        seen = np.flatnonzero(state.cpu_first >= 0)
        cpus = max(int(counts[ANNOUNCED_CPUS]), int(seen.max(initial=-1)) + 1)
        first = [
            (cpu, start, int(state.cpu_first[cpu]) if state.cpu_first[cpu] >= 0 else end, -1) for cpu in range(cpus)
        ]
        rows = first + rows
    total = None
    if counts[HEADERS] or rows:
        total = overwritten + int(sum(max(row[3], 0) for row in rows))
        total = max(total, 1) if rows else total
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    names = events.LOST.dtypes
    return make_frame(
        events.LOST, {n: np.array(c, dtype=d) for (n, d), c in zip(names.items(), columns, strict=True)}
    ), total


def _unread(builder: TextTables) -> pd.DataFrame:
    """A window around each event whose fields could not be read; one for each CPU where they are many."""
    at = np.concatenate([np.empty((0, 2), np.int64), *builder.unread])
    count = np.ones(len(at), np.int64)
    low = high = at
    if len(at) > _MOST_UNREAD:
        cpus, of, count = np.unique(at[:, 0], return_inverse=True, return_counts=True)
        span = pd.Series(at[:, 1]).groupby(of).agg(["min", "max"])
        low, high = (np.column_stack([cpus, span[name]]) for name in ("min", "max"))
    columns = {"cpu": low[:, 0], "from_ns": low[:, 1] - 1, "to_ns": high[:, 1] + 1, "events": count}
    return make_frame(events.LOST, {name: columns[name].astype(dtype) for name, dtype in events.LOST.dtypes.items()})


class _Decoder:
    """Decodes one event of any name on request: text from a file is read again, text given as bytes is kept."""

    def __init__(self, path: Path | None, form: str, rank: np.ndarray | None, builder: TextTables) -> None:
        self._path, self._form, self._rank = path, form, rank
        self._buf: np.ndarray | None = builder.buf if path is None else None
        builder.buf = np.empty(0, np.uint8)

    def decode(self, name: str) -> pd.DataFrame:
        """All events of ``name``: seq, ts_ns, cpu, tid, ``payload``, and a column for each ``key=value`` in it."""
        if self._path is None:
            assert self._buf is not None
            return self._decode(self._buf, name)
        mapped = memoryview(map_file(self._path, "ftrace text"))
        return self._decode(np.frombuffer(unwrap_text(mapped, self._path).text, np.uint8), name)

    def _decode(self, buf: np.ndarray, name: str) -> pd.DataFrame:
        builder, rows, frames = TextTables(buf=buf), 0, []
        _learn_layout(buf, builder.state)
        for begin, end in _chunks(buf):
            lines = scan_chunk(buf, begin, end, builder.state)
            builder.learn_names()
            number = builder.names.index(name) if name in builder.names else -1
            at = np.flatnonzero(lines.name == number)
            payload = string_column(buf, np.minimum(lines.start[at], lines.end[at]), lines.end[at])
            frames.append(
                pd.DataFrame(
                    {
                        "seq": at + rows, "ts_ns": lines.ts_ns[at], "cpu": lines.cpu[at], "tid": lines.tid[at],
                        "payload": payload,
                    }
                )
            )  # fmt: skip
            rows += len(lines.ts_ns)
        frame = pd.concat(frames, ignore_index=True)
        if self._rank is not None:
            frame["seq"] = self._rank[frame["seq"].to_numpy()]
            frame = frame.sort_values("seq", ignore_index=True)
        return pd.concat([frame, _fields(frame["payload"], set(frame.columns))], axis=1)


def _fields(payload: pd.Series, taken: set[str]) -> pd.DataFrame:
    fields = pd.DataFrame([dict(_FIELD.findall(text)) for text in payload], index=payload.index)
    for column in fields.columns:
        numbers = pd.to_numeric(fields[column], errors="coerce")
        if numbers.notna().all() and len(numbers):
            fields[column] = numbers
    return fields.rename(columns={c: f"{c}_field" for c in fields.columns if c in taken})
