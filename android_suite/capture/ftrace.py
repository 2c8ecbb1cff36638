"""ftrace, raw: the per-CPU ring buffers streamed to the host while the scenario runs, so that they survive the device.

Written into ``ftrace/`` of the iteration: ``cpuN.raw``, ``meta.json``, event formats, saved comms, per-CPU counts.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from android_suite.capture.demux import FrameDemux
from android_suite.capture.native_program import build_program
from android_suite.capture.needs import Need, choose_events
from android_suite.capture.trace_plan import (
    TRACEFS_PLACES,
    TraceOptions,
    TracePlan,
    plan_restore,
    plan_trace,
    state_files,
)
from android_suite.device.device import BOOT_ID, WORK_FOLDER, Device
from android_suite.device.files import Write
from android_suite.device.transport import Stream
from android_suite.errors import AdbTimeout, LabError, SuiteError, Unsupported
from android_suite.store.run import IterationWriter

AS_FOUND = f"{WORK_FOLDER}/tracefs-as-found.json"
_READ_TIMEOUT_S = 5.0
_READY_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 120.0  # the rest of full buffers over a slow link
_LOST = re.compile(r"^(overrun|commit overrun|dropped events):\s*(\d+)", re.MULTILINE)
_SIDE_FILES = ("saved_cmdlines", "saved_tgids", "printk_formats")


@dataclass(frozen=True, slots=True, kw_only=True)
class TracefsFacts:
    """What tracing on one boot of one device can do; read once, used by every iteration."""

    tracefs: str
    available: frozenset[str]
    machine: str
    release: str
    page_bytes: int


def read_tracefs_facts(device: Device) -> TracefsFacts:
    """Looks for tracefs and reads its events.

    Raises:
        Unsupported: there is none, or the shell may not use it.
    """
    listed = device.read_files([f"{place}/available_events" for place in TRACEFS_PLACES])
    place = next((place for place in TRACEFS_PLACES if listed[f"{place}/available_events"]), None)
    if place is None:
        raise Unsupported(
            f"{device.serial} shows no tracefs to its shell; use a userdebug build and `adb root`, or mount tracefs."
        )
    files = device.read_files([f"{place}/buffer_subbuf_size_kb", f"{place}/events/header_page"])
    uname = device.run("uname -m; uname -r").text.splitlines()
    return TracefsFacts(
        tracefs=place,
        available=frozenset((listed[f"{place}/available_events"] or b"").decode().split()),
        machine=uname[0],
        release=uname[1],
        page_bytes=_read_page_bytes(files[f"{place}/buffer_subbuf_size_kb"], files[f"{place}/events/header_page"]),
    )


def _read_page_bytes(subbuf_kb: bytes | None, header_page: bytes | None) -> int:
    """Size of a sub-buffer: as the file says, else from the layout of its header (offset and size of ``data``)."""
    if subbuf_kb and subbuf_kb.strip().isdigit():
        return int(subbuf_kb) * 1024
    found = re.search(rb"char data;\s*offset:(\d+);\s*size:(\d+);", header_page or b"")
    return int(found.group(1)) + int(found.group(2)) if found else 4096


def parse_lost(stats: str) -> int:
    """Events lost on a CPU, from its ``stats``: overwritten, not committed, dropped."""
    return sum(int(count) for _, count in _LOST.findall(stats))


class FtraceCapture:
    """A :class:`~android_suite.capture.source.Source`. One object serves one iteration."""

    name = "ftrace"

    def __init__(
        self, device: Device, needs: tuple[Need, ...], *, facts: TracefsFacts, options: TraceOptions | None = None
    ) -> None:
        self._device, self._facts = device, facts
        self.plan: TracePlan = plan_trace(
            facts.tracefs, choose_events(needs, facts.available, facts.machine), needs, options or TraceOptions()
        )
        self.lost_events: int | None = None
        self._found: Mapping[str, str | None] | None = None
        self._out: IterationWriter | None = None
        self._stream: Stream | None = None
        self._reader: threading.Thread | None = None
        self._ready = threading.Event()
        self._fault: SuiteError | None = None
        self._program = ""
        self._notes: list[str] = []
        self._clock_sync: dict[str, str] = {}

    def prepare(self, out: IterationWriter) -> None:
        """Remembers tracefs as found, on the device too: a killed suite must not pass its own state off as that."""
        self._out = out
        device, plan = self._device, self.plan
        self._program = device.push_program(build_program("ftrace_drain", self._facts.machine), "ftrace_drain")
        names = state_files(plan.tracefs, plan.choice)
        found = dict(device.read_texts([*names, AS_FOUND, BOOT_ID]))
        left, boot = found.pop(AS_FOUND), (found.pop(BOOT_ID) or "").strip()
        self._found = self._merge_left(found, left, boot)
        device.transport.push(json.dumps({"boot": boot, "files": dict(self._found)}).encode(), AS_FOUND)
        refused = device.write_files(plan.writes)
        self._notes += [f"{write.path} refused {write.value!r}" for write in refused]

    def _merge_left(self, found: Mapping[str, str | None], left: str | None, boot: str) -> Mapping[str, str | None]:
        """Prefers what a killed predecessor found in the same boot."""
        if not left:
            return found
        try:
            before = json.loads(left)
            if before["boot"] != boot:
                return found
            files = {str(path): str(text) for path, text in before["files"].items() if text is not None}
        except (ValueError, KeyError, TypeError, AttributeError):
            return found
        self._notes.append("tracefs was left by an interrupted recording; what that one had found is put back")
        return {**found, **{path: text for path, text in files.items() if path.startswith(self.plan.tracefs)}}

    def start(self) -> None:
        """Starts the drain, waits until it holds every buffer, switches tracing on."""
        options = self.plan.options
        self._stream = self._device.transport.stream(
            [self._program, self.plan.tracefs, str(self._facts.page_bytes), str(options.period_ms)]
        )
        self._reader = threading.Thread(target=self._read_stream, name="ftrace-drain", daemon=True)
        self._reader.start()
        if not self._ready.wait(_READY_TIMEOUT_S) or self._fault:
            raise self._fault or LabError(
                f"{self._device.serial}: the trace drain did not start; run `android-suite doctor`."
            )
        self._device.write_files([self._to("tracing_on", "1")])
        self._mark_clock("start")

    def _read_stream(self) -> None:
        assert self._stream is not None
        assert self._out is not None
        out = self._out

        def open_file(cpu: int) -> BinaryIO:
            return out.path(f"ftrace/cpu{cpu}.raw").open("wb")

        demux = FrameDemux(open_file)
        try:
            while True:
                try:
                    data = self._stream.read(timeout=_READ_TIMEOUT_S)
                except AdbTimeout:
                    continue  # an idle device sends nothing; its death ends the connection instead
                if not data:
                    break
                demux.feed(data)
                if demux.cpus is not None:
                    self._ready.set()
            said = self._stream.stderr.decode(errors="replace").strip()
            if self._stream.status != 0 or demux.pending_bytes or demux.cpus is None:
                self._fault = LabError(
                    f"{self._device.serial}: the trace drain ended with status {self._stream.status} "
                    f"({said or 'no message'}); record again."
                )
        except SuiteError as error:
            self._fault = error
        except OSError as error:
            self._fault = LabError(f"cannot write the trace ({error.strerror}); free space or choose another folder.")
        finally:
            demux.close()
            self._ready.set()

    def _mark_clock(self, when: str) -> None:
        """Ties trace time to wall time, in the marker form that systrace and atrace use."""
        script = (
            f"r=$(date +%s%N); case $r in *N) r=$(date +%s)000000000;; esac; "
            f"echo trace_event_clock_sync: realtime_ts=${{r%??????}} > {self.plan.tracefs}/trace_marker; "
            "echo $r; cat /proc/uptime"
        )
        told = self._device.transport.run(script).text.split()
        if len(told) >= 2:
            self._clock_sync |= {f"{when}_realtime_ns": told[0], f"{when}_uptime_s": told[1]}

    def check(self) -> None:
        """Raises what the drain ran into, if anything."""
        if self._fault:
            raise self._fault

    def stop(self) -> None:
        """Switches tracing off and waits until the drain has sent the rest."""
        self._device.write_files([self._to("tracing_on", "0")])
        self._end_stream()
        self.check()

    def _end_stream(self) -> None:
        if self._stream is None or self._reader is None:
            return
        self._stream.close_stdin()
        self._reader.join(_STOP_TIMEOUT_S)
        if self._reader.is_alive():
            self._fault = LabError(
                f"{self._device.serial}: the rest of the trace did not arrive in {_STOP_TIMEOUT_S:.0f} s; record again."
            )
        self._stream.close()
        self._stream = None

    def pull(self) -> None:
        """Fetches formats, comms and counts."""
        assert self._out is not None
        out, device, tracefs = self._out, self._device, self.plan.tracefs
        listed = device.run(f"cd {tracefs} && echo per_cpu/cpu*/stats events/ftrace/*/format").text.split()
        stats = [name for name in listed if name.startswith("per_cpu/")]
        formats = [f"events/{event.replace(':', '/')}/format" for event in self.plan.choice.events]
        formats += [name for name in listed if name.startswith("events/")]
        wanted = ["events/header_page", "events/header_event", *_SIDE_FILES, *formats, *stats]
        if any(event == "sched:sched_blocked_reason" for event in self.plan.choice.events):
            symbols = device.read_file("/proc/kallsyms")
            if symbols:
                out.write("ftrace/kallsyms", symbols)
        found = device.read_texts([f"{tracefs}/{name}" for name in wanted])
        lost = 0
        for name in wanted:
            data = found[f"{tracefs}/{name}"]
            if data is None:
                continue
            if name.startswith("per_cpu/"):
                lost += parse_lost(data)
                out.write(f"ftrace/stats/{name.split('/')[1]}.txt", data)
            elif name.endswith("/format"):
                out.write(f"ftrace/formats/{name.removeprefix('events/').removesuffix('/format')}", data)
            else:
                out.write(f"ftrace/{name.rsplit('/', 1)[-1]}", data)
        self.lost_events = lost
        out.write("ftrace/meta.json", json.dumps(self._describe(), indent=1) + "\n")

    def _describe(self) -> dict[str, object]:
        return {
            "page_size": self._facts.page_bytes,
            "clock": self.plan.options.clock,
            "long_size": 8,
            "endian": "little",
            "kernel": self._facts.release,
            "machine": self._facts.machine,
            "clock_sync": self._clock_sync,
            "notes": self._notes,
            "enabled_events": list(self.plan.choice.events),
            "missing_events": list(self.plan.choice.missing),
        }

    def restore(self) -> None:
        """Puts tracefs back as it was found."""
        if self._found is None:
            return
        found, self._found = self._found, None
        try:
            self._device.write_files(plan_restore(self.plan.tracefs, self.plan.choice, found))
            self._device.run(["rm", "-f", AS_FOUND])
        finally:
            with suppress(SuiteError):
                self._end_stream()

    def _to(self, name: str, value: str) -> Write:
        return Write(path=f"{self.plan.tracefs}/{name}", value=value)
