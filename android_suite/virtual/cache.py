"""The suite's cache: kernels, packages and images, stored by their content.

Layout of its folder::

    objects/ab/abcdef...   a file, named by the SHA-256 of its content
    entries/KIND/KEY.json  a named set of objects with metadata
    locks/NAME             held while an entry is being made
    tmp/make-PID-...       work in progress of process PID

A file appears under its name only when it is complete: it is written elsewhere, synced and renamed. Digests are checked
at every use, so a damaged object is made again and never booted. For entries that may be pruned, the file time is the
last use.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from android_suite.errors import MachineError

ENV = "ANDROID_SUITE_CACHE"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def measure_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def disk_full(root: Path, need_bytes: int) -> MachineError:
    """The error for a cache disk without space for ``need_bytes`` more."""
    need_mb = max(1, -(-need_bytes // 1_000_000))
    return MachineError(f"cache disk full: {root}; free {need_mb} MB or set {ENV} to a folder on a larger disk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A named set of objects: ``files`` maps a name to the object's path, ``meta`` is its metadata."""

    files: Mapping[str, Path]
    digests: Mapping[str, str]
    meta: Mapping[str, Any]


class Cache:
    """The content-addressed store in one folder; safe to share between processes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextlib.contextmanager
    def writing(self, need_bytes: int) -> Iterator[None]:
        """Converts a full or unwritable disk to a MachineError with the next step."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise disk_full(self.root, need_bytes) from error
            raise MachineError(
                f"cannot write the cache {self.root} ({error.strerror}); set {ENV} to a folder you may write"
            ) from error

    @contextlib.contextmanager
    def lock(self, name: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Holds a lock between processes; the kernel releases it when its holder dies.

        Args:
            name: of the lock.
            waiting: called once if another process has it, before this one waits.
        """
        with self.try_lock(name) as free:
            if free:
                yield
                return
        waiting()
        with self._opened_lock(name) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def try_lock(self, name: str) -> Iterator[bool]:
        """As `lock`, without waiting: yields False, and holds nothing, where another process has it."""
        with self._opened_lock(name) as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextlib.contextmanager
    def _opened_lock(self, name: str) -> Iterator[int]:
        with self.writing(1):
            folder = self.root / "locks"
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield handle
        finally:
            os.close(handle)

    def scratch(self) -> tempfile.TemporaryDirectory[str]:
        """A temporary folder on the cache's disk. First removes the folders of killed processes."""
        with self.writing(1):
            folder = self._temporary()
            for left in folder.iterdir():
                owner = left.name.split("-")[1]
                if not Path("/proc", owner).exists():
                    shutil.rmtree(left, ignore_errors=True)
                    left.unlink(missing_ok=True)
            return tempfile.TemporaryDirectory(dir=folder, prefix=_prefix(), ignore_cleanup_errors=True)

    def write_object(self, content: bytes) -> str:
        """Stores ``content``; returns its SHA-256."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._object(digest)
        if not path.exists():
            self._write_whole(path, content)
        return digest

    def write_entry(self, kind: str, key: str, files: Mapping[str, bytes], meta: Mapping[str, Any]) -> Entry:
        """Stores files and metadata under ``kind``/``key``, replacing any earlier entry."""
        digests = {name: self.write_object(content) for name, content in files.items()}
        text = json.dumps({"files": digests, "meta": dict(meta)}, indent=1, sort_keys=True)
        self._write_whole(self._entry(kind, key), text.encode())
        return Entry(
            files={name: self._object(digest) for name, digest in digests.items()}, digests=digests, meta=dict(meta)
        )

    def read_entry(self, kind: str, key: str) -> Entry | None:
        """The entry, or None if it does not exist or an object is missing or damaged; a damaged object is removed."""
        path = self._entry(kind, key)
        try:
            record = json.loads(path.read_text())
            digests: dict[str, str] = dict(record["files"])
            meta: dict[str, Any] = dict(record["meta"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        files = {name: self._object(digest) for name, digest in digests.items()}
        for name, file in files.items():
            if not file.exists():
                return None
            if measure_digest(file) != digests[name]:
                file.unlink(missing_ok=True)
                return None
        return Entry(files=files, digests=digests, meta=meta)

    def list_entries(self, kind: str) -> list[str]:
        """Keys of the entries of a kind, sorted."""
        folder = self.root / "entries" / kind
        return sorted(path.stem for path in folder.glob("*.json")) if folder.is_dir() else []

    def mark_used(self, kind: str, key: str) -> None:
        """Marks an entry as in use: :meth:`prune` keeps it. Call it under the lock of its makers."""
        with contextlib.suppress(OSError):
            os.utime(self._entry(kind, key))

    def prune(self, kind: str, prefix: str, *, keep: int, unused_s: float) -> list[str]:
        """Removes old entries, and objects that no entry refers to. Call it under the lock of the makers.

        Args:
            kind: kind of the entries.
            prefix: prefix of the keys to consider: those that the lock covers.
            keep: number of entries to keep, the most recently used ones.
            unused_s: entries used within this time are kept too, because their users may still read the objects.

        Returns:
            The keys of the removed entries.
        """
        folder = self.root / "entries" / kind
        used = {path: path.stat().st_mtime for path in folder.glob(f"{prefix}*.json")}
        oldest_last = sorted(used, key=lambda path: used[path], reverse=True)
        gone = [path for path in oldest_last[keep:] if time.time() - used[path] > unused_s]
        objects = {digest for path in gone for digest in _read_digests(path)}
        for path in gone:
            path.unlink(missing_ok=True)
        kept = {digest for path in self.root.glob("entries/*/*.json") for digest in _read_digests(path)}
        for digest in objects - kept:
            self._object(digest).unlink(missing_ok=True)
        return [path.stem for path in gone]

    def _object(self, digest: str) -> Path:
        return self.root / "objects" / digest[:2] / digest

    def _entry(self, kind: str, key: str) -> Path:
        return self.root / "entries" / kind / f"{key}.json"

    def _temporary(self) -> Path:
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _write_whole(self, path: Path, content: bytes) -> None:
        with self.writing(len(content)):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._temporary(), prefix=_prefix())
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                Path(name).rename(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise


def _read_digests(entry: Path) -> set[str]:
    """Digests that an entry refers to; none if it is missing or damaged."""
    try:
        return set(json.loads(entry.read_text())["files"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _prefix() -> str:
    return f"make-{os.getpid()}-"
