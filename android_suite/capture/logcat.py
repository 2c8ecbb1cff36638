"""Follows the device's log during the iteration, so that a scenario can wait for a line: ``logcat.txt``."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO, Self

from android_suite.capture.source import GuestSteps, Request, Site
from android_suite.device.android import read_log, stream_log
from android_suite.device.device import Device
from android_suite.device.transport import Stream
from android_suite.errors import AdbTimeout, LabError, NotReady, SuiteError
from android_suite.store.run import IterationWriter

_READ_TIMEOUT_S = 5.0
_FIRST_LINE_S = 3.0
_RESTARTS = 5
_RESTART_AFTER_S = 0.2
_STAMP = re.compile(r"\s*\d+\.\d+\s")


class LogcatCapture:
    """Follows the log from ``start`` on, beginning with the last line before it."""

    name = "logcat"

    def __init__(self, device: Device) -> None:
        self._device = device
        self._file: BinaryIO | None = None
        self._stream: Stream | None = None
        self._thread: threading.Thread | None = None
        self._lines: list[str] = []
        self._grown = threading.Condition()
        self._fault: SuiteError | None = None
        self._ended = False

    @classmethod
    def for_host(cls, request: Request, site: Site) -> Self:
        """See the protocol."""
        return cls(site.device)

    @classmethod
    def for_guest(cls, request: Request, machine: str) -> GuestSteps:
        """See the protocol."""
        return GuestSteps(collect=_collect)

    def prepare(self, out: IterationWriter) -> None:
        """Opens the file."""
        self._file = out.path("logcat.txt").open("wb")

    def start(self) -> None:
        """Starts following."""
        self._stream = stream_log(self._device)
        self._thread = threading.Thread(target=self._follow, name="logcat", daemon=True)
        self._thread.start()
        with self._grown:
            # the line from before shows that logcat is following; an empty log has none
            self._grown.wait_for(lambda: bool(self._lines) or self._ended, timeout=_FIRST_LINE_S)

    def mark(self) -> int:
        """The number of lines so far, for :meth:`wait_line`."""
        with self._grown:
            return len(self._lines)

    def _follow(self) -> None:
        assert self._file is not None
        try:
            for _ in range(_RESTARTS):
                self._follow_once()
                if self._ended:
                    return
                self._restart()
            self._follow_once()
        except SuiteError as error:
            if not self._ended:
                self._fault = error
        except OSError as error:
            self._fault = LabError(f"cannot write the log ({error.strerror}); free space or choose another folder.")
        finally:
            with suppress(OSError):  # the full disk was already reported above
                self._file.close()
            if self._stream is not None:  # it may have been started again after `stop` closed the one before
                self._stream.close()
            with self._grown:
                self._ended = True
                self._grown.notify_all()

    def _follow_once(self) -> None:
        """Reads lines until the stream ends."""
        assert self._stream is not None
        assert self._file is not None
        rest = b""
        while not self._ended:
            try:
                data = self._stream.read(timeout=_READ_TIMEOUT_S)
            except AdbTimeout:
                continue
            if not data:
                return
            self._file.write(data)
            *whole, rest = (rest + data).split(b"\n")
            with self._grown:
                self._lines += [line.decode(errors="replace") for line in whole]
                self._grown.notify_all()

    def _restart(self) -> None:
        """Notes in the log that logcat ended (as it does on an overrun) and continues from the last line."""
        assert self._stream is not None
        assert self._file is not None
        said = " ".join(self._stream.stderr.decode(errors="replace").split()) or "no message"
        self._file.write(f"--------- android-suite: logcat ended ({said}) and was started again\n".encode())
        with self._grown:
            stamps = [line.split()[0] for line in self._lines[-20:] if _STAMP.match(line)]
        self._stream.close()
        time.sleep(_RESTART_AFTER_S)
        self._stream = stream_log(self._device, since=stamps[-1] if stamps else "1")

    def wait_line(self, pattern: re.Pattern[str], *, timeout: float, what: str, since: int = 1) -> re.Match[str]:
        """The first line that matches ``pattern``, from line ``since`` on (see :meth:`mark`).

        Raises:
            NotReady: no line came within ``timeout`` seconds, or the log ended; the message names ``what``.
            DeviceLost: the device disconnected meanwhile.
        """
        deadline = time.monotonic() + timeout
        seen = since
        with self._grown:
            while True:
                for line in self._lines[seen:]:
                    if found := pattern.search(line):
                        return found
                seen = len(self._lines)
                if self._fault:
                    raise self._fault
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "the log ended" if self._ended else f"not in {timeout:.0f} s"
                    raise NotReady(f"{self._device.serial}: no {what} in the log ({why}); see logcat.txt of the run.")
                self._grown.wait(min(left, 1.0))

    def stop(self) -> None:
        """Stops following."""
        self._ended = True
        if self._stream:
            self._stream.close()
        if self._thread:
            self._thread.join(2 * _READ_TIMEOUT_S)
        elif self._file:
            self._file.close()

    def pull(self) -> None:
        """No-op: the file is already complete."""

    def restore(self) -> None:
        """Stops following, in case a failure prevented :meth:`stop`."""
        self.stop()


def _collect(device: Device, left: Mapping[str, bytes], out: IterationWriter) -> None:
    """The complete log of a deterministic guest. It is small, and adbd starts only after the scenario."""
    out.write("logcat.txt", read_log(device))
