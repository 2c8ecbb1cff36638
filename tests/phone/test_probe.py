"""`probe` on a stock phone, whose kernel lets nobody see which lock a madvise takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from android_suite.cli.main import run
from tests.phone.conftest import MakePhone
from tests.scripted_phone.fuse import text
from tests.scripted_phone.server import AdbServer


@pytest.mark.parametrize(
    ("root", "said"),
    [
        (
            "adbd",
            "this kernel has no event mmap_lock:mmap_lock_start_locking, which MMAP_LOCK needs; use a kernel from 5.11",
        ),
        ("none", "has no access to tracefs; use a userdebug build and `adb root`"),
    ],
)
def test_it_cannot_be_told(
    root: str, said: str, make_phone: MakePhone, server: AdbServer, cache: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    phone = make_phone(root=root)
    # A GKI kernel of 5.10 has no more: facts of a Pixel 6.
    gki = ("sched:sched_switch", "sched:sched_waking", "raw_syscalls:sys_enter", "raw_syscalls:sys_exit")
    phone.tracefs.tree.put("available_events", text("\n".join(gki), mode=0o440))
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    monkeypatch.setenv("ANDROID_SUITE_CACHE", str(cache))
    assert run(["probe", "--serial", phone.address, "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["seed_patch"], told["evidence"]) == ("android-suite/probe", "cannot tell", None)
    assert said in told["reason"]
    assert told["kernel"]["release"] == phone.kernel
    assert run(["probe", "--serial", phone.address]) == 3
    assert capsys.readouterr().out.startswith("seed patch: cannot tell\n")
