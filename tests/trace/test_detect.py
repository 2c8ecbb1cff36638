from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from android_suite.analysis.pipeline import analyze_trace
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
        bytes, gzip.compress, zipped, zstandard.ZstdCompressor().compress, lambda d: zipped(gzip.compress(d, mtime=0)),
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
        (gzip.compress(b"", mtime=0), TraceError, "empty"),
        (b"PK\x03\x04" + b"junk" * 20, TraceError, "zip"),
        (b"\x28\xb5\x2f\xfd" + b"junk" * 20, TraceError, "zstd"),
        (gzip.compress(gzip.compress(gzip.compress(gzip.compress(TWENTY), mtime=0))), TraceError, "layers"),
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
    file.write_bytes(gzip.compress(data, mtime=0))
    with pytest.raises(Unsupported, match=r"t\.dat\.gz, unpacked, is compressed with 'nine'"):
        open_trace(file)


def tarred(data: bytes, mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in (("a/notes.txt", b"a note"), ("a/deep/trace", data)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize(
    "pack",
    [
        lzma.compress, bz2.compress, tarred, lambda d: tarred(d, "w:gz"), lambda d: tarred(d, "w:xz"),
        lambda d: tarred(gzip.compress(d, mtime=0)), lambda d: zipped(tarred(d)), lambda d: d.replace(b"\n", b"\r\n"),
        lambda d: b"\xef\xbb\xbf" + d, lambda d: d.decode().encode("utf-16-le"), lambda d: d.decode().encode("utf-16-be"),
        lambda d: d.decode().encode("utf-16"), lambda d: zipped(d.decode().replace("\n", "\r\n").encode("utf-16")),
    ],
)  # fmt: skip
def test_twenty_events_in_more_wrappings(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "trace"
    path.write_bytes(pack(TWENTY))
    trace = open_trace(path)
    assert trace.source.events == 20
    assert trace["threads"].set_index("tid").loc[3, "comm"] == "x y"
    assert not trace.source.cut


def bug_report(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        log = b"========\n== dumpstate: 2026\n" + b"a line\n" * 9000 + b"# tracer: nop\n" + TWENTY
        for name, data in {"main_entry.txt": b"bugreport-x.txt", "bugreport-x.txt": log, **files}.items():
            archive.writestr(name.replace("__", "/"), data)
    return out.getvalue()


def test_bug_reports(tmp_path: Path) -> None:
    path = tmp_path / "bugreport.zip"
    path.write_bytes(
        bug_report(FS__data__local__traces__a=gzip.compress(TWENTY, mtime=0), FS__data__anr__b=b"----- pid 1 at 1")
    )
    trace = open_trace(path)
    assert trace.source.events == 20
    assert "read FS/data/local/traces/a of the archive" in trace.source.notes
    path.write_bytes(bug_report(FS__data__misc__a=TWENTY, FS__data__misc__b=TWENTY))
    with pytest.raises(UsageError, match=r"2 traces .*such as '.*bugreport.zip!FS/data/misc/a'"):
        open_trace(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("main_entry.txt", "x")
        archive.writestr("bugreport-x.txt", "no event\n" * 100)
    with pytest.raises(UsageError, match="bug report without a trace"):
        open_trace(path)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
def test_a_member_of_an_archive_with_two_traces(tmp_path: Path, kind: str) -> None:
    other = TWENTY.replace(b"x y", b"z z")
    path = tmp_path / f"two!.{kind}"
    if kind == "zip":
        path.write_bytes(bug_report(a__one=TWENTY, b__one=other, b__two=gzip.compress(other, mtime=0)))
    else:
        with tarfile.open(path, {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}[kind]) as archive:
            for name, data in (("./a/one", TWENTY), ("b/one", other), ("b/two", gzip.compress(other, mtime=0))):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))

    def third(member: str) -> str:
        return str(open_trace(f"{path}!{member}")["threads"].set_index("tid").loc[3, "comm"])

    assert [third(member) for member in ("a/one", "b/one", "two", "b/two")] == ["x y", "z z", "z z", "z z"]
    with pytest.raises(UsageError, match=r"2 files one; give one of its files in full"):
        third("one")
    with pytest.raises(UsageError, match=r"no file three"):
        third("three")
    with pytest.raises(UsageError, match=r"such as '.*two!\.[a-z.]*!(\./)?a/one'"):
        open_trace(path)


def test_members_of_what_is_no_archive(tmp_path: Path) -> None:
    for name, data in (("a!b", TWENTY), ("packed.gz", gzip.compress(TWENTY, mtime=0)), ("a.7z", b"7z\xbc\xaf\x27\x1c")):
        (tmp_path / name).write_bytes(data)
    assert open_trace(tmp_path / "a!b").source.events == 20
    for name in ("a!b!c", "packed.gz!c"):
        with pytest.raises(UsageError, match="not a zip or tar archive"):
            open_trace(tmp_path / name)
    with pytest.raises(UsageError, match="7z archive"):
        open_trace(tmp_path / "a.7z!c")


def test_a_packed_text_with_a_bad_checksum_is_given_with_a_note(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(TWENTY + b"\n", mtime=0))
    packed[-8] ^= 1  # of the checksum
    (tmp_path / "t.gz").write_bytes(packed)
    source = open_trace(tmp_path / "t.gz").source
    assert source.events >= 19  # what stands just before the damage is left out
    assert source.cut
    assert any("the packed file is damaged" in note for note in source.notes)


def test_an_unpacked_bug_report(tmp_path: Path) -> None:
    (tmp_path / "FS/data").mkdir(parents=True)
    (tmp_path / "FS/data/trace").write_bytes(TWENTY)
    (tmp_path / "main_entry.txt").write_bytes(b"x")
    assert open_trace(tmp_path).source.events == 20


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_the_good_part_of_a_cut_file(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    lines = [
        b"   x-%d [000] d..2.  1.%06d: cpu_idle: state=%d cpu_id=0\n" % (i, i, i * 7919 % 99991) for i in range(5000)
    ]
    packed = pack(b"".join(lines))
    path = tmp_path / "cut"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    trace = open_trace(path)
    assert 1000 < trace.source.events < 5000
    assert trace.source.cut
    assert any("it ends too early" in note for note in trace.source.notes)
    last = trace.decode_event("cpu_idle").iloc[-1]  # type: ignore[misc]
    assert int(last["state"]) == int(last["seq"]) * 7919 % 99991  # half a line is none
    assert analyze_trace(trace).blind_ns > 0  # what is counted is a lower bound


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b" \n[\n{", r"JSON"), (b'\n{"a": 1, "traceEvents": [', "Chrome"), (b'[{"ph": "X"}]', "Chrome"),
        (gzip.compress(b'[{"ph" : "X"}]', mtime=0), "Chrome"), ('{"traceEvents": []}'.encode("utf-16"), "Chrome"),
        (b"\xc1\x1f\xfc\xc1" + bytes(99), "CTF"), (b"/* CTF 1.8 */\ntrace {", "CTF"), (b"PERFILE2\0", "perf.data"),
        (b"SIMPLEPERF\1\0", "simpleperf"), (b"*version\n3\n", "method trace"), (b"JAVA PROFILE 1.0.2\0", "heap dump"),
        (b"\x09WINTRACE\x12\x05", "Winscope"), (gzip.compress(b"\x0a\x04\x08\1\x10\2\x12\6", mtime=0), "pprof"),
        (b"--------- beginning of main\n", "logcat"), (b"[    0.000000] Linux version 6\n", "kernel log"),
        (b"Attaching 2 probes...\n", "bpftrace"), (b'1 brk(NULL) = 0x5\nopenat(3, "x") = 3\n', "strace"),
        (b"[12:34:56.123456789] (+0.000000001) host sched_switch: { cpu_id = 0 }\n", "babeltrace"),
        (b"swapper 0 [000] 12.345678: sched:sched_switch: x\n", "perf script"), (zipped(b"x"), "no trace"),
        (b"sh 12/13 12.345678:  250000 cycles: ffff x\n", "perf script"), (bytes(64) + "x.etl".encode("utf-16-le"), "ETL"),
        (b'{"type": "kshark.config.session"}', "KernelShark"), (b'{"meta": {"stackwalk": 1}}', "Firefox"),
        (b'[\n,{"ph": "X"}]', "Chrome"), (b'{"metadata": "' + b"y" * 9000 + b'", "traceEvents": []}', "Chrome"),
        (b"\x1e{\"type\": \"preamble\"}", "CTF"), (b"\ntrace {\n\tmajor = 1;\n};\n", "CTF"), (b"go 1.22 trace\0", "Go"),
        (b"timestamp = 12:00:00.1, delta = +0.1, name = sched_switch\n", "babeltrace"), (b"FLR\0\0\2", "Flight Recorder"),
        (b":-1    -1 [000] 1.000000: sched:sched_switch: x\n", "perf script"), (b"a 55 [007] sched:x: y\n", "perf script"),
        (b"a 55 [007] d..2. 264874.156395: sched:sched_switch: x\n", "perf script"), (b"a 5/6 cycles:u: \n\t7f x\n", "perf"),
        (b"main;foo;bar 12\nmain;foo 3\n", "folded"), (b" contended   total wait     max wait\n", "perf"),
        (b"\n Performance counter stats for 'ls':\n", "perf"), (b"sample:\n  event_type: cpu-cycles\n", "simpleperf"),
        (b"packet {\n  trusted_uid: 1\n", "Perfetto trace as text"), (b"# a\nbuffers {\n", "configuration for Perfetto"),
        (b'[pid  12] futex(0x7f, FUTEX_WAIT <unfinished ...>\n', "strace"), (b"@usecs:\n[1]  3 |@@|\n", "bpftrace"),
        (b"2026-11-30 01:00:00.000  1000  1001 I art: x\n", "logcat"), (b"11-30 01:00:00.000 I/art     ( 1234): x\n", "logcat"),
        (b"     1764464400.000  1000  1000 I art: x\n", "logcat"), (b"*** *** *** *** *** *** ***\n", "tombstone"),
        (b"Subject: ANR in com.x\n", "ANR"), (b"Applications Memory Usage (in Kilobytes):\n", "dumpsys"),
        (b"name: sched_switch\nID: 314\nformat:\n", "format of an event"), (b"a:b\nc:d\n", "list of events"),
        (b"ts,dur,name\n1,2,x\n", "CSV"), (b"\x5d\0\0\x80\0abc", "xz -d"), (b'{"nodes": [{"callFrame": 1}]}', "V8"),
        (zipped(b'{"traceEvents": []}'), "deep/trace is a JSON trace"), (zipped(b"JAVA PROFILE 1.0.3\0"), "heap dump"),
        (bytes(5000), "zeros"), (b"%PDF-1", "PDF"), (b"\0\0\0\x18ftypmp42", "MP4"), (b"\x04\x22\x4d\x18", "lz4 -d"),
    ],
)  # fmt: skip
def test_what_is_no_trace_has_a_name(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=word) as caught:
        open_trace(path)
    assert str(caught.value).startswith(f"{path} ")
