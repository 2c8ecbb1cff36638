"""``boot`` of a ``[[kernel]]``: how a plan gets a device that runs a kernel, with the keys of each way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from android_suite.model.toml_source import STRICT, KeyPath, TomlSource

BootKind = Literal["virtual", "attached", "fastboot", "avd", "cuttlefish"]
Slot = Literal["a", "b", "other"]
ATTACHED = "attached"
# Partitions that hold a kernel or its modules; those of the second row lie inside `super` and need fastbootd.
PHYSICAL = ("boot", "init_boot", "vendor_boot", "vendor_kernel_boot", "dtbo")
LOGICAL = ("vendor_dlkm", "system_dlkm", "odm_dlkm")
# Kernels are compared on one device. A phone runs what is installed on it as well as what fastboot gives it.
_SAME_DEVICE: Mapping[BootKind, str] = {"attached": "a phone", "fastboot": "a phone", "virtual": "a virtual device",
                                        "avd": "an AVD", "cuttlefish": "a Cuttlefish device"}  # fmt: skip
_KEYS: Mapping[BootKind, tuple[str, ...]] = {
    "virtual": (),
    "attached": ("release",),
    "fastboot": ("release", "flash", "slot"),
    "avd": ("release", "avd", "ramdisk"),
    "cuttlefish": ("release", "ramdisk", "host_package"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BootKeys:
    """The keys of ``[[kernel]]`` that say how it is booted; each belongs to some kinds of boot only.

    Attributes:
        boot: the kind of boot; None takes ``attached`` for the kernel of that name, else ``virtual``.
        release: ``uname -r`` that has to run, where the image does not tell it.
        flash: partition -> image. Without it, fastboot boots the kernel's image from memory and writes nothing.
        slot: the slot to flash and to boot; None keeps the current one.
        avd: name of the AVD.
        ramdisk: the initramfs of an AVD or of Cuttlefish.
        host_package: folder of Cuttlefish's host package, with ``bin/launch_cvd``.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    boot: BootKind | None = None
    release: str | None = None
    flash: Mapping[str, str] | None = None
    slot: Slot | None = None
    avd: str | None = None
    ramdisk: str | None = None
    host_package: str | None = None

    @property
    def files(self) -> dict[str, str]:
        """The images of the keys beside the kernel's own: the name of each, such as ``flash.boot``, and its path."""
        named = {f"flash.{partition}": image for partition, image in (self.flash or {}).items()}
        return named if self.ramdisk is None else {**named, "ramdisk": self.ramdisk}

    def describe(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """The keys that are set, as JSON; files count by content, not by path.

        Args:
            digests: SHA-256 by path.
        """
        told = {each.name: value for each in fields(BootKeys) if (value := getattr(self, each.name)) is not None}
        told.pop("host_package", None)
        files = {name: f"sha256 {digests[path]}" for name, path in self.files.items()}
        return {name: value for name, value in told.items() if name not in ("flash", "ramdisk")} | files


def boot_kind(kernel: str, boot: BootKind | None) -> BootKind:
    """The kind of boot of a ``[[kernel]]``."""
    return boot or ("attached" if kernel == ATTACHED else "virtual")


def check_boot(source: TomlSource, path: KeyPath, kernel: str, keys: BootKeys, *, deterministic: bool) -> None:
    """Checks the keys of one ``[[kernel]]`` at ``path``.

    Raises:
        ConfigError: the kernel cannot be booted that way, or a key belongs to another way.
    """
    kind = boot_kind(kernel, keys.boot)
    if kernel == ATTACHED and kind != "attached":
        raise source.fault((*path, "boot"), "'attached' (the kernel 'attached' is the installed one)", repr(kind))
    if kind == "attached" and kernel != ATTACHED:
        raise source.fault((*path, "kernel"), "'attached': boot = 'attached' only restarts the phone", repr(kernel))
    if deterministic and kind != "virtual":
        raise source.fault(
            (*path, "kernel" if keys.boot is None else "boot"),
            "a kernel to boot: only virtual devices are deterministic", repr(keys.boot or kernel),
        )  # fmt: skip
    if kind in ("fastboot", "avd", "cuttlefish") and "/" not in kernel:
        raise source.fault((*path, "kernel"), f"the path of an image for {kind}, such as './boot.img'", repr(kernel))
    for name in _KEYS_OF_BOOTS:
        if getattr(keys, name) is not None and name not in _KEYS[kind]:
            owners = " or ".join(repr(each) for each, known in _KEYS.items() if name in known)
            raise source.fault((*path, name), f"no such key: it is for boot = {owners}", f"it with boot = {kind!r}")
    if kind == "avd" and not keys.avd:
        raise source.fault((*path, "avd"), "the name of an AVD (`emulator -list-avds`)", "nothing")
    if keys.flash is not None:
        _check_flash(source, (*path, "flash"), kernel, keys.flash)
    elif keys.slot is not None:
        raise source.fault((*path, "slot"), "flash beside it: an image booted from memory has no slot", repr(keys.slot))


_KEYS_OF_BOOTS = tuple(each.name for each in fields(BootKeys) if each.name != "boot")


def _check_flash(source: TomlSource, path: KeyPath, kernel: str, flash: Mapping[str, str]) -> None:
    for partition, image in flash.items():
        if partition not in (*PHYSICAL, *LOGICAL):
            expected = f"a partition of the kernel without its slot: {', '.join((*PHYSICAL, *LOGICAL))}"
            raise source.fault((*path, partition), expected, repr(partition))
        if "/" not in image:
            raise source.fault((*path, partition), "the path of an image, such as './boot.img'", repr(image))
    if kernel not in flash.values():
        found = ", ".join(flash.values()) or "nothing"
        raise source.fault(path, f"the image with the kernel ({kernel}) among those to flash", found)


def check_one_device(source: TomlSource, kinds: Sequence[BootKind]) -> None:
    """Refuses kernels that could not run on the same device.

    Raises:
        ConfigError: two kinds of boot use different devices.
    """
    places = [_SAME_DEVICE[kind] for kind in kinds]
    for index, place in enumerate(places):
        if place != places[0]:
            raise source.fault(("kernel", index), f"a kernel for {places[0]}, as kernel[0] is", f"one for {place}")
