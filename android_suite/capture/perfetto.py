"""A trace by the device's own Perfetto: without root, and for SurfaceFlinger's FrameTimeline.

Files: ``perfetto/trace.pftrace`` and ``perfetto/config.txtpb``, the configuration as text. Where the ring buffers are
recorded, too (``--capture both``), Perfetto has an instance of tracefs of its own, so that neither disturbs the other.
"""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from typing import Final, Self

from android_suite.capture.atrace import TAGS
from android_suite.capture.needs import find_needs
from android_suite.capture.perfetto_client import (
    FOLDER,
    Service,
    Session,
    name_lacking,
    read_service,
    remove_leftovers,
    write_mark,
)
from android_suite.capture.perfetto_config import (
    FTRACE,
    SOURCES,
    PerfettoPlan,
    make_config,
    plan_perfetto,
    render_config,
)
from android_suite.capture.perfetto_losses import read_losses
from android_suite.capture.source import GuestSteps, Request, Site
from android_suite.errors import SuiteError, Unsupported
from android_suite.store import layout
from android_suite.store.run import IterationWriter

INSTANCE: Final = "android_suite"


class PerfettoCapture:
    """A :class:`~android_suite.capture.source.Source`, for one iteration."""

    name = "perfetto"

    def __init__(self, request: Request, site: Site) -> None:
        self._request, self._site, self._device = request, site, site.device
        self._token = secrets.token_hex(8)
        self._session = Session(site.device, self._token)
        self._service: Service | None = None
        self.plan: PerfettoPlan | None = None
        self._out: IterationWriter | None = None
        self._instance = ""  # its folder, if one was made
        self._marked = False
        self._ended_early = False
        self._left = False  # a file or a process on the device

    @classmethod
    def for_host(cls, request: Request, site: Site) -> Self | None:
        """See the protocol."""
        return cls(request, site) if request.traced and request.capture in ("perfetto", "both") else None

    @classmethod
    def for_guest(cls, request: Request, machine: str) -> GuestSteps | None:
        """See the protocol."""
        return None  # a deterministic guest has one trace, which nothing else may disturb

    def prepare(self, out: IterationWriter) -> None:
        """Asks the service what it offers, removes what a killed recording left, and plans the session.

        Raises:
            Unsupported: there is no perfetto, or it cannot record the kernel's events.
        """
        self._out = out
        self._service = read_service(self._device)
        left = remove_leftovers(self._device)
        if left:
            out.remark(f"{left} traces of interrupted recordings were removed from {FOLDER}")
        if self._request.capture == "both":
            self._make_instance()
        options = self._request.tracing
        self.plan = plan_perfetto(
            f"android-suite-{self._token}",
            find_needs(self._request.needs),
            self._site.tracefs,
            offered=self._service.sources,
            package=self._request.package,
            atrace=TAGS in self._device.read_properties(),
            instance=INSTANCE if self._instance else "",
            buffer_kb=options.buffer_kb,
            period_ms=options.period_ms,
        )
        if FTRACE in self.plan.lacking:
            raise Unsupported(
                f"Perfetto on {self._device.serial} has no data source {FTRACE}, so it records no event of the kernel; run "
                "`adb shell setprop persist.traced.enable 1`, or use a device with root."
            )
        out.remark(*name_lacking(self.plan.lacking, SOURCES))

    def _make_instance(self) -> None:
        facts = self._site.tracefs
        if facts is None:
            raise Unsupported(
                f"the shell of {self._device.serial} has no access to tracefs; record with --capture perfetto."
            )
        folder = f"{facts.tracefs}/instances/{INSTANCE}"
        self._instance = folder
        # It is there if an earlier recording was killed.
        made = self._device.transport.run(["mkdir", "-p", folder])
        if made.status:
            self._instance = ""
            raise Unsupported(
                f"tracefs of {self._device.serial} makes no instance for Perfetto ({made.complaint}); record with --capture "
                "tracefs or perfetto."
            )

    def start(self) -> None:
        """Starts the session and marks the trace."""
        assert self._service is not None
        assert self.plan is not None
        assert self._out is not None
        setup = self.plan.describe()
        both = self._request.capture == "both"
        self._out.note(trace_setup={**self._out.record.trace_setup, "perfetto": setup} if both else setup)
        config = make_config(self.plan)
        self._out.write(layout.PERFETTO_CONFIG, render_config(config))
        self._left = True
        if not self._session.start(config.SerializeToString(), self._service):
            self._out.remark("this perfetto does not say when it has started: the first seconds may be missing")
        if not self._instance:
            self._marked = write_mark(self._device, f"android_suite: start {self._token}")
            if not self._marked:
                self._out.remark(
                    "the shell may not write to trace_marker, so there are no marks in the trace: that somebody switched it "
                    "off would go unnoticed"
                )

    def stop(self) -> None:
        """Marks the trace and ends the session."""
        if self._marked:
            self._marked = write_mark(self._device, f"android_suite: end {self._token}")
        self._ended_early = not self._session.is_running()
        self._session.stop()

    def pull(self) -> None:
        """Fetches the trace and what it says of its losses."""
        assert self._out is not None
        trace = self._session.pull()
        self._out.write(layout.PERFETTO_TRACE, trace)
        if self._ended_early:
            self._out.doubts.append(
                "perfetto ended before the scenario: the trace is not whole (the device was short of memory, or the trace too "
                "long)"
            )
        losses = read_losses(trace)
        if self._request.capture == "perfetto":
            setup = self._out.record.trace_setup
            absent = [name.replace("/", ":", 1) for name in (*losses.refused, *losses.unknown)]
            missing = sorted({*setup["missing"], *absent})
            self._out.note(lost_events=losses.events, trace_setup={**setup, "missing": missing})
        if losses.chunks:
            self._out.remark(f"Perfetto's buffer overflowed ({losses.chunks} chunks): parts of its trace are missing")
        if self._marked and not losses.events and not losses.chunks:
            self._out.doubts += find_missing_marks(trace, self._token)

    def restore(self) -> None:
        """Ends the session if it still runs, and removes its file and its instance."""
        if self._left:
            self._left = False
            with suppress(SuiteError):
                self._session.stop()
            self._session.remove()
        if self._instance:
            folder, self._instance = self._instance, ""
            self._device.transport.run(["rmdir", folder])


def find_missing_marks(trace: bytes, token: str) -> list[str]:
    """A sentence if the suite's mark at the start or at the end is not in the trace, else nothing."""
    found = {m.group(1) for m in re.finditer(rb"android_suite: (start|end) " + re.escape(token.encode()), trace)}
    missing = [f"the mark at the {edge}" for edge in ("start", "end") if edge.encode() not in found]
    if not missing:
        return []
    return [f"the trace was disturbed: it lacks {' and '.join(missing)}; something may have switched it off"]
