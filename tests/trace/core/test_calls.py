"""Names of system calls by number: which processes are 32-bit, and what stays unnamed."""

from __future__ import annotations

import pytest

from android_suite.model.syscall_table import TABLE
from android_suite.model.syscalls import CALL_NAMES, MACHINES, call_of_name, numbers_of
from android_suite.tables.trace import Trace
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
    assert any(f"read as {machine}'s" in note for note in trace.source.notes)
    assert any("1 32-bit processes" in note for note in trace.source.notes)


@pytest.mark.parametrize(("number", "machine"), [(220, "arm"), (219, "i386")])
def test_a_32_bit_trace(number: int, machine: str) -> None:
    trace, names = read((1000, number, advise(LOW)))
    assert names == {1000: ["madvise"]}
    assert any(f"read as {machine}'s" in note for note in trace.source.notes)


def test_what_could_be_either_is_not_named() -> None:
    # 240 is futex on arm and rt_tgsigqueueinfo on arm64; 435 is clone3 on both.
    trace, names = read(
        (1000, 233, advise(HIGH)), (2000, 240, "b4000000, 1, 2, 0, 0, 0"), (2000, 435, "b4000000, 58, 0, 0, 0, 0")
    )
    assert names == {1000: ["madvise"], 2000: ["other", "clone3"]}
    assert any("cannot be told" in note for note in trace.source.notes)


def test_a_64_bit_register_decides() -> None:
    _, names = read((1000, 233, advise(HIGH)), (2000, 220, "1200011, 0, 0, 0, ffff8000000, 0"))
    assert names[2000] == ["clone"]
