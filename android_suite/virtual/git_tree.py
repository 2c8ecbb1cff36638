"""Kernels of single commits of a user's git tree, built in a checkout of our own in the cache.

The user's tree is only read: its objects are shared, nothing is checked out or built there. Going from one commit to
another touches only the files between them, so that a build compiles only what they touch.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from android_suite.config import Config
from android_suite.errors import MachineError, UsageError
from android_suite.virtual.build_progress import BuildProgress
from android_suite.virtual.cache import Cache
from android_suite.virtual.kernel_config import read_options
from android_suite.virtual.kernel_tree import (
    KernelTree,
    check_arch,
    check_tools,
    read_compiler,
    run_step,
)


@dataclass
class GitTree:
    """A git tree of the kernel.

    Args:
        tree: the user's checkout, or a bare repository.
        arch: ``arm64`` or ``amd64``.
        config: gives the cache.
        jobs: parallel compilers; None takes all CPUs.
        progress: called with one line per step.
        configuration: ``lab``, ``gki`` or ``debug``.
    """

    tree: Path
    arch: str
    config: Config
    jobs: int | None = None
    progress: Callable[[str], None] = lambda _: None
    configuration: str = "lab"
    builds: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        check_arch(self.arch)
        self.cache = Cache(self.config.cache)

    def build(self, commit: str) -> Path:
        """The image of a commit, given by its whole SHA.

        Raises:
            BuildError: it does not compile.
            MachineError: it cannot be checked out or configured, or a build tool is missing.
        """
        options = read_options(self.arch, self.configuration)
        key = _digest(commit, self.arch, read_compiler(self.arch).decode(), hashlib.sha256(options).hexdigest())
        entry = self.cache.read_entry("series", key)
        if entry is None:
            check_tools(self.arch)
            name = _digest(str(self.tree.resolve()), self.arch)
            with self.cache.lock(f"tree-{name}"):
                checkout = self._check_out(self.cache.root / "trees" / f"git-{name}", commit)
                jobs = self.jobs or len(os.sched_getaffinity(0))
                tree = KernelTree(checkout, self.arch, jobs, self.cache.root / "ccache")
                tree.configure(options)
                self.builds += 1
                image = self._build(tree, f"the kernel of {commit[:12]}")
                entry = self.cache.write_entry("series", key, {"image": image}, {"origin": f"commit {commit}"})
        return entry.files["image"]

    def _build(self, tree: KernelTree, what: str) -> bytes:
        whole = not (tree.path / "vmlinux").exists()
        kind = f"{self.arch} {self.configuration}"
        with BuildProgress(self.cache, kind, what, whole=whole, say=self.progress) as told:
            return tree.build(what, told.count)

    def _check_out(self, folder: Path, commit: str) -> Path:
        if not (folder / ".git").is_dir():
            self.progress(f"making a checkout of {self.tree} in the cache")
            with self.cache.writing(1):
                folder.parent.mkdir(parents=True, exist_ok=True)
            clone = ["git", "clone", "-q", "--shared", "--no-checkout", str(self.tree.resolve()), str(folder)]
            run_step(clone, folder.parent, "make a checkout in the cache")
        run_step(["git", "checkout", "-q", "--force", "--detach", commit], folder, f"check out {commit[:12]}")
        return folder


def ask_git(tree: Path, *argv: str) -> str:
    """What git says about a tree.

    Raises:
        UsageError: it is no git tree, or has no such thing.
        MachineError: git is not installed.
    """
    try:
        done = subprocess.run(["git", "-C", str(tree), *argv], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise MachineError("git is not installed; run: apt-get install git") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise UsageError(
            f"git in {tree}: {said[0] if said else 'failed'}; give a git tree of the kernel and its commits."
        )
    return done.stdout.strip()


def read_commit(tree: Path) -> str:
    """SHA of the commit that is checked out.

    Raises:
        UsageError: it is no git tree, or has changes that are not committed.
    """
    if ask_git(tree, "status", "--porcelain", "--untracked-files=no"):
        raise UsageError(f"{tree} has changes that are not committed; commit or stash them.")
    return ask_git(tree, "rev-parse", "HEAD")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
