"""Builds a pair of kernels that differs in one patch (or one series), and caches it by its inputs.

The candidate is the source with the patch; the baseline is the same tree without it. Both are built in one tree, with one
configuration and one compiler, so that the second build compiles only what the patch touches and nothing else can differ.
With ``revert``, for a patch that the source already has, the candidate is the source unchanged and the baseline is the
source with the patch reverted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from android_suite.config import Config
from android_suite.errors import BuildError, MachineError, PatchError, UsageError
from android_suite.virtual.cache import Cache, Entry
from android_suite.virtual.kernel_tree import read_compiler
from android_suite.virtual.kernels import KernelImage, read_built
from android_suite.virtual.packages import Packages
from android_suite.virtual.series import Patch, read_series
from android_suite.virtual.series_tree import SeriesTree

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,60}")
_SOURCE = re.compile(r"linux-source-(\d+(?:\.\d+)+)")
NEWEST = "debian"  # as a source: the newest one that Debian has


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPair:
    """Two kernels that differ in one patch. Each boots by its name ``NAME:baseline`` or ``NAME:candidate``."""

    name: str
    source: str  # Debian package and version, or the commit of a git tree
    patch_sha256: str
    baseline: KernelImage
    candidate: KernelImage


@dataclass(kw_only=True)
class PairBuild:
    """What a pair is made of; nothing is built before `build` is called.

    Args:
        patch: a unified diff for ``patch -p1``, an mbox, or a folder with a series.
        source: a Debian source package such as ``linux-source-7.3``, ``debian`` for the newest, or a folder with a git
            checkout.
        arch: ``arm64`` or ``amd64``.
        configuration: ``lab``, ``gki`` or ``debug``.
        revert: the source already has the patch; the baseline is without it.
        lock_stat: with the kernel's own lock statistics.
        jobs: parallel compilers; None takes all CPUs.
        config: gives the cache and the Debian mirror.
        progress: called with one line per step.
    """

    patch: Path
    source: str = NEWEST
    arch: str = "arm64"
    configuration: str = "lab"
    revert: bool = False
    lock_stat: bool = False
    jobs: int | None = None
    config: Config
    progress: Callable[[str], None] = lambda _: None
    patches: Sequence[Patch] = field(init=False)
    tree: SeriesTree = field(init=False)

    def __post_init__(self) -> None:
        if not self.patch.exists():
            raise UsageError(f"no patch at {self.patch}; give a unified diff for patch -p1")
        self.patches = read_series(self.patch)
        self.tree = SeriesTree(
            find_source(self.source, self.arch, self.config),
            self.patches,
            self.arch,
            self.config,
            jobs=self.jobs,
            progress=self.progress,
            configuration=self.configuration,
            lock_stat=self.lock_stat,
            without=self.patches if self.revert else (),
        )

    @property
    def patch_sha256(self) -> str:
        """Of the patch; of a series, of the digests of its patches."""
        if len(self.patches) == 1:
            return self.patches[0].sha256
        return hashlib.sha256("".join(patch.sha256 for patch in self.patches).encode()).hexdigest()

    @property
    def key(self) -> str:
        """SHA-256 of everything that the two images depend on."""
        inputs = [
            self.tree.origin, self.arch, self.configuration, self.patch_sha256, str(self.revert), str(self.lock_stat),
            read_compiler(self.arch).decode(errors="replace"),
        ]  # fmt: skip
        return hashlib.sha256("\0".join(inputs).encode()).hexdigest()

    @property
    def default_name(self) -> str:
        """A name for the pair that tells the patch and is unique to the content."""
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", self.patch.resolve().stem).strip("-.")[:40]
        stem = stem if stem[:1].isalpha() else f"patch-{stem}".rstrip("-")
        return f"{stem}-{self.key[:8]}"

    def build(self, name: str | None = None) -> KernelPair:
        """Builds the pair, or finds it in the cache.

        Args:
            name: in plans and in ``--kernel NAME:baseline``; None: `default_name`.

        Raises:
            UsageError: the name is invalid, or the patch changes nothing.
            PatchError: the patch does not apply, or the source does not compile with it.
            MachineError: the source cannot be fetched, does not compile, or a build tool is missing.
        """
        name = self.default_name if name is None else name
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} cannot name a kernel pair; use letters, digits and ._- and start with a letter")
        self.tree.check()
        try:
            baseline = self.tree.make(0)
        except BuildError as failed:
            error = MachineError(f"the source does not compile without the patch: {failed}; choose another --source")
            error.add_note(_notes(failed))
            raise error from failed
        try:
            candidate = self.tree.make(len(self.patches))
        except BuildError as failed:
            broken = PatchError(f"{failed}; mend {self.patch.name} and run the same command again")
            broken.add_note(_notes(failed))
            raise broken from failed
        if baseline.digests["image"] == candidate.digests["image"]:
            raise UsageError(
                f"{self.patch.name} changes nothing in this kernel: both builds are the same image. Does configuration "
                f"{self.configuration} compile what it changes?"
            )
        meta = {
            "source": self.tree.origin,
            "arch": self.arch,
            "configuration": self.configuration,
            "patch_sha256": self.patch_sha256,
        }
        files = {
            "baseline": baseline.files["image"].read_bytes(),
            "candidate": candidate.files["image"].read_bytes(),
            "config": candidate.files["config"].read_bytes(),
        }
        cache = self.tree.cache
        entry = cache.write_entry("built", self.key[:32], files, meta)
        cache.write_entry("pairs", name, {}, {"key": self.key[:32]})
        return _pair(name, entry, cache)

    def describe(self) -> tuple[str, ...]:
        """What the two kernels are, for the report; one sentence each."""
        what = "taken out and put back" if self.revert else "added"
        titles = "; ".join(patch.title for patch in self.patches[:3]) + ("; ..." if len(self.patches) > 3 else "")
        made = (
            f"the kernels are {self.tree.origin} with {self.patch.name} {what} ({titles}; SHA-256 "
            f"{self.patch_sha256[:16]}), configuration {self.configuration}, compiled by "
            f"{read_compiler(self.arch).decode(errors='replace')}"
        )
        return made, *self.tree.fuzz


def find_source(source: str, arch: str, config: Config) -> str:
    """The source package or folder that is meant; ``debian`` is the newest package.

    Raises:
        MachineError: the package index cannot be read or has no source.
    """
    if source != NEWEST:
        return source
    names = Packages(config, arch).list_names("linux-source-")
    known = [(tuple(map(int, match[1].split("."))), name) for name in names if (match := _SOURCE.fullmatch(name))]
    if not known:
        raise MachineError("Debian's package index has no linux-source-* package; give --source with a git tree")
    return max(known)[1]


def _notes(error: BaseException) -> str:
    return "\n".join(getattr(error, "__notes__", ()))


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
