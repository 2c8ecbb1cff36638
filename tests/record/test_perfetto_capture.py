"""Debian's real traced, traced_probes and perfetto in a virtual device: both ways at once, and without tracefs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from android_suite.analyze.file import analyze_file
from android_suite.analyze.traces import read_iteration_trace
from android_suite.boot.booted import Booted
from android_suite.boot.virtual import boot_virtual
from android_suite.capture.perfetto_client import FOLDER, read_service
from android_suite.capture.ways import Asked
from android_suite.device.device import Device
from android_suite.record.live import RecordOptions, record
from android_suite.store.run import Run, create_run
from android_suite.tables.trace import Trace
from android_suite.trace.perfetto.reader import read_perfetto
from android_suite.trace.ring.capture_folder import read_raw_capture
from android_suite.virtual.perfetto import build_perfetto
from tests.settings import CONFIG

pytestmark = pytest.mark.vdev

KERNEL, ARCH, APP = "6.17.13", "arm64", "com.androidsuite.workload"
# Table -> what has one order in both buffers. A call's events may be preempted between the two buffers and enter the
# second one on another CPU; the other events are written with preemption off.
TABLES = {"sched_switch": "cpu", "mmap_lock": "cpu", "syscall": "tid"}
# Perfetto names the call of an event and not its number; the buffers give the same event different times.
NOT_COMPARED = ("seq", "ts_ns", "cpu", "nr")
# As on a phone without root: the daemon has tracefs, the shell has nothing of it but the file for markers.
HIDE_TRACEFS = """
for p in $(pidof traced_probes); do kill $p; done
while pidof traced_probes > /dev/null; do sleep 0.1; done
setsid busybox unshare -m traced_probes < /dev/null > /tmp/traced_probes.log 2>&1 &
tries=100
until perfetto --query | grep -q linux.ftrace || [ $tries = 0 ]; do sleep 0.2; tries=$((tries - 1)); done
mkdir -p /tmp/tracefs
mount -t tracefs tracefs /tmp/tracefs
umount -l /sys/kernel/debug
mount -t tmpfs none /sys/kernel/tracing
touch /sys/kernel/tracing/trace_marker
mount --bind /tmp/tracefs/trace_marker /sys/kernel/tracing/trace_marker
umount /tmp/tracefs
"""


@pytest.fixture(scope="module")
def booted() -> Iterator[Booted]:
    overlay = build_perfetto(ARCH, config=CONFIG).path
    with boot_virtual(KERNEL, arch=ARCH, config=CONFIG, overlays=(overlay,)) as device:
        yield device


def record_once(booted: Booted, folder: Path, capture: Asked) -> Run:
    run = create_run(folder, label="test", mode="realtime")
    options = RecordOptions(cache=CONFIG.cache, parameters={"duration_ms": 1500}, capture=capture)
    record(["gc_stress"], booted.device, run, options)
    return run.seal()


def rows_of(trace: Trace, table: str) -> dict[int, list[tuple[object, ...]]]:
    """The rows of each CPU or thread, in order."""
    frame: pd.DataFrame = trace[table].sort_values("seq")
    columns = [name for name in frame.columns if name not in NOT_COMPARED]
    return {
        int(key): list(zip(*(mine[name].tolist() for name in columns), strict=True))
        for key, mine in frame.groupby(TABLES[table])
    }


def list_instances(device: Device) -> str:
    return device.run("ls /sys/kernel/tracing/instances").text


def test_both_ways_record_the_same_events(booted: Booted, tmp_path: Path) -> None:
    device = booted.device
    # What a recording leaves that was killed: a session and its file.
    left = f"{FOLDER}/android-suite-left.pftrace"
    device.run("perfetto --query > /dev/null")  # the daemons start
    device.run(f"perfetto --background -t 600s -o {left} sched/sched_switch")
    run = record_once(booted, tmp_path / "run", "both")
    [iteration] = run.manifest.iterations
    assert (iteration.status, iteration.reason, iteration.lost_events) == ("complete", "", 0)
    assert iteration.trace_setup["perfetto"]["capture"] == "perfetto"
    raw = run.raw(iteration)
    pages, perfetto = read_raw_capture(raw), read_perfetto(raw / "perfetto/trace.pftrace")
    assert pages.source.lost_events == perfetto.source.lost_events == 0
    # Perfetto starts before the suite and ends after it, so all that the suite has must be in both.
    counts = dict.fromkeys(TABLES, 0)
    for table in TABLES:
        others = rows_of(perfetto, table)
        for key, mine in rows_of(pages, table).items():
            other = others[key]
            few = min(30, len(mine))
            at = next((i for i in range(len(other)) if other[i : i + few] == mine[:few]), len(other))
            assert other[at : at + len(mine)] == mine, f"{table} of {TABLES[table]} {key}"
            counts[table] += len(mine)
    assert min(counts.values()) > 100, counts
    for name in ("mmap_lock:mmap_lock_start_locking", "sched:sched_switch", "syscalls:sys_enter_madvise"):
        assert pages.source.event_counts[name] > 20  # each kind is among what was compared
    # The trace of the run is that of the pages; the service has none of SurfaceFlinger's frames, and that is said.
    assert read_iteration_trace(raw).source.format == "ftrace_raw"
    notes = (raw / "capture_notes.txt").read_text()
    assert "no data source android.surfaceflinger.frametimeline" in notes
    assert "1 traces of interrupted recordings were removed" in notes
    assert list_instances(device) == ""
    assert device.run(f"ls {FOLDER}").text == ""
    assert read_service(device).sessions == 0
    assert device.pidof("perfetto") == ()


def test_without_tracefs_perfetto_records_by_itself(booted: Booted, tmp_path: Path) -> None:
    booted.device.run(HIDE_TRACEFS, timeout=120)
    run = record_once(booted, tmp_path / "run", "auto")
    [iteration] = run.manifest.iterations
    assert (iteration.status, iteration.reason, iteration.lost_events) == ("complete", "", 0)
    assert iteration.trace_digest
    setup = iteration.trace_setup
    assert (setup["capture"], setup["clock"]) == ("perfetto", "boot")
    assert "sched:sched_blocked_reason" in setup["missing"]  # an event of Android's kernels
    assert not (run.raw(iteration) / "ftrace" / "cpu0.raw").exists()
    analysis = analyze_file(run.path)
    assert analysis.source.format == "perfetto"
    assert analysis.source.enabled_events is not None
    assert "sched:sched_blocked_reason" not in analysis.source.enabled_events
    calls = analysis["madvise"]
    assert len(calls) > 50
    assert (analysis.named("madvise")["path"] != "unknown").all()  # on 6.17 with every event recorded
    frames = analysis["frames"]
    assert set(frames["source"]) == {"framestats"}
    # gfxinfo's monotonic times have their place on the trace's boottime.
    assert frames["start_ns"].between(analysis.source.start_ns, analysis.source.end_ns).all()
    assert frames.loc[frames["late"], ["ui_running_ns", "ui_runnable_ns", "ui_sleeping_ns"]].to_numpy().sum() > 0
