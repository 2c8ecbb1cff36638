"""The set-up of tracing as data: a list of writes into tracefs, and the list that undoes them. No I/O.

The suite uses the top-level buffer and not an instance, because only that buffer gets what apps write to
``trace_marker`` (instances have ``copy_trace_marker`` only in recent kernels). So it saves and restores every file that
it changes. The same writes set up a deterministic run, where a script in the guest performs them first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from android_suite.capture.needs import MARKERS, PROBES, EventChoice, Need
from android_suite.device.files import Write
from android_suite.device.numbers import read_count

_CHOSEN = re.compile(r"\[([^\]]+)\]")
# Saved and restored. Order matters: clock and tracer before the buffer size, events last.
_STATE = (
    "tracing_on",
    "current_tracer",
    "trace_clock",
    "buffer_size_kb",
    "saved_cmdlines_size",
    "set_event_pid",
    "set_event_notrace_pid",
    "options/record-tgid",
    "options/record-cmd",
    "options/markers",
    "options/overwrite",
    "kprobe_events",
    "set_event",
)
_KPROBES = "kprobe_events"
_NAMES = frozenset(probe.name for probe in PROBES)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """The user's choices for tracing.

    Attributes:
        buffer_kb: buffer size per CPU. It must hold the events between two passes of the drain, or of a whole
            deterministic run.
        clock: the trace clock; ``mono`` matches gfxinfo's frames, which have CLOCK_MONOTONIC.
        period_ms: time between two passes of the drain.
        event_pids: record only these processes; empty, the default, records all, because any process may hold a lock.
    """

    buffer_kb: int = 8192
    clock: str = "mono"
    period_ms: int = 500
    event_pids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePlan:
    """The writes, the events that they enable, and what is missing."""

    tracefs: str
    writes: tuple[Write, ...]  # all steps except the last, tracing_on = 1
    choice: EventChoice
    options: TraceOptions
    needs: tuple[str, ...]

    def describe(self) -> dict[str, object]:
        """The set-up for the manifest; two runs are comparable only if it is equal."""
        return {
            "needs": list(self.needs),
            "events": list(self.choice.events),
            "filters": dict(self.choice.filters),
            "missing": list(self.choice.missing),
            "clock": self.options.clock,
            "buffer_kb": self.options.buffer_kb,
            "period_ms": self.options.period_ms,
            "event_pids": list(self.options.event_pids),
        }


def state_files(tracefs: str, choice: EventChoice) -> tuple[str, ...]:
    """The files to save before anything is written."""
    names = (*_STATE, *(f"events/{event.replace(':', '/')}/filter" for event in choice.events))
    return tuple(f"{tracefs}/{name}" for name in names)


def plan_trace(tracefs: str, choice: EventChoice, needs: Sequence[Need], options: TraceOptions) -> TracePlan:
    """The writes that set tracing up, up to the point where ``tracing_on`` starts it."""

    def to(name: str, value: str, *, optional: bool = False, append: bool = False) -> Write:
        return Write(path=f"{tracefs}/{name}", value=value, optional=optional, append=append)

    writes = [
        to("tracing_on", "0"),
        to("current_tracer", "nop"),
        to("set_event", ""),
        to("set_event_notrace_pid", "", optional=True),
        to("set_event_pid", " ".join(map(str, options.event_pids)), optional=not options.event_pids),
        to("trace_clock", options.clock),
        to("buffer_size_kb", str(options.buffer_kb)),
        to("saved_cmdlines_size", "8192", optional=True),
        to("options/record-cmd", "1"),
        to("options/record-tgid", "1", optional=True),
        to("options/overwrite", "1"),
    ]
    if MARKERS in needs:
        writes.append(to("options/markers", "1", optional=True))
    # Appended: a plain write to kprobe_events removes the probes of all users. A probe of the same name is replaced.
    writes += [to(_KPROBES, f"-:{probe.name}", optional=True, append=True) for probe in choice.probes]
    writes += [to(_KPROBES, probe.definition, optional=True, append=True) for probe in choice.probes]
    probed = {probe.event for probe in choice.probes}
    for event in choice.events:
        folder = f"events/{event.replace(':', '/')}"
        # "0" removes a filter that another tool left, which would hide events silently
        writes.append(to(f"{folder}/filter", choice.filters.get(event, "0"), optional=event in probed))
        writes.append(to(f"{folder}/enable", "1", optional=event in probed))
    writes.append(to("trace", ""))  # empties the buffers, so that the loss counts start at zero
    return TracePlan(
        tracefs=tracefs,
        writes=tuple(writes),
        choice=choice,
        options=options,
        needs=tuple(need.name for need in needs),
    )


def settle_probes(plan: TracePlan, refused: Sequence[Write]) -> tuple[TracePlan, list[str]]:
    """Finds out which probes the kernel allowed.

    Args:
        plan: the plan whose writes were done.
        refused: the writes that the kernel refused.

    Returns:
        The plan, with events of refused probes moved to the missing ones, and a sentence for each function that could
        not be probed.
    """
    off = {write.path for write in refused if write.path.endswith("/enable")}
    lacking = [p for p in plan.choice.probes if f"{plan.tracefs}/events/{p.name}/enable" in off]
    absent = {probe.event for probe in lacking}
    choice = replace(
        plan.choice,
        events=tuple(event for event in plan.choice.events if event not in absent),
        missing=(*plan.choice.missing, *sorted(absent)),
    )
    said = [
        f"this kernel does not allow a probe on {symbol} (inlined, not traceable, or no CONFIG_KPROBE_EVENTS); "
        "recorded without it"
        for symbol in sorted({probe.symbol for probe in lacking})
    ]
    return replace(plan, choice=choice), said


def list_refusals(plan: TracePlan, refused: Sequence[Write]) -> list[str]:
    """A line for each refused write, except those of probes, which :func:`settle_probes` explains."""
    probed = {f"{plan.tracefs}/events/{p.name}/{name}" for p in plan.choice.probes for name in ("filter", "enable")}
    probed.add(f"{plan.tracefs}/{_KPROBES}")
    return [f"{write.path} refused {write.value!r}" for write in refused if write.path not in probed]


def plan_restore(tracefs: str, choice: EventChoice, found: Mapping[str, str | None]) -> tuple[Write, ...]:
    """The writes that restore tracefs.

    Args:
        tracefs: path of tracefs.
        choice: the events that were enabled.
        found: saved contents of the files of :func:`state_files`; None for missing files.
    """
    texts = {path: text.strip() for path, text in found.items() if text is not None}

    def to(name: str, value: str, *, append: bool = False) -> Write:
        return Write(path=f"{tracefs}/{name}", value=value, append=append, optional=True)

    writes = [to("tracing_on", "0"), to("set_event", "")]
    for event in choice.events:
        name = f"events/{event.replace(':', '/')}/filter"
        before = texts.get(f"{tracefs}/{name}", "none")
        writes.append(to(name, "0" if before in ("", "none") else before))
    if (probes := texts.get(f"{tracefs}/{_KPROBES}")) is not None:
        # All that the suite ever sets, not only those of this choice: a killed recording may have left them.
        writes += [to(_KPROBES, f"-:{probe.name}", append=True) for probe in PROBES]
        writes += [to(_KPROBES, line, append=True) for line in probes.splitlines() if _defines(line) in _NAMES]
    for name in _STATE:
        if name in ("tracing_on", "set_event", _KPROBES) or f"{tracefs}/{name}" not in texts:
            continue
        value = parse_state(name, texts[f"{tracefs}/{name}"])
        if value is not None:
            writes.append(to(name, value))
    enabled = texts.get(f"{tracefs}/set_event", "").split()
    writes += [to("set_event", event, append=True) for event in enabled]
    writes.append(to("trace", ""))
    writes.append(to("tracing_on", texts.get(f"{tracefs}/tracing_on", "1")))
    return tuple(writes)


def _defines(line: str) -> str:
    """Name of the probe that a line of ``kprobe_events`` defines: ``r4:kprobes/open_return do_sys_open``."""
    return line.partition(" ")[0].partition(":")[2]


def parse_state(name: str, text: str) -> str | None:
    """The value to write into a file of tracefs so that it reads ``text`` again; None if there is none."""
    if name == "trace_clock":
        chosen = _CHOSEN.search(text)
        return chosen.group(1) if chosen else None
    if name == "buffer_size_kb":
        # "7 (expanded: 1408)" is a buffer that was never used. That state cannot be restored, so write 1408, which its
        # next user would have got. "X" means that the CPUs differ, which one number cannot restore.
        expanded = re.search(r"expanded: ([0-9]{1,18})", text)
        return expanded.group(1) if expanded else (text if read_count(text) is not None else None)
    if name in ("set_event_pid", "set_event_notrace_pid"):
        return " ".join(text.split())
    return text or None
