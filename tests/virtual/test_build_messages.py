"""What the real `patch` and `gcc` say, and the one line of it that a user reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from android_suite.errors import PatchError
from android_suite.virtual.build_messages import find_error
from android_suite.virtual.kernel_tree import KernelTree

BEFORE = "".join(f"line {n}\n" for n in range(1, 41))


@pytest.fixture
def tree(tmp_path: Path) -> KernelTree:
    (tmp_path / "tree/mm").mkdir(parents=True)
    (tmp_path / "tree/mm/a.c").write_text(BEFORE)
    (tmp_path / "tree/mm/b.c").write_text(BEFORE)
    return KernelTree(tmp_path / "tree", "arm64", 1)


def diff(tmp_path: Path, name: str, old: str, new: str) -> str:
    (tmp_path / "old").write_text(old)
    (tmp_path / "new").write_text(new)
    argv = ["diff", "-u", "--label", f"a/{name}", "--label", f"b/{name}", "old", "new"]
    return subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False).stdout


def refusal(tree: KernelTree, text: str) -> str:
    file = tree.path.parent / "my.patch"
    file.write_text(text)
    before = {path: path.read_bytes() for path in tree.path.rglob("*") if path.is_file()}
    with pytest.raises(PatchError) as caught:
        tree.patch(file)
    assert {path: path.read_bytes() for path in tree.path.rglob("*") if path.is_file()} == before
    return str(caught.value)


def test_the_hunk_and_the_file_that_do_not_fit_are_named(tree: KernelTree, tmp_path: Path) -> None:
    changed = BEFORE.replace("line 5\n", "five\n").replace("line 30\n", "thirty\n")
    text = diff(tmp_path, "mm/a.c", BEFORE, changed) + diff(tmp_path, "mm/b.c", BEFORE, changed)
    (tree.path / "mm/b.c").write_text(BEFORE.replace("line 29\nline 30\nline 31\n", "other\n"))
    assert refusal(tree, text) == (
        "my.patch cannot be applied to this source: hunk 2 of mm/b.c (at line 27) does not fit"
    )


def test_several_hunks_and_a_file_that_is_not_there(tree: KernelTree, tmp_path: Path) -> None:
    lines = BEFORE.splitlines(keepends=True)
    changed = "".join(f"new {n}\n" if n % 10 == 5 else line for n, line in enumerate(lines, 1))
    (tree.path / "mm/a.c").write_text("nothing\n")
    text = diff(tmp_path, "mm/a.c", BEFORE, changed) + diff(tmp_path, "mm/none.c", BEFORE, changed)
    said = refusal(tree, text)
    assert (
        "hunk 1 of mm/a.c (at line 2); hunk 2 of mm/a.c (at line 12); hunk 3 of mm/a.c (at line 22) and 2 more" in said
    )
    (tree.path / "mm/a.c").write_text(BEFORE)
    assert "mm/none.c, which this source does not have" in refusal(tree, text)


def test_a_patch_that_the_source_has(tree: KernelTree, tmp_path: Path) -> None:
    text = diff(tmp_path, "mm/a.c", BEFORE.replace("line 9\n", "nine\n"), BEFORE)
    assert refusal(tree, text).endswith("mm/a.c already has this change")


def test_a_damaged_patch(tree: KernelTree, tmp_path: Path) -> None:
    text = diff(tmp_path, "mm/a.c", BEFORE, BEFORE.replace("line 9\n", "nine\n"))
    said = refusal(tree, text[: text.index("+nine")])
    assert "damaged" in said


def test_a_hunk_that_fits_only_roughly_is_told(tree: KernelTree, tmp_path: Path) -> None:
    text = diff(tmp_path, "mm/a.c", BEFORE, BEFORE.replace("line 9\n", "nine\n"))
    (tree.path / "mm/a.c").write_text(BEFORE.replace("line 6\n", "six\n"))
    (tmp_path / "my.patch").write_text(text)
    (told,) = tree.patch(tmp_path / "my.patch")
    assert told.startswith("hunk 1 of mm/a.c at line 6 (fuzz ")
    assert "nine\n" in (tree.path / "mm/a.c").read_text()


def test_the_compilers_first_error_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(
        "int one(void) { return undeclared_one; }\nint two(void) { return undeclared_two; }\n"
    )
    done = subprocess.run(["gcc", "-c", "a.c"], cwd=tmp_path, capture_output=True, text=True, check=False)
    found = find_error(["make[2]: *** [scripts/Makefile.build:287: a.o] Error 1", *done.stderr.splitlines()])
    assert found is not None
    assert found.startswith("a.c:1:24: error: ")
    assert "undeclared_one" in found


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        ("aarch64-linux-gnu-ld: mm/madvise.o: in function `x': madvise.c:(.text+0x8): undefined reference to `y'", ""),
        ('ERROR: modpost: "y" [drivers/z.ko] undefined!', ""),
        ("mm/Kconfig:12: syntax error", ""),
        ("make[1]: *** No rule to make target 'mm/none.o', needed by 'mm/built-in.a'.  Stop.", ""),
    ],
)
def test_errors_of_other_programs(line: str, rest: str) -> None:
    assert find_error(["  some line", line, "make: *** [Makefile:248: __sub-make] Error 2"]) == line


def test_no_error() -> None:
    assert find_error(["  CC      mm/madvise.o", "warning: something"]) is None
