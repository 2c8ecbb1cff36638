"""What the real `patch` and `gcc` say, and the one line of it that a user reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from android_suite.errors import PatchError
from android_suite.virtual.build_messages import find_error, find_host_fault
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
        "hunk 1 of mm/a.c (at line 2); hunk 2 of mm/a.c (at line 12); hunk 3 of mm/a.c (at line 22) and 1 more do not "
        "fit; this source has no mm/none.c"
    ) in said
    (tree.path / "mm/a.c").write_text(BEFORE)
    assert "this source has no mm/none.c" in refusal(tree, text)


def test_a_patch_that_the_source_has(tree: KernelTree, tmp_path: Path) -> None:
    text = diff(tmp_path, "mm/a.c", BEFORE.replace("line 9\n", "nine\n"), BEFORE)
    assert refusal(tree, text).endswith("it already has this change")
    (tree.path / "mm/a.c").write_text(BEFORE.replace("line 9\n", "nine\n"))
    with pytest.raises(PatchError, match="it does not have this change"):
        tree.patch(tmp_path / "my.patch", reverse=True)


def test_a_patch_of_which_the_source_has_a_part_is_not_taken_for_applied(tree: KernelTree, tmp_path: Path) -> None:
    changed = BEFORE.replace("line 9\n", "nine\n")
    text = diff(tmp_path, "mm/a.c", BEFORE, changed) + diff(tmp_path, "mm/b.c", BEFORE, changed)
    (tree.path / "mm/a.c").write_text(changed)
    assert refusal(tree, text).endswith("hunk 1 of mm/a.c (at line 6) does not fit")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--- /dev/null\n+++ b/mm/a.c\n@@ -0,0 +1 @@\n+new\n", "this source has mm/a.c, which the patch creates"),
        ("--- a/mm/a.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n", "hunk 1 of mm/a.c (at line 1) does not fit"),
        ("--- a/gone.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n", "it already has this change"),
        ("--- mm/a.c\n+++ mm/a.c\n@@ -1,2 +1,2 @@\n-line 1\n+one\n line 2\n", "it is made for `patch -p0`"),
        ("--- a/x/mm/a.c\n+++ b/x/mm/a.c\n@@ -1,2 +1,2 @@\n-line 1\n+one\n line 2\n", "it is made for `patch -p2`"),
        ("--- a/../../x\n+++ b/../../x\n@@ -0,0 +1 @@\n+new\n", "its path ../../x leads out of the source"),
    ],
)
def test_files_that_come_and_go_and_other_paths(tree: KernelTree, text: str, said: str) -> None:
    assert said in refusal(tree, text)


def test_a_patch_cannot_write_through_a_link_that_it_makes(tree: KernelTree, tmp_path: Path) -> None:
    (tmp_path / "my.patch").write_text(
        f"diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+{tmp_path}\n"
        "\\ No newline at end of file\ndiff --git a/l/evil b/l/evil\nnew file mode 100644\n--- /dev/null\n+++ b/l/evil\n"
        "@@ -0,0 +1 @@\n+x\n"
    )
    with pytest.raises(PatchError, match="its path l/evil leads out of the source"):
        tree.patch(tmp_path / "my.patch")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("mm/madvise.c:9:1: fatal error: error writing to /tmp/x.s: No space left on device", True),
        ("aarch64-linux-gnu-gcc: fatal error: Killed signal terminated program cc1", True),
        ("mm/madvise.c:9:1: error: 'x' undeclared", False),
    ],
)
def test_what_the_host_lacks_is_told_from_an_error_of_the_source(line: str, found: bool) -> None:
    assert (find_host_fault(["  a line", line]) == line) is found


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
