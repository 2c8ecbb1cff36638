"""Kernels of a patch series, built in one source tree that stays in the cache. A pair of kernels is a short series.

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
from android_suite.errors import PatchError
from android_suite.virtual.build_messages import DAMAGED
from android_suite.virtual.build_progress import BuildProgress
from android_suite.virtual.cache import Cache, Entry
from android_suite.virtual.git_tree import check_kernel, read_commit
from android_suite.virtual.kernel_config import read_options
from android_suite.virtual.kernel_tree import (
    HAS,
    HAS_NOT,
    OTHER_PATHS,
    KernelTree,
    check_arch,
    check_tools,
    lock_tree,
    read_compiler,
    remove_tree,
    run_step,
    unpack_source,
)
from android_suite.virtual.packages import Packages

_STATE = ".android-suite.json"  # which patches the tree has; absent while they change
_BUILT = ".android-suite-built"  # the tree was built once, so that a further build is a short one
_OPTIONS = b"Kconfig"  # in a patch that may change the configuration
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
        configuration: ``lab``, ``gki`` or ``debug``.
        lock_stat: with the kernel's own lock statistics.
        without: patches that the source has and that position 0 is without; the last of them is reverted first.
        if_present: what the user may do where the source has a patch of the series already.
    """

    source: str
    patches: Sequence[Patched]
    arch: str
    config: Config
    jobs: int | None = None
    progress: Callable[[str], None] = lambda _: None
    configuration: str = "lab"
    lock_stat: bool = False
    without: Sequence[Patched] = ()
    if_present: str = "to compare this source with and without it, revert it (--revert)"
    builds: int = field(default=0, init=False)
    fuzz: list[str] = field(default_factory=list, init=False)  # hunks whose context was not taken exactly
    _origin: str = field(default="", init=False)

    def __post_init__(self) -> None:
        check_arch(self.arch)
        self.cache = Cache(self.config.cache)

    @property
    def origin(self) -> str:
        """What the source is: a package with its version, or a commit.

        Raises:
            UsageError: the folder is no git checkout of a kernel, or has changes that are not committed.
            MachineError: the package cannot be found.
        """
        if not self._origin:
            if "/" in self.source or Path(self.source).is_dir():
                commit = read_commit(Path(self.source))
                check_kernel(Path(self.source), commit)
                self._origin = f"commit {commit}"
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
        return self.make(position).files["image"]

    def make(self, position: int) -> Entry:
        """As `build`: the ``image`` and its ``config``."""
        inputs = self._inputs
        key = _digest(*inputs, *self._wanted(position))
        entry = self._read(key)
        if entry is None:
            name = _digest(*inputs)
            with lock_tree(self.cache, name, self.progress):
                entry = self._read(key)
                if entry is None:
                    tree = self._prepare(name)
                    files = {"image": self._build(tree, position, name), "config": tree.read_config()}
                    entry = self.cache.write_entry("series", key, files, {"origin": self.origin})
        return entry

    def check(self) -> None:
        """Finds out whether the whole series applies, before anything is compiled for it.

        Raises:
            PatchError: one of the patches does not apply.
            MachineError: the source cannot be fetched or configured, or a build tool is missing.
        """
        inputs = self._inputs
        if self._read(_digest(*inputs, *self._wanted(0))) is not None:
            return  # then the next build applies them first
        name = _digest(*inputs)
        with lock_tree(self.cache, name, self.progress):
            tree = self._prepare(name)
            self._move(tree, len(self.patches))
            self._move(tree, 0)

    def check_out(self, position: int) -> Path:
        """The tree with the first ``position`` patches, not built; the next build changes it.

        Raises:
            PatchError: one of them does not apply.
            MachineError: the source cannot be fetched or configured, or a build tool is missing.
        """
        name = _digest(*self._inputs)
        with lock_tree(self.cache, name, self.progress):
            tree = self._prepare(name)
            self._move(tree, position)
        return tree.path

    @property
    def _inputs(self) -> list[str]:
        options = hashlib.sha256(self._options).hexdigest()
        return [self.origin, self.arch, read_compiler(self.arch).decode(), options]

    @property
    def _options(self) -> bytes:
        return read_options(self.arch, self.configuration, lock_stat=self.lock_stat)

    def _wanted(self, position: int) -> list[str]:
        """What the tree is changed by: the SHA-256 of each patch, with a minus where it is reverted."""
        taken_back = [f"-{patch.sha256}" for patch in reversed(self.without)]
        return [*taken_back, *(patch.sha256 for patch in self.patches[:position])]

    def _read(self, key: str) -> Entry | None:
        entry = self.cache.read_entry("series", key)
        return entry if entry is not None and "config" in entry.files else None

    def _build(self, tree: KernelTree, position: int, name: str) -> bytes:
        self._move(tree, position)
        what = f"the kernel with {position} of {len(self.patches)} patches"
        if len(self.patches) == 1:
            what = "the kernel with the patch" if position else "the kernel without the patch"
        self.builds += 1
        kind = f"{self.arch} {self.configuration}{' lock_stat' if self.lock_stat else ''}"
        applied = json.loads((tree.path / _STATE).read_text())
        self._forget(tree.path)  # after a kill in the middle, nobody knows which files are complete
        try:
            with BuildProgress(
                self.cache, kind, what, whole=not (tree.path / _BUILT).exists(), say=self.progress
            ) as told:
                image = tree.build(what, told.count)
            (tree.path / _BUILT).touch()
            return image
        finally:
            self._note(tree.path, applied)

    def _prepare(self, name: str) -> KernelTree:
        """The configured tree, unpacked if it is not in the cache or if something interrupted a change of it."""
        check_tools(self.arch)
        trees = self.cache.root / "trees"
        folder = trees / name
        jobs = self.jobs or len(os.sched_getaffinity(0))
        tree = KernelTree(folder, self.arch, jobs, self.cache.root / "ccache")
        if not (folder / _STATE).is_file():
            shutil.rmtree(folder, ignore_errors=True)
            with self.cache.scratch() as scratch:
                unpacked = self._unpack(Path(scratch))
                with self.cache.writing(1):
                    trees.mkdir(parents=True, exist_ok=True)
                    unpacked.rename(folder)
            self.progress("configuring")
            refused = tree.configure(self._options)
            if refused:
                self.progress(f"this source does not take {', '.join(refused)} of configuration {self.configuration}")
            self._note(folder, [])
        os.utime(folder)
        others = sorted((each for each in trees.iterdir() if each != folder), key=lambda each: -each.stat().st_mtime)
        for old in others[_KEPT - 1 :]:
            remove_tree(self.cache, old)
        return tree

    def _unpack(self, scratch: Path) -> Path:
        if not self.origin.startswith("commit "):
            return unpack_source(Packages(self.config, self.arch), self.origin, scratch, self.progress)
        self.progress(f"copying {self.origin} of {self.source}")
        tree = scratch / "tree"
        tree.mkdir()
        archive = scratch / "tree.tar"
        commit = self.origin.split()[1]
        run_step(
            ["git", "-C", str(Path(self.source).resolve()), "archive", "-o", str(archive), commit],
            scratch,
            "copy the source",
        )
        run_step(["tar", "-xf", str(archive)], tree, "unpack the source")
        archive.unlink()
        return tree

    def _move(self, tree: KernelTree, position: int) -> None:
        """Takes back the changes that the tree has too many, and makes those that it lacks."""
        has: list[str] = json.loads((tree.path / _STATE).read_text())
        wanted = self._wanted(position)
        same = next((i for i, pair in enumerate(zip(has, wanted, strict=False)) if pair[0] != pair[1]), None)
        same = min(len(has), len(wanted)) if same is None else same
        kept = tree.path / ".android-suite-patches"
        kept.mkdir(exist_ok=True)
        options = False
        while len(has) > same:
            file = kept / has[-1].removeprefix("-")
            options |= _OPTIONS in file.read_bytes()
            self._forget(tree.path)
            tree.patch(file, reverse=not has[-1].startswith("-"))
            has.pop()
            self._note(tree.path, has)
        named = {patch.sha256: patch for patch in (*self.without, *self.patches)}
        for change in wanted[same:]:
            patch = named[change.removeprefix("-")]
            file = kept / patch.sha256
            file.write_bytes(patch.diff)
            options |= _OPTIONS in patch.diff
            back = change.startswith("-")
            self._check(tree, file, patch, back)
            self._forget(tree.path)
            tree.patch(file, reverse=back, name=repr(patch.title))
            has.append(change)
            self._note(tree.path, has)
        if options:
            self._forget(tree.path)
            tree.configure(self._options)
            self._note(tree.path, has)

    def _check(self, tree: KernelTree, file: Path, patch: Patched, back: bool) -> None:
        """Raises PatchError with the next step where a patch does not fit."""
        try:
            fuzz = tree.patch(file, reverse=back, name=repr(patch.title), check_only=True)
        except PatchError as refused:
            said = str(refused)
            if OTHER_PATHS in said:
                raise
            if DAMAGED in said:
                remedy = "save it again as it was sent (mail readers break lines and change tabs)"
            elif HAS in said:
                remedy = self.if_present
            elif HAS_NOT in said:
                remedy = "choose a --source that has it"
            elif back:
                remedy = "give the patch as it is in this source"
            else:
                remedy = f"rebase it onto {self.origin}, or give the tree that it was made for with --source"
            error = PatchError(f"{refused}; {remedy}")
            for note in refused.__notes__:
                error.add_note(note)
            raise error from None
        for hunk in fuzz:
            told = f"{patch.title}: {hunk} fits only roughly: look whether it is where it belongs"
            if told not in self.fuzz:
                self.fuzz.append(told)
                self.progress(told)

    def _forget(self, folder: Path) -> None:
        (folder / _STATE).unlink(missing_ok=True)

    def _note(self, folder: Path, applied: Sequence[str]) -> None:
        with self.cache.writing(1):
            draft = folder / f"{_STATE}.new"
            draft.write_text(json.dumps(list(applied)))
            draft.rename(folder / _STATE)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
