"""The files that a raw trace needs beside its ring buffers (event formats, comms, counts), and facts about tracefs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from android_suite.capture.trace_plan import TracePlan
from android_suite.device.device import TRACEFS_PLACES, Device
from android_suite.device.numbers import read_count
from android_suite.errors import AdbError, Unsupported
from android_suite.store.run import IterationWriter

_LOST = re.compile(r"^(overrun|commit overrun|dropped events):\s*(\d{1,18})", re.MULTILINE)
_SIDE_FILES = ("saved_cmdlines", "saved_tgids")


@dataclass(frozen=True, slots=True, kw_only=True)
class TracefsFacts:
    """The tracing capabilities of one boot of one device; read once, used by every iteration.

    Attributes:
        tracefs: where it is mounted.
        available: events that the kernel has, ``system:name``.
        machine: ``uname -m``.
        release: ``uname -r``.
        page_bytes: size of a sub-buffer.
    """

    tracefs: str
    available: frozenset[str]
    machine: str
    release: str
    page_bytes: int


def read_tracefs_facts(device: Device) -> TracefsFacts:
    """Finds tracefs and reads its list of events.

    Raises:
        Unsupported: there is no tracefs, or the shell may not use it.
    """
    listed = device.read_files([f"{place}/available_events" for place in TRACEFS_PLACES])
    place = next((place for place in TRACEFS_PLACES if listed[f"{place}/available_events"]), None)
    if place is None:
        denied = [path for path, said in device.look(TRACEFS_PLACES).items() if said == "denied"]
        who = "root (SELinux)" if device.is_root() else "the shell"
        raise Unsupported(
            f"{device.serial} denies {denied[0]} to {who}; `android-suite doctor` says what to do."
            if denied
            else f"the shell of {device.serial} has no access to tracefs; use a userdebug build and `adb root`, or mount tracefs."
        )
    files = device.read_files([f"{place}/buffer_subbuf_size_kb", f"{place}/events/header_page"])
    uname = device.run("uname -m; uname -r").text.splitlines()
    if len(uname) != 2:
        raise AdbError(f"{device.serial} does not report its kernel; check `uname -a`.", serial=device.serial)
    return TracefsFacts(
        tracefs=place,
        available=frozenset((listed[f"{place}/available_events"] or b"").decode(errors="replace").split()),
        machine=uname[0],
        release=uname[1],
        page_bytes=_read_page_bytes(files[f"{place}/buffer_subbuf_size_kb"], files[f"{place}/events/header_page"]),
    )


def _read_page_bytes(subbuf_kb: bytes | None, header_page: bytes | None) -> int:
    """Size of a sub-buffer: from its file, else from the layout of the header (offset and size of ``data``)."""
    if kib := read_count(subbuf_kb or b""):
        return kib * 1024
    found = re.search(rb"char data;\s*offset:(\d{1,9});\s*size:(\d{1,9});", header_page or b"")
    return int(found.group(1)) + int(found.group(2)) if found else 4096


def parse_lost(stats: str) -> int:
    """Events lost on a CPU, from its ``stats``: overwritten, not committed, dropped."""
    return sum(int(count) for _, count in _LOST.findall(stats))


def pull_trace_formats(
    device: Device, plan: TracePlan, facts: TracefsFacts, out: IterationWriter, *, about: Mapping[str, object]
) -> None:
    """Fetches event formats and header layouts, which the pages need to be read; writes ``ftrace/meta.json``.

    It runs before the work, so that the trace of a device that is lost meanwhile can be read.

    Args:
        device: the device, with its events enabled.
        plan: the plan that enabled them.
        facts: facts about its tracefs.
        out: the iteration.
        about: further entries of the description: clock sync, notes.
    """
    tracefs = plan.tracefs
    listed = device.run(f"cd {tracefs} && echo events/ftrace/*/format").text.split()
    formats = [f"events/{event.replace(':', '/')}/format" for event in plan.choice.events]
    wanted = ["events/header_page", "events/header_event", "printk_formats", *formats, *listed]
    if "sched:sched_blocked_reason" in plan.choice.events and (symbols := device.read_file("/proc/kallsyms")):
        out.write("ftrace/kallsyms", symbols)
    found = device.read_texts([f"{tracefs}/{name}" for name in wanted])
    for name in wanted:
        data = found[f"{tracefs}/{name}"]
        if data is None:
            continue
        if name.endswith("/format"):
            out.write(f"ftrace/formats/{name.removeprefix('events/').removesuffix('/format')}", data)
        else:
            out.write(f"ftrace/{name.rsplit('/', 1)[-1]}", data)
    write_meta(plan, facts, out, about=about)


def write_meta(plan: TracePlan, facts: TracefsFacts, out: IterationWriter, *, about: Mapping[str, object]) -> None:
    """Writes ``ftrace/meta.json``: facts that the pages do not contain."""
    meta = {
        "page_size": facts.page_bytes,
        "clock": plan.options.clock,
        "long_size": 8,
        "endian": "little",
        "kernel": facts.release,
        "machine": facts.machine,
        "enabled_events": list(plan.choice.events),
        "missing_events": list(plan.choice.missing),
        **about,
    }
    out.write("ftrace/meta.json", json.dumps(meta, indent=1) + "\n")


def pull_trace_counts(device: Device, tracefs: str, out: IterationWriter) -> int:
    """Fetches comms and per-CPU counts from a device whose tracing is off and whose buffers are drained.

    Returns:
        The number of lost events according to the kernel.
    """
    listed = device.run(f"cd {tracefs} && echo per_cpu/cpu*/stats").text.split()
    found = device.read_texts([f"{tracefs}/{name}" for name in (*_SIDE_FILES, *listed)])
    lost = 0
    for name in (*_SIDE_FILES, *listed):
        data = found[f"{tracefs}/{name}"]
        if data is None:
            continue
        if name.startswith("per_cpu/"):
            lost += parse_lost(data)
            out.write(f"ftrace/stats/{name.split('/')[1]}.txt", data)
        else:
            out.write(f"ftrace/{name}", data)
    return lost
