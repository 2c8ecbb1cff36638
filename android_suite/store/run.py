"""Create, seal and open run directories.

A manifest is replaced atomically (write, fsync, rename): a reader sees the state before or after an iteration, never
part of one. An iteration that was begun but not sealed reads as ``incomplete``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from android_suite import __version__
from android_suite.errors import LabError, SchemaError, UsageError
from android_suite.model.document import MOST_BYTES, parse_json, read_document, to_plain
from android_suite.model.identity import CrashRecord, DeviceIdentity, KernelIdentity
from android_suite.model.run import IterationRecord, Manifest, Mode, Status
from android_suite.store import layout

_PART = ".part"  # a file that is being written


def now_iso() -> str:
    """Host time with time zone, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_atomic(path: Path, data: bytes, *, make_folder: bool = True) -> None:
    """Writes ``path`` atomically.

    Args:
        path: the file.
        data: its content.
        make_folder: make the folders above it that are missing; else they must be there.

    Raises:
        LabError: the disk is full or the folder cannot be written.
    """
    # Not the process id: the hosts that share a folder, and more so their containers, have the same ones.
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}{_PART}")
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # this fails too if the folder is a file
            part.unlink(missing_ok=True)
        raise LabError(
            f"cannot write {path}: {error.strerror}; free space or choose another folder with -o."
        ) from error


def remove_parts(folder: Path) -> None:
    """Removes what killed writers left beside the files of ``folder``. Nobody else may be writing there."""
    for part in folder.glob(f".*{_PART}"):
        part.unlink(missing_ok=True)


def write_json(path: Path, value: object, *, make_folder: bool = True) -> None:
    """Writes ``value`` as indented JSON, as `write_atomic`. Refuses NaN: unknown is ``null``."""
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    # A file name that is not UTF-8 contains lone surrogates; JSON can hold them as \udcXX.
    write_atomic(path, text.encode(errors="backslashreplace") + b"\n", make_folder=make_folder)


def read_json(path: Path, *, remedy: str) -> Any:
    """Reads JSON that may have been damaged, or written to do harm; of a huge file no more than shows that.

    Raises:
        SchemaError: it is no JSON, or larger or nested deeper than anything that the suite writes.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return parse_json(file.read(MOST_BYTES + 1), str(path), remedy=remedy)


@dataclass(frozen=True, slots=True)
class Run:
    """An opened run directory."""

    path: Path
    manifest: Manifest

    def raw(self, iteration: IterationRecord) -> Path:
        """Folder of the evidence of one iteration."""
        return self.path / layout.RAW / iteration.directory

    def derived(self, iteration: IterationRecord) -> Path:
        """Folder of the results derived from it; may not exist yet."""
        return self.path / layout.DERIVED / iteration.directory


class IterationWriter:
    """Collects the evidence of one iteration. All names are relative to the iteration's raw folder."""

    def __init__(self, run: RunWriter, record: IterationRecord) -> None:
        self._run = run
        self.record = record
        self.doubts: list[str] = []  # reasons why the evidence is incomplete
        self._remarks: list[str] = []
        self.folder = run.path / layout.RAW / record.directory
        raw = run.path / layout.RAW
        try:
            raw.mkdir(exist_ok=True)
            self.folder.mkdir()
        except OSError as error:
            raise LabError(f"cannot make {self.folder}: {error.strerror}; record again.") from error

    def path(self, name: str) -> Path:
        """Path of a file to write; creates its folder.

        Raises:
            LabError: the folder cannot be made: the disk is full, or who gave this recording up moved it away.
        """
        target = self.folder / layout.check_member(name)
        folder = self.folder  # must be there; what is between it and the file is made
        try:
            for part in target.relative_to(self.folder).parts[:-1]:
                folder /= part
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise LabError(
                f"cannot make {folder}: {error.strerror}; free space, or record again if the run was moved away."
            ) from error
        return target

    def write(self, name: str, data: bytes | str) -> Path:
        """Writes one file of evidence atomically."""
        target = self.path(name)
        write_atomic(
            target, data.encode(errors="surrogateescape") if isinstance(data, str) else data, make_folder=False
        )
        return target

    def remark(self, *sentences: str) -> None:
        """Adds to ``capture_notes.txt`` what a source could not do; every analysis of this evidence shows it."""
        if sentences:
            self._remarks += sentences
            self.write(layout.CAPTURE_NOTES, "".join(f"{sentence}\n" for sentence in self._remarks))

    def note(self, **changes: Any) -> None:
        """Changes fields of the record before it is sealed, such as ``boot``, ``trace_setup`` or ``lost_events``."""
        self.record = replace(self.record, **changes)

    def seal(
        self,
        status: Status,
        reason: str = "",
        *,
        crash: CrashRecord | None = None,
    ) -> IterationRecord:
        """Ends the iteration: computes the digest, makes files read-only, writes the manifest. Call it once."""
        self.record = replace(
            self.record,
            status=status,
            reason=reason,
            crash=crash,
            trace_digest=digest_trace(self.folder / layout.FTRACE)
            or digest_files([self.folder / layout.PERFETTO_TRACE]),
        )
        for file in self.folder.rglob("*"):
            if file.is_file():
                file.chmod(0o444)
        self._run.replace_iteration(self.record)
        return self.record


class RunWriter:
    """A run directory that is being recorded. Used by one thread."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._save()

    def _save(self) -> None:
        write_json(self.path / layout.MANIFEST, to_plain(self.manifest), make_folder=False)

    def set_identity(self, kernel: KernelIdentity, device: DeviceIdentity) -> None:
        """Records the identity of kernel and device."""
        self.manifest = replace(self.manifest, kernel=kernel, device=device)
        self._save()

    def add_note(self, note: str) -> None:
        """Adds a note that reports show with the run."""
        self.manifest = replace(self.manifest, notes=(*self.manifest.notes, note))
        self._save()

    def set_crash(self, crash: CrashRecord) -> None:
        """Records a crash outside any iteration."""
        self.manifest = replace(self.manifest, crash=crash)
        self._save()

    def begin_iteration(
        self,
        scenario: str,
        *,
        seed: int | None,
        boot: str,
        traced: bool,
        parameters: Mapping[str, Any],
        process: str = "",
        trace_setup: Mapping[str, Any] | None = None,
    ) -> IterationWriter:
        """Begins the next iteration, which reads as ``incomplete`` until it is sealed."""
        index = len(self.manifest.iterations)
        record = IterationRecord(
            index=index,
            scenario=scenario,
            seed=seed,
            boot=boot,
            status="incomplete",
            reason="not sealed: the suite ended while it was recording",
            directory=layout.iteration_name(index, scenario),
            started_at=now_iso(),
            traced=traced,
            lost_events=None,
            trace_digest=None,
            process=process,
            parameters=dict(parameters),
            trace_setup=dict(trace_setup or {}),
        )
        self.manifest = replace(self.manifest, iterations=(*self.manifest.iterations, record))
        self._save()
        return IterationWriter(self, record)

    def replace_iteration(self, record: IterationRecord) -> None:
        """Writes the final record of an iteration to the manifest."""
        done = list(self.manifest.iterations)
        done[record.index] = record
        self.manifest = replace(self.manifest, iterations=tuple(done))
        self._save()

    def drop(self) -> None:
        """Removes a run without any recording."""
        (self.path / layout.MANIFEST).unlink(missing_ok=True)
        self.path.rmdir()

    def seal(self) -> Run:
        """Ends the recording."""
        self.manifest = replace(self.manifest, sealed=True)
        self._save()
        return Run(self.path, self.manifest)


def create_run(path: Path, *, label: str, mode: Mode, overlays: Sequence[str] = ()) -> RunWriter:
    """Makes a new run directory.

    Args:
        path: where to create it.
        label: name of this side in comparisons.
        mode: ``realtime`` or ``deterministic``.
        overlays: SHA-256 of each archive added to the image of the virtual device, in order.

    Raises:
        UsageError: ``path`` exists and is not an empty folder.
        LabError: the folder cannot be created.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path} already exists; choose another folder with -o or remove it.")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"cannot make {path}: {error.strerror}; choose another folder with -o.") from error
    manifest = Manifest(
        suite=__version__,
        label=label,
        mode=mode,
        created_at=now_iso(),
        sealed=False,
        kernel=None,
        device=None,
        overlays=tuple(overlays),
    )
    return RunWriter(path, manifest)


def is_run(path: Path) -> bool:
    """True if ``path`` is a run directory."""
    return (path / layout.MANIFEST).is_file()


def open_run(path: Path) -> Run:
    """Opens a run directory, sealed or not.

    Raises:
        UsageError: ``path`` is not a run directory.
        SchemaError: its manifest is invalid.
    """
    file = path / layout.MANIFEST
    if not file.is_file():
        raise UsageError(f"{path} is not a run directory (no {layout.MANIFEST}); give one that `record` made.")
    data = read_json(file, remedy="record the run again")
    manifest = read_document(Manifest, data, name=str(file), remedy="name a run directory of this version")
    for iteration in manifest.iterations:
        try:
            layout.check_member(iteration.directory)
        except UsageError as error:
            raise SchemaError(f"{file}: {error}") from error
    # A run may come from somebody else: `analyze` writes there, and what is read there comes into reports.
    if link := next((link for folder in (layout.RAW, layout.DERIVED) for link in _find_links(path / folder)), None):
        raise SchemaError(f"{link} is a link; a run directory has none, copy its content there.")
    return Run(path, manifest)


def _find_links(path: Path) -> Iterator[Path]:
    """``path`` itself and everything below it that is a symbolic link; none is followed."""
    if path.is_symlink():
        yield path
        return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as found:
        for entry in found:
            if entry.is_symlink():
                yield Path(entry.path)
            elif entry.is_dir():
                yield from _find_links(Path(entry.path))


def digest_trace(folder: Path) -> str | None:
    """:func:`digest_files` of the pages ``cpuN.raw`` in CPU order."""
    pages = folder.glob("cpu*.raw")
    return digest_files(sorted(pages, key=lambda f: int("".join(filter(str.isdigit, f.stem)) or 0)))


def digest_files(files: Sequence[Path]) -> str | None:
    """SHA-256 over the files that are there, each preceded by its name and size; None without any."""
    files = [file for file in files if file.is_file()]
    if not files:
        return None
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file.stat().st_size}\n".encode())
        with file.open("rb") as data:
            while block := data.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def clear_derived(run: Run) -> None:
    """Removes everything that `analyze` made."""
    shutil.rmtree(run.path / layout.DERIVED, ignore_errors=True)
