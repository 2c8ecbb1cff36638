"""ftrace, raw: the per-CPU ring buffers streamed to the host while the scenario runs, so that they survive the device.

Written into ``ftrace/`` of the iteration: ``cpuN.raw``, ``meta.json``, event formats, saved comms, per-CPU counts.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import BinaryIO

from android_suite.capture.demux import FrameDemux
from android_suite.capture.native_program import build_program
from android_suite.capture.needs import Need, choose_events
from android_suite.capture.trace_files import TracefsFacts, pull_trace_files
from android_suite.capture.trace_plan import (
    TraceOptions,
    TracePlan,
    plan_restore,
    plan_trace,
    state_files,
)
from android_suite.device.device import BOOT_ID, WORK_FOLDER, Device
from android_suite.device.files import Write
from android_suite.device.transport import Stream
from android_suite.errors import AdbTimeout, LabError, SuiteError
from android_suite.store.run import IterationWriter

AS_FOUND = f"{WORK_FOLDER}/tracefs-as-found.json"
_READ_TIMEOUT_S = 5.0
_READY_TIMEOUT_S = 30.0
_ALONE_TIMEOUT_S = 3.0
_STOP_TIMEOUT_S = 120.0  # the rest of full buffers over a slow link


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
        self._wait_alone()
        names = state_files(plan.tracefs, plan.choice)
        found = dict(device.read_texts([*names, AS_FOUND, BOOT_ID]))
        left, boot = found.pop(AS_FOUND), (found.pop(BOOT_ID) or "").strip()
        self._found = self._merge_left(found, left, boot)
        device.transport.push(json.dumps({"boot": boot, "files": dict(self._found)}).encode(), AS_FOUND)
        refused = device.write_files(plan.writes)
        self._notes += [f"{write.path} refused {write.value!r}" for write in refused]

    def _wait_alone(self) -> None:
        """Refuses a device that is being recorded: there is one top-level buffer, and the other's drain empties it."""
        deadline = time.monotonic() + _ALONE_TIMEOUT_S
        while others := self._device.pidof(PurePosixPath(self._program).name):
            if time.monotonic() > deadline:
                raise LabError(
                    f"{self._device.serial}: another recording runs there (ftrace_drain, pid {others[0]}); wait for its "
                    "end, or take another device."
                )
            time.sleep(0.2)  # the drain of a killed suite ends as soon as adbd has closed its input

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
        about = {"clock_sync": self._clock_sync, "notes": self._notes}
        self.lost_events = pull_trace_files(self._device, self.plan, self._facts, self._out, about=about)

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
