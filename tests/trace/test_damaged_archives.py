"""Archives that are truncated or damaged give what is left of their trace, and say so."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from android_suite.errors import TraceError, UsageError
from android_suite.tables.trace import Trace
from android_suite.trace.detect import open_trace

COUNT = 5000
LINES = [b"   x-%d [000] d..2.  1.%06d: cpu_idle: state=%d cpu_id=0\n" % (i, i, i * 7919 % 99991) for i in range(COUNT)]
TEXT = b"".join(LINES)
NOISE = random.Random(1).randbytes(20_000)  # it does not pack, so what stands behind the trace is long


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in (("notes", b"a note"), ("trace", TEXT), ("noise", NOISE)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


class _OnlyForward(io.RawIOBase):
    """A pipe: zipfile then writes sizes behind the data, as Android's dumpstate does."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


def zipped(*, streamed: bool = False, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = _OnlyForward() if streamed else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in (("notes", b"a note"), ("deep/trace", TEXT), ("noise", NOISE)):
            archive.writestr(name, content)
    return bytes(out.data) if isinstance(out, _OnlyForward) else out.getvalue()


def read(folder: Path, data: bytes) -> Trace:
    path = folder / "file"
    path.write_bytes(data)
    return open_trace(path)


def check_part(trace: Trace) -> None:
    assert 1000 < trace.source.events < COUNT
    assert trace.source.cut
    assert any("damaged (it ends too early)" in note for note in trace.source.notes)
    rows = trace.decode_event("cpu_idle")  # type: ignore[misc]
    assert (rows["state"] == rows["seq"] * 7919 % 99991).all() or (rows["state"] == rows["seq"] * 7919 % 99991)[
        :-1
    ].all()


@pytest.mark.parametrize(
    "data",
    [
        tarred()[: 200_000], gzip.compress(tarred(), mtime=0)[:30_000], zipped()[:30_000], zipped(streamed=True)[:30_000],
        zipped(method=zipfile.ZIP_STORED)[:200_000],
    ],
    ids=["tar", "tar.gz", "zip", "streamed zip", "stored zip"],
)  # fmt: skip
def test_an_archive_that_ends_within_its_trace(tmp_path: Path, data: bytes) -> None:
    check_part(read(tmp_path, data))


@pytest.mark.parametrize(
    "data",
    [
        tarred()[:-15_000], gzip.compress(tarred(), mtime=0)[:-15_000], zipped()[:-15_000], zipped(streamed=True)[:-15_000],
        zipped()[:-10], zipped(method=zipfile.ZIP_STORED)[:-15_000],
    ],
    ids=["tar", "tar.gz", "zip", "streamed zip", "zip without its list", "stored zip"],
)  # fmt: skip
def test_a_trace_before_the_end_of_a_truncated_archive_is_whole(tmp_path: Path, data: bytes) -> None:
    source = read(tmp_path, data).source
    assert source.events == COUNT
    assert not source.cut
    assert not any("damaged" in note for note in source.notes)


def test_damage_in_a_member(tmp_path: Path) -> None:
    data = bytearray(zipped())
    data[data.index(b"deep/trace") + 20_000] ^= 0x55
    trace = read(tmp_path, bytes(data))
    assert trace.source.cut
    assert any("the archive is damaged (" in note for note in trace.source.notes)
    data = bytearray(zipped())
    data[data.index(b"notes") + 6] ^= 0x55  # another file than the trace
    assert read(tmp_path, bytes(data)).source.events == COUNT


def test_a_checksum_that_is_wrong_says_that_any_of_it_may_be(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(TEXT, mtime=0))
    packed[-8] ^= 1
    notes = read(tmp_path, bytes(packed)).source.notes
    assert any("any of the data may be wrong" in note for note in notes)


def test_nothing_left_and_encrypted(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="a whole archive"):
        read(tmp_path, zipped()[:20])
    data = bytearray(zipped())
    for at in (data.index(b"PK\x01\x02") + 8, data.index(b"PK\x03\x04") + 6):
        data[at] |= 1
    with pytest.raises(UsageError, match="is encrypted; unpack it"):
        read(tmp_path, bytes(data))


def test_lines_that_end_as_on_an_old_macintosh(tmp_path: Path) -> None:
    assert read(tmp_path, TEXT.replace(b"\n", b"\r")).source.events == COUNT


def test_lines_that_are_not_understood_are_quoted(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"2 lines are not understood, such as 'app 55 at 1.0 did a thing'"):
        read(tmp_path, b"# tracer: nop\n#\napp 55 at 1.0 did a thing\nand another\n")
