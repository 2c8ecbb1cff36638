"""How tracing is set up, as data: a list of writes into tracefs, and the list that undoes them. Pure.

The top-level buffer is used, not an instance of our own: what apps write to ``trace_marker`` goes there and nowhere
else (instances only got ``copy_trace_marker`` in recent kernels). So everything touched is read first and put back.
The same writes set up a deterministic run, where a script does them inside the guest before anything else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from android_suite.capture.needs import MARKERS, EventChoice, Need
from android_suite.device.files import Write

_CHOSEN = re.compile(r"\[([^\]]+)\]")
# Kept as found and put back. Order matters: the clock and the tracer before the buffer's size, events last.
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
    "set_event",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """What the user may choose about tracing.

    Attributes:
        buffer_kb: per CPU. Must hold what arrives between two passes of the drain, or a whole deterministic run.
        clock: of tracefs; ``mono`` joins gfxinfo's frames, which carry CLOCK_MONOTONIC.
        period_ms: between two passes of the drain.
        event_pids: only these processes' events; empty, the default, is all, since any process may hold a lock.
    """

    buffer_kb: int = 8192
    clock: str = "mono"
    period_ms: int = 500
    event_pids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePlan:
    """What is written, what it enables, and what is lacking."""

    tracefs: str
    writes: tuple[Write, ...]  # all but the last step, tracing_on = 1
    choice: EventChoice
    options: TraceOptions
    needs: tuple[str, ...]

    def describe(self) -> dict[str, object]:
        """For the manifest; two runs are comparable only if it is equal."""
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
    """The files to be read before anything is written."""
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
    for event in choice.events:
        folder = f"events/{event.replace(':', '/')}"
        # "0" takes a filter away that someone else left: it would hide events and nothing would tell
        writes.append(to(f"{folder}/filter", choice.filters.get(event, "0")))
        writes.append(to(f"{folder}/enable", "1"))
    writes.append(to("trace", ""))  # empties the buffers, so that the counts of loss begin at zero
    return TracePlan(
        tracefs=tracefs,
        writes=tuple(writes),
        choice=choice,
        options=options,
        needs=tuple(need.name for need in needs),
    )


def plan_restore(tracefs: str, choice: EventChoice, found: Mapping[str, str | None]) -> tuple[Write, ...]:
    """The writes that put tracefs back as it was found.

    Args:
        tracefs: where it is.
        choice: the events that were enabled.
        found: what the files of :func:`state_files` held; None for those that are not there.
    """
    texts = {path: text.strip() for path, text in found.items() if text is not None}

    def to(name: str, value: str, *, append: bool = False) -> Write:
        return Write(path=f"{tracefs}/{name}", value=value, append=append, optional=True)

    writes = [to("tracing_on", "0"), to("set_event", "")]
    for event in choice.events:
        name = f"events/{event.replace(':', '/')}/filter"
        before = texts.get(f"{tracefs}/{name}", "none")
        writes.append(to(name, "0" if before in ("", "none") else before))
    for name in _STATE:
        if name in ("tracing_on", "set_event") or f"{tracefs}/{name}" not in texts:
            continue
        value = parse_state(name, texts[f"{tracefs}/{name}"])
        if value is not None:
            writes.append(to(name, value))
    enabled = texts.get(f"{tracefs}/set_event", "").split()
    writes += [to("set_event", event, append=True) for event in enabled]
    writes.append(to("trace", ""))
    writes.append(to("tracing_on", texts.get(f"{tracefs}/tracing_on", "1")))
    return tuple(writes)


def parse_state(name: str, text: str) -> str | None:
    """What to write into a file of tracefs so that it reads ``text`` again; None if nothing would."""
    if name == "trace_clock":
        chosen = _CHOSEN.search(text)
        return chosen.group(1) if chosen else None
    if name == "buffer_size_kb":
        # "7 (expanded: 1408)" is a buffer that nobody has used yet; once touched it cannot say so any more, and 1408
        # is what its next user would have got. "X" means that the CPUs differ, which one number cannot restore.
        expanded = re.search(r"expanded: (\d+)", text)
        return expanded.group(1) if expanded else (text if text.isdigit() else None)
    if name in ("set_event_pid", "set_event_notrace_pid"):
        return " ".join(text.split())
    return text or None
