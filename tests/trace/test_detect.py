from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path

import pytest
import zstandard

from android_suite.errors import TraceError, Unsupported, UsageError
from android_suite.trace.core.unpack import bound_bytes
from android_suite.trace.detect import open_trace
from android_suite.trace.perfetto.wire import looks_like_perfetto, write_varint
from tests.trace.captures import DatBuffer, make_dat_v7
from tests.trace.pages import make_layout

TWENTY = b"# tracer: nop\n" + b"".join(
    b"   x y-%d [00%d] d..2.  1.%06d: cpu_idle: state=1 cpu_id=0\n" % (i, i % 2, i) for i in range(20)
)


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README", "a note")
        archive.writestr("deep/trace", data)
    return out.getvalue()


@pytest.mark.parametrize(
    "pack",
    [
        bytes, gzip.compress, zipped, zstandard.ZstdCompressor().compress, lambda d: zipped(gzip.compress(d)),
        lambda d: b"capturing trace... done\nTRACE:\n" + zlib.compress(d),
        lambda d: b'<!DOCTYPE html><script class="trace-data" type="application/text">\n' + d + b"</script>",
    ],
)  # fmt: skip
def test_twenty_events_in_any_wrapping(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "misleading.png"
    path.write_bytes(pack(TWENTY))  # type: ignore[operator]
    trace = open_trace(path)
    assert trace.source.events == 20
    assert trace.source.path == str(path)


@pytest.mark.parametrize(
    ("content", "kind", "word"),
    [
        (b"", TraceError, "empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", UsageError, "PNG"),
        (b'{"traceEvents": []}', UsageError, "JSON"),
        (b"\x7fELF\2\1\1", UsageError, "ELF"),
        (b"\0\1\2\3" * 100, UsageError, "binary"),
        (b"just words\n" * 50, TraceError, "ftrace text"),
        (gzip.compress(b""), TraceError, "empty"),
        (b"PK\x03\x04" + b"junk" * 20, TraceError, "zip"),
        (b"\x28\xb5\x2f\xfd" + b"junk" * 20, TraceError, "zstd"),
        (gzip.compress(gzip.compress(gzip.compress(gzip.compress(TWENTY)))), TraceError, "layers"),
        (b"\x17\x08\x44tracing6\0", TraceError, "expected"),
    ],
)
def test_useful_answers(tmp_path: Path, content: bytes, kind: type[Exception], word: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(kind, match=word) as caught:
        open_trace(path)
    assert str(path) in str(caught.value)


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no ftrace capture"):
        open_trace(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name / "ftrace").mkdir(parents=True)
        (tmp_path / name / "ftrace/meta.json").write_text("{}")
    with pytest.raises(UsageError, match="holds 2 captures"):
        open_trace(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        open_trace(tmp_path / "none")


@pytest.mark.parametrize("pack", ["gzip", "zstd", "zip"])
def test_bombs_are_bounded(tmp_path: Path, pack: str) -> None:
    plain = bytes(400 << 20)
    packers = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress, "zip": zipped}
    packed = packers[pack](plain)
    assert bound_bytes(len(packed)) < len(plain)
    path = tmp_path / "bomb"
    path.write_bytes(packed)
    del plain
    with pytest.raises((TraceError, UsageError), match=r"MiB of unpacked data|holds 2 files and no trace"):
        open_trace(path)


def test_formats_of_real_files(shared_data: Path) -> None:
    for name, form, count in (
        ("trace_dat/raw_trace.dat.gz", "trace_dat", 757),
        ("perfetto/msft_perfetto_trace_cpu_sampling_not_scoped.pftrace", "perfetto", 63915),
        ("perfetto_gold/parser__sched__cpu_frequency_limits_from_systrace.systrace", "ftrace_text", 12),
        ("ftrace_text/compressed_atrace_data.txt", "atrace_z", 1042),
        ("ftrace_text/trace_surfaceflinger.html", "systrace_html", 2506),
    ):
        source = open_trace(shared_data / name).source
        assert (source.format, source.events) == (form, count), name


def test_a_large_first_packet_of_packed_packets_is_perfetto() -> None:
    """Packed bytes hold every byte but, in a short stretch, perhaps not a zero; a text may begin with an empty line."""
    packed = bytes(1 + n * 7 % 255 for n in range(40_000))
    packet = b"\x92\x03" + write_varint(len(packed)) + packed  # TracePacket.compressed_packets
    file = b"\x0a" + write_varint(len(packet)) + packet
    assert b"\0" not in file[:4096]
    assert looks_like_perfetto(file[:4096], len(file))
    text = "\n" + "äpp-100 [000] d..3. 12.000001: sched_switch: prev_comm=a\n" * 400
    assert not looks_like_perfetto(text.encode()[:4096], len(text.encode()))


def test_an_unknown_compression_inside_an_archive_names_the_archive(tmp_path: Path) -> None:
    data = make_dat_v7(make_layout(), [DatBuffer(cpus={0: b""})]).replace(b"none\0001\0", b"nine\0001\0")
    file = tmp_path / "t.dat.gz"
    file.write_bytes(gzip.compress(data))
    with pytest.raises(Unsupported, match=r"t\.dat\.gz, unpacked, is compressed with 'nine'"):
        open_trace(file)
