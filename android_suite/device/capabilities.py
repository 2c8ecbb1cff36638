"""What a device can measure, with a remedy for each missing capability. Used by `doctor` and `devices`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from android_suite.device.device import TRACEFS_PLACES, Device
from android_suite.device.root import describe_root

_LOCK_STAT: Final = "/proc/lock_stat"
_CONFIG: Final = "/proc/config.gz"
_VMSTAT: Final = "/proc/vmstat"
_COMMANDS: Final = ("am", "dumpsys", "logcat", "perfetto", "atrace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One capability of a device.

    Attributes:
        name: short, stable name for JSON.
        available: whether the device has it.
        required: whether nothing can be recorded without it.
        detail: what was found.
        remedy: what to do if it is missing, else empty.
    """

    name: str
    available: bool
    required: bool
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """The facts, as read from the device."""

    root: bool
    root_by: str = "the shell runs as root"  # how, or what would make it root
    tracefs: str | None
    events: frozenset[str]
    tracefs_files: frozenset[str]  # names of existing files below tracefs
    readme: str  # README of tracefs, which lists the kinds of triggers
    lock_stat: bool
    config: bool
    vmstat: str
    commands: frozenset[str]
    denied: frozenset[str] = frozenset()  # of tracefs and its files: there, but not for this user


def read_device_facts(device: Device) -> DeviceFacts:
    """Reads the facts, in four round trips."""
    names = [f"{place}/{name}" for place in TRACEFS_PLACES for name in ("available_events", "README")]
    texts = device.read_texts([*names, _VMSTAT])
    tracefs = next((place for place in TRACEFS_PLACES if texts[f"{place}/available_events"]), None)
    below = ("per_cpu/cpu0/trace_pipe_raw", "options/record-tgid", "kprobe_events", "synthetic_events")
    present = device.exists([_LOCK_STAT, _CONFIG, *(f"{tracefs}/{name}" for name in below if tracefs)])
    raw = "per_cpu/cpu0/trace_pipe_raw"
    access = device.look([*TRACEFS_PLACES, f"{tracefs or TRACEFS_PLACES[0]}/{raw}"])
    denied = {path for path, said in access.items() if said == "denied"}
    root = device.is_root()
    found = device.transport.run("for c in " + " ".join(_COMMANDS) + "; do command -v $c; done; true").text.split()
    return DeviceFacts(
        root=root,
        root_by=describe_root(device.transport) if root else _tell_way_to_root(device),
        tracefs=tracefs,
        events=frozenset((texts[f"{tracefs}/available_events"] or "").split()) if tracefs else frozenset(),
        tracefs_files=frozenset(path.removeprefix(f"{tracefs}/") for path in present - denied if tracefs),
        readme=(texts[f"{tracefs}/README"] or "") if tracefs else "",
        lock_stat=_LOCK_STAT in present,
        config=_CONFIG in present,
        vmstat=texts[_VMSTAT] or "",
        commands=frozenset(path.rsplit("/", 1)[-1] for path in found),
        denied=frozenset(denied),
    )


def _tell_way_to_root(device: Device) -> str:
    build = device.transport.run("getprop ro.debuggable; getprop ro.build.type").text.split()
    if build[:1] == ["1"]:
        return "run `adb root`: this build allows it"
    kind = f"a {build[1]} build" if len(build) == 2 else "a build"
    return (
        f"this is {kind} without su: install a userdebug build, or root it (Magisk) and allow the shell there; without root "
        "launches, frames, the log, and what Perfetto may trace can be recorded (`record --capture perfetto`)"
    )


def judge_capabilities(facts: DeviceFacts) -> tuple[Capability, ...]:
    """Every capability, the required ones first. With Perfetto, which needs no root, nothing of tracefs is required."""
    needed = "perfetto" not in facts.commands
    unseen = facts.tracefs is None and not needed  # Perfetto may have events that the shell cannot list
    mm = {f"mmap_lock:mmap_lock_{name}" for name in ("start_locking", "acquire_returned", "released")}
    sched = {"sched:sched_switch", "sched:sched_waking"}
    named = "syscalls:sys_enter_madvise" in facts.events
    raw = "raw_syscalls:sys_enter" in facts.events
    return (
        _judge(
            "root",
            facts.root,
            facts.root_by,
            facts.root_by,
            required=needed,
        ),
        _judge(
            "tracefs",
            facts.tracefs is not None,
            facts.tracefs or "",
            _tell_denied(facts) or "mount tracefs at /sys/kernel/tracing, or use a kernel with CONFIG_TRACING",
            required=needed,
        ),
        _judge(
            "trace_pipe_raw",
            "per_cpu/cpu0/trace_pipe_raw" in facts.tracefs_files,
            "raw ring buffers can be read",
            _tell_denied(facts) or "use a kernel with CONFIG_TRACING",
            required=needed,
        ),
        _judge(
            "sched_events",
            sched <= facts.events,
            ", ".join(sorted(sched)),
            "use a kernel with CONFIG_EVENT_TRACING",
            required=not unseen,
        ),
        _judge(
            "mmap_lock_events",
            mm <= facts.events,
            "mmap_lock waits and holds",
            "use a kernel from 5.11 on with CONFIG_TRACING; without them no madvise call can be classified",
            required=not unseen,
        ),
        _judge(
            "syscall_events",
            named or raw,
            "one event per call" if named else "raw_syscalls with a filter",
            "use a kernel with CONFIG_FTRACE_SYSCALLS",
            required=not unseen,
        ),
        *_judge_optional(facts),
    )


def _tell_denied(facts: DeviceFacts) -> str:
    """What to do about files that are there but may not be read; empty if there are none."""
    if not facts.denied:
        return ""
    if facts.root:
        return (
            f"SELinux denies {min(facts.denied)} even to root: `adb shell setenforce 0` on a userdebug build, or a policy that "
            "allows it; `adb shell dmesg | grep avc` shows what was denied"
        )
    return f"{min(facts.denied)} is there but needs root (see root)"


def _judge_optional(facts: DeviceFacts) -> tuple[Capability, ...]:
    per_vma = [word for word in facts.vmstat.split() if word.startswith("vma_lock_")]
    return (
        _judge(
            "contention_events",
            "lock:contention_begin" in facts.events,
            "which lock waits slept or spun",
            "use a kernel from 5.19 on",
        ),
        _judge(
            "blocked_reason",
            "sched:sched_blocked_reason" in facts.events,
            "where a thread slept uninterruptibly",
            "use an Android common kernel",
        ),
        _judge(
            "page_fault_events",
            "exceptions:page_fault_user" in facts.events,
            "page faults of apps",
            "use an amd64 kernel, or take faults from mmap_lock alone",
        ),
        _judge(
            "pi_events",
            "sched:sched_pi_setprio" in facts.events,
            "priority boosts",
            "use a kernel with CONFIG_RT_MUTEXES",
        ),
        _judge(
            "hist_triggers",
            "hist:keys=" in facts.readme or "hist:" in facts.readme,
            "counting inside the kernel",
            "use a kernel with CONFIG_HIST_TRIGGERS",
        ),
        _judge("kprobes", "kprobe_events" in facts.tracefs_files, "probes", "use a kernel with CONFIG_KPROBE_EVENTS"),
        _judge(
            "lock_stat",
            facts.lock_stat,
            "/proc/lock_stat (such a kernel is slower: never time with it)",
            "use a kernel with CONFIG_LOCK_STAT",
        ),
        _judge(
            "per_vma_lock_stats",
            bool(per_vma),
            ", ".join(per_vma),
            "use a kernel with CONFIG_PER_VMA_LOCK_STATS",
        ),
        _judge(
            "kernel_config",
            facts.config,
            "/proc/config.gz proves the configuration",
            "use a kernel with CONFIG_IKCONFIG_PROC; the build id still tells kernels apart",
        ),
        _judge("gfxinfo", "dumpsys" in facts.commands, "frames of apps", "use Android, or a virtual device"),
        _judge("activities", "am" in facts.commands, "apps can be started", "use Android, or a virtual device"),
        _judge(
            "perfetto",
            "perfetto" in facts.commands,
            "records without root; frame timeline of SurfaceFlinger",
            "use Android 12 or later; frames come from gfxinfo instead",
        ),
    )


def _judge(name: str, available: bool, detail: str, remedy: str, *, required: bool = False) -> Capability:
    return Capability(
        name=name,
        available=available,
        required=required,
        detail=detail if available else "missing",
        remedy="" if available else remedy,
    )
