"""The scripted phone: an Android 14 phone that the real adb server can drive, and that misbehaves on demand."""

from __future__ import annotations

import array
import os
import re
import select
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from android_suite.capture.native_program import NATIVE
from android_suite.device.native_program import build_native
from android_suite.workload.madvise_safety import SOURCE as SAFETY
from android_suite.workload.page_faults import SOURCE as FAULTS
from tests.scripted_phone import commands
from tests.scripted_phone.call import COMMANDS, Call
from tests.scripted_phone.faults import Fault, misbehave
from tests.scripted_phone.jail import SHELL_UID, Jail, hang_up
from tests.scripted_phone.services import serve_raw_shell, serve_shell_v2, serve_sync
from tests.scripted_phone.state import Package, PhoneState
from tests.scripted_phone.sysfs import grow_sys, kernel_files
from tests.scripted_phone.tracefs import Tracefs
from tests.scripted_phone.wire import Authorization, Channel, Gone, Link

__all__ = ["Fault", "ScriptedPhone", "commands"]

FEATURES = "shell_v2,cmd,stat_v2,ls_v2,fixed_push_mkdir,fixed_push_symlink_timestamp,sendrecv_v2"
_AARCH64_ELF = re.compile(rb"\x7fELF\x02\x01.{12}\xb7\x00", re.DOTALL)


class ScriptedPhone:
    """Use it in a ``with`` block; inside, ``adb connect`` its :attr:`address`. Change :attr:`state` at any time.

    Hooks:
        on_reboot: called with the phone and the target ("" for Android, "bootloader", ...) when it went down; it may
            change ``state`` and calls :meth:`boot` when it comes back. The default does so at once for Android.
        on_launch: called with the phone and the package at each ``am start``, to let events happen.
    """

    def __init__(
        self,
        *,
        authorization: Authorization = "none",
        features: str = FEATURES,
        boot_seconds: float = 0.3,
        state: PhoneState | None = None,
        **facts: Any,
    ) -> None:
        self.state = state or PhoneState(**facts)
        self.authorization: Authorization = authorization
        self.features, self.boot_seconds = features, boot_seconds
        self.on_reboot: Callable[[ScriptedPhone, str], None] = lambda phone, target: None if target else phone.boot()
        self.on_launch: Callable[[ScriptedPhone, str], None] = lambda _phone, _package: None
        self.faults: list[Fault] = []
        self.dumps: dict[str, str] = {}  # service -> what dumpsys prints instead
        self.services: list[str] = []  # all that were asked for
        self.free_bytes: int | None = None
        self.adbd_uid = 0 if self.state.root == "adbd" else SHELL_UID
        self.jail = Jail(sorted(COMMANDS))
        self.tracefs = Tracefs(lambda: self.jail.caller)
        self._listener: socket.socket | None = None
        self._asks: socket.socket | None = None
        self._links: list[Link] = []
        self._apps: dict[str, subprocess.Popen[bytes]] = {}
        self._gone: dict[int, socket.socket] = {}
        self._rebooting: threading.Thread | None = None
        self._closed = threading.Event()
        # Boots, cables and the end come from several threads, some of which outlive a test: one at a time, none after the end.
        self._life = threading.RLock()
        self._reserved = _reserve_port()
        self._port: int = self._reserved.getsockname()[1]

    def __enter__(self) -> Self:
        try:
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``, the same through all boots: what adb connects to, and the serial."""
        return f"127.0.0.1:{self._port}"

    @property
    def kernel(self) -> str:
        """Release of the running kernel; set it before :meth:`boot`."""
        return self.state.kernel

    @kernel.setter
    def kernel(self, release: str) -> None:
        self.state.kernel = release

    # -- life

    def boot(self) -> None:
        """Boots Android with ``state.kernel`` and lets adb in."""
        with self._life:
            if not self._closed.is_set():
                self._boot()

    def _boot(self) -> None:
        self.state.begin_boot()
        self.adbd_uid = 0 if self.state.root == "adbd" else SHELL_UID
        self.tracefs = Tracefs(lambda: self.jail.caller)
        self.jail.boot(grow_sys(self.state, self.tracefs), kernel_files(self.state))
        self.jail.socket_path.unlink(missing_ok=True)
        self._asks = socket.socket(socket.AF_UNIX)
        self._asks.bind(str(self.jail.socket_path))
        self.jail.socket_path.chmod(0o666)
        self._asks.listen(64)
        threading.Thread(target=self._answer_commands, args=(self._asks,), daemon=True).start()
        self.plug()

    def plug(self) -> None:
        """Plugs the cable in."""
        with self._life:
            if self._listener is not None or self._closed.is_set():
                return
            self._listener = socket.create_server(("127.0.0.1", self._port), backlog=8)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def unplug(self, *, back_s: float | None = None) -> None:
        """Pulls the cable; the phone runs on. With ``back_s`` it is plugged in again after so many seconds."""
        if back_s is not None:
            timer = threading.Timer(back_s, self.plug)
            timer.daemon = True
            timer.start()
        with self._life:
            listener, self._listener = self._listener, None
            links, self._links = self._links, []
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for link in links:
            link.close()

    def halt(self) -> None:
        """Goes down as a kernel does: the cable is dead, every process ends."""
        with self._life:
            self._halt()

    def _halt(self) -> None:
        self.unplug()
        if self._asks is not None:
            with suppress(OSError):
                self._asks.shutdown(socket.SHUT_RDWR)
            self._asks.close()
            self._asks = None
        self.jail.halt()
        apps, self._apps = self._apps, {}
        for process in apps.values():
            process.wait()

    def reboot(self, target: str = "") -> None:
        """Goes down and, after ``boot_seconds``, asks :attr:`on_reboot` what then."""

        def run() -> None:
            time.sleep(0.05)  # adbd answers first
            self.halt()
            time.sleep(self.boot_seconds)
            if not self._closed.is_set():
                self.on_reboot(self, target)

        self._rebooting = threading.Thread(target=run, daemon=True, name="reboot")
        self._rebooting.start()

    def wait_booted(self, before: str = "", *, timeout: float = 30) -> None:
        """Waits until a boot other than ``before`` lets adb in."""
        deadline = time.monotonic() + timeout
        while self._listener is None or self.state.boot_id == before:
            assert time.monotonic() < deadline, "the phone did not boot"
            time.sleep(0.02)

    def close(self) -> None:
        """Ends it for good."""
        self._closed.set()
        if self._rebooting is not None and self._rebooting is not threading.current_thread():
            self._rebooting.join(30)
        self.halt()
        self.jail.remove()
        self._reserved.close()

    # -- adbd

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(raw, self._banner(), self._serve, authorization=self.authorization)
            self._links.append(link)
            threading.Thread(target=link.run, daemon=True, name="adbd").start()

    def _banner(self) -> str:
        known = self.state.properties
        words = "".join(f"ro.product.{name}={known[f'ro.product.{name}']};" for name in ("name", "model", "device"))
        return f"device::{words}features={self.features}"

    def _serve(self, service: str, channel: Channel) -> None:
        self.services.append(service)
        if misbehave(self, service, channel):
            return
        name, _, rest = service.partition(":")
        if name.split(",")[0] == "shell" and "v2" in name:
            channel.accept()
            serve_shell_v2(self, channel, rest)
        elif name in ("shell", "exec"):
            channel.accept()
            serve_raw_shell(self, channel, rest)
        elif name == "sync":
            channel.accept()
            serve_sync(self, channel)
        elif name in ("root", "unroot"):
            channel.accept()
            self._change_root(channel, name)
        elif name == "reboot":
            channel.accept()
            channel.close()
            self.reboot(rest)
        elif name == "tcp" and rest.isdigit():
            self._forward(channel, int(rest))
        else:
            channel.refuse()

    def _change_root(self, channel: Channel, name: str) -> None:
        want = 0 if name == "root" else SHELL_UID
        if name == "root" and self.state.properties["ro.debuggable"] != "1":
            channel.write(b"adbd cannot run as root in production builds\n")
        elif self.adbd_uid == want:
            channel.write(b"adbd is already running as root\n" if want == 0 else b"adbd not running as root\n")
        else:
            channel.write(b"restarting adbd as root\n" if want == 0 else b"restarting adbd as non root\n")
            channel.close()
            self.adbd_uid = want
            self.unplug()
            self.plug()

    def _forward(self, channel: Channel, port: int) -> None:
        try:
            raw = socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            channel.refuse()
            return
        raw.settimeout(None)
        channel.accept()
        channel.on_close = lambda: raw.shutdown(socket.SHUT_RDWR)

        def back() -> None:
            with suppress(OSError, Gone):
                while data := raw.recv(1 << 16):
                    channel.write(data)
            channel.close()

        threading.Thread(target=back, daemon=True).start()
        with suppress(OSError), raw:
            while data := channel.read():
                raw.sendall(data)

    # -- the inside

    def start_shell(self, command: str, *, stderr: int) -> subprocess.Popen[bytes]:
        """The shell of an adb service."""
        words = ["/system/bin/sh", "-c", command] if command else ["/system/bin/sh"]
        pipe = subprocess.PIPE
        return self.jail.start(words, uid=self.adbd_uid, stdin=pipe, stdout=pipe, stderr=stderr)

    def translate_program(self, path: str, data: bytes) -> bytes:
        """A pushed arm64 program of the suite is replaced by the same source for this machine's CPU, which has to run it."""
        found = re.search(r"(ftrace_drain|madvise_safety|page_faults)-[0-9a-f]+", path)
        if not found or not _AARCH64_ELF.match(data) or os.uname().machine == "aarch64":
            return data
        source = {"madvise_safety": SAFETY, "page_faults": FAULTS}.get(found[1], NATIVE / f"{found[1]}.c")
        return build_native(source, os.uname().machine, cache=Path(tempfile.gettempdir()) / "android-suite-phone")

    def _answer_commands(self, asks: socket.socket) -> None:
        while True:
            try:
                connection, _ = asks.accept()
            except OSError:
                return
            threading.Thread(target=self._answer_command, args=(connection,), daemon=True).start()

    def _answer_command(self, connection: socket.socket) -> None:
        descriptors = array.array("i")
        try:
            head, parts, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(3 * descriptors.itemsize))
            for _, _, data in parts:
                descriptors.frombytes(data)
            words = b""
            while len(words) < struct.unpack("<I", head)[0]:
                if not (more := connection.recv(1 << 16)):
                    return  # the caller was killed in the middle of its words
                words += more
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            said = tuple(word.decode(errors="surrogateescape") for word in words.split(b"\0")[:-1])
            call = Call(self, (said[0].rpartition("/")[2], *said[1:]), struct.unpack("3i", peer)[1], *descriptors)
            self._gone[id(call)] = connection
            try:
                status = COMMANDS[call.words[0]](call)
            finally:
                del self._gone[id(call)]
            connection.sendall(bytes([status & 0xFF]))
        except (OSError, struct.error):
            pass  # the caller is gone
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
            connection.close()

    def is_gone(self, call: Call) -> bool:
        """Whether the process of a command has ended; it sends nothing after its words."""
        ready, _, _ = select.select([self._gone[id(call)]], [], [], 0)
        return bool(ready)

    @contextmanager
    def hung_up_with_me(self, process: subprocess.Popen[bytes], call: Call) -> Iterator[None]:
        """Ends ``process`` when the command's own process ends."""
        # Waited for at the end: a connection is closed after its command, and its number may be another's by then.
        connection, done = self._gone[id(call)], os.eventfd(0)

        def watch() -> None:
            ready, _, _ = select.select([connection, done], [], [])
            if done not in ready:
                hang_up(process)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            os.eventfd_write(done, 1)
            watcher.join()
            os.close(done)

    # -- apps

    def launch(self, package: Package, clear_task: bool, user: int) -> int:
        """Starts or brings up an app; 0, 1 or 2 for a cold, a warm, a hot launch."""
        running = self.pid_of(package.name) != 0
        if not running:
            words = ["/system/bin/app_process64", "--app", package.name]
            null = subprocess.DEVNULL
            process = self.jail.start(words, uid=user * 100_000 + 10_123, stdin=null, stdout=null, stderr=null)
            self._apps[package.name] = process
            deadline = time.monotonic() + 10
            while not self.pid_of(package.name) and time.monotonic() < deadline:
                time.sleep(0.005)
        self.state.front = package.name
        self.on_launch(self, package.name)
        return (1 if clear_task else 2) if running else 0

    def stop_app(self, name: str) -> None:
        """Ends an app's process."""
        process = self._apps.pop(name, None)
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()

    def thread_of(self, name: str, comm: str) -> int:
        """A thread of an app, by its name; 0 if there is none."""
        for task in self.jail.inside(f"/proc/{self.pid_of(name)}/task").glob("*/comm"):
            if task.read_text().rstrip("\n") == comm:
                return int(task.parent.name)
        return 0

    def pid_of(self, name: str) -> int:
        """The process of an app as the phone numbers it; 0 if it does not run."""
        if (process := self._apps.get(name)) is None or process.poll() is not None:
            return 0
        for proc in self.jail.inside("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if proc.read_bytes().rstrip(b"\0") == name.encode():
                    return int(proc.parent.name)
        return 0


def _reserve_port() -> socket.socket:
    """A socket that is bound and never listens: the kernel gives its port to nobody else, and our listener may share it."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved
