"""What proves a kernel."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_suite.device.identity import check_release
from android_suite.device.parse_identity import (
    measure_config_sha256,
    parse_build_id,
    parse_cpu_list,
    parse_memory_kb,
    parse_properties,
    parse_refresh_rate,
)
from android_suite.errors import LabError
from android_suite.model.identity import KernelIdentity


def note(name: bytes, kind: int, value: bytes, order: str = "<") -> bytes:
    def pad(data: bytes) -> bytes:
        return data + b"\0" * (-len(data) % 4)

    return struct.pack(f"{order}III", len(name), len(value), kind) + pad(name) + pad(value)


@pytest.mark.parametrize("order", ["<", ">"])
def test_build_id_behind_other_notes(order: str) -> None:
    notes = note(b"Linux\0", 0x101, b"\x01\x02", order) + note(b"GNU\0", 3, bytes.fromhex("91e9473d"), order)
    assert parse_build_id(notes) == "91e9473d"


@given(st.binary(max_size=200))
def test_no_notes_break_the_reader(notes: bytes) -> None:
    found = parse_build_id(notes)
    assert found is None or bytes.fromhex(found) in notes


def test_config_is_hashed_as_text() -> None:
    text = b"CONFIG_LOCK_STAT=y\n"
    assert measure_config_sha256(gzip.compress(text)) == hashlib.sha256(text).hexdigest()
    assert measure_config_sha256(b"no gzip") is None
    assert measure_config_sha256(gzip.compress(b"\0" * (20 << 20))) is None, "a bomb is no configuration"


def test_properties_of_a_phone(shared_data: Path) -> None:
    found = parse_properties((shared_data / "dumpsys" / "sailfish_getprop_android10.txt").read_text())
    assert found["ro.build.version.sdk"] == "29"
    assert found["ro.product.model"] == "Pixel"


def test_properties_may_span_lines() -> None:
    assert parse_properties("[a]: [1\n2]\n[b]: []\n") == {"a": "1\n2", "b": ""}


@pytest.mark.parametrize(("text", "count"), [("0-3", 4), ("0", 1), ("0-3,6,8-9\n", 7), ("", 0), ("x", 0), ("1-", 0)])
def test_cpu_lists(text: str, count: int) -> None:
    assert parse_cpu_list(text) == count


def test_small_facts() -> None:
    assert parse_memory_kb("MemTotal:         993528 kB\nMemFree: 1 kB\n") == 993528
    assert parse_memory_kb("") == 0
    assert parse_refresh_rate("mActiveModeId=1, refreshRate=120.00001, width=1080") == pytest.approx(120, abs=0.01)
    assert parse_refresh_rate("refreshRate=0.0") is None
    assert parse_refresh_rate("") is None


MODES = (
    "supportedModes [{id=1, width=1080, height=2400, fps=60.000004}, {id=2, width=1080, height=2400, fps=120.00001}]"
)


def test_the_active_mode_gives_the_refresh_rate(shared_root: Path) -> None:
    text = (shared_root / "cases/device/07-dumpsys-display.txt").read_text()
    assert parse_refresh_rate(text) == pytest.approx(120.00001)
    assert parse_refresh_rate(text.replace("mActiveModeId=2", "mActiveModeId=1")) == pytest.approx(60.000004)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        (
            f'  DisplayDeviceInfo{{"Built-in Screen": uniqueId="local:0", modeId 2, defaultModeId 1, {MODES}, state ON}}\n',
            120.00001,
        ),
        # a foldable: the outer panel is off
        (
            (
                f'  DisplayDeviceInfo{{"Outer": uniqueId="local:1", modeId 1, {MODES}, state OFF}}\n    mActiveModeId=1\n'
                '  DisplayDeviceInfo{"Inner": uniqueId="local:2", modeId 7, modes [{id=7, width=1, height=2, fps=90.0}], '
                "state ON}\n    mActiveModeId=7\n"
            ),
            90.0,
        ),
        # a recording of the screen is no panel
        (
            (
                '  DisplayDeviceInfo{"rec": uniqueId="virtual:x", modeId 9, modes [{id=9, width=1, height=2, fps=30.0}], '
                f'state ON}}\n  DisplayDeviceInfo{{"Built-in": uniqueId="local:0", modeId 2, {MODES}, state ON}}\n'
            ),
            120.00001,
        ),
        (
            "mActiveModeId=3\nmSupportedModes=\n  DisplayModeRecord{mMode={id=3, width=1, height=2, fps=144.0, vsync=144.0}}\n",
            144.0,
        ),
        ("mActiveSfDisplayMode=DisplayMode{id=0, width=1, height=2, xDpi=3.0, refreshRate=90.0, group=0}\n", 90.0),
        ('  DisplayDeviceInfo{"Built-in Screen": uniqueId="local:0", 1080 x 1920, 59.0 fps, density 420}\n', 59.0),
        # which of the modes is active is not told
        (f"  DisplayDeviceInfo{{{MODES}}}\n", None),
    ],
)
def test_displays_of_other_devices(text: str, rate: float | None) -> None:
    assert parse_refresh_rate(text) == (None if rate is None else pytest.approx(rate))


def kernel(release: str) -> KernelIdentity:
    return KernelIdentity(release=release, version="#1")


@pytest.mark.parametrize("asked", ["6.16.12", "6.16.12+deb13-cloud-arm64", "6.16"])
def test_the_kernel_that_was_asked_for(asked: str) -> None:
    check_release(kernel("6.16.12+deb13-cloud-arm64"), asked)


@pytest.mark.parametrize("asked", ["6.16.1", "6.17.13", "6.16.12+deb14", ""])
def test_another_kernel_is_refused(asked: str) -> None:
    with pytest.raises(LabError, match=r"6\.16\.12\+deb13"):
        check_release(kernel("6.16.12+deb13-cloud-arm64"), asked or "x")
