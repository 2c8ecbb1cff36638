"""Which device is meant."""

from __future__ import annotations

import pytest

from android_suite.device.connect import AttachedDevice, choose_serial, parse_devices
from android_suite.errors import LabError, UsageError

TEXT = """\
127.0.0.1:5555         device product:vdev model:virtual device:vdev transport_id:3
HT69R0200111           unauthorized transport_id:1
emulator-5554          offline
"""


def attached(serial: str, state: str = "device") -> AttachedDevice:
    return AttachedDevice(serial=serial, state=state, model=None, product=None)


def test_the_list() -> None:
    found = parse_devices(TEXT)
    assert [(device.serial, device.state) for device in found] == [
        ("127.0.0.1:5555", "device"),
        ("HT69R0200111", "unauthorized"),
        ("emulator-5554", "offline"),
    ]
    assert found[0].model == "virtual"
    assert parse_devices("") == ()


def test_the_only_ready_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    assert choose_serial(None, parse_devices(TEXT)) == "127.0.0.1:5555"


def test_flag_beats_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_SERIAL", "B")
    two = (attached("A"), attached("B"))
    assert choose_serial(None, two) == "B"
    assert choose_serial("A", two) == "A"


def test_several_are_a_choice_to_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    with pytest.raises(UsageError, match=r"A, B.*--serial"):
        choose_serial(None, (attached("A"), attached("B"), attached("C", "offline")))


def test_none_is_the_labs_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    with pytest.raises(LabError, match="C is unauthorized"):
        choose_serial(None, (attached("C", "unauthorized"),))
    with pytest.raises(LabError, match="adb sees none"):
        choose_serial(None, ())
