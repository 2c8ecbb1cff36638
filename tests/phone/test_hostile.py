"""Hostile input: names that a shell would run, and a device that answers nonsense, nothing, or half."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from android_suite.device.android import is_installed
from android_suite.device.connect import connect
from android_suite.device.device import Device
from android_suite.errors import AdbError, AdbTimeout, DeviceLost, LabError, UsageError
from tests.phone.conftest import MakePhone, Suite
from tests.phone.test_readiness import snapshot
from tests.scripted_phone import Fault, ScriptedPhone
from tests.scripted_phone.server import AdbServer

HOSTILE = (
    "com.ex app", "com.ex;touch /data/local/tmp/pwned", "com.ex$(touch /data/local/tmp/pwned)", "com.ex`touch /tmp/pwned`",
    "com.ex\ntouch /data/local/tmp/pwned", "com.ex'x", 'com.ex"x', "com.ex|touch x", "../../etc/passwd", "-rf", "", "ü.app",
)  # fmt: skip
DEADLINE_S = 1.0
SLACK_S = 20.0  # this machine may be busy; a hang would last for ever


def files_of(phone: ScriptedPhone) -> list[str]:
    return sorted(path.name for path in (phone.jail.root / "data/local/tmp").iterdir())


def test_hostile_names_never_reach_a_shell(make_phone: MakePhone, server: AdbServer, cache: Path, suite: Suite) -> None:
    phone = make_phone(root="magisk")
    device = Device(connect(server.config(cache), phone.address))
    asked = len(phone.services)
    for name in HOSTILE:
        with pytest.raises(UsageError):
            is_installed(device, name)
        for setting in (f"package={name}", f"activity={name}"):
            done = suite("record", "app_launch", "--serial", phone.address, "--set", setting)
            assert done.exit_code == 2, (setting, done.output)
    assert len(phone.services) == asked  # the device was not even asked
    # words that may be anything are quoted, through su as well
    for name in HOSTILE:
        said = device.run(["echo", "-E", f"x{name}x", "$HOME"]).text
        assert said == f"x{name}x $HOME\n"
        device.transport.push(name.encode(), "/data/local/tmp/a 'b' $(c); d")
        assert device.transport.pull("/data/local/tmp/a 'b' $(c); d") == name.encode()
    assert files_of(phone) == ["a 'b' $(c); d"]


def run_once(device: Device) -> None:
    device.run("echo prey", timeout=DEADLINE_S)


def push(device: Device) -> None:
    device.transport.push(b"x" * 300_000, "/data/local/tmp/prey", timeout=DEADLINE_S)


def pull(device: Device) -> None:
    device.transport.pull("/data/local/tmp/big", timeout=DEADLINE_S)


def stream(device: Device) -> None:
    with device.transport.stream("echo prey; sleep 1") as running:
        deadline = time.monotonic() + DEADLINE_S
        while running.read(timeout=deadline - time.monotonic()):
            pass


CALLS: tuple[tuple[str, Callable[[Device], None]], ...] = (
    ("prey", run_once), ("sync:", push), ("sync:", pull), ("prey", stream),
)  # fmt: skip
FAULTS: tuple[tuple[Fault, type[LabError]], ...] = (
    (Fault("", "hang"), AdbTimeout),
    (Fault("", "garbage"), LabError),
    (Fault("", "flood"), LabError),  # in time or, where an answer is one word, as nonsense
    (Fault("", "complain"), LabError),
    (Fault("", "half_close", after_bytes=3), DeviceLost),
    (Fault("", "refuse"), LabError),
    (Fault("", "vanish", after_bytes=3), DeviceLost),
)


def test_a_device_that_misbehaves(make_phone: MakePhone, server: AdbServer, cache: Path) -> None:
    phone = make_phone(root="adbd")
    config = server.config(cache)
    (phone.jail.root / "data/local/tmp/big").write_bytes(b"y" * 500_000)
    for match, call in CALLS:
        for fault, expected in FAULTS:
            device = Device(connect(config, phone.address))
            phone.faults[:] = [Fault(match, fault.what, after_bytes=fault.after_bytes)]
            begun = time.monotonic()
            with pytest.raises(expected) as failed:
                call(device)
            assert time.monotonic() - begun < DEADLINE_S + SLACK_S, (call, fault)
            assert isinstance(failed.value, AdbError | DeviceLost)
            assert str(failed.value).endswith(".")  # with the next step
            phone.faults.clear()
            phone.plug()
    assert Device(connect(config, phone.address)).run("echo well").text == "well\n"


def record(phone: ScriptedPhone) -> tuple[str, ...]:
    """The words of a short recording."""
    values = ("package=com.example.app", "launches=1", "activity=.MainActivity", "states=cold", "settle_ms=0")
    return "record", "app_launch", "--serial", phone.address, *(word for value in values for word in ("--set", value))


def expect_as_before(phone: ScriptedPhone, suite: Suite, before: object, tracing: object) -> None:
    """After all that, the phone records well and has its own settings."""
    phone.faults.clear()
    done = suite(*record(phone), "-o", "well")
    assert done.exit_code == 0, done.output
    assert snapshot(phone) == before
    assert phone.tracefs.settings() == tracing


SLOW_RECORDINGS = (
    ("a device that hangs", Fault("dumpsys battery", "hang", times=1)),
    ("a stream that stays silent", Fault(r"ftrace_drain\S* /sys", "hang", times=1)),
    (
        "a phone that vanishes while pages come",
        Fault(r"ftrace_drain\S* /sys", "vanish", after_bytes=4000, times=1, back_s=0.5),
    ),
    ("a pull that stops in the middle", Fault("dumpsys gfxinfo", "half_close", after_bytes=30, times=1)),
)
RECORDING_DEADLINE_S = 150.0  # of the suite's own timeouts, on a busy machine; a hang would last for ever


@pytest.mark.slow
def test_a_recording_ends_in_time_whatever_the_device_does(make_phone: MakePhone, suite: Suite) -> None:
    phone = make_phone(root="adbd")
    before, tracing = snapshot(phone), {**phone.tracefs.settings(), "buffer_size_kb": "1408"}
    for number, (name, fault) in enumerate(SLOW_RECORDINGS):
        phone.faults[:] = [fault]
        begun = time.monotonic()
        done = suite(*record(phone), "-o", f"run{number}")
        assert time.monotonic() - begun < RECORDING_DEADLINE_S, name
        assert fault.times == 0, name
        assert done.exit_code in (4, 5), (name, done.output)  # the setup failed, or its evidence is incomplete
        assert "Traceback" not in done.output
    expect_as_before(phone, suite, before, tracing)


RECORDINGS = (
    ("dumpsys battery", Fault("dumpsys battery", "garbage", times=1)),
    ("available_events", Fault("available_events", "half_close", after_bytes=100, times=1)),
    ("tracefs", Fault(r"printf %s nop", "half_close", after_bytes=0, times=1)),
    ("ftrace_drain", Fault(r"ftrace_drain\S* /sys", "half_close", after_bytes=4000, times=1)),
    ("am start", Fault(r"am start -W -n \S+ -", "garbage", times=1)),
    ("saved_cmdlines", Fault("saved_cmdlines", "vanish", after_bytes=10, times=1, back_s=0.5)),
)


def test_a_recording_on_a_device_that_misbehaves(make_phone: MakePhone, suite: Suite) -> None:
    phone = make_phone(root="adbd")
    before, tracing = snapshot(phone), {**phone.tracefs.settings(), "buffer_size_kb": "1408"}
    for number, (name, fault) in enumerate(RECORDINGS):
        phone.faults[:] = [fault]
        done = suite(*record(phone), "-o", f"run{number}")
        assert done.exit_code == 4, (name, done.output)
        assert fault.times == 0, name
        assert "Traceback" not in done.output
    expect_as_before(phone, suite, before, tracing)
