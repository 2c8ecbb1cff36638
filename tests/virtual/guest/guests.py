"""The guest's programs where tests reach them: on this host in a namespace of their own, or on a virtual device."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from pathlib import Path
from typing import Protocol

from android_suite.ready.reading import QUESTIONS, Reading, parse_reading
from android_suite.virtual import adb_link
from android_suite.virtual.image import GUEST
from tests.settings import CONFIG

PACKAGE = "com.androidsuite.workload"


class Guest(Protocol):
    def run(self, *argv: str) -> tuple[int, str]: ...


class NamespaceGuest:
    """The same sources, built for this host, alone with their own /proc, /data and /dev."""

    def __init__(self, root: Path, pid: int) -> None:
        self._prefix = ["nsenter", "-t", str(pid), "--mount", "--pid", "chroot", str(root)]

    def run(self, *argv: str) -> tuple[int, str]:
        done = subprocess.run(
            [*self._prefix, f"/system/bin/{argv[0]}", *argv[1:]],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout


class DeviceGuest:
    """A booted virtual device, over adb."""

    def __init__(self, serial: str) -> None:
        self._serial = serial

    def run(self, *argv: str) -> tuple[int, str]:
        text = adb_link.run_shell(CONFIG, self._serial, f"{shlex.join(argv)} 2>&1; echo status=$?")
        body, _, status = text.replace("\r\n", "\n").rpartition("status=")
        return int(status), body


def build_programs(folder: Path, compiler: str) -> None:
    folder.mkdir(parents=True)
    for source in sorted((GUEST / "src").iterdir()):
        files = sorted(source.glob("*.c")) if source.is_dir() else [source]
        if files and files[0].suffix == ".c":
            subprocess.run(
                [
                    compiler,
                    "-O2",
                    "-static",
                    "-pthread",
                    "-Wall",
                    "-Wextra",
                    "-Werror",
                    "-o",
                    folder / source.stem,
                    *files,
                ],
                check=True,
            )


def start(guest: Guest, component: str, *extras: str, flags: str = "") -> dict[str, str]:
    """`am start -W`, its output checked line by line."""
    status, text = guest.run("am", "start", "-W", *(("-f", flags) if flags else ()), "-n", component, *extras)
    assert status == 0, text
    lines = text.splitlines()
    shown = " (has extras)" if extras else ""
    flag = f"flg={flags} " if flags else ""
    assert lines[0] == f"Starting: Intent {{ {flag}cmp={component}{shown} }}"
    assert lines[-1] == "Complete"
    return dict(line.split(": ", 1) for line in lines[1:-1])


def wait_result(guest: Guest, token: str) -> dict[str, object]:
    for _ in range(300):
        _, text = guest.run("logcat", "-d", "-v", "raw", "-s", "AndroidSuite")
        for line in text.splitlines():
            if line.startswith("result ") and f'"token":"{token}"' in line:
                result: dict[str, object] = json.loads(line.removeprefix("result "))
                return result
        time.sleep(0.1)
    raise AssertionError(f"no result of {token} in: {text}")


def ask_readiness(guest: Guest) -> Reading:
    mark = "=android-suite-ready= "
    return parse_reading("".join(f"{mark}{name}\n{guest.run(*asked.split())[1]}" for name, asked in QUESTIONS.items()))
