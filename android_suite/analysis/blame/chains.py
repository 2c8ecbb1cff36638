"""Follows each wait of a UI or render thread from thread to thread to the one at the end of the chain."""

from __future__ import annotations

import numpy as np
import pandas as pd

from android_suite.analysis.blame.edges import Edges
from android_suite.analysis.blame.scan import Rows, follow, prio_at, spend
from android_suite.analysis.jit import I64, Array, frozen
from android_suite.analysis.locks.standoffs import Standoffs
from android_suite.analysis.sched import Timeline
from android_suite.tables.blame import BLAME, BLAME_LINKS, LINKS
from android_suite.tables.derived import (
    ROLES,
)
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace

_MMAP, _VMA, _MONITOR, _ART, _FUTEX, _BINDER = (
    LINKS.index(name) for name in ("mmap_lock", "vma_lock", "monitor", "art_lock", "futex", "binder")
)
_ROLES = (ROLES.index("ui"), ROLES.index("render"))


def measure_blame(
    trace: Trace, timeline: Timeline, edges: Edges, threads: pd.DataFrame, standoffs: Standoffs, others: pd.DataFrame,
    monitors: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Finds who is at the end of every wait of a UI or render thread.

    Args:
        trace: for the operations.
        timeline: of all threads.
        edges: who stands behind whom.
        threads: frame of THREAD_ROLES.
        standoffs: for the operations of holders of mmap_lock and of readers of VMAs.
        others: frame of OTHER_WAITS, for the names of locks.
        monitors: frame of MONITOR_WAITS, for the owners' methods.

    Returns:
        Frames of BLAME (by waiter and time) and BLAME_LINKS.
    """
    asked = threads.loc[threads["role"].isin(_ROLES), "tid"].to_numpy()
    roots = np.flatnonzero(np.isin(edges.tid, asked))
    if not len(roots):
        return make_frame(BLAME), make_frame(BLAME_LINKS)
    number = timeline.index.number
    holder = number(edges.holder).astype(np.int32)
    thread, begin, until = (frozen(each) for each in (number(edges.tid).astype(np.int32), edges.start_ns, edges.end_ns))
    found, path = follow(frozen(edges.starts), thread, begin, until, frozen(holder), frozen(roots))
    order = np.lexsort((found[:, 1], edges.tid[roots[found[:, 0]]]))
    found, path = found[order], path[order]
    root, start, end, links = (found[:, column] for column in range(4))
    last = path[np.arange(len(path)), links - 1]
    rows = Rows(timeline.starts, timeline.start_ns, timeline.end_ns, timeline.state, timeline.prio)
    waiter = edges.tid[roots[root]]
    w, e = (frozen(number(t).astype(np.int32)) for t in (waiter, edges.holder[last]))
    spent = spend(rows, w, e, frozen(start), frozen(end))
    inside = path >= 0
    evidence = np.where(inside, edges.evidence[path], 0).max(axis=1)
    blame = make_frame(
        BLAME,
        {
            "start_ns": start, "end_ns": end, "waiter_tid": waiter, "waiter_prio": prio_at(rows, w, frozen(start)),
            "kind": edges.kind[roots[root]], "links": links.astype(np.int32), "end_tid": edges.holder[last],
            "end_prio": prio_at(rows, e, frozen(start)), "evidence": evidence.astype(np.int8),
            "running_ns": spent[:, 0], "runnable_ns": spent[:, 1], "blocked_ns": spent[:, 2], "inverted_ns": spent[:, 3],
            "unjudged_ns": end - start - spent[:, 4], "cut": found[:, 4] > 0,
        },
    )  # fmt: skip
    row, position = np.nonzero(inside)
    edge = path[row, position]
    names = _name(trace, edges, np.unique(edge), standoffs, others, monitors)
    behind = edges.holder[edge]
    return blame, make_frame(
        BLAME_LINKS,
        {
            "blame": row, "position": position.astype(np.int32), "kind": edges.kind[edge], "name": names[edge],
            "tid": edges.tid[edge], "holder_tid": behind,
            "holder_prio": prio_at(rows, frozen(number(behind).astype(np.int32)), frozen(start[row])),
            "evidence": edges.evidence[edge],
        },
    )  # fmt: skip


def _name(
    trace: Trace, edges: Edges, used: I64, standoffs: Standoffs, others: pd.DataFrame, monitors: pd.DataFrame
) -> Array:
    """What is known of the lock of each edge in ``used``: by edge, empty for the others."""
    names = np.full(len(edges.tid), "", object)
    kind, row = edges.kind[used], edges.row[used]
    known = row >= 0
    for of, offset in ((_MMAP, 0), (_VMA, standoffs.n_holds)):
        here = used[(kind == of) & known]
        names[here] = standoffs.name_operations(trace, edges.row[here] + offset) if len(here) else ""
    here = used[((kind == _MONITOR) | (kind == _ART)) & known]
    names[here] = monitors["lock"].to_numpy(dtype=object)[edges.row[here]]
    here = used[~np.isin(kind, (_MMAP, _VMA, _MONITOR, _ART, _FUTEX, _BINDER)) & known]
    names[here] = others["name"].to_numpy(dtype=object)[edges.row[here]]
    return names
