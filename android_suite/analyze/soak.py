"""A soak's folder -> its summary: totals by thread, over time, by segment, and what they leave out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from android_suite.errors import EvidenceError
from android_suite.model.analysis import LockSummary, MadviseSummary
from android_suite.model.soak import (
    Checkpoint,
    SoakBucket,
    SoakLoss,
    SoakManifest,
    SoakPoint,
    SoakSegment,
    SoakSummary,
    SoakThread,
)
from android_suite.store.soak import read_checkpoints, read_soak_manifest

HOUR_S: Final = 3600.0
_CALLS = ("madvise", "madvise_empty", "process_madvise")
_PER_VMA = ("madvise_per_vma", "process_madvise_per_vma")
_MMAP_LOCK = ("madvise_mmap_lock", "process_madvise_mmap_lock")
_LOCKS = {"mmap_read": ("mmap_lock", "read"), "mmap_write": ("mmap_lock", "write"), "vma_wait": ("vma_lock", "write")}
_WAITS = ("mmap_read_wait", "mmap_write_wait", "vma_wait")
_TIMES = ("mmap_", "vma_")  # tables with these names have sums of times
_SECOND = 1_000_000_000  # ns; a time stamp is larger
_TORN = "a row was read while the kernel changed it; its time is that of the next reading"
_ROLES = {"RenderThread": "render", "HeapTaskDaemon": "gc", "Jit thread pool": "jit"}
_APP_THREADS = ("RenderThread", "HeapTaskDaemon")
_BINDER = re.compile(r"(?:Hw)?[Bb]inder:")
_MOST_POINTS = 3000  # of the series; more are summed, so that a soak of weeks stays a page


@dataclass(slots=True)
class _Count:
    count: int = 0
    total: int = 0
    longest: int = -1

    def add(self, count: int, total: int, longest: int) -> None:
        self.count += count
        self.total += total
        self.longest = max(self.longest, longest)


Life = tuple[int, int, int]  # segment, tid, start: one thread, whatever it is called
Owner = tuple[str, str, str, int]  # process, comm, role, tid


@dataclass(slots=True)
class _Totals:
    """Sums over all segments, and those of the segment that is read."""

    tables: frozenset[str]
    lives: dict[Life, SoakThread] = field(default_factory=dict)
    rows: dict[tuple[Life, str], _Count] = field(default_factory=lambda: defaultdict(_Count))
    buckets: dict[tuple[str, Life, int], int] = field(default_factory=lambda: defaultdict(int))
    dropped: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    system: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    points: list[SoakPoint] = field(default_factory=list)
    segments: list[SoakSegment] = field(default_factory=list)
    losses: list[SoakLoss] = field(default_factory=list)
    outliers: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_soak(folder: Path) -> SoakSummary:
    """Reads a soak, whether it is finished or not.

    Raises:
        UsageError: the folder is none of a soak.
        EvidenceError: a counter runs backwards, or a file is damaged.
    """
    return summarize_soak(read_soak_manifest(folder), read_checkpoints(folder), name=str(folder))


def summarize_soak(manifest: SoakManifest, lines: Iterator[Checkpoint], *, name: str) -> SoakSummary:
    """Sums up a soak. Counters are cumulative within a segment, so only differences count.

    Args:
        manifest: what is counted.
        lines: the checkpoints in order; memory does not grow with their number but for the series over time.
        name: of the soak, for messages.

    Raises:
        EvidenceError: a counter runs backwards.
    """
    totals = _Totals(tables=frozenset(manifest.tables))
    segment: _Segment | None = None
    for line in lines:
        if segment is None or line.segment != segment.number:
            if segment is not None:
                totals.segments.append(segment.end(totals))
                totals.losses.append(_lose(segment.last, line, segment.most_per_s))
            segment = _Segment(line, name)
        segment.take(line, totals)
        if line.outlier:
            totals.outliers.append(line.outlier)
        totals.notes += line.notes
    if segment is not None:
        totals.segments.append(segment.end(totals))
    return SoakSummary(
        label=manifest.label,
        kernel=manifest.kernel,
        device=manifest.device,
        finished=manifest.finished,
        seconds=sum(each.seconds for each in totals.segments),
        madvise=tuple(_madvise(totals)),
        locks=tuple(_locks(totals)),
        buckets=tuple(_buckets(totals)),
        segments=tuple(totals.segments),
        losses=tuple(totals.losses),
        over_time=tuple(_thin(totals.points)),
        dropped={table: count for table, count in totals.dropped.items() if count},
        missing=manifest.missing,
        outliers=tuple(totals.outliers),
        system=dict(totals.system),
        notes=tuple(dict.fromkeys(totals.notes)),
    )


class _Segment:
    """The segment that is read: the last values of its counters, and who its threads are."""

    def __init__(self, first: Checkpoint, name: str) -> None:
        self.number, self.first, self.last, self._name = first.segment, first, first, name
        self.most_per_s = 0.0
        self._values: dict[str, dict[tuple[int, int], tuple[int, int, int]]] = {}
        self._dropped: dict[str, int] = {}
        self._threads: dict[int, SoakThread] = {}
        self._system: dict[str, int] = dict(first.system)
        self._sums: dict[str, _Count] = defaultdict(_Count)
        self._checkpoints = 0

    def take(self, line: Checkpoint, totals: _Totals) -> None:
        self._threads |= {thread.tid: thread for thread in line.threads}
        sums: dict[str, _Count] = defaultdict(_Count)
        for table, told in line.tables.items():
            values = self._values.setdefault(table, {})
            more = told.dropped - self._dropped.get(table, 0)
            self._dropped[table] = told.dropped
            totals.dropped[table] += more
            sums[table].count += more if table in _CALLS else 0
            for tid, bucket, count, total, longest in told.rows:
                had = values.get((tid, bucket), (0, 0, -1))
                step, amount = count - had[0], total - had[1]
                # A whole timestamp more than a thread can have spent since the segment began.
                too_much = total > line.uptime_ns - self.first.uptime_ns // 2
                if table.startswith(_TIMES) and (too_much or (amount < -_SECOND and step >= 0)):
                    # The kernel adds to the two sums of a row, of ends and of begins, one after the other. A look between
                    # the two misses a whole time stamp; the next look has both.
                    totals.notes.append(_TORN)
                    if too_much:
                        continue
                elif step < 0 or amount < 0 or more < 0:
                    raise EvidenceError(
                        f"{self._name}: line {line.n}: the counter {table} of thread {tid} runs backwards; the file was "
                        "changed, or the device's counters were. Restore the folder from a copy."
                    )
                values[tid, bucket] = (count, total, longest)
                self._add(totals, sums, table, tid, bucket, step, amount, longest if longest > had[2] else -1)
        for key, value in line.system.items():
            if key.endswith("_kb"):
                totals.system[f"{key}_most"] = max(totals.system[f"{key}_most"], value)
            else:
                totals.system[key] += max(0, value - self._system.get(key, value))
            self._system[key] = value
        seconds = (line.at_unix_ns - self.last.at_unix_ns) / 1e9
        up = (line.uptime_ns - self.last.uptime_ns) / 1e9  # the host's clock may have been set
        seconds = up if up > 0 else max(0.0, seconds)
        calls = sum(sums[table].count for table in _CALLS)
        if seconds > 0:
            self.most_per_s = max(self.most_per_s, calls / seconds)
        for table, each in sums.items():
            self._sums[table].add(each.count, each.total, each.longest)
        if self._checkpoints:
            totals.points.append(_point(self.number, line.at_unix_ns, seconds, sums, totals.tables))
        self.last = line
        self._checkpoints += 1

    def _add(
        self,
        totals: _Totals,
        sums: dict[str, _Count],
        table: str,
        tid: int,
        bucket: int,
        count: int,
        total: int,
        longest: int,
    ) -> None:
        thread = self._threads.get(tid) or SoakThread(tid=tid)
        life = (self.number, tid, thread.start or 0)
        totals.lives[life] = thread
        if bucket >= 0:
            totals.buckets[table.removesuffix("_log2"), life, bucket] += count
            return
        totals.rows[life, table].add(count, total, longest)
        sums[table].add(count, total, longest)

    def end(self, totals: _Totals) -> SoakSegment:
        seconds = max(0.0, (self.last.uptime_ns - self.first.uptime_ns) / 1e9)
        calls = _sum(self._sums, totals.tables, _CALLS)
        waits = _sum(self._sums, totals.tables, _WAITS)
        wait_ns = _total(self._sums, totals.tables, _WAITS)
        lock = _sum(self._sums, totals.tables, _MMAP_LOCK)
        hours = seconds / HOUR_S

        def rate(value: float | None, scale: float = 1.0) -> float | None:
            return None if value is None or hours <= 0 else value * scale / hours

        return SoakSegment(
            number=self.number,
            boot=self.first.boot,
            began_unix_ns=self.first.at_unix_ns,
            seconds=seconds,
            checkpoints=self._checkpoints,
            calls=calls,
            per_vma=_sum(self._sums, totals.tables, _PER_VMA),
            mmap_lock=lock,
            bytes=_total(self._sums, totals.tables, ("madvise",)),
            per_hour={
                "madviseCalls": rate(calls),
                "madviseMmapLockPct": 100.0 * lock / calls if calls and lock is not None else None,
                "madviseMib": rate(_total(self._sums, totals.tables, ("madvise",)), 1 / (1 << 20)),
                "lockWaits": rate(waits),
                "lockWaitMs": rate(wait_ns, 1e-6),
            },
        )


def _owners(totals: _Totals) -> dict[Life, Owner]:
    """Process, comm, role and tid of each thread. The main thread of a process with a collector or a renderer draws."""
    drawing = {
        (life[0], thread.tgid)
        for life, thread in totals.lives.items()
        if thread.tgid is not None and thread.comm in _APP_THREADS
    }
    found = {}
    for life, thread in totals.lives.items():
        role = _ROLES.get(thread.comm, "")
        if not role:
            main = thread.tid == thread.tgid and (life[0], thread.tgid) in drawing
            role = "ui" if main else ("binder" if _BINDER.match(thread.comm) else "other")
        found[life] = (thread.process, thread.comm, role, thread.tid)
    return found


def _by_owner(totals: _Totals) -> dict[Owner, dict[str, _Count]]:
    """The counts of each thread over all segments, where its name and number stay the same."""
    owners = _owners(totals)
    merged: dict[Owner, dict[str, _Count]] = {}
    for (life, table), each in totals.rows.items():
        merged.setdefault(owners[life], defaultdict(_Count))[table].add(each.count, each.total, each.longest)
    return dict(sorted(merged.items()))


def _sum(sums: dict[str, _Count], kept: frozenset[str], tables: tuple[str, ...]) -> int | None:
    """The count of several tables; None if the first of them is not kept."""
    return sum(sums[table].count for table in tables if table in sums) if tables[0] in kept else None


def _total(sums: dict[str, _Count], kept: frozenset[str], tables: tuple[str, ...]) -> int | None:
    return sum(sums[table].total for table in tables if table in sums) if tables[0] in kept else None


def _point(number: int, at_unix_ns: int, seconds: float, sums: dict[str, _Count], kept: frozenset[str]) -> SoakPoint:
    longest = max((sums[table].longest for table in _WAITS if table in sums), default=-1)
    return SoakPoint(
        segment=number,
        at_unix_ns=at_unix_ns,
        seconds=seconds,
        calls=_sum(sums, kept, _CALLS),
        per_vma=_sum(sums, kept, _PER_VMA),
        mmap_lock=_sum(sums, kept, _MMAP_LOCK),
        bytes=_total(sums, kept, ("madvise",)),
        waits=_sum(sums, kept, _WAITS),
        wait_ns=_total(sums, kept, _WAITS),
        longest_ns=longest if longest >= 0 else None,
    )


def _lose(last: Checkpoint, first: Checkpoint, most_per_s: float) -> SoakLoss:
    """The time from the last reading of one installation until the next one counted."""
    seconds = max(0.0, (first.at_unix_ns - last.at_unix_ns) / 1e9)
    why = "the device restarted" if first.boot != last.boot else "the counters were removed by someone"
    return SoakLoss(after_segment=last.segment, why=why, at_most_s=seconds, calls_expected=round(seconds * most_per_s))


def _madvise(totals: _Totals) -> Iterator[MadviseSummary]:
    if "madvise" not in totals.tables:
        return
    for (process, comm, role, tid), tables in _by_owner(totals).items():

        def count(names: tuple[str, ...], tables: dict[str, _Count] = tables) -> int:
            return sum(tables[name].count for name in names if name in tables)

        calls, per_vma, mmap_lock = count(_CALLS), count(_PER_VMA), count(_MMAP_LOCK)
        if not calls:
            continue
        yield MadviseSummary(
            process=process, thread=comm or "?", role=role, tid=tid, calls=calls, per_vma=per_vma, mmap_lock=mmap_lock,
            unknown=max(0, calls - per_vma - mmap_lock), bytes=tables["madvise"].total if "madvise" in tables else 0,
        )  # fmt: skip


def _locks(totals: _Totals) -> Iterator[LockSummary]:
    for (process, comm, role, tid), tables in _by_owner(totals).items():
        for table, (lock, mode) in _LOCKS.items():
            if (found := tables.get(table)) is None:
                continue
            yield LockSummary(
                lock="vma_lock" if lock == "vma_lock" else "mmap_lock",
                process=process,
                thread=comm or "?",
                role=role,
                tid=tid,
                mode=mode,
                waits=found.count,
                wait_total_ns=found.total,
                wait_max_ns=found.longest if found.longest >= 0 else None,
                quality="lower_bound" if totals.dropped.get(table) else "exact",
            )


def _buckets(totals: _Totals) -> Iterator[SoakBucket]:
    owners = _owners(totals)
    sums: dict[tuple[str, str, int], int] = defaultdict(int)
    for (table, life, bucket), waits in totals.buckets.items():
        sums[table, owners[life][2], bucket] += waits
    for (table, role, bucket), waits in sorted(sums.items()):
        lock, mode = ("vma_lock", "write") if table == "vma_wait" else ("mmap_lock", table.split("_")[1])
        yield SoakBucket(lock=lock, mode=mode, role=role, above_ns=1 << max(0, bucket - 1), waits=waits)


def _thin(points: list[SoakPoint]) -> Iterator[SoakPoint]:
    """The series in at most `_MOST_POINTS`: neighbours of one segment are summed."""
    step = -(-len(points) // _MOST_POINTS) or 1
    at = 0
    while at < len(points):
        part = [points[at]]
        while len(part) < step and at + len(part) < len(points) and points[at + len(part)].segment == part[0].segment:
            part.append(points[at + len(part)])
        at += len(part)
        yield part[0] if len(part) == 1 else _join(part)


def _join(part: list[SoakPoint]) -> SoakPoint:
    def add(name: str) -> int | None:
        values = [getattr(point, name) for point in part]
        return None if any(value is None for value in values) else sum(values)

    return SoakPoint(
        segment=part[0].segment,
        at_unix_ns=part[-1].at_unix_ns,
        seconds=sum(point.seconds for point in part),
        calls=add("calls"),
        per_vma=add("per_vma"),
        mmap_lock=add("mmap_lock"),
        bytes=add("bytes"),
        waits=add("waits"),
        wait_ns=add("wait_ns"),
        longest_ns=max((point.longest_ns for point in part if point.longest_ns is not None), default=None),
    )
