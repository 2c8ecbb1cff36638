"""Records scenarios on a device that the host drives."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from android_suite.capture.logcat import LogcatCapture
from android_suite.capture.needs import choose_events, find_needs
from android_suite.capture.registry import SOURCES, open_sources
from android_suite.capture.session import run_session
from android_suite.capture.source import Request, Site, Source, SourceKind
from android_suite.capture.trace_plan import TraceOptions
from android_suite.capture.ways import Asked, choose_way
from android_suite.device.claim import claim_device
from android_suite.device.device import Device
from android_suite.device.identity import check_release, read_device_identity, read_kernel_identity
from android_suite.errors import DeviceLost, SuiteError
from android_suite.model.readiness import ReadyOptions
from android_suite.model.run import IterationRecord
from android_suite.ready.keeper import Keeper, hold_ready
from android_suite.record.run import CrashProbe, Say, record_iteration, silent
from android_suite.record.watch import Watch
from android_suite.store.run import IterationWriter, RunWriter
from android_suite.workload.our_app import BACKGROUND_PACKAGE, PACKAGE, install_app
from android_suite.workload.registry import plan_scenarios
from android_suite.workload.workload import BACKGROUND, USER, Context, Outcome, Parameters, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOptions:
    """Options of a recording.

    Attributes:
        cache: cache folder for compiled programs for the device.
        iterations: number of iterations of each scenario.
        seed: seed of the first iteration; each further one gets the next number.
        parameters: passed to every scenario that knows them.
        trace: with a trace, or without (to measure the cost of tracing).
        capture: who records the kernel's events; see :func:`~android_suite.capture.ways.choose_way`.
        lock_stat: read ``/proc/lock_stat`` if the kernel has it.
        take_tracing: take over a trace that another tool records.
        tracing: buffer, clock, period.
        expect_release: the requested kernel; any other is refused.
        accel: accelerator of a virtual device.
        configuration: of the kernel, where the suite built it.
        ready: what is asked of the device, see :mod:`android_suite.ready`; None leaves it as it is.
        claimed: whether the caller already holds the device (:func:`~android_suite.device.claim.claim_device`).
    """

    cache: Path
    iterations: int = 1
    seed: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    trace: bool = True
    capture: Asked = "auto"
    lock_stat: bool = True
    take_tracing: bool = False
    tracing: TraceOptions = field(default_factory=TraceOptions)
    expect_release: str | None = None
    accel: str | None = None
    configuration: str | None = None
    ready: ReadyOptions | None = None
    claimed: bool = False


def record(
    scenarios: Sequence[str],
    device: Device,
    run: RunWriter,
    options: RecordOptions,
    *,
    crash_probe: CrashProbe | None = None,
    say: Say = silent,
    sources: Sequence[SourceKind] = SOURCES,
) -> tuple[IterationRecord, ...]:
    """Runs every scenario ``iterations`` times and seals each iteration; the caller seals the run.

    Args:
        scenarios: names from :func:`~android_suite.workload.registry.scenario_names`.
        device: the device.
        run: the run directory.
        options: options of the recording.
        crash_probe: called after a loss of the device to find a crash of the tested kernel.
        say: called with progress messages.
        sources: sources of evidence, in start order.

    Returns:
        The sealed iterations; one that the device disturbed is discarded and repeated. A crash of the tested kernel or
        app ends the recording.

    Raises:
        UsageError: a scenario or a parameter is unknown.
        Unsupported: the kernel lacks a required event.
        LabError: another recording runs on the device, which is not touched; or the test setup failed, and the current
            iteration is sealed as incomplete.
    """
    planned = plan_scenarios(scenarios, options.parameters, mode="realtime")
    with (
        nullcontext() if options.claimed else claim_device(device, options.cache),
        nullcontext()
        if options.ready is None
        else hold_ready(device, options.ready, cache=options.cache, say=say) as keeper,
    ):
        return _record(planned, device, run, options, crash_probe, say, sources, keeper)


def _record(
    planned: Sequence[tuple[Workload, Parameters]],
    device: Device,
    run: RunWriter,
    options: RecordOptions,
    crash_probe: CrashProbe | None,
    say: Say,
    sources: Sequence[SourceKind],
    keeper: Keeper | None,
) -> tuple[IterationRecord, ...]:
    """See :func:`record`; the device is already claimed."""
    kernel = replace(read_kernel_identity(device), configuration=options.configuration)
    if options.expect_release is not None:
        check_release(kernel, options.expect_release)
    identity = read_device_identity(device, accel=options.accel)
    run.set_identity(kernel, identity)
    way, facts = choose_way(device, options.capture) if options.trace else ("tracefs", None)
    if way == "perfetto" and options.capture == "auto":
        say("the shell may not use tracefs: Perfetto records the trace")
    for workload, parameters in planned:
        if facts:  # report missing kernel features before anything is recorded
            choose_events(find_needs(workload.needs(parameters)), facts.available, facts.machine)
    for package in (PACKAGE, BACKGROUND_PACKAGE):  # before any iteration, which an installation would disturb
        users = [
            int(given.get(USER, -1))
            for workload, given in planned
            if package in (workload.package(given), given.get(BACKGROUND))
        ]
        if users:
            install_app(device, say, package=package, users=users)
    site = Site(device=device, tracefs=facts, refresh_rate_hz=identity.refresh_rate_hz)
    boot = device.boot_id()
    done: list[IterationRecord] = []
    learnt: set[str] = set()
    total = options.iterations * len(planned)
    for repeat, (workload, parameters) in product(range(options.iterations), planned):
        say(f"{workload.name} {repeat * len(planned) + planned.index((workload, parameters)) + 1}/{total}")
        request = Request(
            process=workload.process(parameters),
            package=workload.package(parameters),
            needs=workload.needs(parameters),
            cache=options.cache,
            traced=options.trace,
            lock_stat=options.lock_stat,
            tracing=options.tracing,
            take_tracing=options.take_tracing,
            capture=way,
        )
        left = options.ready.repeats if options.ready else 0
        while True:
            out = run.begin_iteration(
                workload.name,
                seed=options.seed + repeat,
                boot=boot,
                traced=options.trace,
                parameters=parameters,
                process=request.process,
            )
            opened = open_sources(sources, request, site)
            watch = None if keeper is None else Watch(keeper, may_repeat=left > 0)
            work = partial(_work, workload, parameters, device, out, opened, say, learnt, options.cache, watch)
            done.append(record_iteration(out, work, crash_probe=crash_probe, say=say))
            if done[-1].crash:
                return tuple(done)
            if not done[-1].repeated:
                break
            left -= 1
            say(f"{workload.name} is repeated: {done[-1].reason}")
    return tuple(done)


def _work(
    workload: Workload,
    parameters: Parameters,
    device: Device,
    out: IterationWriter,
    sources: Sequence[Source],
    say: Say,
    learnt: set[str],
    cache: Path,
    watch: Watch | None,
) -> Outcome:
    """One iteration: prepare, trace, work, evidence. The workload cleans up unless the device is lost."""
    context = Context(
        device=device,
        out=out,
        log=next(source for source in sources if isinstance(source, LogcatCapture)),
        seed=out.record.seed or 0,
        token=f"{secrets.token_hex(6)}-{out.record.index}",
        parameters=parameters,
        say=say,
        learnt=learnt,
        cache=cache,
    )
    if watch is not None:
        watch.begin()
    try:
        workload.prepare(context)
        with run_session(sources, out):
            outcome = workload.run_once(context)
    except DeviceLost:
        raise
    except BaseException:
        _clean_up(workload, context)
        raise
    _clean_up(workload, context)
    return outcome if watch is None else watch.end(outcome, out)


def _clean_up(workload: Workload, context: Context) -> None:
    try:
        workload.cleanup(context)
    except SuiteError as error:
        context.say(f"cleaning up after {workload.name} failed: {error}")
