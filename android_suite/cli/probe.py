"""`android-suite probe`: whether a kernel has the seed patch, by what its madvise does."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from android_suite.boot.booted import Booted
from android_suite.boot.leased import attach_leased
from android_suite.boot.virtual import boot_virtual
from android_suite.capture.ftrace import FtraceCapture
from android_suite.capture.native_program import build_program
from android_suite.capture.registry import open_sources
from android_suite.capture.session import run_session
from android_suite.capture.source import Request, Site, Source
from android_suite.capture.trace_files import read_tracefs_facts
from android_suite.cli.output import print_json, print_text, say
from android_suite.cli.settings import choose_arch, read_settings, setting
from android_suite.config import Config
from android_suite.device.claim import claim_device
from android_suite.device.device import Device
from android_suite.device.identity import read_device_identity, read_kernel_identity
from android_suite.errors import Unsupported, UsageError
from android_suite.model.document import to_plain
from android_suite.model.identity import KernelIdentity
from android_suite.model.probe import CALLS, PROGRAM, Answer, ProbeEvidence, ProbeResult, count_calls, judge
from android_suite.record.run import record_iteration, record_run
from android_suite.store.run import IterationWriter, Run, RunWriter
from android_suite.virtual.kernels import ARCHES
from android_suite.workload.workload import Outcome

_NEEDS = ("MMAP_LOCK", "MADVISE")


@click.command("probe")
@click.option("--serial", help="Attached device (default: ANDROID_SERIAL, or the only one).")
@click.option("--kernel", help="Boot a virtual device with this kernel: version, release, path or PAIR:side.")
@click.option("--arch", type=click.Choice(ARCHES), help="Its architecture (arm64 by default).")
@click.option("--take-tracing", is_flag=True, help="Take over a trace that another tool records on the device.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(serial: str | None, kernel: str | None, arch: str | None, take_tracing: bool, as_json: bool) -> int:
    """Tell whether a kernel frees memory under the lock of a VMA: yes, no or cannot tell, with the evidence.

    It runs a small program that calls madvise(MADV_DONTNEED) and traces which locks the calls take. The version of the
    kernel plays no part, so backports are found. Exit code 3: it cannot be told.
    """
    if kernel is not None and serial is not None:
        raise UsageError("--serial names an attached device and --kernel boots a virtual one; give one of the two.")
    if kernel is None and arch:
        raise UsageError("--arch is for virtual devices; add --kernel.")
    config = read_settings()
    if kernel is None:
        boot = attach_leased(config, serial, holder="probe", say=say)
    else:
        memory_mb = setting("memory_mb", 1024)()
        boot = boot_virtual(kernel, config=config, arch=choose_arch(arch, kernel), cpus=1, memory_mb=memory_mb)
    with boot as booted:
        result = probe_device(booted, config, take_tracing=take_tracing)
    if as_json:
        print_json(to_plain(result))
    else:
        print_text(render(result))
    return result.exit_code


def probe_device(booted: Booted, config: Config, *, take_tracing: bool = False) -> ProbeResult:
    """Runs the probe on a device.

    Raises:
        LabError: the test setup failed.
    """
    device = booted.device
    kernel = read_kernel_identity(device)
    try:
        with tempfile.TemporaryDirectory(prefix="android-suite-probe-") as folder:
            run = _record(device, kernel, config, Path(folder) / "run", take_tracing)
            evidence, trouble = _read(run)
    except Unsupported as error:
        return ProbeResult(
            seed_patch="cannot tell",
            reason=str(error),
            kernel=kernel,
            device=read_device_identity(device),
            evidence=None,
        )
    answer: Answer = "cannot tell"
    answer, reason = (answer, trouble) if trouble else judge(evidence)
    manifest = run.manifest
    return ProbeResult(
        seed_patch=answer, reason=reason, kernel=manifest.kernel, device=manifest.device, evidence=evidence
    )


def _record(device: Device, kernel: KernelIdentity, config: Config, folder: Path, take_tracing: bool) -> Run:
    """Traces the probe's program, with no more events than the answer needs."""
    program = device.push_program(build_program(PROGRAM, kernel.machine, cache=config.cache), PROGRAM)
    request = Request(process=PROGRAM, package=None, needs=_NEEDS, cache=config.cache, take_tracing=take_tracing)
    site = Site(device=device, tracefs=read_tracefs_facts(device), refresh_rate_hz=None)

    def trace(out: IterationWriter, sources: Sequence[Source]) -> Outcome:
        with run_session(sources, out):
            done = device.transport.run([program, str(CALLS)])
        out.write("command_stdout.txt", done.stdout)
        return Outcome(incomplete="" if done.status == 0 else f"{PROGRAM} failed: {done.complaint}")

    def work(writer: RunWriter) -> None:
        writer.set_identity(kernel, read_device_identity(device))
        sources = open_sources((FtraceCapture,), request, site)
        out = writer.begin_iteration(
            "probe", seed=1, boot=device.boot_id(), traced=True, parameters={}, process=PROGRAM
        )
        record_iteration(out, partial(trace, out, sources), say=say)

    with claim_device(device, config.cache):
        return record_run(folder, work, label="probe", mode="realtime", say=say)


def _read(run: Run) -> tuple[ProbeEvidence, str]:
    """What the trace shows, and why it cannot be trusted, if so."""
    from android_suite.analyze import analyze_run  # takes a second to load

    (iteration,) = run.manifest.iterations
    (analyzed,) = analyze_run(run).iterations
    said = (run.raw(iteration) / "command_stdout.txt").read_text("utf-8", "replace").strip()
    per_vma, mmap_lock, unknown = count_calls(analyzed.summary.madvise)
    events = iteration.trace_setup.get("events", ())
    evidence = ProbeEvidence(
        made=int(said) if said.isascii() and said.isdigit() else 0,
        per_vma=per_vma,
        mmap_lock=mmap_lock,
        unknown=unknown,
        lost_events=iteration.lost_events,
        events=tuple(str(event) for event in events),
    )
    return evidence, iteration.reason if iteration.status != "complete" else ""


def render(result: ProbeResult) -> str:
    """The answer for people."""
    lines = [f"seed patch: {result.seed_patch}", result.reason]
    if result.kernel is not None and result.device is not None:
        lines.append(f"kernel {result.kernel.release} on {result.device.model} ({result.device.serial})")
    if (seen := result.evidence) is not None:
        lost = "unknown" if seen.lost_events is None else seen.lost_events
        lines.append(
            f"traced calls: {seen.per_vma} per VMA, {seen.mmap_lock} on mmap_lock, {seen.unknown} unknown; lost events: {lost}"
        )
    return "\n".join(lines) + "\n"
