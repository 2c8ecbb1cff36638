from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from android_suite.config import Config
from android_suite.errors import UsageError
from android_suite.virtual.registry import DeviceRecord, Registry, kill, read_start, stop_device


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(Config(cache=tmp_path))


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def create(registry: Registry, **changes: object) -> DeviceRecord:
    record = registry.create(
        detached=False, arch="arm64", kernel="6.17.13", release=None, accel="tcg", deterministic=False
    )
    record = dataclasses.replace(record, **changes)  # type: ignore[arg-type]
    registry.update(record)
    return record


def run_as(process: subprocess.Popen[bytes]) -> dict[str, object]:
    return {"pid": process.pid, "pid_start": read_start(process.pid)}


def test_running_device_is_listed_and_found(registry: Registry, sleeper: subprocess.Popen[bytes]) -> None:
    record = create(registry, serial="127.0.0.1:4711", **run_as(sleeper))
    assert registry.list_devices() == [record]
    assert registry.find(record.id) == registry.find("127.0.0.1:4711") == record
    with pytest.raises(UsageError, match=f"no virtual device 'x'; known: {record.id}"):
        registry.find("x")


def test_sweep_spares_the_owned_and_the_detached(registry: Registry, sleeper: subprocess.Popen[bytes]) -> None:
    owned = create(registry, **run_as(sleeper))
    detached = create(registry, detached=True, owner_pid=999_999_999, owner_start=1, **run_as(sleeper))
    assert registry.sweep() == []
    assert {record.id for record in registry.list_devices()} == {owned.id, detached.id}


def test_sweep_ends_what_nobody_owns(registry: Registry, sleeper: subprocess.Popen[bytes]) -> None:
    orphan = create(registry, owner_pid=os.getpid(), owner_start=1, **run_as(sleeper))
    assert registry.sweep() == [orphan.id]
    assert not orphan.folder.exists()
    assert sleeper.wait(5) == -9


def test_sweep_never_kills_a_reused_pid(registry: Registry, sleeper: subprocess.Popen[bytes]) -> None:
    stale = create(registry, owner_pid=999_999_999, owner_start=1, pid=sleeper.pid, pid_start=12345)
    assert not stale.running
    assert registry.sweep() == [stale.id]
    assert sleeper.poll() is None


def test_dead_detached_device_goes_at_the_next_start(registry: Registry) -> None:
    dead = create(registry, detached=True, owner_pid=999_999_999, owner_start=1, pid=999_999_998, pid_start=1)
    create(registry)
    assert not dead.folder.exists()


def test_a_damaged_record_is_no_device(registry: Registry) -> None:
    record = create(registry)
    for text in ("", "{", "[1]", '{"id": 1}'):
        (record.folder / "device.json").write_text(text)
        assert registry.list_devices() == []


def test_stop_without_control_socket_kills(registry: Registry, sleeper: subprocess.Popen[bytes]) -> None:
    record = create(registry, **run_as(sleeper))
    kill(record)
    assert stop_device(record.id, registry=registry) == record
    assert not record.folder.exists()


def test_zombie_is_not_running() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert read_start(process.pid) is None
    assert read_start(os.getpid()) is not None
