"""`android-suite soak`: counts in the kernel for hours or days; reads and compares what was counted."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import click

from android_suite.boot.attached import attach
from android_suite.boot.booted import Booted
from android_suite.boot.leased import attach_unleased
from android_suite.boot.virtual import boot_virtual
from android_suite.cli.output import print_json, print_text, say
from android_suite.cli.settings import Number, choose_arch, read_settings, setting
from android_suite.config import Config
from android_suite.device.connect import connect
from android_suite.device.device import Device
from android_suite.device.identity import read_device_identity, read_kernel_identity
from android_suite.errors import UsageError
from android_suite.model.document import to_plain
from android_suite.model.soak import SoakManifest
from android_suite.soak.plan import SoakPlan
from android_suite.soak.run import Soak, SoakOptions, adopt, clean, install_possible
from android_suite.store.run import now_iso, write_atomic
from android_suite.store.soak import SoakWriter, read_soak_manifest
from android_suite.virtual.kernels import ARCHES
from android_suite.virtual.runtimes import build_chosen

_serial = click.option("--serial", help="Attached device (default: ANDROID_SERIAL, or the only one).")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_folder = click.Path(path_type=Path, file_okay=False)


@click.group("soak", invoke_without_command=True)
@click.option("--hours", type=Number(min=0), default=0.0, help="How long to count.")
@click.option("--minutes", type=Number(min=0), default=0.0, help="Added to --hours.")
@_serial
@click.option("--kernel", help="Boot a virtual device with this kernel: version, release, path or PAIR:side.")
@click.option("--arch", type=click.Choice(ARCHES), help="Its architecture (arm64 by default).")
@click.option("--runtime", type=click.Choice(["art"]), help="Run its app on a real Android runtime (ART 14).")
@click.option("--run", "work", help="Run this shell command on the device meanwhile.")
@click.option("--out", "-o", "out", type=_folder, help="Folder for the soak.")
@click.option("--resume", type=_folder, help="Go on with the soak in this folder.")
@click.option("--label", default="", help="Its name in reports.")
@click.option("--interval", type=Number(min=1), default=60.0, show_default=True, help="Seconds per checkpoint.")
@click.option(
    "--entries", type=click.IntRange(64, 65536), default=16384, show_default=True, help="Threads that a table can hold."
)
@click.option("--outlier-ms", type=Number(min=0.001), default=50.0, show_default=True, help="Trace longer waits.")
@click.option("--no-outliers", is_flag=True, help="Keep no ring buffer for the trace of long waits.")
@_json
def command(**given: object) -> int | None:
    """Count madvise calls, their paths, and waits for locks in the kernel, for hours or days.

    The device counts by itself, so cables and this command may come and go: the same command, or --resume, goes on.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return None
    return _run(**given)  # type: ignore[arg-type]


@command.command("report")
@click.argument("folder", type=_folder)
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the page here.")
@_json
def report_command(folder: Path, html: Path | None, as_json: bool) -> int:
    """Print what a soak counted so far."""
    from android_suite.analyze.soak import read_soak
    from android_suite.report.soak import render_soak_html, render_soak_text

    summary = read_soak(folder)
    if html is not None:
        write_atomic(html, render_soak_html(summary).encode())
        say(f"wrote {html}")
    if as_json:
        print_json(to_plain(summary))
    elif html is None:
        print_text(render_soak_text(summary))
    return 0


@command.command("compare")
@click.argument("baseline", type=_folder)
@click.argument("candidate", type=_folder)
@_json
def compare_command(baseline: Path, candidate: Path, as_json: bool) -> int:
    """Compare the rates of two soaks; the unit is the boot."""
    from android_suite.analyze.soak import read_soak
    from android_suite.compare.soaks import compare_soaks
    from android_suite.report.soak import render_soak_comparison_text

    found = compare_soaks(read_soak(baseline), read_soak(candidate))
    if as_json:
        print_json(to_plain(found))
    else:
        print_text(render_soak_comparison_text(found))
    return 0


@command.command("clean")
@_serial
def clean_command(serial: str | None) -> int:
    """Remove the counters that a killed soak left on a device."""
    device = Device(connect(read_settings(), serial))
    clean(device)
    say(f"{device.serial}: no soak counts there any more")
    return 0


def _run(
    *,
    hours: float,
    minutes: float,
    serial: str | None,
    kernel: str | None,
    arch: str | None,
    runtime: str | None,
    work: str | None,
    out: Path | None,
    resume: Path | None,
    label: str,
    interval: float,
    entries: int,
    outlier_ms: float,
    no_outliers: bool,
    as_json: bool,
) -> int:
    seconds = hours * 3600 + minutes * 60
    if kernel is not None and (serial is not None or resume is not None):
        raise UsageError("--kernel boots a new virtual device; leave out --serial and --resume.")
    if kernel is None and (arch or runtime):
        raise UsageError("--arch and --runtime are for virtual devices; add --kernel.")
    if entries & (entries - 1):
        raise UsageError(f"--entries is {entries}; choose a power of two, such as {1 << entries.bit_length()}.")
    if resume is not None and out is not None and resume != out:
        raise UsageError("--resume names the folder; leave out --out.")
    folder = resume or out
    if folder is None:
        raise UsageError("give the folder for the soak: --out FOLDER.")
    again = resume is not None or (kernel is None and (folder / "soak.json").exists())
    if not again and seconds <= 0:
        raise UsageError("say how long to count: --hours H or --minutes M.")
    config = read_settings()
    options = SoakOptions(entries=entries, outlier_ms=None if no_outliers else outlier_ms)
    if again:
        manifest = read_soak_manifest(folder)
        if manifest.finished:
            raise UsageError(f"{folder} is finished; `android-suite soak report {folder}` shows it.")
        serial = serial or manifest.device.serial
        options = replace(options, entries=manifest.entries, outlier_ms=manifest.outlier_ms)
    with _open(config, serial, kernel, arch, runtime, again=again) as booted:
        _follow(booted, config, folder, options, work, again=again, seconds=seconds, label=label, interval=interval)
    from android_suite.analyze.soak import read_soak
    from android_suite.report.soak import render_soak_html, render_soak_text

    summary = read_soak(folder)
    write_atomic(folder / "soak.html", render_soak_html(summary).encode())
    if as_json:
        print_json(to_plain(summary))
    else:
        print_text(render_soak_text(summary))
    if not summary.madvise and any(each.name.startswith("everything") for each in summary.missing):
        return 3
    return 0


@contextmanager
def _open(
    config: Config, serial: str | None, kernel: str | None, arch: str | None, runtime: str | None, *, again: bool
) -> Iterator[Booted]:
    if kernel is None:
        # One that goes on is on the device already: its counters run, whoever leased the device meanwhile.
        with attach(config, serial) if again else attach_unleased(config, serial) as booted:
            yield booted
        return
    chosen = choose_arch(arch, kernel)
    overlays: tuple[Path, ...] = ()
    if runtime is not None:
        overlays = (build_chosen(chosen or "arm64", android=None, config=config, progress=say).overlay,)
    memory_mb, cpus = setting("memory_mb", 1024)(), setting("cpus", 2)()
    with boot_virtual(kernel, config=config, arch=chosen, cpus=cpus, memory_mb=memory_mb, overlays=overlays) as booted:
        yield booted


def _follow(
    booted: Booted,
    config: Config,
    folder: Path,
    options: SoakOptions,
    work: str | None,
    *,
    again: bool,
    seconds: float,
    label: str,
    interval: float,
) -> None:
    device = booted.device
    if again:
        writer = SoakWriter.reopen(folder)
        plan, mark = adopt(device, writer.manifest.id, options, say)
    else:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} is not empty; choose another --out, or go on there with --resume.")
        identity = secrets.token_hex(6)
        plan, mark = install_possible(device, options, identity, say)
        manifest = SoakManifest(
            id=identity,
            created_at=now_iso(),
            label=label or folder.name,
            until_unix_ns=time.time_ns() + round(seconds * 1e9),
            interval_s=interval,
            kernel=read_kernel_identity(device),
            device=read_device_identity(device, accel=booted.accel),
            tables=plan.tables,
            entries=options.entries,
            outlier_ms=options.outlier_ms,
            missing=plan.missing,
        )
        writer = SoakWriter.create(folder, manifest)
    _tell(plan)
    soak = Soak(writer, options, lambda: Device(connect(config, device.serial, timeout=5)), say)
    if again:
        soak.resume_state()
    stream = device.transport.stream(work) if work else None
    try:
        with _ended_by_signals():
            soak.run(device, plan, mark)
    except KeyboardInterrupt:
        say("ending: reading the counters for the last time")
        soak.end_early()
    finally:
        if stream is not None:
            with suppress(Exception):
                stream.close()
        writer.close()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGINT end a soak in order, also one that was started in the background, where SIGINT is ignored."""
    kept = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _tell(plan: SoakPlan) -> None:
    if plan.tables:
        say(f"counting: {len(plan.triggers)} triggers, {len(plan.tables)} tables")
    for each in plan.missing:
        say(f"not counted: {each.name}, because {each.reason}; {each.remedy}.")
