"""What Perfetto is asked to record, as data: from the scenario's event groups to a TraceConfig. No I/O.

The configuration is passed in its binary form, because a service that does not know a field skips it there, and refuses
the whole text form (Android 9 to 15 know different fields). The run keeps the text form for people.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf import text_format
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.capture.needs import Need, choose_events, list_calls
from android_suite.capture.trace_files import TracefsFacts

FTRACE: Final = "linux.ftrace"
FRAME_TIMELINE: Final = "android.surfaceflinger.frametimeline"
# data source -> what is missing in a trace without it
SOURCES: Final = {
    FTRACE: "no event of the kernel",
    "linux.process_stats": "names of processes from the kernel's events only",
    FRAME_TIMELINE: "frames come from gfxinfo (Android 12 and later have it)",
    "android.log": "the log is in logcat.txt only",
}
CATEGORIES: Final = ("gfx", "input", "view", "wm", "am", "dalvik")  # as capture/atrace.py sets them
_RAW: Final = ("raw_syscalls:sys_enter", "raw_syscalls:sys_exit")
_BUFFER_KB: Final = 65536  # holds what comes between two writes to the file
_WRITE_PERIOD_MS: Final = 1000
_FLUSH_PERIOD_MS: Final = 5000
# If the host dies, the session ends by itself.
MAX_DURATION_MS: Final = 3_600_000
MAX_FILE_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class PerfettoPlan:
    """What one session records.

    Attributes:
        name: unique name of the session.
        needs: names of the event groups.
        events: the kernel's events, ``system:name``.
        syscalls: system calls to record if the events are the raw ones; empty for a pair of events per call.
        missing: events that are known to be missing.
        sources: data sources.
        lacking: data sources that the service does not have.
        packages: apps whose own slices are recorded; empty also where the device has no slices to enable.
        atrace: whether the device has categories of slices.
        symbols: whether kernel functions are named; the service then reads all of them first (half a second on a phone).
        instance: instance of tracefs for the events; empty for the top-level buffer.
        buffer_kb: size of the kernel's buffer of each CPU.
        period_ms: time between two passes over it.
    """

    name: str
    needs: tuple[str, ...]
    events: tuple[str, ...]
    syscalls: tuple[str, ...]
    missing: tuple[str, ...]
    sources: tuple[str, ...]
    lacking: tuple[str, ...]
    packages: tuple[str, ...]
    atrace: bool
    symbols: bool
    instance: str
    buffer_kb: int
    period_ms: int

    def describe(self) -> dict[str, object]:
        """The set-up for the manifest; two runs are comparable only if it is equal."""
        return {
            "capture": "perfetto",
            "needs": list(self.needs),
            "events": list(self.events),
            "syscalls": list(self.syscalls),
            "missing": list(self.missing),
            "data_sources": list(self.sources),
            "atrace": list(CATEGORIES) if self.atrace else [],
            "clock": "boot",
            "buffer_kb": self.buffer_kb,
            "period_ms": self.period_ms,
        }


def choose_perfetto_events(
    needs: Sequence[Need], facts: TracefsFacts | None
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The events, the system calls among raw ones, and the events that are known to be missing.

    Without facts, because the shell cannot read tracefs, everything is asked for: the trace says what was refused.

    Raises:
        Unsupported: the facts show that a required event is missing.
    """
    if facts is None:
        wanted = [event for need in needs for event in (*need.required, *need.optional)]
        events = (*dict.fromkeys(wanted), *(_RAW if any(need.name == "MADVISE" for need in needs) else ()))
        missing: tuple[str, ...] = ()
    else:
        choice = choose_events(needs, facts.available, facts.machine)
        events, missing = choice.events, choice.missing
    probes = {probe.event for need in needs for probe in need.probes}
    raw = any(event in _RAW for event in events)
    return (
        tuple(event for event in events if event not in probes),
        tuple(f"sys_{call}" for call in list_calls(needs)) if raw else (),
        (*missing, *sorted(probes)),
    )


def plan_perfetto(
    name: str,
    needs: Sequence[Need],
    facts: TracefsFacts | None,
    *,
    offered: Collection[str] | None,
    package: str | None,
    atrace: bool,
    instance: str,
    buffer_kb: int,
    period_ms: int,
) -> PerfettoPlan:
    """The plan of one session.

    Args:
        name: unique name of the session.
        needs: the event groups.
        facts: tracing facts of the device; None if the shell cannot read tracefs.
        offered: data sources of the service; None if it cannot list them.
        package: the app under test.
        atrace: whether the device has categories of slices.
        instance: instance of tracefs for the events; empty for the top-level buffer.
        buffer_kb: size of the kernel's buffer of each CPU.
        period_ms: time between two passes over it.

    Raises:
        Unsupported: the facts show that a required event is missing.
    """
    events, syscalls, missing = choose_perfetto_events(needs, facts)
    lacking = tuple(source for source in SOURCES if offered is not None and source not in offered)
    return PerfettoPlan(
        name=name,
        needs=tuple(need.name for need in needs),
        events=events,
        syscalls=syscalls,
        missing=missing,
        sources=tuple(source for source in SOURCES if source not in lacking),
        lacking=lacking,
        packages=(package,) if package and atrace else (),
        atrace=atrace,
        # Only this event has a function. Where the kernel's events are not known, it is Android's kernels that have it.
        symbols="sched:sched_blocked_reason" in events and (facts is not None or atrace),
        instance=instance,
        buffer_kb=buffer_kb,
        period_ms=period_ms,
    )


def make_config(plan: PerfettoPlan) -> protos.TraceConfig:
    """The TraceConfig of a plan."""
    config = protos.TraceConfig(
        duration_ms=MAX_DURATION_MS,
        write_into_file=True,
        file_write_period_ms=_WRITE_PERIOD_MS,
        max_file_size_bytes=MAX_FILE_BYTES,
        flush_period_ms=_FLUSH_PERIOD_MS,
        unique_session_name=plan.name,
    )
    config.buffers.add(size_kb=_BUFFER_KB, fill_policy=protos.TraceConfig.BufferConfig.RING_BUFFER)
    for source in plan.sources:
        data_source = config.data_sources.add().config
        data_source.name = source
        if source == FTRACE:
            _fill_ftrace(data_source.ftrace_config, plan)
        elif source == "linux.process_stats":
            data_source.process_stats_config.scan_all_processes_on_start = True
            data_source.process_stats_config.record_thread_names = True
    return config


def _fill_ftrace(ftrace: protos.FtraceConfig, plan: PerfettoPlan) -> None:
    ftrace.ftrace_events.extend(event.replace(":", "/") for event in plan.events)
    if plan.instance:
        ftrace.instance_name = plan.instance  # which gets no markers of apps, and has no other options
    else:
        ftrace.ftrace_events.append("ftrace/print")
        ftrace.syscall_events.extend(plan.syscalls)
        if plan.atrace:
            ftrace.atrace_categories.extend(CATEGORIES)
            ftrace.atrace_apps.extend(plan.packages)
            ftrace.atrace_userspace_only = True  # the categories would add events of the kernel
        ftrace.symbolize_ksyms = plan.symbols
    ftrace.buffer_size_kb = plan.buffer_kb
    ftrace.drain_period_ms = plan.period_ms
    ftrace.denser_generic_event_encoding = True
    # A compact switch does not say what priority the thread that leaves has by then.
    ftrace.compact_sched.enabled = False


def render_config(config: protos.TraceConfig) -> str:
    """The text form, for people and for ``perfetto --txt``."""
    return str(text_format.MessageToString(config))
