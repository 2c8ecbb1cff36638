"""Ranges of commits, and the commit that `git bisect` compares with, in real git trees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from android_suite.bisection import points
from android_suite.bisection.points import choose_releases, read_commits
from android_suite.config import Config
from android_suite.errors import UsageError
from android_suite.virtual.git_tree import read_first_marked, read_title
from android_suite.virtual.kernels import KernelChoice
from tests.virtual.stand_in import git, make_tree

# `bisect step` as git calls it; the kernel's image says which level it has, so nothing boots.
STEP = """\
#!{python}
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from android_suite.bisection import session
from android_suite.bisection.search import Standing
from android_suite.cli.main import run
from android_suite.virtual import git_tree

@contextmanager
def open_bisection(points, file, metric, out, config, *, identity, **_):
    begun = out / "identity"
    out.mkdir(exist_ok=True)
    assert not begun.exists() or begun.read_text() == repr(identity), "another bisection than in the step before"
    begun.write_text(repr(identity))
    def judge(position):
        was, now = (int(Path(points.kernel(at)).read_text().split()[1]) for at in (0, position))
        return Standing.AFTER if now >= 8 > was else Standing.BEFORE
    yield SimpleNamespace(judge=judge)

session.open_bisection = open_bisection
git_tree.check_tools = lambda arch: None
sys.exit(run(["bisect", "step", "-o", {out!r}]))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Ten commits in a line: a.c has the level n in the n-th."""
    made = make_tree(tmp_path / "linux")
    for level in range(1, 11):
        (made / "a.c").write_text(f"a {level}\n")
        git(made, "commit", "-qam", f"level {level}")
    return made


@pytest.mark.parametrize("linked", [False, True], ids=["a tree", "a linked worktree, where git sets GIT_DIR"])
@pytest.mark.parametrize("terms", [[], ["--term-old=fast", "--term-new=slow"]], ids=["good", "fast"])
def test_git_bisect_run_finds_the_commit(tree: Path, tmp_path: Path, linked: bool, terms: list[str]) -> None:
    at = tree
    if linked:
        at = tmp_path / "linked"
        git(tree, "worktree", "add", "-q", "--detach", str(at))
    first = git(at, "rev-parse", "HEAD~9").strip()
    git(at, "bisect", "start", *terms, "HEAD", "HEAD~9")
    assert read_first_marked(at, "good") == first
    step = tmp_path / "step"
    step.write_text(STEP.format(python=sys.executable, out=str(tmp_path / "out")))
    step.chmod(0o755)
    env = {**os.environ, "ANDROID_SUITE_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        ["git", "bisect", "run", str(step)], cwd=at, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    culprit = git(tree, "rev-parse", "master~2" if linked else "HEAD").strip()
    assert f"{culprit} is the first {'slow' if terms else 'bad'} commit" in done.stdout
    assert read_first_marked(at, "good") == first, "the search marked further commits good"
    assert git(at, "rev-parse", "HEAD").strip() == culprit


def test_no_bisect_runs(tree: Path) -> None:
    assert read_first_marked(tree, "good") is None


def test_a_range_along_first_parents(tree: Path) -> None:
    git(tree, "checkout", "-qb", "side", "HEAD~2")
    (tree / "b.c").write_text("b 1\n")
    git(tree, "commit", "-qam", "on the side")
    git(tree, "checkout", "-q", "-")
    git(tree, "merge", "-q", "--no-ff", "-m", "merge side", "side")
    titles = [title for _, title in read_commits(tree, "HEAD~3..HEAD")]
    assert titles == ["level 8", "level 9", "level 10", "merge side"]
    part = git(tree, "rev-parse", "HEAD~3").strip()[:12]
    with pytest.raises(UsageError, match=rf"HEAD does not go back to side .*; the range {part}\.\.HEAD begins where"):
        read_commits(tree, "side..HEAD")


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ("HEAD..HEAD~2", "holds no commit; give the older one first"),
        ("HEAD..HEAD", "holds no commit"),
        ("nope..HEAD", "there is no commit 'nope' in .*linux; git log names them"),
        ("HEAD:a.c..HEAD", "there is no commit 'HEAD:a.c'"),
        ("HEAD~1..--output=x", "there is no commit '--output=x'"),
        ("HEAD~1...HEAD", "is no range of commits"),
        ("..HEAD", "is no range of commits"),
    ],
)
def test_what_is_no_range(tree: Path, span: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_commits(tree, span)


def test_a_bare_and_a_shallow_repository(tree: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(tree), "bare")
    assert len(read_commits(tmp_path / "bare", "HEAD~4..HEAD")) == 5
    git(tmp_path, "clone", "-q", "--depth", "3", f"file://{tree}", "shallow")
    assert len(read_commits(tmp_path / "shallow", "HEAD~2..HEAD")) == 3
    with pytest.raises(UsageError, match=r"there is no commit 'HEAD~4' in .*shallow; it is a shallow clone"):
        read_commits(tmp_path / "shallow", "HEAD~4..HEAD")


def test_a_title_that_is_no_utf8_and_would_write_on_the_terminal(tree: Path) -> None:
    parent, root = git(tree, "rev-parse", "HEAD").strip(), git(tree, "rev-parse", "HEAD^{tree}").strip()
    who = "t <t@example.org> 1700000000 +0000"
    text = f"tree {root}\nparent {parent}\nauthor {who}\ncommitter {who}\n\n".encode() + b"caf\xe9 \x1b[31mred\n"
    made = subprocess.run(
        ["git", "-C", str(tree), "hash-object", "-t", "commit", "-w", "--stdin"],
        input=text,
        capture_output=True,
        check=True,
    )
    sha = made.stdout.decode().strip()
    assert read_title(tree, sha) == "caf\ufffd ?[31mred"
    assert read_commits(tree, f"HEAD..{sha}")[1] == (sha, "caf\ufffd ?[31mred")


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("6.12..7.3", ["6.12.117", "6.16.12", "7.2.13", "7.3"]),
        ("6.12.43..6.16", ["6.12.43", "6.12.117", "6.16.12"]),
        ("6.1, 7.2", ["6.1.0-50", "7.2.13"]),
        ("7.3,7.3.4", ["7.3", "7.3.4"]),
    ],
)
def test_a_series_is_its_newest_kernel(monkeypatch: pytest.MonkeyPatch, text: str, chosen: list[str]) -> None:
    names = ("6.1.0-47", "6.1.0-50", "6.12.43", "6.12.117", "6.16.12", "7.2.13", "7.3", "7.3.4")
    choices = [KernelChoice(name=name, release=name, package=name, cached=False) for name in names]
    monkeypatch.setattr(points, "list_kernels", lambda arch, *, config: choices)
    monkeypatch.setattr(points, "check_kernel", lambda name, arch, *, config: None)
    assert choose_releases(text, "arm64", config=Config(), say=lambda _: None) == chosen
    for wrong in ("5.10..7.3", "6.12..5.10"):
        with pytest.raises(UsageError, match=r"there is no kernel '5\.10'"):
            choose_releases(wrong, "arm64", config=Config(), say=lambda _: None)
    for few in ("7.3..6.12", "..", "6.12..6.12", "6.12.."):
        with pytest.raises(UsageError, match="does not name two kernels or more"):
            choose_releases(few, "arm64", config=Config(), say=lambda _: None)


def test_every_kernel_of_a_list_is_looked_for_before_one_is_booted(tmp_path: Path) -> None:
    image = tmp_path / "Image"
    header = bytearray(64)
    header[56:60] = b"ARM\x64"
    image.write_bytes(bytes(header))
    config = Config(cache=tmp_path / "cache")
    asked: list[str] = []
    with pytest.raises(UsageError, match=r"no kernel image at .*/gone"):
        choose_releases(f"{image},{tmp_path}/gone", "arm64", config=config, say=asked.append)
    with pytest.raises(UsageError, match=r"no kernel image at .*/\.\./gone"):
        choose_releases(f"{image},{tmp_path}/../gone", "arm64", config=config, say=asked.append)
    with pytest.raises(UsageError, match="no built kernel pair 'mine'"):
        choose_releases(f"{image},mine:candidate", "arm64", config=config, say=asked.append)
    with pytest.raises(UsageError, match="does not name two kernels or more"):
        choose_releases(f"{image},{image}", "arm64", config=config, say=asked.append)
    assert not asked
