from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from android_suite.errors import SchemaError, UsageError
from android_suite.model.identity import CrashRecord, DeviceIdentity, KernelIdentity
from android_suite.store import layout
from android_suite.store.run import create_run, digest_trace, open_run, write_atomic

KERNEL = KernelIdentity(release="6.17.13", version="#1 SMP PREEMPT", build_id="ab" * 20)
DEVICE = DeviceIdentity(
    serial="127.0.0.1:5555", model="m", abi="arm64-v8a", fingerprint="f", sdk=34, virtual=True,
    cpus=2, memory_kb=1 << 20, page_size=4096, refresh_rate_hz=60.0,
)  # fmt: skip


def record_one(folder: Path) -> None:
    run = create_run(folder, label="base", mode="realtime")
    run.set_identity(KERNEL, DEVICE)
    iteration = run.begin_iteration("gc_stress", seed=7, boot="b1", traced=True, parameters={"duration_ms": 10})
    iteration.write("ftrace/cpu0.raw", b"\0" * 4096)
    iteration.write("logcat.txt", "línea\n")
    iteration.note(lost_events=0)
    iteration.seal("complete")
    run.seal()


def test_what_is_sealed_is_read_back(tmp_path: Path) -> None:
    record_one(tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert run.manifest.sealed
    assert run.manifest.kernel == KERNEL
    assert run.manifest.device == DEVICE
    [iteration] = run.manifest.iterations
    assert (iteration.scenario, iteration.seed, iteration.status, iteration.lost_events) == (
        "gc_stress",
        7,
        "complete",
        0,
    )
    assert iteration.trace_digest == digest_trace(run.raw(iteration) / "ftrace")
    assert stat.S_IMODE((run.raw(iteration) / "logcat.txt").stat().st_mode) == 0o444


def test_an_iteration_never_sealed_reads_as_incomplete(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", label="", mode="realtime")
    run.begin_iteration("gc_stress", seed=None, boot="b", traced=True, parameters={})
    [iteration] = open_run(tmp_path / "run").manifest.iterations
    assert iteration.status == "incomplete"
    assert "not sealed" in iteration.reason


def test_a_crash_is_data(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", label="", mode="realtime")
    iteration = run.begin_iteration("x", seed=None, boot="b", traced=False, parameters={})
    iteration.seal(
        "incomplete", "kernel panic", crash=CrashRecord(kind="panic", summary="s", console="<0>Kernel panic")
    )
    [read] = open_run(tmp_path / "run").manifest.iterations
    assert read.crash is not None
    assert read.crash.kind == "panic"


def test_the_digest_depends_on_bytes_and_on_which_cpu_wrote_them(tmp_path: Path) -> None:
    for name, (a, b) in {"x": (b"1", b"2"), "y": (b"2", b"1"), "z": (b"1", b"2")}.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "cpu0.raw").write_bytes(a)
        (folder / "cpu1.raw").write_bytes(b)
    x, y, z = (digest_trace(tmp_path / n) for n in "xyz")
    assert x == z != y
    assert digest_trace(tmp_path) is None


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "", "a\nb", "x" * 200])
def test_hostile_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        layout.check_member(name)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(UsageError, match="already exists"):
        create_run(tmp_path, label="", mode="realtime")


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run directory"):
        open_run(tmp_path)
    record_one(tmp_path / "run")
    file = tmp_path / "run" / "manifest.json"
    file.write_text(file.read_text()[:-40])
    with pytest.raises(SchemaError):
        open_run(tmp_path / "run")
    record_one(tmp_path / "other")
    file = tmp_path / "other" / "manifest.json"
    value = json.loads(file.read_text())
    value["iterations"][0]["directory"] = "../../etc"
    file.write_text(json.dumps(value))
    with pytest.raises(SchemaError):
        open_run(tmp_path / "other")


def test_two_hosts_write_one_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their processes have the same number; the second one is done before the first has synced its data."""
    fsync, second = os.fsync, list[str]()

    def slow_fsync(file: int) -> None:
        if not second:
            second.append("writes")
            write_atomic(tmp_path / "x", b"second")
        fsync(file)

    monkeypatch.setattr(os, "fsync", slow_fsync)
    write_atomic(tmp_path / "x", b"first")
    assert (tmp_path / "x").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
