"""What a scenario needs decides what is enabled."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from android_suite.capture.needs import MM_SYSCALLS, NEEDS, choose_events, find_needs, list_syscall_numbers
from android_suite.errors import Unsupported, UsageError
from android_suite.workload.registry import WORKLOADS
from android_suite.workload.workload import complete_parameters

SCHED = {"sched:sched_switch", "sched:sched_waking"}
LOCKS = {"mmap_lock:mmap_lock_start_locking", "mmap_lock:mmap_lock_acquire_returned", "mmap_lock:mmap_lock_released"}
CALLS = {f"syscalls:sys_{edge}_{call}" for call in MM_SYSCALLS for edge in ("enter", "exit")}
GIVEN = {"command": {"run": "true"}}  # what a scenario does not go without
RAW = {"raw_syscalls:sys_enter", "raw_syscalls:sys_exit"}


def test_a_required_event_that_is_missing_is_named() -> None:
    with pytest.raises(
        Unsupported, match=r"no event mmap_lock:mmap_lock_start_locking, which MMAP_LOCK needs; .*5\.11"
    ):
        choose_events(find_needs(["SCHED", "MMAP_LOCK"]), SCHED, "aarch64")


def test_optional_events_are_noted() -> None:
    choice = choose_events(find_needs(["SCHED", "CONTENTION"]), SCHED | {"lock:contention_begin"}, "aarch64")
    assert set(choice.events) == SCHED | {"lock:contention_begin"}
    assert "lock:contention_end" in choice.missing


def test_syscalls_by_name_where_the_kernel_has_them() -> None:
    choice = choose_events(find_needs(["MADVISE"]), CALLS | RAW, "aarch64")
    assert set(choice.events) == CALLS
    assert choice.filters == {}


@pytest.mark.parametrize(
    ("machine", "numbers"),
    [
        # the second line: the calls of 32-bit apps (madvise, process_madvise, mmap2, munmap, mprotect, mremap, brk, prctl)
        ("aarch64", {233, 440, 222, 215, 226, 216, 214, 167} | {220, 440, 192, 91, 125, 163, 45, 172}),
        ("x86_64", {28, 440, 9, 11, 10, 25, 12, 157} | {219, 440, 192, 91, 125, 163, 45, 172}),
        ("armv7l", {220, 440, 192, 91, 125, 163, 45, 172}),
        ("riscv64", {233, 440, 222, 215, 226, 216, 214, 167}),
    ],
)
def test_syscalls_by_number_elsewhere(machine: str, numbers: set[int]) -> None:
    choice = choose_events(find_needs(["MADVISE"]), RAW, machine)
    assert set(choice.events) == RAW
    assert numbers <= set(list_syscall_numbers(machine))
    assert len(list_syscall_numbers(machine)) <= len(numbers) + 2, "i386 has an older mmap beside mmap2"
    for event in RAW:
        assert {int(part.removeprefix("id == ")) for part in choice.filters[event].split(" || ")} >= numbers


def test_neither_or_an_unknown_machine() -> None:
    with pytest.raises(Unsupported, match="traces no system calls"):
        choose_events(find_needs(["MADVISE"]), SCHED, "aarch64")
    with pytest.raises(Unsupported, match="sparc64"):
        choose_events(find_needs(["MADVISE"]), RAW, "sparc64")


def test_the_lock_of_a_vma_is_probed_only_where_it_is_the_question() -> None:
    def needs(name: str, **given: object) -> tuple[str, ...]:
        workload = next(w for w in WORKLOADS if w.name == name)
        return workload.needs({**workload.defaults, **given})  # type: ignore[dict-item]

    assert "VMA_LOCK" in needs("vma_stress")
    assert "VMA_LOCK" not in needs("vma_stress", probe_vma_lock=False)
    for name in ("app_launch", "gc_stress", "command"):
        assert "VMA_LOCK" not in needs(name)
        assert "VMA_LOCK" in needs(name, probe_vma_lock=True)
    choice = choose_events(find_needs(["SCHED", "VMA_LOCK"]), SCHED, "aarch64")
    assert set(choice.events) == SCHED | {"kprobes:vma_start_write", "kprobes:vma_start_write_return"}
    assert not {event for event in choice.missing if "kprobes" in event}, "which ones a kernel lacks is not known yet"


def test_all_locks_are_recorded_only_where_they_are_asked_for() -> None:
    for workload in WORKLOADS:
        if "locks" not in workload.defaults:  # it records no event at all
            assert not workload.needs(workload.defaults), workload.name
            continue
        usual = workload.needs(workload.defaults)
        every = workload.needs(complete_parameters(workload, {**GIVEN.get(workload.name, {}), "locks": "all"}))
        assert every == (*usual, "RELEASES", "BINDER", "FUTEX")
        assert not {"RELEASES", "BINDER", "FUTEX"} & set(usual)
        with pytest.raises(UsageError, match="locks is 'some'; choose mm or all"):
            complete_parameters(workload, {**GIVEN.get(workload.name, {}), "locks": "some"})


FUTEX = {"syscalls:sys_enter_futex", "syscalls:sys_exit_futex"}
BINDER = {"binder:binder_transaction", "binder:binder_transaction_received"}


def test_what_all_locks_enable() -> None:
    names = ["SCHED", "MADVISE", "RELEASES", "BINDER", "FUTEX"]
    everything = SCHED | CALLS | RAW | FUTEX | BINDER | {"lock:contended_release"}
    choice = choose_events(find_needs(names), everything, "aarch64")
    assert set(choice.events) == everything - RAW
    without = choose_events(find_needs(names[:2]), everything, "aarch64")
    assert set(without.events) == SCHED | CALLS
    # A kernel without them: what is missing is told, and the rest is recorded.
    poor = choose_events(find_needs(names), SCHED | CALLS, "aarch64")
    assert set(poor.events) == SCHED | CALLS
    assert set(poor.missing) >= FUTEX | BINDER | {"lock:contended_release"}


@pytest.mark.parametrize(("machine", "numbers"), [("aarch64", {98, 240}), ("x86_64", {202, 240})])
def test_futex_by_number(machine: str, numbers: set[int]) -> None:
    choice = choose_events(find_needs(["MADVISE", "FUTEX"]), RAW, machine)
    without = choose_events(find_needs(["MADVISE"]), RAW, machine)

    def recorded(filters: Mapping[str, str]) -> set[str]:
        return set(filters["raw_syscalls:sys_enter"].split(" || "))

    # 422 is futex with 64-bit times of 32-bit machines, which has another name
    assert recorded(choice.filters) - recorded(without.filters) == {f"id == {n}" for n in numbers}


def test_nothing_twice_and_always_in_the_same_order() -> None:
    everything = SCHED | LOCKS | CALLS
    names = ["MMAP_LOCK", "SCHED", "MADVISE", "SCHED"]
    first = choose_events(find_needs(names), everything, "aarch64")
    assert len(first.events) == len(set(first.events))
    assert first == choose_events(find_needs(names), sorted(everything), "aarch64")


def test_every_scenario_asks_for_groups_that_exist() -> None:
    for workload in WORKLOADS:
        names = workload.needs(workload.defaults)
        assert len(find_needs(names)) >= len(names)
        assert bool(names) == ("locks" in workload.defaults), workload.name
    with pytest.raises(UsageError, match="SCHEDULE"):
        find_needs(["SCHEDULE"])
    assert len({need.name for need in NEEDS}) == len(NEEDS)
