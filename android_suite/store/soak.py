"""The folder of a soak: its manifest, checkpoints appended one line at a time, and the traces of outliers.

::

    SOAK/soak.json            what is counted; replaced atomically
    SOAK/checkpoints.jsonl    only appended to; a line that was cut off is dropped when the soak goes on
    SOAK/outliers/00012.txt   ftrace text
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from android_suite.errors import LabError, SchemaError, UsageError
from android_suite.model.document import parse_json, read_document, to_plain
from android_suite.model.soak import Checkpoint, SoakManifest
from android_suite.store.run import read_json, write_atomic, write_json

MANIFEST = "soak.json"
CHECKPOINTS = "checkpoints.jsonl"
OUTLIERS = "outliers"
_REMEDY = "give the folder of a soak"


def read_soak_manifest(folder: Path) -> SoakManifest:
    """The manifest of a soak.

    Raises:
        UsageError: the folder is none of a soak.
        SchemaError: the manifest is damaged or of another version.
    """
    try:
        data = read_json(folder / MANIFEST, remedy=_REMEDY)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{folder} is no folder of a soak (it has no {MANIFEST}); {_REMEDY}.") from None
    except OSError as error:
        raise SchemaError(f"{folder / MANIFEST} cannot be read ({error}); {_REMEDY}.") from error
    return read_document(SoakManifest, data, name=str(folder / MANIFEST), remedy=_REMEDY)


def read_checkpoints(folder: Path) -> Iterator[Checkpoint]:
    """The checkpoints in order, one at a time. A last line that was cut off is left out.

    Raises:
        SchemaError: another line is damaged.
    """
    path = folder / CHECKPOINTS
    try:
        lines = path.open("rb")
    except FileNotFoundError:
        return
    with lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            name, remedy = f"{path}:{number}", "restore the file from a copy"
            yield read_document(Checkpoint, parse_json(line, name, remedy=remedy), name=name, remedy=remedy)


class SoakWriter:
    """Writes one soak's folder. Only one process at a time can hold it."""

    def __init__(self, folder: Path, manifest: SoakManifest) -> None:
        self.folder, self.manifest = folder, manifest
        self._lock = _lock(folder)
        self._end_line()

    @classmethod
    def create(cls, folder: Path, manifest: SoakManifest) -> SoakWriter:
        """Begins a soak in a new or empty folder.

        Raises:
            UsageError: the folder has something in it.
            LabError: it cannot be written.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} is not empty; choose another --out, or go on there with --resume.")
        write_json(folder / MANIFEST, to_plain(manifest))
        return cls(folder, manifest)

    @classmethod
    def reopen(cls, folder: Path) -> SoakWriter:
        """Goes on with a soak.

        Raises:
            UsageError: there is none, or another process holds it.
        """
        return cls(folder, read_soak_manifest(folder))

    def _end_line(self) -> None:
        """Removes a line that was cut off, so that the next one begins at a line's begin."""
        path = self.folder / CHECKPOINTS
        if not path.exists():
            return
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            while size > 0:
                start = max(0, size - 65536)
                file.seek(start)
                end = file.read(size - start).rfind(b"\n")
                if end >= 0:
                    file.truncate(start + end + 1)
                    return
                size = start
            file.truncate(0)

    def append(self, checkpoint: Checkpoint) -> None:
        """Appends a checkpoint by one write, and waits until it is on the disk.

        Raises:
            LabError: the disk is full. A part of the line that was written is removed.
        """
        line = json.dumps(to_plain(checkpoint), allow_nan=False, separators=(",", ":")).encode() + b"\n"
        path = self.folder / CHECKPOINTS
        try:
            with path.open("ab") as file:
                size = file.tell()
                try:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    with contextlib.suppress(OSError):
                        os.truncate(path, size)
                    raise
        except OSError as error:
            raise LabError(
                f"cannot append to {path} ({error.strerror}); free space: the device goes on counting, and "
                "`soak --resume` goes on here."
            ) from error

    def write_outlier(self, name: str, text: bytes) -> None:
        """Writes the trace of an outlier."""
        write_atomic(self.folder / OUTLIERS / name, text)

    def update(self, manifest: SoakManifest) -> None:
        """Replaces the manifest."""
        self.manifest = manifest
        write_json(self.folder / MANIFEST, to_plain(manifest))

    def close(self) -> None:
        """Lets go of the folder."""
        os.close(self._lock)


def _lock(folder: Path) -> int:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise UsageError(f"another process writes {folder}; wait for its end, or stop it.") from None
    return handle
