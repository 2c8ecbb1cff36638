"""Paths and reasons of madvise calls."""

from __future__ import annotations

import pandas as pd
import pytest

from android_suite.analysis.map_snapshots import MapSnapshot
from android_suite.analysis.pipeline import Evidence, analyze_trace
from android_suite.tables.derived import PATHS, REASONS
from android_suite.tables.evidence import VMAS
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace
from tests.analysis.build import APP, GC, MM, OTHER_MM, TraceBuilder

HEAP = 0x7000_0000
DONTNEED, FREE, COLD, HUGEPAGE = 4, 8, 20, 14


def maps(*vmas: tuple[int, int, str]) -> pd.DataFrame:
    start, end, flags = (list(column) for column in zip(*vmas, strict=True))
    return make_frame(
        VMAS, {"start": start, "end": end, "perms": ["rw-p"] * len(vmas), "name": [""] * len(vmas), "vm_flags": flags}
    )


ONE_VMA = maps((HEAP, HEAP + 0x100000, "rd wr mr mw me ac"), (HEAP + 0x100000, HEAP + 0x200000, "rd wr um"))


class Calls(TraceBuilder):
    """Each call takes 100 ns, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000

    def call(
        self,
        *,
        address: int = HEAP,
        size: int = 0x1000,
        advice: int = DONTNEED,
        lock: int | None = None,
        tid: int = GC,
        ret: int = 0,
    ) -> Calls:
        self.enter(self.now, tid, "madvise", address, size, advice)
        if lock is not None:
            self.hold(self.now + 20, self.now + 60, tid, lock)
        self.leave(self.now + 90, tid, "madvise", ret)
        self.now += 100
        return self

    def owns(self) -> Calls:
        """Shows which mm is the process's own."""
        for tid in (APP, GC):
            self.hold(self.now, self.now + 10, tid, MM)
            self.now += 50
        return self


def classify(trace: Trace, *snapshots: pd.DataFrame) -> list[tuple[str, str]]:
    table = analyze_trace(trace, evidence=Evidence(maps=[MapSnapshot(tgid=APP, vmas=vmas) for vmas in snapshots]))[
        "madvise"
    ]
    return [(PATHS[p], REASONS[r]) for p, r in zip(table["path"], table["reason"], strict=True)]


def test_a_lock_on_the_own_mm_is_the_mmap_lock_path() -> None:
    assert classify(Calls().owns().call(lock=MM).call().trace()) == [("mmap_lock", "unknown"), ("per_vma", "")]


def test_a_fault_inside_the_call_is_not_the_calls_own_lock() -> None:
    b = Calls().owns().enter(5000, GC, "madvise", HEAP, 4096, DONTNEED)
    b.lock(5010, GC, "acquired").lock(5020, GC, "released")  # a trylock, as page faults do
    b.leave(5090, GC, "madvise").enter(6000, GC, "madvise", HEAP, 4096, DONTNEED)
    b.lock(6010, GC, "acquired", success=False).hold(6030, 6040, GC)  # it fails, and the fault then waits
    assert [p for p, _ in classify(b.leave(6090, GC, "madvise").trace())] == ["per_vma", "per_vma"]


def test_the_reasons_that_maps_tell() -> None:
    b = Calls().owns().call()
    b.call(address=HEAP + 0xFF000, size=0x2000, lock=MM).call(address=HEAP + 0x150000, lock=MM).call(lock=MM)
    assert classify(b.trace(), ONE_VMA)[1:] == [
        ("mmap_lock", "spans_vmas"),
        ("mmap_lock", "userfaultfd"),
        ("mmap_lock", "unknown"),
    ]


def test_snapshots_that_disagree_tell_nothing() -> None:
    split = maps((HEAP, HEAP + 0x1000, "rd wr"), (HEAP + 0x1000, HEAP + 0x100000, "rd"))
    b = Calls().owns().call().call(size=0x2000, lock=MM)
    assert classify(b.trace(), split)[1] == ("mmap_lock", "spans_vmas")
    assert classify(b.trace(), split, ONE_VMA)[1] == ("mmap_lock", "unknown")
    later = maps((0x9000_0000, 0x9000_1000, "rd"))  # does not map it: no word
    assert classify(b.trace(), split, later)[1] == ("mmap_lock", "spans_vmas")


def test_maps_without_flags_do_not_make_a_call_clean() -> None:
    bare = maps((HEAP, HEAP + 0x100000, ""))
    assert classify(Calls().owns().call(lock=MM).trace(), bare) == [("mmap_lock", "unknown")]
    assert classify(Calls().owns().call(lock=MM).trace(), ONE_VMA) == [("mmap_lock", "unpatched")]


def test_a_writer_in_the_way() -> None:
    b = Calls().owns().call()
    b.hold(4990, 5030, APP, MM, write=True).enter(5000, GC, "madvise", HEAP, 4096, DONTNEED)
    b.lock(5005, GC, "start").lock(5031, GC, "acquired").lock(5040, GC, "released").leave(5090, GC, "madvise")
    assert classify(b.trace(), ONE_VMA)[1] == ("mmap_lock", "vma_lock_busy")


def test_tagged_addresses_are_the_same_addresses() -> None:
    tagged = HEAP | (0xB4 << 56)
    b = Calls().owns().call().call(address=tagged + 0xFF000, size=0x2000, lock=MM)
    assert classify(b.trace(), ONE_VMA)[1] == ("mmap_lock", "spans_vmas")
    table = analyze_trace(b.trace())["madvise"]
    assert table["address"].tolist()[1] == HEAP + 0xFF000


def test_advices_that_no_kernel_does_without_mmap_lock() -> None:
    b = Calls().owns().call().call(advice=HUGEPAGE, lock=MM).call(advice=COLD, lock=MM)
    assert [r for _, r in classify(b.trace())] == ["", "advice", "advice"]


def test_free_takes_the_vma_lock_only_in_later_kernels() -> None:
    early = Calls().owns().call().call(advice=FREE, lock=MM)
    assert classify(early.trace(), ONE_VMA)[1] == ("mmap_lock", "advice")
    assert classify(early.trace())[1] == ("mmap_lock", "unknown")
    later = Calls().owns().call().call(advice=FREE).call(advice=FREE, lock=MM)
    assert classify(later.trace(), ONE_VMA)[2] == ("mmap_lock", "unknown")


def test_many_fallbacks_without_maps_are_an_unpatched_kernel_few_are_not() -> None:
    few, many = Calls().owns(), Calls().owns()
    for _ in range(5):
        few.call(lock=MM)
    for _ in range(100):
        many.call(lock=MM)
    assert set(classify(few.trace())) == {("mmap_lock", "unknown")}
    assert set(classify(many.trace())) == {("mmap_lock", "unpatched")}


def test_process_madvise_on_another_mm_is_remote() -> None:
    b = Calls().owns().call()
    b.thread(200, 200, "helper", "helper")
    b.enter(3900, APP, "mmap").hold(3901, 3902, APP, MM).leave(3903, APP, "mmap")
    b.enter(4000, 200, "munmap").hold(4001, 4002, 200, OTHER_MM).leave(4003, 200, "munmap")
    b.enter(5000, 200, "process_madvise", 5, 0x1234, 1, COLD).hold(5020, 5030, 200, MM).leave(
        5090, 200, "process_madvise", 8192
    )
    b.enter(6000, 200, "process_madvise", 5, 0x1234, 1, COLD).hold(6020, 6030, 200, OTHER_MM).leave(
        6090, 200, "process_madvise", 4096
    )
    b.enter(7000, 200, "process_madvise", 5, 0x1234, 1, COLD).leave(7090, 200, "process_madvise", -3)
    assert classify(b.trace())[1:] == [("mmap_lock", "remote"), ("mmap_lock", "advice"), ("unknown", "")]
    assert analyze_trace(b.trace())["madvise"]["bytes"].tolist()[1:] == [8192, 4096, 0]


def test_whose_mm_it_is_may_be_a_guess_and_then_so_is_the_reason() -> None:
    b = Calls().owns().call().thread(200, 200, "helper", "helper")
    for at in (4000, 5000):  # all that is seen of the helper is what it does to another process
        b.enter(at, 200, "process_madvise", 5, 0x1234, 1, COLD).hold(at + 20, at + 30, 200, OTHER_MM)
        b.leave(at + 90, 200, "process_madvise", 8192)
    assert classify(b.trace())[1:] == [("mmap_lock", "unknown")] * 2
    b.thread(300, 300, "other", "other").enter(6000, 300, "munmap").hold(6001, 6002, 300, OTHER_MM)
    b.leave(6003, 300, "munmap")
    assert classify(b.trace())[1:] == [("mmap_lock", "remote")] * 2


def test_what_cannot_be_known_is_unknown() -> None:
    cut = Calls().owns().leave(900, GC, "madvise").call().enter(9000, GC, "madvise", HEAP, 4096, DONTNEED)
    assert [p for p, _ in classify(cut.trace())] == ["unknown", "per_vma", "unknown"]
    lossy = Calls().owns().call().call()
    lossy.lose(1, lossy.now - 80, lossy.now - 50)
    assert [p for p, _ in classify(lossy.trace())] == ["per_vma", "unknown"]
    refused = Calls().owns().call(ret=-22).call(size=0)
    assert [p for p, _ in classify(refused.trace())] == ["unknown", "unknown"]


@pytest.mark.parametrize("enabled", [None, ["sched:sched_switch"]])
def test_without_lock_events_nothing_is_per_vma(enabled: list[str] | None) -> None:
    assert classify(Calls().call().trace(enabled=enabled)) == [("unknown", "")]
    assert classify(Calls().call().trace(enabled=["mmap_lock:mmap_lock_start_locking"])) == [("per_vma", "")]
