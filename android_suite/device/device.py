"""Typed operations on a device: files, properties, processes. Those specific to Android are in ``android.py``."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from android_suite.device.files import (
    Access,
    Write,
    parse_access_output,
    parse_read_lines_output,
    parse_read_output,
    parse_write_output,
    render_access_script,
    render_read_lines_script,
    render_read_script,
    render_write_script,
)
from android_suite.device.numbers import read_count
from android_suite.device.parse_identity import parse_properties
from android_suite.device.transport import DEFAULT_TIMEOUT_S, Command, Completed, Transport, check_status
from android_suite.errors import AdbError

BOOT_ID = "/proc/sys/kernel/random/boot_id"
TRACEFS_PLACES = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
WORK_FOLDER = "/data/local/tmp/android-suite"
_PATHS_A_SCRIPT = 200  # keeps a script well below the shell's argument limit

# `read` and `echo` are built into every shell (`printf` is not in Android's), so this starts no process per thread. That
# is slow on a busy or emulated device.
THREADS_SCRIPT = r"""
cd /proc || exit 1
for t in [0-9]*/task/[0-9]*; do
  if IFS= read -r c < $t/comm; then echo "${t%%/*} ${t##*/} $c"; fi
done 2>/dev/null
true
"""
PROCESSES_SCRIPT = r"""
cd /proc || exit 1
for p in [0-9]*; do
  c=; IFS= read -r c < $p/cmdline
  if [ -n "$c" ]; then echo -n "$p "; cat $p/cmdline; echo; fi
done 2>/dev/null | tr '\000' ' '
true
"""


@dataclass(frozen=True, slots=True)
class Device:
    """A device that answers. Every method raises AdbTimeout, DeviceLost or AdbError, as the transport does."""

    transport: Transport

    @property
    def serial(self) -> str:
        """The serial, as adb prints it."""
        return self.transport.serial

    def run(self, command: Command, *, timeout: float = DEFAULT_TIMEOUT_S, stdin: bytes = b"") -> Completed:
        """Runs a command and checks that its status is 0.

        Raises:
            AdbError: the status is not 0.
        """
        return check_status(self.transport.run(command, timeout=timeout, stdin=stdin), self.serial)

    def read_files(self, paths: Sequence[str], *, timeout: float = DEFAULT_TIMEOUT_S) -> Mapping[str, bytes | None]:
        """Contents of small files, a few hundred per round trip; None for each that cannot be read."""
        found: dict[str, bytes | None] = {}
        for at in range(0, len(paths), _PATHS_A_SCRIPT):
            part = list(paths[at : at + _PATHS_A_SCRIPT])
            completed = self.run(render_read_script(part), timeout=timeout)
            try:
                found |= parse_read_output(part, completed.stdout)
            except ValueError as error:
                raise AdbError(
                    f"{self.serial}: the output of reading {len(part)} files was cut off ({error}); try again.",
                    serial=self.serial,
                    output=completed.text[-2000:],
                ) from error
        return found

    def read_texts(self, paths: Sequence[str], *, timeout: float = DEFAULT_TIMEOUT_S) -> Mapping[str, str | None]:
        """Contents of text files, much faster than :meth:`read_files`; None for each that cannot be read."""
        found: dict[str, str | None] = {}
        for at in range(0, len(paths), _PATHS_A_SCRIPT):
            part = list(paths[at : at + _PATHS_A_SCRIPT])
            completed = self.run(render_read_lines_script(part), timeout=timeout)
            found |= parse_read_lines_output(part, completed.text)
        return found

    def read_file(self, path: str) -> bytes | None:
        """Content of one small file; None if it cannot be read."""
        return self.read_files([path])[path]

    def read_text(self, path: str) -> str | None:
        """Content of one small text file without its last line end; None if it cannot be read."""
        text = self.read_texts([path])[path]
        return None if text is None else text.rstrip("\n")

    def write_files(self, writes: Sequence[Write], *, timeout: float = DEFAULT_TIMEOUT_S) -> tuple[Write, ...]:
        """Writes values in order and checks each write.

        Returns:
            The optional writes that were refused.

        Raises:
            AdbError: a required write was refused; names the file, the value and the kernel's message.
        """
        refused = []
        for at in range(0, len(writes), _PATHS_A_SCRIPT):
            part = writes[at : at + _PATHS_A_SCRIPT]
            completed = self.run(render_write_script(part), timeout=timeout)
            for index, said in parse_write_output(part, completed.text).items():
                write = part[index]
                if not write.optional:
                    raise AdbError(
                        f"{self.serial}: the kernel refused {write.value!r} for {write.path} ({said}); "
                        "run `android-suite doctor` to see what this device can do.",
                        argv=(f"write {write.path}",),
                        serial=self.serial,
                        output=completed.text,
                    )
                refused.append(write)
        return tuple(refused)

    def look(self, paths: Sequence[str]) -> Mapping[str, Access]:
        """Whether each file or folder can be read, is not there, or is denied (by permissions, or by SELinux)."""
        completed = self.run(render_access_script(paths))
        try:
            return parse_access_output(paths, completed.text)
        except ValueError as error:
            raise AdbError(
                f"{self.serial}: the output of looking at files was cut off ({error}); try again.", serial=self.serial
            ) from error

    def exists(self, paths: Sequence[str]) -> frozenset[str]:
        """Which of the paths exist."""
        names = " ".join(shlex.quote(path) for path in paths)
        listed = self.run(f'for f in {names}; do if [ -e "$f" ]; then echo "$f"; fi; done; true').text
        return frozenset(listed.splitlines())

    def boot_id(self) -> str:
        """The boot id, which is unique to each boot."""
        found = self.read_text(BOOT_ID)
        if not found:
            raise AdbError(f"{self.serial} does not give its boot id; check that /proc is mounted.", serial=self.serial)
        return found.strip()

    def read_properties(self) -> Mapping[str, str]:
        """All system properties."""
        return parse_properties(self.run(["getprop"]).text)

    def is_root(self) -> bool:
        """True if commands run as root."""
        return self.run(["id"]).text.startswith("uid=0")

    def pidof(self, process: str) -> tuple[int, ...]:
        """Process ids for a process name; empty if none runs."""
        completed = self.transport.run(["pidof", process])
        return tuple(pid for word in completed.text.split() if (pid := read_count(word)) is not None)

    def snapshot_threads(self) -> str:
        """One line per thread: ``tgid tid comm``."""
        return self.run(THREADS_SCRIPT).text

    def snapshot_processes(self) -> str:
        """One line per process with a command line: ``tgid cmdline``."""
        return self.run(PROCESSES_SCRIPT).text

    def push_program(self, data: bytes, name: str) -> str:
        """Copies an executable into the work folder unless it already exists; returns its path."""
        path = f"{WORK_FOLDER}/{name}-{hashlib.sha256(data).hexdigest()[:12]}"
        if self.transport.run(["test", "-x", path]).status != 0:
            self.run(["mkdir", "-p", WORK_FOLDER])
            self.transport.push(data, f"{path}.part", mode=0o755, timeout=60)
            # sync does not always keep the mode, and a rename is atomic
            self.run(f"chmod 755 {shlex.quote(path)}.part && mv {shlex.quote(path)}.part {shlex.quote(path)}")
        return path
