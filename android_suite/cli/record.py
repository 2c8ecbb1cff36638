"""`android-suite record`: records scenarios on a device into a sealed run directory."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from android_suite.boot.booted import Booted
from android_suite.boot.leased import attach_leased
from android_suite.boot.virtual import boot_virtual, find_arch, find_perfetto
from android_suite.campaign.ending import end_as_interrupted
from android_suite.capture.ways import WAYS, Asked
from android_suite.cli.output import print_json, print_text, say
from android_suite.cli.ready import ready_options, refuse_in_virtual_time
from android_suite.cli.settings import choose_arch, read_settings, setting
from android_suite.config import Config
from android_suite.errors import EvidenceError, UsageError
from android_suite.model.plan import MODEL_NOTE, Runtime, describe_runtime
from android_suite.model.readiness import ReadyOptions
from android_suite.model.run import Mode
from android_suite.record.live import RecordOptions, record
from android_suite.record.run import record_run
from android_suite.report.phrases import show_foreign
from android_suite.store.run import RunWriter
from android_suite.virtual.image import read_overlay
from android_suite.virtual.kernels import ARCHES
from android_suite.virtual.runtimes import build_chosen
from android_suite.workload.collector import require_runtime
from android_suite.workload.registry import SUMMARIES, plan_scenarios, scenario_names
from android_suite.workload.runtime import check_runtime
from android_suite.workload.workload import LOCK_CHOICES, LOCKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """The options of a virtual device that `boot_virtual` and `record_deterministic` share."""

    kernel: str
    arch: str | None
    cpus: int
    memory_mb: int
    overlays: tuple[Path, ...]

    def measure_overlays(self) -> tuple[str, ...]:
        """SHA-256 of each. Refuses a file that is not an archive, before anything boots."""
        return tuple(hashlib.sha256(read_overlay(path)).hexdigest() for path in self.overlays)


@click.command(
    "record", short_help="Run scenarios on a device and seal a run directory.",
    epilog="\b\nScenarios:\n" + "\n".join(f"  {name:22}{SUMMARIES[name]}" for name in scenario_names()),
)  # fmt: skip
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO...")
@click.option("--serial", help="Attached device (default: ANDROID_SERIAL, or the only one).")
@click.option("--kernel", help="Boot a virtual device with this kernel: version, release, path or PAIR:side.")
@click.option("--arch", type=click.Choice(ARCHES), help="Its architecture (arm64 by default).")
@click.option("--cpus", type=click.IntRange(1, 8), default=None, help="Its CPUs (default: 2; deterministic: 1).")
@click.option(
    "--overlay",
    "overlays",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Initramfs (cpio, gzip or zstd) to append to its image.",
)
@click.option(
    "--runtime",
    type=click.Choice(["art"]),
    help="Run the app on a real Android runtime (ART 14) in the virtual device; built once, in minutes.",
)
@click.option(
    "--android",
    type=click.Path(path_type=Path),
    help="Take that runtime from this Android system: its system.img, or a folder of what `adb pull` got.",
)
@click.option(
    "--iterations", type=click.IntRange(1, 100_000), default=1, show_default=True, help="Iterations of each scenario."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the first iteration.")
@click.option("--label", default="", help="Name of this side in comparisons.")
@click.option(
    "--deterministic",
    is_flag=True,
    help="Bit-exact on a virtual device, in virtual time; each iteration has a different seed.",
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the scenarios.")
@click.option("--run", "run_command", metavar="COMMAND", help="The command for the scenario `command`.")
@click.option("--process", help="Process that counts as the app, for the scenario `command`.")
@click.option(
    "--user", type=click.IntRange(0, 10_000), help="Start apps as this user or work profile; the same as --set user=N."
)
@click.option(
    "--locks",
    type=click.Choice(LOCK_CHOICES),
    help="Locks to record: of memory (the default), or all that the kernel tells of, with futex and binder calls.",
)
@click.option("--trace/--no-trace", default=True, help="Record without a trace, to measure the cost of tracing.")
@click.option(
    "--capture",
    type=click.Choice(WAYS),
    default="auto",
    show_default=True,
    help="Who records the kernel's events: the suite from tracefs (needs root), the device's Perfetto, or each.",
)
@click.option("--take-tracing", is_flag=True, help="Take over a trace that another tool records on the device.")
@ready_options
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Run directory to create.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest.")
def command(
    scenarios: tuple[str, ...],
    serial: str | None,
    kernel: str | None,
    arch: str | None,
    cpus: int | None,
    overlays: tuple[Path, ...],
    runtime: Runtime | None,
    android: Path | None,
    iterations: int,
    seed: int,
    label: str,
    deterministic: bool,
    settings: tuple[str, ...],
    run_command: str | None,
    process: str | None,
    user: int | None,
    locks: str | None,
    trace: bool,
    capture: Asked,
    take_tracing: bool,
    ready: Mapping[str, Any],
    output: Path | None,
    as_json: bool,
) -> int:
    """Run scenarios on a device and seal a run directory.

    Without --kernel it uses the attached device. With --kernel it boots a virtual device for the recording.
    """
    parameters = parse_settings(settings)
    if run_command is not None:
        parameters["run"] = run_command
    if process is not None:
        parameters["process"] = process
    if user is not None:
        parameters["user"] = user
    if locks is not None:
        parameters[LOCKS] = locks
    runtime = "art" if android is not None else runtime
    mode: Mode = "deterministic" if deterministic else "realtime"
    memory_mb = setting("memory_mb", 1024)()
    for workload, complete in plan_scenarios(scenarios, parameters, mode=mode):  # report mistakes before anything boots
        check_runtime(
            complete, runtime=runtime, defaults=workload.defaults, attached=kernel is None, memory_mb=memory_mb
        )
    require_runtime(parameters, runtime)
    if kernel is None and (arch or cpus or overlays or runtime or deterministic):
        raise UsageError(
            "--arch, --cpus, --overlay, --runtime, --android and --deterministic are for virtual devices; add --kernel."
        )
    if deterministic:
        refuse_in_virtual_time(ready)
    if deterministic and capture in ("perfetto", "both"):
        raise UsageError("a deterministic guest has one trace, from tracefs; leave out --deterministic or --capture.")
    if kernel is not None and serial is not None:
        raise UsageError("--serial names an attached device and --kernel boots a virtual one; give one of the two.")
    guest = Guest(
        kernel=kernel or "",
        arch=choose_arch(arch, kernel or ""),
        cpus=cpus or setting("cpus", 1 if deterministic else 2)(),
        memory_mb=memory_mb,
        overlays=overlays,
    )
    config = read_settings()
    if runtime is not None:
        guest = replace(guest, overlays=(_build_runtime(guest, android, config), *overlays))
    if kernel is not None and capture in ("perfetto", "both"):
        guest = replace(guest, overlays=(find_perfetto(guest.kernel, guest.arch, config=config), *guest.overlays))
    folder = output or Path(default_name(label or kernel or serial or "run"))
    overlay_digests = guest.measure_overlays()
    if deterministic:
        from android_suite.record.sealed import record_deterministic

        def work(writer: RunWriter) -> None:
            record_deterministic(
                scenarios,
                writer,
                config=config,
                seed=seed,
                iterations=iterations,
                parameters=parameters,
                trace=trace,
                say=say,
                **asdict(guest),
            )
    else:
        boot = (
            attach_leased(config, serial, holder=f"record {folder}", say=say)
            if kernel is None
            else boot_virtual(config=config, **asdict(guest))
        )
        options = RecordOptions(
            cache=config.cache,
            iterations=iterations,
            seed=seed,
            parameters=parameters,
            trace=trace,
            capture=capture,
            take_tracing=take_tracing,
            ready=ReadyOptions(**ready),
        )

        def work(writer: RunWriter) -> None:
            _drive(boot, scenarios, writer, options)

    def work_with_note(writer: RunWriter) -> None:
        if runtime is not None:
            writer.add_note(describe_runtime(None if android is None else str(android.resolve())))
        elif kernel is not None and set(scenarios) != {"command"}:
            writer.add_note(MODEL_NOTE)
        work(writer)

    with end_as_interrupted():
        run = record_run(
            folder,
            work_with_note,
            label=label,
            mode=mode,
            overlays=overlay_digests,
            say=say,
        )
    if as_json:
        print_json({"path": str(run.path), "iterations": [i.status for i in run.manifest.iterations]})
    else:
        print_text(f"{run.path}\n")
    crashed = run.manifest.crash or next((i.crash for i in run.manifest.iterations if i.crash), None)
    if crashed:
        say(f"android-suite: the tested kernel or app crashed ({crashed.kind}: {crashed.summary}); see {run.path}")
    if crashed:
        return 1
    doubtful = [each for each in run.manifest.iterations if each.status != "complete" and not each.repeated]
    for each in doubtful:
        say(f"android-suite: {each.directory} is {each.status}: {show_foreign(each.reason, longest=2000)}")
    return EvidenceError.exit_code if doubtful else 0


def _build_runtime(guest: Guest, android: Path | None, config: Config) -> Path:
    """The overlay with the Android runtime; it comes before the user's, which may replace its files."""
    arch = find_arch(guest.kernel, guest.arch, config=config)
    return build_chosen(arch, android=android, config=config, progress=say).overlay


def _drive(
    boot: AbstractContextManager[Booted], scenarios: tuple[str, ...], run: RunWriter, options: RecordOptions
) -> None:
    say("waiting for the device")
    with boot as booted:
        say(f"recording on {booted.device.serial}{f' ({booted.accel})' if booted.accel else ''}")
        options = replace(
            options, expect_release=booted.release, accel=booted.accel, configuration=booted.configuration
        )
        record(scenarios, booted.device, run, options, crash_probe=booted.crash_probe, say=say)


def parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """Parses ``NAME=VALUE`` words into parameters.

    Raises:
        UsageError: a word does not have that form.
    """
    parameters: dict[str, Any] = {}
    for word in settings:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--set {word!r} is not NAME=VALUE; for example --set duration_ms=5000.")
        parameters[name] = value
    return parameters


def default_name(what: str) -> str:
    """The default name of a run directory, from scenario, kernel and time."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(what).name).strip("-.")[:40] or "run"
    return f"run-{safe}-{datetime.now():%Y%m%d-%H%M%S}"
