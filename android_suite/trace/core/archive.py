"""Lists the members of zip and tar archives and reads them; of a damaged or truncated archive, what is left of them."""

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
from android_suite.trace.core.unpack import CUT, Unpacked, bound_bytes, check_bound

ZIP_MAGIC, _EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
_TAR_MAGIC_AT, _TAR_MAGIC = 257, b"ustar"
_MOST_MEMBERS = 20_000  # a bug report has about 3,000
_LOCAL_HEADER = struct.Struct("<4s2xHH8xI4xHH")  # magic, flags, method, packed size, lengths of name and extra field
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1  # bit of the flags
_LONGEST_NAME_BYTES = 1024
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
    rescue: Callable[[], Unpacked] | None = (
        None  # reads what precedes the damage; None: a file that is not in an archive
    )

    def read_good(self) -> Unpacked:
        """Everything, or what precedes the damage.

        Raises:
            TraceError: nothing of it can be read, or it exceeds the bound.
        """
        return Unpacked(data=self.read(None)) if self.rescue is None else self.rescue()

    @property
    def shown(self) -> str:
        """Its name, made safe for a message."""
        return self.name if len(self.name) <= 120 else f"...{self.name[-117:]}"


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a zip or tar archive."""
    return head.startswith((ZIP_MAGIC, _EMPTY_ZIP)) or head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC)


def list_members(data: bytes, file: Path | str) -> list[Member]:
    """The files of a zip or tar archive; folders and links are left out.

    A truncated archive gives the files that begin before its end.

    Raises:
        UsageError: it has more members than a bug report could have, or it is encrypted.
        TraceError: it is damaged. Reading a member raises it too, also if the member exceeds the bound.
    """
    limit = bound_bytes(len(data))
    try:
        members = _zip_members(data, limit, file) if data.startswith(b"PK") else _tar_members(data, limit, file)
    except _FAULTS as error:
        members = _cut_zip_members(data, limit, file) if data.startswith(ZIP_MAGIC) else []
        if not members:
            raise _damaged(file, error) from error
    if len(members) > _MOST_MEMBERS:
        raise UsageError(f"{file} holds {len(members)} files; unpack it and give the trace.")
    if not members:
        raise TraceError(file, 0, "a trace inside the archive, which is empty", hint="Pack the trace again.")
    return members


def _zip_members(data: bytes, limit: int, file: Path | str) -> list[Member]:
    archive = zipfile.ZipFile(io.BytesIO(data))
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if any(info.flag_bits & _ENCRYPTED for info in infos):
        raise UsageError(f"{file} is encrypted; unpack it and give the trace inside.")

    def member(info: zipfile.ZipInfo) -> Member:
        def read(most: int | None) -> bytes:
            return _read(lambda: archive.open(info), most, limit, file)

        def rescue() -> Unpacked:
            try:
                return Unpacked(data=read(None))
            except TraceError:
                entry = _read_local_header(data, info.header_offset)
                if entry is None:
                    raise
                good = entry.unpack(data, None, limit, file)
                if not good.data:
                    raise
                return good if good.fault else Unpacked(data=good.data, fault="its checksum is wrong")

        return Member(name=info.filename, size=info.file_size, read=read, rescue=rescue)

    return [member(info) for info in infos]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ZipEntry:
    """A file in a zip as its local header states it."""

    name: str
    method: int
    begin: int
    end: int  # -1: the header does not state it

    def unpack(self, data: bytes, most: int | None, limit: int, file: Path | str) -> Unpacked:
        """So many bytes of it, or (None) all that precede the damage."""
        stop = len(data) if self.end < 0 else min(self.end, len(data))
        fault = CUT if self.end > len(data) else ""
        if self.method == _STORED:
            return Unpacked(data=data[self.begin : stop if most is None else min(stop, self.begin + most)], fault=fault)
        engine, out, fed = zlib.decompressobj(-zlib.MAX_WBITS), io.BytesIO(), b""
        at = self.begin
        while not engine.eof and (most is None or out.tell() < most):
            # Small steps: at damage, a call gives nothing of its data.
            fed = engine.unconsumed_tail or data[at : min(at + 4096, stop)]
            at += 0 if engine.unconsumed_tail else len(fed)
            if not fed:
                return Unpacked(data=out.getvalue(), fault=CUT)
            try:
                out.write(engine.decompress(fed, _CHUNK_BYTES if most is None else most - out.tell()))
            except zlib.error as error:
                return Unpacked(data=out.getvalue(), fault=f"{error}: the data shortly before it may be wrong")
            check_bound(out.tell(), limit, file)
        return Unpacked(data=out.getvalue(), fault=fault)


def _read_local_header(data: bytes, at: int) -> _ZipEntry | None:
    """The entry whose local header is at that position; None if there is none that can be unpacked."""
    if at < 0 or at + _LOCAL_HEADER.size > len(data):
        return None
    magic, flags, method, packed, name_size, extra_size = _LOCAL_HEADER.unpack_from(data, at)
    begin = at + _LOCAL_HEADER.size + name_size + extra_size
    name = data[at + _LOCAL_HEADER.size :][:name_size].decode("utf-8", "replace")
    sane = magic == ZIP_MAGIC and method in (_STORED, _DEFLATED) and not flags & _ENCRYPTED
    if not sane or not 0 < name_size <= _LONGEST_NAME_BYTES or begin > len(data):
        return None
    known = not flags & 8 and packed < 0xFFFFFFFF  # else the size follows the data
    if method == _STORED and not known:
        return None
    return _ZipEntry(name=name, method=method, begin=begin, end=begin + packed if known else -1)


def _cut_zip_members(data: bytes, limit: int, file: Path | str) -> list[Member]:
    """The files of a zip whose list of files, which stands at its end, is missing: by the headers before each."""
    members: list[Member] = []
    at = 0
    while at >= 0 and len(members) <= _MOST_MEMBERS:
        entry = _read_local_header(data, at)
        if entry is not None and not entry.name.endswith("/"):

            def read(most: int | None, _entry: _ZipEntry = entry) -> bytes:
                return _entry.unpack(data, most, limit, file).data

            def rescue(_entry: _ZipEntry = entry) -> Unpacked:
                return _entry.unpack(data, None, limit, file)

            size = len(data) - entry.begin if entry.end < 0 else entry.end - entry.begin
            members.append(Member(name=entry.name, size=size, read=read, rescue=rescue))
        at = data.find(ZIP_MAGIC, max(at + 1, at if entry is None or entry.end < 0 else entry.end))
    return members


def _tar_members(data: bytes, limit: int, file: Path | str) -> list[Member]:
    archive = tarfile.open(fileobj=io.BytesIO(data), mode="r:")  # noqa: SIM115 - its members read it later

    def member(info: tarfile.TarInfo) -> Member:
        begin, end = info.offset_data, info.offset_data + info.size

        def read(most: int | None) -> bytes:
            if end > len(data) and not info.issparse():
                return data[begin : len(data) if most is None else begin + most]
            return _read(lambda: archive.extractfile(info), most, limit, file)

        def rescue() -> Unpacked:
            return Unpacked(data=read(None), fault=CUT if end > len(data) else "")

        return Member(name=info.name, size=info.size, read=read, rescue=rescue)

    infos: list[tarfile.TarInfo] = []
    try:
        while len(infos) <= _MOST_MEMBERS and (info := archive.next()) is not None:
            infos.append(info)
    except tarfile.TarError:
        if not infos:  # else it is truncated
            raise
    return [member(info) for info in infos if info.isfile()]


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
