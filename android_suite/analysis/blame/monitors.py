"""Waits for Java monitors and for ART's own locks, from the slices in which ART names the owner.

``monitor contention with owner NAME (ID) at METHOD(FILE:LINE) waiters=N blocking from ...`` is written for a monitor. In some
versions ID is ART's number of the thread and not the kernel's. Inside it, and for locks of ART's own, there is
``Lock contention on LOCK (owner tid: TID)``, with the kernel's id; 0 where nobody has the lock any more, and the largest
number of 64 bits where readers have it (a ReaderWriterMutex knows only the owner that writes).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from android_suite.analysis.blame.named_owners import NamedOwners
from android_suite.analysis.jit import I32, I64, Array, Bools
from android_suite.analysis.loss import Losses
from android_suite.tables.blame import MONITOR_WAITS
from android_suite.tables.derived import (
    EXACT,
    LOWER_BOUND,
    UNKNOWN,
    WHO_EVIDENCE,
)
from android_suite.tables.schema import make_frame

_MONITOR = r"^monitor contention with owner (?P<owner>.*?) \((?P<id>\d{1,9})\)(?: at (?P<method>.*?) ?waiters=|)"
_LOCK = r"^Lock contention on (?P<lock>.*?) \(owner tid: (?P<id>\d{1,20})\)"
_NUMBER = r"^\d{1,9}$"  # of a thread
_OF_A_MONITOR = "a monitor lock"
_COMM_BYTES = 15
_TOLD, _INFERRED, _UNTOLD = (WHO_EVIDENCE.index(name) for name in ("exact", "inferred", "unknown"))


def measure_monitor_waits(
    slices: pd.DataFrame,
    contended: Bools,
    threads: pd.DataFrame,
    place: Callable[[Array, Array], Array],
    losses: Losses,
) -> tuple[pd.DataFrame, NamedOwners]:
    """Lists the waits and finds their owners.

    Args:
        slices: frame of SLICES.
        contended: which of them tell of contention.
        threads: frame of THREAD_ROLES.
        place: the ids in the tables, for the kernel's thread ids at times; they differ where an id was used again.
        losses: where the trace is blind; a slice there may have ended unseen.

    Returns:
        A frame of MONITOR_WAITS, by start, and whom ART names in the course of each.
    """
    rows = slices[contended & (slices["depth"].to_numpy() >= 0)].sort_values("start_ns", kind="stable")
    if not len(rows):
        return make_frame(MONITOR_WAITS), NamedOwners.none()
    outer, inner = rows["name"].str.extract(_MONITOR), rows["name"].str.extract(_LOCK)
    is_outer = outer["id"].notna().to_numpy()
    monitors, locks = rows[is_outer], rows[~is_outer & inner["id"].notna().to_numpy()]
    outer, inner = outer.loc[monitors.index], inner.loc[locks.index]
    inside = _find_outer(monitors, locks)
    named = inside >= 0
    ids = inner["id"].where(inner["id"].str.match(_NUMBER), "0").to_numpy().astype(np.int64)
    first_id = np.full(len(monitors), -1, np.int64)
    first_id[inside[named][::-1]] = ids[named][::-1]
    whose = _Owners(threads, place)
    names = outer["owner"].to_numpy(dtype=object)
    of_outer = whose.find(monitors, names, outer["id"].to_numpy().astype(np.int64), first_id)
    of_inner = whose.find(locks, np.full(len(locks), "", object), np.full(len(locks), -1, np.int64), ids)
    alone = np.flatnonzero(~named)
    lock = inner["lock"].to_numpy(dtype=object)[alone]
    of_monitor = lock == _OF_A_MONITOR
    kind, told = np.where(of_monitor, "monitor", "art_lock"), np.where(of_monitor, "", lock)
    found = pd.concat(
        [
            _frame(monitors, "monitor", outer["method"].fillna("").to_numpy(dtype=object), names, *of_outer),
            _frame(locks.iloc[alone], kind, told, np.full(len(alone), "", object), *(each[alone] for each in of_inner)),
        ],
        ignore_index=True,
    )
    order = np.argsort(found["start_ns"].to_numpy(), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    found = found.iloc[order].reset_index(drop=True)
    anew = np.flatnonzero(named)[_repeats(inside[named])]
    owners = _divide(found, rank[inside[anew]], locks["start_ns"].to_numpy()[anew], *(each[anew] for each in of_inner))
    unsure = losses.any_cpu.touch(found["start_ns"].to_numpy(), found["end_ns"].to_numpy())
    found.loc[unsure, ["holder_tid", "holder_evidence", "quality"]] = -1, _UNTOLD, UNKNOWN
    return make_frame(MONITOR_WAITS, {c: found[c] for c in MONITOR_WAITS.dtypes}), owners


def _repeats(values: I64) -> Bools:
    """Which values were there before."""
    first = np.zeros(len(values), bool)
    first[np.unique(values, return_index=True)[1]] = True
    return ~first


def _divide(waits: pd.DataFrame, of: I64, start: I64, holder: I32, evidence: Array) -> NamedOwners:
    """The waits, each cut where it names an owner anew (``of``: the wait of each such place)."""
    whole = np.arange(len(waits))
    row = np.concatenate([whole, of])
    begin = np.concatenate([waits["start_ns"].to_numpy(), start])
    who = np.concatenate([waits["holder_tid"].to_numpy(), holder])
    how = np.concatenate([waits["holder_evidence"].to_numpy(), evidence])
    order = np.lexsort((begin, row))
    row, begin = row[order], begin[order]
    end = waits["end_ns"].to_numpy()[row]
    same = row[1:] == row[:-1]
    end[:-1][same] = begin[1:][same]
    return NamedOwners(row, begin, end, who[order].astype(np.int32), how[order].astype(np.int8))


def _find_outer(monitors: pd.DataFrame, locks: pd.DataFrame) -> I64:
    """Position of the monitor's slice that is directly around each slice of a lock; -1 none."""
    if not len(monitors) or not len(locks):
        return np.full(len(locks), -1, np.int64)
    left = locks[["tid", "start_ns", "end_ns", "depth"]].reset_index(drop=True).reset_index()
    right = monitors[["tid", "start_ns", "end_ns", "depth"]].reset_index(drop=True)
    right = right.assign(outer=np.arange(len(right)), begin=right["start_ns"])
    left, right = (frame.sort_values("start_ns", kind="stable") for frame in (left, right))
    found = pd.merge_asof(left, right, on="start_ns", by="tid", suffixes=("", "_outer"))
    fits = (found["end_ns"] <= found["end_ns_outer"]) & (found["depth"] == found["depth_outer"] + 1)
    out = np.full(len(locks), -1, np.int64)
    out[found["index"].to_numpy()[fits]] = found["outer"].to_numpy()[fits].astype(np.int64)
    return out


class _Owners:
    """Finds threads of a process by id and by name."""

    def __init__(self, threads: pd.DataFrame, place: Callable[[Array, Array], Array]) -> None:
        self._place = place
        tgid, comm = threads["tgid"].tolist(), threads["comm"].tolist()
        self._process = dict(zip(threads["tid"].tolist(), tgid, strict=True))
        self._comm = dict(zip(threads["tid"].tolist(), comm, strict=True))
        self._of: dict[int, list[int]] = {}
        for tid, process in self._process.items():
            self._of.setdefault(process, []).append(tid)

    def find(self, rows: pd.DataFrame, names: Array, ids: I64, kernel_ids: I64) -> tuple[I32, Array]:
        """The owner of each wait: by the kernel's id, by an id and name that agree, or by a name that only one has."""
        waiter, start = rows["tid"].to_numpy(), rows["start_ns"].to_numpy()
        asked = pd.DataFrame({"waiter": waiter, "name": names, "id": self._there(ids, start)})
        asked["tid"] = self._there(kernel_ids, start)
        of, different = pd.factorize(pd.MultiIndex.from_frame(asked))
        answers = [self._one(*each) for each in different]
        holder = np.array([tid for tid, _ in answers], np.int32)[of] if answers else np.empty(0, np.int32)
        evidence = np.array([how for _, how in answers], np.int8)[of] if answers else np.empty(0, np.int8)
        return holder, evidence

    def _there(self, ids: I64, when: I64) -> Array:
        known = ids > 0
        return np.where(known, self._place(np.where(known, ids, 0).astype(np.int32), when), -1)

    def _one(self, waiter: int, name: str, number: int, tid: int) -> tuple[int, int]:
        process = self._process.get(waiter, -1)

        def is_near(other: int) -> bool:
            return self._process.get(other, process) in (process, -1) and other != waiter

        if tid > 0 and is_near(tid):
            return tid, _TOLD
        if number > 0 and number in self._comm and is_near(number) and _is_called(self._comm[number], name):
            return number, _TOLD
        same = [t for t in self._of.get(process, ()) if t != waiter and _is_called(self._comm[t], name)]
        return (same[0], _INFERRED) if len(same) == 1 and name and process > 0 else (-1, _UNTOLD)


def _is_called(comm: str, name: str) -> bool:
    """Whether the kernel may know a thread of that name by this comm: ART keeps the first or the last 15 bytes."""
    whole = name.encode()
    return bool(comm) and comm.encode() in (whole, whole[:_COMM_BYTES], whole[-_COMM_BYTES:])


def _frame(
    rows: pd.DataFrame, kind: Array | str, lock: Array, owner: Array, holder: I32, evidence: Array
) -> pd.DataFrame:
    quality = np.where(rows["cut"].to_numpy() == 0, EXACT, LOWER_BOUND)
    return pd.DataFrame(
        {
            **{c: rows[c].to_numpy() for c in ("tid", "start_ns", "end_ns")}, "kind": kind, "lock": lock, "owner": owner,
            "holder_tid": holder, "holder_evidence": evidence, "quality": quality,
        }
    )  # fmt: skip
