"""Raw ftrace: streams the per-CPU ring buffers to the host during the scenario, so that a crash loses little.

Files in ``ftrace/`` of the iteration: ``cpuN.raw``, ``meta.json``, event formats, saved comms, per-CPU counts.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Self

from android_suite.capture.demux import FrameDemux
from android_suite.capture.disturbance import find_gaps, find_owner, tell_changes
from android_suite.capture.native_program import build_program
from android_suite.capture.needs import NEEDS, EventChoice, Need, choose_events, find_needs, list_calls
from android_suite.capture.source import GUEST_FOLDER, GuestSteps, Request, Site
from android_suite.capture.trace_files import (
    TracefsFacts,
    pull_trace_counts,
    pull_trace_formats,
    read_tracefs_facts,
    write_meta,
)
from android_suite.capture.trace_plan import (
    TraceOptions,
    TracePlan,
    list_refusals,
    plan_restore,
    plan_trace,
    settle_probes,
    state_files,
)
from android_suite.device.device import BOOT_ID, TRACEFS_PLACES, WORK_FOLDER, Device
from android_suite.device.files import (
    Write,
    parse_read_lines_output,
    parse_write_output,
    render_read_lines_script,
    render_write_script,
)
from android_suite.device.transport import Stream
from android_suite.errors import AdbTimeout, LabError, SuiteError, Unsupported
from android_suite.store.run import IterationWriter

AS_FOUND = f"{WORK_FOLDER}/tracefs-as-found.json"
_READ_TIMEOUT_S = 5.0
_READY_TIMEOUT_S = 30.0
_ALONE_TIMEOUT_S = 3.0
_STOP_TIMEOUT_S = 120.0  # the rest of full buffers over a slow link
# The buffers must hold a whole deterministic run. 6 s of the inversion profile take about 5 MB.
_GUEST_BUFFER_KB: Final = 65536
_GUEST_TOKEN: Final = "alone"  # the same in every run, because runs must repeat to the byte
_SET_UP: Final = "tracefs_set_up.txt"
_AT_END: Final = "tracefs_at_end.txt"


class FtraceCapture:
    """A :class:`~android_suite.capture.source.Source`, for one iteration."""

    name = "ftrace"

    def __init__(
        self,
        device: Device,
        needs: tuple[Need, ...],
        *,
        facts: TracefsFacts,
        cache: Path,
        options: TraceOptions | None = None,
        take: bool = False,
    ) -> None:
        self._device, self._facts, self._cache, self._take = device, facts, cache, take
        self._token = secrets.token_hex(8)
        self._set_up: Mapping[str, str | None] = {}
        self.plan: TracePlan = plan_trace(
            facts.tracefs, choose_events(needs, facts.available, facts.machine), needs, options or TraceOptions()
        )
        self._found: Mapping[str, str | None] | None = None
        self._out: IterationWriter | None = None
        self._stream: Stream | None = None
        self._reader: threading.Thread | None = None
        self._ready, self._counting = threading.Event(), threading.Event()
        self._fault: SuiteError | None = None
        self._program = ""
        self._notes: list[str] = []
        self._clock_sync: dict[str, str] = {}

    @classmethod
    def for_host(cls, request: Request, site: Site) -> Self | None:
        """See the protocol."""
        if site.tracefs is None or request.capture == "perfetto":
            return None
        needs = find_needs(request.needs)
        return cls(
            site.device,
            needs,
            facts=site.tracefs,
            cache=request.cache,
            options=request.tracing,
            take=request.take_tracing,
        )

    @classmethod
    def for_guest(cls, request: Request, machine: str) -> GuestSteps | None:
        """See the protocol."""
        if not request.traced:
            return None
        plan = _plan_unseen(find_needs(request.needs), replace(request.tracing, buffer_kb=_GUEST_BUFFER_KB))
        size = f"{plan.tracefs}/buffer_subbuf_size_kb"
        program = f"{GUEST_FOLDER}/ftrace_drain"
        setup = render_write_script(plan.writes).rstrip("\n")
        look = render_read_lines_script(state_files(plan.tracefs, plan.choice)).rstrip("\n")
        mark = f"android_suite: %s {_GUEST_TOKEN}\\n"
        return GuestSteps(
            start=(
                f"(\n{setup}\n) > $out/refused.txt\n(\n{look}\n) > $out/{_SET_UP}\necho 1 > {plan.tracefs}/tracing_on\n"
                f"printf '{mark}' start > {plan.tracefs}/trace_marker"
            ),
            stop=(
                f"printf '{mark}' end > {plan.tracefs}/trace_marker\n(\n{look}\n) > $out/{_AT_END}\n"
                f"echo 0 > {plan.tracefs}/tracing_on"
            ),
            pull=(
                f"kb=4\nif [ -r {size} ]; then read kb < {size}; fi\n"
                f"{program} {plan.tracefs} $((kb * 1024)) 1 -o $out < /dev/null 2> $out/drain.txt\n"
                "echo $? > $out/drain_status.txt"
            ),
            files={program: build_program("ftrace_drain", machine, cache=request.cache)},
            collect=partial(_collect, plan),
        )

    def prepare(self, out: IterationWriter) -> None:
        """Saves the state of tracefs, also on the device, so that a later run can restore it if this one is killed."""
        self._out = out
        device, plan = self._device, self.plan
        out.note(trace_setup=plan.describe())
        self._program = device.push_program(
            build_program("ftrace_drain", self._facts.machine, cache=self._cache), "ftrace_drain"
        )
        self._wait_alone()
        names = state_files(plan.tracefs, plan.choice)
        found = dict(device.read_texts([*names, AS_FOUND, BOOT_ID]))
        left, boot = found.pop(AS_FOUND), (found.pop(BOOT_ID) or "").strip()
        merged = self._merge_left(found, left, boot)
        if merged is found and not self._take and (owner := find_owner(plan.tracefs, found)):
            raise LabError(
                f"{device.serial}: another tool is recording a trace ({owner}); wait for its end, or take it over with "
                "--take-tracing."
            )
        self._found = merged
        device.transport.push(json.dumps({"boot": boot, "files": dict(self._found)}).encode(), AS_FOUND)
        refused = device.write_files(plan.writes)
        self.plan, remarks = settle_probes(plan, refused)
        self._notes += list_refusals(plan, refused)
        out.remark(*remarks)
        out.note(trace_setup=self.plan.describe())
        pull_trace_formats(device, self.plan, self._facts, out, about=self._about())

    def _about(self) -> dict[str, object]:
        return {"clock_sync": self._clock_sync, "notes": self._notes}

    def _wait_alone(self) -> None:
        """Refuses a device that another run records: both would drain the one top-level buffer."""
        deadline = time.monotonic() + _ALONE_TIMEOUT_S
        while others := self._device.pidof(PurePosixPath(self._program).name):
            if time.monotonic() > deadline:
                raise LabError(
                    f"{self._device.serial}: another recording is running (ftrace_drain, pid {others[0]}); wait for it "
                    "to end, or use another device."
                )
            time.sleep(0.2)  # the drain of a killed run ends as soon as adbd closes its input

    def _merge_left(self, found: Mapping[str, str | None], left: str | None, boot: str) -> Mapping[str, str | None]:
        """The state that a killed run saved in the same boot takes precedence."""
        if not left:
            return found
        try:
            before = json.loads(left)
            if before["boot"] != boot:
                return found
            files = {str(path): str(text) for path, text in before["files"].items() if text is not None}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return found
        self._notes.append("an interrupted recording had changed tracefs; its original state will be restored")
        return {**found, **{path: text for path, text in files.items() if path.startswith(self.plan.tracefs)}}

    def start(self) -> None:
        """Starts the drain, waits until every buffer is open, enables tracing and waits for the first heartbeat."""
        options = self.plan.options
        self._stream = self._device.transport.stream(
            [self._program, self.plan.tracefs, str(self._facts.page_bytes), str(options.period_ms), "-m", self._token]
        )
        self._reader = threading.Thread(target=self._read_stream, name="ftrace-drain", daemon=True)
        self._reader.start()
        self._wait_for(self._ready, "did not start")
        self._device.write_files([self._to("tracing_on", "1")])
        self._set_up = self._read_set_up()
        self._mark_clock("start")
        self._stream.write(b"count\n")
        self._wait_for(self._counting, "did not mark the trace")

    def _wait_for(self, event: threading.Event, failure: str) -> None:
        if not event.wait(_READY_TIMEOUT_S) or self._fault:
            raise self._fault or LabError(
                f"{self._device.serial}: the trace drain {failure}; run `android-suite doctor`."
            )

    def _read_set_up(self) -> Mapping[str, str | None]:
        return self._device.read_texts(state_files(self.plan.tracefs, self.plan.choice))

    def _read_stream(self) -> None:
        assert self._stream is not None
        assert self._out is not None
        # Its own names: whoever ends the recording does not wait for ever for a thread that a silent device holds.
        out, stream = self._out, self._stream

        def open_file(cpu: int) -> BinaryIO:
            return out.path(f"ftrace/cpu{cpu}.raw").open("wb")

        demux = FrameDemux(open_file)
        try:
            while True:
                try:
                    data = stream.read(timeout=_READ_TIMEOUT_S)
                except AdbTimeout:
                    continue  # an idle device sends nothing; a lost device ends the connection
                if not data:
                    break
                demux.feed(data)
                if demux.cpus is not None:
                    self._ready.set()
                if demux.counting:
                    self._counting.set()
            said = stream.stderr.decode(errors="replace").strip()
            if stream.status != 0 or demux.pending_bytes or demux.cpus is None:
                self._fault = LabError(
                    f"{self._device.serial}: the trace drain ended with status {stream.status} "
                    f"({said or 'no message'}); record again."
                )
        except SuiteError as error:
            self._fault = error
        except OSError as error:
            self._fault = LabError(f"cannot write the trace ({error.strerror}); free space or choose another folder.")
        finally:
            try:
                demux.close()
            except OSError as error:  # the disk is full for the buffered rest
                self._fault = self._fault or LabError(
                    f"cannot write the trace ({error.strerror}); free space or choose another folder."
                )
            self._ready.set()
            self._counting.set()

    def _mark_clock(self, when: str) -> None:
        """Relates trace time to wall time, with the marker that systrace and atrace use."""
        script = (
            f"r=$(date +%s%N); case $r in *N) r=$(date +%s)000000000;; esac; "
            f"echo trace_event_clock_sync: realtime_ts=${{r%??????}} > {self.plan.tracefs}/trace_marker; "
            f"echo android_suite: {when} {self._token} > {self.plan.tracefs}/trace_marker; "
            "echo $r; cat /proc/uptime"
        )
        told = self._device.transport.run(script).text.split()
        if len(told) >= 2:
            self._clock_sync |= {f"{when}_realtime_ns": told[0], f"{when}_uptime_s": told[1]}

    def check(self) -> None:
        """Raises the drain's fault, if any."""
        if self._fault:
            raise self._fault

    def stop(self) -> None:
        """Checks for disturbance, disables tracing and waits until the drain has sent the rest."""
        self._mark_clock("end")
        if self._out:
            self._out.doubts += tell_changes(self._set_up, self._read_set_up())
        self._device.write_files([self._to("tracing_on", "0")])
        self._end_stream()
        self.check()

    def _end_stream(self) -> None:
        if self._stream is None or self._reader is None:
            return
        self._stream.close_stdin()
        # A drain that never said that it runs has nothing to send.
        timeout_s = _STOP_TIMEOUT_S if self._ready.is_set() else _READ_TIMEOUT_S
        self._reader.join(timeout_s)
        if self._reader.is_alive():
            self._fault = LabError(
                f"{self._device.serial}: the rest of the trace did not arrive in {timeout_s:.0f} s; record again."
            )
        self._stream.close()
        self._stream = None

    def pull(self) -> None:
        """Fetches comms and counts, and checks that all of the suite's marks are in the trace."""
        assert self._out is not None
        lost = pull_trace_counts(self._device, self.plan.tracefs, self._out)
        self._out.note(lost_events=lost)
        write_meta(self.plan, self._facts, self._out, about=self._about())
        self._out.doubts += find_gaps(self._out.folder / "ftrace", self._token, lost=lost > 0)

    def restore(self) -> None:
        """Restores tracefs."""
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


def _plan_unseen(needs: Sequence[Need], options: TraceOptions) -> TracePlan:
    """Plans tracing for a kernel whose events are not known yet: requests everything, and every write is optional.

    Refused writes are found after the run, by comparison with the kernel's events.
    """
    wanted = {event for need in NEEDS for event in (*need.required, *need.optional)}
    wanted |= {f"syscalls:sys_{edge}_{call}" for call in list_calls(needs) for edge in ("enter", "exit")}
    plan = plan_trace(TRACEFS_PLACES[0], choose_events(needs, wanted, ""), needs, options)
    return replace(plan, writes=tuple(replace(write, optional=True) for write in plan.writes))


def _collect(plan: TracePlan, device: Device, left: Mapping[str, bytes], out: IterationWriter) -> None:
    """Collects the trace of a deterministic guest and finds out what was really enabled.

    Raises:
        LabError: the guest did not drain its buffers.
        Unsupported: the kernel lacks a required event.
    """
    out.note(trace_setup=plan.describe())
    if left.get("drain_status.txt", b"").strip() != b"0":
        said = left.get("drain.txt", b"").decode(errors="replace").strip()
        raise LabError(f"the guest did not drain its trace ({said or 'no message'}); record again.")
    facts = read_tracefs_facts(device)
    choice = _check_choice(plan, choose_events(find_needs(plan.needs), facts.available, facts.machine))
    for name, data in left.items():
        if name.startswith("cpu") and name.endswith(".raw"):
            out.write(f"ftrace/{name}", data)
    places = [f"/{event.replace(':', '/')}/" for event in set(plan.choice.events) - set(choice.events)]
    refused = [
        plan.writes[index]
        for index in parse_write_output(plan.writes, left.get("refused.txt", b"").decode(errors="replace"))
        if not any(place in plan.writes[index].path for place in places)
    ]
    settled, remarks = settle_probes(replace(plan, choice=choice), refused)
    out.remark(*remarks)
    seen = replace(settled, tracefs=facts.tracefs)
    out.note(trace_setup=seen.describe())
    pull_trace_formats(device, seen, facts, out, about={"notes": list_refusals(plan, refused)})
    lost = pull_trace_counts(device, seen.tracefs, out)
    out.note(lost_events=lost)
    paths = state_files(plan.tracefs, plan.choice)
    before, after = (
        parse_read_lines_output(paths, left.get(name, b"").decode(errors="replace")) for name in (_SET_UP, _AT_END)
    )
    # It was read before tracing was switched on, because the reading would appear in the trace.
    out.doubts += tell_changes({**before, f"{plan.tracefs}/tracing_on": "1"}, after)
    out.doubts += find_gaps(out.folder / "ftrace", _GUEST_TOKEN, lost=lost > 0, heartbeats=False)


def _check_choice(plan: TracePlan, seen: EventChoice) -> EventChoice:
    """The events that really were enabled.

    Raises:
        Unsupported: the kernel needs other events than those that the guest enabled.
    """
    if strangers := set(seen.events) - set(plan.choice.events):
        raise Unsupported(
            f"this kernel shows system calls only as {min(strangers)}, which a deterministic run cannot use; "
            "use a kernel with CONFIG_FTRACE_SYSCALLS, or record without --deterministic."
        )
    return seen
