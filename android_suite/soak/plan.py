"""What a soak counts, as hist triggers of a tracefs instance. Data only, no I/O.

Documentation/trace/histogram.rst in the kernel's source describes triggers. Two of its rules carry the whole design:

- A variable that an expression has used is unset ("read once"). ``sys_enter_madvise`` sets ``$t0`` of the thread. The
  first lock event uses it up, and so does ``sys_exit_madvise``. So every call is counted by exactly one of them: under
  mmap_lock if it took it, else per VMA.
- A trigger whose variables are unset does nothing, not even an entry. So the triggers on lock events count madvise
  calls alone, and those on ``contention_end`` mmap_lock alone (``$mr`` and ``$mw`` are the mm whose lock is awaited).

Values of expressions are not printed, so a sum of times is the difference of two sums of timestamps.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from android_suite.model.soak import MissingCounter

INSTANCE: Final = "android_suite_soak"
RING: Final = "android_suite_soak_ring"
GROUP: Final = "android_suite_soak"  # of the probes
NEAR_BYTES: Final = 1024  # mmap_lock is this near to the start of its mm; the next mm is farther
RING_EVENTS: Final = (
    "sched:sched_switch",
    "sched:sched_waking",
    "lock:contention_begin",
    "lock:contention_end",
    "sched:sched_blocked_reason",
)
_START, _GOT = "mmap_lock:mmap_lock_start_locking", "mmap_lock:mmap_lock_acquire_returned"
_BEGIN, _END = "lock:contention_begin", "lock:contention_end"
_VMA, _VMA_RETURN = f"{GROUP}:vma_write", f"{GROUP}:vma_write_return"
_MADV, _MADV_RETURN = f"{GROUP}:madvise", f"{GROUP}:madvise_return"
_EINVAL = -22
_ARGUMENTS = {  # offsets of the second and third argument in pt_regs, and the register that points to it
    "aarch64": ("__arm64_sys_madvise", "%x0", 8),
    "x86_64": ("__x64_sys_madvise", "%di", 104),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a trigger's table is read.

    Attributes:
        table: its name in checkpoints.
        total: the value that is summed, or two values whose difference is.
        longest: whether it keeps the longest.
        bucket: the key that holds a power of two.
    """

    table: str
    total: tuple[str, ...] = ()
    longest: bool = False
    bucket: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One hist trigger. ``marks``: texts by which the kernel's print of it is recognized, unique for its event."""

    event: str
    spec: str
    marks: tuple[str, ...]
    reading: Reading | None = None
    group: str = ""

    @property
    def folder(self) -> str:
        """The event's folder below ``events/``."""
        return self.event.replace(":", "/")

    def is_printed_as(self, line: str) -> bool:
        """Whether a line of the event's ``trigger`` file, or the head of a table, is this trigger."""
        return all(mark in line for mark in self.marks)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakPlan:
    """What to install, in order. ``definitions``: file of tracefs (top level) and line to append to it."""

    tracefs: str
    definitions: tuple[tuple[str, str], ...] = ()
    triggers: tuple[Trigger, ...] = ()
    missing: tuple[MissingCounter, ...] = ()
    ring_events: tuple[str, ...] = ()
    outlier_events: tuple[str, ...] = ()
    entries: int = 0

    @property
    def folder(self) -> str:
        """The instance."""
        return f"{self.tracefs}/instances/{INSTANCE}"

    @property
    def ring(self) -> str:
        """The instance with the small ring buffer."""
        return f"{self.tracefs}/instances/{RING}"

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the counters."""
        return tuple(trigger.reading.table for trigger in self.triggers if trigger.reading)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakFacts:
    """What :func:`plan_soak` needs to know of a device. ``tracefs``: None if it cannot be used."""

    tracefs: str | None
    events: Collection[str] = ()
    readme: str = ""
    files: Collection[str] = ()  # names below tracefs that exist
    machine: str = ""
    root: bool = False


def plan_soak(
    facts: SoakFacts, *, entries: int, outliers: bool, refused: Collection[str] = (), by_probe: bool = False
) -> SoakPlan:
    """Chooses what a device can count.

    Args:
        facts: of the device.
        entries: threads that a table can hold, a power of two.
        outliers: whether a ring buffer is kept for the longest waits.
        refused: groups that the kernel refused before; they are left out.
        by_probe: count madvise by a probe even where the kernel traces system calls.
    """
    if facts.tracefs is None:
        return SoakPlan(tracefs="", missing=(_missing("everything but the system's counters", *_no_tracefs(facts)),))
    if "hist trigger" not in facts.readme:
        why = "the kernel has no hist triggers (CONFIG_HIST_TRIGGERS)"
        remedy = "use a kernel with CONFIG_HIST_TRIGGERS, or `record`, which traces every event"
        return SoakPlan(tracefs=facts.tracefs, missing=(_missing("everything but the system's counters", why, remedy),))
    plan = _Planner(facts, entries, frozenset(refused), by_probe)
    plan.add_paths()
    plan.add_locks()
    plan.add_waits()
    plan.add_vma()
    ring = tuple(event for event in RING_EVENTS if event in facts.events) if outliers and plan.outlier_events else ()
    return SoakPlan(
        tracefs=facts.tracefs,
        definitions=tuple(plan.definitions),
        triggers=tuple(plan.triggers),
        missing=tuple(plan.missing),
        ring_events=ring,
        outlier_events=tuple(plan.outlier_events) if ring else (),
        entries=entries,
    )


def _missing(name: str, reason: str, remedy: str) -> MissingCounter:
    return MissingCounter(name=name, reason=reason, remedy=remedy)


def _no_tracefs(facts: SoakFacts) -> tuple[str, str]:
    if facts.root:
        return "there is no tracefs", "use a kernel with CONFIG_TRACING and CONFIG_HIST_TRIGGERS"
    return "tracefs needs root", "use a userdebug build with `adb root`, or su; on a user build see `record --perfetto`"


class _Planner:
    def __init__(self, facts: SoakFacts, entries: int, refused: frozenset[str], by_probe: bool) -> None:
        self._facts, self._refused, self._by_probe = facts, refused, by_probe
        self._end = f":size={entries}:clock=mono"
        self.definitions: list[tuple[str, str]] = []
        self.triggers: list[Trigger] = []
        self.missing: list[MissingCounter] = []
        self.outlier_events: list[str] = []

    def _has(self, *events: str) -> bool:
        return all(event in self._facts.events for event in events)

    def _add(
        self,
        group: str,
        event: str,
        spec: str,
        *marks: str,
        condition: str = "",
        reading: Reading | None = None,
        action: str = "",
    ) -> None:
        text = f"hist:{spec}{self._end}{action}{' if ' + condition if condition else ''}"
        told = (*marks, f" if {condition} ") if condition else marks
        self.triggers.append(Trigger(event=event, spec=text, marks=told, reading=reading, group=group))

    def _probe(self, name: str, symbol: str, *, at_return: bool = False, fields: str = "") -> None:
        """A probe on a function: by ftrace where the kernel can, because a breakpoint costs several times as much."""
        by_ftrace = "f[:" in self._facts.readme and "dynamic_events" in self._facts.files
        text = f" {fields}" if fields else ""
        if by_ftrace:
            where = f"{symbol}%return" if at_return else symbol
            self.definitions.append(("dynamic_events", f"f:{GROUP}/{name} {where}{text}"))
        else:
            kind = "r" if at_return else "p"
            self.definitions.append(("kprobe_events", f"{kind}:{GROUP}/{name} {symbol}{text}"))

    def add_paths(self) -> None:
        """Calls and bytes of madvise by thread, and by path where mmap_lock has events."""
        enter, leave = "syscalls:sys_enter_madvise", "syscalls:sys_exit_madvise"
        length, group = "len_in", "paths"
        if self._by_probe or not self._has(enter, leave):
            if (
                self._facts.machine not in _ARGUMENTS
                or "kprobe_events" not in self._facts.files
                or group in self._refused
            ):
                self.missing.append(
                    _missing(
                        "madvise",
                        "the kernel traces neither madvise nor functions",
                        "use a kernel with CONFIG_FTRACE_SYSCALLS or CONFIG_KPROBE_EVENTS",
                    )
                )
                return
            symbol, register, offset = _ARGUMENTS[self._facts.machine]
            self._probe_registers(symbol, register, offset)
            enter, leave, length = _MADV, _MADV_RETURN, "len_in"
        if not self._has(_START):
            self.missing.append(
                _missing("the path of madvise", f"the kernel has no {_START}", "use a kernel from 5.11 on")
            )
        keys = "keys=common_pid"
        self._add(
            group, enter, f"{keys}.execname:vals={length}:t0=common_timestamp,len={length}", "t0=common_timestamp",
            condition=f"{length} > 0", reading=Reading(table="madvise", total=(length,)),
        )  # fmt: skip
        self._add(
            group, enter, f"{keys}.execname:vals=hitcount", "execname:vals=hitcount:",
            condition=f"{length} == 0", reading=Reading(table="madvise_empty"),
        )  # fmt: skip
        if not self._has(_START):
            return
        self._add(
            group, leave, f"{keys}:vals=$len:d0=common_timestamp-$t0", "$len", "d0=",
            condition=f"ret != {_EINVAL}", reading=Reading(table="madvise_per_vma", total=("len",)),
        )  # fmt: skip
        self._add(
            group, leave, f"{keys}:vals=$len:d1=common_timestamp-$t0", "$len", "d1=",
            condition=f"ret == {_EINVAL}", reading=Reading(table="madvise_refused", total=("len",)),
        )  # fmt: skip
        self._add(
            group, _START, f"{keys}:vals=$len:d2=common_timestamp-$t0", "$len", "d2=",
            reading=Reading(table="madvise_mmap_lock", total=("len",)),
        )  # fmt: skip
        enter, leave = "syscalls:sys_enter_process_madvise", "syscalls:sys_exit_process_madvise"
        if self._has(enter, leave):
            self._add(
                group, enter, f"{keys}.execname:p0=common_timestamp", "p0=common_timestamp",
                reading=Reading(table="process_madvise"),
            )  # fmt: skip
            self._add(
                group, leave, f"{keys}:p1=common_timestamp-$p0", "p1=", condition="ret >= 0",
                reading=Reading(table="process_madvise_per_vma"),
            )  # fmt: skip
            self._add(
                group, leave, f"{keys}:p2=common_timestamp-$p0", "p2=", condition="ret < 0",
                reading=Reading(table="process_madvise_refused"),
            )  # fmt: skip
            self._add(
                group, _START, f"{keys}:p3=common_timestamp-$p0", "p3=",
                reading=Reading(table="process_madvise_mmap_lock"),
            )  # fmt: skip

    def _probe_registers(self, symbol: str, register: str, offset: int) -> None:
        self._probe_kernel_entry("p", "madvise", symbol, f"len_in=+{offset}({register}):u64")
        self._probe_kernel_entry("r", "madvise_return", symbol, "ret=$retval:s64")

    def _probe_kernel_entry(self, kind: str, name: str, symbol: str, fields: str) -> None:
        self.definitions.append(("kprobe_events", f"{kind}:{GROUP}/{name} {symbol} {fields}"))

    def add_locks(self) -> None:
        """Every acquisition of mmap_lock: how often, how long it took, and the longest, by thread and mode."""
        if not self._has(_START, _GOT):
            self.missing.append(
                _missing("waits for mmap_lock", "the kernel has no mmap_lock events", "use a kernel from 5.11 on")
            )
            return
        for mode, letter, value in (("read", "r", 0), ("write", "w", 1)):
            condition = f"write == {value}"
            self._add(
                "locks", _START, f"keys=common_pid:t{letter}=common_timestamp,m{letter}=mm",
                f"t{letter}=common_timestamp", condition=condition,
            )  # fmt: skip
            self._add(
                "locks", _GOT,
                f"keys=common_pid.execname:vals=common_timestamp,$t{letter}:d{letter}=common_timestamp-$t{letter}",
                f"d{letter}=", condition=condition, action=f":onmax($d{letter}).save(mm)",
                reading=Reading(table=f"mmap_{mode}", total=("common_timestamp", f"t{letter}"), longest=True),
            )  # fmt: skip

    def add_waits(self) -> None:
        """Waits for mmap_lock that slept or spun, with their distribution."""
        if not self._has(_START, _GOT):
            return
        if not self._has(_BEGIN, _END) or "synthetic_events" not in self._facts.files:
            self.missing.append(
                _missing(
                    "the distribution of waits for mmap_lock",
                    "the kernel has no lock:contention events, or no synthetic events",
                    "use a kernel from 5.19 on with CONFIG_SYNTH_EVENTS",
                )
            )
            return
        for mode, letter, flags in (("read", "r", 2), ("write", "w", 4)):
            name = f"{GROUP}_mmap_{mode}"
            self.definitions.append(("synthetic_events", f"{name} int tid; u64 off; u64 lat"))
            self._add(
                "waits", _BEGIN, f"keys=common_pid:c{letter}=common_timestamp,o{letter}=lock_addr-$m{letter}",
                f"c{letter}=common_timestamp", condition=f"flags == {flags}",
            )  # fmt: skip
            self._add(
                "waits", _END, f"keys=common_pid:k{letter}=common_timestamp-$c{letter},q{letter}=$o{letter}",
                f"k{letter}=",
                action=f":onmatch(lock.contention_begin).trace({name},common_pid,$q{letter},$k{letter})",
            )  # fmt: skip
            self._add_synthetic("waits", name, f"mmap_{mode}_wait", condition=f"off < {NEAR_BYTES}")

    def _add_synthetic(self, group: str, name: str, table: str, *, condition: str = "") -> None:
        event = f"synthetic:{name}"
        self._add(
            group, event, "keys=tid:vals=lat:most=lat", "most=lat", condition=condition,
            action=":onmax($most).save(tid)", reading=Reading(table=table, total=("lat",), longest=True),
        )  # fmt: skip
        self._add(
            group, event, "keys=tid,lat.log2:vals=lat", "keys=tid,lat.log2", condition=condition,
            reading=Reading(table=f"{table}_log2", total=("lat",), bucket="lat"),
        )  # fmt: skip
        self.outlier_events.append(name)

    def add_vma(self) -> None:
        """Sleeps of a writer of a VMA, from the switch-out until the function that waits returns."""
        if "vma" in self._refused or "synthetic_events" not in self._facts.files or not self._has("sched:sched_switch"):
            self.missing.append(
                _missing(
                    "waits for the lock of a VMA",
                    "the kernel does not allow a probe on __vma_start_write (before 6.15 it is inlined), or has no "
                    "synthetic events",
                    "use a kernel from 6.15 on with CONFIG_KPROBE_EVENTS and CONFIG_SYNTH_EVENTS",
                )
            )
            return
        name = f"{GROUP}_vma"
        self._probe("vma_write", "__vma_start_write")
        self._probe("vma_write_return", "__vma_start_write", at_return=True)
        self.definitions.append(("synthetic_events", f"{name} int tid; u64 lat"))
        self._add("vma", _VMA, "keys=common_pid:tv=common_timestamp", "tv=common_timestamp")
        self._add(
            "vma", "sched:sched_switch", "keys=prev_pid:vals=$tv:s0=common_timestamp", "s0=common_timestamp",
            condition="prev_state == 2",
        )  # fmt: skip
        self._add(
            "vma", _VMA_RETURN, "keys=common_pid:sv=common_timestamp-$s0", "sv=",
            action=f":onmatch(sched.sched_switch).trace({name},common_pid,$sv)",
        )  # fmt: skip
        # uses $tv up: the next sleep of this thread is not in the function
        self._add("vma", _VMA_RETURN, "keys=common_pid:dv=common_timestamp-$tv", "dv=")
        self._add_synthetic("vma", name, "vma_wait")
