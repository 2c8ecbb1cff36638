"""Proof that the kernel that runs is the one that was asked for.

A release (``uname -r``) can be the same for two builds, and GKI's often is. So the whole line of ``/proc/version``, with
builder, compiler and date, is compared with the one in the image, if the image can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from android_suite.device.device import Device
from android_suite.errors import NotReady, UsageError
from android_suite.virtual.boot_image import find_kernel
from android_suite.virtual.kernel_image import parse_banner, parse_release


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What has to run: ``release`` as ``uname -r`` prints it, ``banner`` as ``/proc/version`` does; None if not known."""

    release: str | None
    banner: str | None = None

    @property
    def name(self) -> str:
        """The kernel in a message."""
        return self.banner or self.release or "any kernel"


def read_expected(image: Path, release: str | None = None) -> Expected:
    """What an image says of its kernel.

    Args:
        image: a boot image or a kernel.
        release: what the user says it is.

    Raises:
        UsageError: the image cannot be read, or does not tell its release and the user does not either, or is of
            another release than the user says.
    """
    try:
        kernel = find_kernel(image.read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{image} cannot be used: {reason}; give the image that has the kernel.") from error
    banner = parse_banner(kernel)
    found = banner.split()[2] if banner else parse_release(kernel)
    if found is None and release is None:
        raise UsageError(
            f'{image} does not tell the release of its kernel; add release = "..." (its `uname -r`) to the plan.'
        )
    if found is not None and release is not None and found != release:
        raise UsageError(f"{image} holds Linux {found}, not {release}; correct `release` or the image in the plan.")
    return Expected(release=found or release, banner=banner)


def read_running(device: Device) -> Expected:
    """The kernel that runs."""
    release = device.run(["uname", "-r"]).text.strip()
    return Expected(release=release, banner=device.read_text("/proc/version"))


def explain_other(running: Expected, expected: Expected) -> str | None:
    """Why the running kernel is not the expected one; None if it is."""
    if expected.banner is not None and running.banner is not None:
        if _squeeze(running.banner) == _squeeze(expected.banner):
            return None
        if running.release == expected.release:
            return f"it runs another build of {expected.release}: {running.banner!r}, not {expected.banner!r}"
    if expected.release in (None, running.release):
        return None
    return f"it runs {running.release}, not {expected.release}"


def check_running(device: Device, expected: Expected) -> None:
    """Refuses another kernel than the expected one.

    Raises:
        NotReady: another kernel runs.
    """
    if why := explain_other(read_running(device), expected):
        raise NotReady(f"{device.serial} came back with another kernel: {why}; check the image, then try again.")


def _squeeze(text: str) -> str:
    return " ".join(text.split())
