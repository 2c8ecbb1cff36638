"""The drain, compiled for this machine and run on files that stand for ring buffers; and the demux of its stream."""

from __future__ import annotations

import io
import platform
import signal
import struct
import subprocess
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_suite.capture.demux import FrameDemux
from android_suite.capture.native_program import build_program
from android_suite.device import native_program
from android_suite.errors import LabError, Unsupported

PAGE = 4096


class Kept(io.BytesIO):
    """A file whose content outlives its closing."""

    data = b""

    def close(self) -> None:
        self.data = self.getvalue()
        super().close()


def demux(pieces: list[bytes]) -> dict[int, bytes]:
    files: dict[int, Kept] = {}

    def open_file(cpu: int) -> BinaryIO:
        return files.setdefault(cpu, Kept())

    target = FrameDemux(open_file)
    for piece in pieces:
        target.feed(piece)
    target.close()
    assert target.pending_bytes == 0
    return {cpu: file.data for cpu, file in files.items()}


def frame(cpu: int, data: bytes) -> bytes:
    return struct.pack("<II", cpu, len(data)) + data


READY = struct.pack("<II", 0xFFFF_FFFF, 3)


@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=50)), max_size=10), st.integers(1, 70))
def test_frames_survive_any_cut(frames: list[tuple[int, bytes]], size: int) -> None:
    stream = READY + b"".join(frame(cpu, data) for cpu, data in frames)
    found = demux([stream[at : at + size] for at in range(0, len(stream), size)])
    assert found == {cpu: b"".join(data for c, data in frames if c == cpu) for cpu in range(3)}


@pytest.mark.parametrize("stream", [frame(0, b"before ready"), READY + frame(3, b"x"), b"sh: not found\n"])
def test_what_is_no_stream_is_told(stream: bytes) -> None:
    with pytest.raises(LabError, match="out of step"):
        demux([stream])


@pytest.fixture(scope="module")
def drain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("native")
    program = folder / "drain"
    program.write_bytes(build_program("ftrace_drain", platform.machine(), cache=folder))
    program.chmod(0o755)
    return program


def fake_tracefs(folder: Path, contents: list[bytes]) -> Path:
    for cpu, data in enumerate(contents):
        (folder / f"per_cpu/cpu{cpu}").mkdir(parents=True)
        (folder / f"per_cpu/cpu{cpu}/trace_pipe_raw").write_bytes(data)
    return folder


CONTENTS = [b"A" * PAGE * 70 + b"tail", b"", b"B" * PAGE]
PADDED = [b"A" * PAGE * 70 + b"tail".ljust(PAGE, b"\0"), b"", b"B" * PAGE]


def test_all_pages_arrive_and_end_of_input_ends_it(drain: Path, tmp_path: Path) -> None:
    tracefs = fake_tracefs(tmp_path, CONTENTS)
    done = subprocess.run([drain, tracefs, str(PAGE), "50"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert list(demux([done.stdout]).values()) == PADDED


def test_files_instead_of_a_stream(drain: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    argv = [drain, fake_tracefs(tmp_path / "t", CONTENTS), str(PAGE), "1", "-o", out]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert (done.returncode, done.stdout) == (0, b"")
    assert [(out / f"cpu{cpu}.raw").read_bytes() for cpu in range(3)] == PADDED


def test_what_comes_later_is_taken_too_and_sigterm_ends_it(drain: Path, tmp_path: Path) -> None:
    tracefs = fake_tracefs(tmp_path, [b"A" * PAGE])
    with subprocess.Popen([drain, tracefs, str(PAGE), "10"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.read(8) == struct.pack("<II", 0xFFFF_FFFF, 1)
        with (tracefs / "per_cpu/cpu0/trace_pipe_raw").open("ab") as more:
            more.write(b"B" * PAGE)
        taken = b""
        while taken.count(b"B") < PAGE:
            head = running.stdout.read(8)
            taken += head + running.stdout.read(struct.unpack("<II", head)[1])
        running.send_signal(signal.SIGTERM)
        taken += running.stdout.read()
        assert running.wait(10) == 0
    assert demux([struct.pack("<II", 0xFFFF_FFFF, 1), taken]) == {0: b"A" * PAGE + b"B" * PAGE}


def test_the_first_mark_is_in_the_trace_before_the_work_begins(drain: Path, tmp_path: Path) -> None:
    tracefs = fake_tracefs(tmp_path, [b""])
    (tracefs / "trace_marker").touch()
    argv = [drain, tracefs, str(PAGE), "60000", "-m", "TOKEN"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stdout.read(8) == struct.pack("<II", 0xFFFF_FFFF, 1)
        assert (tracefs / "trace_marker").read_text() == "", "tracing may be off still"
        running.stdin.write(b"count\n")
        running.stdin.flush()
        assert running.stdout.read(8) == struct.pack("<II", 0xFFFF_FFFE, 1)
        assert (tracefs / "trace_marker").read_text().startswith("android_suite: beat 0 TOKEN\n")
        running.stdin.close()
        assert (running.stdout.read(), running.wait(10)) == (b"", 0)


def test_the_answer_to_the_first_mark_is_no_page() -> None:
    counting = struct.pack("<II", 0xFFFF_FFFE, 1)
    assert demux([READY + counting + frame(0, b"x")])[0] == b"x"
    with pytest.raises(LabError, match="out of step"):
        demux([counting])


@pytest.mark.parametrize("argv", [[], ["/t", "1", "50"], ["/t", "4096", "0"], ["/t", "4096", "50", "-x", "y"]])
def test_bad_arguments(drain: Path, argv: list[str]) -> None:
    assert subprocess.run([drain, *argv], stdin=subprocess.DEVNULL, capture_output=True).returncode == 2


def test_no_buffers_is_a_fault(drain: Path, tmp_path: Path) -> None:
    done = subprocess.run([drain, tmp_path, "4096", "50"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert done.returncode == 1
    assert b"cpu0/trace_pipe_raw" in done.stderr


def test_the_program_is_kept_by_content(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = build_program("ftrace_drain", "aarch64", cache=tmp_path)
    assert first[:4] == b"\x7fELF"
    kept = list((tmp_path / "native").iterdir())
    assert len(kept) == 1
    assert build_program("ftrace_drain", "aarch64", cache=tmp_path) == first
    assert list((tmp_path / "native").iterdir()) == kept


def test_no_compiler_and_no_such_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(native_program.shutil, "which", lambda _: None)
    with pytest.raises(LabError, match=r"aarch64-linux-gnu-gcc is missing.*make setup"):
        build_program("ftrace_drain", "aarch64", cache=tmp_path)
    with pytest.raises(Unsupported, match="mips"):
        build_program("ftrace_drain", "mips", cache=tmp_path)
