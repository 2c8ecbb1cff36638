"""Every fault at three moments of a campaign on real virtual devices: before, during the capture, during the pull.

    python -m benchmarks.fault_matrix [FAULT ...] [--kernel 6.17.13] [--out reports/faults]

One campaign of four jobs for each fault: the first is left in peace, the fault strikes each of the others once, at
another moment. A fault that ends the campaign is followed by the same command again, as a user would. Printed, one line
of JSON for each fault: exit codes, jobs, failures by whose fault they were called, crashes, and what was lost.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from android_suite.config import read_config
from android_suite.virtual import Registry
from tests.campaign.clusters import start_scheduler
from tests.ports import free_port
from tests.scripted_phone.server import AdbServer, own_server

MOMENTS = ("before", "capture", "pull")
PLAN = """\
[plan]
name = "faults"
mode = "realtime"
boots = 2

[[kernel]]
label = "same"
kernel = "{kernel}"
role = "baseline"

[[kernel]]  # which --aa leaves out
label = "other"
kernel = "{other}"
role = "candidate"

[[scenario]]
name = "gc_stress"
parameters = {{ duration_ms = 3000 }}
"""
_STRIKE_S = 600.0


@dataclass
class Bench:
    """What a fault can reach. ``job``: name of the job that it strikes, ``serial`` and ``qemu`` of its device."""

    server: AdbServer
    out: Path
    coordinator: subprocess.Popen[bytes] | None = None
    scheduler: subprocess.Popen[bytes] | None = None
    port: int = 0
    serial: str = ""
    qemu: int = 0
    strikes: list[str] = field(default_factory=list)

    def shell(self, command: str) -> None:
        """Runs it on the device, whatever it answers."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.server.run("-s", self.serial, "shell", command, timeout=20)


def kill_server(bench: Bench) -> None:
    bench.server.kill()


def drop_connection(bench: Bench) -> None:
    bench.server.run("disconnect", bench.serial)


def go_offline(bench: Bench) -> None:
    """adbd stops answering for 20 s, and its connection is opened again meanwhile."""
    bench.shell("(p=$(pidof adbd); kill -STOP $p; sleep 20; kill -CONT $p) >/dev/null 2>&1 &")
    bench.server.run("disconnect", bench.serial)
    with contextlib.suppress(subprocess.TimeoutExpired):
        bench.server.run("connect", bench.serial, timeout=2)


def hang(bench: Bench) -> None:
    """The whole guest stands still for longer than a call may take."""
    psutil.Process(bench.qemu).suspend()
    threading.Timer(40, lambda: _resume(bench.qemu)).start()


def _resume(pid: int) -> None:
    with contextlib.suppress(psutil.Error):
        psutil.Process(pid).resume()


def reboot(bench: Bench) -> None:
    bench.shell("echo b > /proc/sysrq-trigger")


def panic(bench: Bench) -> None:
    bench.shell("echo c > /proc/sysrq-trigger")


def fill_device(bench: Bench) -> None:
    """The suite's folder moves to a file system that has no block left."""
    bench.shell(
        "f=/data/local/tmp; mkdir -p /full && mount -t tmpfs -o size=16m full /full && cp -a $f/. /full/ && "
        "dd if=/dev/zero of=/full/fill bs=4k 2>/dev/null; mount --move /full $f || mount --bind /full $f"
    )


def fill_host(bench: Bench) -> None:
    """Until somebody frees space: before the command is run again."""
    with contextlib.suppress(OSError), (bench.out.parent / "fill").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))


def kill_worker(bench: Bench) -> None:
    """The process of the job, with kill -9."""
    psutil.Process(bench.qemu).parent().kill()


def restart_scheduler(bench: Bench) -> None:
    assert bench.scheduler is not None
    bench.scheduler.kill()
    bench.scheduler.wait()
    time.sleep(1)
    bench.scheduler = start_scheduler(bench.port, bench.out.parent)


def kill_coordinator(bench: Bench) -> None:
    assert bench.coordinator is not None
    bench.coordinator.kill()


def jump(bench: Bench) -> None:
    """The clock of the device jumps a day ahead at one moment, and years back at the next."""
    bench.shell(
        "date -u -s '2031-01-01 00:00:00'" if len(bench.strikes) % 2 else "date -u -s @$(($(date +%s) + 86400))"
    )


FAULTS: dict[str, Callable[[Bench], None]] = {
    "adb-server-killed": kill_server,
    "connection-dropped": drop_connection,
    "offline": go_offline,
    "hung": hang,
    "reboot": reboot,
    "panic": panic,
    "device-full": fill_device,
    "host-full": fill_host,
    "worker-killed": kill_worker,
    "scheduler-restarted": restart_scheduler,
    "coordinator-killed": kill_coordinator,
    "clock-jumps": jump,
}


def strike(bench: Bench, fault: Callable[[Bench], None], over: threading.Event) -> None:
    """Lets the fault happen at each moment, in a job of its own, after one job was finished."""
    struck: set[str] = set()
    for moment in MOMENTS:
        while not over.wait(0.02):
            if len(list(bench.out.glob("jobs/*"))) < 1:
                continue
            found = _find_device(bench, struck, moment)
            if found is None:
                continue
            job, bench.serial, bench.qemu = found
            bench.strikes.append(f"{moment}: {job}")
            fault(bench)
            struck.add(job)
            break


def _find_device(bench: Bench, struck: set[str], moment: str) -> tuple[str, str, int] | None:
    """The job that has come to the moment now, its device and its QEMU."""
    for path in bench.out.glob("partial/*@*"):
        job = path.name.partition("@")[0]
        if job in struck:
            continue
        captured = any(file.stat().st_size > 8192 for file in path.glob("raw/*/ftrace/cpu*.raw"))
        pulled = any(path.glob("raw/*/app_result.json")) or any(path.glob("raw/*/*_after.txt"))
        reached = {"before": path.is_dir(), "capture": captured and not pulled, "pull": pulled}[moment]
        if reached and (device := _own_device(bench)) is not None:
            return (job, *device)
    return None


def _own_device(bench: Bench) -> tuple[str, int] | None:
    """Serial and QEMU of the virtual device that runs below the campaign or its workers, once adb knows it."""
    below = {process.pid for process in psutil.Process().children(recursive=True)}
    listed = bench.server.run("devices").stdout
    for record in Registry(read_config(env=os.environ, folder=Path.cwd())).list_devices():
        if record.pid in below and f"{record.serial}\tdevice" in listed:
            return record.serial, record.pid
    return None


@contextlib.contextmanager
def worker_loop(bench: Bench) -> Iterator[None]:
    """A worker that is started again whenever it ends, as systemd does it."""
    over = threading.Event()
    running: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        while not over.is_set():
            argv = [sys.executable, "-m", "android_suite.cli.main", "lab", "worker", f"tcp://127.0.0.1:{bench.port}"]
            with (bench.out.parent / "worker.log").open("ab") as log:
                running.append(
                    subprocess.Popen([*argv, "--cores", "1"], stdout=log, stderr=log, env=bench.server.environment)
                )
            running[-1].wait()
            over.wait(1)

    bench.port = free_port()
    bench.scheduler = start_scheduler(bench.port, bench.out.parent)
    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        for each in running:
            each.terminate()
        bench.scheduler.kill()
        keeper.join(60)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "faults", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def run_fault(name: str, kernel: str, folder: Path) -> dict[str, object]:
    """One row of the table; see the module."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        if name == "host-full":
            stack.enter_context(small_disk(folder))
        bench = Bench(stack.enter_context(own_server()), folder / "out")
        (folder / "plan.toml").write_text(
            PLAN.format(kernel=kernel, other="6.16.12" if kernel != "6.16.12" else "6.17.13")
        )
        argv = [sys.executable, "-m", "android_suite.cli.main", "qualify", str(folder / "plan.toml"), "--aa"]
        argv += ["-o", str(bench.out)]
        if name == "scheduler-restarted":
            stack.enter_context(worker_loop(bench))
            argv += ["--scheduler", f"tcp://127.0.0.1:{bench.port}"]
        over = threading.Event()
        striker = threading.Thread(target=strike, args=(bench, FAULTS[name], over), daemon=True)
        striker.start()
        codes: list[int] = []
        while len(codes) < 6:
            log = stack.enter_context((folder.parent / f"{name}.log").open("ab"))
            bench.coordinator = subprocess.Popen(argv, stdout=log, stderr=log, env=bench.server.environment)
            try:
                codes.append(bench.coordinator.wait(_STRIKE_S))
            except subprocess.TimeoutExpired:
                bench.coordinator.send_signal(signal.SIGINT)
                bench.coordinator.wait()
                codes.append(999)
                break
            (folder / "fill").unlink(missing_ok=True)
            if codes[-1] not in (-signal.SIGKILL, 4):
                break
        over.set()
        striker.join(60)
        wall_s = round(time.monotonic() - begun)
        return {"fault": name, "kernel": kernel, "exit_codes": codes, **_describe(bench), "wall_s": wall_s}


def _describe(bench: Bench) -> dict[str, object]:
    events = [json.loads(line) for line in (bench.out / "journal.jsonl").read_text().splitlines()]
    recorded = Counter(event["job"] for event in events if event["event"] == "recorded")
    summary = bench.out / "summary.json"
    crashes = json.loads(summary.read_text())["crashes"] if summary.exists() else None
    return {
        "strikes": bench.strikes,
        "jobs": len(list(bench.out.glob("jobs/*"))),
        "recorded_twice": sum(count > 1 for count in recorded.values()),
        "failed": dict(Counter(event["fault"] for event in events if event["event"] == "failed")),
        "why": sorted({f"{e['error']}: {e['text'][:160]}" for e in events if e["event"] == "failed"}),
        "lost": sum(event["event"] == "lost" for event in events),
        "set_aside": sum(event["event"] == "set_aside" for event in events),
        "crashes": None if crashes is None else [f"{each['kind']}: {each['summary'][:80]}" for each in crashes],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", choices=[*FAULTS, []], help="which (default: all)")
    parser.add_argument("--kernel", default="6.17.13")
    parser.add_argument("--out", type=Path, default=Path("reports/faults"))
    given = parser.parse_args()
    for name in given.faults or FAULTS:
        row = run_fault(name, given.kernel, given.out.absolute() / name)
        print(json.dumps(row), flush=True)
        with (given.out / "matrix.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parent.parent))
    main()
