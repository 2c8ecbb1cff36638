"""The witnesses' own readers: a comparison is worth what its reading is."""

from __future__ import annotations

import pandas as pd
import pytest

from android_suite.device.files import Write
from tests.witness.comparing import Finding, disagreements, pair_contention
from tests.witness.kernel_counts import INSTANCE, PROBES, find_madvise_code, parse_histograms, plan_counters
from tests.witness.perf_reports import parse_events, parse_lock_contention, parse_sched_latency

HIST = """# event histogram
#
# trigger info: hist:keys=pid,mm.hex,write:vals=hitcount,ns:sort=hitcount:size=8192 [active]
#

{ pid:       4672, mm: fff000000500b180, write:          1 } hitcount:          1  ns:      11157
{ pid:      13511, mm: fff000000415c780, write:          0 } hitcount:         51  ns:   99893798

Totals:
    Hits: 52
    Entries: 2
    Dropped: 0


# event histogram
#
# trigger info: hist:keys=common_pid,__probe_ret_ip.sym:vals=hitcount:sort=hitcount:size=2048 if found!=0 [active]
#

{ common_pid:        166, __probe_ret_ip: [ffff9121ec061434] madvise_do_behavior                           } hitcount:          1

Totals:
    Hits: 1
"""
KALLSYMS = """ffff800080051410 t madvise_dontneed_free_valid_vma
ffff8000800519b0 t madvise_lock
ffff800080052000 t unrelated
ffff800080055308 T do_madvise
ffff800080055488 T __arm64_sys_madvise
ffff8000800554d0 T __arm64_sys_process_madvise
ffff800080098ee8 T madvise_free_huge_pmd
ffff8000800a36f8 T madvise_collapse
"""


def test_histograms() -> None:
    first, second = parse_histograms(HIST)
    assert [(b.keys["pid"], b.keys["mm"], b.hits, b.sums["ns"]) for b in first] == [
        ("4672", "fff000000500b180", 1, 11157),
        ("13511", "fff000000415c780", 51, 99893798),
    ]
    assert second[0].keys["__probe_ret_ip"] == "[ffff9121ec061434] madvise_do_behavior"
    assert second[0].sums == {}
    with pytest.raises(ValueError, match="no row"):
        parse_histograms("# event histogram\n{ pid: 1 } hitcount: many\n")


def test_code_of_madvise_leaves_other_files_out() -> None:
    assert find_madvise_code(KALLSYMS) == (0xFFFF800080051410, 0xFFFF8000800554D0)


def test_only_the_witness_is_written_to() -> None:
    writes = plan_counters(KALLSYMS)
    assert [w.value for w in writes if w.path.endswith("kprobe_events")] == list(PROBES)
    assert all(w.append for w in writes if w.path.endswith(("trigger", "_events")))
    captured = [w for w in writes if w.path.endswith("trigger") and not w.path.startswith(INSTANCE)]
    assert captured
    assert not any("synthetic" in w.path for w in captured), "they would leave padding in the captured buffer"
    assert isinstance(writes[0], Write)


def test_perf_reports() -> None:
    text = "# output: contended, total wait, max wait, avg wait, pid, comm\n36, 387984488, 67807654, 10777346, 254, mapper\n"
    assert parse_lock_contention(text) == {254: (36, 387984488)}
    line = (
        "  HeapTaskDaemon:251    |      0.000 ms |       74 | avg:   6.486 ms | max: 106.002 ms | max start: 34.6 s\n"
    )
    assert parse_sched_latency("-----\n  Task | Runtime ms  |  Count   |\n" + line) == {251: 74}


def test_sleeps_of_perf_are_paired() -> None:
    events = parse_events(
        "    254    86.198925324:  lock:contention_begin: 0xfff000000349b228 (flags=WRITE)\n"
        "    250    86.241637549:  lock:contention_begin: 0xfff0000002f4fcc0 (flags=SPIN|MUTEX)\n"
        "     -1    86.241700000:  lock:contention_begin: 0xfff000007fae8240 (flags=SPIN)\n"  # of a thread that ends
        "    254    86.246988189:    lock:contention_end: 0xfff000000349b228 (ret=0)\n"
        "    250    86.287960970:    lock:contention_end: 0xfff0000002f4fcc0 (ret=0)\n"
        "    254    86.300000000:  lock:contention_begin: 0xfff000000349b228 (flags=READ)\n"
    )
    pairs = pair_contention(events)
    assert pairs[["tid", "start_ns", "end_ns"]].to_numpy().tolist() == [[254, 86_198925324, 86_246988189]]
    assert isinstance(pairs, pd.DataFrame)
    with pytest.raises(ValueError, match="no contention event"):
        parse_events("something else\n")


def test_a_difference_without_a_reason_is_told() -> None:
    found = [
        Finding(what="calls", suite=3, witness=4),
        Finding(what="ns", suite=3, witness=4, explained="late"),
        Finding(what="same", suite=3, witness=3),
    ]
    assert disagreements(found) == ["calls: the suite says 3, the witness 4"]
