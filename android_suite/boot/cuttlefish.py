"""A Cuttlefish device that `launch_cvd` boots with a given kernel and initramfs, and that `stop_cvd` ends.

``--resume=false``: every boot starts from the images as they were built.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from android_suite.boot.booted import Booted, KernelCrashed
from android_suite.boot.proof import check_running, read_expected
from android_suite.boot.waiting import BOOT_TIMEOUT_S, wait_booted
from android_suite.config import Config
from android_suite.device.connect import disconnect, list_devices
from android_suite.errors import LabError, NotReady, SuiteError, Unsupported
from android_suite.model.boots import BootKeys
from android_suite.model.identity import CrashRecord
from android_suite.virtual.console import parse_crash

_ADB_PORT: Final = 6520  # of the first instance
_STOP_S: Final = 120.0
_LOGS: Final = ("cuttlefish_runtime/kernel.log", "cuttlefish/instances/cvd-1/kernel.log")
_NO_KVM = re.compile(r".*(?:/dev/kvm|/dev/vhost|cvdnetwork|hardware virtualization).*")
_FULL = re.compile(r".*(?:No space left|[Nn]ot enough (?:disk )?space|[Ii]nsufficient).*")


@contextmanager
def boot_cuttlefish(
    config: Config,
    image: Path,
    keys: BootKeys,
    *,
    timeout: float = BOOT_TIMEOUT_S,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Booted]:
    """Starts Cuttlefish with a kernel and proves that this kernel runs.

    Args:
        config: gives the adb server.
        image: the kernel.
        keys: ``ramdisk``, ``host_package`` and ``release`` of the plan.
        timeout: seconds for the boot.
        say: called with progress messages.

    Raises:
        UsageError: the image cannot be used.
        Unsupported: the host cannot run Cuttlefish.
        KernelCrashed: the kernel crashed while it booted.
        NotReady: it did not boot, or another kernel runs.
        LabError: there is no `launch_cvd`, or it failed.
    """
    expected = read_expected(image, keys.release)
    package = Path(keys.host_package) if keys.host_package else None
    tools = _Tools(package)
    words = ["--daemon", "--resume=false", "--report_anonymous_usage_stats=n", f"--kernel_path={image}"]
    if keys.ramdisk is not None:
        words.append(f"--initramfs_path={keys.ramdisk}")
    say(f"Cuttlefish boots {image.name}")
    serial = ""
    failure: BaseException | None = None
    try:
        try:
            tools.launch(words, timeout)
            serial = _find_serial(config)
            device = wait_booted(config, serial, before=None, timeout=timeout)
            check_running(device, expected)
        except NotReady as error:
            if crash := tools.find_crash():
                raise KernelCrashed(crash) from error
            raise
        yield Booted(device=device, release=expected.release, accel=None, crash_probe=tools.find_crash)
    except BaseException as error:
        failure = error
        raise
    finally:
        if serial:
            disconnect(config, serial)
        try:
            tools.stop()
        except LabError as error:
            if failure is None:
                raise
            failure.add_note(str(error))


def _find_serial(config: Config) -> str:
    """The serial that Cuttlefish's own adb connector made; else the address to connect to."""
    serials = [device.serial for device in list_devices(config)]
    return next((serial for serial in serials if serial.endswith(f":{_ADB_PORT}")), f"127.0.0.1:{_ADB_PORT}")


class _Tools:
    """`launch_cvd` and `stop_cvd` of a host package, whose folder is also their home; without one, those on the PATH."""

    def __init__(self, package: Path | None) -> None:
        self.home = package or Path.home()
        self._folder = package / "bin" if package else None
        self._environment = {**os.environ, "HOME": str(self.home)}

    def _find(self, name: str) -> str:
        found = str(self._folder / name) if self._folder else shutil.which(name)
        if found is None or not Path(found).is_file():
            raise LabError(
                f"there is no `{name}` {f'in {self._folder}' if self._folder else 'on the PATH'}; unpack Cuttlefish's host "
                "package and name its folder as `host_package` in the plan."
            )
        return found

    def _run(self, name: str, words: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
        program = self._find(name)
        try:
            return subprocess.run(
                [program, *words], cwd=self.home, env=self._environment, stdin=subprocess.DEVNULL, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise NotReady(
                f"`{name}` did not end in {timeout:.0f} s; look at {self.home / _LOGS[0]} and its launcher.log."
            ) from error
        except OSError as error:
            raise LabError(f"{program} cannot be run ({error.strerror}); check the host package.") from error

    def launch(self, words: Sequence[str], timeout: float) -> None:
        """Starts the device; `launch_cvd --daemon` ends when it has booted."""
        done = self._run("launch_cvd", words, timeout)
        if done.returncode != 0:
            raise _explain_launch(done.returncode, done.stdout, self.home)

    def stop(self) -> None:
        """Ends the device.

        Raises:
            LabError: it may still run.
        """
        done = self._run("stop_cvd", [], _STOP_S)
        if done.returncode != 0:
            last = done.stdout.strip().splitlines()
            raise LabError(
                f"`stop_cvd` ended with status {done.returncode} ({last[-1][:200] if last else 'no message'}); end Cuttlefish "
                "by hand (`cvd reset`)."
            )

    def find_crash(self) -> CrashRecord | None:
        """A panic in the kernel's log."""
        for name in _LOGS:
            try:
                text = (self.home / name).read_text("utf-8", "replace")
            except OSError:
                continue
            found = parse_crash(text)
            if found and found.fatal:
                return CrashRecord(kind=found.kind, summary=found.title, console=found.excerpt)
        return None


def _explain_launch(status: int, said: str, home: Path) -> SuiteError:
    if found := _FULL.search(said):
        return LabError(f"`launch_cvd` failed ({found[0].strip()[:200]}); free some space, then try again.")
    if found := _NO_KVM.search(said):
        return Unsupported(
            f"`launch_cvd` failed ({found[0].strip()[:200]}); let this user open /dev/kvm and /dev/vhost-vsock (groups kvm and "
            "cvdnetwork), or use another host."
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return NotReady(
        f"`launch_cvd` ended with status {status} ({lines[-1][:200] if lines else 'no message'}): the device did not boot; "
        f"look at {home / _LOGS[0]}."
    )
