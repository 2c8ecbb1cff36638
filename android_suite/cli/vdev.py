"""`android-suite vdev`: virtual devices that outlive the command."""

from __future__ import annotations

from pathlib import Path

import click

from android_suite.cli.output import print_json, print_table, print_text, say
from android_suite.cli.settings import choose_arch, read_settings, setting
from android_suite.virtual.console import parse_crash, parse_farewell
from android_suite.virtual.kernels import ARCHES, fetch_kernel
from android_suite.virtual.machine import VirtualDevice
from android_suite.virtual.perfetto import build_perfetto
from android_suite.virtual.registry import DeviceRecord, Registry, stop_device
from android_suite.virtual.runtimes import build_chosen

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("vdev")
def command() -> None:
    """Start, stop and list virtual devices."""


@command.command("start")
@click.option("--kernel", default="6.17.13", show_default=True, help="Version, release, path or PAIR:side.")
@click.option("--arch", type=click.Choice(ARCHES), default=None, help="Architecture (arm64 by default).")
@click.option("--cpus", type=click.IntRange(1, 8), default=setting("cpus", 2), show_default="2", help="Virtual CPUs.")
@click.option(
    "--memory-mb",
    type=click.IntRange(256),
    default=setting("memory_mb", 1024),
    show_default="1024",
    help="Guest memory in MiB.",
)
@click.option("--port", type=int, default=None, help="Host port for adb (default: a free one).")
@click.option(
    "--overlay",
    "overlays",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Initramfs to append (cpio, gzip or zstd).",
)
@click.option("--runtime", type=click.Choice(["art"]), help="Run the app on a real Android runtime (ART 14).")
@click.option("--perfetto", is_flag=True, help="Add Debian's traced, traced_probes and perfetto.")
@click.option("--android", type=click.Path(path_type=Path), help="Take that runtime from this Android system.")
@_json
def start_command(
    kernel: str,
    arch: str | None,
    cpus: int,
    memory_mb: int,
    port: int | None,
    overlays: tuple[Path, ...],
    runtime: str | None,
    perfetto: bool,
    android: Path | None,
    as_json: bool,
) -> None:
    """Boot a device, leave it running and print its serial."""
    config = read_settings()
    image = fetch_kernel(kernel, choose_arch(arch, kernel), config=config)
    if runtime is not None or android is not None:
        built = build_chosen(image.arch, android=android, config=config, progress=say)
        overlays = (built.overlay, *overlays)
    if perfetto:
        overlays = (build_perfetto(image.arch, config=config).path, *overlays)
    device = VirtualDevice(
        kernel=image, config=config, cpus=cpus, memory_mb=memory_mb, port=port, overlays=overlays, detached=True
    )
    say(f"booting {image.release or image.name} ({image.arch})")
    device.start()
    seconds = (device.boot_duration_ms or 0) / 1000
    say(f"ready after {seconds:.1f} s ({device.accel}); stop it with: android-suite vdev stop {device.record.id}")
    if as_json:
        print_json(_describe(device.record))
    else:
        print_text(f"{device.serial}\n")


@command.command("stop")
@click.argument("names", nargs=-1, metavar="[ID|SERIAL]...")
@click.option("--all", "everything", is_flag=True, help="Stop every virtual device of this user.")
def stop_command(names: tuple[str, ...], everything: bool) -> None:
    """Stop devices by id or serial."""
    registry = Registry(read_settings())
    if not names and not everything:
        raise click.UsageError("give a device or --all; `vdev list` shows the devices")
    for name in [r.id for r in registry.list_devices()] if everything else names:
        say(f"stopped {stop_device(name, registry=registry).id}")


@command.command("list")
@_json
def list_command(as_json: bool) -> None:
    """List running virtual devices."""
    rows = [_describe(record) for record in sweep_devices().list_devices()]
    if as_json:
        print_json({"schema": "android-suite/vdev", "version": 1, "devices": rows})
    elif rows:
        print_table(
            ["id", "serial", "kernel", "arch", "accel"],
            [[str(r[k]) for k in ("id", "serial", "kernel", "arch", "accel")] for r in rows],
        )
    else:
        say("no virtual device is running; `android-suite vdev start` starts one")


@command.command("logs")
@click.argument("name", metavar="ID|SERIAL")
def logs_command(name: str) -> None:
    """Print the console log of a device."""
    print_text(Registry(read_settings()).find(name).console.read_text("utf-8", "replace"))


def sweep_devices() -> Registry:
    """The registry after removing devices that have ended; reports the reason for each."""
    registry = Registry(read_settings())
    registry.sweep(lambda record: say(f"{record.id} has ended ({_find_end(record)}); removed its files"))
    return registry


def _find_end(record: DeviceRecord) -> str:
    try:
        console = record.console.read_text("utf-8", "replace")
    except OSError:
        console = ""
    if crash := parse_crash(console):
        return crash.title
    farewell = parse_farewell(console)
    return f"the guest {farewell.replace('_', ' ')}" if farewell else "its QEMU was killed by another process"


def _describe(record: DeviceRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "serial": record.serial,
        "kernel": record.release or record.kernel,
        "arch": record.arch,
        "accel": record.accel,
        "detached": record.detached,
        "pid": record.pid,
        "console": str(record.console),
    }
