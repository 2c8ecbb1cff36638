"""What `fastboot` prints when it fails, and whose turn it is then."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.boot.fastboot_client import Fastboot, explain_failure
from android_suite.errors import LabError, SuiteError, Unsupported

SENT = "Sending 'boot_a' (65536 KB)                        OKAY [  1.600s]\n"


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("Writing 'dtbo'      FAILED (remote: 'Error flashing partition :Volume Full')\n", LabError, "does not fit"),
        (
            "Resizing 'vendor_dlkm_a'  FAILED (remote: 'Not enough space to resize partition')\n",
            LabError,
            "does not fit",
        ),
        ("fastboot: error: boot partition is smaller than boot image\n", LabError, "does not fit"),
        ("Writing 'x' FAILED (remote: 'partition does not exist')\n", Unsupported, "no such partition"),
        (
            "Writing 'aop_a' FAILED (remote: 'Flashing is not allowed for Critical Partitions\n')\n",
            Unsupported,
            "unlock",
        ),
        ("Booting  FAILED (remote: 'unknown command')\n", Unsupported, "give the images to `flash`"),
        ("FAILED (Status read failed (No such device))\n", LabError, "Status read failed (No such device)"),
        ("", LabError, "no message"),
    ],
    ids=["full", "super is full", "small", "absent", "critical", "unknown", "gone", "silent"],
)
def test_words_of_bootloaders(said: str, kind: type[SuiteError], words: str) -> None:
    error = explain_failure("1A2B", "boot", SENT + said + "fastboot: error: Command failed\n" if said else said)
    assert type(error) is kind
    assert str(error).startswith("1A2B: `fastboot boot` failed (")
    assert words in str(error)


LISTED = """\
????????????           no permissions; see [http://developer.android.com/tools/device.html] usb:3-1
0123456789ABCDEF       fastboot usb:1-1
0123456789ABCDEF       fastboot usb:1-3
A1B2                   fastbootd usb:1-4
"""


def test_one_phone_of_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its serial or, for two of one serial, by its USB path; what another phone lacks is nothing to it."""
    (tmp_path / "fastboot").write_text(f'#!/bin/sh\n[ "$*" = "devices -l" ] || exit 1\ncat <<E\n{LISTED}E\n')
    (tmp_path / "fastboot").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert Fastboot("0123456789ABCDEF").is_there()
    assert Fastboot("usb:1-3").is_there()
    for absent in ("0123456789ABCDE", "usb:1-2", "A1B3", "usb:3-1"):
        with pytest.raises(LabError, match="udev rules"):
            Fastboot(absent).is_there()


@pytest.mark.parametrize(("said", "slot"), [("a", "a"), ("_b", "b"), ("", "")])
def test_slots_as_bootloaders_name_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, slot: str) -> None:
    (tmp_path / "fastboot").write_text(f"#!/bin/sh\necho 'current-slot: {said}' >&2\necho 'Finished.' >&2\n")
    (tmp_path / "fastboot").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert Fastboot("A1").read_slot() == slot


def test_nobody_listens() -> None:
    assert not Fastboot("tcp:127.0.0.1:1").is_there()
    assert not Fastboot("tcp:127.0.0.1").is_there()
    assert not Fastboot("NOSUCHPHONE").is_there()
