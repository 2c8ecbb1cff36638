"""Named groups of events. A scenario lists the groups that it needs, and only their events are enabled.

Each event costs time inside the locks that are measured. Tracing is system-wide, because the thread that holds a lock
may belong to any process.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from android_suite.errors import Unsupported, UsageError
from android_suite.model.syscalls import COMPAT, call_of_name, find_abi, numbers_of

# Every syscall that takes mmap_lock and that the analysis can name as the holder's operation.
MM_SYSCALLS: Final = ("madvise", "process_madvise", "mmap", "munmap", "mprotect", "mremap", "brk", "prctl")
FUTEX_SYSCALLS: Final = ("futex",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """An event that the kernel adds on request: a kprobe (Documentation/trace/kprobetrace.rst).

    Attributes:
        event: ``system:name``.
        symbol: the function; it can be probed unless the compiler inlined it or the kernel forbids it.
        at_return: probe the return of the function instead of its entry.
    """

    event: str
    symbol: str
    at_return: bool = False

    @property
    def name(self) -> str:
        """The event's name as ``kprobe_events`` spells it."""
        return self.event.replace(":", "/")

    @property
    def definition(self) -> str:
        """The line of ``kprobe_events`` that defines it."""
        return f"{'r' if self.at_return else 'p'}:{self.name} {self.symbol}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A named group of events.

    Attributes:
        required: events that the group cannot do without.
        optional: events that add precision; the run notes their absence.
        probes: optional events that the kernel adds on request; enabling them shows which ones it allows.
        remedy: what to do if a kernel lacks the required ones.
    """

    name: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    remedy: str = ""


SCHED = Need(
    name="SCHED",
    required=("sched:sched_switch", "sched:sched_waking"),
    optional=(
        "sched:sched_wakeup_new",
        "sched:sched_process_fork",
        "sched:sched_process_exec",
        "sched:sched_process_exit",
        "task:task_newtask",
        "task:task_rename",
    ),
    remedy="use a kernel with CONFIG_SCHED_TRACER or CONFIG_EVENT_TRACING",
)
MMAP_LOCK = Need(
    name="MMAP_LOCK",
    required=(
        "mmap_lock:mmap_lock_start_locking",
        "mmap_lock:mmap_lock_acquire_returned",
        "mmap_lock:mmap_lock_released",
    ),
    remedy="use a kernel from 5.11 on with CONFIG_TRACING",
)
MADVISE = Need(name="MADVISE", remedy="use a kernel with CONFIG_FTRACE_SYSCALLS")  # its events: choose_syscall_events
CONTENTION = Need(name="CONTENTION", optional=("lock:contention_begin", "lock:contention_end"))
BLOCKED_REASON = Need(name="BLOCKED_REASON", optional=("sched:sched_blocked_reason",))
PI = Need(name="PI", optional=("sched:sched_pi_setprio", "binder:binder_set_priority"))
PAGE_FAULT = Need(name="PAGE_FAULT", optional=("exceptions:page_fault_user",))
MARKERS = Need(name="MARKERS")  # written by apps into trace_marker; nothing to enable but the option
# Not in the scenarios' usual list: each write to a VMA costs two events (docs/measurement.md says how much).
VMA_LOCK = Need(
    name="VMA_LOCK",
    probes=(
        Probe(event="kprobes:vma_start_write", symbol="__vma_start_write"),
        Probe(event="kprobes:vma_start_write_return", symbol="__vma_start_write", at_return=True),
    ),
)
# What a wait that leads through other locks and other processes needs; recorded with `--locks all` alone, because each
# call of futex and of binder costs events.
RELEASES = Need(name="RELEASES", optional=("lock:contended_release",))
BINDER = Need(name="BINDER", optional=("binder:binder_transaction", "binder:binder_transaction_received"))
FUTEX = Need(name="FUTEX", remedy=MADVISE.remedy)  # its events: choose_syscall_events

NEEDS: Final = (
    SCHED, MMAP_LOCK, MADVISE, CONTENTION, BLOCKED_REASON, PI, PAGE_FAULT, MARKERS, VMA_LOCK, RELEASES, BINDER, FUTEX,
)  # fmt: skip
PROBES: Final = tuple(probe for need in NEEDS for probe in need.probes)


def find_needs(names: Sequence[str]) -> tuple[Need, ...]:
    """The groups with these names, in order.

    Raises:
        UsageError: there is no group of that name; the message lists the groups.
    """
    known = {need.name: need for need in NEEDS}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no group of events {name!r}; choose among {', '.join(known)}.")
    return tuple(known[name] for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventChoice:
    """The events to enable on one kernel for a list of needs.

    Attributes:
        events: ``system:name``, in a fixed order without duplicates.
        filters: filter expressions by event.
        missing: optional events that this kernel lacks.
        probes: the probes to add; their events are among ``events`` until the kernel refuses them.
    """

    events: tuple[str, ...]
    filters: Mapping[str, str]
    missing: tuple[str, ...]
    probes: tuple[Probe, ...] = ()


def choose_events(needs: Sequence[Need], available: Collection[str], machine: str) -> EventChoice:
    """Chooses the events for ``needs`` among those that a kernel has.

    Args:
        needs: groups, in any order.
        available: ``system:name`` as ``available_events`` lists them.
        machine: ``uname -m``.

    Raises:
        Unsupported: a required event is missing; the message has its name and the remedy.
    """
    events: dict[str, None] = {}
    filters: dict[str, str] = {}
    missing: dict[str, None] = {}
    probes: dict[Probe, None] = {}
    calls = list_calls(needs)
    for need in needs:
        if absent := [event for event in need.required if event not in available]:
            raise Unsupported(f"this kernel has no event {absent[0]}, which {need.name} needs; {need.remedy}.")
        events |= dict.fromkeys(need.required)
        events |= dict.fromkeys(event for event in need.optional if event in available)
        missing |= dict.fromkeys(event for event in need.optional if event not in available)
        if need is MADVISE:
            chosen, chosen_filters, absent_calls = choose_syscall_events(available, machine, calls)
            events |= dict.fromkeys(chosen)
            filters |= chosen_filters
            missing |= dict.fromkeys(absent_calls)
        probes |= dict.fromkeys(need.probes)
        events |= dict.fromkeys(probe.event for probe in need.probes)
    return EventChoice(events=tuple(events), filters=filters, missing=tuple(missing), probes=tuple(probes))


def list_calls(needs: Sequence[Need]) -> tuple[str, ...]:
    """Names of the system calls that the needs record. Those of FUTEX come with the events of MADVISE."""
    return (*MM_SYSCALLS, *FUTEX_SYSCALLS) if FUTEX in needs else MM_SYSCALLS


def choose_syscall_events(
    available: Collection[str], machine: str, calls: Sequence[str] = MM_SYSCALLS
) -> tuple[tuple[str, ...], Mapping[str, str], tuple[str, ...]]:
    """The events for system calls: a pair for each of ``calls``, or the raw ones with a filter (GKI has only these).

    Returns:
        Events, filters, and the optional events that are missing.

    Raises:
        Unsupported: the kernel has neither, or only the raw ones and ``machine`` is unknown.
    """
    if "syscalls:sys_enter_madvise" in available and "syscalls:sys_exit_madvise" in available:
        wanted = [f"syscalls:sys_{edge}_{call}" for call in calls for edge in ("enter", "exit")]
        have = tuple(event for event in wanted if event in available)
        return have, {}, tuple(event for event in wanted if event not in available)
    raw = ("raw_syscalls:sys_enter", "raw_syscalls:sys_exit")
    if not all(event in available for event in raw):
        raise Unsupported(f"this kernel traces no system calls (neither syscalls nor raw_syscalls); {MADVISE.remedy}.")
    numbers = list_syscall_numbers(machine, calls)
    if not numbers:
        raise Unsupported(f"no system call numbers are known for {machine}; {MADVISE.remedy}.")
    return raw, dict.fromkeys(raw, " || ".join(f"id == {number}" for number in numbers)), ()


def list_syscall_numbers(machine: str, calls: Sequence[str] = MM_SYSCALLS) -> tuple[int, ...]:
    """Ascending numbers of ``calls`` on a machine (``uname -m``), with those of 32-bit apps: raw_syscalls has both."""
    if (abi := find_abi(machine)) is None:
        return ()
    wanted = {call_of_name(name) for name in calls}
    abis = (abi, COMPAT[abi]) if abi in COMPAT else (abi,)
    return tuple(sorted({number for each in abis for number, call in numbers_of(each).items() if call in wanted}))
