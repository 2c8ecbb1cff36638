"""What a soak asks of a kernel, and how its tables are read."""

from __future__ import annotations

from dataclasses import replace

from android_suite.soak.hist_text import parse_hist
from android_suite.soak.plan import SoakFacts, Trigger, plan_soak

# The events of Debian's 6.17.13, as far as a soak uses them.
EVENTS = frozenset(
    {
        "syscalls:sys_enter_madvise",
        "syscalls:sys_exit_madvise",
        "syscalls:sys_enter_process_madvise",
        "syscalls:sys_exit_process_madvise",
        "mmap_lock:mmap_lock_start_locking",
        "mmap_lock:mmap_lock_acquire_returned",
        "lock:contention_begin",
        "lock:contention_end",
        "sched:sched_switch",
        "sched:sched_waking",
    }
)
FACTS = SoakFacts(
    tracefs="/sys/kernel/tracing",
    events=EVENTS,
    readme="      hist trigger\t- If set\n\t           f[:[<group>/][<event>]] <func-name>[%return] [<args>]\n",
    files=("synthetic_events", "kprobe_events", "dynamic_events"),
    machine="aarch64",
    root=True,
)
# What 6.17.13 printed for two triggers of one event, and for a synthetic event.
TEXT = """\
# event histogram
#
# trigger info: hist:keys=common_pid:vals=hitcount,$len:d0=common_timestamp-$t0:sort=hitcount:clock=mono if ret != -22 [active]
#

{ common_pid:        205 } hitcount:          7  len:  872419328
{ common_pid:        208 } hitcount:        464  len:  126095360

Totals:
    Hits: 471
    Entries: 2
    Dropped: 3
# event histogram
#
# trigger info: hist:keys=common_pid:vals=hitcount,$len:d1=common_timestamp-$t0:sort=hitcount:clock=mono if ret == -22 [active]
#


Totals:
    Hits: 0
    Entries: 0
    Dropped: 0
"""
LOCKS = """\
# event histogram
#
# trigger info: hist:keys=common_pid.execname:vals=hitcount,common_timestamp,$tw:dw=common_timestamp-$tw if write == 1 [active]
#

{ common_pid: shell svc 194   [       194] } hitcount:         20  common_timestamp: 37499888845322  tw: 37499888107358
	max:     104425  mm: 18442240474141372800
{ common_pid: a } [1], \n{ b    [       205] } hitcount:        101  common_timestamp: 5  tw: 18446744073709551611
	max:  294858880  mm: 18442240474141389696

Totals:
    Hits: 301
    Entries: 2
    Dropped: 0
"""
BUCKETS = """\
# event histogram
#
# trigger info: hist:keys=tid,lat.log2:vals=hitcount,lat:sort=hitcount:size=4096:clock=mono if off < 1024 [active]
#

{ tid:        208, lat: ~ 2^17 } hitcount:          1  lat:      87623
{ tid:        208, lat: ~ 2^27 } hitcount:          4  lat:  332270732

Totals:
    Hits: 5
    Entries: 2
    Dropped: 0
"""


def triggers(event: str) -> list[Trigger]:
    plan = plan_soak(FACTS, entries=2048, outliers=True)
    return [trigger for trigger in plan.triggers if trigger.event == event]


def test_a_table_is_read_and_told_from_the_other_table_of_its_event() -> None:
    tables = parse_hist(TEXT, triggers("syscalls:sys_exit_madvise"))
    assert set(tables) == {"madvise_per_vma", "madvise_refused"}
    assert tables["madvise_per_vma"].rows == {(205, -1): (7, 872419328, -1), (208, -1): (464, 126095360, -1)}
    assert tables["madvise_per_vma"].dropped == 3
    assert tables["madvise_refused"].rows == {}


def test_a_wait_is_the_difference_of_two_sums_of_timestamps_even_if_they_wrapped() -> None:
    tables = parse_hist(LOCKS, triggers("mmap_lock:mmap_lock_acquire_returned"))
    assert tables["mmap_write"].rows[194, -1] == (20, 737964, 104425)
    assert tables["mmap_write"].rows[205, -1][1:] == (10, 294858880)
    assert tables["mmap_write"].comms == {194: "shell svc 194", 205: "a } [1], \n{ b"}


def test_a_bucket_is_a_power_of_two() -> None:
    tables = parse_hist(BUCKETS, triggers("synthetic:android_suite_soak_mmap_read"))
    assert tables["mmap_read_wait_log2"].rows == {(208, 17): (1, 87623, -1), (208, 27): (4, 332270732, -1)}


def test_every_table_of_an_event_can_be_told_from_the_others() -> None:
    for by_probe in (False, True):
        plan = plan_soak(FACTS, entries=2048, outliers=True, by_probe=by_probe)
        assert not plan.missing
        assert len(set(plan.tables)) == len(plan.tables)
        for one in plan.triggers:
            twins = [t for t in plan.triggers if t.event == one.event and t is not one and t.marks == one.marks]
            assert not twins, one


def test_what_a_kernel_lacks_is_named_with_its_remedy_and_the_rest_is_counted() -> None:
    def names(facts: SoakFacts, refused: tuple[str, ...] = ()) -> tuple[tuple[str, ...], list[str]]:
        plan = plan_soak(facts, entries=64, outliers=True, refused=refused)
        assert all(each.remedy and each.reason for each in plan.missing)
        return plan.tables, [each.name for each in plan.missing]

    tables, missing = names(FACTS, ("vma",))
    assert missing == ["waits for the lock of a VMA"]
    assert "madvise_per_vma" in tables
    tables, missing = names(replace(FACTS, events=EVENTS - {"lock:contention_begin"}))
    assert missing == ["the distribution of waits for mmap_lock"]
    assert "mmap_read" in tables
    assert names(replace(FACTS, readme="")) == ((), ["everything but the system's counters"])
    assert names(SoakFacts(tracefs=None)) == ((), ["everything but the system's counters"])


def test_a_kernel_without_system_call_events_is_probed() -> None:
    facts = replace(FACTS, events={e for e in EVENTS if "sys_" not in e}, readme="hist trigger")
    plan = plan_soak(facts, entries=64, outliers=False)
    assert ("kprobe_events", "p:android_suite_soak/madvise __arm64_sys_madvise len_in=+8(%x0):u64") in plan.definitions
    assert ("kprobe_events", "r:android_suite_soak/vma_write_return __vma_start_write") in plan.definitions
    assert "madvise_mmap_lock" in plan.tables
