"""Verbs over a transport."""

from __future__ import annotations

import pytest

from android_suite.device.device import Device
from android_suite.device.files import Write, render_write_script
from android_suite.device.scripted import Exchange, ScriptedTransport
from android_suite.errors import AdbError, DeviceLost


def test_a_failing_command_names_itself_and_its_complaint() -> None:
    device = Device(ScriptedTransport([Exchange(command="false", stderr=b"no reason\n", status=1)]))
    with pytest.raises(AdbError, match=r"`false` ended with status 1 \(no reason\)"):
        device.run(["false"])


def test_a_refused_write_names_file_value_and_reason() -> None:
    writes = [Write(path="/t/clock", value="bogus"), Write(path="/t/x", value="1", optional=True)]
    answer = b"sh: write error: Invalid argument\n=android-suite-end-of-file= 0\n"
    device = Device(ScriptedTransport([Exchange(command=render_write_script(writes), stdout=answer)]))
    with pytest.raises(AdbError, match=r"'bogus' for /t/clock \(sh: write error: Invalid argument\)"):
        device.write_files(writes)


def test_an_optional_write_is_reported() -> None:
    writes = [Write(path="/t/clock", value="mono"), Write(path="/t/x", value="1", optional=True)]
    answer = b"=android-suite-end-of-file= 1\n"
    device = Device(ScriptedTransport([Exchange(command=render_write_script(writes), stdout=answer)]))
    assert device.write_files(writes) == (writes[1],)


def test_a_lost_device_is_not_hidden() -> None:
    device = Device(ScriptedTransport([Exchange(command="id", error=DeviceLost("gone"))]))
    with pytest.raises(DeviceLost):
        device.is_root()


def test_the_script_fails_a_test_that_asks_for_more() -> None:
    with pytest.raises(AssertionError, match="ran dry"):
        Device(ScriptedTransport([])).is_root()
    with pytest.raises(AssertionError, match="expected 'x'"):
        Device(ScriptedTransport([Exchange(command="x")])).is_root()
    with pytest.raises(AssertionError, match="not asked for"):
        ScriptedTransport([Exchange(command="x")]).finish()


def test_pids() -> None:
    script = [Exchange(command="pidof a.b", stdout=b"12 34\n"), Exchange(command="pidof a.b", status=1)]
    device = Device(ScriptedTransport(script))
    assert device.pidof("a.b") == (12, 34)
    assert device.pidof("a.b") == ()
