"""Perfetto's questions on sched events, markers and events of any kind, answered by the suite's tables."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from android_suite.tables import derived
from tests.trace.gold import Pair


def check_blocked(pair: Pair) -> None:
    """Which threads went to sleep uninterruptibly, when, and whether for I/O: states joined to the reasons after them."""
    states, reasons = pair.analysis["thread_states"], pair.trace["blocked_reason"]
    asleep = states[states["state"] == derived.DISK].sort_values("start_ns")
    found = pd.merge_asof(
        asleep,
        reasons.assign(tid=reasons["target_tid"]),
        left_on="start_ns",
        right_on="ts_ns",
        by="tid",
        direction="forward",
    )
    third = "caller" if "func" in pair.expected else "io_wait"
    wanted = [(ts, tid, (value or "") if third == "caller" else bool(value)) for ts, tid, value in pair.rows]
    # Text tells the caller's offset as well, Perfetto's question does not ask for it.
    assert sorted(found[["start_ns", "tid", third]].itertuples(index=False, name=None)) == sorted(wanted)


def check_active_cpus(pair: Pair) -> None:
    states = pair.analysis["thread_states"]
    running = states[states["state"] == derived.RUNNING]
    for ts, count in pair.rows:
        assert ((running["start_ns"] <= ts) & (running["end_ns"] > ts)).sum() == count
    assert sorted({ts for ts, _ in pair.rows}) == sorted(pair.trace["sched_switch"]["ts_ns"].unique())


def check_runnable(pair: Pair) -> None:
    states = pair.analysis["thread_states"]
    ready = states[states["state"] == derived.RUNNABLE]
    for ts, count in pair.rows:
        assert ((ready["start_ns"] <= ts) & (ready["end_ns"] > ts)).sum() == count


def check_slices(pair: Pair) -> None:
    table = pair.slices("")
    assert list(zip(table["start_ns"], table["dur"], table["name"], strict=True)) == pair.rows


def check_async_slice(pair: Pair) -> None:
    table = pair.slices("")
    columns = (table["start_ns"], table["dur"], table["tgid"], table["name"], table["name"])
    assert list(zip(*columns, strict=True)) == pair.rows


def check_cropped_slices(pair: Pair) -> None:
    """Slices of a CPU's time of which another CPU's events were overwritten are not whole."""
    marker, whole = pair.trace["marker"], pair.slices("")
    assert pair.trace["lost"].values.tolist() == [[0, 1500, 2000, -1]]
    assert marker[["ts_ns", "text"]].values.tolist() == [[ts, text] for ts, text, _, _ in pair.rows]
    wanted = [(ts, dur, name) for ts, _, dur, name in pair.rows if dur is not None]
    assert list(zip(whole["start_ns"], whole["dur"], whole["name"], strict=True)) == wanted


def check_frequency_limits(pair: Pair) -> None:
    limits = pair.decoded("cpu_frequency_limits").to_dict("records")
    found = [
        (
            row["ts_ns"],
            float(row[edge] if row[edge] == row[edge] else row[f"{edge}_freq"]),
            f"Cpu {row['cpu_id']} {edge.title()}",
        )
        for row in limits  # two layouts in one file: what one has, the other has not
        for edge in ("max", "min")
    ]
    assert found == pair.rows


def check_print_unsigned(pair: Pair) -> None:
    found = []
    for name, fields in (
        ("kfree", ("call_site", "ptr")),
        ("kmalloc", ("bytes_alloc", "bytes_req", "call_site", "ptr")),
    ):
        rows = pair.decoded(name).to_dict("records")
        found += [(row["ts_ns"], row["tid"], name, {field: int(row[field]) for field in fields}) for row in rows]
    wanted = []
    for (line,) in pair.rows:
        name, told = re.findall(r"0\.000000: (\w+): (.*)", line)[0]
        values = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", told)}
        wanted.append((int(re.findall(r"-(\d+)", line)[0]), name, values))
    assert [found_one[1:] for found_one in sorted(found, key=lambda one: one[0])] == wanted


def check_binder(pair: Pair) -> None:
    threads = pair.trace["threads"].set_index("tid")
    sent = pair.decoded("binder_transaction")
    who = sent["tid"]
    kind = np.where(sent["reply"] == 1, "binder reply", "binder transaction")
    found = pd.Series(1, index=[threads["process"][who], threads["tgid"][who], kind]).groupby(level=[0, 1, 2]).sum()
    wanted = {
        (one["process_name"][0], one["pid"][0], one["slice_name"][0]): one["count"][0]
        for one in pair.message["android_binder"][0]["process_breakdown"]
    }
    assert found.to_dict() == wanted


def check_gpu_track(pair: Pair) -> None:
    run, done = pair.decoded("drm_sched_job_run"), pair.decoded("drm_sched_job_done")
    keys = ["fence_context", "fence_seqno"]
    both = run.merge(done, on=keys, suffixes=("", "_done"))
    for name, ts, dur, _, key, value, _ in pair.rows:
        row = both[both["ts_ns"] == ts].iloc[0]
        assert (f"sched-{row['name']}", row["ts_ns_done"] - row["ts_ns"]) == (name, dur)
        assert int(row[key.replace(" ", "_")]) == value


def check_thread_track(pair: Pair) -> None:
    jobs = pair.decoded("drm_sched_job")
    asked = {(ts, key): (number if number is not None else text) for _, ts, _, _, key, number, text in pair.rows}
    told = {}
    for row in jobs.to_dict("records"):
        told[row["ts_ns"], "gpu sched ring"], told[row["ts_ns"], "gpu sched job"] = row["name"], int(row["id"])
    assert told == asked
    # A utid is a thread: each stands for one tid.
    tid = jobs.set_index("ts_ns")["tid"]
    assert (
        len({(utid, tid[ts]) for utid, ts, *_ in pair.rows}) == len({utid for utid, *_ in pair.rows}) == tid.nunique()
    )


def check_nothing_lost(pair: Pair) -> None:
    """Diagnostics of the trace: none."""
    assert pair.rows == [(len(pair.trace["lost"]) + len(pair.trace.source.notes),)]
