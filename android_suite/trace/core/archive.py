"""Lists the members of zip and tar archives and reads them."""

from __future__ import annotations

import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from android_suite.errors import TraceError, UsageError
from android_suite.trace.core.unpack import bound_bytes, check_bound

ZIP_MAGIC, _EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
_TAR_MAGIC_AT, _TAR_MAGIC = 257, b"ustar"
_MOST_MEMBERS = 20_000  # a bug report has about 3,000
_CHUNK_BYTES = 1 << 20
# The exceptions of the standard library for damaged archives.
_FAULTS = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError,
    RuntimeError, ValueError, OSError, LookupError, ArithmeticError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of an archive."""

    name: str
    size: int  # as the archive states it, which may be wrong
    read: Callable[[int | None], bytes]  # reads so many bytes from the start, or (None) all

    @property
    def shown(self) -> str:
        """Its name, made safe for a message."""
        return self.name if len(self.name) <= 120 else f"...{self.name[-117:]}"


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a zip or tar archive."""
    return head.startswith((ZIP_MAGIC, _EMPTY_ZIP)) or head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC)


def list_members(data: bytes, file: Path | str) -> list[Member]:
    """The files of a zip or tar archive; folders and links are left out.

    Raises:
        UsageError: it has more members than a bug report could have.
        TraceError: it is damaged. Reading a member raises it too, also if the member exceeds the bound.
    """
    limit = bound_bytes(len(data))
    try:
        members = _zip_members(data, limit, file) if data.startswith(b"PK") else _tar_members(data, limit, file)
    except _FAULTS as error:
        raise _damaged(file, error) from error
    if len(members) > _MOST_MEMBERS:
        raise UsageError(f"{file} holds {len(members)} files; unpack it and give the trace.")
    if not members:
        raise TraceError(file, 0, "a trace inside the archive, which is empty", hint="Pack the trace again.")
    return members


def _zip_members(data: bytes, limit: int, file: Path | str) -> list[Member]:
    archive = zipfile.ZipFile(io.BytesIO(data))

    def reader(info: zipfile.ZipInfo) -> Callable[[int | None], bytes]:
        return lambda most: _read(lambda: archive.open(info), most, limit, file)

    infos = [info for info in archive.infolist() if not info.is_dir()]
    return [Member(name=info.filename, size=info.file_size, read=reader(info)) for info in infos]


def _tar_members(data: bytes, limit: int, file: Path | str) -> list[Member]:
    archive = tarfile.open(fileobj=io.BytesIO(data), mode="r:")  # noqa: SIM115 - its members read it later

    def reader(info: tarfile.TarInfo) -> Callable[[int | None], bytes]:
        return lambda most: _read(lambda: archive.extractfile(info), most, limit, file)

    members: list[Member] = []
    for info in archive:
        if info.isfile():
            members.append(Member(name=info.name, size=info.size, read=reader(info)))
        if len(members) > _MOST_MEMBERS:
            break
    return members


def _read(opened: Callable[[], IO[bytes] | None], most: int | None, limit: int, file: Path | str) -> bytes:
    out = io.BytesIO()
    try:
        stream = opened()
        if stream is None:
            return b""
        with stream:
            while piece := stream.read(_CHUNK_BYTES if most is None else min(_CHUNK_BYTES, most - out.tell())):
                out.write(piece)
                check_bound(out.tell(), limit, file)
    except _FAULTS as error:
        raise _damaged(file, error) from error
    return out.getvalue()


def _damaged(file: Path | str, error: Exception) -> TraceError:
    return TraceError(file, 0, f"a whole archive, zip or tar ({error})", hint="Copy the file again.")
