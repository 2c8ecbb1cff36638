"""One tree for a whole series, with the real git, patch and make; a folder of five files stands in for the kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from android_suite.cli import bisect
from android_suite.config import Config
from android_suite.errors import BuildError, MachineError, PatchError, UsageError
from android_suite.virtual import series_tree
from android_suite.virtual.cache import Cache
from android_suite.virtual.git_tree import GitTree
from android_suite.virtual.series_tree import SeriesTree
from tests.virtual.stand_in import change, git, log

# Killed from within the build, as by `kill -9`, while make is at work.
KILLED = """\
import os, signal, sys
from pathlib import Path
from android_suite.config import Config
from android_suite.virtual import series_tree
from tests.virtual.stand_in import change
series_tree.check_tools = lambda arch: None
class Killed(series_tree.BuildProgress):
    def count(self, made):
        os.kill(os.getpid(), signal.SIGKILL)
series_tree.BuildProgress = Killed
config = Config(cache=Path(sys.argv[2]))
series_tree.SeriesTree(sys.argv[1], [change("a", "0", "1")], "arm64", config, jobs=1).build(1)
"""


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
    with pytest.raises(
        PatchError, match=r"'b: 8' cannot be applied to this source: hunk 1 of b\.c \(at line 1\) does not fit; rebase"
    ) as caught:
        tree.build(2)
    assert "Hunk #1 FAILED" in " ".join(caught.value.__notes__)
    assert tree.build(1).read_text() == "a 1\nb 0\n"


def test_a_patch_that_does_not_compile_gives_the_error_and_the_next_step_builds(source: Path, tmp_path: Path) -> None:
    config = Config(cache=tmp_path / "cache")
    tree = SeriesTree(str(source), [change("a", "0", "BROKEN"), change("a", "BROKEN", "2")], "arm64", config, jobs=1)
    with pytest.raises(BuildError, match=r"with 1 of 2 patches: a\.c:1:9: error: 'BROKEN' undeclared") as caught:
        tree.build(1)
    assert "a.o" in " ".join(caught.value.__notes__)
    assert tree.build(2).read_text() == "a 2\nb 0\n"


def test_a_patch_that_the_source_does_not_have_cannot_be_taken_out(source: Path, tmp_path: Path) -> None:
    tree = SeriesTree(
        str(source), [], "arm64", Config(cache=tmp_path / "cache"), jobs=1, without=[change("a", "0", "1")]
    )
    with pytest.raises(
        PatchError, match=r"'a: 1' cannot be reverted .*: it does not have this change; choose a --source"
    ):
        tree.build(0)


def test_a_bisection_says_what_to_do_about_a_patch_that_the_source_has(source: Path, tmp_path: Path) -> None:
    (source / "a.c").write_text("a 1\n")
    git(source, "commit", "-qam", "the source has it")
    (tmp_path / "series").mkdir()
    (tmp_path / "series/1.patch").write_bytes(change("a", "0", "1").diff)
    config, search = Config(cache=tmp_path / "cache"), SimpleNamespace(jobs=1, configuration="lab")
    file = SimpleNamespace(plan=SimpleNamespace(arch="arm64"))
    points, _ = bisect._find_points(tmp_path / "series", str(source), None, None, None, file, search, config)  # type: ignore[arg-type]
    with pytest.raises(PatchError, match=r"leave it out of the series, or take it out of the source with --without"):
        points.kernel(1)


def test_a_compiler_that_was_killed_is_not_the_patchs_fault(source: Path, tmp_path: Path) -> None:
    make = (source / "Makefile").read_text()
    (source / "Makefile").write_text(
        make.replace(
            "%.o: %.c\n", "%.o: %.c\n\t@echo 'gcc: fatal error: Killed signal terminated program cc1'; exit 1\n"
        )
    )
    git(source, "commit", "-qam", "no memory")
    tree = SeriesTree(str(source), [], "arm64", Config(cache=tmp_path / "cache"), jobs=1)
    with pytest.raises(MachineError, match=r"Killed signal .*; free some, or use fewer --jobs") as caught:
        tree.build(0)
    assert not isinstance(caught.value, BuildError), "a bisection skips what does not compile"


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


def test_a_series_on_a_source_without_a_patch_that_it_has(source: Path, tmp_path: Path) -> None:
    config = Config(cache=tmp_path / "cache")
    (source / "a.c").write_text("a 1\n")
    git(source, "commit", "-qam", "the source has it")
    has = change("a", "0", "1")
    tree = SeriesTree(str(source), [change("b", "0", "1"), has], "arm64", config, jobs=1, without=[has])
    assert [tree.build(n).read_text() for n in (0, 1, 2)] == ["a 0\nb 0\n", "a 0\nb 1\n", "a 1\nb 1\n"]
    plain = SeriesTree(str(source), [change("b", "0", "1")], "arm64", config, jobs=1)
    assert plain.build(0).read_text() == "a 1\nb 0\n", "the tree is shared, and what was taken out is put back"


def test_a_build_that_was_killed_starts_from_the_source_again(source: Path, tmp_path: Path) -> None:
    config = Config(cache=tmp_path / "cache")
    tree = SeriesTree(str(source), [change("a", "0", "1")], "arm64", config, jobs=1)
    tree.build(0)
    (folder,) = (config.cache / "trees").iterdir()
    kill = subprocess.run(
        [sys.executable, "-c", KILLED, str(source), str(config.cache)], capture_output=True, text=True, check=False
    )
    assert kill.returncode == -signal.SIGKILL, kill.stderr
    assert not (folder / series_tree._STATE).exists(), "nobody knows which of its files are complete"
    assert tree.build(1).read_text() == "a 1\nb 0\n"


def test_a_configuration_makes_other_kernels(source: Path, tmp_path: Path) -> None:
    config = Config(cache=tmp_path / "cache")
    names = ("lab", "gki", "debug")
    trees = [SeriesTree(str(source), [], "arm64", config, jobs=1, configuration=each) for each in names]
    made = [tree.make(0).files["config"].read_text() for tree in trees]
    assert ["CONFIG_LRU_GEN=y" in each for each in made] == [False, True, False]
    assert ["CONFIG_KASAN=y" in each for each in made] == [False, False, True]
    assert len(list((config.cache / "trees").iterdir())) == 2, "the last two are kept"
    with pytest.raises(UsageError, match="unknown configuration 'phone'; use one of lab, gki, debug"):
        SeriesTree(str(source), [], "arm64", config, configuration="phone").build(0)


def test_a_folder_in_a_git_tree_and_a_tree_of_something_else(source: Path, tmp_path: Path) -> None:
    config = Config(cache=tmp_path / "cache")
    with pytest.raises(UsageError, match="is the folder scripts/ of a git tree"):
        SeriesTree(str(source / "scripts"), [], "arm64", config).build(0)
    git(source, "rm", "-rq", "scripts")
    git(source, "commit", "-qm", "no kernel")
    with pytest.raises(UsageError, match="is no kernel source: it has no scripts/kconfig/merge_config"):
        SeriesTree(str(source), [], "arm64", config).build(0)


def test_a_hooks_repository_is_not_the_one_that_is_worked_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = git(source, "rev-parse", "HEAD").strip()
    (source / "a.c").write_text("a 1\n")
    git(source, "commit", "-qam", "second")
    second = git(source, "rev-parse", "HEAD").strip()
    monkeypatch.setenv("GIT_DIR", str(source / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(source / ".git/index"))
    tree = GitTree(source, "arm64", Config(cache=tmp_path / "cache"), jobs=1)
    assert tree.build(first).read_text() == "a 0\nb 0\n"
    assert git(source, "rev-parse", "HEAD").strip() == second, "the user's tree is only read"
    assert git(source, "status", "--porcelain") == ""


def test_a_folder_that_is_no_git_tree(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a git repository"):
        SeriesTree(str(tmp_path), [], "arm64", Config(cache=tmp_path / "cache")).build(0)


def test_a_tree_in_which_another_process_builds_is_kept(source: Path, tmp_path: Path) -> None:
    config = Config(cache=tmp_path / "cache")
    cache = Cache(config.cache)
    for name in ("used", "unused", "recent"):
        (config.cache / "trees" / name).mkdir(parents=True)
    for age, name in enumerate(("recent", "unused", "used")):
        os.utime(config.cache / "trees" / name, (1e9 - age, 1e9 - age))
    with cache.lock("tree-used"):
        SeriesTree(str(source), [], "arm64", config, jobs=1).build(0)
    left = {each.name for each in (config.cache / "trees").iterdir()}
    assert left >= {"used", "recent"}
    assert "unused" not in left
    assert len(left) == 3


def test_a_build_says_that_it_waits_for_another_one(source: Path, tmp_path: Path) -> None:
    config = Config(cache=tmp_path / "cache")
    SeriesTree(str(source), [], "arm64", config, jobs=1).build(0)
    (tree,) = (config.cache / "trees").iterdir()
    held = Cache(config.cache).lock(f"tree-{tree.name}")
    said: list[str] = []

    def listen(line: str) -> None:
        said.append(line)
        if "waiting" in line:
            held.__exit__(None, None, None)  # the other process ends when this one waits

    held.__enter__()
    series = [change("a", "0", "1")]
    assert (
        SeriesTree(str(source), series, "arm64", config, jobs=1, progress=listen).build(1).read_text() == "a 1\nb 0\n"
    )
    assert said.count("another process builds in this source tree: waiting until it has ended") == 1
