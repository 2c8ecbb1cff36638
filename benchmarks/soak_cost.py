"""What a soak costs the workload, in virtual time, where one instruction is one nanosecond.

    python -m benchmarks.soak_cost KERNEL [--ms 2000] [--profile steady]

Boots the kernel twice per seed, isolated from the host: once with a soak's triggers, once without, with the same
workload. CPU time is what the scheduler counted (/proc/schedstat), so it is a count of instructions.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
from pathlib import Path

from android_suite.boot.virtual import boot_virtual
from android_suite.config import Config, read_config
from android_suite.soak.counters import read_soak_facts
from android_suite.soak.plan import SoakPlan, plan_soak

OUT = "/data/local/tmp/soak_cost.txt"


def render_script(plan: SoakPlan | None, *, ms: int, profile: str, seed: int) -> bytes:
    """The measured window of a guest: the triggers, then the workload between two looks at the CPU time."""
    lines = ["#!/system/bin/sh"]
    if plan is not None:
        for name, line in plan.definitions:
            lines.append(f"echo {shlex.quote(line)} >> {plan.tracefs}/{name} || echo refused >> {OUT}")
        lines += [f"mkdir {plan.folder}", f"echo mono > {plan.folder}/trace_clock"]
        for each in plan.triggers:
            target = f"{plan.folder}/events/{each.folder}/trigger"
            lines.append(f"echo {shlex.quote(each.spec)} >> {target} || echo refused {each.spec!r} >> {OUT}")
        if plan.ring_events:
            lines += [f"mkdir {plan.ring}", f"echo 1024 > {plan.ring}/buffer_size_kb"]
            lines += [f"echo 1 > {plan.ring}/events/{event.replace(':', '/')}/enable" for event in plan.ring_events]
    look = f"grep ^cpu0 /proc/schedstat >> {OUT}"
    token = "soakcost"
    start = (
        f"am start -W -n com.androidsuite.workload/.GcStressActivity --es token {token} --ei duration_ms {ms} "
        f"--es profile {profile} --el seed {seed} > /dev/null"
    )
    wait = f"timeout 60 logcat -b all -m 1 -e {token} -s AndroidSuite:I >> {OUT}"
    lines += [look, start, wait, look]
    if plan is not None:
        lines += [f"grep -h -A1000 . {plan.folder}/events/*/sys_*madvise/hist >> {OUT}"]
    return "\n".join(lines).encode() + b"\n"


def measure(
    config: Config, kernel: str, plan: SoakPlan | None, *, ms: int, profile: str, seed: int
) -> dict[str, object]:
    """CPU time of one boot, and what the app says it did."""
    files = {"/etc/android-suite/run/run.sh": render_script(plan, ms=ms, profile=profile, seed=seed)}
    with boot_virtual(kernel, config=config, cpus=1, run_files=files, deterministic=True, seed=seed) as booted:
        text = booted.device.run(["cat", OUT]).text
    looks = [int(line.split()[7]) for line in text.splitlines() if line.startswith("cpu0")]
    told = next(line for line in text.splitlines() if "result {" in line)
    app = json.loads(told[told.index("{") :])
    return {
        "cpu_ns": looks[1] - looks[0],
        "refused": text.count("refused"),
        **{name: app[name] for name in ("frames", "late", "gc_cycles", "madvise", "allocations")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kernel")
    parser.add_argument("--ms", type=int, default=2000)
    parser.add_argument("--profile", default="steady")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-ring", action="store_true")
    given = parser.parse_args()
    config = read_config(env=os.environ, folder=Path.cwd())
    with boot_virtual(given.kernel, config=config) as booted:
        plan = plan_soak(read_soak_facts(booted.device), entries=1024, outliers=not given.no_ring)
    found = {}
    for name, each in (("without", None), ("with", plan)):
        found[name] = measure(config, given.kernel, each, ms=given.ms, profile=given.profile, seed=given.seed)
        print(name, json.dumps(found[name]), flush=True)
    share = int(str(found["with"]["cpu_ns"])) / int(str(found["without"]["cpu_ns"])) - 1
    print(f"{given.kernel} {given.profile} {given.ms} ms seed {given.seed}: {share:+.2%} CPU time")


if __name__ == "__main__":
    main()
