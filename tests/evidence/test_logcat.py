from pathlib import Path

import pytest

from android_suite.evidence.logcat import (
    parse_displayed,
    parse_gc_lines,
    parse_logcat,
    parse_monitor_contention,
)


def test_gc_lines_of_many_devices(shared_data: Path) -> None:
    gcs = parse_gc_lines(parse_logcat((shared_data / "logcat/art_gc_lines_from_public_repos.txt").read_text()))
    assert len(gcs) == 13
    first = gcs.iloc[0]
    assert (first["cause"], first["collector"]) == ("Background", "young concurrent mark compact")
    assert (first["freed_bytes"], first["duration_ns"]) == (225 << 20, 2_679_000_000)
    assert (first["pause_total_ns"], first["pause_max_ns"], first["tid"]) == (47_141_000, 30_539_000, 22992)
    assert set(gcs["clock"]) == {"realtime", ""}
    cut = gcs.iloc[12]  # "y.dev(15275): NativeAlloc ...": whoever pasted it lost the beginning
    assert (cut["pid"], cut["tag"], cut["cause"], cut["duration_ns"]) == (15275, "y.dev", "NativeAlloc", 228_427_000)


def test_bugreport(shared_data: Path) -> None:
    lines = parse_logcat((shared_data / "logcat/sailfish_bugreport_gc_and_contention.txt").read_text())
    gcs, waits = parse_gc_lines(lines), parse_monitor_contention(lines)
    assert (len(gcs), len(waits)) == (19, 2)
    assert gcs["freed_objects"].tolist()[:2] == [22, 12]
    assert waits["owner"].tolist() == ["Binder:929_6", "Binder:929_2"]
    assert waits["duration_ns"].tolist()[1] == 1_361_000_000


@pytest.mark.parametrize(
    ("line", "clock", "time_ns"),
    [
        ("1763907000.250000  12  34 I tag: hi", "realtime", 1763907000_250000000),
        ("   81.000123456  12  34 I tag: hi", "monotonic", 81_000123456),
        ("2026-09-15 15:09:30.406 +0200  12  34 I tag: hi", "realtime", 1789477770_406000000),
        ("9999999999.250000  12  34 I tag: hi", "realtime", -1),
        ("9999-13-15 15:09:30.406 +0200  12  34 I tag: hi", "realtime", -1),
        ("9999-09-15 15:09:30.406 +0200  12  34 I tag: hi", "realtime", -1),
        ("09-15 15:09:30.406  12  34 I tag: hi", "realtime", -1),
        ("09-15 15:09:30.406 u0_a123  12  34 I tag: hi", "realtime", -1),
        ("I/tag(   12): hi", "", -1),
        ("09-15 15:09:30.406 I/tag(   12): hi", "realtime", -1),
    ],
)
def test_formats(line: str, clock: str, time_ns: int) -> None:
    lines = parse_logcat(line)
    assert lines[["clock", "time_ns", "pid", "tag", "message"]].values.tolist() == [[clock, time_ns, 12, "tag", "hi"]]


def test_oem_heap_and_displayed() -> None:
    head = "09-15 15:09:30.406  12  34 I "
    text = (
        f"{head}art: Background concurrent copying GC freed 10MB AllocSpace bytes, 1(2KB) LOS objects, "
        "14% free,549MB(M:180MB,L:368MB)/645MB, paused 56us,38us total 55.806ms\n"
        f"{head}ActivityTaskManager: Displayed com.a/.B for user 0: +1s234ms\n"
        f"{head}ActivityManager: Displayed com.a/com.a.B: +850ms (total +2s1ms)\n"
        f"{head}ActivityTaskManager: Fully drawn com.a/.B: +1m2s3ms\n"
    )
    lines = parse_logcat(text)
    assert parse_gc_lines(lines)["used_bytes"].tolist() == [549 << 20]
    drawn = parse_displayed(lines)
    assert drawn["duration_ms"].tolist() == [1234, 850, 62003]
    assert drawn["fully_drawn"].tolist() == [False, False, True]
    assert drawn["component"].tolist() == ["com.a/.B"] * 3
    assert drawn["user"].tolist() == [0, -1, -1]


def test_numbers_beyond_64_bits_are_unknown() -> None:
    head = "09-15 15:09:30.406  12  34 I "
    text = (
        f"{head}art: Background concurrent copying GC freed 999999999999999GB AllocSpace bytes, 1(2KB) LOS objects, "
        f"14% free,9GB/99999999999999GB, paused {','.join(['999999999s'] * 10)} total 55.806ms\n"
        f"{head}ActivityTaskManager: Displayed com.a/.B: +999999999999999999h\n"
    )
    lines = parse_logcat(text)
    gc = parse_gc_lines(lines).iloc[0]
    assert (gc["freed_bytes"], gc["used_bytes"], gc["heap_bytes"]) == (-1, 9 << 30, -1)
    assert (gc["pause_total_ns"], gc["pause_max_ns"]) == (-1, 999_999_999_000_000_000)
    assert parse_displayed(lines)["duration_ms"].tolist() == [-1]


def test_every_form_of_a_gc_line(shared_root: Path) -> None:
    found = parse_gc_lines(parse_logcat((shared_root / "cases/device/10-gc-lines.txt").read_text()))
    assert found[["cause", "collector", "freed_bytes", "pause_max_ns", "duration_ns"]].values.tolist() == [
        ["HomogeneousSpaceCompact", "marksweep + semispace", 33 << 10, 1_298_000_000, 1_298_000_000],
        ["Explicit", "concurrent mark sweep", 11 << 20, 3_554_000, 104_372_000],
    ]


@pytest.mark.parametrize(
    ("line", "cause", "collector"),
    [
        ("Alloc concurrent copying GC freed -12(-3KB) AllocSpace objects, 0(0B) LOS", "Alloc", "concurrent copying"),
        ("CollectorTransition marksweep + semispace GC freed 5(1KB) AllocSpace objects, 1(0B) LOS", "CollectorTransition",
         "marksweep + semispace"),
        ("Background sticky concurrent mark sweep GC freed 7(9KB) AllocSpace objects, 0(0B) LOS", "Background",
         "sticky concurrent mark sweep"),
        ("NativeAlloc young concurrent mark compact (sampled) GC freed 9KB AllocSpace bytes, 0(0B) LOS", "NativeAlloc",
         "young concurrent mark compact"),
    ],
)  # fmt: skip
def test_gc_lines_of_other_collectors(line: str, cause: str, collector: str) -> None:
    text = f"1.000  1  2 I app: {line} objects, 6% free, 222MB/238MB, paused 1.2ms,3us total 1.298s"
    found = parse_gc_lines(parse_logcat(text))
    assert found[["cause", "collector", "pauses"]].values.tolist() == [[cause, collector, 2]]
