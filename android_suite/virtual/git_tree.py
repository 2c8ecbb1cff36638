"""Kernels of single commits of a user's git tree, built in a checkout of our own in the cache.

The user's tree is only read: its objects are shared, nothing is checked out or built there. Going from one commit to
another touches only the files between them, so that a build compiles only what they touch.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from android_suite.config import Config
from android_suite.errors import MachineError, UsageError
from android_suite.virtual.build_progress import BuildProgress
from android_suite.virtual.cache import Cache
from android_suite.virtual.kernel_config import read_options
from android_suite.virtual.kernel_tree import (
    KernelTree,
    build_environment,
    check_arch,
    check_tools,
    lock_tree,
    read_compiler,
    run_step,
)

_OF_A_KERNEL = "scripts/kconfig/merge_config.sh"


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
            check_kernel(self.tree, commit)
            name = f"git-{_digest(str(self.tree.resolve()), self.arch)}"
            with lock_tree(self.cache, name, self.progress):
                checkout = self._check_out(self.cache.root / "trees" / name, commit)
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
        checkout = ["git", "-c", "core.hooksPath=/dev/null", "checkout", "-q", "--force", "--detach", commit]
        run_step(checkout, folder, f"check out {commit[:12]}")
        return folder


def ask_git(tree: Path, *argv: str) -> str:
    """What git says about a tree, in UTF-8; bytes that are not become the replacement character.

    Raises:
        UsageError: it is no git tree, or has no such thing.
        MachineError: git is not installed.
    """
    settings = ["-c", "i18n.logOutputEncoding=UTF-8", "-c", "log.showSignature=false", "-c", "color.ui=false"]
    try:
        done = subprocess.run(
            ["git", "-C", str(tree), *settings, *argv], capture_output=True, text=True, encoding="utf-8",
            errors="replace", check=False, stdin=subprocess.DEVNULL, env={**build_environment(), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    except FileNotFoundError:
        raise MachineError("git is not installed; run: apt-get install git") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        remedy = "give a git tree of the kernel and its commits"
        if "dubious ownership" in done.stderr:
            remedy = "if you trust it, run: git config --global --add safe.directory FOLDER"
        raise UsageError(f"git in {tree}: {said[0] if said else 'failed'}; {remedy}.")
    return done.stdout.strip()


def read_commit(tree: Path) -> str:
    """SHA of the commit that is checked out.

    Raises:
        UsageError: it is no git tree, or has changes that are not committed.
    """
    if ask_git(tree, "status", "--porcelain", "--untracked-files=no"):
        raise UsageError(f"{tree} has changes that are not committed; commit or stash them.")
    return ask_git(tree, "rev-parse", "HEAD")


def read_sha(tree: Path, name: str) -> str:
    """SHA of a commit by any of its names.

    Raises:
        UsageError: there is no such commit.
    """
    ask_git(tree, "rev-parse", "--git-dir")
    try:
        return ask_git(tree, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
    except UsageError:
        remedy = (
            "it is a shallow clone, so run git fetch --unshallow in it" if _is_shallow(tree) else "git log names them"
        )
        raise UsageError(f"there is no commit {name!r} in {tree}; {remedy}.") from None


def read_title(tree: Path, sha: str) -> str:
    """The first line of a commit's message, such that it cannot write on a terminal."""
    title = ask_git(tree, "log", "-1", "--format=%s", sha, "--")
    return show_title(title)


def show_title(title: str) -> str:
    """A title in which what a terminal does not print is a question mark."""
    return "".join(letter if letter.isprintable() else "?" for letter in title)


def read_first_marked(tree: Path, end: Literal["good", "bad"]) -> str | None:
    """SHA of the commit that was the first to be marked so in the ``git bisect`` that runs in a tree; None without one.

    The search marks further ones as it goes, so only the first is the same in all of its steps. Its words may be others
    (``git bisect start --term-old``).
    """
    try:
        word = ask_git(tree, "bisect", "terms", f"--term-{end}")
        log = ask_git(tree, "bisect", "log")
    except UsageError:
        return None  # no bisect runs
    found = re.search(rf"^# {re.escape(word)}: \[([0-9a-f]{{40,64}})\]", log, re.MULTILINE)
    return found[1] if found else None


def check_kernel(tree: Path, commit: str) -> None:
    """Raises UsageError where a commit of a tree is no kernel source, or ``tree`` is a folder inside of one."""
    if inside := ask_git(tree, "rev-parse", "--show-prefix"):
        raise UsageError(f"{tree} is the folder {inside} of a git tree; give the folder that the tree begins with.")
    if not ask_git(tree, "ls-tree", commit, "--", _OF_A_KERNEL):
        raise UsageError(f"commit {commit[:12]} of {tree} is no kernel source: it has no {_OF_A_KERNEL}; give one.")


def _is_shallow(tree: Path) -> bool:
    return ask_git(tree, "rev-parse", "--is-shallow-repository") == "true"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
