"""Two sealed runs, one a kernel, around real captures: what the offline commands start from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from android_suite.store.run import Run, create_run
from tests.made_runs import AFTER, BEFORE, DEVICE

GOLDEN = Path(__file__).parent.parent / "trace" / "golden"
SIDES = {"old": (BEFORE, "6.16.12-arm64"), "new": (AFTER, "6.17.13-arm64")}

MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(side: str, name: str = "", *, overlays: tuple[str, ...] = ()) -> Run:
        kernel, capture = SIDES[side]
        writer = create_run(tmp_path / (name or side), label=side, mode="realtime", overlays=overlays)
        writer.set_identity(kernel, DEVICE)
        iteration = writer.begin_iteration("command", seed=1, boot=f"boot-{side}", traced=True, parameters={})
        shutil.copytree(GOLDEN / capture / "ftrace", iteration.folder / "ftrace")
        iteration.note(lost_events=0)
        iteration.seal("complete")
        return writer.seal()

    return make


@pytest.fixture
def small_trace(tmp_path: Path) -> Path:
    """Twenty switches between three threads, as trace-cmd and tracefs print them."""
    lines = [
        f"  app-{100 + i % 3}   [000] d..3.   12.{i:06d}: sched_switch: prev_comm=a prev_pid={100 + i % 3} prev_prio=120 "
        f"prev_state=S ==> next_comm=b next_pid={100 + (i + 1) % 3} next_prio=120"
        for i in range(20)
    ]
    path = tmp_path / "small.txt"
    path.write_text("# tracer: nop\n#\n" + "\n".join(lines) + "\n")
    return path
