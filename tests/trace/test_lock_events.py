"""lock:contended_release and binder's events end in their tables from every format."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.tables.schema import check_frame
from android_suite.tables.trace import Trace
from android_suite.trace.catalogue import EVENTS
from android_suite.trace.ring.capture_folder import read_raw_capture
from android_suite.trace.text.reader import read_text
from tests.trace.captures import make_record, write_capture
from tests.trace.pages import PageWriter, make_layout

LOCK = 0xFFFF_8880_0000_0100


def told(trace: Trace) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    for event in EVENTS:
        check_frame(event.table, trace[event.table.name])
    releases = trace["contended_release"][["ts_ns", "cpu", "tid", "lock_addr"]].itertuples(index=False)
    columns = ["tid", "kind", "transaction", "to_tgid", "to_tid", "reply", "flags"]
    calls = trace["binder"][columns].itertuples(index=False)
    return [tuple(r) for r in releases], [tuple(r) for r in calls]


def test_the_kernels_text_and_both_forms_of_reports() -> None:
    lines = [
        "a-5 [000] 1.000001: contended_release: ffff888000000100",
        "a-5 [000] 1.000002: contended_release:    lock_addr=0xffff888000000100",
        "a-5 [000] 1.000003: contended_release: (null)",
        "a-5 [000] 1.000004: binder_transaction: transaction=7 dest_node=2 dest_proc=70 dest_thread=0 reply=0 flags=0x11",
        "b-71 [000] 1.000005: binder_transaction_received: transaction=7",
        "b-71 [000] 1.000006: binder_transaction:   debug_id=8 target_node=0 to_proc=5 to_thread=5 reply=1 code=0 flags=0",
        "b-71 [000] 1.000007: binder_transaction: dest_proc=70",
    ]
    trace = read_text("\n".join(lines).encode())
    releases, calls = told(trace)
    assert releases == [(1_000_001_000, 0, 5, LOCK), (1_000_002_000, 0, 5, LOCK)]
    assert calls == [(5, 0, 7, 70, 0, False, 17), (71, 1, 7, 0, 0, False, 0), (71, 0, 8, 5, 5, True, 0)]
    assert "contended_release" in " ".join(trace.source.notes)  # the lines that could not be read are told
    assert "binder_transaction" in " ".join(trace.source.notes)


@pytest.mark.parametrize("big_endian", [False, True])
def test_the_ring_buffer(tmp_path: Path, big_endian: bool) -> None:
    sent = {"debug_id": 7, "target_node": 2, "to_proc": 70, "to_thread": 0, "reply": 0, "code": 5, "flags": 0x10}
    answer = {"debug_id": 8, "target_node": 0, "to_proc": 5, "to_thread": 5, "reply": 1, "code": 0, "flags": 0}
    data = {
        0: [(100, "contended_release", 5, {"lock_addr": LOCK}), (110, "binder_transaction", 5, sent)],
        1: [(120, "binder_transaction_received", 71, {"debug_id": 7}), (130, "binder_transaction", 71, answer)],
    }
    layout, pages = make_layout(big_endian=big_endian, page_bytes=4096), {}
    for cpu, events in data.items():
        writer = PageWriter(layout)
        for ts, name, pid, values in events:
            writer.add(ts, make_record(name, pid, big_endian=big_endian, **values))
        pages[cpu] = writer.finish()
    write_capture(tmp_path, layout, pages)
    releases, calls = told(read_raw_capture(tmp_path))
    assert releases == [(100, 0, 5, LOCK)]
    assert calls == [(5, 0, 7, 70, 0, False, 16), (71, 1, 7, 0, 0, False, 0), (71, 0, 8, 5, 5, True, 0)]
