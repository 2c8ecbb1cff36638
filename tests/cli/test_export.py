"""`export`: every kind of file from one trace, and what cannot be written is refused before anything is."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.cli.main import run as run_cli
from android_suite.export import PERFETTO, TEXT, TRACE_DAT, export_trace
from android_suite.trace.detect import open_trace
from tests.cli.conftest import MakeRun
from tests.trace.captures import make_record, write_capture
from tests.trace.pages import PageWriter, make_layout

Capsys = pytest.CaptureFixture[str]


def run(words: list[str], capsys: Capsys) -> tuple[int, str]:
    capsys.readouterr()
    status = run_cli(words)
    return status, capsys.readouterr().err


def test_all_kinds_of_one_run_hold_the_same_events(make_run: MakeRun, tmp_path: Path, capsys: Capsys) -> None:
    source = make_run("new").path
    files = {option: tmp_path / f"x{option}" for option in (PERFETTO, TRACE_DAT, TEXT)}
    status, said = run(["export", str(source), *(w for o, f in files.items() for w in (o, str(f)))], capsys)
    assert status == 0
    assert [line.split(";")[0] for line in said.splitlines()[:3]] == [f"wrote {file}" for file in files.values()]
    read = {option: open_trace(file) for option, file in files.items()}
    events = read[TRACE_DAT].source.events
    assert events == 519
    assert (read[PERFETTO].source.events, read[TEXT].source.events) == (events, events)
    for table in ("sched_switch", "sched_wake", "mmap_lock", "marker", "task"):
        assert {option: len(trace[table]) for option, trace in read.items()} == dict.fromkeys(
            files, len(read[TRACE_DAT][table])
        )
    cpus, first = files[TEXT].read_text().splitlines()[:2]
    assert cpus == f"cpus={read[TRACE_DAT].source.cpus}"
    assert first[16] == "-"
    assert "[0" in first


def test_text_of_a_trace_dat_is_that_of_the_run(make_run: MakeRun, tmp_path: Path) -> None:
    source = make_run("old").path
    dat, first, second = (tmp_path / name for name in ("x.dat", "first.txt", "second.txt"))
    export_trace(source, {TRACE_DAT: dat, TEXT: first})
    export_trace(dat, {TEXT: second})
    assert first.read_bytes() == second.read_bytes()


def test_a_text_trace_becomes_no_trace_dat(small_trace: Path, tmp_path: Path, capsys: Capsys) -> None:
    made = tmp_path / "x.pftrace"
    for option, reason in (("--trace-dat", "a run directory is needed"), ("--text", "a run directory or a trace.dat")):
        words = ["export", str(small_trace), "--perfetto", str(made), option, str(tmp_path / "x")]
        status, said = run(words, capsys)
        assert status == 2
        assert reason in said
        assert len(said.splitlines()) == 1
        assert not made.exists()


def test_the_shared_case(shared_cases: Path, tmp_path: Path, capsys: Capsys) -> None:
    trace = shared_cases / "traces/export-trace-dat/trace.txt"
    made = tmp_path / "x.pftrace"
    status, said = run(["export", str(trace), "--perfetto", str(made), "--trace-dat", str(tmp_path / "x.dat")], capsys)
    assert status == 2
    assert "no trace.dat can be made" in said
    assert not made.exists()


def test_the_trace_itself_is_never_written_over(make_run: MakeRun, tmp_path: Path, capsys: Capsys) -> None:
    dat = tmp_path / "x.dat"
    export_trace(make_run("new").path, {TRACE_DAT: dat})
    before = dat.read_bytes()
    for option in ("--text", "--perfetto"):
        status, said = run(["export", str(dat), option, str(dat)], capsys)
        assert status == 2
        assert "is the trace itself" in said
    status, said = run(["export", str(dat), "--text", str(tmp_path / "x"), "--perfetto", str(tmp_path / "x")], capsys)
    assert status == 2
    assert "name the same file" in said
    status, said = run(["export", str(dat), "--trace-dat", str(tmp_path / "y.dat")], capsys)
    assert status == 2
    assert "it is one already" in said
    assert dat.read_bytes() == before


def test_what_a_perfetto_file_has_not_is_said(tmp_path: Path, capsys: Capsys) -> None:
    layout = make_layout()
    writer = PageWriter(layout)
    for i in range(5):
        writer.add(1000 + i, make_record("sched_waking", 7, comm="x", pid=9, prio=120, target_cpu=0))
    for i in range(3):
        writer.add(2000 + i, make_record("sched_wakeup", 7, comm="x", pid=9, prio=120, target_cpu=0))
    folder = write_capture(tmp_path / "capture", layout, {0: writer.finish()})
    form = folder / "ftrace" / "formats" / "sched" / "sched_wakeup"
    form.with_name("vendor_boost").write_text(form.read_text().replace("name: sched_wakeup", "name: vendor_boost"))
    form.unlink()
    status, said = run(["export", str(folder), "--perfetto", str(tmp_path / "x.pftrace")], capsys)
    assert status == 0
    assert "3 events of kinds that the suite does not keep are not in" in said
    assert "3 sched:vendor_boost" in said
    assert open_trace(tmp_path / "x.pftrace").source.events == 5
