"""A virtual device that is booted with a given kernel and shut down at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from android_suite.boot.booted import Booted, KernelCrashed
from android_suite.config import Config
from android_suite.device.connect import connect
from android_suite.device.device import Device
from android_suite.errors import LabError, NotReady
from android_suite.model.identity import CrashRecord
from android_suite.virtual.kernels import fetch_kernel
from android_suite.virtual.machine import ExitReport, VirtualDevice
from android_suite.virtual.perfetto import build_perfetto

_END_TIMEOUT_S = 10.0  # adb can notice the end of a guest before QEMU writes the last console line


def find_arch(kernel: str, arch: str | None, *, config: Config) -> str:
    """The architecture that :func:`boot_virtual` would boot.

    Raises:
        UsageError: there is no such kernel.
    """
    return fetch_kernel(kernel, arch, config=config).arch


def find_perfetto(kernel: str, arch: str | None, *, config: Config) -> Path:
    """The overlay with Debian's Perfetto for a virtual device with that kernel; built if needed.

    Raises:
        UsageError: there is no such kernel.
        MachineError: a package cannot be fetched.
    """
    return build_perfetto(find_arch(kernel, arch, config=config), config=config).path


@contextmanager
def boot_virtual(
    kernel: str,
    *,
    config: Config,
    arch: str | None = None,
    cpus: int = 2,
    memory_mb: int = 1024,
    overlays: Sequence[Path] = (),
    run_files: Mapping[str, bytes] | None = None,
    deterministic: bool = False,
    seed: int = 1,
) -> Iterator[Booted]:
    """Boots a virtual device.

    Args:
        kernel: a version, a release, or the path of an image.
        config: gives the cache, the adb server and the Debian mirror.
        arch: ``arm64`` or ``amd64``; None takes that of the image for a path, else arm64.
        cpus: number of CPUs of the guest.
        memory_mb: memory of the guest, in MB.
        overlays: the user's initramfs archives, appended to the image.
        run_files: files to add to the image: the scenario of a deterministic run.
        deterministic: whether repetitions are bit-exact.
        seed: seed of the machine.

    Raises:
        UsageError: the kernel is unknown or an overlay is invalid.
        KernelCrashed: the tested kernel crashed while it booted. This is a result that the caller records.
        MachineError: QEMU or a package is missing or failed.
    """
    image = fetch_kernel(kernel, arch, config=config)
    machine = VirtualDevice(
        config=config,
        kernel=image,
        cpus=cpus,
        memory_mb=memory_mb,
        overlays=overlays,
        run_files=run_files,
        deterministic=deterministic,
        seed=seed,
    )
    with machine:
        try:
            machine.start()
        except NotReady as error:
            if crash := describe_end(machine.exit_report(), machine.read_console()):
                raise KernelCrashed(crash) from error
            raise
        try:
            yield Booted(
                device=Device(connect(config, machine.serial)),
                release=image.release,
                accel=machine.accel,
                configuration=image.configuration,
                crash_probe=lambda: describe_end(machine.exit_report(wait_s=_END_TIMEOUT_S), machine.read_console()),
            )
        except LabError as error:
            report = machine.exit_report()
            if report.kind != "running":
                error.add_note(report.detail)  # adb only reports that the device does not answer
            raise


def describe_end(report: ExitReport, console: str) -> CrashRecord | None:
    """The crash of the tested kernel; None if the device still runs or ended for another reason.

    Args:
        report: how the device ended.
        console: its complete console output.
    """
    if report.crash and report.kind == "crashed":
        return CrashRecord(kind=report.crash.kind, summary=report.crash.title, console=report.crash.excerpt)
    if report.kind in ("restarted", "powered_off"):
        return CrashRecord(kind="reboot", summary=report.detail, console=console[-4000:])
    return None
