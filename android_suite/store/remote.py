"""A run store behind a URL (s3://, gs://, file:// and others of fsspec): sealed runs, for workers without a shared disk.

::

    URL/jobs/NAME.json           which attempt at a job counts, and its files with size and SHA-256; written last, once
    URL/runs/NAME@TOKEN/...      the files of one attempt
    URL/failed/NAME@TOKEN/...    what a failed attempt left

An object is written whole or not at all, and NAME.json is created, never replaced: a job done twice counts once. All
of it is bytes, JSON and Parquet. Nothing in a store is trusted: names, counts, sizes and digests are checked before a
file is used, and nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

from android_suite.errors import LabError, SchemaError, SuiteError, UsageError
from android_suite.model.document import parse_json, read_document, to_plain
from android_suite.store import layout

MOST_FILES: Final = 20_000
MOST_BYTES: Final = 64 << 30
_MOST_INDEX_BYTES = 8 << 20
_NAME = re.compile(r"[A-Za-z0-9_+@=,.\-]{1,200}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file of a stored run, by its path in the run directory."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """``jobs/NAME.json`` of a run store."""

    schema: Literal["android-suite/stored-run"] = "android-suite/stored-run"
    version: Literal[1] = 1
    job: str
    token: str
    files: tuple[StoredFile, ...]


def is_url(store: str) -> bool:
    """Whether a run store is named by a URL and not by a folder."""
    return "://" in store


def open_store(url: str) -> RemoteStore:
    """The run store behind a URL. Credentials and end points are fsspec's own configuration.

    Raises:
        UsageError: fsspec has no such protocol, or its package is not installed.
    """
    import fsspec

    try:
        fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    except (ValueError, ImportError) as error:
        raise UsageError(
            f"--store {url}: {error}; install its package (for s3:// `pip install android-suite[cluster]`), "
            "or name a folder."
        ) from error
    return RemoteStore(url, fs, root.rstrip("/"))


class RemoteStore:
    """See the module. ``fs`` is an fsspec file system."""

    def __init__(self, url: str, fs: Any, root: str) -> None:
        self.url, self._fs, self._root = url, fs, root

    def has(self, job: str) -> bool:
        """Whether a run of the job counts already."""
        with self._guard(f"look for {job}"):
            return bool(self._fs.exists(self._index(job)))

    def names(self) -> tuple[str, ...]:
        """The jobs that are there."""
        with self._guard("list jobs"):
            if not self._fs.exists(f"{self._root}/jobs"):
                return ()
            found = self._fs.ls(f"{self._root}/jobs", detail=False)
        names = (PurePosixPath(str(each)).name for each in found)
        return tuple(sorted(n.removesuffix(".json") for n in names if n.endswith(".json") and _NAME.fullmatch(n)))

    def publish(self, job: str, token: str, folder: Path) -> bool:
        """Writes a run; it counts unless another attempt was first.

        Returns:
            Whether it counts.

        Raises:
            LabError: the store cannot be written.
        """
        attempt = f"{self._root}/runs/{job}@{token}"
        files = tuple(_describe(folder))
        self._upload(folder, files, attempt)
        index = json.dumps(to_plain(StoredRun(job=job, token=token, files=files)), indent=1).encode()
        with self._guard(f"publish {job}"):
            if self._create(self._index(job), index) and self._read_index(job).token == token:
                return True
            self._fs.rm(attempt, recursive=True)
        return False

    def keep_failure(self, attempt: str, folder: Path) -> None:
        """Writes what a failed attempt left, as evidence; a failure to do so is not reported over the first one."""
        if folder.is_dir():
            with contextlib.suppress(SuiteError):
                self._upload(folder, tuple(_describe(folder)), f"{self._root}/failed/{attempt}")

    def fetch(self, job: str, target: Path, *, wanted: Callable[[str], bool] = lambda _: True) -> None:
        """Reads the run of a job into ``target``, which must not exist.

        Args:
            job: its name.
            target: a folder to be made.
            wanted: whether a file of the run, by its path there, is to be read.

        Raises:
            SchemaError: its index or a file is not what a store has; nothing outside ``target`` was written.
            LabError: the store cannot be read.
        """
        found = self._read_index(job)
        target.mkdir(parents=True)
        try:
            for file in filter(lambda each: wanted(each.path), found.files):
                self._fetch_file(f"{self._root}/runs/{job}@{found.token}/{file.path}", file, target / file.path)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise

    def _fetch_file(self, source: str, file: StoredFile, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with self._guard(f"read {file.path}"), self._fs.open(source, "rb") as data, target.open("xb") as out:
            while size <= file.bytes and (block := data.read(1 << 20)):
                digest.update(block)
                size += len(block)
                out.write(block)
        if size != file.bytes or digest.hexdigest() != file.sha256:
            raise SchemaError(f"{self.url}: {source} is not the file that its index describes; record the job again.")

    def _read_index(self, job: str) -> StoredRun:
        name = self._index(job)
        with self._guard(f"read {job}"), self._fs.open(name, "rb") as file:
            text = file.read(_MOST_INDEX_BYTES + 1)
        if len(text) > _MOST_INDEX_BYTES:
            raise SchemaError(f"{self.url}: {name} is larger than {_MOST_INDEX_BYTES >> 20} MB; remove it.")
        data = parse_json(text, f"{self.url}: {name}", remedy="remove it")
        found = read_document(StoredRun, data, name=name, remedy="remove it and record the job again")
        if reason := _find_fault(found, job):
            raise SchemaError(f"{self.url}: {name}: {reason}; remove it and record the job again.")
        return found

    def _upload(self, folder: Path, files: tuple[StoredFile, ...], attempt: str) -> None:
        for file in files:
            with self._guard(f"write {file.path}"):
                target = f"{attempt}/{file.path}"
                self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
                self._fs.put_file(str(folder / file.path), target)

    def _create(self, path: str, data: bytes) -> bool:
        """Writes a new object in one step; False if there is one."""
        from fsspec.implementations.local import LocalFileSystem

        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        try:
            if isinstance(self._fs, LocalFileSystem):
                part = Path(f"{path}.{uuid.uuid4().hex}.part")  # workers in containers share process ids
                part.write_bytes(data)
                try:
                    os.link(part, path)
                finally:
                    part.unlink()
            else:
                self._fs.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        return True

    def _index(self, job: str) -> str:
        if not _NAME.fullmatch(job) or job in (".", ".."):
            raise SchemaError(f"{job!r} cannot be a job of a run store; use only letters, digits and ._-+@=,.")
        return f"{self._root}/jobs/{job}.json"

    @contextlib.contextmanager
    def _guard(self, what: str) -> Iterator[None]:
        """Storage libraries raise OSError, and some their own errors, which all mean that the store did not answer."""
        try:
            yield
        except SuiteError:
            raise
        except FileExistsError as error:
            raise SchemaError(f"{self.url}: two files of one name; record the job again.") from error
        except Exception as error:
            if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] in ("builtins", "fsspec"):
                raise
            raise LabError(f"{self.url}: cannot {what} ({type(error).__name__}: {error}); try again.") from error


def _describe(folder: Path) -> Iterator[StoredFile]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as data:
                digest = hashlib.file_digest(data, "sha256").hexdigest()
            name = path.relative_to(folder).as_posix()
            yield StoredFile(path=layout.check_member(name), bytes=path.stat().st_size, sha256=digest)


def _find_fault(found: StoredRun, job: str) -> str:
    """Why an index is refused; empty if it is sound."""
    if found.job != job or not _NAME.fullmatch(found.token) or ".." in found.token:
        return "it is of another job"
    if len(found.files) > MOST_FILES:
        return f"it names {len(found.files)} files, a run has at most {MOST_FILES}"
    if len({file.path for file in found.files}) < len(found.files):
        return "it names a file twice"
    total = 0
    for file in found.files:
        try:
            layout.check_member(file.path)
        except UsageError as error:
            return str(error).rstrip(".")
        if not 0 <= file.bytes <= MOST_BYTES or not _SHA256.fullmatch(file.sha256):
            return f"{file.path} has no size or digest that a file can have"
        total += file.bytes
    return f"its files have {total} bytes" if total > MOST_BYTES else ""
