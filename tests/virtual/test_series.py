"""Patch series as people keep them."""

from __future__ import annotations

import base64
import os
import quopri
import threading
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
        ({"series": "a\0b\n"}, "series:1: there is no patch"),
        ({"a.patch": DIFF + DIFF}, "'a.patch' changes file more than once, so it is several patches"),
        ({"a.patch": "diff --cc file\n--- a/file\n+++ b/file\n@@@ -1 -1 +1 @@@\n++c\n"}, "the diff of a merge"),
        ({"a.patch": "--- a/file\n+++ b/file\n1c\n!touch evil\n.\n"}, "not a unified diff"),
        ({"a.patch": "\x1f\x8b\x08"}, "unpack it with gunzip"),
        ({"0000-x.patch": mail(0, 1, "all of it", "words\n")}, "has no patch"),
    ],
    ids=[
        "empty",
        "outside",
        "gone",
        "p0",
        "words",
        "binary",
        "nul",
        "several",
        "merge",
        "ed",
        "compressed",
        "cover letter",
    ],
)
def test_what_cannot_be_applied_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=said):
        read_series(tmp_path)


@pytest.mark.parametrize(
    ("mails", "said"),
    [
        ([(1, 3), (3, 3)], "patch 2 is missing"),
        ([(1, 2), (2, 2), (1, 2), (2, 2)], "patch 1 is there more than once"),
    ],
    ids=["gap", "two versions"],
)
def test_an_mbox_whose_order_is_not_clear_is_refused(tmp_path: Path, mails: list[tuple[int, int]], said: str) -> None:
    box = tmp_path / "series.mbox"
    box.write_text("".join(mail(n, of, f"title {n}", DIFF.format(n, n + 1)) for n, of in mails))
    with pytest.raises(UsageError, match=said):
        read_series(box)


def test_an_answer_with_a_patch_is_no_part_of_the_series(tmp_path: Path) -> None:
    box = tmp_path / "series.mbox"
    answer = mail(1, 1, "title", DIFF.format("b", "c")).replace("Subject: ", "Subject: Re: ")
    box.write_text(mail(1, 1, "title", DIFF.format("a", "b")) + answer)
    with pytest.raises(UsageError, match="patch 1 is there more than once: keep one version, without answers"):
        read_series(box)


def test_one_patch_of_a_longer_series(tmp_path: Path) -> None:
    (tmp_path / "0002-x.patch").write_text(mail(2, 3, "title 2", DIFF.format("a", "b")))
    assert [patch.title for patch in read_series(tmp_path / "0002-x.patch")] == ["title 2"]


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
@pytest.mark.parametrize("of", ["an mbox", "a saved mail", "a folder"])
def test_a_mail_is_decoded_wherever_it_is(tmp_path: Path, encoding: str, of: str) -> None:
    diff = DIFF.format("x = y", "x = é")
    encode = quopri.encodestring if encoding == "quoted-printable" else base64.encodebytes
    head, _, _ = mail(1, 1, "title", "", more=f"Content-Transfer-Encoding: {encoding}\n").partition("\n\n")
    text = f"{head}\n\n{encode(diff.encode()).decode()}\n"
    file = tmp_path / "series/0001-x.patch"
    file.parent.mkdir()
    file.write_text(text.partition("\n")[2] if of == "a saved mail" else text)
    (patch,) = read_series(file.parent if of == "a folder" else file)
    assert patch.title == "title"
    assert patch.diff.decode().strip() == diff.strip()


def test_parts_of_a_mail(tmp_path: Path) -> None:
    diff = DIFF.format("a", "b")
    attached = base64.encodebytes(diff.encode()).decode()
    box = tmp_path / "series.mbox"
    box.write_text(
        "From - Mon Oct  5 10:00:00 2026\nSubject: [PATCH] title\nContent-Type: multipart/mixed; boundary=B\n\n--B\n"
        f"Content-Type: text/html\n\n<pre>\n{diff}</pre>\n--B\nContent-Type: text/plain\n\nattached\n--B\n"
        f"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n{attached}\n--B--\n"
    )
    assert [patch.diff.decode() for patch in read_series(box)] == [diff]
    (box).write_text("".join(f"Content-Type: multipart/mixed; boundary={n}\n\n--{n}\n" for n in range(3000)) + diff)
    with pytest.raises(UsageError, match="nested too deeply"):
        read_series(box)


def test_a_line_of_text_that_begins_with_from_ends_no_mail(tmp_path: Path) -> None:
    box = tmp_path / "series.mbox"
    one, two = (mail(n, 2, f"title {n}", DIFF.format(n, n + 1)) for n in (1, 2))
    box.write_text(two.replace("why\n", "why\n\nFrom what is known, it waits.\n") + one)
    assert [patch.title for patch in read_series(box)] == ["title 1", "title 2"]


@pytest.mark.parametrize("subject", ["=?no-such-charset?q?x?=", "=?utf-8?b?x?=", "[PATCH 1/" + "9" * 5000 + "] x"])
def test_a_subject_that_cannot_be_decoded_is_shown_as_it_is(tmp_path: Path, subject: str) -> None:
    box = tmp_path / "series.mbox"
    box.write_text(mail(1, 1, "x", DIFF.format("a", "b")).replace("Subject: [PATCH v2 01/1] x", f"Subject: {subject}"))
    (patch,) = read_series(box)
    assert patch.title in (subject, "x")


def test_a_folder_of_format_patch_with_its_cover_letter_and_more_than_nine(tmp_path: Path) -> None:
    (tmp_path / "0-cover-letter.patch").write_text(mail(0, 10, "all of it", "words\n"))
    for number in (2, 10, 1):
        (tmp_path / f"{number}.patch").write_text(mail(number, 10, f"title {number}", DIFF.format(number, "x")))
    assert [patch.title for patch in read_series(tmp_path)] == ["title 1", "title 2", "title 10"]


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(DIFF))
    writer.start()
    assert [patch.title for patch in read_series(pipe)] == ["pipe"]
    writer.join()
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "a.patch")
    with pytest.raises(UsageError, match=r"a\.patch is not a file"):
        read_series(folder)


def test_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.patch").write_bytes(b"\xef\xbb\xbf" + DIFF.encode())
    assert read_series(tmp_path / "a.patch")[0].diff == DIFF.encode()
    (tmp_path / "a.patch").write_bytes(DIFF.encode("utf-16"))
    with pytest.raises(UsageError, match="UTF-16 text; save it as UTF-8"):
        read_series(tmp_path / "a.patch")


def test_a_title_cannot_write_on_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "a.patch"
    file.write_bytes(b"Subject: \x1b[2Jx\x07\n\n" + DIFF.format("a", "b").encode())
    (patch,) = read_series(file)
    assert patch.title == "?[2Jx?"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_series(tmp_path / "gone.mbox")
