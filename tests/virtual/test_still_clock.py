"""The clock that stands still for QEMU: a process that is run with it sees one time, and QEMU does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from android_suite.errors import MachineError
from android_suite.virtual import VirtualDevice, fetch_kernel
from android_suite.virtual.cache import Cache
from android_suite.virtual.still_clock import preload
from tests.settings import CONFIG

READ = """
import ctypes, time
def look():
    now = (ctypes.c_long * 2)()
    ctypes.CDLL(None).gettimeofday(now, None)
    return now[0], now[1]
first = look()
time.sleep(0.01)
print(first == look(), time.time() - first[0] > 1, time.monotonic() > 0)
"""


def test_one_clock_stands_still_and_the_others_go_on(tmp_path: Path) -> None:
    env = preload(os.environ, cache=Cache(tmp_path))
    done = subprocess.run([sys.executable, "-c", READ], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "True"]


def test_what_is_preloaded_already_stays(tmp_path: Path) -> None:
    library = preload({}, cache=Cache(tmp_path))["LD_PRELOAD"]
    assert preload({"LD_PRELOAD": "/lib/own.so", "A": "b"}, cache=Cache(tmp_path)) == {
        "LD_PRELOAD": f"{library} /lib/own.so",
        "A": "b",
    }


def test_without_a_compiler_the_next_step_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="gcc not found; virtual time needs it; run make setup"):
        preload({}, cache=Cache(tmp_path))


@pytest.mark.vdev
@pytest.mark.parametrize("deterministic", [True, False])
def test_qemu_has_it_in_virtual_time_alone(deterministic: bool) -> None:
    kernel, files = fetch_kernel("6.17.13", config=CONFIG), {"/etc/android-suite/run/run.sh": b"#!/bin/sh\ntrue\n"}
    with VirtualDevice(kernel=kernel, config=CONFIG, deterministic=deterministic, run_files=files) as device:
        device.start()
        maps = Path(f"/proc/{device.record.pid}/maps").read_text()
    assert (preload({}, cache=Cache(CONFIG.cache))["LD_PRELOAD"] in maps) == deterministic
