"""From checkpoints to totals: nothing twice, nothing invented."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from android_suite.analyze.soak import read_soak, summarize_soak
from android_suite.cli.main import run
from android_suite.compare.soaks import compare_soaks
from android_suite.errors import EvidenceError, NotComparable, SchemaError, UsageError
from android_suite.model.identity import DeviceIdentity, KernelIdentity
from android_suite.model.soak import Checkpoint, SoakManifest, SoakTable, SoakThread
from android_suite.report.soak import render_soak_html, render_soak_text
from android_suite.store.soak import SoakWriter, read_checkpoints

DEVICE = DeviceIdentity(
    serial="s", model="m", abi="arm64-v8a", fingerprint="f", sdk=34, virtual=True, cpus=2, memory_kb=1 << 20,
    page_size=4096, refresh_rate_hz=60.0,
)  # fmt: skip
MANIFEST = SoakManifest(
    id="a", created_at="2026-01-01T00:00:00+00:00", label="soak <b>", until_unix_ns=0, interval_s=60,
    kernel=KernelIdentity(release="6.17.13", version="#1"), device=DEVICE,
    tables=("madvise", "madvise_per_vma", "madvise_mmap_lock", "mmap_write", "mmap_write_wait", "mmap_write_wait_log2"),
    entries=64, outlier_ms=50.0,
)  # fmt: skip
GC = SoakThread(tid=11, tgid=10, start=500, comm="HeapTaskDaemon", process="com.app")
UI = SoakThread(tid=10, tgid=10, start=499, comm="com.app", process="com.app")


def line(
    n: int,
    calls: int,
    on_lock: int = 0,
    *,
    segment: int = 0,
    boot: str = "b0",
    threads: Sequence[SoakThread] = (GC, UI),
    dropped: int = 0,
    at_s: float | None = None,
) -> Checkpoint:
    at = 60.0 * n if at_s is None else at_s
    return Checkpoint(
        n=n, edge="minute", boot=boot, install=f"i{segment}", segment=segment, at_unix_ns=round(at * 1e9),
        uptime_ns=round((at + 100) * 1e9), threads=tuple(threads),
        tables={
            "madvise": SoakTable(rows=((11, -1, calls, calls * 4096, -1),), dropped=dropped),
            "madvise_per_vma": SoakTable(rows=((11, -1, calls - on_lock, 0, -1),)),
            "madvise_mmap_lock": SoakTable(rows=((11, -1, on_lock, 0, -1),)),
            "mmap_write_wait": SoakTable(rows=((10, -1, n, n * 2_000_000, 2_000_000 if n else -1),)),
            "mmap_write_wait_log2": SoakTable(rows=((10, 21, n, n * 2_000_000, -1),)),
        },
    )  # fmt: skip


def test_counters_are_cumulative_so_a_repeated_or_a_missing_line_changes_no_total() -> None:
    lines = [line(0, 5), line(1, 105, 2), line(2, 205, 3), line(3, 300, 4)]
    whole = summarize_soak(MANIFEST, iter(lines), name="x")
    [row] = whole.madvise
    assert (row.calls, row.per_vma, row.mmap_lock, row.unknown, row.bytes) == (300, 296, 4, 0, 300 * 4096)
    assert (row.process, row.thread, row.role) == ("com.app", "HeapTaskDaemon", "gc")
    for other in ([lines[0], *lines], [lines[0], lines[1], lines[1], *lines[2:]], [lines[0], lines[3]]):
        assert summarize_soak(MANIFEST, iter(other), name="x").madvise == whole.madvise
    assert [point.calls for point in whole.over_time] == [100, 100, 95]
    assert [point.longest_ns for point in whole.over_time] == [2_000_000, None, None]
    [bucket] = whole.buckets
    assert (bucket.lock, bucket.mode, bucket.role, bucket.above_ns, bucket.waits) == (
        "mmap_lock",
        "write",
        "ui",
        1 << 20,
        3,
    )


def test_a_reboot_begins_a_segment_and_its_loss_is_bounded_in_time() -> None:
    lines = [line(0, 0), line(1, 600), line(2, 30, segment=1, boot="b1", at_s=100.0), line(3, 90, segment=1, boot="b1")]
    found = summarize_soak(MANIFEST, iter(lines), name="x")
    assert sum(row.calls or 0 for row in found.madvise) == 690
    assert [(s.calls, s.seconds, s.boot) for s in found.segments] == [(600, 60.0, "b0"), (90, 80.0, "b1")]
    [loss] = found.losses
    assert (loss.after_segment, loss.why, loss.at_most_s, loss.calls_expected) == (0, "the device restarted", 40.0, 400)
    assert "at most 40 s were not counted" in render_soak_text(found)


def test_a_thread_number_that_is_used_again_is_another_thread() -> None:
    other = SoakThread(tid=11, tgid=70, start=9000, comm="Binder:70_1", process="com.other")
    found = summarize_soak(MANIFEST, iter([line(0, 0), line(1, 10), line(2, 25, threads=(other,))]), name="x")
    assert {(row.process, row.role): row.calls for row in found.madvise} == {
        ("com.app", "gc"): 10,
        ("com.other", "binder"): 15,
    }


def test_calls_without_room_in_the_table_are_counted_and_told() -> None:
    found = summarize_soak(MANIFEST, iter([line(0, 0), line(1, 10, dropped=7)]), name="x")
    assert found.dropped == {"madvise": 7}
    assert found.segments[0].calls == 17
    assert "7 events of madvise found no room" in render_soak_text(found)


def test_a_counter_that_runs_backwards_is_no_evidence() -> None:
    with pytest.raises(EvidenceError, match="runs backwards"):
        summarize_soak(MANIFEST, iter([line(0, 10), line(1, 9)]), name="x")


@pytest.mark.parametrize("missed_ns", [-160_000_000_000, 160_000_000_000])
def test_a_row_that_was_read_while_the_kernel_changed_it_is_counted_with_the_next_reading(missed_ns: int) -> None:
    """The sum of the ends has a time stamp that the sum of the begins has not yet, or the other way round."""

    def held(n: int, shift: int = 0) -> Checkpoint:
        of = line(n, 10 * n)
        rows = ((10, -1, n, (n * 2_000_000 + shift) % (1 << 64), 2_000_000),)
        return replace(of, tables={**of.tables, "mmap_write": SoakTable(rows=rows)})

    whole = summarize_soak(MANIFEST, map(held, range(4)), name="x")
    found = summarize_soak(MANIFEST, iter([held(0), held(1, missed_ns), held(2), held(3)]), name="x")
    assert found.locks == whole.locks
    assert [row.waits for row in found.locks] == [3]
    ended = summarize_soak(MANIFEST, iter([held(0), held(1), held(2), held(3, missed_ns // 160 * 280)]), name="x")
    assert [(row.waits, row.wait_total_ns) for row in ended.locks] == [(2, 4_000_000)], (
        "a soak that ends with such a reading"
    )
    assert any("while the kernel changed it" in note for note in found.notes)
    with pytest.raises(EvidenceError, match="runs backwards"):
        summarize_soak(MANIFEST, iter([held(0), held(1), held(2), held(3, -3_000_000)]), name="x")


def test_a_line_that_was_cut_off_is_dropped_and_the_next_begins_anew(tmp_path: Path) -> None:
    writer = SoakWriter.create(tmp_path / "s", MANIFEST)
    writer.append(line(0, 5))
    writer.append(line(1, 9))
    with pytest.raises(UsageError, match="another process"):
        SoakWriter.reopen(tmp_path / "s")
    writer.close()
    path = tmp_path / "s" / "checkpoints.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    assert [each.n for each in read_checkpoints(tmp_path / "s")] == [0]
    again = SoakWriter.reopen(tmp_path / "s")
    again.append(line(2, 40))
    again.close()
    assert [each.n for each in read_checkpoints(tmp_path / "s")] == [0, 2]
    assert read_soak(tmp_path / "s").madvise[0].calls == 40


def test_damage_inside_the_file_is_refused_with_its_line(tmp_path: Path) -> None:
    writer = SoakWriter.create(tmp_path / "s", MANIFEST)
    writer.append(line(0, 5))
    writer.close()
    path = tmp_path / "s" / "checkpoints.jsonl"
    path.write_bytes(b"{nonsense}\n" + path.read_bytes())
    with pytest.raises(SchemaError, match=r"jsonl:1 is not JSON"):
        read_soak(tmp_path / "s")


def test_no_interval_from_one_boot_and_one_from_several() -> None:
    def soak(*per_boot: int) -> list[Checkpoint]:
        lines = []
        for boot, calls in enumerate(per_boot):
            for step in (0, 1):
                n = 2 * boot + step
                lines.append(line(n, calls * step, segment=boot, boot=f"b{boot}"))
        return lines

    one = summarize_soak(MANIFEST, iter(soak(100)), name="x")
    many = [summarize_soak(MANIFEST, iter(soak(*calls)), name="x") for calls in ((100, 110, 105), (300, 310, 290))]
    single = compare_soaks(one, one)
    assert all(rate.interval is None for rate in single.rates)
    assert "no interval" in single.notes[0]
    [rate] = [rate for rate in compare_soaks(*many).rates if rate.name == "madviseCalls"]
    assert (rate.baseline, rate.candidate) == (105 * 60, 300 * 60)
    assert rate.interval is not None
    assert 0 < rate.interval[0] < 195 * 60 < rate.interval[1]
    with pytest.raises(NotComparable):
        compare_soaks(one, replace(one, device=replace(DEVICE, model="other")))


def test_the_page_is_offline_and_escapes_names() -> None:
    hostile = replace(GC, process="<script>alert(1)</script>")
    page = render_soak_html(summarize_soak(MANIFEST, iter([line(0, 0), line(1, 5, threads=(hostile,))]), name="x"))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["soak"], "give the folder"),
        (["soak", "--out", "{}/new"], "say how long"),
        (["soak", "--minutes", "1", "--out", "{}/new", "--entries", "100"], "power of two"),
        (["soak", "--minutes", "1", "--out", "{}/new", "--arch", "arm64"], "add --kernel"),
        (["soak", "--minutes", "1", "--out", "{}/new", "--kernel", "6.17.13", "--serial", "x"], "leave out --serial"),
        (["soak", "--resume", "{}/none"], "no folder of a soak"),
        (["soak", "report", "{}"], "no folder of a soak"),
    ],
)
def test_wrong_use_has_a_sentence_and_code_2(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([word.format(tmp_path) for word in words]) == 2
    assert said in capsys.readouterr().err


def test_report_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = SoakWriter.create(tmp_path / "s", MANIFEST)
    for each in (line(0, 0), line(1, 50, 3)):
        writer.append(each)
    writer.close()
    assert run(["soak", "report", str(tmp_path / "s"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["version"]) == ("android-suite/soak", 1)
    assert told["madvise"][0]["calls"] == 50
    assert run(["soak", "compare", str(tmp_path / "s"), str(tmp_path / "s")]) == 0
    assert "madvise calls an hour" in capsys.readouterr().out
