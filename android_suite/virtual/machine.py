"""Starts, monitors and stops one virtual device.

    with VirtualDevice(kernel=fetch_kernel("6.17.13", config=config), config=config) as device:
        device.start()
        ...  # device.serial answers adb

A crash of the guest is a result (:class:`GuestCrash` in the exit report); a crash of QEMU is an error of the setup.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from android_suite.config import Config
from android_suite.errors import LabError, MachineError, NotReady, UsageError
from android_suite.virtual import adb_link, serial_port, still_clock
from android_suite.virtual.cache import Cache
from android_suite.virtual.console import NO_CARD, READY, WINDOW_CLOSED, GuestCrash, parse_crash, parse_farewell
from android_suite.virtual.image import build_base, read_initrd
from android_suite.virtual.kernels import KernelImage
from android_suite.virtual.qemu import (
    EARLY_CONSOLES,
    choose_accel,
    read_early_console,
    read_qemu_version,
    render_argv,
    render_forward,
)
from android_suite.virtual.qmp import Qmp
from android_suite.virtual.registry import STOP_TIMEOUT_S, DeviceRecord, Registry, is_stopping, kill, read_start

BOOT_TIMEOUT_S = 120.0
# Deterministic emulation is slow: a scenario of 10 s virtual time takes minutes on a busy machine.
WINDOW_TIMEOUT_S = 1800.0
# The lab kernels support eight CPUs; image and app model need 256 MB.
MAX_CPUS = 8
MIN_MEMORY_MB = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitReport:
    """The state of a device: running, or how it ended.

    Attributes:
        kind: ``running``, ``stopped`` (by this suite), ``crashed`` (the guest's kernel), ``powered_off`` or
            ``restarted`` (the guest did it), ``killed`` (QEMU died, an error of the setup).
        crash: the crash on the console, for ``crashed``.
        status: QEMU's exit status, negative for a signal; None if unknown.
        detail: one sentence for messages.
    """

    kind: str
    crash: GuestCrash | None = None
    status: int | None = None
    detail: str = ""


class VirtualDevice:
    """A QEMU guest with a given kernel that answers adb.

    Attributes:
        serial: ``127.0.0.1:PORT``, empty until the port is known.
        accel: ``tcg`` or ``kvm``.
        boot_duration_ms: from QEMU's start until adb answers; None before that.
    """

    def __init__(
        self,
        *,
        kernel: KernelImage,
        cpus: int = 2,
        memory_mb: int = 1024,
        overlays: Sequence[Path] = (),
        run_files: Mapping[str, bytes] | None = None,
        deterministic: bool = False,
        seed: int = 1,
        port: int | None = None,
        accel: str | None = None,
        kernel_args: Sequence[str] = (),
        detached: bool = False,
        config: Config,
    ) -> None:
        """Describes a device. :meth:`start` starts it.

        Args:
            kernel: the kernel to boot; it determines the architecture of the device.
            cpus: virtual CPUs.
            memory_mb: guest memory.
            overlays: the user's initramfs archives, appended to the image.
            run_files: absolute guest path to content; added to the image last.
            deterministic: whether repetitions are bit-exact; see :meth:`start`.
            seed: seed of all randomness that the machine provides to a deterministic guest.
            port: host port for adb; None takes a free one.
            accel: ``tcg`` or ``kvm``; None takes KVM if it works.
            kernel_args: additional kernel arguments.
            detached: whether the device outlives this process (``vdev start``).
            config: gives the cache and the adb server.
        """
        self.kernel, self.cpus, self.memory_mb, self.seed = kernel, cpus, memory_mb, seed
        self.overlays, self.run_files = tuple(overlays), dict(run_files or {})
        self.deterministic, self.detached = deterministic, detached
        self.kernel_args = tuple(kernel_args)
        self.serial, self.accel = "", accel or ""
        self.boot_duration_ms: int | None = None
        self._port = port
        self._config, self._cache = config, Cache(config.cache)
        self._registry = Registry(config)
        self._record: DeviceRecord | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._exited = threading.Event()
        self._stopped = False
        self._console = ""

    @property
    def record(self) -> DeviceRecord:
        """The registry's record of the device.

        Raises:
            MachineError: it was never started.
        """
        if self._record is None:
            raise MachineError("this virtual device was not started; call start() first")
        return self._record

    def start(self, *, boot_timeout_s: float = BOOT_TIMEOUT_S, window_timeout_s: float = WINDOW_TIMEOUT_S) -> None:
        """Boots the device and returns when adb answers and ``sys.boot_completed`` is 1.

        A deterministic device first runs ``/etc/android-suite/run/run.sh`` from ``run_files`` without network and adbd,
        so that the host's timing cannot affect it. The network card is plugged in afterwards.

        Raises:
            UsageError: the port is in use, an overlay is invalid, or the number of CPUs or the memory is out of range.
            MachineError: QEMU is missing, too old or died, or packages or the compiler are missing.
            NotReady: the guest crashed or did not boot in time; :meth:`exit_report` tells which.
        """
        if not 1 <= self.cpus <= MAX_CPUS:
            raise UsageError(f"{self.cpus} virtual CPUs are not between 1 and {MAX_CPUS}; choose fewer")
        if self.memory_mb < MIN_MEMORY_MB:
            raise UsageError(f"{self.memory_mb} MB of memory is too little; give at least {MIN_MEMORY_MB}")
        if self._port is not None:
            _check_port(self._port)
        version = read_qemu_version(self.kernel.arch)
        if self.deterministic:
            self.accel = "tcg"
        self.accel = self.accel or choose_accel(self.kernel, cache=self._cache, version=version)
        base = build_base(self.kernel.arch, config=self._config)
        more = serial_port.build_files(self.kernel.arch, cache=self._cache) if self.kernel.serial else {}
        initrd = read_initrd(base, self.kernel, overlays=self.overlays, run_files={**self.run_files, **more})
        self._record = self._registry.create(
            detached=self.detached,
            arch=self.kernel.arch,
            kernel=self.kernel.name,
            release=self.kernel.release,
            accel=self.accel,
            deterministic=self.deterministic,
        )
        try:
            with self._cache.writing(len(initrd)):
                (self.record.folder / "initrd").write_bytes(initrd)
            began = time.monotonic()
            self._spawn()
            if self.deterministic:
                self._wait_console(WINDOW_CLOSED, window_timeout_s)
                self._plug_link()
            else:
                self._learn_port()
            self._wait_console(READY, boot_timeout_s)
            if NO_CARD in self.read_console():
                what, option = ("serial port", "CONSOLE") if self.kernel.serial else ("network card", "NET")
                raise NotReady(
                    f"kernel {self.kernel.name} found no {what}, so adb cannot reach it; "
                    f"build it with CONFIG_VIRTIO_PCI=y and CONFIG_VIRTIO_{option}=y"
                )
            adb_link.wait_boot_completed(self._config, self.serial, timeout_s=boot_timeout_s, check=self._check_alive)
            self.boot_duration_ms = round((time.monotonic() - began) * 1000)
            (self.record.folder / "initrd").unlink(missing_ok=True)
        except BaseException:
            self.stop()
            raise

    def read_console(self) -> str:
        """The console output so far; it stays available after the device ended."""
        if self._record is not None:
            with contextlib.suppress(FileNotFoundError):
                self._console = self._record.console.read_text("utf-8", "replace")
        return self._console

    def exit_report(self, *, wait_s: float = 0) -> ExitReport:
        """The state of the device. Waits up to ``wait_s`` for QEMU to exit, because adb may notice the end first."""
        deadline = time.monotonic() + wait_s
        while not self._exited.wait(min(0.05, max(0.0, wait_s))) and time.monotonic() < deadline:
            pass
        # Before the console is read: what a guest that has ended said is all there.
        exited = self._exited.is_set()
        crash = parse_crash(self.read_console())
        status = self._process.returncode if self._process and exited else None
        if crash and (crash.fatal or exited):
            return ExitReport(kind="crashed", crash=crash, status=status, detail=f"the kernel crashed: {crash.title}")
        if self._stopped:
            return ExitReport(kind="stopped", status=status, detail="stopped by the suite")
        if not exited:
            return ExitReport(kind="running", crash=crash, detail="running")
        farewell = parse_farewell(self.read_console())
        if farewell and status == 0:
            return ExitReport(kind=farewell, status=status, detail=f"the guest {farewell.replace('_', ' ')}")
        if status == 0 and "terminating on signal" not in self._read_fault() and not is_stopping(self.record):
            # QEMU ends so only when the guest resets: a kernel that panics before it has a console does it silently.
            return ExitReport(kind="restarted", status=status, detail="the guest restarted without a message")
        how = f"was killed by signal {-status}" if status and status < 0 else f"ended with status {status}"
        return ExitReport(kind="killed", status=status, detail=f"QEMU {how} ({self._read_fault() or 'no message'})")

    def stop(self) -> ExitReport:
        """Stops the device, removes its files and returns how it ended. Further calls do nothing."""
        report = self.exit_report()
        if self._record is None or self._stopped:
            return report
        self._stopped = True
        if self.serial:
            adb_link.disconnect(self._config, self.serial)
        if not self._exited.is_set():
            # The guest's state is all in memory, so a clean shutdown would save nothing.
            with contextlib.suppress(MachineError), Qmp(self._record.folder / "qmp", timeout_s=2) as qmp:
                qmp.execute("quit")
            if not self._exited.wait(STOP_TIMEOUT_S) and self._process is not None:
                kill(self._record)
                self._exited.wait(STOP_TIMEOUT_S)
        self.read_console()
        self._registry.remove(self._record)
        return report if report.kind != "running" else self.exit_report()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _render_argv(self, *, early: bool = False) -> list[str]:
        return render_argv(
            kernel=self.kernel,
            initrd=self.record.folder / "initrd",
            accel=self.accel,
            cpus=self.cpus,
            memory_mb=self.memory_mb,
            port=0 if early else self._port or 0,
            deterministic=self.deterministic,
            seed=self.seed,
            kernel_args=[*self.kernel_args, *([EARLY_CONSOLES[self.kernel.arch]] if early else [])],
        )

    def _spawn(self) -> None:
        argv = self._render_argv()
        env = still_clock.preload(os.environ, cache=self._cache) if self.deterministic else None
        if not self.detached and (setpriv := shutil.which("setpriv")):
            argv = [setpriv, "--pdeathsig", "KILL", "--", *argv]
        started = threading.Event()

        def run() -> None:
            # The death signal comes when the starting *thread* ends, so this thread lives as long as QEMU.
            try:
                with (self.record.folder / "qemu.log").open("wb") as log:
                    self._process = subprocess.Popen(
                        argv,
                        cwd=self.record.folder,
                        env=env,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
            finally:
                started.set()
            self._process.wait()
            self._exited.set()

        threading.Thread(target=run, name=f"qemu-{self.record.id}", daemon=True).start()
        started.wait()
        if self._process is None:
            raise MachineError(f"{argv[0]} cannot be run; run make setup")
        self._update(pid=self._process.pid, pid_start=read_start(self._process.pid) or 0)

    def _learn_port(self) -> None:
        try:
            with Qmp(self.record.folder / "qmp") as qmp:
                self._set_port(qmp.read_serial_port() if self.kernel.serial else qmp.read_forwarded_port())
        except MachineError:
            if self._exited.wait(1) and re.search("host forwarding|Address already in use", self._read_fault()):
                raise _port_in_use(self._port) from None
            self._check_alive()
            raise

    def _plug_link(self) -> None:
        port = self._port or 0
        with Qmp(self.record.folder / "qmp") as qmp:
            if self.kernel.serial:
                serial_port.plug(qmp, port, bus="slot0")
                self._set_port(qmp.read_serial_port())
                return
            qmp.execute("netdev_add", type="user", id="net0", hostfwd=[{"str": render_forward(port)}])
            qmp.execute("device_add", driver="virtio-net-pci", netdev="net0", bus="slot0", id="nic0", romfile="")
            self._set_port(qmp.read_forwarded_port())

    def _set_port(self, port: int) -> None:
        self.serial = f"127.0.0.1:{port}"
        self._update(serial=self.serial)

    def _update(self, **changes: object) -> None:
        self._record = dataclasses.replace(self.record, **changes)  # type: ignore[arg-type]
        self._registry.update(self._record)

    def _wait_console(self, line: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while line not in self.read_console():
            self._check_alive()
            if time.monotonic() > deadline:
                error = NotReady(
                    f"kernel {self.kernel.name} did not boot within {timeout_s:.0f} s (no {line!r} on the console); "
                    "try again on an idle machine or read its last lines"
                )
                error.add_note(self.read_console()[-2000:])
                raise error
            self._exited.wait(0.02)

    def _check_alive(self) -> None:
        report = self.exit_report()
        if report.kind == "running":
            return
        console = self.read_console()
        if report.kind == "restarted" and not console.strip():
            console = read_early_console(self._render_argv(early=True))
            if crash := parse_crash(console):
                report = dataclasses.replace(report, crash=crash)
        error: LabError
        if report.crash:
            error = NotReady(
                f"kernel {self.kernel.name} crashed while it started: {report.crash.title}; see its console"
            )
            error.add_note(report.crash.excerpt)
        elif report.kind in ("powered_off", "restarted"):
            error = NotReady(f"kernel {self.kernel.name}: {report.detail} before it was ready; see its console")
        else:
            error = MachineError(f"{report.detail} before the device was ready; start it again")
        error.add_note(console[-2000:])
        raise error

    def _read_fault(self) -> str:
        with contextlib.suppress(OSError):
            return (self.record.folder / "qemu.log").read_text("utf-8", "replace").strip()[-400:]
        return ""


def _check_port(port: int) -> None:
    if not 1 <= port <= 65535:
        raise UsageError(f"port {port} is not between 1 and 65535; omit --port to take a free one")
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            raise _port_in_use(port) from None


def _port_in_use(port: int | None) -> UsageError:
    return UsageError(f"port {port} is in use; choose another or omit --port to take a free one")
