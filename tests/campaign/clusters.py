"""A real Dask scheduler and real workers, each a process that a test may kill or stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).parent.parent.parent


@dataclass
class RunningCluster:
    """Loopback only. ``workers`` are the processes in the order of their start."""

    address: str
    folder: Path
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self, *, cores: int = 1, devices: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        local = self.folder / f"worker{len(self.workers)}"
        if not devices:
            worker = run(
                "android_suite.cli.main", "lab", "worker", self.address, "--cores", str(cores), folder=self.folder,
                DASK_TEMPORARY_DIRECTORY=str(local),
            )  # fmt: skip
            self.workers.append(worker)
            return worker
        resources = " ".join([f"core={cores}"] * bool(cores) + [f"device:{serial}=1" for serial in devices])
        worker = run(
            "distributed.cli.dask_worker", self.address, "--nworkers", "1", "--nthreads", str(cores + len(devices)),
            "--no-nanny", "--no-dashboard", "--memory-limit", "0", "--host", "127.0.0.1", "--resources", resources,
            "--local-directory", str(local), folder=self.folder,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def restart_scheduler(self) -> None:
        """Kills the scheduler and starts another one at its address; the workers end with it."""
        self.scheduler.kill()
        self.scheduler.wait()
        for worker in self.workers:
            worker.wait(60)
        self.scheduler = start_scheduler(int(self.address.rpartition(":")[2]), self.folder)


def run(module: str, *argv: str, folder: Path, **environ: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
    with (folder / f"{module.rpartition('.')[2]}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", module, *argv], stdout=log, stderr=log, cwd=ROOT, env=environment
        )


def start_scheduler(port: int, folder: Path) -> subprocess.Popen[bytes]:
    process = run(
        "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard",
        "--dashboard-address", "127.0.0.1:0", folder=folder,
    )  # fmt: skip
    while True:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process
        assert process.poll() is None, "the scheduler ended"
        time.sleep(0.1)


@contextmanager
def running_cluster(folder: Path, *, workers: int, cores: int = 1) -> Iterator[RunningCluster]:
    folder.mkdir(exist_ok=True)
    port = free_port()
    cluster = RunningCluster(f"tcp://127.0.0.1:{port}", folder, start_scheduler(port, folder))
    try:
        for _ in range(workers):
            cluster.add_worker(cores=cores)
        yield cluster
    finally:
        for process in [*cluster.workers, cluster.scheduler]:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
