"""What a soak costs the workload, in virtual time, where one instruction is one nanosecond.

    python -m benchmarks.soak_cost KERNEL [--ms 2000] [--profile steady] [--paced] [--soaks none,triggers,ring]

Boots the kernel once for each kind of soak, isolated from the host, with the same workload: without any, with the
triggers alone (`--no-outliers`), with the ring of outliers beside them (as `soak` does by itself), or with a ring of
other events (`ring=sched:sched_switch+lock:contention_end`). CPU time is what the scheduler counted (/proc/schedstat),
so it is a count of instructions. ``--paced`` leaves out the thread that allocates as fast as it can.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
from dataclasses import replace
from pathlib import Path

from android_suite.boot.virtual import boot_virtual
from android_suite.config import Config, read_config
from android_suite.soak.counters import read_soak_facts
from android_suite.soak.plan import SoakFacts, SoakPlan, plan_soak

OUT = "/data/local/tmp/soak_cost.txt"


def render_install(plan: SoakPlan | None) -> list[str]:
    """Lines of a shell script that install a soak in the guest itself, as `soak` does over adb."""
    lines: list[str] = []
    if plan is None:
        return lines
    for name, line in plan.definitions:
        lines.append(f"echo {shlex.quote(line)} >> {plan.tracefs}/{name} || echo refused >> {OUT}")
    lines += [f"mkdir {plan.folder}", f"echo mono > {plan.folder}/trace_clock"]
    for each in plan.triggers:
        target = f"{plan.folder}/events/{each.folder}/trigger"
        lines.append(f"echo {shlex.quote(each.spec)} >> {target} || echo refused {each.spec!r} >> {OUT}")
    if plan.ring_events:
        lines += [f"mkdir {plan.ring}", f"echo 1024 > {plan.ring}/buffer_size_kb"]
        lines += [f"echo 1 > {plan.ring}/events/{event.replace(':', '/')}/enable" for event in plan.ring_events]
    return lines


def render_script(plan: SoakPlan | None, *, ms: int, profile: str, seed: int, paced: bool = False) -> bytes:
    """The measured window of a guest: the triggers, then the workload between two looks at the CPU time."""
    lines = ["#!/system/bin/sh", *render_install(plan)]
    look = f"grep ^cpu0 /proc/schedstat >> {OUT}"
    token = "soakcost"
    start = (
        f"am start -W -n com.androidsuite.workload/.GcStressActivity --es token {token} --ei duration_ms {ms} "
        f"--es profile {profile} --el seed {seed}{' --ei alloc_spin 0' if paced else ''} > /dev/null"
    )
    wait = f"timeout 60 logcat -b all -m 1 -e {token} -s AndroidSuite:I >> {OUT}"
    lines += [look, start, wait, look]
    if plan is not None:
        lines += [f"grep -h -A1000 . {plan.folder}/events/*/sys_*madvise/hist >> {OUT}"]
    return "\n".join(lines).encode() + b"\n"


def measure(
    config: Config, kernel: str, plan: SoakPlan | None, *, ms: int, profile: str, seed: int, paced: bool = False
) -> dict[str, object]:
    """CPU time of one boot, and what the app says it did."""
    files = {"/etc/android-suite/run/run.sh": render_script(plan, ms=ms, profile=profile, seed=seed, paced=paced)}
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
    parser.add_argument("--paced", action="store_true")
    parser.add_argument("--soaks", default="none,triggers,ring")
    given = parser.parse_args()
    config = read_config(env=os.environ, folder=Path.cwd())
    with boot_virtual(given.kernel, config=config) as booted:
        facts = read_soak_facts(booted.device)
    found: dict[str, dict[str, object]] = {}
    for name in given.soaks.split(","):
        plan = choose_plan(name, facts)
        found[name] = measure(
            config, given.kernel, plan, ms=given.ms, profile=given.profile, seed=given.seed, paced=given.paced
        )
        print(name, json.dumps(found[name]), flush=True)
    done = "frames" if given.paced else "allocations"
    for name, each in found.items():
        if name != "none" and "none" in found:
            cost = _each(each, done) / _each(found["none"], done) - 1
            print(
                f"{given.kernel} {given.profile} {given.ms} ms seed {given.seed} {name}: {cost:+.2%} a unit of {done}"
            )


def choose_plan(name: str, facts: SoakFacts) -> SoakPlan | None:
    """The plan of a kind of soak, see the module."""
    if name == "none":
        return None
    plan = plan_soak(facts, entries=1024, outliers=name != "triggers")
    kind, _, events = name.partition("=")
    return replace(plan, ring_events=tuple(events.split("+"))) if kind == "ring" and events else plan


def _each(found: dict[str, object], done: str) -> float:
    return int(str(found["cpu_ns"])) / int(str(found[done]))


if __name__ == "__main__":
    main()
