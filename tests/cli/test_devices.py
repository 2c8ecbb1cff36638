"""`android-suite devices` on what adb lists and cannot use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from android_suite.cli import devices
from android_suite.cli.main import run
from android_suite.device.connect import parse_devices

LISTED = """\
0A1B2C3D  no permissions (missing udev rules? user is in the plugdev group); see [http://x.y/z.html] usb:1-2 transport_id:3
HT69R0200111           unauthorized usb:1-4 transport_id:1
0123456789ABCDEF       offline usb:1-1 transport_id:7
0123456789ABCDEF       recovery usb:1-3 transport_id:8
"""


def test_what_cannot_be_used_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANDROID_SUITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(devices, "list_devices", lambda config: parse_devices(LISTED))
    assert run(("devices", "--json")) == 0
    said = capsys.readouterr()
    rows = {row["serial"]: row["state"] for row in json.loads(said.out)["devices"]}
    assert rows == {
        "0A1B2C3D": "no permissions", "HT69R0200111": "unauthorized", "usb:1-1": "offline", "usb:1-3": "recovery",
    }  # fmt: skip
    told = said.err.splitlines()
    assert told[0].startswith("0A1B2C3D is no permissions (missing udev rules? user is in the plugdev group)")
    assert "install udev rules" in told[0]
    assert "accept this machine's key" in told[1]
    assert "adb reconnect" in told[2]
    assert "usb:1-3 is recovery; boot it into Android" in told[3]
