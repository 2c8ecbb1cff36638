"""trace.dat: real files of version 6 with their reports, version 7 in every form, and what the suite writes itself."""

from __future__ import annotations

import gzip
import shutil
import struct
import subprocess
import tracemalloc
import zlib
from pathlib import Path

import pytest
import zstandard

from android_suite.errors import TraceError, Unsupported
from android_suite.trace.dat import compression as dat_compression
from android_suite.trace.dat.compression import unpack
from android_suite.trace.dat.reader import open_trace_dat, read_trace_dat
from android_suite.trace.dat.writer import write_trace_dat
from android_suite.trace.render.lines import render_text
from android_suite.trace.ring.capture_folder import open_raw_capture, read_raw_capture
from tests.trace.captures import DatBuffer, make_dat_v7, make_record, write_capture
from tests.trace.pages import PageWriter, make_layout


def pages_of(layout, marks: dict[int, str], *, lose: int | None = None) -> bytes:
    writer = PageWriter(layout)
    for i, (ts, text) in enumerate(marks.items()):
        if i == 1 and lose is not None:
            writer.lose(lose)
        writer.add(ts, make_record("print", 10 + i, big_endian=layout.big_endian, buf=text))
    return writer.finish()


@pytest.fixture
def real(shared_data: Path, tmp_path: Path):
    def unpack(name: str) -> Path:
        path = tmp_path / name
        path.write_bytes(gzip.decompress((shared_data / "trace_dat" / f"{name}.gz").read_bytes()))
        return path

    return unpack


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("raw_trace.dat", {"sched:sched_switch": 755, "ftrace:bprint": 2}),
        ("trace_idle.dat", {"sched:sched_switch": 23, "power:cpu_idle": 17, "sched:sched_migrate_task": 3}),
    ],
)
def test_real_files_give_the_reports_of_trace_cmd(name: str, counts: dict[str, int], real, shared_data: Path) -> None:
    path = real(name)
    trace = read_trace_dat(path)
    assert dict(trace.source.event_counts) == counts
    assert len(trace["sched_switch"]) == counts["sched:sched_switch"]
    opened = open_trace_dat(path)
    want = (shared_data / "trace_dat" / f"{name}.report.txt").read_text().splitlines()
    assert want[0] == f"cpus={trace.source.cpus}"
    assert list(render_text(opened, opened.saved_comms, plugins=False)) == want[1:]


@pytest.mark.parametrize("compression", ["none", "zlib", "zstd"])
@pytest.mark.parametrize("big_endian", [False, True])
def test_version_7_with_two_buffers(compression: str, big_endian: bool, tmp_path: Path) -> None:
    layout = make_layout(big_endian=big_endian)
    many = {100 + i: f"top {i} " + "x" * 200 for i in range(60)}
    data = make_dat_v7(
        layout,
        [
            DatBuffer(cpus={0: pages_of(layout, many), 3: pages_of(layout, {105: "third", 300: "end"}, lose=4)}),
            DatBuffer(name="side", cpus={0: pages_of(layout, {99: "first"}), 1: b""}),
        ],
        compression=compression,
        cmdlines="10 alpha\n11 beta\n",
        options=[
            (5, b"Linux host 6.6.1-x #1 SMP aarch64\0"),
            (2, b"CPU: 3\noverrun: 6\ndropped events: 1\n\0"),
            (8, struct.pack(">I" if big_endian else "<I", 4)),
        ],
    )
    path = tmp_path / "t.dat"
    path.write_bytes(data)
    trace = read_trace_dat(path)
    texts = trace["marker"]["text"].tolist()
    assert texts[0] == "first"
    assert texts[-1] == "end"
    assert len(texts) == 63
    assert texts.index("third") == texts.index("top 5 " + "x" * 200) + 1, "a tie goes to the lower stream"
    assert (trace.source.kernel, trace.source.cpus, trace.source.clock) == ("6.6.1-x", 4, "mono")
    assert trace["threads"].set_index("tid").loc[10, "comm"] == "alpha"
    lost = trace["lost"].to_dict("records")
    assert {"cpu": 3, "from_ns": 105, "to_ns": 300, "events": 4} in lost
    assert trace.source.lost_events == 7
    assert any("'side'" in note for note in trace.source.notes)


@pytest.mark.parametrize("text", [b"10 7\n11 7\n\0", b"10 7\0", b"10 7"])
def test_tgids_under_the_number_of_the_cpu_count(tmp_path: Path, text: bytes) -> None:
    layout = make_layout()
    pages = pages_of(layout, {100: "a"})
    path = tmp_path / "t.dat"
    path.write_bytes(make_dat_v7(layout, [DatBuffer(cpus={0: pages})], options=[(8, text)], cmdlines="10 foo\n"))
    trace = read_trace_dat(path)
    assert (trace.source.events, trace.source.cpus) == (1, 1)
    assert trace["threads"].set_index("tid").loc[10, "tgid"] == 7


def test_times_are_shifted_and_scaled(tmp_path: Path) -> None:
    layout = make_layout()
    pages = pages_of(layout, {1 << 40: "a", (1 << 40) + 1000: "b"})
    options = [(7, b"-5\0"), (14, struct.pack("<IIQ", 3 << 20, 21, 0))]
    path = tmp_path / "t.dat"
    path.write_bytes(make_dat_v7(layout, [DatBuffer(cpus={0: pages})], options=options))
    ts = read_trace_dat(path)["marker"]["ts_ns"].tolist()
    assert ts == [(1 << 40) * 3 // 2 - 5, ((1 << 40) + 1000) * 3 // 2 - 5]


def make_own(tmp_path: Path, *, big_endian: bool = False) -> Path:
    layout = make_layout(big_endian=big_endian)
    data = {}
    for cpu in (0, 2):
        writer = PageWriter(layout)
        for i in range(300):
            ts = 1_000_000_000 + 1000 * i * (cpu + 1)
            pid = 100 + i % 3
            name, values = [
                (
                    "sched_switch",
                    {"prev_comm": "a b", "prev_pid": pid, "prev_prio": 120, "prev_state": i % 3, "next_comm": "x"},
                ),
                ("sched_waking", {"comm": "x", "pid": 100, "prio": 98, "target_cpu": cpu}),
                ("sched_wakeup", {"comm": "x", "pid": 100, "prio": 98, "success": 1, "target_cpu": cpu}),
                ("mmap_lock_start_locking", {"mm": (1 << 64) - i, "memcg_id": i, "write": i & 1}),
                ("mmap_lock_acquire_returned", {"mm": i, "memcg_path": "/apps/uid_0", "success": i & 1}),
                ("contention_begin", {"lock_addr": (1 << 63) + i, "flags": i % 80}),
                ("contention_end", {"lock_addr": i, "ret": -4}),
                ("sys_enter_madvise", {"__syscall_nr": 233, "start": i << 12, "len_in": 4096, "behavior": 4}),
                ("sys_exit_madvise", {"__syscall_nr": 233, "ret": -(i % 2)}),
                ("sys_enter", {"id": i, "args": (i, 1, 2, 3, 4, (1 << 64) - 1)}),
                ("sys_exit", {"id": i, "ret": -i}),
                ("print", {"ip": 0x1234, "buf": f"C|1|heap|{i}\n"}),
                ("task_newtask", {"pid": 7, "comm": "new", "clone_flags": 0x10000, "oom_score_adj": -1000}),
                ("task_rename", {"oldcomm": "old", "newcomm": "x"}),
                ("sched_pi_setprio", {"comm": "x", "pid": 3, "oldprio": 120, "newprio": 98}),
            ][i % 15]  # fmt: skip
            writer.add(ts, make_record(name, pid, big_endian=big_endian, **values))
        data[cpu] = writer.finish()
    return write_capture(tmp_path / "capture", layout, data, files={"threads.txt": "100 100 ui\n100 101 gc worker\n"})


@pytest.mark.parametrize("big_endian", [False, True])
def test_a_written_file_reads_as_the_capture_itself(tmp_path: Path, big_endian: bool) -> None:
    folder = make_own(tmp_path, big_endian=big_endian)
    path = tmp_path / "own.dat"
    write_trace_dat(folder, path)
    mine, again = read_raw_capture(folder), read_trace_dat(path)
    for name, frame in mine.tables.items():
        if name == "threads":  # a trace.dat has names, and no processes
            assert again[name]["comm"].tolist() == frame["comm"].tolist()
        elif name == "thread_lists":
            assert (len(again[name]), len(frame)) == (0, 2)
        else:
            assert again[name].equals(frame), name
    assert (again.source.kernel, again.source.clock, again.source.events) == ("6.17.0-test", "mono", 600)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.skipif(shutil.which("trace-cmd") is None, reason="trace-cmd is the oracle of this test")
@pytest.mark.parametrize("big_endian", [False, True])
def test_trace_cmd_prints_a_written_file_as_we_do(tmp_path: Path, big_endian: bool) -> None:
    folder = make_own(tmp_path, big_endian=big_endian)
    path = tmp_path / "own.dat"
    write_trace_dat(folder, path)
    report = subprocess.run(
        ["trace-cmd", "report", "-i", path], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    comms = read_raw_capture(folder)["threads"].set_index("tid")["comm"].to_dict()
    assert list(render_text(open_raw_capture(folder), comms)) == report.splitlines()[1:]


@pytest.mark.skipif(shutil.which("trace-cmd") is None, reason="trace-cmd is the oracle of this test")
@pytest.mark.parametrize("clock", ["local", "mono", "boot", "tai", "counter", "x86-tsc"])
@pytest.mark.parametrize(
    "options",
    [
        [],
        [(7, b"-5000000\0")],
        [(7, b"0x3b9aca00\0")],
        [(14, struct.pack("<IIQ", 3 << 20, 21, 1_000_000_000)), (7, b"2000000000\0")],
    ],
)  # fmt: skip
def test_trace_cmd_reads_times_and_losses_as_we_do(
    tmp_path: Path, clock: str, options: list[tuple[int, bytes]]
) -> None:
    layout = make_layout()
    writer = PageWriter(layout)
    for ts, lost in ((10**10, 0), (12 * 10**9, 5), (14 * 10**9 + 500, None), (10**15, 0), (10**16, 0)):
        if lost != 0:
            writer.lose(lost)
        writer.add(ts, make_record("print", 10, buf="x"))
        writer.add(ts + 499, make_record("sys_enter", 11, id=4))
    path = tmp_path / "t.dat"
    options = [(4, f"local global [{clock}]\0".encode()), *options]
    path.write_bytes(
        make_dat_v7(layout, [DatBuffer(cpus={0: writer.finish()}, clock=clock)], options=options, cmdlines="10 foo\n")
    )
    report = subprocess.run(
        ["trace-cmd", "report", "-i", path], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    opened = open_trace_dat(path)
    assert list(render_text(opened, opened.saved_comms)) == report.splitlines()[1:]


def test_a_cut_page_is_not_written(tmp_path: Path) -> None:
    folder = make_own(tmp_path)
    raw = folder / "ftrace" / "cpu0.raw"
    raw.write_bytes(raw.read_bytes()[:-5])
    write_trace_dat(folder, tmp_path / "own.dat")
    assert read_trace_dat(tmp_path / "own.dat").source.events == read_raw_capture(folder).source.events


def test_writing_where_one_may_not_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="Choose another file"):
        write_trace_dat(make_own(tmp_path), tmp_path / "no" / "such" / "own.dat")


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    write_trace_dat(make_own(tmp_path), tmp_path / "whole.dat")
    return (tmp_path / "whole.dat").read_bytes()


def test_every_cut_of_the_headers_is_an_error_with_an_offset(whole: bytes, tmp_path: Path) -> None:
    headers = whole.index(b"flyrecord\0") + 60
    path = tmp_path / "cut.dat"
    for end in [*range(60), *range(60, headers, 997), headers]:
        path.write_bytes(whole[:end])
        with pytest.raises(TraceError) as caught:
            open_trace_dat(path)
        assert caught.value.file == path
        assert caught.value.offset is not None


def test_pages_cut_off_are_named(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.dat"
    path.write_bytes(whole[:-4096])
    with pytest.raises(TraceError, match="pages of CPU 2"):
        read_trace_dat(path)


def test_what_is_not_supported_is_said(tmp_path: Path) -> None:
    layout = make_layout()
    data = make_dat_v7(layout, [DatBuffer(cpus={0: b""})]).replace(b"none\0001\0", b"lzma\0001\0")
    (tmp_path / "t.dat").write_bytes(data)
    with pytest.raises(Unsupported, match=r"'lzma'.*trace-cmd convert"):
        read_trace_dat(tmp_path / "t.dat")


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
def test_a_bomb_stops_at_its_bound(compression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = make_layout()
    bomb = make_dat_v7(layout, [DatBuffer(cpus={0: bytes(65 << 20)})], compression=compression, chunk_pages=1 << 16)
    assert len(bomb) < 1 << 20
    (tmp_path / "t.dat").write_bytes(bomb)
    with pytest.raises(TraceError, match="a chunk of 1 to"):
        read_trace_dat(tmp_path / "t.dat")
    monkeypatch.setattr(dat_compression, "MAX_PLAIN_BYTES", 8 << 20)
    slow = make_dat_v7(layout, [DatBuffer(cpus={0: bytes(64 << 20)})], compression=compression, chunk_pages=1 << 12)
    (tmp_path / "t.dat").write_bytes(slow)
    with pytest.raises(TraceError, match="at most 100 times"):
        read_trace_dat(tmp_path / "t.dat")
    squeeze = zlib.compress if compression == "zlib" else zstandard.ZstdCompressor().compress
    small = squeeze(bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(TraceError, match="at byte 77: expected"):
            unpack(compression, small, 4096, Path("t.dat"), 77)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
