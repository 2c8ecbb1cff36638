"""Reads a patch series: a quilt folder, a folder of patches, an mbox, or one patch."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from android_suite.errors import UsageError
from android_suite.virtual.patch_mail import DIFF, find_title, is_cover_letter, is_mail, read_mails, sort_mails

_BINARY = re.compile(rb"^(?:GIT binary patch|Binary files .* differ)", re.MULTILINE)
_MERGE = re.compile(rb"^diff --(?:cc|combined) ", re.MULTILINE)
# Each file that a diff changes, by its new name, or its old one if it goes away
_CHANGED = re.compile(rb"^--- (\S+)[^\n]*\n\+\+\+ (\S+)[^\n]*\n@@ ", re.MULTILINE)
_UNKNOWN = {
    b"\xff\xfe": "is UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text; save it as UTF-8",
    b"\x1f\x8b": "is compressed; unpack it with gunzip",
    b"\xfd7zXZ": "is compressed; unpack it with unxz",
    b"\x28\xb5\x2f\xfd": "is compressed; unpack it with unzstd",
    b"BZh": "is compressed; unpack it with bunzip2",
}
_BOM = b"\xef\xbb\xbf"
_LARGEST = 256 << 20  # bytes; the whole diff between two releases has about 60 MB


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
            names, numbers in them by value; an mbox, whose messages apply in the order of their ``[PATCH n/m]``, or as
            they come if they have none; or one patch, as a file or a pipe. Mails may be encoded; cover letters are left
            out.

    Raises:
        UsageError: there is no patch, a file cannot be read, the order is not clear, or a patch is one that ``patch -p1``
            cannot apply.
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
        _check(patch)
    return patches


def _check(patch: Patch) -> None:
    """Raises UsageError for what `patch` cannot apply, whatever the source."""
    if _BINARY.search(patch.diff):
        raise UsageError(f"{patch.title!r} changes a binary file, which `patch` cannot do; leave that file out.")
    if _MERGE.search(patch.diff):
        raise UsageError(f"{patch.title!r} is the diff of a merge; give its diff to one parent (git diff A B).")
    files = Counter(new if new != b"/dev/null" else old for old, new in _CHANGED.findall(patch.diff))
    again = next((name.decode(errors="replace") for name, count in files.items() if count > 1), None)
    if again is not None:
        name = again.partition("/")[2] or again
        raise UsageError(
            f"{patch.title!r} changes {name} more than once, so it is several patches in one; give them as a folder or an "
            "mbox (git format-patch), in their order."
        )


def _read_folder(folder: Path) -> Iterator[Patch]:
    series = folder / "series"
    if not series.is_file():
        for file in sorted(folder.glob("*.patch"), key=_natural):
            yield from _read_file(file, of_series=True)
        return
    for number, line in enumerate(_read(series).decode(errors="replace").splitlines(), start=1):
        name, *options = line.split("#")[0].split() or [""]
        if not name:
            continue
        if options not in ([], ["-p1"]):
            raise UsageError(
                f"{series}:{number}: expected a patch for -p1, found {' '.join(options)}; refresh it with -p1."
            )
        file = folder / name
        if "\0" in name or not _is_inside(file, folder) or not file.is_file():
            raise UsageError(f"{series}:{number}: there is no patch {name!r} in {folder}; mend the series file.")
        yield from _read_file(file, of_series=True)


def _is_inside(file: Path, folder: Path) -> bool:
    return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))  # a loop of links is no error


def _natural(file: Path) -> list[tuple[int, str]]:
    """2.patch before 10.patch."""
    return [(int(part[:18]), part) if part.isdigit() else (0, part) for part in re.split(r"(\d+)", file.name)]


def _read_file(file: Path, *, of_series: bool = False) -> Iterator[Patch]:
    content = _read(file, regular=of_series).removeprefix(_BOM)
    for start, what in _UNKNOWN.items():
        if content.startswith(start):
            raise UsageError(f"{file} {what}.")
    try:
        if of_series and is_cover_letter(content):
            return
        if is_mail(content):
            for mail in sort_mails(read_mails(content)):
                yield Patch(mail.title or "(no subject)", mail.diff)
            return
    except ValueError as error:
        raise UsageError(f"{file}: {error}; give a folder of patches in their order.") from None
    if not DIFF.search(content.replace(b"\r\n", b"\n")):
        raise UsageError(f"{file} is not a unified diff; make it with `diff -u`, `git diff` or `git format-patch`.")
    yield Patch(find_title(content) or file.name, content)


def _read(file: Path, *, regular: bool = False) -> bytes:
    """The bytes of a file; a pipe (`<(git show)`) only where the user named it."""
    if regular and not stat.S_ISREG(file.stat().st_mode):
        raise UsageError(f"{file} is not a file; take it out of the folder.")
    with file.open("rb") as opened:
        content = opened.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise UsageError(f"{file} is larger than {_LARGEST >> 20} MB, which no patch is; give another file.")
    return content
