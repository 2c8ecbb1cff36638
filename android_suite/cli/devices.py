"""`android-suite devices`: lists attached and virtual devices."""

from __future__ import annotations

from pathlib import Path

import click

from android_suite.cli.lab import show_lab
from android_suite.cli.output import print_json, print_table, say
from android_suite.cli.settings import read_settings
from android_suite.cli.vdev import sweep_devices
from android_suite.device.connect import connect, crosses_network, list_devices, name_device, remedy
from android_suite.device.device import Device
from android_suite.device.identity import read_device_identity, read_kernel_identity
from android_suite.errors import LabError


@click.command("devices")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--lab", type=click.Path(path_type=Path), help="The lab's file: list its devices, as `lab status`.")
def command(as_json: bool, lab: Path | None) -> int:
    """List attached and virtual devices: serial, state, model, kernel, capabilities."""
    config = read_settings()
    if lab is not None:
        from android_suite.lab.inventory import read_inventory
        from android_suite.lab.status import read_lab

        return show_lab(read_lab(read_inventory(lab), config), as_json=as_json)
    virtual = {record.serial: record for record in sweep_devices().list_devices() if record.serial}
    rows: list[dict[str, object]] = []
    found = list_devices(config)
    for attached in found:
        name = name_device(attached, found)
        row: dict[str, object] = {
            "serial": name, "state": attached.state, "model": attached.model,
            "kernel": None, "abi": None, "cpus": None, "virtual": attached.serial in virtual,
        }  # fmt: skip
        if attached.state == "device":
            try:
                device = Device(connect(config, name))
                identity = read_device_identity(device)
                row |= {
                    "model": identity.model, "kernel": read_kernel_identity(device).release, "abi": identity.abi,
                    "cpus": identity.cpus, "virtual": identity.virtual,
                }  # fmt: skip
            except LabError as error:
                row["state"] = "not answering"
                say(f"{name}: {error}")
        else:
            state = " ".join(filter(None, (attached.state, attached.detail)))
            say(f"{name} is {state}; {remedy(attached.state, network=crosses_network(attached.serial))}")
        rows.append(row)
    if as_json:
        print_json({"schema": "android-suite/devices", "version": 1, "devices": rows})
    elif rows:
        names = ["serial", "state", "model", "kernel", "abi", "cpus"]
        print_table(names, [["" if row[n] is None else str(row[n]) for n in names] for row in rows])
    else:
        say("no device is attached; connect one, or start a virtual one with `android-suite vdev start`")
    return 0
