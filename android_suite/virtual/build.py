"""Builds kernel pairs that differ in one patch from Debian's kernel source, and caches them by their inputs.

The candidate is the source with the patch; the baseline is the same tree without it. Both share one configuration, one
compiler and one build folder, so the second build compiles only what the patch touches and nothing else can differ.
With ``revert``, for a patch that the source already has, the candidate is the source unchanged and the baseline is the
source with the patch reverted.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from android_suite.config import Config
from android_suite.errors import MachineError, UsageError
from android_suite.virtual.cache import Cache, Entry
from android_suite.virtual.kernels import KernelImage, read_built
from android_suite.virtual.packages import Packages, read_members

_CONFIGS = Path(__file__).parent / "configs"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,60}")
_SIDES = ("baseline", "candidate")
_TOOLS = {  # program of a build -> its Debian package
    "make": "make", "gcc": "gcc", "flex": "flex", "bison": "bison", "bc": "bc", "xz": "xz-utils", "patch": "patch",
    "tar": "tar", "perl": "perl",
}  # fmt: skip
# Per architecture: the prefix for CROSS_COMPILE, the kernel's name for it, and the image file.
_TARGETS = {
    "arm64": ("aarch64-linux-gnu-", "arm64", "arch/arm64/boot/Image.gz"),
    "amd64": ("", "x86", "arch/x86/boot/bzImage"),
}
_BUILD_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPair:
    """Two kernels that differ in one patch. Each boots by its name ``NAME:baseline`` or ``NAME:candidate``."""

    name: str
    source: str  # Debian package and version
    patch_sha256: str
    baseline: KernelImage
    candidate: KernelImage


def build_pair(
    name: str,
    *,
    source: str,
    patch: Path,
    arch: str = "arm64",
    revert: bool = False,
    lock_stat: bool = False,
    jobs: int | None = None,
    config: Config,
    progress: Callable[[str], None] = lambda _: None,
) -> KernelPair:
    """Builds (or finds in the cache) a pair of kernels.

    Args:
        name: name of the pair in plans and in ``--kernel NAME:baseline``.
        source: Debian source package such as ``linux-source-7.3``.
        patch: a unified diff for ``patch -p1``.
        arch: ``arm64`` or ``amd64``.
        revert: the source already has the patch; the baseline is without it.
        lock_stat: whether to build with LOCK_STAT.
        jobs: parallel compilers; None takes all CPUs.
        config: gives the cache for the pair and the Debian mirror.
        progress: called with one line per step.

    Raises:
        UsageError: the name or the architecture is invalid, or the patch does not exist or does not apply.
        MachineError: the source cannot be fetched, a build tool is missing, or the build fails.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a kernel pair; use letters, digits and ._- and start with a letter")
    if arch not in _TARGETS:
        raise UsageError(f"unknown architecture {arch!r}; use {' or '.join(_TARGETS)}")
    if not patch.is_file():
        raise UsageError(f"no patch at {patch}; give a unified diff for patch -p1")
    diff = patch.read_bytes()
    cross, _, _ = _TARGETS[arch]
    _check_tools(cross)
    cache = Cache(config.cache)
    packages = Packages(config, arch)
    version = packages.read_version(source)
    fragments = [_CONFIGS / "lab.config", _CONFIGS / f"lab.{arch}.config"]
    fragments += [_CONFIGS / "lock_stat.config"] if lock_stat else []
    options = b"".join(f.read_bytes() for f in fragments)
    key = hashlib.sha256(
        b"\0".join(
            [source.encode(), version.encode(), arch.encode(), options, diff, str(revert).encode(), _compiler(cross)]
        )
    ).hexdigest()[:32]
    with cache.lock(f"build-{key}"):
        entry = cache.read_entry("built", key)
        if entry is None:
            with cache.scratch() as scratch:
                tree = _unpack(packages, f"{source}={version}", Path(scratch), progress)
                images = _build_both(
                    tree, options, patch.resolve(), arch, revert, jobs or os.cpu_count() or 1, progress
                )
            meta = {"source": f"{source}={version}", "arch": arch, "patch_sha256": hashlib.sha256(diff).hexdigest()}
            entry = cache.write_entry("built", key, images, meta)
        else:
            progress(f"in the cache: {source} {version} with this patch and configuration")
        cache.write_entry("pairs", name, {}, {"key": key})
    return _pair(name, entry, cache)


def read_pair(name: str, *, cache: Cache) -> KernelPair | None:
    """The pair of that name, or None if it was not built or its images are missing."""
    named = cache.read_entry("pairs", name) if _NAME.fullmatch(name) else None
    entry = cache.read_entry("built", named.meta["key"]) if named else None
    return _pair(name, entry, cache) if entry else None


def list_pairs(*, cache: Cache) -> list[KernelPair]:
    """All pairs that can be booted."""
    return [pair for name in cache.list_entries("pairs") if (pair := read_pair(name, cache=cache))]


def _pair(name: str, entry: Entry, cache: Cache) -> KernelPair:
    return KernelPair(
        name=name,
        source=entry.meta["source"],
        patch_sha256=entry.meta["patch_sha256"],
        baseline=read_built(f"{name}:baseline", cache=cache),
        candidate=read_built(f"{name}:candidate", cache=cache),
    )


def _check_tools(cross: str) -> None:
    tools = {**_TOOLS, **({f"{cross}gcc": "gcc-aarch64-linux-gnu"} if cross else {})}
    missing = sorted(package for tool, package in tools.items() if not shutil.which(tool))
    headers = {"libssl-dev": "openssl/opensslv.h", "libelf-dev": "libelf.h"}
    missing += [p for p, h in headers.items() if not (Path("/usr/include") / h).exists()]
    if missing:
        raise MachineError(f"building a kernel needs {', '.join(missing)}; run: apt-get install {' '.join(missing)}")


def _compiler(cross: str) -> bytes:
    return subprocess.run([f"{cross}gcc", "--version"], capture_output=True, check=True).stdout.splitlines()[0]


def _unpack(packages: Packages, spec: str, scratch: Path, progress: Callable[[str], None]) -> Path:
    progress(f"fetching {spec}")

    def take(debs: Sequence[Path]) -> None:
        for member, content in read_members(
            debs[0], lambda n: bool(re.search(r"usr/src/linux-source-[^/]+\.tar\.", n))
        ):
            (scratch / "source.tar.xz").write_bytes(content)
            progress(f"unpacking {Path(member.name).name}")

    packages.fetch([spec], take)
    tree = scratch / "tree"
    tree.mkdir()
    if not (scratch / "source.tar.xz").exists():
        raise MachineError(f"{spec} has no kernel source; give a linux-source-* package")
    _run(["tar", "-xf", str(scratch / "source.tar.xz"), "--strip-components=1"], tree, "unpack the kernel source")
    return tree


def _build_both(
    tree: Path, config: bytes, patch: Path, arch: str, revert: bool, jobs: int, progress: Callable[[str], None]
) -> dict[str, bytes]:
    cross, kernel_arch, image = _TARGETS[arch]
    # The same time, user and host in both images, so that only the patch differs.
    make = [
        "make", f"-j{jobs}", f"ARCH={kernel_arch}", f"CROSS_COMPILE={cross}", "KBUILD_BUILD_TIMESTAMP=@0",
        "KBUILD_BUILD_USER=lab", "KBUILD_BUILD_HOST=lab", "KBUILD_BUILD_VERSION=1",
    ]  # fmt: skip
    if revert:
        _patch(tree, patch, reverse=True)
    (tree / "lab.config").write_bytes(config)
    _run([*make, "-s", "tinyconfig"], tree, "configure the kernel")
    env = {"ARCH": kernel_arch, "CROSS_COMPILE": cross}
    _run(["scripts/kconfig/merge_config.sh", "-m", ".config", "lab.config"], tree, "configure the kernel", env)
    _run([*make, "-s", "olddefconfig"], tree, "configure the kernel")
    final = (tree / ".config").read_bytes()
    _check_config(config.decode(), final.decode())
    images: dict[str, bytes] = {"config": final}
    for step, side in enumerate(_SIDES):
        if step:
            _patch(tree, patch, reverse=False)
        progress(f"building the {side} (minutes for the first, seconds for the second)")
        _run([*make, "-s", Path(image).name], tree, f"build the {side} kernel")
        images[side] = (tree / image).read_bytes()
    if images["baseline"] == images["candidate"]:
        raise UsageError(f"{patch.name} changes nothing in this kernel; both builds are the same image")
    return images


def _patch(tree: Path, patch: Path, *, reverse: bool) -> None:
    argv = ["patch", "-p1", "--batch", "--input", str(patch), "--reverse" if reverse else "--forward"]
    done = subprocess.run([*argv, "--dry-run"], cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        error = UsageError(
            f"{patch.name} cannot be {'reverted in' if reverse else 'applied to'} this source; "
            f"{'omit --revert' if reverse else 'use --revert if the source already has it'}"
        )
        error.add_note(done.stdout.strip()[-2000:])
        raise error
    _run(argv, tree, "patch the kernel source")


def _check_config(wanted: str, final: str) -> None:
    have = set(final.splitlines())
    missing = [line for line in wanted.splitlines() if line.endswith("=y") and line not in have]
    # A release may have removed or renamed options; those that the suite needs must be present.
    vital = {"CONFIG_FTRACE_SYSCALLS=y", "CONFIG_VIRTIO_NET=y", "CONFIG_RD_ZSTD=y"}
    if lost := sorted(vital & set(missing)):
        raise MachineError(
            f"this source cannot be configured with {', '.join(lost)}; choose another linux-source package"
        )


def _run(argv: Sequence[str], cwd: Path, what: str, env: dict[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            argv, cwd=cwd, capture_output=True, text=True, check=False, timeout=_BUILD_TIMEOUT_S,
            env={**os.environ, "LC_ALL": "C", **(env or {})},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise MachineError(
            f"could not {what} within {_BUILD_TIMEOUT_S / 60:.0f} minutes; try again on an idle machine"
        ) from None
    if done.returncode:
        error = MachineError(
            f"could not {what} ({argv[0]} ended with status {done.returncode}); see the compiler's message below"
        )
        error.add_note((done.stderr or done.stdout).strip()[-3000:])
        raise error
