"""Patch series as people keep them."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.errors import UsageError
from android_suite.virtual.series import read_series

DIFF = "--- a/file\n+++ b/file\n@@ -1 +1 @@\n-{0}\n+{1}\n"


def mail(number: int, total: int, title: str, diff: str, *, more: str = "") -> str:
    return (
        f"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: A <a@example.org>\n"
        f"Date: Mon, 5 Oct 2026 10:00:00 +0000\nSubject: [PATCH v2 {number:02d}/{total}] {title}\n{more}\n"
        f"why\n---\n file | 2 +-\n\n{diff}-- \n2.39.5\n\n"
    )


def test_an_mbox_applies_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    box = tmp_path / "series.mbox"
    cover = mail(0, 2, "a cover letter", "nothing to apply\n")
    box.write_text(
        cover + mail(2, 2, "mm: second", DIFF.format("b", "c")) + mail(1, 2, "mm: first", DIFF.format("a", "b"))
    )
    first, second = read_series(box)
    assert (first.title, second.title) == ("mm: first", "mm: second")
    assert b"+b\n" in first.diff
    assert b"+c\n" in second.diff


def test_encoded_mails_give_the_bytes_of_the_patch(tmp_path: Path) -> None:
    box = tmp_path / "series.mbox"
    more = "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: quoted-printable\n"
    diff = "--- a/file\n+++ b/file\n@@ -1 +1 @@\n-x =3D y\n+x =3D =C3=A9\n"
    box.write_text(mail(1, 1, "=?UTF-8?q?lib=3A_=C3=A9?=", diff, more=more))
    (patch,) = read_series(box)
    assert patch.title == "lib: é"
    assert "+x = é\n".encode() in patch.diff


def test_a_quilt_folder(tmp_path: Path) -> None:
    (tmp_path / "b.patch").write_text("Subject: [PATCH] mm: b\n of two lines\n\n" + DIFF.format("b", "c"))
    (tmp_path / "a.diff").write_text(DIFF.format("a", "b"))
    (tmp_path / "series").write_text("# the order\na.diff -p1\n\nb.patch  # last\n")
    assert [patch.title for patch in read_series(tmp_path)] == ["a.diff", "mm: b of two lines"]


def test_patches_of_git_format_patch(tmp_path: Path) -> None:
    for number in (2, 1):
        diff = DIFF.format(number, number + 1)
        (tmp_path / f"000{number}-x.patch").write_text(mail(number, 2, f"title {number}", diff))
    assert [patch.title for patch in read_series(tmp_path)] == ["title 1", "title 2"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "has no patch"),
        ({"series": "../../etc/passwd\n"}, "no patch '../../etc/passwd'"),
        ({"series": "gone.patch\n"}, "series:1: there is no patch 'gone.patch'"),
        ({"series": "a.patch -p0\n", "a.patch": DIFF}, "found -p0"),
        ({"a.patch": "words\n"}, "not a unified diff"),
        ({"a.patch": "diff --git a/x b/x\nGIT binary patch\nliteral 4\n"}, "binary file"),
    ],
    ids=["empty", "outside", "gone", "p0", "words", "binary"],
)
def test_what_cannot_be_applied_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=said):
        read_series(tmp_path)


def test_a_title_cannot_write_on_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "a.patch"
    file.write_bytes(b"Subject: \x1b[2Jx\x07\n\n" + DIFF.format("a", "b").encode())
    (patch,) = read_series(file)
    assert patch.title == "?[2Jx?"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_series(tmp_path / "gone.mbox")
