"""The kernels that a virtual device can boot: Debian packages by name, or images by path."""

from __future__ import annotations

import hashlib
import lzma
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from android_suite.config import Config
from android_suite.errors import MachineError, UsageError
from android_suite.virtual.cache import Cache, Entry
from android_suite.virtual.kernel_image import (
    parse_arch,
    parse_config,
    parse_module_depends,
    parse_release,
)
from android_suite.virtual.packages import KERNEL_SUITES, SUITES, Packages, read_members

ARCHES = ("arm64", "amd64")
# The virtual network card's drivers: Debian builds virtio_net as a module, and up to 6.1 all of virtio, too. The modules
# tell their dependencies.
NEEDED_MODULES = ("virtio_pci", "virtio_net")
# 6.1.0-50-cloud-arm64, 6.12.90+deb12.1-cloud-arm64, 7.3-cloud-arm64
_PACKAGE = re.compile(
    r"linux-image-(?P<release>(?P<stem>(?P<version>\d+(?:\.\d+)+)(?:\+deb[\d.]+)?(?:-\d+)?)-cloud-(?:arm64|amd64))"
)
# From 6.19 on, linux-image-RELEASE is empty and depends on packages with image, configuration and modules.
_PARTS = re.compile(r"linux-(?:base|binary|modules)-\d")
_IMAGE = re.compile(r"boot/(?:vmlinuz|config)-.*|(?:usr/)?lib/modules/[^/]+/(?:vmlinuz|config)")
_MODULE = re.compile(r"(?:usr/)?lib/modules/[^/]+/kernel/.*/([^/]+)\.ko(\.xz)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelImage:
    """A kernel to boot, with its identity.

    Attributes:
        name: the requested name: a version, a release or a path.
        release: ``uname -r`` from the image; None if it cannot be read.
        arch: ``arm64`` or ``amd64``.
        path: the image for QEMU.
        sha256: digest of the image.
        modules: modules of the virtual network card in load order; empty if its drivers are built in.
        config: the kernel's configuration file, added to the guest as ``/boot/config-RELEASE``; None if there is none
            or the kernel has ``/proc/config.gz``.
        config_sha256: digest of the configuration; None if unknown.
        package: Debian package; None for an image given by path.
        version: version of the package.
        configuration: of a kernel of a built pair: ``lab``, ``gki`` or ``debug``.
        serial: it has no driver for the network card, so adb reaches the device through a virtual serial port.
    """

    name: str
    release: str | None
    arch: str
    path: Path
    sha256: str
    modules: tuple[Path, ...] = ()
    module_names: tuple[str, ...] = ()
    config: Path | None = None
    config_sha256: str | None = None
    package: str | None = None
    version: str | None = None
    configuration: str | None = None
    serial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelChoice:
    """A kernel that can be fetched by name; ``serial`` as in :class:`KernelImage`."""

    name: str
    release: str
    package: str
    cached: bool
    serial: bool = False


def list_kernels(arch: str = "arm64", *, config: Config, suites: Sequence[str] = KERNEL_SUITES) -> list[KernelChoice]:
    """Debian's kernels for an architecture that can be fetched and booted, oldest first; offline, those in the cache.

    Of some kernels (6.19 to 7.1) Debian has kept the image and dropped modules and configuration. They are ``serial``.

    Raises:
        UsageError: the suite does not boot that architecture.
        MachineError: the package index cannot be read and no kernel is cached.
    """
    _check_arch(arch)
    cache = Cache(config.cache)
    have = {key for key in cache.list_entries("kernels") if key.endswith(f"-{arch}")}
    try:
        serial = _list_index(config, arch, suites)
    except MachineError:
        if not have:
            raise
        serial = {}
    for name in have:  # what was kept while the modules were there has them
        if serial.get(name, True) and (entry := cache.read_entry("kernels", name)) is not None:
            serial[name] = _is_serial(entry)
    found = [match for name in serial.keys() | have if (match := _PACKAGE.fullmatch(name))]
    found.sort(
        key=lambda match: ([int(part) for part in match["version"].split(".")], re.findall(r"\d+", match["stem"]))
    )
    versions = [match["version"] for match in found]
    return [
        KernelChoice(
            name=match["version"] if versions.count(match["version"]) == 1 else match["stem"],
            release=match["release"],
            package=match[0],
            cached=match[0] in have,
            serial=serial.get(match[0], False),
        )
        for match in found
    ]


def name_series(kernel: str) -> str:
    """The series of a release: ``6.12`` of ``6.12.117``; the name itself of what is no release."""
    found = re.match(r"\d+\.\d+", kernel.strip())
    return found[0] if found else kernel


def find_newest(choices: Iterable[KernelChoice]) -> dict[str, str]:
    """The newest kernel of each series, by the name of the series; both oldest first, as the choices are."""
    return {name_series(choice.name): choice.name for choice in choices}


def _list_index(config: Config, arch: str, suites: Sequence[str]) -> dict[str, bool]:
    """The image packages whose image is in the index, and whether their modules or their configuration are missing."""
    packages = Packages(config, arch, suites=suites)
    try:
        every = set(packages.list_names("linux-"))
    except MachineError:
        if tuple(suites) == SUITES:
            raise
        return _list_index(config, arch, SUITES)  # a mirror may lack a suite
    named = [name for name in sorted(every) if _PACKAGE.fullmatch(name) and name.endswith(f"-{arch}")]
    depends = packages.list_depends(named)
    parts = {name: _parts(depends.get(name, frozenset())) for name in named}
    return {
        name: not every.issuperset(parts[name])
        for name in named
        if all(part in every for part in parts[name] if part.startswith("linux-binary-"))
    }


def _parts(depends: Iterable[str]) -> list[str]:
    """The packages that complete the image package; none if it is complete itself (up to 6.18)."""
    parts = sorted(name for name in depends if _PARTS.match(name))
    return parts if any(name.startswith("linux-binary-") for name in parts) else []


def _is_named(package: str, name: str) -> bool:
    """Whether ``name`` means this package: ``6.1.0``, ``6.1.0-50``, ``6.1.0-50-cloud``, its release or its own name."""
    match = _PACKAGE.fullmatch(package)
    return match is not None and name in (
        match["version"], match["stem"], f"{match['stem']}-cloud", match["release"], package
    )  # fmt: skip


def check_kernel(name: str, arch: str | None = None, *, config: Config) -> None:
    """Checks that :func:`fetch_kernel` would find a kernel of that name, without fetching it.

    Raises:
        UsageError: no such kernel, no such file, or an image of another architecture.
        MachineError: the package index cannot be read.
    """
    if arch is not None:
        _check_arch(arch)
    cache = Cache(config.cache)
    if "/" in name or Path(name).is_file():
        read_kernel(Path(name), arch)
    elif ":" in name:
        read_built(name, arch, cache=cache)
    elif _cached_release(cache, name, arch or _arch_in(name) or "arm64") is None:
        _find_release(config, name, arch or _arch_in(name) or "arm64")


def fetch_kernel(name: str, arch: str | None = None, *, config: Config) -> KernelImage:
    """A kernel by version (``6.17.13``), release (``6.17.13+deb13-cloud-arm64``), path, or side of a built pair.

    Args:
        name: which kernel; a name that has a ``/`` or is an existing file is a path.
        arch: ``arm64`` or ``amd64``; None takes that of the image for a path and arm64 for a package.
        config: gives the cache and the Debian mirror.

    Raises:
        UsageError: the kernel or file does not exist, or the image is of another architecture.
        MachineError: the package cannot be fetched or stored.
    """
    if arch is not None:
        _check_arch(arch)
    if "/" in name or Path(name).is_file():
        return read_kernel(Path(name), arch)
    cache = Cache(config.cache)
    if ":" in name:
        return read_built(name, arch, cache=cache)
    arch = arch or _arch_in(name) or "arm64"
    release: str | None = _cached_release(cache, name, arch)
    suites: Sequence[str] = KERNEL_SUITES
    if release is None:
        release, suites = _find_release(config, name, arch)
    package = f"linux-image-{release}"
    entry = _read_whole(cache, package)
    if entry is None:
        with cache.lock(package):
            entry = _read_whole(cache, package) or _fetch(Packages(config, arch, suites=suites), package)
    order: Sequence[str] = entry.meta["modules"]
    return KernelImage(
        name=name,
        release=entry.meta["release"],
        arch=arch,
        path=entry.files["vmlinuz"],
        sha256=entry.digests["vmlinuz"],
        modules=tuple(entry.files[f"{module}.ko"] for module in order),
        module_names=tuple(order),
        config=entry.files.get("config"),
        config_sha256=entry.digests.get("config"),
        package=package,
        version=entry.meta["version"],
        serial=_is_serial(entry),
    )


def tells_arch(name: str) -> bool:
    """Whether a kernel's name determines its architecture: a path, a side of a built pair, or a complete release."""
    return "/" in name or ":" in name or Path(name).is_file() or _arch_in(name) is not None


def read_kernel(path: Path, arch: str | None = None) -> KernelImage:
    """A kernel image from a file (bzImage, Image, Image.gz, EFI zboot).

    Raises:
        UsageError: the file does not exist, is not a kernel image, or is for another architecture.
    """
    if not path.is_file():
        raise UsageError(f"no kernel image at {path}; give an existing file or a name that kernels list shows")
    image = path.read_bytes()
    found = parse_arch(image)
    if found is None:
        raise UsageError(
            f"{path} is not a kernel image (bzImage, Image or Image.gz); give one built for arm64 or amd64"
        )
    if arch is not None and found != arch:
        raise UsageError(f"{path} is an {found} kernel, not {arch}; use --arch {found}")
    config = parse_config(image)
    return KernelImage(
        name=str(path),
        release=parse_release(image),
        arch=found,
        path=path.absolute(),
        sha256=hashlib.sha256(image).hexdigest(),
        config_sha256=hashlib.sha256(config).hexdigest() if config else None,
        serial=config is not None and _has_port_only(config),
    )


def read_built(name: str, arch: str | None = None, *, cache: Cache) -> KernelImage:
    """One side of a pair that ``kernels build`` made, named ``PAIR:baseline`` or ``PAIR:candidate``.

    Raises:
        UsageError: the pair or side does not exist, or was built for another architecture.
    """
    pair, _, side = name.rpartition(":")
    named = cache.read_entry("pairs", pair) if re.fullmatch(r"[\w.-]+", pair) else None
    entry = cache.read_entry("built", named.meta["key"]) if named else None
    if entry is None:
        known = ", ".join(cache.list_entries("pairs")) or "none"
        raise UsageError(f"no built kernel pair {pair!r} (built: {known}); make it with kernels build")
    if side not in ("baseline", "candidate"):
        raise UsageError(f"a kernel pair has no side {side!r}; use {pair}:baseline or {pair}:candidate")
    built_for: str = entry.meta["arch"]
    if arch not in (None, built_for):
        raise UsageError(f"pair {pair} was built for {built_for}, not {arch}; use --arch {built_for}")
    return KernelImage(
        name=name,
        release=parse_release(entry.files[side].read_bytes()),
        arch=built_for,
        path=entry.files[side],
        sha256=entry.digests[side],
        config_sha256=entry.digests["config"],
        configuration=entry.meta.get("configuration", "lab"),  # the only one that older suites built
    )


def _arch_in(name: str) -> str | None:
    return next((known for known in ARCHES if name.endswith(f"-{known}")), None)


def _check_arch(arch: str) -> None:
    if arch not in ARCHES:
        raise UsageError(f"unknown architecture {arch!r}; use {' or '.join(ARCHES)}")


def _cached_release(cache: Cache, name: str, arch: str) -> str | None:
    for package in cache.list_entries("kernels"):
        if package.endswith(f"-{arch}") and _is_named(package, name):
            return package.removeprefix("linux-image-")
    return None


def _find_release(config: Config, name: str, arch: str) -> tuple[str, Sequence[str]]:
    """The newest release of that name, and its suites. Reads the other suites only if these lack it."""
    choices: list[KernelChoice] = []
    for suites in (SUITES, KERNEL_SUITES):
        choices = list_kernels(arch, config=config, suites=suites)
        if match := [choice.release for choice in choices if _is_named(choice.package, name)]:
            return match[-1], suites
    known = ", ".join(choice.name for choice in choices)
    raise UsageError(f"unknown kernel {name!r} for {arch}: give a path to an image or one of {known}")


def _read_whole(cache: Cache, package: str) -> Entry | None:
    """The kernel in the cache; None if it is not there, or lacks a driver because an older suite stored it."""
    entry = cache.read_entry("kernels", package)
    if entry is None or _is_serial(entry):
        return entry
    if "config" not in entry.files:  # another version of the suite kept something else there
        return None
    if find_missing(entry.files["config"].read_bytes(), entry.meta["modules"]):
        return None
    return entry


def _is_serial(entry: Entry) -> bool:
    return bool(entry.meta.get("serial"))


def _has_port_only(config: bytes) -> bool:
    """Whether a kernel without modules has a driver for the serial port and none for the network card."""
    built = set(config.decode(errors="replace").splitlines())
    return "CONFIG_VIRTIO_NET=y" not in built and {"CONFIG_VIRTIO_PCI=y", "CONFIG_VIRTIO_CONSOLE=y"} <= built


def find_missing(config: bytes, modules: Collection[str]) -> list[str]:
    """The needed drivers that a kernel's configuration makes modules and that are not among ``modules``."""
    built = set(config.decode(errors="replace").splitlines())
    return [name for name in NEEDED_MODULES if f"CONFIG_{name.upper()}=m" in built and name not in modules]


def _fetch(packages: Packages, package: str) -> Entry:
    version = packages.read_version(package)
    parts = _parts(packages.list_depends([package])[package])
    there = set(packages.list_names("linux-")).intersection(parts)
    image: dict[str, bytes] = {}
    modules: dict[str, bytes] = {}

    def take(debs: Sequence[Path]) -> None:
        for deb in debs:
            for member, content in read_members(deb, _is_wanted):
                kept = Path(member.name).name
                if match := _MODULE.fullmatch(member.name):
                    modules[match[1]] = lzma.decompress(content) if match[2] else content
                else:
                    image[kept.partition("-")[0]] = content

    packages.fetch([f"{name}={version}" for name in (package, *sorted(there))], take)
    serial = len(there) < len(parts)
    if "vmlinuz" not in image or ("config" not in image and not serial):
        raise MachineError(f"package {package} has no kernel image; choose another kernel from kernels list")
    order = [] if serial else sort_modules(modules)
    if not serial and (missing := find_missing(image["config"], order)):
        raise MachineError(
            f"package {package} has no module {' and '.join(missing)} for the network card; "
            "choose another kernel from kernels list"
        )
    files = {**image, **{f"{name}.ko": modules[name] for name in order}}
    release = package.removeprefix("linux-image-")
    meta = {"release": release, "version": version, "arch": packages.arch, "modules": order, "serial": serial}
    return packages.cache.write_entry("kernels", package, files, meta)


def _is_wanted(name: str) -> bool:
    if _IMAGE.fullmatch(name):
        return True
    # The card's drivers and their dependencies are all in these folders; unpacking all modules takes seconds.
    return bool(_MODULE.fullmatch(name)) and re.search(r"/net/core/|/drivers/(?:net|virtio)/[^/]+$", name) is not None


def sort_modules(modules: dict[str, bytes]) -> list[str]:
    """Names of the needed modules, each after its dependencies. A driver that is absent is built in."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order or name not in modules:
            return
        for needed in parse_module_depends(modules[name]):
            visit(needed)
        order.append(name)

    for name in NEEDED_MODULES:
        visit(name)
    return order
