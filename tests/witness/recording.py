"""One recording by the suite with every witness beside it: kernel counters, the program's own account, perf."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from android_suite.capture.trace_plan import TraceOptions
from android_suite.device.connect import connect
from android_suite.device.device import Device
from android_suite.errors import LabError
from android_suite.record.live import RecordOptions, record
from android_suite.store.run import Run, create_run
from android_suite.virtual import VirtualDevice, fetch_kernel
from tests.settings import CONFIG
from tests.witness.kernel_counts import KernelCounts, read_counts, start_counting
from tests.witness.perf_overlay import FOLDER as PERF_FOLDER

_PERF = f"/{PERF_FOLDER}/ld-linux-aarch64.so.1 --library-path /{PERF_FOLDER} /{PERF_FOLDER}/perf"
_PERF_DATA = "/data/local/tmp/perf.data"
_PERF_EVENTS = "lock:contention_begin,lock:contention_end,sched:sched_switch,sched:sched_wakeup,sched:sched_wakeup_new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """A run and what the witnesses say of it.

    Attributes:
        run: sealed, one iteration.
        account: the program's own.
        counts: the kernel's.
        perf: output of perf's commands by name; empty where perf was not asked.
        release: ``uname -r``.
    """

    run: Run
    account: Mapping[str, Any]
    counts: KernelCounts
    perf: Mapping[str, str]
    release: str

    @property
    def tids(self) -> Mapping[str, int]:
        """The program's threads by name."""
        return {thread["name"]: thread["tid"] for thread in self.account["threads"]}


def build_calls(folder: Path) -> bytes:
    """Compiles ``calls.c`` for arm64.

    Raises:
        LabError: the cross-compiler is missing.
    """
    compiler = shutil.which("aarch64-linux-gnu-gcc")
    if compiler is None:
        raise LabError("aarch64-linux-gnu-gcc is missing; run `make setup`.")
    source, program = Path(__file__).with_name("calls.c"), folder / "calls"
    flags = ["-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Werror", "-s"]
    subprocess.run([compiler, *flags, "-o", program, source], check=True)
    return program.read_bytes()


def run_witnessed(kernel: str, folder: Path, *, calls: int, seed: int = 1, perf: Path | None = None) -> Witnessed:
    """Boots a kernel, counts and records ``calls`` madvise calls, and shuts the device down.

    Args:
        kernel: Debian's, arm64, by version.
        folder: for the run directory and what lies beside it.
        calls: exactly so many, from three threads.
        seed: of sizes and pauses.
        perf: archive of Debian's perf, which then records beside it in the same guest.
    """
    overlays = [perf] if perf else []
    with VirtualDevice(
        config=CONFIG, kernel=fetch_kernel(kernel, "arm64", config=CONFIG), memory_mb=2048, overlays=overlays
    ) as machine:
        machine.start()
        device = Device(connect(CONFIG, machine.serial))
        program = shlex.join([device.push_program(build_calls(folder), "calls"), str(calls), str(seed)])
        start_counting(device)
        command = (
            f"{_PERF} record -q -a -k mono -c 1 -m 4M -e {_PERF_EVENTS} -o {_PERF_DATA} -- {program}"
            if perf
            else program
        )
        writer = create_run(folder / "run", label=f"witness {kernel}", mode="realtime")
        parameters = {"run": command, "timeout_s": 120.0 + calls / 20, "process": "calls"}
        record(
            ["command"],
            device,
            writer,
            RecordOptions(
                cache=CONFIG.cache,
                parameters=parameters,
                tracing=TraceOptions(buffer_kb=65536),
                take_tracing=True,  # the counters' triggers show as events of somebody else's
            ),
        )
        run = writer.seal()
        counts = read_counts(device)
        told = {name: device.transport.run(line, timeout=600) for name, line in _perf_reports().items()} if perf else {}
        return Witnessed(
            run=run,
            account=json.loads((run.raw(run.manifest.iterations[0]) / "command_stdout.txt").read_text()),
            counts=counts,
            perf={name: done.text for name, done in told.items()},
            release=device.run("uname -r").text.strip(),
        )


def _perf_reports() -> Mapping[str, str]:
    """Commands for perf's own analyses: lock contention and the scheduler's by thread; and its events, with times."""
    return {
        "contention": f"{_PERF} lock contention -i {_PERF_DATA} -t -Y rwsem:R,rwsem:W -x , 2>&1",
        "latency": f"{_PERF} sched latency -i {_PERF_DATA} -p 2>&1",
        "events": f"{_PERF} script -i {_PERF_DATA} --ns -F tid,time,event,trace 2>/dev/null | grep contention_",
        "stats": f"{_PERF} report -i {_PERF_DATA} --stats 2>&1",
    }
