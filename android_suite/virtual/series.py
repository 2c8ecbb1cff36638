"""Reads a patch series: a quilt folder, a folder of patches, an mbox, or one patch."""

from __future__ import annotations

import contextlib
import hashlib
import mailbox
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from functools import cached_property
from pathlib import Path

from android_suite.errors import UsageError

_DIFF = re.compile(rb"^(?:diff --git |--- \S)", re.MULTILINE)
_BINARY = re.compile(rb"^(?:GIT binary patch|Binary files .* differ)", re.MULTILINE)
_TAGS = re.compile(r"^(?:\s*(?:re|fwd):)*\s*(?:\[[^\]]*\]\s*)*", re.IGNORECASE)
_NUMBER = re.compile(r"\[[^\]]*?\b0*(\d+)/0*(\d+)[^\]]*\]")
_LONGEST = 120  # characters of a title


@dataclass(frozen=True)
class Patch:
    """One patch of a series: a unified diff for ``patch -p1``, and its title."""

    title: str
    diff: bytes

    @cached_property
    def sha256(self) -> str:
        """Of the diff, in hex."""
        return hashlib.sha256(self.diff).hexdigest()


def read_series(path: Path) -> tuple[Patch, ...]:
    """The patches of a series, in the order in which they apply.

    Args:
        path: a folder with a quilt ``series`` file; a folder of ``*.patch`` files, which apply in the order of their
            names; an mbox, whose messages apply in the order of their ``[PATCH n/m]``, or as they come if they have none;
            or one patch.

    Raises:
        UsageError: there is no patch, a file cannot be read, or a patch is one that ``patch -p1`` cannot apply.
    """
    try:
        patches = tuple(_read_folder(path) if path.is_dir() else _read_file(path))
    except OSError as error:
        raise UsageError(
            f"cannot read {error.filename or path}: {error.strerror}; give a folder or an mbox."
        ) from error
    if not patches:
        raise UsageError(f"{path} has no patch; give a quilt folder, a folder of *.patch files, or an mbox.")
    for patch in patches:
        if _BINARY.search(patch.diff):
            raise UsageError(f"{patch.title!r} changes a binary file, which `patch` cannot do; leave that file out.")
    return patches


def _read_folder(folder: Path) -> Iterator[Patch]:
    series = folder / "series"
    if not series.is_file():
        for file in sorted(folder.glob("*.patch")):
            yield _plain(file)
        return
    for number, line in enumerate(series.read_text(errors="replace").splitlines(), start=1):
        name, *options = line.split("#")[0].split() or [""]
        if not name:
            continue
        if options not in ([], ["-p1"]):
            raise UsageError(
                f"{series}:{number}: expected a patch for -p1, found {' '.join(options)}; refresh it with -p1."
            )
        file = folder / name
        if not file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
            raise UsageError(f"{series}:{number}: there is no patch {name!r} in {folder}; mend the series file.")
        yield _plain(file)


def _read_file(path: Path) -> Iterator[Patch]:
    if not path.read_bytes().startswith(b"From "):
        yield _plain(path)
        return
    with contextlib.closing(mailbox.mbox(path, create=False)) as box:
        messages = [message for message in box if _DIFF.search(_body(message))]
    numbers = [_NUMBER.search(_subject(message)) for message in messages]
    order = [int(found[1]) for found in numbers if found]
    if len(order) == len(messages) and len(set(order)) == len(order):
        messages = [message for _, message in sorted(zip(order, messages, strict=True), key=lambda pair: pair[0])]
    for message in messages:
        yield Patch(_title(_subject(message)), _body(message))


def _plain(file: Path) -> Patch:
    content = file.read_bytes()
    if not _DIFF.search(content):
        raise UsageError(f"{file} is not a unified diff; make it with `diff -u`, `git diff` or `git format-patch`.")
    head = content[: _DIFF.search(content).start()]  # type: ignore[union-attr]
    subject = re.search(rb"^Subject:((?:.*)(?:\r?\n[ \t].*)*)", head, re.MULTILINE)
    title = _title(str(make_header(decode_header(subject[1].decode(errors="replace"))))) if subject else ""
    return Patch(title or file.name, content)


def _subject(message: Message) -> str:
    return str(make_header(decode_header(str(message["subject"] or ""))))


def _title(subject: str) -> str:
    words = " ".join(_TAGS.sub("", " ".join(subject.split())).split())
    printable = "".join(letter if letter.isprintable() else "?" for letter in words)
    return printable[:_LONGEST] or "(no subject)"


def _body(message: Message) -> bytes:
    """The text of a message: of all its parts, since some mailers attach the patch."""
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    texts = [part.get_payload(decode=True) for part in parts]
    return b"\n".join(text for text in texts if isinstance(text, bytes)).replace(b"\r\n", b"\n")
