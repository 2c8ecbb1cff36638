"""What a device can measure, judged from what was read."""

from __future__ import annotations

from dataclasses import replace

from android_suite.device.capabilities import DeviceFacts, judge_capabilities

FULL = DeviceFacts(
    root=True,
    tracefs="/sys/kernel/tracing",
    events=frozenset(
        {
            "sched:sched_switch",
            "sched:sched_waking",
            "sched:sched_pi_setprio",
            "sched:sched_blocked_reason",
            "mmap_lock:mmap_lock_start_locking",
            "mmap_lock:mmap_lock_acquire_returned",
            "mmap_lock:mmap_lock_released",
            "syscalls:sys_enter_madvise",
            "lock:contention_begin",
            "exceptions:page_fault_user",
        }
    ),
    tracefs_files=frozenset({"per_cpu/cpu0/trace_pipe_raw", "kprobe_events"}),
    readme="hist trigger: hist:keys=<field>",
    lock_stat=True,
    config=True,
    vmstat="nr_free_pages 1\nvma_lock_success 2\n",
    commands=frozenset({"am", "dumpsys", "perfetto"}),
)


def test_a_device_that_can_everything() -> None:
    found = judge_capabilities(FULL)
    assert all(capability.available and not capability.remedy for capability in found)
    assert len({capability.name for capability in found}) == len(found)


def test_a_device_that_can_nothing_is_told_what_to_do() -> None:
    nothing = DeviceFacts(
        root=False, tracefs=None, events=frozenset(), tracefs_files=frozenset(), readme="", lock_stat=False,
        config=False, vmstat="", commands=frozenset(),
    )  # fmt: skip
    found = judge_capabilities(nothing)
    assert not any(capability.available for capability in found)
    assert all(capability.remedy for capability in found)


def test_raw_syscalls_do_as_well() -> None:
    events = FULL.events - {"syscalls:sys_enter_madvise"}
    for seen, available in ((events | {"raw_syscalls:sys_enter"}, True), (events, False)):
        judged = {found.name: found.available for found in judge_capabilities(replace(FULL, events=seen))}
        assert judged["syscall_events"] is available
