"""Everything that shows whom a thread waits for, as edges: a thread stands behind another one for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from android_suite.analysis.blame.futexes import FutexWaits
from android_suite.analysis.blame.named_owners import NamedOwners, judge_sleeps
from android_suite.analysis.blame.scan import MASKED, Rows, choose_edges, sleeping_parts
from android_suite.analysis.enclosing import look_up_wakers
from android_suite.analysis.jit import I8, I32, I64, Array, frozen
from android_suite.analysis.locks.other_locks import split_other_waits
from android_suite.analysis.locks.ownership import EVIDENCE
from android_suite.analysis.locks.releases import END, HOLDER, START, WAIT
from android_suite.analysis.locks.standoffs import Standoffs
from android_suite.analysis.sched import Timeline
from android_suite.tables.blame import LINKS
from android_suite.tables.derived import UNKNOWN, WHO_EVIDENCE
from android_suite.tables.trace import Trace

_TOLD, _INFERRED, _UNTOLD = (WHO_EVIDENCE.index(name) for name in ("exact", "inferred", "unknown"))
_MMAP, _VMA, _MONITOR, _ART, _FUTEX, _BINDER = (
    LINKS.index(name) for name in ("mmap_lock", "vma_lock", "monitor", "art_lock", "futex", "binder")
)
# Which edge counts where a thread has several at once: the lower one. What the kernel tells comes before what ART tells of
# the same sleep, and a call of binder encloses whatever else its thread waits for meanwhile.
_HELD, _RELEASED, _KERNEL, _NAMED, _OWNED, _GUESSED, _UNNAMED, _CALLED = range(8)


@dataclass(frozen=True, slots=True)
class Source:
    """Edges of one source, in any order; ``row`` is the row of the source's own table."""

    kind: Array
    tid: I32
    start_ns: I64
    end_ns: I64
    holder: I32
    evidence: Array
    rank: Array
    key: I64
    row: I64

    def pick(self, rows: Array) -> Source:
        """Some of them: by mask or by number."""
        return Source(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Disjoint edges by thread and time: those of the timeline's thread k are ``starts[k]:starts[k + 1]``.

    Attributes:
        kind: index into LINKS.
        tid: thread that waits.
        start_ns, end_ns: from when until when.
        holder: thread it waits for; -1 unknown.
        evidence: index into WHO_EVIDENCE: of what says so.
        row: row of the table that the kind belongs to, or for a kernel lock of OTHER_WAITS; -1 without one.
    """

    starts: I64
    kind: I8
    tid: I32
    start_ns: I64
    end_ns: I64
    holder: I32
    evidence: I8
    row: I64


def collect_edges(
    trace: Trace, timeline: Timeline, standoffs: Standoffs, released: I64, others: pd.DataFrame, futexes: FutexWaits,
    monitors: pd.DataFrame, owners: NamedOwners, wakes: pd.DataFrame, calls: pd.DataFrame,
) -> Edges:  # fmt: skip
    """Joins all sources and leaves one edge for each instant of a thread.

    Args:
        trace: table contended_release.
        timeline: of all threads.
        standoffs: waits and holds of mmap_lock and of VMA locks.
        released: of locks.releases.judge_mmap_pieces.
        others: frame of OTHER_WAITS.
        futexes: waits in futex.
        monitors: frame of MONITOR_WAITS.
        owners: whom ART names in the course of them.
        wakes: the wake-ups of their threads: some rows and columns of SCHED_WAKE.
        calls: frame of BINDER_CALLS.
    """
    rows = Rows(timeline.starts, timeline.start_ns, timeline.end_ns, timeline.state, timeline.prio)

    def asleep(source: Source) -> Source:
        """The part of each edge in which its thread slept: a thread that runs waits for nobody."""
        thread = frozen(timeline.index.number(source.tid))
        parts = sleeping_parts(rows, thread, frozen(source.start_ns), frozen(source.end_ns))
        found = source.pick(parts[:, 0])
        return Source(
            found.kind,
            found.tid,
            parts[:, 1],
            parts[:, 2],
            found.holder,
            found.evidence,
            found.rank,
            found.key,
            found.row,
        )

    sources = [*_standoffs(standoffs, released, asleep), *_others(trace, others), *_futexes(futexes)]
    sources += [_monitors(rows, timeline, monitors, owners, wakes), *_binder(calls, asleep)]
    every = Source(*(np.concatenate([getattr(s, name) for s in sources]) for name in Source.__slots__))
    thread = timeline.index.number(every.tid)
    every = every.pick((every.end_ns > every.start_ns) & (thread >= 0))
    thread = timeline.index.number(every.tid)
    order = np.lexsort((every.start_ns, thread))
    every, thread = every.pick(order), thread[order]
    chosen = choose_edges(
        frozen(thread.astype(np.int32)), frozen(every.start_ns), frozen(every.end_ns), frozen(every.rank.astype(np.int64)),
        frozen(every.key), frozen(every.holder),
    )  # fmt: skip
    kept = every.pick(chosen[:, 0])
    return Edges(
        starts=np.searchsorted(thread[chosen[:, 0]], np.arange(len(timeline.index) + 1)).astype(np.int64),
        kind=kept.kind.astype(np.int8), tid=kept.tid, start_ns=chosen[:, 1], end_ns=chosen[:, 2], holder=kept.holder,
        evidence=kept.evidence.astype(np.int8), row=kept.row,
    )  # fmt: skip


def _source(
    kind: Array | int, tid: Array, start: Array, end: Array, holder: Array | int, evidence: Array | int,
    rank: Array | int, key: Array | None = None, row: Array | None = None,
) -> Source:  # fmt: skip
    n = len(tid)

    def filled(value: Array | int, dtype: type) -> Array:
        return np.broadcast_to(np.asarray(value, dtype), n)

    return Source(
        filled(kind, np.int8), np.asarray(tid, np.int32), np.asarray(start, np.int64), np.asarray(end, np.int64),
        filled(holder, np.int32), filled(evidence, np.int8), filled(rank, np.int8),
        np.asarray(start if key is None else key, np.int64), filled(-1 if row is None else row, np.int64),
    )  # fmt: skip


def _standoffs(standoffs: Standoffs, released: I64, asleep: Callable[[Source], Source]) -> Iterator[Source]:
    """mmap_lock and the locks of VMAs: of several holders the one that lets go last; a reader stands behind a queued writer."""
    segments, waits = standoffs.segments, standoffs.mmap.waits
    # A row across both locks repeats what the waits of both say.
    segments = segments[segments[:, 4] < standoffs.n_waits]
    wait, hold, start, end, via = (segments[:, column] for column in range(5))
    of_vma = wait >= standoffs.n_waits
    queued = via >= 0
    holder = np.where(queued, standoffs.wait_tid[np.maximum(via, 0)], standoffs.hold_tid[hold])
    evidence = np.full(len(segments), _TOLD)
    vma_row = wait[of_vma] - standoffs.n_waits
    evidence[of_vma] = standoffs.vma["evidence"].to_numpy()[vma_row]
    row = np.where(of_vma, wait - standoffs.n_waits, hold)
    yield _source(
        np.where(of_vma, _VMA, _MMAP), standoffs.wait_tid[wait], start, end, holder, evidence, _HELD,
        standoffs.hold_end_ns[hold], np.where(queued, -1, row),
    )  # fmt: skip
    at = released[:, WAIT]
    yield _source(
        _MMAP,
        waits["tid"].to_numpy()[at],
        released[:, START],
        released[:, END],
        released[:, HOLDER],
        released[:, EVIDENCE],
        _RELEASED,
    )
    # The rest of a wait: it slept, and nothing shows for whom.
    tid, begin, until, quality = (waits[c].to_numpy() for c in ("tid", "start_ns", "end_ns", "quality"))
    known = quality != UNKNOWN
    yield asleep(_source(_MMAP, tid[known], begin[known], until[known], -1, _UNTOLD, _KERNEL))


def _others(trace: Trace, others: pd.DataFrame) -> Iterator[Source]:
    rows = np.flatnonzero(others["quality"].to_numpy() != UNKNOWN)
    waits = others.iloc[rows]
    code = {name: number for number, name in enumerate(LINKS)}
    kind = waits["kind"].map(code).to_numpy(dtype=np.int8)
    rows = np.where(kind == _MMAP, -1, rows)  # its row would be one of lock_holds
    tid, start, end = (waits[c].to_numpy() for c in ("tid", "start_ns", "end_ns"))
    pieces, released = split_other_waits(trace, waits)
    at = pieces[:, WAIT]
    yield _source(
        kind[at], tid[at], pieces[:, START], pieces[:, END], pieces[:, HOLDER], pieces[:, EVIDENCE], _RELEASED,
        row=rows[at],
    )  # fmt: skip
    # Without a release, the thread that ended the last sleep counts for all of the wait.
    evidence, holder = waits["holder_evidence"].to_numpy(), waits["holder_tid"].to_numpy()
    guessed = np.where((evidence == _INFERRED) & ~released, holder, -1)
    yield _source(kind, tid, start, end, guessed, np.where(guessed >= 0, _INFERRED, _UNTOLD), _KERNEL, row=rows)


def _futexes(futexes: FutexWaits) -> Iterator[Source]:
    tid = futexes.frame["tid"].to_numpy()[futexes.row]
    rank = np.choose(futexes.evidence, (_OWNED, _GUESSED, _UNNAMED))
    yield _source(
        _FUTEX, tid, futexes.start_ns, futexes.end_ns, futexes.holder, futexes.evidence, rank, row=futexes.row
    )


def _monitors(
    rows: Rows, timeline: Timeline, monitors: pd.DataFrame, owners: NamedOwners, wakes: pd.DataFrame
) -> Source:
    owners = owners.pick(monitors["quality"].to_numpy()[owners.row] != UNKNOWN)
    tid = monitors["tid"].to_numpy()[owners.row].astype(np.int32)
    parts = sleeping_parts(
        rows, frozen(timeline.index.number(tid)), frozen(owners.start_ns), frozen(owners.end_ns)
    )  # fmt: skip
    piece, start, end = parts[:, 0], parts[:, 1], parts[:, 2]
    holder, evidence = judge_sleeps(piece, look_up_wakers(wakes, tid[piece], end)[0], owners)
    row = owners.row[piece]
    kind = np.where((monitors["kind"] == "monitor").to_numpy(dtype=bool)[row], _MONITOR, _ART)
    # An owner known by name alone still says more than the thread that woke the sleeper.
    rank = np.choose(evidence, (_NAMED, _OWNED, _UNNAMED))
    return _source(kind, tid[piece], start, end, holder, evidence, rank, row=row)


def _binder(calls: pd.DataFrame, asleep: Callable[[Source], Source]) -> Iterator[Source]:
    """The caller stands behind the thread that takes its call; a caller that serves another call meanwhile does not."""
    rows = np.flatnonzero(calls["quality"].to_numpy() != UNKNOWN)
    tid, start, end, server, received, replied = (
        calls[c].to_numpy()[rows] for c in ("tid", "start_ns", "end_ns", "server_tid", "received_ns", "replied_ns")
    )
    done = np.where(replied >= 0, replied, end)
    taken = np.where(received >= 0, received, done)
    # Until it is taken, the call waits for any thread of the process; which one will take it shows only later.
    queued = np.where(server >= 0, _INFERRED, _UNTOLD)
    served = received >= 0
    waits = [
        _source(_BINDER, tid, start, taken, server, queued, _CALLED, start, rows),
        _source(_BINDER, tid[served], taken[served], done[served], server[served], _TOLD, _CALLED, start[served], rows[served]),
    ]  # fmt: skip
    yield from (asleep(each) for each in waits)
    yield _source(_BINDER, server[served], taken[served], done[served], MASKED, _TOLD, _CALLED, taken[served])
