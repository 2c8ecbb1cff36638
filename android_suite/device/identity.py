"""Reads the identity of the kernel and the device, as far as it can be proven."""

from __future__ import annotations

from android_suite.device.device import Device
from android_suite.device.numbers import read_count
from android_suite.device.parse_identity import (
    measure_config_sha256,
    parse_build_id,
    parse_cpu_list,
    parse_memory_kb,
    parse_refresh_rate,
)
from android_suite.errors import AdbError, LabError
from android_suite.model.identity import DeviceIdentity, KernelIdentity

_VIRTUAL_PROPERTIES = ("ro.boot.qemu", "ro.kernel.qemu")


def read_kernel_identity(device: Device) -> KernelIdentity:
    """Release, version, build id, configuration, machine and command line of the running kernel."""
    uname = device.run("uname -r; uname -v; uname -m").text.splitlines()
    if len(uname) != 3:
        raise AdbError(f"{device.serial} does not report its kernel; check `uname -a`.", serial=device.serial)
    release, version, machine = uname
    files = device.read_files(["/sys/kernel/notes", "/proc/cmdline"])
    notes, cmdline = files["/sys/kernel/notes"], files["/proc/cmdline"]
    return KernelIdentity(
        release=release,
        version=version,
        build_id=parse_build_id(notes) if notes else None,
        config_sha256=_read_config_sha256(device, release),
        machine=machine,
        cmdline=(cmdline or b"").decode(errors="replace").strip(),
    )


def _read_config_sha256(device: Device, release: str) -> str | None:
    packed = device.read_file("/proc/config.gz")
    if packed:
        return measure_config_sha256(packed)
    listed = device.transport.run(["sha256sum", f"/boot/config-{release}"])
    digest = listed.text.split(" ", 1)[0]
    return digest if listed.status == 0 and len(digest) == 64 else None


def read_device_identity(device: Device, *, accel: str | None = None) -> DeviceIdentity:
    """The properties that must be equal for two runs to be comparable."""
    properties = device.read_properties()
    files = device.read_files(["/proc/meminfo", "/sys/devices/system/cpu/present"])
    page_size = read_count(device.transport.run(["getconf", "PAGESIZE"]).text)
    sdk = properties.get("ro.build.version.sdk", "")
    return DeviceIdentity(
        serial=properties.get("ro.serialno") or device.serial,
        model=properties.get("ro.product.model", "unknown"),
        abi=properties.get("ro.product.cpu.abi", "unknown"),
        fingerprint=properties.get("ro.build.fingerprint", "unknown"),
        sdk=read_count(sdk),
        virtual=any(properties.get(name) == "1" for name in _VIRTUAL_PROPERTIES),
        cpus=parse_cpu_list(_text(files["/sys/devices/system/cpu/present"])),
        memory_kb=parse_memory_kb(_text(files["/proc/meminfo"])),
        page_size=_read_page_size(device) if page_size is None else page_size,
        refresh_rate_hz=parse_refresh_rate(device.transport.run(["dumpsys", "display"]).text),
        accel=accel,
    )


def _read_page_size(device: Device) -> int:
    """KernelPageSize of a mapping, for devices without getconf; 4096 if smaps cannot be read either."""
    for line in _text(device.read_file("/proc/self/smaps"))[:4000].splitlines():
        if line.startswith("KernelPageSize:") and (kib := read_count(line.partition(":")[2].removesuffix("kB"))):
            return kib * 1024
    return 4096


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace")


def check_release(kernel: KernelIdentity, expected: str) -> None:
    """Refuses a kernel other than the requested one, whose numbers would get the wrong name.

    Args:
        kernel: the running kernel.
        expected: a release, or the start of one up to a ``.``, ``-`` or ``+`` (``6.16.12``).

    Raises:
        LabError: another kernel runs.
    """
    rest = kernel.release.removeprefix(expected)
    if kernel.release != expected and (rest == kernel.release or rest[0] not in ".-+"):
        raise LabError(
            f"kernel {expected} was requested, but the device runs {kernel.release}; boot the right one, or check that "
            "it did not fall back to another slot after a crash."
        )
