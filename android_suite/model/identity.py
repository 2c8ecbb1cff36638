"""The identity of the measured kernel and device, as far as it can be proven."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelIdentity:
    """Identifies a kernel. ``uname -r`` alone is not enough: a locally patched kernel can keep it."""

    release: str  # uname -r
    version: str  # uname -v: build number, preemption, date
    build_id: str | None = None  # GNU build id from /sys/kernel/notes, hexadecimal
    config_sha256: str | None = None  # of the decompressed /proc/config.gz, else of /boot/config-RELEASE
    configuration: str | None = None  # of a kernel that the suite built: "lab", "gki" or "debug"
    machine: str = ""  # uname -m
    cmdline: str = ""  # /proc/cmdline


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledKernel:
    """A kernel and its label. Everything but the label is None if no device answered, so that nothing is known."""

    label: str = ""
    release: str | None = None
    version: str | None = None
    build_id: str | None = None
    config_sha256: str | None = None
    configuration: str | None = None
    machine: str | None = None
    cmdline: str | None = None

    @classmethod
    def of(cls, label: str, kernel: KernelIdentity | None) -> LabelledKernel:
        """The kernel under its label."""
        return cls(label=label, **(asdict(kernel) if kernel else {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """Identifies the device. Two runs are comparable only if it is the same in both."""

    serial: str
    model: str
    abi: str
    fingerprint: str  # ro.build.fingerprint
    sdk: int | None
    virtual: bool
    cpus: int
    memory_kb: int
    page_size: int
    refresh_rate_hz: float | None
    accel: str | None = None  # virtual devices: "tcg", "kvm"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashRecord:
    """A crash of the tested kernel or app. It is a result, never an exception."""

    kind: str  # panic, oops, reboot, app_crash, anr
    summary: str  # one line
    console: str  # the console text that shows it
