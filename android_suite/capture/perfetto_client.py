"""The command ``perfetto`` of a device: what its service offers, one session, and what an earlier one left behind.

The command is Android's since 9. ``--background-wait``, ``--query-raw`` and what they print came later and are looked
for in its help.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.device.device import TRACEFS_PLACES, Device
from android_suite.device.numbers import read_count
from android_suite.device.transport import Completed
from android_suite.errors import LabError, Unsupported

COMMAND: Final = "perfetto"
FOLDER: Final = "/data/misc/perfetto-traces"  # the only one that SELinux lets the command write
PREFIX: Final = "android-suite-"
_QUERY_TIMEOUT_S: Final = 30.0
_START_TIMEOUT_S: Final = 60.0  # --background-wait itself waits 30 s at most
_SETTLE_S: Final = 2.0
_TRIES: Final = 3
_STOP_TIMEOUT_S: Final = 120.0
_PULL_TIMEOUT_S: Final = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The tracing service of a device.

    Attributes:
        version: as it calls itself; empty if it does not say.
        sources: names of its data sources; None if it cannot list them (Android 9).
        sessions: number of started sessions of anybody.
        waits: whether the command can wait for the start of a session.
    """

    version: str
    sources: frozenset[str] | None
    sessions: int
    waits: bool


def has_perfetto(device: Device) -> bool:
    """Whether the device has the command."""
    return device.transport.run(f"command -v {COMMAND}").status == 0


def read_service(device: Device) -> Service:
    """Asks the service what it offers.

    Raises:
        Unsupported: there is no such command.
        LabError: the service does not answer.
    """
    if not has_perfetto(device):
        raise Unsupported(
            f"{device.serial} has no command perfetto; use Android 9 or later, or a device whose tracefs the shell may use "
            "(`adb root`)."
        )
    asked = device.transport.run([COMMAND, "--help"], timeout=_QUERY_TIMEOUT_S)
    usage = (asked.stdout + asked.stderr).decode(errors="replace")
    waits = "--background-wait" in usage
    if "--query-raw" not in usage:
        return Service(version="", sources=None, sessions=0, waits=waits)
    told = device.transport.run([COMMAND, "--query-raw"], timeout=_QUERY_TIMEOUT_S)
    if told.status:
        raise LabError(
            f"{device.serial}: Perfetto's service does not answer ({told.complaint}); run `adb shell setprop "
            "persist.traced.enable 1` and record again."
        )
    return parse_service(told.stdout, waits=waits, serial=device.serial)


def parse_service(data: bytes, *, waits: bool, serial: str = "the device") -> Service:
    """The answer to ``--query-raw``, a TracingServiceState.

    Raises:
        LabError: it is something else.
    """
    try:
        state = protos.TracingServiceState.FromString(data)
    except DecodeError:
        raise LabError(f"{serial}: `perfetto --query-raw` gave no state of the service; run it by hand.") from None
    return Service(
        version=state.tracing_service_version,
        sources=frozenset(source.ds_descriptor.name for source in state.data_sources),
        sessions=state.num_sessions_started,
        waits=waits,
    )


class Session:
    """One session of the command in the background, and its file on the device."""

    def __init__(self, device: Device, name: str) -> None:
        self._device = device
        self.path = f"{FOLDER}/{PREFIX}{name}.pftrace"
        self.pid = 0

    def start(self, config: bytes, service: Service) -> bool:
        """Starts the session; returns whether the service said that every data source has started.

        Raises:
            LabError: it could not be started.
        """
        done = self._run(config, service)
        for _ in range(_TRIES - 1):
            if not done.status or not self.pid:
                break
            # A data source was not ready in the command's own 30 s. What it had to read first, it has by now.
            self.stop()
            done = self._run(config, service)
        if done.status or not self.pid:
            raise LabError(
                f"{self._device.serial}: perfetto did not start ({done.complaint}); free space in {FOLDER}, or reboot the "
                "device, then record again."
            )
        return service.waits or self._wait_started(service)

    def _run(self, config: bytes, service: Service) -> Completed:
        """Runs the command once; it prints the process id of what stays in the background."""
        wait = "--background-wait" if service.waits else "--background"
        done = self._device.transport.run(
            [COMMAND, wait, "-c", "-", "-o", self.path], stdin=config, timeout=_START_TIMEOUT_S
        )
        numbers = [number for word in done.text.split() if (number := read_count(word)) is not None]
        self.pid = numbers[-1] if numbers else 0
        return done

    def _wait_started(self, before: Service) -> bool:
        """Waits until the service has one session more; False if it cannot say."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while before.sources is not None and time.monotonic() < deadline:
            if read_service(self._device).sessions > before.sessions:
                return True
            time.sleep(0.2)
        time.sleep(_SETTLE_S)  # its only sign is the data that it writes
        return False

    def is_running(self) -> bool:
        """Whether the command still runs."""
        return self.pid > 0 and self._device.transport.run(["kill", "-0", str(self.pid)]).status == 0

    def stop(self) -> None:
        """Ends the session; the command flushes every data source, writes the rest and ends.

        Raises:
            LabError: it does not end; it is killed.
        """
        pid, self.pid = self.pid, 0
        if not pid:
            return
        self._device.transport.run(["kill", "-TERM", str(pid)])
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while self._device.transport.run(["kill", "-0", str(pid)]).status == 0:
            if time.monotonic() > deadline:
                self._device.transport.run(["kill", "-KILL", str(pid)])
                raise LabError(
                    f"{self._device.serial}: perfetto did not write the rest of its trace in {_STOP_TIMEOUT_S:.0f} s; "
                    "record again, and reboot the device if it happens again."
                )
            time.sleep(0.2)

    def pull(self) -> bytes:
        """The trace.

        Raises:
            AdbError: the file is not there.
        """
        return self._device.transport.pull(self.path, timeout=_PULL_TIMEOUT_S)

    def remove(self) -> None:
        """Removes the file."""
        self._device.transport.run(["rm", "-f", self.path])


def remove_leftovers(device: Device) -> int:
    """Ends the sessions of killed recordings and removes their files; returns the number of files.

    The caller holds the device, so no session of the suite's can be another's.
    """
    mine = shlex.quote(f"{FOLDER}/{PREFIX}")
    script = (
        f"for p in $(pidof {COMMAND}); do "
        f"if grep -q {mine} /proc/$p/cmdline 2>/dev/null; then kill -KILL $p; fi; done; "
        f"for f in {mine}*.pftrace; do if [ -e $f ]; then rm -f $f && echo $f; fi; done; true"
    )
    return len(device.run(script).text.splitlines())


def write_mark(device: Device, text: str) -> bool:
    """Writes one line to ``trace_marker``, which every app may on Android; returns whether it could."""
    line = shlex.quote(text)
    tries = " || ".join(f"echo {line} > {place}/trace_marker" for place in TRACEFS_PLACES)
    return device.transport.run(f"({tries}) 2>/dev/null").status == 0


def name_lacking(lacking: Collection[str], meaning: dict[str, str]) -> list[str]:
    """A sentence for each data source that the device lacks."""
    return [f"this device has no data source {name}: {meaning[name]}" for name in lacking]
