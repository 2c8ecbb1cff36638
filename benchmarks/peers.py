"""Runs other readers on the same events, each as a whole process, and names those that are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measured import Measured, Run

_EVENTS = (
    "sched_switch", "sched_waking", "mmap_lock_start_locking", "mmap_lock_acquire_returned", "mmap_lock_released",
    "contention_begin", "contention_end",
)  # fmt: skip
# trappy takes every sys_enter_* for raw_syscalls and fails on it, so it reads only the scheduler's events.
_TRAPPY = """
import sys, trappy
trace = trappy.FTrace(sys.argv[1], scope="custom", normalize_time=False, events=["sched_switch", "sched_waking"])
print(len(trace.sched_switch.data_frame), len(trace.sched_waking.data_frame))
"""
_LISA = f"""
import sys
from lisa.trace import Trace
trace = Trace(sys.argv[1], events={list(_EVENTS)!r})
print(*(len(trace.df_event(event)) for event in {list(_EVENTS)!r}))
"""
# The newest on PyPI (3.1.0) uses names that numpy 2 has removed, and a package that it does not declare.
_LISA_PACKAGES = ("lisa-linux", "numpy<2", "pyarrow<20", "nest_asyncio")
_TIMEOUT_S = 1800


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A program that reads one of the files.

    Attributes:
        name: as the table shows it, with what it does.
        file: name in the generated folder.
        command: the command without the file, which comes last.
    """

    name: str
    file: str
    command: tuple[str, ...]


def find_peers(install_in: Path | None) -> tuple[list[Peer], list[str]]:
    """The peers that can be run here, and a sentence about each that cannot.

    Args:
        install_in: folder for virtual environments of trappy and LISA; None: these two are left out.
    """
    regex = (sys.executable, "-m", "benchmarks.regex_loop")
    found = [Peer(name="regex loop into DataFrames", file="trace.txt", command=regex)]
    notes = []
    if (trace_cmd := shutil.which("trace-cmd")) is not None:
        found.append(Peer(name="trace-cmd report, to text", file="trace.dat", command=(trace_cmd, "report")))
    else:
        notes.append("trace-cmd is not installed (Debian package trace-cmd).")
    shell = os.environ.get("TRACE_PROCESSOR_SHELL")
    if shell and shutil.which(shell):
        query = (shell, "-Q", "select count(*) from ftrace_event")
        found.append(Peer(name="trace_processor, counts", file="trace.perfetto", command=query))
        found.append(Peer(name="trace_processor, counts", file="trace.txt", command=query))
    else:
        notes.append("trace_processor_shell was not run, because TRACE_PROCESSOR_SHELL is not set.")
    if install_in is None:
        notes.append("trappy and LISA are installed and run with --peers.")
        return found, notes
    for name, packages, script in (
        ("trappy, sched events into DataFrames", ("trappy",), _TRAPPY),
        ("LISA into DataFrames", _LISA_PACKAGES, _LISA),
    ):
        python, why = _install(install_in / packages[0], packages)
        if python is None:
            notes.append(f"{packages[0]} could not be installed: {why}")
        else:
            found.append(Peer(name=name, file="trace.dat", command=(str(python), "-c", script)))
    return found, notes


def measure_peer(peer: Peer, folder: Path, events: int, runs: int) -> Measured | str:
    """Runs a peer; if it fails, returns a sentence instead of numbers."""
    scratch = folder / "peer"
    done: list[Run] = []
    for _ in range(runs):
        # In a folder of its own, because some write caches beside what they read.
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        target = scratch / peer.file
        target.hardlink_to(folder / peer.file)
        run = _run((*peer.command, str(target)), scratch)
        shutil.rmtree(scratch, ignore_errors=True)
        if isinstance(run, str):
            return f"{peer.name}: {run}"
        done.append(run)
    return Measured(step=f"{peer.name} ({Path(peer.file).suffix[1:]})", events=events, runs=done)


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """``trace-cmd report`` of one file, run before every measurement, because shared machines change speed by the minute.

    Attributes:
        folder: folder with ``trace.dat``.
        events: number of events in it.
        peer: trace-cmd.
    """

    folder: Path
    events: int
    peer: Peer

    def measure(self) -> float | None:
        """CPU seconds per event, now; None if it fails."""
        found = measure_peer(self.peer, self.folder, self.events, 1)
        return None if isinstance(found, str) else found.cpu_s / self.events


def find_yardstick(trace_dat: Path, events: int, folder: Path) -> Yardstick | None:
    """A yardstick over a copy of ``trace_dat`` in ``folder``; None: trace-cmd is not installed."""
    trace_cmd = shutil.which("trace-cmd")
    if trace_cmd is None:
        return None
    folder.mkdir(exist_ok=True)
    (folder / "trace.dat").unlink(missing_ok=True)
    (folder / "trace.dat").hardlink_to(trace_dat)
    return Yardstick(
        folder=folder, events=events, peer=Peer(name="trace-cmd", file="trace.dat", command=(trace_cmd, "report"))
    )


def _run(command: Sequence[str], scratch: Path) -> Run | str:
    begin = time.perf_counter()
    with (scratch / "stderr").open("wb") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
        deadline = threading.Timer(_TIMEOUT_S, process.kill)
        deadline.start()
        _, status, used = os.wait4(process.pid, 0)
        deadline.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = (scratch / "stderr").read_text(errors="replace").strip().splitlines()[-1:] or ["no message"]
        return f"ended with {process.returncode}: {said[0][:200]}"
    return Run(
        wall_s=time.perf_counter() - begin, cpu_s=used.ru_utime + used.ru_stime, peak_bytes=used.ru_maxrss * 1024
    )


def _install(folder: Path, packages: Sequence[str]) -> tuple[Path | None, str]:
    """Makes a virtual environment with the packages; returns its Python, or None and the reason."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True, clear=True)
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages],
        capture_output=True, text=True, check=False, timeout=_TIMEOUT_S,
    )  # fmt: skip
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["pip printed no message"]
        return None, lines[-1].strip()[:200]
    return python, ""
