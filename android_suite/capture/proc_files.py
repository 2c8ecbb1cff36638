"""Sources that are files of procfs: vmstat, lock_stat, maps and names of threads."""

from __future__ import annotations

from collections.abc import Callable

from android_suite.device.device import Device
from android_suite.device.files import Write
from android_suite.errors import Unsupported
from android_suite.store.run import IterationWriter

LOCK_STAT = "/proc/lock_stat"
LOCK_STAT_SWITCH = "/proc/sys/kernel/lock_stat"


class VmstatCapture:
    """``/proc/vmstat`` before and after: ``vmstat_before.txt``, ``vmstat_after.txt``."""

    name = "vmstat"

    def __init__(self, device: Device) -> None:
        self._device = device
        self._out: IterationWriter | None = None

    def prepare(self, out: IterationWriter) -> None:
        """Nothing to look for: every Linux has it."""
        self._out = out

    def start(self) -> None:
        """The counters before."""
        self._write("vmstat_before.txt")

    def stop(self) -> None:
        """The counters after."""
        self._write("vmstat_after.txt")

    def _write(self, name: str) -> None:
        data = self._device.read_file("/proc/vmstat")
        if data and self._out:
            self._out.write(name, data)

    def pull(self) -> None:
        """All is here already."""

    def restore(self) -> None:
        """Nothing was changed."""


class LockStatCapture:
    """``/proc/lock_stat`` of exactly the iteration: cleared and switched on before, read after: ``lock_stat.txt``."""

    name = "lock_stat"

    def __init__(self, device: Device) -> None:
        self._device = device
        self._out: IterationWriter | None = None
        self._switch: str | None = None

    def prepare(self, out: IterationWriter) -> None:
        """Looks for it.

        Raises:
            Unsupported: the kernel has no CONFIG_LOCK_STAT.
        """
        self._out = out
        files = self._device.read_files([LOCK_STAT, LOCK_STAT_SWITCH])
        if files[LOCK_STAT] is None:
            raise Unsupported("this kernel has no /proc/lock_stat; use one with CONFIG_LOCK_STAT.")
        self._switch = (files[LOCK_STAT_SWITCH] or b"").decode().strip() or None

    def start(self) -> None:
        """Clears the counts and switches counting on."""
        on = [Write(path=LOCK_STAT_SWITCH, value="1")] if self._switch is not None else []
        self._device.write_files([*on, Write(path=LOCK_STAT, value="0")])

    def stop(self) -> None:
        """Reads the counts."""
        data = self._device.read_file(LOCK_STAT)
        if data and self._out:
            self._out.write("lock_stat.txt", data)

    def pull(self) -> None:
        """All is here already."""

    def restore(self) -> None:
        """The switch as it was."""
        if self._switch is not None:
            self._device.write_files([Write(path=LOCK_STAT_SWITCH, value=self._switch, optional=True)])
            self._switch = None


class MapsCapture:
    """Names of all threads and processes, and the app's mappings, at the start and at the end of the scenario.

    The mappings tell why a madvise call could not take the per-VMA path. Reading them takes mmap_lock of the app, so
    this source has to come before ftrace in a session: stopped in reverse, it reads when tracing is off already.
    Files: ``ftrace/threads.txt``, ``ftrace/processes.txt``, ``smaps.txt``.
    """

    name = "maps"

    def __init__(self, device: Device, find_pid: Callable[[], int | None]) -> None:
        self._device, self._find_pid = device, find_pid
        self._out: IterationWriter | None = None
        self._threads = ""
        self._processes = ""

    def prepare(self, out: IterationWriter) -> None:
        """Nothing to look for."""
        self._out = out

    def start(self) -> None:
        """Who is there before."""
        self._threads = self._device.snapshot_threads()
        self._processes = self._device.snapshot_processes()

    def stop(self) -> None:
        """Who is there after, and the app's mappings if it still lives."""
        if self._out is None:
            return
        self._out.write("ftrace/threads.txt", _merge(self._threads, self._device.snapshot_threads()))
        self._out.write("ftrace/processes.txt", _merge(self._processes, self._device.snapshot_processes()))
        pid = self._find_pid()
        smaps = self._device.read_file(f"/proc/{pid}/smaps") if pid is not None else None
        if smaps:
            self._out.write("smaps.txt", smaps)

    def pull(self) -> None:
        """All is here already."""

    def restore(self) -> None:
        """Nothing was changed."""


def _merge(before: str, after: str) -> str:
    """Lines of both, the later ones first: a reader that keeps the first name of a thread keeps the newest."""
    return "".join(f"{line}\n" for line in dict.fromkeys([*after.splitlines(), *before.splitlines()]))
