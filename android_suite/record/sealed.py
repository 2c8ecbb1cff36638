"""One scenario on a virtual device that nothing from outside may touch, bit for bit repeatable.

Everything is in the guest before it starts: a script that sets tracing up, runs the scenario and drains the buffers.
Network and adbd come up afterwards, and the results leave over adb as they would from a phone. The writes into tracefs
are those of a realtime recording, done by the guest's own shell.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from android_suite.boot.booted import Booted
from android_suite.boot.virtual import boot_virtual, find_arch
from android_suite.capture.native_program import build_program
from android_suite.capture.needs import MM_SYSCALLS, NEEDS, EventChoice, choose_events, find_needs
from android_suite.capture.trace_files import pull_trace_files, read_tracefs_facts
from android_suite.capture.trace_plan import TraceOptions, TracePlan, plan_trace
from android_suite.device.device import PROCESSES_SCRIPT, THREADS_SCRIPT, TRACEFS_PLACES, WORK_FOLDER
from android_suite.device.files import parse_write_output, render_write_script
from android_suite.device.identity import check_release, read_device_identity, read_kernel_identity
from android_suite.errors import LabError, SuiteError, Unsupported
from android_suite.model.run import IterationRecord
from android_suite.store.run import IterationWriter, RunWriter
from android_suite.workload.registry import plan_scenarios
from android_suite.workload.workload import Outcome, Parameters, Workload

RUN_FOLDER: Final = "/etc/android-suite/run"
OUT_FOLDER: Final = f"{WORK_FOLDER}/run"
_MACHINES: Final = {"arm64": "aarch64", "amd64": "x86_64"}
# A whole run has to fit: nothing takes it away meanwhile. 6 s of the inversion profile are some 5 MB.
_OPTIONS: Final = TraceOptions(buffer_kb=65536)
# gfxinfo keeps 120 frames, 2 s of them at 60 Hz; in virtual time a poll is never late.
_FRAMES_PERIOD_S: Final = 1.8
_TOKEN: Final = "deterministic"
_EVIDENCE: Final = ("framestats.txt", "smaps.txt", "vmstat_before.txt", "vmstat_after.txt", "lock_stat.txt")


def record_deterministic(
    scenarios: Sequence[str],
    run: RunWriter,
    *,
    kernel: str,
    arch: str | None = None,
    cpus: int = 1,
    memory_mb: int = 1024,
    overlays: Sequence[Path] = (),
    seed: int = 1,
    parameters: Mapping[str, Any] | None = None,
    trace: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[IterationRecord, ...]:
    """Records one iteration of each scenario, each in a boot of its own; the caller seals the run.

    Args:
        scenarios: names.
        run: where to; its mode is ``deterministic``.
        kernel: what to boot.
        arch: ``arm64`` or ``amd64``; None: the image's own, or arm64.
        cpus: of the guest; several run in turns.
        memory_mb: of the guest.
        overlays: initramfs archives of the user's.
        seed: of the scenario and of everything random that the machine gives the guest.
        parameters: of the scenarios.
        trace: with ftrace or without.
        say: takes a few words on what is going on.

    Raises:
        UsageError: an unknown scenario, parameter or kernel.
        GuestCrashed: the tested kernel crashed; the caller records it.
        Unsupported: the kernel lacks a required event.
        LabError: the lab failed.
    """
    planned = plan_scenarios(scenarios, parameters or {}, mode="deterministic")
    machine = _MACHINES[find_arch(kernel, arch)]
    records = []
    for workload, complete in planned:
        say(f"{workload.name}, seed {seed}: booting; the scenario runs before adb answers")
        plan = _plan_unseen(workload.needs) if trace else None
        files = render_run_files(workload, complete, plan, seed=seed, machine=machine)
        boot = boot_virtual(
            kernel,
            arch=arch,
            cpus=cpus,
            memory_mb=memory_mb,
            overlays=overlays,
            run_files=files,
            deterministic=True,
            seed=seed,
        )
        with boot as booted:
            say(f"{workload.name}: fetching the results")
            records.append(_collect(booted, run, workload, complete, plan, seed))
    return tuple(records)


def _plan_unseen(needs: Sequence[str]) -> TracePlan:
    """Plans tracing for a kernel that nobody has looked at: everything wanted, every write optional.

    What was refused is found after the run, by comparing with the events that the kernel has.
    """
    groups = find_needs(needs)
    wanted = {event for need in NEEDS for event in (*need.required, *need.optional)}
    wanted |= {f"syscalls:sys_{edge}_{call}" for call in MM_SYSCALLS for edge in ("enter", "exit")}
    plan = plan_trace(TRACEFS_PLACES[0], choose_events(groups, wanted, ""), groups, _OPTIONS)
    return replace(plan, writes=tuple(replace(write, optional=True) for write in plan.writes))


def render_run_files(
    workload: Workload,
    parameters: Parameters,
    plan: TracePlan | None,
    *,
    seed: int,
    machine: str,
) -> Mapping[str, bytes]:
    """The files that are put into the guest: its script and the drain.

    Args:
        workload: the scenario.
        parameters: complete.
        plan: of tracing; None: no trace.
        seed: of the scenario.
        machine: ``uname -m`` of the device.
    """
    process, package = workload.process(parameters), workload.package(parameters)
    lines = [
        "#!/system/bin/sh",
        "# The measured window of a deterministic run. Written by android-suite.",
        f"out={OUT_FOLDER}",
        "mkdir -p $out",
        workload.guest_prepare(parameters).rstrip("\n"),
        "cat /proc/vmstat > $out/vmstat_before.txt",
        "if [ -e /proc/lock_stat ]; then echo 1 > /proc/sys/kernel/lock_stat; echo 0 > /proc/lock_stat; fi",
    ]
    if package:
        lines += [
            f"dumpsys gfxinfo {shlex.quote(package)} reset > /dev/null 2>&1",
            (
                f"(while sleep {_FRAMES_PERIOD_S}; do dumpsys gfxinfo {shlex.quote(package)} framestats; done)"
                " > $out/framestats.txt 2>/dev/null &"
            ),
            "frames=$!",
        ]
    if plan:
        setup = render_write_script(plan.writes).rstrip("\n")
        lines += [f"(\n{setup}\n) > $out/refused.txt", f"echo 1 > {plan.tracefs}/tracing_on"]
    lines.append(workload.guest_script(parameters, seed=seed, token=_TOKEN).rstrip("\n"))
    if plan:
        lines.append(f"echo 0 > {plan.tracefs}/tracing_on")
    if package:
        lines += [
            "kill $frames",
            f"dumpsys gfxinfo {shlex.quote(package)} framestats >> $out/framestats.txt 2>/dev/null",
        ]
    lines += [
        "if [ -e /proc/lock_stat ]; then cat /proc/lock_stat > $out/lock_stat.txt; fi",
        "cat /proc/vmstat > $out/vmstat_after.txt",
        f"({THREADS_SCRIPT}) > $out/threads.txt",
        f"({PROCESSES_SCRIPT}) > $out/processes.txt",
    ]
    if process:
        lines.append(f"pid=$(pidof {shlex.quote(process)}) && cat /proc/${{pid%% *}}/smaps > $out/smaps.txt")
    files = {}
    if plan:
        lines += [
            "kb=4",
            f"if [ -r {plan.tracefs}/buffer_subbuf_size_kb ]; then read kb < {plan.tracefs}/buffer_subbuf_size_kb; fi",
            f"{RUN_FOLDER}/ftrace_drain {plan.tracefs} $((kb * 1024)) 1 -o $out < /dev/null 2> $out/drain.txt",
            "echo $? > $out/drain_status.txt",
        ]
        files[f"{RUN_FOLDER}/ftrace_drain"] = build_program("ftrace_drain", machine)
    text = "\n".join(line for line in lines if line) + "\n"
    return {f"{RUN_FOLDER}/run.sh": text.encode(errors="surrogateescape"), **files}


def _collect(
    booted: Booted,
    run: RunWriter,
    workload: Workload,
    parameters: Parameters,
    plan: TracePlan | None,
    seed: int,
) -> IterationRecord:
    device = booted.device
    kernel = read_kernel_identity(device)
    if booted.release is not None:
        check_release(kernel, booted.release)
    run.set_identity(kernel, read_device_identity(device, accel=booted.accel))
    out = run.begin_iteration(
        workload.name,
        seed=seed,
        boot=f"seed-{seed}",
        traced=plan is not None,
        parameters=parameters,
        process=workload.process(parameters),
        trace_setup=plan.describe() if plan else {},
    )
    lost: int | None = None
    try:
        names = device.run(f"cd {OUT_FOLDER} && ls").text.split()
        files = {name: device.transport.pull(f"{OUT_FOLDER}/{name}", timeout=300) for name in names}
        for name in _EVIDENCE:
            if files.get(name):
                out.write(name, files[name])
        evidence, outcome = workload.read_guest(files, parameters, _TOKEN)
        for name, text in evidence.items():
            out.write(name, text)
        out.write("logcat.txt", device.run(["logcat", "-d", "-v", "epoch"], timeout=60).stdout)
        if plan:
            lost = _collect_trace(booted, out, plan, files)
    except SuiteError as error:
        out.seal("incomplete", str(error), lost_events=lost)
        raise
    return _seal(out, outcome, lost)


def _collect_trace(booted: Booted, out: IterationWriter, plan: TracePlan, files: Mapping[str, bytes]) -> int:
    device = booted.device
    if files.get("drain_status.txt", b"").strip() != b"0":
        said = files.get("drain.txt", b"").decode(errors="replace").strip()
        raise LabError(f"the guest did not drain its trace ({said or 'no message'}); record again.")
    facts = read_tracefs_facts(device)
    choice = _check_choice(plan, choose_events(find_needs(plan.needs), facts.available, facts.machine))
    for name, data in files.items():
        if (name.startswith("cpu") and name.endswith(".raw")) or name in ("threads.txt", "processes.txt"):
            out.write(f"ftrace/{name}", data)
    seen = replace(plan, choice=choice, tracefs=facts.tracefs)
    out.note(trace_setup=seen.describe())
    refused = parse_write_output(plan.writes, files.get("refused.txt", b"").decode(errors="replace"))
    places = [f"/{event.replace(':', '/')}/" for event in set(plan.choice.events) - set(choice.events)]
    notes = [
        f"{plan.writes[index].path} refused {plan.writes[index].value!r}"
        for index in refused
        if not any(place in plan.writes[index].path for place in places)
    ]
    return pull_trace_files(device, seen, facts, out, about={"notes": notes})


def _check_choice(plan: TracePlan, seen: EventChoice) -> EventChoice:
    """The events that really were enabled.

    Raises:
        Unsupported: the kernel would have needed others than those that the guest was told to enable.
    """
    if strangers := set(seen.events) - set(plan.choice.events):
        raise Unsupported(
            f"this kernel shows system calls only as {min(strangers)}, which a deterministic run cannot use; "
            "use a kernel with CONFIG_FTRACE_SYSCALLS, or record without --deterministic."
        )
    return seen


def _seal(out: IterationWriter, outcome: Outcome, lost: int | None) -> IterationRecord:
    if outcome.incomplete:
        return out.seal("incomplete", outcome.incomplete, lost_events=lost, crash=outcome.crash)
    if outcome.discarded:
        return out.seal("discarded", outcome.discarded, lost_events=lost)
    return out.seal("complete", lost_events=lost)
