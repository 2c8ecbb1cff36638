"""Hours of a soak on a device that is mostly idle, in virtual time: idle time is skipped, so they pass in minutes.

    python -m benchmarks.soak_hours KERNEL [--minutes 120] [--every 5]

The counters and the ring of outliers are installed in the guest; an app starts cold, draws for a second and ends every few
minutes, so threads come and go. Once a minute the tables are read whole, as a checkpoint does, and the memory of the device
is noted. The host's part of a soak (adb, checkpoints.jsonl) is not in it.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from pathlib import Path

from android_suite.boot.virtual import boot_virtual
from android_suite.config import read_config
from android_suite.soak.counters import read_soak_facts
from android_suite.soak.plan import SoakPlan, plan_soak
from benchmarks.soak_cost import OUT, render_install


def render_hours(plan: SoakPlan, *, minutes: int, every: int) -> bytes:
    """The measured window: a line for each minute with its number, the state of memory, and the bytes of all tables."""
    start = (
        "am start -W -n com.androidsuite.workload/.GcStressActivity --es token t$n --ei duration_ms 1000 "
        "--es profile steady --el seed $n --ei alloc_spin 0 > /dev/null; sleep 3; am force-stop com.androidsuite.workload"
    )
    look = (
        "echo minute $n $(grep -E '^(MemFree|MemAvailable|Slab):' /proc/meminfo | tr -s ' ' | cut -d' ' -f2) "
        f"$(cat {plan.folder}/events/*/*/hist 2>/dev/null | wc -c) $(cut -d' ' -f1 /proc/uptime) >> {OUT}"
    )
    each = f"n=$((n+1)); if [ $((n % {every})) = 0 ]; then {start}; fi; sleep 60; {look}"
    loop = f"n=0; while [ $n -lt {minutes} ]; do {each}; done"
    return "\n".join(["#!/system/bin/sh", *render_install(plan), loop]).encode() + b"\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kernel")
    parser.add_argument("--minutes", type=int, default=120)
    parser.add_argument("--every", type=int, default=5)
    given = parser.parse_args()
    config = read_config(env=os.environ, folder=Path.cwd())
    with boot_virtual(given.kernel, config=config) as booted:
        plan = plan_soak(read_soak_facts(booted.device), entries=16384, outliers=True)
    files = {"/etc/android-suite/run/run.sh": render_hours(plan, minutes=given.minutes, every=given.every)}
    begun = time.monotonic()
    with boot_virtual(given.kernel, config=config, cpus=1, run_files=files, deterministic=True, seed=1) as booted:
        text = booted.device.run(["cat", OUT]).text
        wall_s = time.monotonic() - begun
    print(text)
    cpu_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    print(
        f"{given.kernel}: {given.minutes} min of guest time in {wall_s:.0f} s of wall time, {cpu_s:.0f} s of CPU time"
    )


if __name__ == "__main__":
    main()
