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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from android_suite.config import Config
from android_suite.errors import PatchError, UsageError
from android_suite.virtual.cache import Cache, Entry
from android_suite.virtual.kernel_tree import (
    KernelTree,
    check_arch,
    check_tools,
    read_compiler,
    read_options,
    unpack_source,
)
from android_suite.virtual.kernels import KernelImage, read_built
from android_suite.virtual.packages import Packages

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,60}")
_SIDES = ("baseline", "candidate")


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
    check_arch(arch)
    if not patch.is_file():
        raise UsageError(f"no patch at {patch}; give a unified diff for patch -p1")
    diff = patch.read_bytes()
    check_tools(arch)
    cache = Cache(config.cache)
    packages = Packages(config, arch)
    version = packages.read_version(source)
    options = read_options(arch, lock_stat=lock_stat)
    key = hashlib.sha256(
        b"\0".join(
            [source.encode(), version.encode(), arch.encode(), options, diff, str(revert).encode(), read_compiler(arch)]
        )
    ).hexdigest()[:32]
    with cache.lock(f"build-{key}"):
        entry = cache.read_entry("built", key)
        if entry is None:
            with cache.scratch() as scratch:
                unpacked = unpack_source(packages, f"{source}={version}", Path(scratch), progress)
                tree = KernelTree(unpacked, arch, jobs or os.cpu_count() or 1)
                images = _build_both(tree, options, patch.resolve(), revert, progress)
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


def _build_both(
    tree: KernelTree, options: bytes, patch: Path, revert: bool, progress: Callable[[str], None]
) -> dict[str, bytes]:
    if revert:
        _patch(tree, patch, reverse=True)
    images = {"config": tree.configure(options)}
    for step, side in enumerate(_SIDES):
        if step:
            _patch(tree, patch, reverse=False)
        progress(f"building the {side} (minutes for the first, seconds for the second)")
        images[side] = tree.build(f"the {side} kernel")
    if images["baseline"] == images["candidate"]:
        raise UsageError(f"{patch.name} changes nothing in this kernel; both builds are the same image")
    return images


def _patch(tree: KernelTree, patch: Path, *, reverse: bool) -> None:
    try:
        tree.patch(patch, reverse=reverse)
    except PatchError as refused:
        remedy = "omit --revert" if reverse else "use --revert if the source already has it"
        error = UsageError(f"{refused}; {remedy}")
        for note in refused.__notes__:
            error.add_note(note)
        raise error from None
