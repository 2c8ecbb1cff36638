"""Names of threads and processes, and the mappings of the app."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Self

from android_suite.capture.source import GuestSteps, Request, Site
from android_suite.device.device import PROCESSES_SCRIPT, THREADS_SCRIPT, Device
from android_suite.store.run import IterationWriter


class MapsCapture:
    """Names of all threads and processes at the start and the end of the scenario, and the app's mappings at its end.

    The mappings show why a madvise call could not take the per-VMA path. Reading them takes the app's mmap_lock, so
    this source starts first and stops last: when tracing is off and all counters are read. What is read before and
    after stays apart, because the kernel may give an id of a thread that ended to another one.
    Files: ``ftrace/threads.txt``, ``ftrace/processes.txt`` and ``smaps.txt``, read after the trace;
    ``ftrace/threads_before.txt`` and ``ftrace/processes_before.txt``.
    """

    name = "maps"

    def __init__(self, device: Device, find_pid: Callable[[], int | None]) -> None:
        self._device, self._find_pid = device, find_pid
        self._out: IterationWriter | None = None

    @classmethod
    def for_host(cls, request: Request, site: Site) -> Self:
        """See the protocol."""

        def find_pid() -> int | None:
            return next(iter(site.device.pidof(request.process)), None) if request.process else None

        return cls(site.device, find_pid)

    @classmethod
    def for_guest(cls, request: Request, machine: str) -> GuestSteps:
        """See the protocol."""
        lines = [f"({THREADS_SCRIPT}) > $out/threads.txt", f"({PROCESSES_SCRIPT}) > $out/processes.txt"]
        if request.process:
            name = shlex.quote(request.process)
            lines.append(f"pid=$(pidof {name}) && cat /proc/${{pid%% *}}/smaps > $out/smaps.txt")
        return GuestSteps(
            stop="\n".join(lines),
            keep={
                "threads.txt": "ftrace/threads.txt",
                "processes.txt": "ftrace/processes.txt",
                "smaps.txt": "smaps.txt",
            },
        )

    def prepare(self, out: IterationWriter) -> None:
        """No-op: every Linux has these files."""
        self._out = out

    def start(self) -> None:
        """Lists threads and processes before the scenario."""
        if self._out is not None:
            self._out.write("ftrace/threads_before.txt", self._device.snapshot_threads())
            self._out.write("ftrace/processes_before.txt", self._device.snapshot_processes())

    def stop(self) -> None:
        """Lists threads and processes after the scenario, and the app's mappings if it still runs."""
        if self._out is None:
            return
        self._out.write("ftrace/threads.txt", self._device.snapshot_threads())
        self._out.write("ftrace/processes.txt", self._device.snapshot_processes())
        pid = self._find_pid()
        smaps = self._device.read_file(f"/proc/{pid}/smaps") if pid is not None else None
        if smaps:
            self._out.write("smaps.txt", smaps)

    def pull(self) -> None:
        """No-op: the files are already written."""

    def restore(self) -> None:
        """No-op: nothing was changed."""
