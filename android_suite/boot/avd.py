"""An Android Virtual Device that the SDK's `emulator` boots with a given kernel, and that ends with the block.

``-read-only`` and ``-no-snapshot``: every boot starts from the same state, and the user's AVD stays as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from android_suite.boot.booted import Booted, KernelCrashed
from android_suite.boot.proof import check_running, read_expected
from android_suite.boot.waiting import BOOT_TIMEOUT_S, wait_booted
from android_suite.config import Config
from android_suite.errors import LabError, SuiteError, Unsupported, UsageError
from android_suite.model.boots import BootKeys
from android_suite.model.identity import CrashRecord
from android_suite.virtual.console import parse_crash

_PORTS: Final = range(5554, 5683, 2)  # the console's; adb's is the next one
_FLAGS: Final = ("-no-snapshot", "-read-only", "-no-window", "-no-audio", "-no-boot-anim", "-show-kernel")
_END_TIMEOUT_S: Final = 30.0
_LOG_BYTES: Final = 1 << 20
# What the emulator prints before it ends -> whose turn it is.
_UNKNOWN_AVD = re.compile(r"Unknown AVD name.*")
_FAULTS: Final[tuple[tuple[re.Pattern[str], type[SuiteError], str], ...]] = (
    (_UNKNOWN_AVD, UsageError, "correct `avd` in the plan (`emulator -list-avds` lists them)."),
    (re.compile(r".*(?:multiple emulators with the same AVD|another emulator instance).*"), LabError,
     "end the other emulator of this AVD, then try again."),
    (re.compile(r".*(?:not enough (?:disk )?space|No space left).*", re.IGNORECASE), LabError,
     "free some space, then try again."),
    (re.compile(r".*(?:requires hardware acceleration|/dev/kvm).*"), Unsupported,
     "let this user open /dev/kvm, or use an AVD of the host's architecture."),
    (re.compile(r".*(?:[Ii]nvalid kernel|kernel image|-kernel).*"), UsageError, "give a kernel for this AVD's architecture."),
)  # fmt: skip


@contextmanager
def boot_avd(
    config: Config,
    image: Path,
    keys: BootKeys,
    *,
    timeout: float = BOOT_TIMEOUT_S,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Booted]:
    """Starts an AVD with a kernel and proves that this kernel runs.

    Args:
        config: gives the adb server and the Android SDK.
        image: the kernel.
        keys: ``avd``, ``ramdisk`` and ``release`` of the plan.
        timeout: seconds for the boot.
        say: called with progress messages.

    Raises:
        UsageError: there is no such AVD, or the image cannot be used.
        Unsupported: the host cannot run it.
        KernelCrashed: the kernel crashed while it booted.
        NotReady: it did not boot, or another kernel runs.
        LabError: the emulator failed.
    """
    expected = read_expected(image, keys.release)
    port = _choose_port()
    serial = f"emulator-{port}"
    argv = [_find_emulator(config), "-avd", keys.avd or "", "-kernel", str(image), *_FLAGS, "-port", str(port)]
    if keys.ramdisk is not None:
        argv += ["-ramdisk", keys.ramdisk]
    with tempfile.TemporaryFile() as log:
        process = _start(argv, log, config)

        def crashed() -> CrashRecord | None:
            return _find_crash(_read_log(log))

        def give_up() -> str | None:
            if process.poll() is not None:
                raise _explain_end(process.returncode, _read_log(log))
            if crash := crashed():
                raise KernelCrashed(crash)
            return None

        try:
            say(f"{serial}: the AVD {keys.avd} boots {image.name}")
            device = wait_booted(config, serial, before=None, timeout=timeout, give_up=give_up)
            check_running(device, expected)
            yield Booted(device=device, release=expected.release, accel=None, crash_probe=crashed)
        finally:
            _stop(process, serial, config)


def _find_emulator(config: Config) -> str:
    if config.android_sdk is not None and (own := config.android_sdk / "emulator" / "emulator").is_file():
        return str(own)
    if found := shutil.which("emulator"):
        return found
    raise LabError(
        "there is no `emulator` on this machine; install the Android SDK's emulator and set ANDROID_HOME to the SDK."
    )


def _choose_port() -> int:
    """A free port for the console whose neighbour is free for adb."""
    for port in _PORTS:
        with suppress(OSError), socket.socket() as console, socket.socket() as adb:
            console.bind(("127.0.0.1", port))
            adb.bind(("127.0.0.1", port + 1))
            return port
    raise LabError(f"no two ports from {_PORTS[0]} to {_PORTS[-1] + 1} are free for an emulator; end one that runs.")


def _start(argv: list[str], log: IO[bytes], config: Config) -> subprocess.Popen[bytes]:
    try:
        # a group of its own: Ctrl-C reaches only the suite, which ends the emulator in order
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=config.adb_environment(),
            process_group=0,
        )  # fmt: skip
    except OSError as error:
        raise LabError(f"{argv[0]} cannot be run ({error.strerror}); install the Android SDK's emulator.") from error


def _read_log(log: IO[bytes]) -> str:
    size = os.fstat(log.fileno()).st_size
    return os.pread(log.fileno(), _LOG_BYTES, max(0, size - _LOG_BYTES)).decode(errors="replace")


def _find_crash(log: str) -> CrashRecord | None:
    found = parse_crash(log)
    return CrashRecord(kind=found.kind, summary=found.title, console=found.excerpt) if found and found.fatal else None


def _explain_end(status: int, log: str) -> SuiteError:
    for pattern, kind, step in _FAULTS:
        if found := pattern.search(log):
            return kind(f"the emulator ended ({found[0].strip()[:300]}); {step}")
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return LabError(
        f"the emulator ended with status {status} ({lines[-1][:300] if lines else 'no message'}); start the AVD by hand."
    )


def _stop(process: subprocess.Popen[bytes], serial: str, config: Config) -> None:
    """Ends the emulator: `adb emu kill`, which authenticates at the console, then signals."""
    if process.poll() is not None:
        return
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            ["adb", "-s", serial, "emu", "kill"], capture_output=True, timeout=_END_TIMEOUT_S, check=True,
            env=config.adb_environment(), stdin=subprocess.DEVNULL,
        )  # fmt: skip
        process.wait(_END_TIMEOUT_S)  # not where nobody was at the console
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, sign)
                process.wait(_END_TIMEOUT_S)
