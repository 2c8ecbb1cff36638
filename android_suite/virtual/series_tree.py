"""Kernels of a patch series, built in one source tree that stays in the cache.

The tree is configured once. Going from one position of the series to another applies or reverts only the patches between
them, so that a build compiles only what they touch. Each image is cached by its inputs.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from android_suite.config import Config
from android_suite.virtual.cache import Cache
from android_suite.virtual.git_tree import read_commit
from android_suite.virtual.kernel_tree import (
    KernelTree,
    check_arch,
    check_tools,
    read_compiler,
    read_options,
    run_step,
    unpack_source,
)
from android_suite.virtual.packages import Packages

_STATE = ".android-suite.json"  # which patches the tree has; absent while they change
_KEPT = 2  # trees in the cache: about 2 GB each


class Patched(Protocol):
    """A patch of the series."""

    @property
    def title(self) -> str:
        """For messages."""

    @property
    def diff(self) -> bytes:
        """For ``patch -p1``."""

    @property
    def sha256(self) -> str:
        """Of the diff."""


@dataclass
class SeriesTree:
    """A source tree and a series on it.

    Args:
        source: a Debian source package such as ``linux-source-7.3``, or a folder with a git checkout.
        patches: the series.
        arch: ``arm64`` or ``amd64``.
        config: gives the cache and the Debian mirror.
        jobs: parallel compilers; None takes all CPUs.
        progress: called with one line per step.
    """

    source: str
    patches: Sequence[Patched]
    arch: str
    config: Config
    jobs: int | None = None
    progress: Callable[[str], None] = lambda _: None
    builds: int = field(default=0, init=False)
    _origin: str = field(default="", init=False)

    def __post_init__(self) -> None:
        check_arch(self.arch)
        self.cache = Cache(self.config.cache)

    @property
    def origin(self) -> str:
        """What the source is: a package with its version, or a commit.

        Raises:
            UsageError: the folder is no git checkout, or has changes that are not committed.
            MachineError: the package cannot be found.
        """
        if not self._origin:
            if "/" in self.source or Path(self.source).is_dir():
                self._origin = f"commit {read_commit(Path(self.source))}"
            else:
                version = Packages(self.config, self.arch).read_version(self.source)
                self._origin = f"{self.source}={version}"
        return self._origin

    def build(self, position: int) -> Path:
        """The image of the source with the first ``position`` patches.

        Raises:
            PatchError: one of them does not apply.
            BuildError: it does not compile.
            MachineError: the source cannot be fetched or configured, or a build tool is missing.
        """
        options = read_options(self.arch)
        inputs = [self.origin, self.arch, read_compiler(self.arch).decode(), hashlib.sha256(options).hexdigest()]
        wanted = [patch.sha256 for patch in self.patches[:position]]
        key = _digest(*inputs, *wanted)
        entry = self.cache.read_entry("series", key)
        if entry is None:
            name = _digest(*inputs)
            with self.cache.lock(f"tree-{name}"):
                entry = self.cache.read_entry("series", key)
                if entry is None:
                    image = self._build(self._prepare(name, options), position)
                    entry = self.cache.write_entry("series", key, {"image": image}, {"origin": self.origin})
        return entry.files["image"]

    def _build(self, tree: KernelTree, position: int) -> bytes:
        self._move(tree, position)
        self.progress(f"building the kernel with {position} of {len(self.patches)} patches")
        self.builds += 1
        return tree.build(f"the kernel with {position} patches")

    def _prepare(self, name: str, options: bytes) -> KernelTree:
        """The configured tree, unpacked if it is not in the cache or if something interrupted a change of it."""
        check_tools(self.arch)
        trees = self.cache.root / "trees"
        folder = trees / name
        tree = KernelTree(folder, self.arch, self.jobs or os.cpu_count() or 1)
        if not (folder / _STATE).is_file():
            shutil.rmtree(folder, ignore_errors=True)
            with self.cache.scratch() as scratch:
                unpacked = self._unpack(Path(scratch))
                KernelTree(unpacked, self.arch, tree.jobs).configure(options)
                with self.cache.writing(1):
                    trees.mkdir(parents=True, exist_ok=True)
                    unpacked.rename(folder)
            self._note(folder, [])
        os.utime(folder)
        others = sorted((each for each in trees.iterdir() if each != folder), key=lambda each: -each.stat().st_mtime)
        for old in others[_KEPT - 1 :]:
            shutil.rmtree(old, ignore_errors=True)
        return tree

    def _unpack(self, scratch: Path) -> Path:
        if not self.origin.startswith("commit "):
            return unpack_source(Packages(self.config, self.arch), self.origin, scratch, self.progress)
        self.progress(f"copying {self.origin} of {self.source}")
        tree = scratch / "tree"
        tree.mkdir()
        archive = scratch / "tree.tar"
        commit = self.origin.split()[1]
        run_step(["git", "-C", str(self.source), "archive", "-o", str(archive), commit], scratch, "copy the source")
        run_step(["tar", "-xf", str(archive)], tree, "unpack the source")
        archive.unlink()
        return tree

    def _move(self, tree: KernelTree, position: int) -> None:
        """Reverts the patches that the tree has too many, and applies those that it lacks."""
        has: list[str] = json.loads((tree.path / _STATE).read_text())
        wanted = [patch.sha256 for patch in self.patches[:position]]
        same = next((i for i, pair in enumerate(zip(has, wanted, strict=False)) if pair[0] != pair[1]), None)
        same = min(len(has), len(wanted)) if same is None else same
        kept = tree.path / ".android-suite-patches"
        kept.mkdir(exist_ok=True)
        while len(has) > same:
            self._forget(tree.path)
            tree.patch(kept / has[-1], reverse=True)
            has.pop()
            self._note(tree.path, has)
        for patch in self.patches[same:position]:
            file = kept / patch.sha256
            file.write_bytes(patch.diff)
            tree.patch(file, name=repr(patch.title), check_only=True)
            self._forget(tree.path)
            tree.patch(file, name=repr(patch.title))
            has.append(patch.sha256)
            self._note(tree.path, has)

    def _forget(self, folder: Path) -> None:
        (folder / _STATE).unlink(missing_ok=True)

    def _note(self, folder: Path, applied: Sequence[str]) -> None:
        with self.cache.writing(1):
            draft = folder / f"{_STATE}.new"
            draft.write_text(json.dumps(list(applied)))
            draft.rename(folder / _STATE)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
