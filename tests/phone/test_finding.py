"""Connecting to the scripted phone: root in every form, denials, a server that dies, a connection that comes back."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from android_suite.boot.attached import probe_reboot
from android_suite.capture.trace_files import read_tracefs_facts
from android_suite.device import connect as connecting
from android_suite.device.connect import connect, list_devices
from android_suite.device.device import TRACEFS_PLACES, Device
from android_suite.errors import DeviceLost, NotReady, Unsupported
from android_suite.workload.our_app import VERSION_CODE
from tests.phone.conftest import MakePhone, Suite
from tests.scripted_phone.server import AdbServer

RAW = "/sys/kernel/tracing/per_cpu/cpu0/trace_pipe_raw"


@pytest.mark.parametrize(
    ("root", "told"),
    [
        ("adbd", "adbd runs as root"),
        ("adb root", "adbd runs as root"),
        ("magisk", "by `su -c`"),
        ("su0", "by `su 0 sh -c`"),
        ("none", "this is a user build without su"),
    ],
)
def test_every_way_to_root(
    make_phone: MakePhone, server: AdbServer, cache: Path, suite: Suite, root: str, told: str
) -> None:
    phone = make_phone(root=root)
    device = Device(connect(server.config(cache), phone.address))
    rooted = root != "none"
    assert device.is_root() == rooted
    if rooted:
        # what is pushed, streamed and written goes the same way
        device.transport.push(b"secret", "/data/data/pushed", mode=0o600)
        assert device.transport.pull("/data/data/pushed") == b"secret"
        with device.transport.stream("read line; echo $line; id") as stream:
            stream.write(b"hello\n")
            said = b""
            while data := stream.read(timeout=20):
                said += data
        assert said.startswith(b"hello\nuid=0(root)")
    assert device.look([RAW, "/nowhere"]) == {RAW: "readable" if rooted else "denied", "/nowhere": "absent"}
    if root in ("adb root", "none"):  # one of each outcome, as the command line says it
        done = suite("doctor", "--serial", phone.address, "--json")
        rows = {row["name"]: row for row in json.loads(done.stdout)["device"]}
        assert told in rows["root"]["detail"] + rows["root"]["remedy"]
        assert rows["trace_pipe_raw"]["available"] == rooted
        assert rows["gfxinfo"]["available"]
        assert done.exit_code == (0 if rooted else 3), done.output
        assert rooted or "is there but needs root" in rows["trace_pipe_raw"]["remedy"]


def test_a_phone_on_a_cable_is_waited_for(
    make_phone: MakePhone, server: AdbServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """adb lists it not at all, and connects to it by itself, when its adbd restarts or the whole phone does."""
    phone = make_phone(root="adb root")
    config = server.config(cache)
    (listed,) = list_devices(config)
    monkeypatch.setattr(connecting, "_is_network", lambda name: False)
    unplug, plug = phone.unplug, phone.plug
    timers: list[threading.Timer] = []

    def go() -> None:
        unplug()
        server.run("disconnect", phone.address)

    def come() -> None:
        plug()
        timers.append(threading.Timer(1, server.connect, (phone.address,)))
        timers[-1].start()

    monkeypatch.setattr(phone, "unplug", go)
    monkeypatch.setattr(phone, "plug", come)
    device = Device(connect(config, f"transport_id:{listed.transport_id}"))
    assert device.is_root()
    assert device.serial == phone.address  # which the restart did not change
    before = device.boot_id()
    phone.state.properties["ro.boot.bootreason"] = "kernel_panic"
    phone.reboot()

    def work_on() -> None:
        while True:
            device.run("true", timeout=60)

    with pytest.raises(DeviceLost):
        work_on()
    crash = probe_reboot(config, phone.address, boot_before=before, timeout=180)
    for timer in timers:
        timer.join()
    assert crash is not None
    assert "kernel_panic" in crash.summary


def test_selinux_is_told_from_what_is_missing(
    make_phone: MakePhone, server: AdbServer, cache: Path, suite: Suite
) -> None:
    phone = make_phone(root="magisk", denied=("/sys/kernel/tracing", "/sys/kernel/tracing/available_events"))
    device = Device(connect(server.config(cache), phone.address))
    assert device.look(TRACEFS_PLACES) == {TRACEFS_PLACES[0]: "denied", TRACEFS_PLACES[1]: "absent"}
    with pytest.raises(Unsupported, match=r"denies /sys/kernel/tracing to root \(SELinux\)"):
        read_tracefs_facts(device)
    done = suite("doctor", "--serial", phone.address)
    assert done.exit_code == 3
    assert "SELinux denies /sys/kernel/tracing even to root" in " ".join(done.output.split())


def test_a_lost_connection_and_a_dead_server(make_phone: MakePhone, server: AdbServer, cache: Path) -> None:
    phone = make_phone(root="adbd")
    config = server.config(cache)
    device = Device(connect(config, phone.address))
    phone.unplug()
    with pytest.raises(DeviceLost):
        device.run("true", timeout=60)
    with pytest.raises(NotReady, match="check address and port"):
        connect(config, phone.address, timeout=1)
    phone.plug()
    device = Device(connect(config, phone.address))
    assert device.is_root()
    server.kill()
    with pytest.raises(DeviceLost):
        device.run("true", timeout=60)
    assert Device(connect(config, phone.address)).is_root()  # a new server, which did not know the phone


def test_the_key_was_not_accepted(make_phone: MakePhone, server: AdbServer, cache: Path) -> None:
    stranger = make_phone(connect=False, authorization="refuse")
    with pytest.raises(NotReady, match="accept this machine's key"):
        connect(server.config(cache), stranger.address, timeout=2)


def test_work_profiles(make_phone: MakePhone, suite: Suite, tmp_path: Path) -> None:
    phone = make_phone(root="adbd", users={0: "Owner", 10: "Work profile"})
    words = ("record", "app_launch", "--no-trace", "--serial", phone.address, "--set", "package=com.example.app")
    quickly = ("--set", "activity=.MainActivity", "--set", "launches=1", "--set", "states=cold", "--set", "settle_ms=0")
    done = suite(*words, *quickly, "--set", "user=10", "-o", "absent")
    assert done.exit_code == 4
    assert "com.example.app is not installed for user 10" in done.output
    phone.state.packages["com.example.app"].users = (0, 10)
    done = suite(*words, *quickly, "--set", "user=10", "-o", "run")
    assert done.exit_code == 0, done.output
    (row,) = json.loads(next((tmp_path / "run").glob("raw/*/launches.json")).read_text())
    assert row["outcome"] == "ok"
    assert row["fully_drawn"] == "+520ms"  # of "Fully drawn com.example.app/.MainActivity for user 10: +520ms"
    # our own app is given to that user
    phone.state.packages["com.androidsuite.workload"].version = VERSION_CODE
    stress = ("record", "gc_stress", "--no-trace", "--serial", phone.address, "--set", "duration_ms=100", "-o")
    del phone.services[:]
    done = suite(*stress, "ours", "--user", "10")
    assert done.exit_code == 0, done.output
    assert "installing com.androidsuite.workload for user 10" in done.output
    started = [service for service in phone.services if "am start" in service]
    assert started
    assert all("am start -W --user 10 -n com.androidsuite.workload/.GcStressActivity" in each for each in started)
    done = suite(*stress, "nobody", "--user", "11")
    assert done.exit_code == 4
    assert "could not be installed for user 11" in done.output
