"""Where jobs run: a Dask cluster, in this process by default, or that of a scheduler.

The local cluster has no port of its own but one on loopback that Dask opens for its health page; its scheduler and its
worker live in this process, and each job in a process of its own (see `supervisor`). A worker elsewhere is started with
`android-suite lab worker`, which names what it has as Dask's worker resources: ``core`` and ``device:SERIAL``.
"""

from __future__ import annotations

import ipaddress
import logging
import queue
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from android_suite.errors import LabError, UsageError

if TYPE_CHECKING:
    from distributed import Client, Future

CORE: Final = "core"
SHARE: Final = 0.5  # of a worker's device: one job may record there while the one before is analyzed
CONNECT_S: Final = 30.0
_POLL_S = 5.0
_LOOPBACK = "127.0.0.1:0"


def device_resource(serial: str) -> str:
    """Name of the worker resource that stands for an attached device."""
    return f"device:{serial}"


@dataclass(slots=True)
class Cluster:
    """A connection to a cluster, used by one thread.

    Attributes:
        client: Dask's client.
        address: of the scheduler; None: a local cluster.
        silent_s: a worker that has not been heard from for so long is taken out; its jobs start elsewhere. Counted on
            this host's monotonic clock from one change of what the scheduler says to the next, so no clock is compared.
    """

    client: Client
    address: str | None = None
    silent_s: float = 60.0
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[float, float]] = field(default_factory=dict)
    _polled: float = 0.0
    _workers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """Whether the connection to a scheduler elsewhere is broken now; Dask's client tries to connect again meanwhile.

        It ends the jobs that run. While none does, nothing else tells of it.
        """
        return self.address is not None and self.client.status != "running"

    def listen(self, topic: str, messages: queue.SimpleQueue[Any]) -> None:
        """Puts every event of ``topic`` into ``messages``; may be called again for a scheduler that may be another one."""
        self.client.subscribe_topic(topic, lambda event: messages.put(event[1]))

    def submit(self, work: Callable[..., Any], *arguments: Any, key: str, needs: Mapping[str, float]) -> Future:
        """Starts ``work`` on a worker that has what it ``needs``."""
        # The suite retries; Dask starts it elsewhere only if its worker died.
        return self.client.submit(work, *arguments, key=key, resources=dict(needs), pure=False, retries=0)

    def slots(self, resource: str) -> int:
        """How many jobs that need one ``resource`` can run at once."""
        self._look()
        return int(sum(each["resources"].get(resource, 0) for each in self._workers.values()))

    def look(self) -> list[str]:
        """Looks at the workers every few seconds and takes out those that fell silent; returns their addresses."""
        if self.address is None or self.clock() - self._polled < _POLL_S:
            return []
        self._look()
        now = self.clock()
        for address, each in self._workers.items():
            if address not in self._seen or self._seen[address][0] != each["last_seen"]:
                self._seen[address] = (each["last_seen"], now)
        silent = [at for at in self._workers if now - self._seen[at][1] > self.silent_s]
        for address in silent:
            self._remove(address)
            del self._seen[address]
        return silent

    def _look(self) -> None:
        self._polled = self.clock()
        try:
            # A client that gave its scheduler up knows none.
            self._workers = self.client.scheduler_info(n_workers=-1).get("workers", {})
        except (OSError, TimeoutError, RuntimeError) as error:
            raise LabError(
                f"the scheduler {self.address} does not answer ({error}); start it, then run qualify again."
            ) from error

    def _remove(self, address: str) -> None:
        """What the scheduler does by itself after its ``worker-ttl``: the jobs of the worker start on others."""

        # Inside, so that it is sent as code: the scheduler need not have this package.
        async def remove(dask_scheduler: Any) -> None:
            await dask_scheduler.remove_worker(address, stimulus_id="android-suite-silent", close=True)

        with suppress(OSError):  # the scheduler went away: what its jobs tell ends them
            self.client.run_on_scheduler(remove)

    def reconnect(self, *, timeout: float) -> None:
        """Connects again after the scheduler went away.

        Raises:
            LabError: it did not come back in ``timeout`` seconds.
        """
        assert self.address is not None
        deadline = self.clock() + timeout
        with suppress(Exception):  # whatever is left of the old connection
            self.client.close(timeout=2)
        while True:
            try:
                self.client = _connect(self.address, max(1.0, min(CONNECT_S, deadline - self.clock())))
                break
            except LabError:
                if self.clock() > deadline:
                    raise
                time.sleep(1.0)
        self._seen.clear()


@contextmanager
def open_local_cluster(slots: int, serials: Sequence[str] = ()) -> Iterator[Cluster]:
    """A cluster in this process, for ``slots`` jobs at once that need a core, or one on each of these devices."""
    from distributed import Client, Scheduler, SpecCluster, Worker

    _quiet()
    here = {"protocol": "inproc://", "dashboard": False, "dashboard_address": _LOOPBACK}
    resources = {device_resource(serial): 1 for serial in serials} or {CORE: slots}
    threads = round(slots / SHARE) if serials else slots
    worker = {**here, "nthreads": threads, "resources": resources, "memory_limit": 0}
    spec = {"cls": Worker, "options": worker}
    with (
        SpecCluster(
            scheduler={"cls": Scheduler, "options": here}, workers={0: spec}, silence_logs=logging.CRITICAL
        ) as cluster,
        Client(cluster) as client,
    ):
        yield Cluster(client)


@contextmanager
def open_cluster(address: str, *, silent_s: float = 60.0) -> Iterator[Cluster]:
    """The cluster of a scheduler.

    Args:
        address: ``tcp://HOST:PORT`` or ``tls://HOST:PORT``; certificates come from Dask's own configuration.
        silent_s: see `Cluster`.

    Raises:
        UsageError: it is no such address.
        LabError: nothing answers there.
    """
    check_address(address)
    _quiet()
    cluster = Cluster(_connect(address, CONNECT_S), address, silent_s)
    try:
        yield cluster
    finally:
        with suppress(OSError, TimeoutError):  # the scheduler may be gone
            cluster.client.close(timeout=5)


def check_address(address: str) -> None:
    """Raises UsageError if ``address`` is not that of a Dask scheduler."""
    kind, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    if kind not in ("tcp", "tls") or not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise UsageError(f"--scheduler: expected tcp://HOST:PORT or tls://HOST:PORT, found {address!r}.")


def is_open(address: str) -> bool:
    """Whether others could reach the address and no certificate is asked for."""
    kind, _, rest = address.partition("://")
    return kind != "tls" and not _is_loopback(rest.rpartition(":")[0].strip("[]"))


def _is_loopback(host: str) -> bool:
    """Of a name only localhost is known: 127.0.0.1.example.org may be anywhere."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def await_scheduler(address: str, *, timeout: float = CONNECT_S) -> None:
    """Returns once something listens at the address of a scheduler.

    Raises:
        LabError: nothing does for ``timeout`` seconds.
    """
    host, _, port = address.partition("://")[2].rpartition(":")
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        except (OSError, UnicodeError) as error:
            if time.monotonic() > deadline:
                raise LabError(
                    f"no Dask scheduler answers at {address} ({error}); start one with `dask scheduler --host HOST`."
                ) from None
            time.sleep(0.5)
        else:
            return


def _connect(address: str, timeout: float) -> Client:
    from distributed import Client

    try:
        return Client(address, timeout=timeout, set_as_default=False)
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise LabError(
            f"no Dask scheduler answers at {address} ({type(error).__name__}: {error}); start one with "
            "`dask scheduler --host HOST`, or leave out --scheduler."
        ) from error


def _quiet() -> None:
    """Dask logs what the suite reports by itself."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


@contextmanager
def open_local_processes(workers: int) -> Iterator[Cluster]:
    """A cluster of processes of this host, on loopback, for work that keeps Python busy."""
    from distributed import Client, Nanny, Scheduler, SpecCluster

    _quiet()
    here = {"protocol": "tcp://", "host": "127.0.0.1", "dashboard": False, "dashboard_address": _LOOPBACK}
    # One core each: the analysis would otherwise take all of them in every worker.
    own = {**here, "nthreads": 1, "env": {"ANDROID_SUITE_CORES": "1"}, "memory_limit": 0}
    own["silence_logs"] = logging.CRITICAL
    spec = {"cls": Nanny, "options": own}
    with (
        SpecCluster(
            scheduler={"cls": Scheduler, "options": here},
            workers=dict.fromkeys(range(workers), spec),
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield Cluster(client)
