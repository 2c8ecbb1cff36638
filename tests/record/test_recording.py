"""Recording on real virtual devices: real adbd, real tracefs, real panics."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from android_suite.boot.booted import Booted
from android_suite.boot.virtual import boot_virtual
from android_suite.capture.ftrace import FtraceCapture
from android_suite.capture.needs import choose_events, find_needs
from android_suite.capture.session import run_session
from android_suite.capture.trace_files import read_tracefs_facts
from android_suite.capture.trace_plan import TraceOptions, state_files
from android_suite.cli import main as cli
from android_suite.device.claim import CLAIM
from android_suite.device.device import Device
from android_suite.errors import DeviceLost, LabError, UsageError
from android_suite.model.run import IterationRecord
from android_suite.record.live import RecordOptions, record
from android_suite.record.sealed import record_deterministic
from android_suite.store.run import RunWriter, create_run, open_run
from android_suite.trace.ring.capture_folder import read_raw_capture
from android_suite.virtual.registry import Registry
from android_suite.workload.workload import ALL_NEEDS
from tests.settings import CONFIG

KERNEL = "6.17.13"
SHORT = {"duration_ms": 2500}


@pytest.fixture(scope="module")
def booted() -> Iterator[Booted]:
    with boot_virtual(KERNEL, config=CONFIG) as device:
        yield device


@pytest.fixture
def run(tmp_path: Path) -> RunWriter:
    return create_run(tmp_path / "run", label="test", mode="realtime")


def read_tracefs(device: Device) -> dict[str, str | None]:
    facts = read_tracefs_facts(device)
    choice = choose_events(find_needs(ALL_NEEDS), facts.available, facts.machine)
    found = dict(device.read_texts(state_files(facts.tracefs, choice)))
    # a buffer that was never used says "7 (expanded: 1408)" once and can never say so again
    found.pop(f"{facts.tracefs}/buffer_size_kb")
    return found


def test_faults_of_the_caller_are_told_before_the_device_is_asked(run: RunWriter) -> None:
    class Untouchable:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"the device was asked for {name}")

    device = Device(Untouchable())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no scenario"):
        record(["gcstress"], device, run, RecordOptions(cache=CONFIG.cache))
    with pytest.raises(UsageError, match="no parameter"):
        record(["gc_stress"], device, run, RecordOptions(cache=CONFIG.cache, parameters={"duration": 1}))
    assert run.manifest.iterations == ()


@pytest.mark.vdev
def test_the_trace_agrees_with_the_apps_own_count(booted: Booted, run: RunWriter) -> None:
    before = read_tracefs(booted.device)
    options = RecordOptions(
        cache=CONFIG.cache, parameters=SHORT, seed=5, expect_release=booted.release, accel=booted.accel
    )
    (iteration,) = record(["gc_stress"], booted.device, run, options, crash_probe=booted.crash_probe)
    assert (iteration.status, iteration.reason, iteration.lost_events, iteration.seed) == ("complete", "", 0, 5)
    assert iteration.trace_digest
    assert read_tracefs(booted.device) == before
    folder = run.seal().raw(iteration)
    result = json.loads((folder / "app_result.json").read_text())
    trace = read_raw_capture(folder)
    assert trace.source.lost_events == 0
    threads = trace["threads"]
    gc = set(threads[(threads.comm == "HeapTaskDaemon") & (threads.tgid == result["pid"])].tid)
    calls = trace.decode_event("sys_enter_madvise") if trace.decode_event else None
    assert calls is not None
    assert calls.tid.isin(gc).sum() == result["madvise"]["gc.dontneed"] > 0
    for name in ("framestats.txt", "smaps.txt", "vmstat_before.txt", "vmstat_after.txt", "logcat.txt", "am_start.txt"):
        assert (folder / name).stat().st_size > 0, name
    kernel = run.manifest.kernel
    assert kernel is not None
    assert kernel.release.startswith(KERNEL)
    assert len(kernel.build_id or "") == 40
    assert run.manifest.device is not None
    assert run.manifest.device.virtual


@pytest.mark.vdev
def test_launches_get_their_states_and_a_command_its_output(booted: Booted, run: RunWriter) -> None:
    options = RecordOptions(
        cache=CONFIG.cache, parameters={"launches": 1, "run": "echo out; echo err >&2; exit 3"}, trace=False
    )
    launch, command = record(["app_launch", "command"], booted.device, run, options)
    opened = run.seal()
    rows = json.loads((opened.raw(launch) / "launches.json").read_text())
    assert [(row["asked"], row["got"], row["discarded"]) for row in rows] == [
        ("cold", "COLD", ""),
        ("warm", "WARM", ""),
        ("hot", "HOT", ""),
    ]
    assert all(row["fully_drawn"].startswith("+") for row in rows)
    assert (command.status, command.traced, command.trace_digest) == ("complete", False, None)
    assert (opened.raw(command) / "command_stdout.txt").read_text() == "out\n"
    assert json.loads((opened.raw(command) / "command.json").read_text())["status"] == 3


@pytest.mark.vdev
def test_what_a_killed_recording_left_is_put_back_by_the_next(booted: Booted, run: RunWriter) -> None:
    device = booted.device
    before = read_tracefs(device)
    killed = FtraceCapture(
        device, find_needs(["SCHED", "MMAP_LOCK"]), facts=read_tracefs_facts(device), cache=CONFIG.cache
    )
    killed.prepare(run.begin_iteration("x", seed=1, boot="b", traced=True, parameters={}))
    assert read_tracefs(device) != before
    (iteration,) = record(["command"], device, run, RecordOptions(cache=CONFIG.cache, parameters={"run": "true"}))
    assert iteration.status == "complete"
    assert read_tracefs(device) == before


@pytest.mark.vdev
def test_two_recordings_of_one_device_do_not_mix(booted: Booted, run: RunWriter) -> None:
    device = booted.device
    facts = read_tracefs_facts(device)
    first, second = (FtraceCapture(device, find_needs(["SCHED"]), facts=facts, cache=CONFIG.cache) for _ in range(2))
    kept = run.begin_iteration("a", seed=1, boot="b", traced=True, parameters={})
    with run_session([first], kept):
        out = run.begin_iteration("b", seed=1, boot="b", traced=True, parameters={})
        with pytest.raises(LabError, match="another recording is running"), run_session([second], out):
            pass
        first.check()
    assert kept.record.lost_events == 0


@pytest.mark.vdev
def test_a_second_recording_is_refused_and_does_the_first_no_harm(
    booted: Booted, run: RunWriter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serial = booted.device.serial
    ends: dict[str, tuple[int, str]] = {}

    def strike() -> None:
        for host in ("same", "other"):  # the other has a cache, and so a lock, of its own
            words = [sys.executable, "-m", "android_suite.cli.main", "record", "app_launch", "--serial", serial]
            env = {**os.environ} | ({"ANDROID_SUITE_CACHE": str(tmp_path / "cache")} if host == "other" else {})
            done = subprocess.run(
                [*words, "-o", str(tmp_path / host)], env=env, capture_output=True, text=True, check=False
            )
            ends[host] = (done.returncode, done.stderr)

    striker = strike_in_mid_scenario(run, strike)
    options = RecordOptions(cache=CONFIG.cache, parameters={"launches": 4})
    (iteration,) = record(["app_launch"], booted.device, run, options, crash_probe=booted.crash_probe)
    striker.join()
    assert (iteration.status, iteration.reason, iteration.crash) == ("complete", "", None)
    assert [code for code, _ in ends.values()] == [4, 4], ends
    assert all(f"another recording runs there (process {os.getpid()} on " in said for _, said in ends.values()), ends
    assert not any((tmp_path / host).exists() for host in ends)
    assert booted.device.run(f"readlink {CLAIM} || true").text == "", "the device is free again"


FIND_DRAIN = (
    "for p in /proc/[0-9]*; do case $(cat $p/comm) in ftrace_drain*) d=$p;; esac; done 2> /dev/null; "
    "slept() { sed -n 's/^voluntary_ctxt_switches:[^0-9]*//p' $d/status; }; "
)
# Waits by the drain's own work, not by time: it sleeps once a pass, and a loaded machine makes its passes late.
TEN_PASSES = FIND_DRAIN + "n=$(slept) && until [ $(slept) -gt $((n + 10)) ]; do sleep 0.1; done"
# Empties the buffer until the drain slept in one and the same ppoll (73 on arm64) before and after: between two passes a
# heartbeat lies there.
EMPTIED = (
    FIND_DRAIN + "look() { read call rest < $d/syscall; echo $call $(slept); }; "
    'until was=$(look); echo > trace; [ "$was" = "$(look)" ] && [ "${was%% *}" = 73 ]; do :; done'
)


@pytest.mark.vdev
@pytest.mark.parametrize(
    ("meddling", "says"),
    [
        (f"echo 0 > tracing_on; {TEN_PASSES}; echo 1 > tracing_on; {TEN_PASSES}", "heartbeats"),
        (f"{EMPTIED}; {TEN_PASSES}", "heartbeats"),
        ("echo 0 > events/sched/sched_waking/enable", "events: 1 off (sched:sched_waking)"),
        ("echo global > trace_clock", "trace_clock from mono to global"),
        ("echo 0 > tracing_on", "tracing_on from 1 to 0"),
    ],
)
def test_a_disturbed_trace_is_incomplete_and_says_why(booted: Booted, run: RunWriter, meddling: str, says: str) -> None:
    before = read_tracefs(booted.device)
    parameters = {"run": f"cd /sys/kernel/tracing; {meddling}"}
    (iteration,) = record(["command"], booted.device, run, RecordOptions(cache=CONFIG.cache, parameters=parameters))
    assert iteration.status == "incomplete"
    assert "the trace was disturbed" in iteration.reason
    assert says in iteration.reason
    assert read_tracefs(booted.device) == before


@pytest.mark.vdev
def test_a_trace_of_somebody_elses_is_not_taken_over(booted: Booted, run: RunWriter) -> None:
    device = booted.device
    device.run("echo 1 > /sys/kernel/tracing/events/irq/enable")
    options = RecordOptions(cache=CONFIG.cache, parameters={"run": "true"})
    try:
        before = read_tracefs(device)
        with pytest.raises(LabError, match=r"another tool is recording a trace \(event irq:.*--take-tracing"):
            record(["command"], device, run, options)
        assert read_tracefs(device) == before, "nothing was touched"
        (iteration,) = record(["command"], device, run, replace(options, take_tracing=True))
        assert iteration.status == "complete"
        assert read_tracefs(device) == before, "and it is put back"
    finally:
        device.run("echo 0 > /sys/kernel/tracing/events/irq/enable")


@pytest.mark.vdev
@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("kill -SEGV $$", 5, "was ended by signal 11, SIGSEGV (status 139)"),
        ("no-such-program", 2, "could not be run (there is no such command, status 127)"),
        ("/system/build.prop", 2, "could not be run (it is not executable, status 126)"),
        ("exit 3", 0, "ended with status 3"),
    ],
)
def test_record_ends_with_0_only_when_all_is_complete(
    booted: Booted, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, code: int, says: str
) -> None:
    words = ["record", "command", "--run", command, "--serial", booted.device.serial, "-o", str(tmp_path / "out")]
    assert cli.run(words) == code
    assert says in capsys.readouterr().err
    [iteration] = open_run(tmp_path / "out").manifest.iterations
    assert (iteration.status == "complete") == (code == 0)


@pytest.mark.vdev
def test_events_that_do_not_fit_are_counted(booted: Booted, run: RunWriter) -> None:
    # 16 KiB a CPU and a drain that comes once: most of it has to be lost, and said to be
    options = RecordOptions(cache=CONFIG.cache, parameters=SHORT, tracing=TraceOptions(buffer_kb=16, period_ms=60_000))
    (iteration,) = record(["gc_stress"], booted.device, run, options)
    assert iteration.lost_events is not None
    assert iteration.lost_events > 100
    assert read_raw_capture(run.seal().raw(iteration)).source.lost_events


@pytest.mark.vdev
def test_another_kernel_than_asked_for_is_refused(booted: Booted, run: RunWriter) -> None:
    options = RecordOptions(cache=CONFIG.cache, parameters=SHORT, expect_release="6.16.12")
    with pytest.raises(LabError, match=r"6\.16\.12 was requested, but the device runs 6\.17\.13"):
        record(["gc_stress"], booted.device, run, options)
    assert run.manifest.iterations == ()


def strike_in_mid_scenario(run: RunWriter, strike: Callable[[], None]) -> threading.Thread:
    """Runs ``strike`` when some thousand events have arrived: what is recorded is then the scenario."""

    def wait_and_strike() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if sum(file.stat().st_size for file in run.path.glob("raw/*/ftrace/cpu*.raw")) > 1 << 17:
                strike()
                return
            time.sleep(0.05)

    thread = threading.Thread(target=wait_and_strike)
    thread.start()
    return thread


@pytest.mark.vdev
def test_a_killed_qemu_is_the_labs_fault_and_leaves_its_evidence(run: RunWriter) -> None:
    with pytest.raises(LabError) as caught, boot_virtual(KERNEL, config=CONFIG) as booted:  # noqa: PT012 - the fault leaves the block
        (pid,) = (r.pid for r in Registry(CONFIG).list_devices() if r.serial == booted.device.serial)
        striker = strike_in_mid_scenario(run, lambda: os.kill(pid, signal.SIGKILL))
        try:
            record(["gc_stress"], booted.device, run, RecordOptions(cache=CONFIG.cache), crash_probe=booted.crash_probe)
        finally:
            striker.join()
    assert caught.value.exit_code == 4
    assert isinstance(caught.value, DeviceLost)
    assert "signal 9" in "".join(caught.value.__notes__)
    (iteration,) = run.manifest.iterations
    assert (iteration.status, iteration.crash) == ("incomplete", None)
    assert "went away" in iteration.reason
    assert iteration.trace_digest is not None, "what had arrived is kept"
    trace = read_raw_capture(run.path / "raw" / iteration.directory)
    assert trace.source.event_counts["sched:sched_switch"] > 100, "and can be read"
    assert trace.source.event_counts["mmap_lock:mmap_lock_acquire_returned"] > 100
    assert (trace["threads"].comm == "adbd").any(), "with the names of the threads there were before"


@pytest.mark.vdev
def test_a_panic_is_a_result(run: RunWriter) -> None:
    with boot_virtual(KERNEL, config=CONFIG) as booted:

        def panic() -> None:
            with pytest.raises(LabError):
                booted.device.transport.run("echo c > /proc/sysrq-trigger", timeout=10)

        striker = strike_in_mid_scenario(run, panic)
        (iteration,) = record(
            ["gc_stress"], booted.device, run, RecordOptions(cache=CONFIG.cache), crash_probe=booted.crash_probe
        )
        striker.join()
    assert iteration.status == "incomplete"
    assert iteration.crash is not None
    assert iteration.crash.kind == "panic"
    assert "sysrq" in iteration.crash.summary
    assert "Call trace" in iteration.crash.console


@pytest.mark.vdev
def test_a_lab_kernel_adds_lock_stat_and_per_vma_counts(lab_kernels: Path, run: RunWriter) -> None:
    image = next(lab_kernels.glob("*per-vma*arm64*"))
    with boot_virtual(str(image), config=CONFIG) as booted:
        (iteration,) = record(["gc_stress"], booted.device, run, RecordOptions(cache=CONFIG.cache, parameters=SHORT))
    folder = run.seal().raw(iteration)
    assert iteration.status == "complete"
    assert "&mm->mmap_lock-R" in (folder / "lock_stat.txt").read_text()
    assert "vma_lock_success" in (folder / "vmstat_after.txt").read_text()


@pytest.mark.vdev
@pytest.mark.parametrize(
    ("meddling", "says"),
    [
        ("true", ""),
        ("echo 0 > tracing_on", "tracing_on from 1 to 0"),
        ("echo 0 > events/sched/sched_waking/enable", "events: 1 off (sched:sched_waking)"),
        ("echo > trace", "it lacks the mark at the start"),
    ],
)
def test_a_trace_that_was_disturbed_in_virtual_time_is_incomplete_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], meddling: str, says: str
) -> None:
    command = f"cd /sys/kernel/tracing && {meddling}"
    words = ["record", "command", "--run", command, "--kernel", KERNEL, "--deterministic", "-o", str(tmp_path / "run")]
    assert cli.run(words) == (5 if says else 0)
    [iteration] = open_run(tmp_path / "run").manifest.iterations
    assert iteration.status == ("incomplete" if says else "complete")
    assert says in iteration.reason
    assert says in capsys.readouterr().err


def record_twice(tmp_path: Path, **options: object) -> list[IterationRecord]:
    found: list[IterationRecord] = []
    for name in ("first", "second"):
        run = create_run(tmp_path / name, label=name, mode="deterministic")
        found += record_deterministic(["gc_stress"], run, config=CONFIG, kernel=KERNEL, **options)  # type: ignore[arg-type]
        run.seal()
    return found


@pytest.mark.vdev
@pytest.mark.slow
def test_a_deterministic_run_repeats_to_the_byte(tmp_path: Path) -> None:
    first, second = record_twice(tmp_path, seed=3, parameters={"duration_ms": 1000})
    assert first.status == second.status == "complete"
    assert first.lost_events == 0
    assert first.boot == "seed-3"
    assert first.trace_digest == second.trace_digest is not None
    folder = tmp_path / "first/raw" / first.directory
    again = tmp_path / "second/raw" / second.directory
    for name in ("app_result.json", "framestats.txt", "smaps.txt", "ftrace/threads.txt"):
        assert (folder / name).read_bytes() == (again / name).read_bytes(), name
    trace = read_raw_capture(folder)
    assert trace.source.event_counts["syscalls:sys_enter_madvise"] > 50
