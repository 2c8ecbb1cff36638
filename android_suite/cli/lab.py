"""`android-suite lab`: who has which device, and workers for a cluster."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from android_suite.cli.lab_serve import serve
from android_suite.cli.output import print_json, print_table, print_text, say
from android_suite.cli.settings import read_settings
from android_suite.errors import LabError, UsageError

if TYPE_CHECKING:
    from android_suite.lab.inventory import Inventory, LabDevice
    from android_suite.model.lab import LabStatus

lab_option = click.option(
    "--lab", "lab", type=click.Path(path_type=Path), default=Path("lab.toml"), show_default=True, help="The lab's file."
)


@click.group("lab")
def command() -> None:
    """Who has which device of a lab, quarantine, workers for a Dask cluster, and a page of campaigns."""


command.add_command(serve)


@command.command("status")
@lab_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status_command(lab: Path, as_json: bool) -> int:
    """Every device: free, busy with whom, quarantined and why, its kernel, battery and temperature.

    Exit code 4: an adb server of the lab does not answer.
    """
    from android_suite.lab.inventory import read_inventory
    from android_suite.lab.status import read_lab

    return show_lab(read_lab(read_inventory(lab), read_settings()), as_json=as_json)


def show_lab(status: LabStatus, *, as_json: bool) -> int:
    """Prints a lab; returns the exit code."""
    from android_suite.model.document import to_plain

    if as_json:
        print_json(to_plain(status))
    elif status.devices:
        rows = [
            [
                d.serial, d.server, d.standing, d.model or "", d.kernel or "",
                "" if d.battery_pct is None else f"{d.battery_pct} %",
                "" if d.battery_c is None else f"{d.battery_c:.1f} °C", ",".join(d.labels), d.detail,
            ]
            for d in status.devices
        ]  # fmt: skip
        print_table(["serial", "server", "state", "model", "kernel", "battery", "temp", "labels", "why"], rows)
    else:
        say("the lab has no device; add [[device]] to its file, see docs/lab.md")
    for fault in status.faults:
        say(fault)
    return LabError.exit_code if status.faults else 0


@command.command("quarantine")
@click.argument("serial")
@click.argument("reason")
@lab_option
def quarantine_command(serial: str, reason: str, lab: Path) -> None:
    """Put SERIAL aside: no campaign takes it until `lab release`."""
    from android_suite.lab.inventory import read_inventory
    from android_suite.lab.quarantine import put_aside

    inventory = read_inventory(lab)
    put_aside(inventory.state, _find(inventory, serial).serial, reason)
    say(f"{serial} is in quarantine; `android-suite lab release {serial}` ends it")


@command.command("release")
@click.argument("serial")
@lab_option
@click.option("--force", is_flag=True, help="Also take the device from a campaign that holds it.")
def release_command(serial: str, lab: Path, force: bool) -> None:
    """End the quarantine of SERIAL, and remove a lease whose holder is gone."""
    from android_suite.device.connect import open_plain
    from android_suite.device.lease import read_lease, remove_lease
    from android_suite.lab.inventory import read_inventory
    from android_suite.lab.quarantine import take_back

    inventory = read_inventory(lab)
    device = _find(inventory, serial)
    if take_back(inventory.state, device.serial):
        say(f"{serial} is out of quarantine")
    if device.attached is None:
        say(f"{serial} is not attached, so whether it is leased is unknown")
        return
    transport = open_plain(device.config, device.serial)
    held = read_lease(transport)
    if held is None:
        say(f"{serial} is not leased")
    elif held.is_gone or force:
        remove_lease(transport)
        say(f"{serial}: removed the lease of {held}")
    else:
        raise LabError(f"{serial} is leased by {held}; end that, or take the device from it with --force.")


def _find(inventory: Inventory, serial: str) -> LabDevice:
    from android_suite.lab.inventory import list_lab

    devices, _ = list_lab(inventory, read_settings())
    for device in devices:
        if serial in (device.serial, device.attached.serial if device.attached else None):
            return device
    known = ", ".join(device.serial for device in devices) or "none"
    raise UsageError(f"the lab has no device {serial}; it has {known}.")


@command.command("worker")
@click.argument("scheduler")
@click.option("--lab", "lab", type=click.Path(path_type=Path), help="The lab's file, for its devices.")
@click.option("--server", "servers", multiple=True, help="Take the devices of this adb server (default: of all).")
@click.option("--cores", type=click.IntRange(0), help="Jobs on virtual devices at once (default: one per core).")
@click.option("--host", help="Address to listen on (default: loopback for a scheduler on loopback).")
@click.option("--insecure", is_flag=True, help="Allow a scheduler beyond loopback without TLS.")
@click.option("--dry-run", is_flag=True, help="Print the command line; do nothing else.")
def worker_command(
    scheduler: str,
    lab: Path | None,
    servers: tuple[str, ...],
    cores: int | None,
    host: str | None,
    insecure: bool,
    dry_run: bool,
) -> None:
    """Start a worker of the Dask SCHEDULER (tcp://HOST:PORT or tls://HOST:PORT) with this host's cores and devices.

    It is `dask worker` with the resources that `qualify --scheduler` asks for. Start each device's worker once.
    """
    from android_suite.campaign.cluster import CORE, await_scheduler, check_address, device_resource, is_open

    check_address(scheduler)
    # Who reaches the scheduler, or the worker, runs anything on it; only a certificate keeps others out.
    own = scheduler if host is None else f"{scheduler.partition('://')[0]}://{host}:1"
    if not insecure and (is_open(scheduler) or is_open(own)):
        opened = scheduler if is_open(scheduler) else own
        raise UsageError(
            f"{opened} is beyond loopback and has no TLS: anybody who reaches a worker runs commands on it. "
            "Use tls:// (docs/cluster.md), or --insecure in a closed network."
        )
    count = len(os.sched_getaffinity(0)) if cores is None else cores
    resources = [f"{CORE}={count}"] if count else []
    if lab is not None:
        resources += [f"{device_resource(serial)}=1" for serial in _devices_of(lab, servers)]
    if not resources:
        raise UsageError("this worker would have neither cores nor devices; give --cores or --lab.")
    loopback = not is_open(scheduler.replace("tls://", "tcp://"))
    listen = host or ("127.0.0.1" if loopback else None)
    argv = [sys.executable, "-m", "distributed.cli.dask_worker", scheduler, "--nworkers", "1"]
    argv += ["--nthreads", str(len(resources) - bool(count) + count), "--memory-limit", "0", "--no-dashboard"]
    argv += ["--no-nanny"]  # below a nanny a worker is daemonic, and may not start the processes of jobs
    argv += ["--resources", " ".join(resources), *(["--host", listen] if listen else [])]
    if dry_run:
        print_text(shlex.join(argv) + "\n")
        return
    await_scheduler(scheduler)
    os.execv(sys.executable, argv)


def _devices_of(lab: Path, servers: tuple[str, ...]) -> list[str]:
    from android_suite.lab.inventory import list_lab, read_inventory

    inventory = read_inventory(lab)
    known = [server.name for server in inventory.servers]
    if unknown := [name for name in servers if name not in known]:
        raise UsageError(f"--server {unknown[0]}: the lab has {', '.join(known)}.")
    devices, faults = list_lab(inventory, read_settings())
    for fault in faults:
        say(fault)
    return [device.serial for device in devices if not servers or device.server.name in servers]
