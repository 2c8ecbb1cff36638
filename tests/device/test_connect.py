"""Which device is meant."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from android_suite.device.connect import (
    AttachedDevice,
    choose_serial,
    connect,
    crosses_network,
    list_devices,
    parse_devices,
)
from android_suite.errors import LabError, NotReady, UsageError
from tests.settings import CONFIG

TEXT = """\
127.0.0.1:5555         device product:vdev model:virtual device:vdev transport_id:3
HT69R0200111           unauthorized transport_id:1
emulator-5554          offline
"""


def attached(serial: str, state: str = "device") -> AttachedDevice:
    return AttachedDevice(serial=serial, state=state)


def test_the_list() -> None:
    found = parse_devices(TEXT)
    assert [(device.serial, device.state) for device in found] == [
        ("127.0.0.1:5555", "device"),
        ("HT69R0200111", "unauthorized"),
        ("emulator-5554", "offline"),
    ]
    assert found[0].model == "virtual"
    assert parse_devices("") == ()


def test_the_only_ready_one() -> None:
    assert choose_serial(None, parse_devices(TEXT)) == "127.0.0.1:5555"


def test_the_named_one() -> None:
    assert choose_serial("B", (attached("A"), attached("B"))) == "B"


def test_several_are_a_choice_to_be_made() -> None:
    with pytest.raises(UsageError, match=r"A, B.*--serial"):
        choose_serial(None, (attached("A"), attached("B"), attached("C", "offline")))


def test_none_is_the_labs_fault() -> None:
    with pytest.raises(LabError, match=r"C is unauthorized\); accept this machine's key"):
        choose_serial(None, (attached("C", "unauthorized"),))
    with pytest.raises(LabError, match=r"C is no permissions\); let this user open USB devices: install udev rules"):
        choose_serial(None, (attached("C", "no permissions"),))
    with pytest.raises(LabError, match=r"C is recovery, D is offline\); attach one"):
        choose_serial(None, (attached("C", "recovery"), attached("D", "offline")))
    with pytest.raises(LabError, match="adb sees none"):
        choose_serial(None, ())


def test_a_transport_id_is_replaced_by_what_outlives_a_reconnection() -> None:
    lines = """A1 device usb:1-1 transport_id:4
B2 device usb:1-2 transport_id:5
B2 device usb:1-3 transport_id:6
(no serial number) device usb:2-1 transport_id:7
C3 device transport_id:8
C3 device transport_id:9
"""
    found = parse_devices(lines)
    names = {number: choose_serial(f"transport_id:{number}", found) for number in range(4, 11)}
    assert names == {
        4: "A1", 5: "usb:1-2", 6: "usb:1-3", 7: "usb:2-1", 8: "transport_id:8", 9: "transport_id:9", 10: "transport_id:10",
    }  # fmt: skip
    assert choose_serial("(no serial number)", found) == "usb:2-1"  # adb takes no such serial
    assert choose_serial(None, parse_devices("(no serial number)  device usb:2-1 transport_id:7\n")) == "usb:2-1"


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("0A1B2C3D", False), ("usb:1-3", False), ("emulator-5554", False), ("192.168.1.7:5555", True), ("[::1]:5555", True),
        ("adb-AB12CD34-xYz9Qw (2)._adb-tls-connect._tcp", True), ("adb-AB12CD34._adb._tcp.", True), ("transport_id:9", True),
    ],
)  # fmt: skip
def test_what_airplane_mode_would_cut(name: str, network: bool) -> None:
    assert crosses_network(name) == network


@pytest.mark.parametrize("listening", [True, False])
def test_adb_does_not_go_on_listing_an_address_where_no_device_answers(listening: bool) -> None:
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        if listening:  # and says nothing: adb lists it as offline
            port.listen()
        serial = f"127.0.0.1:{port.getsockname()[1]}"
        with pytest.raises(NotReady, match=rf"{serial} is (absent|offline|connecting); (check address and port|wait)"):
            connect(CONFIG, serial, timeout=2)
        assert serial not in [device.serial for device in list_devices(CONFIG)]


def test_a_name_of_mdns_is_connected_to_as_an_address_is() -> None:
    serial = "adb-AB12CD34-xYz9Qw (2)._adb-tls-connect._tcp"
    with pytest.raises(NotReady, match="is absent; check address and port"):
        connect(CONFIG, serial, timeout=1)
    assert serial not in [device.serial for device in list_devices(CONFIG)]


def test_the_list_of_a_lab(shared_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    found = parse_devices((shared_root / "cases/device/06-devices-l.txt").read_text())
    wifi, denied, *twins = found
    assert (wifi.serial, wifi.state, wifi.model) == (
        "adb-AB12CD34-xYz9Qw (2)._adb-tls-connect._tcp",
        "device",
        "Pixel_7a",
    )
    assert (denied.serial, denied.state, denied.usb) == ("0A1B2C3D", "no permissions", "usb:1-2")
    assert "missing udev rules?" in denied.detail
    assert [(twin.serial, twin.address, twin.transport_id) for twin in twins] == [
        ("0123456789ABCDEF", "usb:1-1", 7),
        ("0123456789ABCDEF", "usb:1-3", 8),
    ]
    with pytest.raises(UsageError, match=r"--serial usb:1-1 or usb:1-3"):
        choose_serial("0123456789ABCDEF", found)
    assert choose_serial("usb:1-3", found) == "usb:1-3"
    with pytest.raises(UsageError, match=r"\(adb-AB12CD34-xYz9Qw \(2\)\S+, usb:1-1, usb:1-3\)"):
        choose_serial(None, found)


@pytest.mark.parametrize(
    ("line", "serial", "state", "transport"),
    [
        ("emulator-5554\tdevice", "emulator-5554", "device", None),
        ("my device             device product:p transport_id:4", "my device", "device", 4),
        ("????????????           no permissions (verify udev rules) usb:1-4 transport_id:1", "????????????", "no permissions", 1),
        ("(no serial number)     no permissions; see [http://developer.android.com/tools/device.html] usb:2-1",
         "(no serial number)", "no permissions", None),
        ("A1 no permissions (user in plugdev group; are your udev rules wrong?); see [http://x.y/z.html]", "A1",
         "no permissions", None),
        ("A1                     unauthorized usb:336592896X transport_id:12", "A1", "unauthorized", 12),
        ("A1                     authorizing transport_id:12", "A1", "authorizing", 12),
        ("192.168.1.7:5555       offline product:x model:y device:z transport_id:3", "192.168.1.7:5555", "offline", 3),
        ("A1                     somethingnew usb:1-1", "A1", "somethingnew", None),
    ],
)  # fmt: skip
def test_lines_of_every_state(line: str, serial: str, state: str, transport: int | None) -> None:
    (found,) = parse_devices(f"List of devices attached\n{line}\n\n")
    assert (found.serial, found.state, found.transport_id) == (serial, state, transport)
