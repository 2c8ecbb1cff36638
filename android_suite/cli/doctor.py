"""`android-suite doctor`: reports what this host and this device can measure."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial

import click

from android_suite.cli.output import print_json, print_table, print_text, say
from android_suite.cli.settings import read_settings
from android_suite.config import Config
from android_suite.device.capabilities import Capability, judge_capabilities, read_device_facts
from android_suite.device.connect import choose_serial, connect, list_devices
from android_suite.device.device import Device
from android_suite.errors import LabError, MachineError, SuiteError
from android_suite.virtual.android.images import TOOLS, list_missing
from android_suite.virtual.art.compilers import read_jdk
from android_suite.virtual.packages import read_mirror
from android_suite.virtual.qemu import read_qemu_version

# Programs that the host needs, with their Debian packages.
_PROGRAMS = (
    ("adb", "adb", True, "drives devices"),
    ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", True, "compiles programs for arm64 devices"),
    ("gcc", "gcc", False, "compiles programs for amd64 devices"),
    ("fastboot", "fastboot", False, "boots the kernels of a plan on a phone"),
    ("trace-cmd", "trace-cmd", False, "reads the trace.dat files that `export` writes"),
)


@click.command("doctor")
@click.option("--serial", help="Check this device too (default: the attached one, if any).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(serial: str | None, as_json: bool) -> int:
    """Report what this host and this device can measure, with a remedy for each missing capability.

    Exit code 3: a capability that recording requires is missing.
    """
    config = read_settings()
    host = list(check_host(config))
    device, told = _look_at_device(config, serial)
    file = config.file
    if as_json:
        print_json(
            {
                "schema": "android-suite/doctor",
                "version": 1,
                "settings": None if file is None else str(file),
                "host": [_describe(c) for c in host],
                "device": None if device is None else [_describe(c) for c in device],
            }
        )
    else:
        if file is not None:
            say(f"settings from {file}")
        _print("this host", host)
        if device is not None:
            _print(told, device)
        else:
            say(told)
    # Without a device, only the host counts: virtual devices need nothing else.
    return 3 if any(c.required and not c.available for c in (*host, *(device or ()))) else 0


def check_host(config: Config) -> Iterator[Capability]:
    """Capabilities of the host, for attached and virtual devices."""
    for program, package, required, what in _PROGRAMS:
        path = shutil.which(program)
        yield _capability(program, path, required, what, f"run `make setup`, or apt-get install {package}")
    for arch in ("arm64", "amd64"):
        yield _try(f"qemu {arch}", partial(_find_qemu, arch), arch == "arm64")
    yield _try("android runtime", _find_jdk, False)
    yield _try("android images", _find_image_tools, False)
    yield _try("debian packages", lambda: f"kernels come from {read_mirror(config.debian_mirror).split('/')[2]}", False)


def _find_qemu(arch: str) -> str:
    return f"QEMU {read_qemu_version(arch)}: virtual devices"


def _find_jdk() -> str:
    return f"JDK {read_jdk().version}: builds the runtime of record --runtime art"


def _find_image_tools() -> str:
    missing = list_missing()
    if missing:
        packages = " ".join(TOOLS[name] for name in missing)
        raise MachineError(f"--android reads images with {', '.join(missing)}; run: apt-get install {packages}")
    return f"{', '.join(TOOLS)}: read the images of record --android"


def _look_at_device(config: Config, serial: str | None) -> tuple[tuple[Capability, ...] | None, str]:
    try:
        name = choose_serial(serial or config.serial, list_devices(config))
        device = Device(connect(config, name))
        return judge_capabilities(read_device_facts(device)), f"device {name}"
    except SuiteError as error:
        if serial is not None:
            raise
        return None, f"no device was checked: {error}"


def _try(name: str, look: Callable[[], str], required: bool) -> Capability:
    try:
        return Capability(name=name, available=True, required=required, detail=look(), remedy="")
    except LabError as error:
        return Capability(name=name, available=False, required=required, detail="", remedy=str(error))


def _capability(name: str, found: str | None, required: bool, what: str, remedy: str) -> Capability:
    return Capability(
        name=name, available=found is not None, required=required, detail=what, remedy="" if found else remedy
    )


def _describe(one: Capability) -> dict[str, object]:
    return {name: getattr(one, name) for name in ("name", "available", "required", "detail", "remedy")}


def _print(title: str, rows: list[Capability] | tuple[Capability, ...]) -> None:
    print_text(f"{title}\n")
    marks = {True: "yes", False: "no"}
    print_table(
        ["", "what", "found, or what to do"],
        [
            [
                marks[c.available] + ("" if c.available or not c.required else " (needed)"),
                c.name,
                c.detail if c.available else c.remedy,
            ]
            for c in rows
        ],
    )
