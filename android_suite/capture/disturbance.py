"""Detects whether another user of the same buffers (traced, atrace, a colleague) disturbed a trace."""

from __future__ import annotations

import mmap
import re
from collections.abc import Mapping
from pathlib import Path

# Files that change on their own or do not affect the recording.
_NOT_COMPARED = frozenset({"saved_cmdlines_size", "kprobe_events"})


def find_owner(tracefs: str, found: Mapping[str, str | None]) -> str:
    """Describes a trace that another user is recording, from its set-up; empty if there is none.

    Args:
        tracefs: path of tracefs.
        found: contents of the files of :func:`~android_suite.capture.trace_plan.state_files`.
    """

    def read(name: str) -> str:
        return (found.get(f"{tracefs}/{name}") or "").strip()

    if read("tracing_on") != "1":
        return ""
    tracer, events = read("current_tracer"), read("set_event").split()
    if tracer not in ("", "nop"):
        return f"tracer {tracer}"
    if events:
        more = f" and {len(events) - 1} more" if len(events) > 1 else ""
        return f"event {events[0]}{more}"
    return ""


def tell_changes(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> list[str]:
    """A sentence if the set-up changed while the trace was recorded, else nothing."""
    changed = find_changes(before, after)
    return [f"the trace was disturbed: {', '.join(changed)} changed while it was recorded"] if changed else []


def find_changes(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> list[str]:
    """The changes to the set-up: ``name from X to Y`` for every file whose content differs now."""
    changes = []
    for path, text in before.items():
        name = path.rpartition("/tracing/")[2]
        if name.rpartition("/")[2] in _NOT_COMPARED:
            continue
        old, new = _normalize(text), _normalize(after.get(path))
        if old == new:
            continue
        if name == "set_event":
            gone, come = sorted(set(old.split()) - set(new.split())), sorted(set(new.split()) - set(old.split()))
            told = [f"{len(names)} {verb} ({names[0]})" for names, verb in ((gone, "off"), (come, "on")) if names]
            changes.append(f"events: {', '.join(told)}")
        else:
            changes.append(f"{name} from {old[:80] or 'nothing'} to {new[:80] or 'nothing'}")
    return changes


def _normalize(text: str | None) -> str:
    """The content in one line; of a choice such as ``local [mono]``, the selected word."""
    line = " ".join((text or "").split())
    chosen = re.search(r"\[([^\]]+)\]", line)
    return chosen.group(1) if chosen else line


def find_gaps(folder: Path, token: str, *, lost: bool, heartbeats: bool = True) -> list[str]:
    """Finds the suite's marks that are missing in the raw pages: one at the start, one at the end, heartbeats between.

    Args:
        folder: the folder with ``cpuN.raw``.
        token: the text in every mark of this iteration.
        lost: whether the kernel lost events, because marks may be among them.
        heartbeats: whether there were any; a guest that runs isolated drains its buffers once and writes none.

    Returns:
        A sentence if any mark is missing, else nothing.
    """
    pattern = re.compile(rb"android_suite: (start|end|beat (\d+)) " + re.escape(token.encode()))
    ends: set[bytes] = set()
    beats: set[int] = set()
    for file in folder.glob("cpu*.raw"):
        if file.stat().st_size == 0:
            continue
        with file.open("rb") as pages, mmap.mmap(pages.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for mark in pattern.finditer(data):
                if mark.group(2):
                    beats.add(int(mark.group(2)))
                else:
                    ends.add(mark.group(1))
    if lost:
        return []
    missing = [f"the mark at the {edge}" for edge in ("start", "end") if edge.encode() not in ends]
    if heartbeats and (absent := set(range(max(beats, default=0) + 1)) - beats):
        missing.append(f"{len(absent)} of {max(beats, default=0) + 1} heartbeats")
    if not missing:
        return []
    return [
        f"the trace was disturbed: it lacks {' and '.join(missing)}; something may have switched it off or emptied it"
    ]
