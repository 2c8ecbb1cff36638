"""Opens files of a store by names that came from outside: nothing beyond the store, no links, no surprises."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

_LONGEST = 1024
_MOST = 1000  # entries of a folder that are listed


class Refused(Exception):  # noqa: N818 - the name is what happened
    """The name does not lead to a file or folder that may be shown."""


def split_name(name: str) -> list[str]:
    """The parts of a relative name.

    Raises:
        Refused: it is absolute, too long, or has a part that is empty, hidden or leads upwards.
    """
    parts = name.split("/")
    if len(name) > _LONGEST or "\0" in name or "\\" in name:
        raise Refused
    if any(part in ("", ".", "..") or part.startswith(".") for part in parts):
        raise Refused
    return parts


def open_member(root: Path, name: str) -> tuple[BinaryIO | None, list[tuple[str, bool]]]:
    """Opens a regular file, or lists a folder: names and whether each is a folder.

    Each part is opened relative to its folder and without following links, so that a store that changes at the same
    moment cannot lead elsewhere either.

    Raises:
        Refused: there is no such file or folder, or it is a link or a device.
    """
    handle = -1
    try:
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        for part in split_name(name) if name else []:
            inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
            os.close(handle)
            handle = inner
        mode = os.fstat(handle).st_mode
        if stat.S_ISREG(mode):
            file, handle = os.fdopen(handle, "rb"), -1
            return file, []
        if not stat.S_ISDIR(mode):
            raise Refused
        with os.scandir(handle) as entries:
            shown = [(e.name, e.is_dir(follow_symlinks=False)) for e in entries if not e.name.startswith(".")]
        return None, sorted(shown, key=lambda entry: (not entry[1], entry[0]))[:_MOST]
    except OSError as error:
        raise Refused from error
    finally:
        if handle >= 0:
            os.close(handle)
