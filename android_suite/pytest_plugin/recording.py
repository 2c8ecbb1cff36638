"""The fixtures ``device`` and ``record``. A separate module, so that pytest runs without scenarios do not import it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from android_suite.analyze import load_run
from android_suite.boot.booted import Booted
from android_suite.errors import UsageError
from android_suite.model.identity import CrashRecord
from android_suite.model.readiness import LONGEST_WAIT_S, MOST_REPEATS, ReadyOptions, is_governor, keep_parts
from android_suite.pytest_plugin.result import Recorded
from android_suite.record.live import RecordOptions
from android_suite.record.live import record as record_scenarios
from android_suite.record.run import record_run
from android_suite.store.run import RunWriter
from android_suite.workload.registry import plan_scenarios

Record = Callable[..., Recorded]


def make_record(booted: Booted, cache: Path, request: pytest.FixtureRequest) -> Record:
    """Implements the fixture ``record``."""
    base = request.config.invocation_params.dir / request.config.getoption("--run-dir")
    test = re.sub(r"[^A-Za-z0-9_]+", "-", request.node.name)[:60]
    names = (f"{test}-{number}" for number in itertools.count(1))
    label = request.config.getoption("--kernel-label") or request.config.getoption("--kernel") or ""
    iterations = request.config.getoption("--iterations")
    capture, ready = request.config.getoption("--capture-with"), read_options(request.config.getoption)

    def run(scenario: str, **parameters: object) -> Recorded:
        plan_scenarios((scenario,), parameters, mode="realtime")
        path = next(p for p in (base / name for name in names) if not p.exists())
        options = RecordOptions(
            cache=cache, iterations=iterations, parameters=parameters, accel=booted.accel,
            configuration=booted.configuration, claimed=True, ready=ready, capture=capture,
            take_tracing=request.config.getoption("--take-tracing"),
        )  # fmt: skip

        def work(writer: RunWriter) -> None:
            record_scenarios((scenario,), booted.device, writer, options, crash_probe=booted.crash_probe)

        # Not the fixture record_property, which warns under JUnit's newer family although it works there.
        properties = request.node.user_properties
        try:
            manifest = record_run(path, work, label=label, mode="realtime").manifest
        finally:
            if path.exists():
                properties.append(("run", str(path)))
        # Check this first: after a crash the trace may be unreadable.
        crash = manifest.crash or next((i.crash for i in manifest.iterations if i.crash), None)
        if crash is not None:
            pytest.fail(_describe(crash), pytrace=False)
        analysis = load_run(path)
        for each in analysis.iterations:
            for metric in each.summary.metrics if each.record.status == "complete" else ():
                properties.append((f"{each.record.index}.{metric.name}", metric.value))
        return Recorded(analysis)

    return run


def read_options(option: Callable[[str], Any]) -> ReadyOptions:
    """What pytest's options ask of the device.

    Raises:
        UsageError: a value is outside of its range.
    """
    governor, repeats, cool_s = option("--governor"), option("--repeats"), option("--cool")
    if governor is not None and not is_governor(governor):
        raise UsageError(f"--governor {governor!r} is not the name of a governor; give one such as performance.")
    if repeats is not None and not 0 <= repeats <= MOST_REPEATS:
        raise UsageError(f"--repeats is {repeats}; choose 0 to {MOST_REPEATS}.")
    if cool_s is not None and not 0 <= cool_s <= LONGEST_WAIT_S:
        raise UsageError(f"--cool is {cool_s}; choose 0 to {LONGEST_WAIT_S:.0f} seconds.")
    given = {"governor": governor, "repeats": repeats, "cool_s": cool_s}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return ReadyOptions(keep=keep_parts(option("--keep")), idle_states=not option("--no-idle-states"), **changes)


def _describe(crash: CrashRecord) -> str:
    return f"the tested kernel or app crashed ({crash.kind}): {crash.summary}\n{crash.console}"
