"""Records one scenario on a virtual device that runs isolated from the host, repeatable bit for bit.

The guest contains everything before it starts: a script sets up tracing, runs the scenario and drains the buffers.
Network and adbd start afterwards, and the results are fetched over adb as from a phone. The guest's shell makes the
same writes into tracefs as a realtime recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final

from android_suite.boot.booted import Booted
from android_suite.boot.virtual import boot_virtual, find_arch
from android_suite.capture.registry import SOURCES
from android_suite.capture.source import GUEST_FOLDER, GuestSteps, Request, SourceKind
from android_suite.config import Config
from android_suite.device.device import WORK_FOLDER, Device
from android_suite.device.identity import check_release, read_device_identity, read_kernel_identity
from android_suite.errors import SuiteError
from android_suite.model.run import IterationRecord
from android_suite.record.run import Say, record_iteration, silent
from android_suite.store.run import IterationWriter, RunWriter
from android_suite.workload.registry import plan_scenarios
from android_suite.workload.workload import BringsFiles, Outcome, Parameters, Workload

OUT_FOLDER: Final = f"{WORK_FOLDER}/run"
_MACHINES: Final = {"arm64": "aarch64", "amd64": "x86_64"}
_TOKEN: Final = "deterministic"


def record_deterministic(
    scenarios: Sequence[str],
    run: RunWriter,
    *,
    config: Config,
    kernel: str,
    arch: str | None = None,
    cpus: int = 1,
    memory_mb: int = 1024,
    overlays: Sequence[Path] = (),
    seed: int = 1,
    iterations: int = 1,
    parameters: Mapping[str, Any] | None = None,
    trace: bool = True,
    say: Say = silent,
    sources: Sequence[SourceKind] = SOURCES,
) -> tuple[IterationRecord, ...]:
    """Records iterations of each scenario, each in a separate boot; the caller seals the run.

    Args:
        scenarios: names of the scenarios.
        run: the run directory; its mode is ``deterministic``.
        config: gives the cache, the adb server and the Debian mirror.
        kernel: the kernel to boot.
        arch: ``arm64`` or ``amd64``; None takes that of the image, else arm64.
        cpus: number of CPUs of the guest; several run in turns.
        memory_mb: memory of the guest, in MB.
        overlays: the user's initramfs archives.
        seed: seed of the scenario and of the machine; each further iteration gets the next number.
        iterations: number of iterations of each scenario.
        parameters: parameters of the scenarios.
        trace: with ftrace or without.
        say: called with progress messages.
        sources: sources of evidence, in start order.

    Raises:
        UsageError: a scenario, a parameter or the kernel is unknown.
        KernelCrashed: the tested kernel crashed; the caller records it.
        Unsupported: the kernel lacks a required event.
        LabError: the test setup failed.
    """
    planned = plan_scenarios(scenarios, parameters or {}, mode="deterministic")
    machine = _MACHINES[find_arch(kernel, arch, config=config)]
    records = []
    for own_seed, (workload, complete) in product(range(seed, seed + iterations), planned):
        say(f"{workload.name}, seed {own_seed}: booting; the scenario runs before adb answers")
        request = Request(
            process=workload.process(complete),
            package=workload.package(complete),
            needs=workload.needs(complete),
            cache=config.cache,
            traced=trace,
        )
        steps = plan_guest(sources, request, machine)
        brought = workload.guest_files(machine, config.cache) if isinstance(workload, BringsFiles) else {}
        boot = boot_virtual(
            kernel,
            config=config,
            arch=arch,
            cpus=cpus,
            memory_mb=memory_mb,
            overlays=overlays,
            run_files={**render_run_files(workload, complete, steps, seed=own_seed), **brought},
            deterministic=True,
            seed=own_seed,
        )
        with boot as booted:
            say(f"{workload.name}: fetching the results")
            _identify(booted, run)
            out = run.begin_iteration(
                workload.name,
                seed=own_seed,
                boot=f"seed-{own_seed}",
                traced=trace,
                parameters=complete,
                process=request.process,
            )
            records.append(record_iteration(out, partial(_collect, workload, complete, booted.device, out, steps)))
    return tuple(records)


def plan_guest(sources: Sequence[SourceKind], request: Request, machine: str) -> tuple[GuestSteps, ...]:
    """The steps of each source in a deterministic guest, in the order of ``sources``.

    Raises:
        LabError: a program for the guest cannot be built.
    """
    return tuple(steps for kind in sources if (steps := kind.for_guest(request, machine)) is not None)


def render_run_files(
    workload: Workload, parameters: Parameters, steps: Sequence[GuestSteps], *, seed: int
) -> Mapping[str, bytes]:
    """The files to add to the guest: its script and the files of the sources.

    Args:
        workload: the scenario.
        parameters: all parameters.
        steps: steps of the sources in start order; they stop in reverse order.
        seed: seed of the scenario.
    """
    parts = [
        "#!/system/bin/sh",
        "# The measured window of a deterministic run. Written by android-suite.",
        f"out={OUT_FOLDER}",
        "mkdir -p $out",
        workload.guest_prepare(parameters),
        *(each.start for each in steps),
        workload.guest_script(parameters, seed=seed, token=_TOKEN),
        *(each.stop for each in reversed(steps)),
        *(each.pull for each in steps),
    ]
    text = "".join(f"{part.rstrip(chr(10))}\n" for part in parts if part)
    files = {f"{GUEST_FOLDER}/run.sh": text.encode(errors="surrogateescape")}
    for each in steps:
        files |= each.files
    return files


def _identify(booted: Booted, run: RunWriter) -> None:
    kernel = replace(read_kernel_identity(booted.device), configuration=booted.configuration)
    if booted.release is not None:
        check_release(kernel, booted.release)
    run.set_identity(kernel, read_device_identity(booted.device, accel=booted.accel))


def _collect(
    workload: Workload, parameters: Parameters, device: Device, out: IterationWriter, steps: Sequence[GuestSteps]
) -> Outcome:
    """Fetches the evidence of the scenario and the sources. A failing source does not affect the others.

    Raises:
        SuiteError: the first fault, with the others as notes.
    """
    names = device.run(f"cd {OUT_FOLDER} && ls").text.split()
    left = {name: device.transport.pull(f"{OUT_FOLDER}/{name}", timeout=300) for name in names}
    evidence, outcome = workload.read_guest(left, parameters, _TOKEN)
    for name, text in evidence.items():
        out.write(name, text)
    fault: SuiteError | None = None
    for each in steps:
        for name, kept in each.keep.items():
            if left.get(name):
                out.write(kept, left[name])
        if each.collect is None:
            continue
        try:
            each.collect(device, left, out)
        except SuiteError as error:
            if fault is None:
                fault = error
            else:
                fault.add_note(str(error))
    if fault is not None:
        raise fault
    return outcome
