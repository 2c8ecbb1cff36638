"""Names of system calls by number: which processes are 32-bit, and what stays unnamed."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from android_suite.model.syscall_table import TABLE
from android_suite.model.syscalls import CALL_NAMES, MACHINES, call_of_name, numbers_of
from android_suite.tables.events import MAX_TID, SYSCALL, THREADS
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace
from android_suite.trace.core.calls import name_calls
from android_suite.trace.text.reader import read_text
from scripts.syscall_table import TARGET, render_table

HIGH, LOW = 0x7200000000, 0xB4000000


def read(*calls: tuple[int, int, str]) -> tuple[Trace, dict[int, list[str]]]:
    """Calls as (process, number, arguments): the trace, and the names by process."""
    lines = [
        f"   x-{tid} ({tid:5}) [000] ..... 1.{i:06}: sys_enter: NR {nr} ({args})"
        for i, (tid, nr, args) in enumerate(calls)
    ]
    trace = read_text("\n".join(lines).encode())
    table = trace["syscall"]
    names: dict[int, list[str]] = {}
    for tid, call in zip(table["tid"], table["call"], strict=True):
        names.setdefault(int(tid), []).append(CALL_NAMES[call])
    return trace, names


def advise(base: int) -> str:
    return f"{base:x}, 10000, 4, 0, 0, 0"


def test_the_table_is_what_the_script_makes() -> None:
    assert TARGET.read_text() == render_table()


def test_known_numbers() -> None:
    known = {
        "arm64": {27: "inotify_add_watch", 232: "mincore", 233: "madvise", 220: "clone", 63: "read"},
        "x86_64": {27: "mincore", 28: "madvise", 0: "read", 10: "mprotect"},
        "arm": {219: "mincore", 220: "madvise", 192: "mmap", 91: "munmap", 983045: "set_tls"},
        "i386": {218: "mincore", 219: "madvise", 192: "mmap", 90: "old_mmap"},
        "riscv64": {232: "mincore", 233: "madvise", 258: "riscv_hwprobe"},
    }
    assert tuple(known) == MACHINES
    for machine, calls in known.items():
        assert {nr: CALL_NAMES[numbers_of(machine)[nr]] for nr in calls} == calls
    assert call_of_name("mmap2") == call_of_name("mmap_pgoff") == call_of_name("mmap") > 0
    assert call_of_name("no_such_call") == 0
    assert len({line.split()[0] for line in TABLE.splitlines()}) == len(TABLE.splitlines()) > 400


@pytest.mark.parametrize(("native", "narrow", "machine"), [(233, 220, "arm64"), (28, 219, "x86_64")])
def test_a_32_bit_process_beside_64_bit_ones(native: int, narrow: int, machine: str) -> None:
    trace, names = read((1000, native, advise(HIGH)), (2000, narrow, advise(LOW)), (2000, narrow, advise(LOW)))
    assert names == {1000: ["madvise"], 2000: ["madvise", "madvise"]}
    assert any(f"read as those of {machine}," in note for note in trace.source.notes)
    assert any("1 32-bit processes" in note for note in trace.source.notes)


@pytest.mark.parametrize(("number", "machine"), [(220, "arm"), (219, "i386")])
def test_a_32_bit_trace(number: int, machine: str) -> None:
    trace, names = read((1000, number, advise(LOW)))
    assert names == {1000: ["madvise"]}
    assert any(f"read as those of {machine}," in note for note in trace.source.notes)


def test_what_could_be_either_is_not_named() -> None:
    # 240 is futex on arm and rt_tgsigqueueinfo on arm64; 435 is clone3 on both.
    trace, names = read(
        (1000, 233, advise(HIGH)), (2000, 240, "b4000000, 1, 2, 0, 0, 0"), (2000, 435, "b4000000, 58, 0, 0, 0, 0")
    )
    assert names == {1000: ["madvise"], 2000: ["other", "clone3"]}
    assert any("cannot be determined" in note for note in trace.source.notes)


def test_a_64_bit_register_decides() -> None:
    _, names = read((1000, 233, advise(HIGH)), (2000, 220, "1200011, 0, 0, 0, ffff8000000, 0"))
    assert names[2000] == ["clone"]


def test_one_damaged_register_does_not_silently_rename_a_process() -> None:
    calls = [(1000, 233, advise(HIGH)), *[(2000, 220, advise(LOW))] * 3, (2000, 192, "0, 10000, 3, 22, 0, 0")]
    _, names = read(*calls)
    assert names[2000] == ["madvise"] * 3 + ["mmap"]
    trace, names = read(*calls, (2000, 3, "ffff800000000000, 0, 0, 0, 0, 0"))
    assert names == {1000: ["madvise"], 2000: ["other"] * 5}
    assert any("whether 1 processes are 64-bit or 32-bit cannot be determined" in note for note in trace.source.notes)


def test_thread_ids_that_no_kernel_gives_cost_nothing() -> None:
    ids = np.array([1000, 1001, -1, -(1 << 31), (1 << 31) - 1, MAX_TID + 1, 1000], np.int32)
    rows = {"tid": ids, "nr": np.array([233] * len(ids)), "ts_ns": np.arange(len(ids)), "seq": np.arange(len(ids))}
    rows |= {f"arg{i}": np.array([value] * len(ids)) for i, value in enumerate((HIGH, 1 << 16, 4))}
    syscalls = make_frame(SYSCALL, {c.name: rows.get(c.name, np.zeros(len(ids))) for c in SYSCALL.columns})
    threads = {
        "tid": [-5, 1000, 1001, (1 << 31) - 1],
        "tgid": [7, 1000, 1000, 1],
        "comm": [""] * 4,
        "process": [""] * 4,
    }
    tracemalloc.start()
    notes = name_calls(syscalls, make_frame(THREADS, threads), None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert notes == ["system call numbers were read as those of arm64, which the arguments fit"]
    assert {CALL_NAMES[call] for call in syscalls["call"]} == {"madvise"}
    assert peak < 256 << 20
