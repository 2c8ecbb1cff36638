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


def kernel(release: str) -> KernelIdentity:
    return KernelIdentity(release=release, version="#1")


@pytest.mark.parametrize("asked", ["6.16.12", "6.16.12+deb13-cloud-arm64", "6.16"])
def test_the_kernel_that_was_asked_for(asked: str) -> None:
    check_release(kernel("6.16.12+deb13-cloud-arm64"), asked)


@pytest.mark.parametrize("asked", ["6.16.1", "6.17.13", "6.16.12+deb14", ""])
def test_another_kernel_is_refused(asked: str) -> None:
    with pytest.raises(LabError, match=r"6\.16\.12\+deb13"):
        check_release(kernel("6.16.12+deb13-cloud-arm64"), asked or "x")
