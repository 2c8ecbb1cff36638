"""Recording on the scripted phone, from the command line to a sealed run: raw_syscalls only, heat, reboot, lost cable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from android_suite.model.run import Manifest
from android_suite.store.run import open_run
from android_suite.workload.our_app import VERSION_CODE
from tests.phone.conftest import Done, MakePhone, Suite
from tests.phone.test_readiness import snapshot
from tests.scripted_phone import Fault, ScriptedPhone

LAUNCHES = ("--set", "package=com.example.app", "--set", "activity=.MainActivity", "--set", "launches=1")
QUICKLY = (*LAUNCHES, "--set", "states=cold", "--set", "settle_ms=0", "--set", "fully_drawn_timeout_ms=2000")


def draw_frames(phone: ScriptedPhone, package: str) -> None:
    """What the kernel sees of a launch: the app is woken, maps memory, and its heap daemon frees some."""
    pid = phone.pid_of(package)
    daemon = phone.thread_of(package, "HeapTaskDaemon")
    emit = phone.tracefs.emit
    for call in range(20):
        emit("sched:sched_waking", "example.app", pid, 110, 0, pid=0)
        emit("sched:sched_switch", "swapper/0", 0, 120, "R", "example.app", pid, 110, pid=0)
        emit("raw_syscalls:sys_enter", 226, (0x7000_0000, 4096, 3, 0, 0, 0), pid=pid)
        for edge in ("start_locking", "acquire_returned", "released"):
            success = (1,) if edge == "acquire_returned" else ()
            emit(f"mmap_lock:mmap_lock_{edge}", 0xFFFF_8800_0000_1000, 1, 1, *success, pid=pid)
        emit("raw_syscalls:sys_exit", 226, 0, pid=pid)
        emit("sched:sched_switch", "example.app", pid, 110, "S", "HeapTaskDaemon", daemon, 124, pid=pid)
        emit("raw_syscalls:sys_enter", 233, (0x7100_0000 + call * 65536, 65536, 4, 0, 0, 0), pid=daemon)
        emit("raw_syscalls:sys_exit", 233, 0, pid=daemon)
        emit("sched:sched_switch", "HeapTaskDaemon", daemon, 124, "S", "swapper/0", 0, 120, pid=daemon)


@pytest.mark.parametrize("root", ["debuggable", "magisk", "su0"])
def test_a_launch_is_recorded_and_everything_put_back(
    make_phone: MakePhone, suite: Suite, tmp_path: Path, root: str
) -> None:
    phone = make_phone(root=root)
    phone.on_launch = draw_frames
    before, tracing = snapshot(phone), dict(phone.tracefs.settings())
    done = suite("record", "app_launch", "--serial", phone.address, "-o", "run", *LAUNCHES)
    assert done.exit_code == 0, done.output
    assert snapshot(phone) == before
    # a buffer that was never used cannot be made so again: it gets the size it would have got
    assert phone.tracefs.settings() == {**tracing, "buffer_size_kb": "1408"}
    manifest = open_run(tmp_path / "run").manifest
    assert manifest.kernel is not None
    assert manifest.kernel.release == phone.kernel
    (iteration,) = manifest.iterations
    assert iteration.status == "complete"
    assert iteration.lost_events == 0
    assert "raw_syscalls:sys_enter" in iteration.trace_setup["events"]
    raw = tmp_path / "run" / "raw" / iteration.directory
    rows = json.loads((raw / "launches.json").read_text())
    assert [(row["asked"], row["outcome"], row["total_ms"]) for row in rows] == [
        ("cold", "ok", 480), ("warm", "ok", 190), ("hot", "ok", 60),
    ]  # fmt: skip
    assert [row["fully_drawn"] for row in rows] == ["+520ms", "+230ms", "+100ms"]
    assert (raw / "ftrace" / "cpu0.raw").stat().st_size > 4096
    assert json.loads((raw / "ready.json").read_text())["state"]["thermal_status"] == 0


def record_iterations(suite: Suite, phone: ScriptedPhone, *words: str) -> Done:
    return suite("record", "app_launch", "--serial", phone.address, "-o", "run", *QUICKLY, *words)


def read_manifest(tmp_path: Path) -> Manifest:
    return open_run(tmp_path / "run").manifest


def test_a_hot_iteration_is_marked_and_repeated(make_phone: MakePhone, suite: Suite, tmp_path: Path) -> None:
    phone = make_phone(root="adbd")
    launches: list[str] = []

    def heat_up(_phone: ScriptedPhone, package: str) -> None:
        launches.append(package)
        if len(launches) == 2:  # the first measured launch
            phone.state.thermal.status, phone.state.thermal.cools_in = 3, 4

    phone.on_launch = heat_up
    done = record_iterations(suite, phone, "--iterations", "2")
    assert done.exit_code == 0, done.output
    found = [(i.status, i.repeated, i.seed) for i in read_manifest(tmp_path).iterations]
    assert found == [("discarded", True, 1), ("complete", False, 1), ("complete", False, 2)]
    assert "thermal status is severe" in read_manifest(tmp_path).iterations[0].reason
    assert "waiting for the device to cool: its thermal status is severe" in done.output


def test_our_apps_are_installed_before_the_first_iteration(make_phone: MakePhone, suite: Suite, tmp_path: Path) -> None:
    """An installation during an iteration would disturb it."""
    phone = make_phone(root="adbd")
    assert phone.state.packages["com.androidsuite.workload"].version < VERSION_CODE
    quickly = ("--set", "launches=1", "--set", "states=cold", "--set", "settle_ms=0", "--no-trace")
    done = suite("record", "launch_background_gc", "--serial", phone.address, "-o", "run", *quickly, "--repeats", "0")
    assert done.exit_code == 0, done.output
    for package in ("com.androidsuite.workload", "com.androidsuite.background"):
        assert done.output.count(f"installing {package}, version {VERSION_CODE}") == 1
        assert phone.state.packages[package].version == VERSION_CODE
    assert [i.status for i in read_manifest(tmp_path).iterations] == ["complete"]


def test_a_phone_that_stays_hot_ends_it(make_phone: MakePhone, suite: Suite, tmp_path: Path) -> None:
    phone = make_phone(root="adbd")
    phone.on_launch = lambda _phone, _package: setattr(phone.state.thermal, "status", 3)
    before = snapshot(phone)
    done = record_iterations(suite, phone, "--cool", "0", "--iterations", "2")
    assert done.exit_code == 4, done.output
    assert "did not cool in 0 s" in done.output
    assert snapshot(phone) == before
    assert [i.status for i in read_manifest(tmp_path).iterations] == ["discarded", "incomplete"]


def test_without_repeats_a_disturbed_iteration_is_doubtful(make_phone: MakePhone, suite: Suite, tmp_path: Path) -> None:
    phone = make_phone(root="adbd")
    phone.on_launch = lambda _phone, _package: setattr(phone.state.battery, "temperature", 480)
    done = record_iterations(suite, phone, "--repeats", "0")
    assert done.exit_code == 5, done.output
    assert "its battery has 48.0 °C" in done.output
    assert [i.repeated for i in read_manifest(tmp_path).iterations] == [False]


def test_a_reboot_in_the_middle_is_a_crash_of_the_kernel(make_phone: MakePhone, suite: Suite, tmp_path: Path) -> None:
    phone = make_phone(root="adbd")
    before = snapshot(phone)

    def panics(_phone: ScriptedPhone, _package: str) -> None:
        phone.state.properties["ro.boot.bootreason"] = "kernel_panic,oops"
        phone.reboot()

    launches: list[str] = []
    phone.on_launch = lambda p, package: (launches.append(package), panics(p, package) if len(launches) == 2 else None)
    done = record_iterations(suite, phone, "--iterations", "3")
    assert done.exit_code == 1, done.output
    (iteration,) = read_manifest(tmp_path).iterations
    assert iteration.status == "incomplete"
    assert iteration.crash is not None
    assert "kernel_panic,oops" in iteration.crash.summary
    assert phone.state.settings["global"]["window_animation_scale"] == "0"  # nobody could put it back
    again = suite("record", "app_launch", "--serial", phone.address, "-o", "again", *QUICKLY)
    assert again.exit_code == 0, again.output
    assert "an interrupted recording left" in again.output
    assert snapshot(phone) == before


def test_a_lost_cable_ends_it_with_what_there_is(make_phone: MakePhone, suite: Suite, tmp_path: Path) -> None:
    phone = make_phone(root="adbd")
    launches: list[str] = []

    def pull_the_cable(_phone: ScriptedPhone, package: str) -> None:
        launches.append(package)
        if len(launches) == 2:
            phone.unplug(back_s=1)

    phone.on_launch = pull_the_cable
    done = record_iterations(suite, phone)
    assert done.exit_code == 4, done.output
    assert "went away" in done.output
    assert read_manifest(tmp_path).iterations[0].status == "incomplete"
    again = suite("record", "app_launch", "--serial", phone.address, "-o", "again", *QUICKLY)
    assert again.exit_code == 0, again.output
    assert phone.tracefs.settings()["set_event"] == []
    assert phone.tracefs.settings()["trace_clock"] == "boot"


def test_the_phone_vanishes_while_evidence_is_fetched(make_phone: MakePhone, suite: Suite, tmp_path: Path) -> None:
    phone = make_phone(root="adbd")
    phone.faults.append(Fault("dumpsys gfxinfo .*framestats", "vanish", after_bytes=20, times=1, back_s=1))
    done = record_iterations(suite, phone)
    assert done.exit_code == 4, done.output
    assert read_manifest(tmp_path).iterations[0].status == "incomplete"


def test_doctor_says_what_each_root_can_measure(make_phone: MakePhone, suite: Suite) -> None:
    phone = make_phone(root="none")
    done = suite("doctor", "--serial", phone.address, "--json")
    assert done.exit_code == 3, done.output
    rows = {row["name"]: row for row in json.loads(done.stdout)["device"]}
    assert not rows["root"]["available"]
    assert rows["gfxinfo"]["available"]
