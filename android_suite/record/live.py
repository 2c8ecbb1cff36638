"""Scenarios on a device to the iterations of a run directory: trace, work, evidence, seal.

What is tested may crash: that is data, and ``record`` returns. When the lab fails, the evidence so far is sealed as
incomplete and the fault is raised.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from android_suite.capture.atrace import AtraceCapture
from android_suite.capture.framestats import FramestatsCapture
from android_suite.capture.ftrace import FtraceCapture
from android_suite.capture.logcat import LogcatCapture
from android_suite.capture.needs import choose_events, find_needs
from android_suite.capture.proc_files import LOCK_STAT, LockStatCapture, MapsCapture, VmstatCapture
from android_suite.capture.session import run_session
from android_suite.capture.source import Source
from android_suite.capture.trace_files import TracefsFacts, read_tracefs_facts
from android_suite.capture.trace_plan import TraceOptions
from android_suite.device.device import Device
from android_suite.device.identity import check_release, read_device_identity, read_kernel_identity
from android_suite.errors import AdbTimeout, DeviceLost, SuiteError
from android_suite.model.identity import CrashRecord, DeviceIdentity
from android_suite.model.run import IterationRecord
from android_suite.store.run import IterationWriter, RunWriter
from android_suite.workload.registry import plan_scenarios
from android_suite.workload.workload import Context, Outcome, Parameters, Workload

CrashProbe = Callable[[], CrashRecord | None]
Say = Callable[[str], None]


def _silent(_: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOptions:
    """How to record.

    Attributes:
        iterations: of each scenario.
        seed: of the first iteration; each further one gets the next number.
        parameters: given to every scenario that knows them.
        trace: with ftrace, or without (to measure what tracing costs).
        lock_stat: read ``/proc/lock_stat`` where the kernel has it.
        tracing: buffer, clock, period.
        expect_release: the kernel that was asked for; another one is refused.
        accel: of a virtual device.
    """

    iterations: int = 1
    seed: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    trace: bool = True
    lock_stat: bool = True
    tracing: TraceOptions = field(default_factory=TraceOptions)
    expect_release: str | None = None
    accel: str | None = None


def record(
    scenarios: Sequence[str],
    device: Device,
    run: RunWriter,
    options: RecordOptions,
    *,
    crash_probe: CrashProbe | None = None,
    say: Say = _silent,
) -> tuple[IterationRecord, ...]:
    """Runs every scenario ``iterations`` times and seals each iteration; the caller seals the run.

    Args:
        scenarios: names, as :func:`~android_suite.workload.registry.scenario_names` lists them.
        device: where.
        run: where to.
        options: how.
        crash_probe: asked after a loss of the device whether what is tested crashed.
        say: takes a few words on what is going on.

    Returns:
        The sealed iterations; after a crash of the tested kernel or app none follows it.

    Raises:
        UsageError: an unknown scenario or parameter.
        Unsupported: the kernel lacks a required event.
        LabError: the lab failed; the iteration it happened in is sealed as incomplete.
    """
    planned = plan_scenarios(scenarios, options.parameters, mode="realtime")
    kernel = read_kernel_identity(device)
    if options.expect_release is not None:
        check_release(kernel, options.expect_release)
    identity = read_device_identity(device, accel=options.accel)
    run.set_identity(kernel, identity)
    facts = read_tracefs_facts(device) if options.trace else None
    for workload, _ in planned:
        if facts:  # what the kernel cannot do is told before anything is recorded
            choose_events(find_needs(workload.needs), facts.available, facts.machine)
    boot = device.boot_id()
    done: list[IterationRecord] = []
    total = options.iterations * len(planned)
    for repeat in range(options.iterations):
        for workload, parameters in planned:
            say(f"{workload.name} {len(done) + 1}/{total}")
            step = _Iteration(
                workload=workload,
                parameters=parameters,
                seed=options.seed + repeat,
                boot=boot,
                facts=facts,
                identity=identity,
                options=options,
            )
            done.append(_record_one(step, device, run, crash_probe, say))
            if done[-1].crash:
                return tuple(done)
    return tuple(done)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Iteration:
    workload: Workload
    parameters: Parameters
    seed: int
    boot: str
    facts: TracefsFacts | None
    identity: DeviceIdentity
    options: RecordOptions


def _record_one(
    step: _Iteration, device: Device, run: RunWriter, crash_probe: CrashProbe | None, say: Say
) -> IterationRecord:
    out = run.begin_iteration(
        step.workload.name,
        seed=step.seed,
        boot=step.boot,
        traced=step.facts is not None,
        parameters=step.parameters,
        process=step.workload.process(step.parameters),
    )
    log = LogcatCapture(device)
    context = Context(
        device=device,
        out=out,
        log=log,
        seed=step.seed,
        token=f"{secrets.token_hex(6)}-{out.record.index}",
        parameters=step.parameters,
        say=say,
    )
    ftrace: FtraceCapture | None = None
    try:
        try:
            sources, ftrace = choose_sources(step, device, log)
            if ftrace:
                out.note(trace_setup=ftrace.plan.describe())
            step.workload.prepare(context)
            with run_session(sources, out):
                outcome = step.workload.run_once(context)
        except DeviceLost:
            raise
        except BaseException:
            _clean_up(step.workload, context)
            raise
        _clean_up(step.workload, context)
    except SuiteError as error:
        lost = ftrace.lost_events if ftrace else None
        crash = _find_crash(error, crash_probe)
        if crash is None:
            out.seal("incomplete", str(error), lost_events=lost)
            raise
        say(f"{crash.kind}: {crash.summary}")
        return out.seal("incomplete", f"{crash.kind} of what is tested: {crash.summary}", lost_events=lost, crash=crash)
    except BaseException:
        out.seal("incomplete", "interrupted")
        raise
    return _seal(out, outcome, ftrace)


def choose_sources(
    step: _Iteration, device: Device, log: LogcatCapture
) -> tuple[tuple[Source, ...], FtraceCapture | None]:
    """The sources of an iteration, in the order in which they start; ftrace last, so that it sees no other start."""
    process = step.workload.process(step.parameters)
    package = step.workload.package(step.parameters)

    def find_pid() -> int | None:
        return next(iter(device.pidof(process)), None) if process else None

    sources: list[Source] = [VmstatCapture(device)]
    if step.options.lock_stat and LOCK_STAT in device.exists([LOCK_STAT]):
        sources.append(LockStatCapture(device))
    sources.append(MapsCapture(device, find_pid))
    sources.append(log)
    if package:
        sources.append(FramestatsCapture(device, package, refresh_rate_hz=step.identity.refresh_rate_hz))
    if step.facts is None:
        return tuple(sources), None
    sources.append(AtraceCapture(device, package))
    ftrace = FtraceCapture(device, find_needs(step.workload.needs), facts=step.facts, options=step.options.tracing)
    return (*sources, ftrace), ftrace


def _clean_up(workload: Workload, context: Context) -> None:
    try:
        workload.cleanup(context)
    except SuiteError as error:
        context.say(f"the clean-up after {workload.name} failed: {error}")


def _find_crash(error: SuiteError, crash_probe: CrashProbe | None) -> CrashRecord | None:
    """Whose fault a loss is: the tested kernel's, if the probe finds that it crashed."""
    if crash_probe is None or not isinstance(error, DeviceLost | AdbTimeout):
        return None
    return crash_probe()


def _seal(out: IterationWriter, outcome: Outcome, ftrace: FtraceCapture | None) -> IterationRecord:
    lost = ftrace.lost_events if ftrace else None
    if outcome.crash:
        return out.seal("incomplete", outcome.incomplete, lost_events=lost, crash=outcome.crash)
    if outcome.incomplete:
        return out.seal("incomplete", outcome.incomplete, lost_events=lost)
    if outcome.discarded:
        return out.seal("discarded", outcome.discarded, lost_events=lost)
    return out.seal("complete", lost_events=lost)
