"""A pair of kernels of one patch, with the real git, patch and make; a folder of five files stands in for the kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from android_suite.config import Config
from android_suite.errors import MachineError, PatchError, UsageError
from android_suite.virtual import build as build_module
from android_suite.virtual.build import PairBuild, list_pairs, read_pair
from android_suite.virtual.cache import Cache
from tests.virtual.stand_in import change, git, log

Make = Callable[..., PairBuild]


@pytest.fixture
def make(source: Path, tmp_path: Path) -> Make:
    def built(patch: bytes, name: str = "my.patch", **choices: object) -> PairBuild:
        file = tmp_path / name
        file.write_bytes(patch)
        told: list[str] = []
        pair = PairBuild(
            patch=file,
            source=str(source),
            config=Config(cache=tmp_path / "cache"),
            jobs=1,
            progress=told.append,
            **choices,
        )  # type: ignore[arg-type]
        pair.told = told  # type: ignore[attr-defined]
        return pair

    return built


def images(pair: PairBuild) -> list[str]:
    built = pair.build()
    return [built.baseline.path.read_text(), built.candidate.path.read_text()]


def test_only_what_the_patch_touches_is_compiled_twice(make: Make, tmp_path: Path) -> None:
    pair = make(change("a", "0", "1").diff)
    assert images(pair) == ["a 0\nb 0\n", "a 1\nb 0\n"]
    assert log(Config(cache=tmp_path / "cache")) == ["a.c", "b.c", "a.c"] or log(Config(cache=tmp_path / "cache"))[
        2:
    ] == ["a.c"]
    again = make(change("a", "0", "1").diff)
    assert images(again) == images(pair)
    assert again.tree.builds == 0, "it is in the cache, by its content"


def test_another_patch_on_the_same_source_builds_one_kernel(make: Make) -> None:
    images(make(change("a", "0", "1").diff))
    other = make(change("b", "0", "1").diff, "other.patch")
    assert images(other) == ["a 0\nb 0\n", "a 0\nb 1\n"]
    assert other.tree.builds == 1


def test_a_patch_that_the_source_has(make: Make, source: Path) -> None:
    (source / "a.c").write_text("a 1\n")
    git(source, "commit", "-qam", "the source has it")
    patch = change("a", "0", "1").diff
    with pytest.raises(PatchError, match=r"it already has this change; .*--revert"):
        make(patch).build()
    assert images(make(patch, revert=True)) == ["a 0\nb 0\n", "a 1\nb 0\n"]
    with pytest.raises(PatchError, match=r"cannot be reverted .* a\.c"):
        make(change("a", "5", "6").diff, "other.patch", revert=True).build()


def test_a_patch_that_does_not_apply_is_told_before_anything_is_compiled(make: Make, tmp_path: Path) -> None:
    with pytest.raises(PatchError, match=r"hunk 1 of a\.c \(at line 1\) does not fit; rebase it onto commit") as caught:
        make(change("a", "7", "8").diff).build()
    assert caught.value.exit_code == 2
    assert not list((tmp_path / "cache").glob("trees/*/log"))


def test_a_patch_that_does_not_compile(make: Make) -> None:
    with pytest.raises(
        PatchError, match=r"with the patch: a\.c:1:9: error: 'BROKEN' undeclared; mend my.patch"
    ) as caught:
        make(change("a", "0", "BROKEN").diff).build()
    assert caught.value.exit_code == 2


def test_a_source_that_does_not_compile_is_not_the_patchs_fault(make: Make, source: Path) -> None:
    (source / "b.c").write_text("BROKEN\n")
    git(source, "commit", "-qam", "broken")
    with pytest.raises(MachineError, match=r"does not compile without the patch: .*b\.c:1:9: error") as caught:
        make(change("a", "0", "1").diff).build()
    assert caught.value.exit_code == 4


def test_a_patch_that_changes_nothing(make: Make) -> None:
    new_file = b"--- /dev/null\n+++ b/notes.txt\n@@ -0,0 +1 @@\n+a note\n"
    with pytest.raises(UsageError, match="changes nothing in this kernel"):
        make(new_file).build()


def test_names_tell_the_patch_and_its_content(make: Make, tmp_path: Path) -> None:
    one, other = make(change("a", "0", "1").diff, "0001-mm my idea.patch"), make(change("a", "0", "2").diff)
    assert one.default_name.startswith("patch-0001-mm-my-idea-")
    assert one.default_name != other.default_name
    assert one.build().name == one.default_name
    cache = Cache(tmp_path / "cache")
    assert [pair.name for pair in list_pairs(cache=cache)] == [one.default_name]
    pair = read_pair(one.default_name, cache=cache)
    assert pair is not None
    assert pair.candidate.configuration == "lab"
    told = one.describe()[0]
    assert "0001-mm my idea.patch" in told
    assert "configuration lab" in told
    with pytest.raises(UsageError, match="cannot name a kernel pair"):
        one.build("no spaces")


def test_the_newest_source_of_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["linux-source", "linux-source-6.12", "linux-source-7.3", "linux-source-7.10", "linux-source-7.3-rt"]

    class Index:
        def __init__(self, *_: object) -> None:
            pass

        def list_names(self, prefix: str) -> list[str]:
            return [name for name in names if name.startswith(prefix)]

    monkeypatch.setattr(build_module, "Packages", Index)
    assert build_module.find_source("debian", "arm64", Config()) == "linux-source-7.10"
    assert build_module.find_source("linux-source-6.12", "arm64", Config()) == "linux-source-6.12"
    names.clear()
    with pytest.raises(MachineError, match="no linux-source"):
        build_module.find_source("debian", "arm64", Config())


def test_no_patch(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no patch at"):
        PairBuild(patch=tmp_path / "none.patch", source=str(source), config=Config(cache=tmp_path / "cache"))
