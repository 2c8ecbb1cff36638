"""The log and the frames, against a written conversation."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from android_suite.capture import logcat
from android_suite.capture.framestats import FramestatsCapture, choose_period_s
from android_suite.capture.lock_stat import LockStatCapture
from android_suite.capture.logcat import LogcatCapture
from android_suite.capture.maps import MapsCapture
from android_suite.device.device import PROCESSES_SCRIPT, THREADS_SCRIPT, Device
from android_suite.device.files import render_read_script
from android_suite.device.scripted import Exchange, ScriptedStream, ScriptedTransport
from android_suite.errors import AdbTimeout, DeviceLost, NotReady, Unsupported
from android_suite.store.run import IterationWriter, create_run

LOGCAT = "logcat -v epoch -T 1"


@pytest.fixture
def out(tmp_path: Path) -> Iterator[IterationWriter]:
    run = create_run(tmp_path / "run", label="x", mode="realtime")
    return run.begin_iteration("s", seed=1, boot="b", traced=False, parameters={})


def follow(
    out: IterationWriter, *pieces: bytes | AdbTimeout | DeviceLost, again: tuple[Exchange, ...] = ()
) -> LogcatCapture:
    log = LogcatCapture(Device(ScriptedTransport([Exchange(command=LOGCAT, pieces=pieces), *again])))
    log.prepare(out)
    log.start()
    return log


def test_a_line_is_found_across_pieces(out: IterationWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logcat, "_RESTARTS", 0)
    log = follow(out, b"before result 0\n", b"one res", AdbTimeout("idle"), b"ult 42\nlast\n")
    assert log.wait_line(re.compile(r"result (\d+)"), timeout=60, what="result").group(1) == "42"
    log.stop()
    assert (out.folder / "logcat.txt").read_bytes() == b"before result 0\none result 42\nlast\n"


def test_a_log_that_ends_is_noted_and_followed_on_from_its_last_line(out: IterationWriter) -> None:
    again = Exchange(command="logcat -v epoch -T 12.500", pieces=(b"12.500 1 1 I a: one\n12.700 1 1 I a: two\n",))
    ends = [Exchange(command="logcat -v epoch -T 12.700", pieces=(b"",)) for _ in range(4)]
    log = follow(out, b"12.500 1 1 I a: one\n", again=(again, *ends))
    assert log.wait_line(re.compile("a: two"), timeout=60, what="line")
    log.stop()
    assert b"--------- android-suite: logcat ended (" in (out.folder / "logcat.txt").read_bytes()


def test_a_log_that_is_started_again_while_it_is_stopped_is_closed_too(
    out: IterationWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams: list[ScriptedStream] = []
    stopping = threading.Event()

    def stream_log(device: Device, **more: str) -> ScriptedStream:
        if streams:
            assert stopping.wait(60)
        streams.append(ScriptedStream(Exchange(command="", pieces=(b"x\n",) if not streams else (b"y\n",) * 9)))
        return streams[-1]

    def close(self: ScriptedStream) -> None:
        closed.append(self)
        if threading.current_thread() is threading.main_thread():
            stopping.set()

    closed: list[ScriptedStream] = []
    monkeypatch.setattr(logcat, "stream_log", stream_log)
    monkeypatch.setattr(ScriptedStream, "close", close)
    log = LogcatCapture(Device(ScriptedTransport([])))
    log.prepare(out)
    log.start()
    log.stop()
    assert len(streams) == 2
    assert streams[1] in closed


def test_a_log_that_ends_without_the_line(out: IterationWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logcat, "_RESTARTS", 0)
    log = follow(out, b"x\n")
    with pytest.raises(NotReady, match=r"no result line in the log \(the log ended\)"):
        log.wait_line(re.compile("result"), timeout=60, what="result line")
    log.stop()


def test_a_loss_is_told_to_whoever_waits(out: IterationWriter) -> None:
    log = follow(out, b"x\n", DeviceLost("gone"))
    with pytest.raises(DeviceLost, match="gone"):
        log.wait_line(re.compile("result"), timeout=60, what="result line")
    log.stop()


def test_only_what_comes_after_a_mark(out: IterationWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logcat, "_RESTARTS", 0)
    log = follow(out, b"stale\n", b"drawn 1\ndrawn 2\n")
    log.wait_line(re.compile("drawn 2"), timeout=60, what="drawn")
    assert log.mark() == 3
    assert log.wait_line(re.compile(r"drawn \d"), timeout=60, what="drawn", since=2).group() == "drawn 2"
    log.stop()


def test_the_ring_never_turns_over_between_two_polls() -> None:
    for hz in (60.0, 90.0, 120.0, 144.0):
        assert choose_period_s(hz) * hz < 120
    assert choose_period_s(None) == choose_period_s(120.0)


def test_the_last_frames_are_asked_for_at_the_end(out: IterationWriter) -> None:
    script = ScriptedTransport(
        [
            Exchange(command="dumpsys gfxinfo a.b reset"),
            Exchange(command="dumpsys gfxinfo a.b framestats", stdout=b"---PROFILEDATA---\n"),
        ]
    )
    frames = FramestatsCapture(Device(script), "a.b", refresh_rate_hz=60.0)
    frames.prepare(out)
    frames.start()
    frames.stop()
    script.finish()
    assert (out.folder / "framestats.txt").read_bytes() == b"---PROFILEDATA---\n"


def test_names_before_and_after_and_maps_at_the_end(out: IterationWriter) -> None:
    maps = b"1000-2000 rw-p 0 00:00 0\nVmFlags: rd wr um\n"
    script = ScriptedTransport(
        [
            Exchange(command=THREADS_SCRIPT, stdout=b"1 1 init\n5 7 main\n"),
            Exchange(command=PROCESSES_SCRIPT, stdout=b"1 /init\n"),
            Exchange(command=THREADS_SCRIPT, stdout=b"1 1 init\n5 7 HeapTaskDaemon\n"),
            Exchange(command=PROCESSES_SCRIPT, stdout=b"1 /init\n5 a.b\n"),
            Exchange(command=render_read_script(["/proc/5/smaps"]), stdout=maps + b"\n=android-suite-end-of-file= 0\n"),
        ]
    )
    source = MapsCapture(Device(script), lambda: 5)
    source.prepare(out)
    source.start()
    source.stop()
    script.finish()
    assert (out.folder / "smaps.txt").read_bytes() == maps
    read = {file.name: file.read_text() for file in (out.folder / "ftrace").iterdir()}
    assert read == {
        "threads_before.txt": "1 1 init\n5 7 main\n", "processes_before.txt": "1 /init\n",
        "threads.txt": "1 1 init\n5 7 HeapTaskDaemon\n", "processes.txt": "1 /init\n5 a.b\n",
    }  # fmt: skip


def test_a_kernel_without_lock_stat_says_so(out: IterationWriter) -> None:
    paths = ["/proc/lock_stat", "/proc/sys/kernel/lock_stat"]
    answer = b"\n=android-suite-end-of-file= 1\n" * 2
    device = Device(ScriptedTransport([Exchange(command=render_read_script(paths), stdout=answer)]))
    with pytest.raises(Unsupported, match="CONFIG_LOCK_STAT"):
        LockStatCapture(device).prepare(out)
