"""One campaign at a time on a device, for as long as the campaign lasts: through reboots and between recordings.

A lease is held in two places, as a claim is (`claim`). On the host it is a locked file of the cache, which the kernel
frees when its holder dies. On the device, for other hosts, it is a symbolic link whose target names the holder and a
count that the holder raises all the time. Nobody compares clocks: who finds a lease watches it, and takes it over when
the count stood still for `TTL_S` of the finder's own monotonic time, or at once when the holder was a process of the
same host that is gone. So a killed holder, a host without power and a stopped process all lose the device by
themselves, and a clock that jumps changes nothing. A holder that was stopped for too long finds the link changed, and
`Lease.check` raises.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from android_suite.device.transport import Transport
from android_suite.errors import LabError, SuiteError

# Beside the suite's folder, which belongs to root: whoever holds a lease need not be root.
LEASE: Final = "/data/local/tmp/android-suite-lease"
TTL_S: Final = 60.0
_CALL_S = 10.0

_HELD: Final[set[str]] = set()  # tokens that this process holds; one that is not here was left on a lost device

# TOKEN:COUNT:HOST:PID:START:HOLDER; a link is made, and renamed over another, in one step.
_FORM = re.compile(
    r"(?P<token>[0-9a-f]{12}):(?P<count>\d{1,12}):(?P<host>[^:\n]{1,120}):(?P<pid>\d{1,10}):(?P<start>\d{1,20}):"
    r"(?P<holder>[^:\n]{0,200})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a lease, as the device tells."""

    token: str
    count: int
    host: str
    pid: int
    start: int  # in clock ticks since the boot of the host: tells the process from a later one of its number
    holder: str

    def __str__(self) -> str:
        return f"{self.holder}, process {self.pid} on {self.host}"

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this host that has ended, or this one, which holds it no more."""
        if self.host != _host():
            return False
        mine = self.pid == os.getpid() and self.token not in _HELD
        return mine or _start_of(self.pid) != self.start


def read_lease(transport: Transport) -> Holder | None:
    """The lease on a device; None if there is none.

    Raises:
        LabError: the device does not answer.
    """
    return _parse(transport.run(f"readlink {LEASE}", timeout=_CALL_S).text)


def remove_lease(transport: Transport) -> None:
    """Removes the lease on a device, whoever holds it."""
    transport.run(f"rm -f {LEASE}", timeout=_CALL_S)


@dataclass(slots=True)
class Lease:
    """A lease that is held. Its thread renews it."""

    serial: str
    token: str
    _open: Callable[[], Transport]
    _holder: str
    ttl_s: float
    _count: int = 0
    _taken_by: str = ""
    _transport: Transport | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raises LabError if somebody else has the device by now."""
        if self._taken_by:
            raise LabError(
                f"{self.serial}: the lease was lost to {self._taken_by}, because this process was stopped or the device "
                "was out of reach for too long; run it again."
            )

    def target(self, count: int | None = None) -> str:
        """What the link says, now or with another count."""
        number = self._count if count is None else count
        return f"{self.token}:{number}:{_host()}:{os.getpid()}:{_start_of(os.getpid())}:{self._holder}"

    def keep(self) -> None:
        """Renews it until it is given back: the body of its thread."""
        while not self._ended.wait(self.ttl_s / 4):
            # Out of reach: it reboots, or is in its bootloader. Nobody else can reach it through this server either.
            with suppress(SuiteError):
                self._renew()

    def _renew(self) -> None:
        # One call on a transport that is kept, because a lab renews hundreds of leases.
        transport, self._transport = self._transport or self._open(), None
        old, new = self.target(), self.target(self._count + 1)
        # Without a link (the device lost its data) it is made, which fails if somebody else is first.
        part = f"{LEASE}.{self.token}"
        script = (
            f'had=$(readlink {LEASE}); if [ -z "$had" ]; then ln -s {shlex.quote(new)} {LEASE}; '
            f'elif [ "$had" = {shlex.quote(old)} ]; then rm -f {part}; '
            f"ln -s {shlex.quote(new)} {part} && mv -f {part} {LEASE}; fi; readlink {LEASE}"
        )
        found = _parse(transport.run(script, timeout=_CALL_S).text)
        if found is not None and found.token != self.token:
            self._taken_by = str(found)
        elif found is not None:
            self._transport, self._count = transport, found.count

    def end(self) -> None:
        """Ends the body of its thread, which may still renew once."""
        self._ended.set()

    def give_back(self) -> None:
        """Removes it, after its thread has ended: a renewal that comes later would make it again."""
        with suppress(SuiteError):  # a device that is gone is free by itself, after TTL_S
            transport = self._open()
            found = read_lease(transport)
            if found is not None and found.token == self.token:
                remove_lease(transport)


@contextmanager
def lease_device(
    open_transport: Callable[[], Transport],
    serial: str,
    cache: Path,
    *,
    holder: str,
    ttl_s: float = TTL_S,
    say: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Lease]:
    """Keeps every other campaign away from a device while the block runs.

    Args:
        open_transport: connects to the device; called for each look, because connections end with a boot.
        serial: of the device.
        cache: folder of the suite's cache.
        holder: what the device is used for, for others to read.
        ttl_s: seconds without renewal after which a lease may be taken over.
        say: told of a wait.
        clock: monotonic, in seconds.
        sleep: waits.

    Raises:
        LabError: somebody else, who is named, holds the device.
    """
    lease = Lease(serial, uuid.uuid4().hex[:12], open_transport, re.sub(r"[^0-9A-Za-z_./ -]", "_", holder)[:200], ttl_s)
    with _lock_on_host(cache, serial, lease), _held(lease):
        try:
            _take(lease, open_transport(), say, clock, sleep)
        except LabError as error:
            if error.__class__ is LabError:
                raise
            say(f"{serial}: out of reach, so it is leased on this host only until it is back: {error}")
        keeper = threading.Thread(target=lease.keep, daemon=True, name=f"lease {serial}")
        keeper.start()
        try:
            yield lease
        finally:
            lease.end()
            keeper.join(2 * _CALL_S)
            lease.give_back()


@contextmanager
def _held(lease: Lease) -> Iterator[None]:
    _HELD.add(lease.token)
    try:
        yield
    finally:
        _HELD.discard(lease.token)


def _take(
    lease: Lease,
    transport: Transport,
    say: Callable[[str], None],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    watched: Holder | None = None
    since = clock()
    while True:
        transport.run(f"ln -s {shlex.quote(lease.target())} {LEASE}", timeout=_CALL_S)
        found = read_lease(transport)
        if found is None:
            raise LabError(
                f"{lease.serial}: cannot lease the device with {LEASE}; look at it with `adb shell ls -ld {LEASE}`."
            )
        if found.token == lease.token:
            if watched is None:
                return
            sleep(1.0)  # two may have found it abandoned at once; the one that removed the other's link goes on
            again = read_lease(transport)
            if again is not None and again.token == lease.token:
                return
            continue
        if watched is None or found.token != watched.token:
            watched, since = found, clock()
            if not found.is_gone:
                say(f"{lease.serial}: leased by {found}; looking whether that is still alive")
        elif found.count != watched.count:
            raise LabError(f"{lease.serial} is in use ({found}); wait for its end, or use another.")
        if found.is_gone or clock() - since > lease.ttl_s:
            had = f'[ "$(readlink {LEASE})" = {shlex.quote(_render(found))} ]'
            transport.run(f"if {had}; then rm -f {LEASE}; fi", timeout=_CALL_S)
            continue
        sleep(min(2.0, lease.ttl_s / 10))


def _render(found: Holder) -> str:
    return f"{found.token}:{found.count}:{found.host}:{found.pid}:{found.start}:{found.holder}"


def _parse(text: str) -> Holder | None:
    if (said := _FORM.fullmatch(text.strip())) is None:
        return None
    numbers = {name: int(said[name]) for name in ("count", "pid", "start")}
    return Holder(token=said["token"], host=said["host"], holder=said["holder"], **numbers)


@contextmanager
def _lock_on_host(cache: Path, serial: str, lease: Lease) -> Iterator[None]:
    path = cache / "leases" / re.sub(r"[^0-9A-Za-z_.-]", "_", serial)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file: IO[str] = path.open("a+")
    except OSError as error:
        raise LabError(
            f"cannot lease the device with {path} ({error.strerror}); set ANDROID_SUITE_CACHE to a folder you may write."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            held = _parse(file.read())
            raise LabError(f"{serial} is in use ({held or 'unknown'}); wait for its end, or use another.") from None
        file.truncate(0)
        file.write(lease.target())
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _host() -> str:
    return re.sub(r"[^0-9A-Za-z_.-]", "_", socket.gethostname())[:120] or "unnamed"


def _start_of(pid: int) -> int:
    """When a process of this host was started; 0 if there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
