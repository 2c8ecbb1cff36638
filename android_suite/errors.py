"""Every exception of the suite and the exit code that it gives a command.

The type tells who must act::

    SuiteError                1  something in the suite is wrong
    |-- UsageError            2  you can fix it; raised before any device is touched
    |   |-- ConfigError          a settings or plan file: file, line, key, what was expected, what was found
    |   `-- PatchError           a patch does not fit the source; the notes name its hunks
    |-- Unsupported           3  this kernel or device lacks a feature; names the feature
    |-- LabError              4  the test setup failed (adb, QEMU, cable): retry
    |   |-- AdbError             one adb call failed: argv, serial, output
    |   |   `-- AdbTimeout       ... it did not answer in time
    |   |-- DeviceLost           the device disconnected; every later call on its transport raises this too
    |   |-- NotReady             the device is connected but did not become ready
    |   `-- MachineError         QEMU, its image or a kernel package failed
    |       `-- BuildError       a program of a kernel's build failed; the notes hold its message
    |-- EvidenceError         5  the evidence cannot be trusted
    |   |-- TraceError           a trace that cannot be decoded: file, offset, what was expected
    |   |-- EventsLost           events are missing where a number needs them
    |   `-- SchemaError          a table or a JSON file does not match its schema
    `-- NotComparable         6  the runs differ in more than the kernel

``str()`` of each is one sentence that ends with the next step. A fault of the tested kernel or app (a crash, an ANR,
an oops) is a result, not an exception.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class SuiteError(Exception):
    """The root of the tree. A command that raises it exits with ``exit_code``."""

    exit_code: ClassVar[int] = 1


class UsageError(SuiteError):
    """The caller can fix this: a wrong name, flag or file. No device was touched."""

    exit_code = 2


class ConfigError(UsageError):
    """A settings or plan file is invalid."""

    def __init__(self, file: Path | str, key: str, expected: str, found: object, *, line: int | None = None) -> None:
        self.file, self.key, self.expected, self.found, self.line = Path(file), key, expected, found, line
        where = f"{file}:{line}" if line else f"{file}"
        super().__init__(f"{where}: {key}: expected {expected}, found {found}")


class PatchError(UsageError):
    """A patch cannot be applied to, or reverted in, this source."""


class Unsupported(SuiteError):  # noqa: N818 - the name is the verdict that users read
    """This kernel or device cannot do what was asked."""

    exit_code = 3


class LabError(SuiteError):
    """The test setup failed, not the kernel under test. A retry may succeed."""

    exit_code = 4


class AdbError(LabError):
    """One adb call failed."""

    def __init__(
        self,
        message: str,
        *,
        argv: tuple[str, ...] = (),
        serial: str = "",
        status: int | None = None,
        output: str = "",
    ) -> None:
        self.argv, self.serial, self.status, self.output = argv, serial, status, output
        super().__init__(message)


class AdbTimeout(AdbError):  # noqa: N818
    """One adb call did not answer in time."""


class DeviceLost(LabError):  # noqa: N818
    """The device disconnected. Every later call on the same transport raises this too."""


class NotReady(LabError):  # noqa: N818
    """The device answers but did not become ready in time. ``state`` is what adb says of it, if that is why."""

    def __init__(self, message: str, *, state: str = "") -> None:
        self.state = state
        super().__init__(message)


class MachineError(LabError):
    """QEMU, the image of the virtual device or a kernel package failed."""


class BuildError(MachineError):
    """A program of a kernel's build ended with an error: the source does not compile."""


class EvidenceError(SuiteError):
    """The recorded evidence cannot be trusted for the requested number."""

    exit_code = 5


class TraceError(EvidenceError):
    """A trace that cannot be decoded.

    Args:
        file: the trace, or a name for it when it came from a stream.
        offset: byte offset of the fault (in text formats, of its line), or None if it has no place in the file.
        expected: what the reader expected there.
        hint: the next step, as a sentence.
    """

    def __init__(
        self, file: Path | str, offset: int | None, expected: str, *, hint: str = "Record the trace again."
    ) -> None:
        self.file, self.offset, self.expected = Path(file), offset, expected
        at = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{file}{at}: expected {expected}. {hint}")


class EventsLost(EvidenceError):  # noqa: N818
    """Events were lost and the number needs all of them."""


class SchemaError(EvidenceError):
    """A table or a JSON file does not match its schema."""


class NotComparable(SuiteError):  # noqa: N818
    """The runs differ in more than the kernel."""

    exit_code = 6
