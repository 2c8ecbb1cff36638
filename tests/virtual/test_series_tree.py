"""One tree for a whole series, with the real git, patch and make; a folder of five files stands in for the kernel."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from android_suite.bisection.series import Patch
from android_suite.config import Config
from android_suite.errors import BuildError, PatchError, UsageError
from android_suite.virtual import git_tree, series_tree
from android_suite.virtual.git_tree import GitTree
from android_suite.virtual.series_tree import SeriesTree

# "Compiles" each .c file once it has changed, and says so in `log`. A file with the word BROKEN does not compile.
MAKEFILE = """\
tinyconfig: ; : > .config
olddefconfig: ;
Image.gz: arch/arm64/boot/Image.gz
arch/arm64/boot/Image.gz: a.o b.o
\tmkdir -p $(@D) && cat $^ > $@
%.o: %.c
\t! grep -q BROKEN $< && cp $< $@ && echo $< >> log
"""
MERGE = '#!/bin/sh\ncp "$3" "$2"\n'


def git(tree: Path, *argv: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(["git", "-C", str(tree), *identity, *argv], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tree = tmp_path / "linux"
    (tree / "scripts/kconfig").mkdir(parents=True)
    (tree / "Makefile").write_text(MAKEFILE)
    (tree / "scripts/kconfig/merge_config.sh").write_text(MERGE)
    (tree / "scripts/kconfig/merge_config.sh").chmod(0o755)
    (tree / "a.c").write_text("a 0\n")
    (tree / "b.c").write_text("b 0\n")
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "start")
    return tree


@pytest.fixture(autouse=True)
def _only_the_tools_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (series_tree, git_tree):
        monkeypatch.setattr(module, "check_tools", lambda arch: None)


def change(name: str, old: str, new: str) -> Patch:
    diff = f"--- a/{name}.c\n+++ b/{name}.c\n@@ -1 +1 @@\n-{name} {old}\n+{name} {new}\n"
    return Patch(f"{name}: {new}", diff.encode())


def log(config: Config) -> list[str]:
    (file,) = config.cache.glob("trees/*/log")
    return file.read_text().split()


def test_a_step_compiles_only_what_lies_between(source: Path, tmp_path: Path) -> None:
    config = Config(cache=tmp_path / "cache")
    series = [change("a", "0", "1"), change("b", "0", "1"), change("a", "1", "2")]
    tree = SeriesTree(str(source), series, "arm64", config, jobs=1)
    assert tree.origin == f"commit {git(source, 'rev-parse', 'HEAD').strip()}"
    assert tree.build(0).read_text() == "a 0\nb 0\n"
    assert tree.build(3).read_text() == "a 2\nb 1\n"
    assert tree.build(2).read_text() == "a 1\nb 1\n"
    assert tree.builds == 3
    assert log(config) == ["a.c", "b.c", "a.c", "b.c", "a.c"]
    again = SeriesTree(str(source), series, "arm64", config, jobs=1)
    assert again.build(3) == tree.build(3)
    assert again.builds == 0
    assert git(source, "status", "--porcelain") == ""


def test_another_series_on_the_same_source_begins_where_they_differ(source: Path, tmp_path: Path) -> None:
    config = Config(cache=tmp_path / "cache")
    first = change("a", "0", "1")
    SeriesTree(str(source), [first, change("b", "0", "1")], "arm64", config, jobs=1).build(2)
    other = SeriesTree(str(source), [first, change("b", "0", "9")], "arm64", config, jobs=1)
    assert other.build(2).read_text() == "a 1\nb 9\n"
    assert log(config).count("a.c") == 1


def test_a_change_that_was_interrupted_starts_from_the_source_again(source: Path, tmp_path: Path) -> None:
    config = Config(cache=tmp_path / "cache")
    series = [change("a", "0", "1")]
    SeriesTree(str(source), series, "arm64", config, jobs=1).build(0)
    (folder,) = (config.cache / "trees").iterdir()
    (folder / series_tree._STATE).unlink()  # as a kill between two patches leaves it
    (folder / "a.c").write_text("half\n")
    assert SeriesTree(str(source), series, "arm64", config, jobs=1).build(1).read_text() == "a 1\nb 0\n"


def test_a_patch_that_does_not_apply_names_its_hunk_and_leaves_the_tree(source: Path, tmp_path: Path) -> None:
    config = Config(cache=tmp_path / "cache")
    tree = SeriesTree(str(source), [change("a", "0", "1"), change("b", "7", "8")], "arm64", config, jobs=1)
    with pytest.raises(PatchError, match="'b: 8' cannot be applied") as caught:
        tree.build(2)
    assert "Hunk #1 FAILED" in " ".join(caught.value.__notes__)
    assert tree.build(1).read_text() == "a 1\nb 0\n"


def test_a_patch_that_does_not_compile_gives_the_error_and_the_next_step_builds(source: Path, tmp_path: Path) -> None:
    config = Config(cache=tmp_path / "cache")
    tree = SeriesTree(str(source), [change("a", "0", "BROKEN"), change("a", "BROKEN", "2")], "arm64", config, jobs=1)
    with pytest.raises(BuildError, match="with 1 patches") as caught:
        tree.build(1)
    assert "a.o" in " ".join(caught.value.__notes__)
    assert tree.build(2).read_text() == "a 2\nb 0\n"


def test_changes_that_are_not_committed_are_refused(source: Path, tmp_path: Path) -> None:
    (source / "a.c").write_text("mine\n")
    with pytest.raises(UsageError, match="not committed"):
        SeriesTree(str(source), [], "arm64", Config(cache=tmp_path / "cache")).build(0)


def test_commits_are_built_beside_the_users_tree(source: Path, tmp_path: Path) -> None:
    config = Config(cache=tmp_path / "cache")
    first = git(source, "rev-parse", "HEAD").strip()
    (source / "a.c").write_text("a 1\n")
    git(source, "commit", "-qam", "second")
    second = git(source, "rev-parse", "HEAD").strip()
    tree = GitTree(source, "arm64", config, jobs=1)
    assert tree.build(first).read_text() == "a 0\nb 0\n"
    assert tree.build(second).read_text() == "a 1\nb 0\n"
    assert log(config) == ["a.c", "b.c", "a.c"]
    assert git(source, "status", "--porcelain") == ""
    assert git(source, "worktree", "list").count("\n") == 1


def test_a_folder_that_is_no_git_tree(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a git repository"):
        SeriesTree(str(tmp_path), [], "arm64", Config(cache=tmp_path / "cache")).build(0)
