"""Does a pool keep very many phones busy, and what does that cost the coordinator?

    python -m benchmarks.crowd [--phones 200] [--blocks 300] [--seconds 45]

Scripted phones in one process of their own (tests/scripted_phone/crowd.py), a real adb server, a campaign of two kernels
in this process. A job uses its phone for some seconds over adb. Printed: how long a phone was idle between two jobs while
work waited, uses of one phone at once (there must be none), and the CPU time of the coordinator without the jobs'
processes.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from android_suite.campaign.plan_file import read_plan
from android_suite.campaign.pool import PoolDevice
from android_suite.campaign.qualify import Collaborators, qualify
from android_suite.device.connect import open_plain
from android_suite.device.lease import lease_device
from tests.campaign.crowd_recorder import CrowdRecorder
from tests.campaign.scripted import ScriptedAnalyzer
from tests.scripted_phone.crowd import Crowd
from tests.scripted_phone.server import own_server

PLAN = """\
[plan]
name = "crowd"
mode = "realtime"
seeds = {seeds}

[[kernel]]
label = "before"
kernel = "6.16.12"
role = "baseline"

[[kernel]]
label = "after"
kernel = "6.17.13"
role = "candidate"

[[scenario]]
name = "gc_stress"
"""


def serve(count: int) -> None:
    """The phones' process: prints their addresses, and what happened when its input ends."""
    with Crowd(count) as crowd:
        print(json.dumps([phone.address for phone in crowd.phones]), flush=True)
        sys.stdin.read()
        uses = {p.address: sorted((u.begin, u.end) for u in p.uses) for p in crowd.phones}
        clashes = [name for phone in crowd.phones for name in phone.clashes]
        print(json.dumps({"uses": uses, "clashes": clashes, "cpu_s": crowd.cpu_s}), flush=True)


@contextlib.contextmanager
def serving(count: int) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "benchmarks.crowd", "--serve", str(count)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as phones:
        try:
            yield phones
        finally:
            phones.kill()


def measure(count: int, blocks: int, seconds: float, folder: Path) -> dict[str, object]:
    """One campaign; see the module."""
    from tests.campaign.scripted_compare import (  # not in the jobs: pandas takes a second
        compare_scripted,
        render_scripted,
    )

    (folder / "plan.toml").write_text(PLAN.format(seeds=list(range(1, blocks + 1))))
    plan = read_plan(folder / "plan.toml", scenarios=("gc_stress",))
    faults = folder / "faults"
    faults.mkdir()
    with own_server() as server, serving(count) as phones, contextlib.ExitStack() as leases:
        assert phones.stdin is not None
        assert phones.stdout is not None
        addresses: list[str] = json.loads(phones.stdout.readline())
        for address in addresses:
            server.connect(address)
        config = server.config(folder / "cache")
        begun, before = time.monotonic(), os.times()
        for address in addresses:
            leases.enter_context(
                lease_device(lambda a=address: open_plain(config, a), address, config.cache, holder="crowd")  # type: ignore[misc]
            )
        leased_s = time.monotonic() - begun
        devices = [PoolDevice(serial=a, recorder=CrowdRecorder(config, a, seconds)) for a in addresses]
        work = Collaborators(
            recorder=devices[0].recorder,
            analyzer=ScriptedAnalyzer(faults),
            comparer=compare_scripted,
            renderer=render_scripted,
        )
        ended: list[float] = []
        qualify(plan, folder / "out", work, devices=devices, progress=lambda _: ended.append(time.monotonic()))
        after = os.times()
        wall_s = time.monotonic() - begun
        leases.close()
        phones.stdin.close()
        told = json.loads(phones.stdout.readline())
    events = [json.loads(line) for line in (folder / "out" / "journal.jsonl").read_text().splitlines()]
    uses: dict[str, list[list[float]]] = told["uses"]
    # Work waits as long as a block has not begun.
    begins = sorted(begin for of in uses.values() for begin, _ in of)
    last_begin = begins[-1]
    gaps = sorted(
        later[0] - earlier[1]
        for of in uses.values()
        for earlier, later in itertools.pairwise(of)
        if later[0] <= last_begin
    )
    return {
        "phones": count,
        "jobs": 2 * blocks,
        "done": sum(map(len, uses.values())),
        "clashes": len(told["clashes"]),
        "failed": sum(event["event"] == "failed" for event in events),
        "wall_s": round(wall_s, 1),
        "leasing_s": round(leased_s, 1),
        "phones_at_once": _most_at_once(uses),
        "gap_s_median": round(gaps[len(gaps) // 2], 2),
        "gap_s_p95": round(gaps[int(len(gaps) * 0.95)], 2),
        "gap_s_longest": round(gaps[-1], 2),
        "coordinator_cpu_s": round(after.user + after.system - before.user - before.system, 1),
        "jobs_cpu_s": round(
            after.children_user + after.children_system - before.children_user - before.children_system, 1
        ),
        "phones_cpu_s": round(told["cpu_s"], 1),
    }


def _most_at_once(uses: dict[str, list[list[float]]]) -> int:
    steps = sorted([(b, 1) for of in uses.values() for b, _ in of] + [(e, -1) for of in uses.values() for _, e in of])
    now = most = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phones", type=int, default=200)
    parser.add_argument("--blocks", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=45.0)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
        return
    with tempfile.TemporaryDirectory(prefix="crowd-") as folder:
        print(json.dumps(measure(given.phones, given.blocks, given.seconds, Path(folder)), indent=1))


if __name__ == "__main__":
    main()
