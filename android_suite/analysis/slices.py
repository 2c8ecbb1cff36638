"""Turns the text of trace_marker into slices and counters: B/E per thread, S/F per process and cookie, C."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as compute
from numpy.typing import NDArray

from android_suite.analysis.alive import end_by
from android_suite.analysis.jit import I64, Array, Bools, compiled, frozen
from android_suite.analysis.loss import Losses
from android_suite.tables.derived import COUNTERS, SLICES
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace

_MARKER = r"^(?P<kind>[BESFC])(?:\|(?P<tgid>\d{1,9}))?(?:\|(?P<rest>.*))?\n?$"
_KINDS = ("B", "E", "S", "F", "C")
_BEGIN, _END, _START, _FINISH, _COUNTER = range(len(_KINDS))
_DEEPEST = 512  # a stack deeper than that is a marker bug: what is above it is not followed
WHOLE, OPEN = 0, 2


@compiled
def _match(
    tidx: I64, ts: I64, is_begin: Bools, epoch: I64, until: I64, n_tids: int, deepest: int
) -> tuple[I64, Array, Array]:
    n = tidx.shape[0]
    stack, depth = np.empty((n_tids, deepest), np.int64), np.zeros(n_tids, np.int64)
    touched = np.zeros(n_tids, np.int64)  # epoch that the thread's stack was built in
    end, cut, level = np.full(n, -1, np.int64), np.zeros(n, np.int8), np.zeros(n, np.int32)
    for i in range(n):
        t = tidx[i]
        if touched[t] != epoch[i]:
            for d in range(min(depth[t], deepest)):
                end[stack[t, d]], cut[stack[t, d]] = until[stack[t, d]], 2
            depth[t], touched[t] = 0, epoch[i]
        if is_begin[i]:
            level[i] = depth[t]
            if depth[t] < deepest:
                stack[t, depth[t]] = i
            depth[t] += 1
        elif depth[t] > 0:
            depth[t] -= 1
            if depth[t] < deepest:
                end[stack[t, depth[t]]] = ts[i]
    for t in range(n_tids):
        for d in range(min(depth[t], deepest)):
            end[stack[t, d]], cut[stack[t, d]] = until[stack[t, d]], 2
    return end, cut, level


def measure_slices(trace: Trace, losses: Losses, ends: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Makes slices and counters from the markers.

    An end without a begin, which every trace has at its start, says nothing and is left out. A begin without an end is
    cut where its thread or the trace ends, or at the next loss of events. No slice goes from before a loss into it, or
    out of it, because its own end may be lost: what began during a loss and did not end in it has no length.

    Args:
        trace: its markers.
        losses: where the trace is blind.
        ends: when threads ended, of ``alive.find_ends``.

    Returns:
        Frames of SLICES (by start) and COUNTERS.
    """
    marker = trace["marker"]
    if not len(marker):
        return make_frame(SLICES), make_frame(COUNTERS)
    base = _split(marker)
    _add_epochs(base, losses, trace.source.end_ns)
    slices = pd.concat([_nested(base, ends), _asynchronous(base)])
    slices = slices.sort_values("start_ns", kind="stable")
    return make_frame(SLICES, {c: slices[c] for c in SLICES.dtypes}), _counters(base)


def _split(marker: pd.DataFrame) -> pd.DataFrame:
    """The parts of each marker's text: kind (index into _KINDS, -1 if it is none), tgid (-1 if absent) and the rest."""
    # Arrow's regular expressions are ten times as fast as a Python call per row; and every other marker is the same E.
    of, texts = pd.factorize(marker["text"])
    parts = compute.extract_regex(pa.array(texts, pa.large_string()), _MARKER)
    kind, tgid, rest = (compute.fill_null(compute.struct_field(parts, name), "") for name in ("kind", "tgid", "rest"))
    number = compute.if_else(compute.equal(tgid, ""), "-1", tgid).cast(pa.int32())
    kinds = compute.fill_null(compute.index_in(kind, pa.array(_KINDS, pa.large_string())), -1)
    return pd.DataFrame(
        {
            "tid": marker["tid"].to_numpy(), "ts_ns": marker["ts_ns"].to_numpy(),
            "kind": kinds.to_numpy(zero_copy_only=False)[of], "tgid": number.to_numpy(zero_copy_only=False)[of],
            "rest": pd.array(rest, dtype="str").take(of),
        },
        copy=False,
    )  # fmt: skip


def _add_epochs(base: pd.DataFrame, losses: Losses, end_ns: int) -> None:
    """Adds the epoch of each row, odd in a window of lost events, and until when what begins there is known to last."""
    ts, windows = base["ts_ns"].to_numpy(), losses.any_cpu
    # The ends of a window were seen: what lies on them is before it or after it.
    epoch = np.searchsorted(windows.from_ns, ts, "left") + np.searchsorted(windows.to_ns, ts, "right")
    until = np.append(windows.from_ns, end_ns)[epoch // 2]
    base["epoch"], base["until_ns"] = epoch, np.where(epoch % 2 == 0, until, ts)


def _nested(base: pd.DataFrame, thread_ends: pd.Series) -> pd.DataFrame:
    rows = base[base["kind"].isin((_BEGIN, _END))]
    until = end_by(thread_ends, rows["tid"].to_numpy(), rows["until_ns"].to_numpy())
    tidx, tids = pd.factorize(rows["tid"].to_numpy())
    begin = (rows["kind"] == _BEGIN).to_numpy()
    ends, cut, depth = _match(
        frozen(tidx),
        frozen(rows["ts_ns"].to_numpy()),
        frozen(begin),
        frozen(rows["epoch"].to_numpy()),
        frozen(np.maximum(until, rows["ts_ns"].to_numpy())),
        len(tids),
        _DEEPEST,
    )
    kept = begin & (ends >= 0)
    found = rows[kept]
    return pd.DataFrame(
        {
            "tid": found["tid"], "tgid": found["tgid"], "start_ns": found["ts_ns"], "end_ns": ends[kept],
            "depth": depth[kept], "name": found["rest"], "cut": cut[kept],
        },
    )  # fmt: skip


def _asynchronous(base: pd.DataFrame) -> pd.DataFrame:
    rows = base[base["kind"].isin((_START, _FINISH))].sort_values(["tgid", "rest"], kind="stable")

    def joined(step: int) -> pd.Series:
        """Whether the neighbour has the same name and cookie, and no loss begins or ends between the two."""
        same = [rows[column].shift(step) == rows[column] for column in ("tgid", "rest", "epoch")]
        return same[0] & same[1] & same[2]

    # A begin while the same name and cookie is open belongs to the open slice.
    rows = rows[~(joined(1) & (rows["kind"].shift() == _START) & (rows["kind"] == _START))]
    ends = joined(-1) & (rows["kind"].shift(-1) == _FINISH)
    begin = rows["kind"] == _START
    cut = np.where(ends, WHOLE, OPEN).astype(np.int8)
    end = np.where(ends, rows["ts_ns"].shift(-1, fill_value=0), rows["until_ns"])
    table = pd.DataFrame(
        {
            "tid": rows["tid"], "tgid": rows["tgid"], "start_ns": rows["ts_ns"], "end_ns": end.astype(np.int64),
            "depth": np.int32(-1), "name": rows["rest"].str.replace(r"\|[^|]*$", "", regex=True), "cut": cut,
        },
    )  # fmt: skip
    return table[begin.to_numpy(dtype=bool)]


def _counters(base: pd.DataFrame) -> pd.DataFrame:
    rows = base[base["kind"] == _COUNTER]
    parts = rows["rest"].str.extract(r"^(.*)\|(-?\d{1,18})$")
    good = parts[1].notna().to_numpy(dtype=bool)
    rows, parts = rows[good], parts[good]
    return make_frame(
        COUNTERS,
        {
            "tid": rows["tid"], "tgid": rows["tgid"], "ts_ns": rows["ts_ns"], "name": parts[0].astype("str"),
            "value": parts[1].astype("int64"),
        },
    )  # fmt: skip


def pick(slices: pd.DataFrame, pattern: str) -> NDArray[np.bool_]:
    """Which slices have a name that matches the regular expression from its start."""
    return slices["name"].str.match(pattern).to_numpy(dtype=bool) if len(slices) else np.zeros(0, np.bool_)
