"""The kernels to search through: a series on a source, a range of commits, or Debian's releases."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from android_suite.config import Config
from android_suite.errors import UsageError
from android_suite.virtual.git_tree import GitTree, ask_git, read_sha, read_title, show_title
from android_suite.virtual.kernels import check_kernel, find_newest, list_kernels, name_series
from android_suite.virtual.series import Patch
from android_suite.virtual.series_tree import SeriesTree


class Points(Protocol):
    """Positions from 0, without any change, to ``count``."""

    @property
    def source(self) -> str:
        """What position 0 is, for the report."""

    @property
    def titles(self) -> Sequence[str]:
        """One per position."""

    @property
    def builds(self) -> int:
        """Kernels built so far."""

    @property
    def needs_trial(self) -> bool:
        """Whether a kernel of it may hang at boot, so that a short boot in real time comes first."""

    def label(self, position: int) -> str:
        """Of its recordings: the same label is the same kernel."""

    def kernel(self, position: int) -> str:
        """A name or path for `boot`.

        Raises:
            PatchError: a patch does not apply.
            BuildError: it does not compile.
        """


@dataclass(frozen=True, slots=True)
class SeriesPoints:
    """The patches of a series, one after the other."""

    tree: SeriesTree
    patches: Sequence[Patch]
    needs_trial: bool = True

    @property
    def source(self) -> str:
        """See `Points`."""
        return self.tree.origin

    @property
    def titles(self) -> Sequence[str]:
        """See `Points`."""
        return [self.source, *(patch.title for patch in self.patches)]

    @property
    def builds(self) -> int:
        """See `Points`."""
        return self.tree.builds

    def label(self, position: int) -> str:
        """See `Points`."""
        return f"p{position:04d}"

    def kernel(self, position: int) -> str:
        """See `Points`."""
        return str(self.tree.build(position))


@dataclass(frozen=True, slots=True)
class CommitPoints:
    """The commits of a range, oldest first; merges count as one change."""

    tree: GitTree
    commits: Sequence[tuple[str, str]]  # SHA and title
    needs_trial: bool = True

    @property
    def source(self) -> str:
        """See `Points`."""
        return f"commit {self.commits[0][0]}"

    @property
    def titles(self) -> Sequence[str]:
        """See `Points`."""
        return [f"{sha[:12]} {title}" for sha, title in self.commits]

    @property
    def builds(self) -> int:
        """See `Points`."""
        return self.tree.builds

    def label(self, position: int) -> str:
        """See `Points`."""
        return f"c{self.commits[position][0][:16]}"

    def kernel(self, position: int) -> str:
        """See `Points`."""
        return str(self.tree.build(self.commits[position][0]))


@dataclass(frozen=True, slots=True)
class ReleasePoints:
    """Debian's kernels, in the order given."""

    names: Sequence[str]
    builds: int = 0
    needs_trial: bool = False

    @property
    def source(self) -> str:
        """See `Points`."""
        return f"Debian's kernel {self.names[0]}"

    @property
    def titles(self) -> Sequence[str]:
        """See `Points`."""
        return self.names

    def label(self, position: int) -> str:
        """See `Points`."""
        return re.sub(r"[^A-Za-z0-9_.+-]", "-", self.names[position])

    def kernel(self, position: int) -> str:
        """See `Points`."""
        return self.names[position]


def read_commits(tree: Path, span: str) -> Sequence[tuple[str, str]]:
    """The commits of ``GOOD..BAD`` with GOOD itself before them, along first parents.

    Raises:
        UsageError: it is no range, has no commit, or GOOD is not on BAD's line of first parents: then the first step would
            be more than one change.
    """
    good, dots, bad = span.partition("..")
    if not dots or not good or not bad or bad.startswith(".") or span.startswith("-"):
        raise UsageError(f"{span!r} is no range of commits; give it as GOOD..BAD.")
    base, end = (read_sha(tree, name) for name in (good, bad))
    listed = ["log", "--first-parent", "--reverse", "--format=%H %P%x09%s", f"{base}..{end}", "--"]
    lines = ask_git(tree, *listed).splitlines()
    if not lines:
        raise UsageError(f"{span} holds no commit; give the older one first.")
    shas, _, _ = lines[0].partition("\t")
    _, *parents = shas.split()
    if base not in parents[:1]:
        instead = f"; the range {parents[0][:12]}..{bad} begins where they part" if parents else ""
        raise UsageError(f"{bad} does not go back to {good} along first parents{instead}.")
    commits = [(line.split(maxsplit=1)[0], show_title(line.partition("\t")[2])) for line in lines]
    return [(base, read_title(tree, base)), *commits]


def choose_releases(text: str, arch: str, *, config: Config, say: Callable[[str], None]) -> Sequence[str]:
    """The kernels that ``6.12..7.3`` or ``6.12,6.16.12,6.17.13`` names, in that order; a series is its newest kernel.

    Raises:
        UsageError: fewer than two, or one that Debian does not have.
    """
    is_range = ".." in text and "/" not in text  # a path may have dots, and is in no range
    asked = [name.strip() for name in (text.split("..", 1) if is_range else text.split(",")) if name.strip()]
    known: list[str] = []
    if is_range or any(name == name_series(name) for name in asked):
        choices = list_kernels(arch, config=config)
        known, newest = [choice.name for choice in choices], find_newest(choices)
        asked = [name if name in known else newest.get(name, name) for name in asked]
    names = asked
    if not is_range:
        for name in asked:
            check_kernel(name, arch, config=config)
    elif unknown := [name for name in asked if name not in known]:
        raise UsageError(f"there is no kernel {unknown[0]!r}; `android-suite kernels list` names them.")
    elif len(asked) == 2:
        names = known[known.index(asked[0]) : known.index(asked[1]) + 1]
        say(f"searching through {', '.join(names)}")
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(
            f"{text!r} does not name two kernels or more, the older first; see `android-suite kernels list`."
        )
    return names
