"""A device that answers anything: whatever the suite asks, it understands, calls unknown, or refuses in its own words."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from android_suite.boot.proof import read_running
from android_suite.boot.waiting import find_boot_crash
from android_suite.capture.perfetto_client import read_service, remove_leftovers
from android_suite.capture.trace_files import parse_lost, read_tracefs_facts
from android_suite.capture.trace_plan import parse_state
from android_suite.device.android import is_installed, start_activity
from android_suite.device.capabilities import judge_capabilities, read_device_facts
from android_suite.device.device import Device
from android_suite.device.files import Write
from android_suite.device.identity import read_device_identity, read_kernel_identity
from android_suite.device.install import read_version_code
from android_suite.device.numbers import read_count
from android_suite.device.root import become_root, may_restart_as_root
from android_suite.device.scripted import ScriptedTransport
from android_suite.device.transport import DEFAULT_TIMEOUT_S, Command, Completed, render_command
from android_suite.errors import SuiteError
from android_suite.model.readiness import ReadyOptions
from android_suite.ready.journal import Journal, name_settings
from android_suite.ready.keeper import Keeper
from android_suite.soak.counters import read_process_names, read_threads

FILE = "=android-suite-end-of-file= "
# What the answers are made of: lines that a parser looks for, numbers that `int` refuses, bytes that are no text.
PIECES = (
    b"\n", b" ", b":", b"=", b"[ro.build.version.sdk]: [\xc2\xb2]", b"9" * 5000, "²".encode(), b"-1", b"\xff\xfe", b"\0",
    FILE.encode(), b"0\n", b"1\n", b"uid=0(root)", b"MemTotal: " + b"9" * 5000 + b" kB", b"KernelPageSize: x", b"0-", b"7-3",
    b"package:", b"versionCode=" + b"9" * 5000, b"Thermal Status: 7", b"temperature: 1e9", b"level: 99\n  scale: 0\n",
    b"=android-suite-ready= battery\n", b"=android-suite-knob= doze\n", b"1.5 1 1 I screen_toggled: 0\n", b"--query-raw",
    b"Status: ok\nTotalTime: ", b"/proc/7/stat:1 (x) S\n", b"/proc/7/status:Tgid: 8\n", b"=\xc2\xb2 x\n",
)  # fmt: skip
PIECE = st.sampled_from(PIECES)
ANSWERS = st.one_of(
    st.lists(PIECE, max_size=8).map(b"\n".join), st.lists(PIECE | st.binary(max_size=20), max_size=8).map(b"".join)
)


class AnyTransport(ScriptedTransport):
    """Gives the answers in turn, whatever it is asked."""

    def __init__(self, answers: list[tuple[bytes, int]]) -> None:
        super().__init__([])
        self._answers, self._asked = answers, 0

    def run(self, command: Command, *, timeout: float = DEFAULT_TIMEOUT_S, stdin: bytes = b"") -> Completed:
        """The next answer."""
        stdout, status = self._answers[self._asked % len(self._answers)]
        self._asked += 1
        return Completed(command=render_command(command), stdout=stdout, stderr=stdout[:40], status=status)

    def push(self, data: bytes, path: str, *, mode: int = 0o644, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        """Takes it."""


def keep(device: Device) -> None:
    keeper = Keeper(device, ReadyOptions(boot_s=0, cool_s=0), cache=Path("/nowhere"), say=lambda _: None, poll_s=0)
    keeper.wait_ready()
    keeper.check()
    keeper.describe_end()


QUESTIONS: dict[str, Callable[[Device], object]] = {
    "pidof": lambda device: device.pidof("x"),
    "boot id": Device.boot_id,
    "properties": Device.read_properties,
    "files": lambda device: device.read_files(["/a", "/b"]),
    "texts": lambda device: device.read_texts(["/a", "/b"]),
    "look": lambda device: device.look(["/a", "/b"]),
    "writes": lambda device: device.write_files(
        [Write(path="/a", value="1"), Write(path="/b", value="2", optional=True)]
    ),
    "kernel": read_kernel_identity,
    "device": read_device_identity,
    "tracefs": read_tracefs_facts,
    "capabilities": lambda device: judge_capabilities(read_device_facts(device)),
    "running": read_running,
    "boot crash": find_boot_crash,
    "perfetto": read_service,
    "leftovers": remove_leftovers,
    "installed": lambda device: (is_installed(device, "a.b"), read_version_code(device, "a.b")),
    "start": lambda device: start_activity(device, "a.b/.C"),
    "root": lambda device: (become_root(device.transport), may_restart_as_root(device.transport)),
    "ready": keep,
    "journal": lambda device: Journal(device, Path("/nowhere"), name_settings(device)).read(),
    "threads": lambda device: (read_threads(device, [7]), read_process_names(device, [7])),
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers=st.lists(st.tuples(ANSWERS, st.sampled_from([0, 0, 1, 255])), min_size=1, max_size=4))
def test_nothing_but_the_suites_own_errors(answers: list[tuple[bytes, int]]) -> None:
    for ask in QUESTIONS.values():
        with suppress(SuiteError):
            ask(Device(AnyTransport(answers)))


@pytest.mark.parametrize("text", ["²", "9" * 5000, "9" * 19, "-1", "", "1 2", "0x1"])
def test_what_is_no_number(text: str) -> None:
    assert read_count(text) is None
    assert read_count(text.encode()) is None
    parse_state("buffer_size_kb", text)
    parse_lost(f"overrun: {text}")
    assert read_count(" 18\n") == 18
