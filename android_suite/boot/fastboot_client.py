"""The program `fastboot`, which talks to a phone's bootloader or to its fastbootd; its failures become the suite's.

Debian's `fastboot` waits for ever for a device that is not there, and ends with 0 if a variable is unknown. So every
call has a deadline, and a variable is read from what it prints.
"""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from android_suite.errors import LabError, NotReady, SuiteError, Unsupported

Mode = Literal["bootloader", "fastboot"]
_QUICK_S = 10.0
_PROBE_S = 3.0
_FLASH_S = 600.0
_POLL_S = 0.5
_TCP_PORT = 5554
_REMOTE = re.compile(r"FAILED \((?:remote: )?'?(.*?)'?\)\s*$", re.MULTILINE | re.DOTALL)
_ERROR = re.compile(r"^fastboot: error: (.*)$", re.MULTILINE)
# Words of bootloaders (any case) -> what to do, and whose fault it is.
_LOCKED: Final = ("locked", "lock state", "not allowed", "unlock")
_FULL: Final = ("not enough space", "volume full", "no space", "too large", "is smaller than", "exceed", "too big")
_ABSENT: Final = ("not found", "does not exist", "doesn't exist", "no such partition", "invalid partition")
_UNKNOWN: Final = ("unknown command", "not supported", "unsupported", "not implemented")


@dataclass(frozen=True, slots=True)
class Fastboot:
    """One phone in fastboot mode. ``serial`` is what ``fastboot -s`` takes: a serial, or ``tcp:HOST:PORT``."""

    serial: str

    def is_there(self) -> bool:
        """Whether the phone is in fastboot mode.

        Raises:
            LabError: there is no program `fastboot`, or it may not open USB devices.
        """
        if self.serial.startswith(("tcp:", "udp:")):
            if not _listens(self.serial):  # at once, where fastboot waits
                return False
            try:
                return self._run(["getvar", "product"], timeout=_PROBE_S).returncode == 0
            except subprocess.TimeoutExpired:
                return False
        try:
            listed = _run_program(["devices", "-l"], _QUICK_S).stdout
        except subprocess.TimeoutExpired:
            return False
        # "SERIAL   fastboot usb:1-2", or "????????????   no permissions; see [...] usb:1-2"
        lines = [line.split() for line in listed.splitlines()]
        if any("fastboot" in words[1:2] and self.serial in (words[0], *words[2:]) for words in lines):
            return True
        if any("no permissions" in " ".join(words) for words in lines):
            raise LabError(
                "fastboot may not open a USB device; install udev rules (Debian: android-sdk-platform-tools-common), "
                "join the group plugdev, log in again and plug the phone in again."
            )
        return False

    def wait(self, timeout: float, *, mode: Mode = "bootloader") -> None:
        """Waits until the phone is in this fastboot mode.

        Raises:
            NotReady: it is not within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        where = ""
        while time.monotonic() < deadline:
            if self.is_there():
                where = "fastboot" if self.read_variable("is-userspace") == "yes" else "bootloader"
                if where == mode:
                    return
            time.sleep(_POLL_S)
        found = f"it is in {where}" if where else "fastboot does not see it"
        raise NotReady(
            f"{self.serial} did not come to {mode} in {timeout:.0f} s ({found}); look at its screen, and check the cable, "
            "the serial and `fastboot devices`."
        )

    def read_variable(self, name: str) -> str | None:
        """A variable of the bootloader; None if it does not know it."""
        said = self._call(["getvar", name], _QUICK_S, what=f"getvar {name}").stderr
        found = re.search(rf"^(?:\(bootloader\) )?{re.escape(name)}: ?(.*)$", said, re.MULTILINE)
        return found[1].strip() if found else None

    def read_slot(self) -> str:
        """The slot that boots, ``a`` or ``b``; empty without slots. Some bootloaders say ``_a``."""
        return (self.read_variable("current-slot") or "").removeprefix("_")

    def flash(self, partition: str, image: Path) -> None:
        """Writes an image to a partition, named with its slot."""
        self._call(["flash", partition, str(image.absolute())], _FLASH_S, what=f"flash {partition}")

    def boot(self, image: Path) -> None:
        """Boots an image from memory; nothing is written."""
        self._call(["boot", str(image.absolute())], _FLASH_S, what="boot")

    def set_active(self, slot: str) -> None:
        """Makes a slot the one that boots, with all its tries."""
        self._call(["set_active", slot], _QUICK_S, what=f"set_active {slot}")

    def reboot(self, target: Mode | None = None) -> None:
        """Leaves fastboot mode for Android or another fastboot mode; does not wait."""
        words = ["reboot", *([target] if target else [])]
        try:
            self._call(words, _QUICK_S, what=" ".join(words))
        except NotReady:
            if target != "fastboot":  # the client waits for fastbootd itself; the caller waits longer
                raise

    def describe_slots(self) -> str:
        """What the bootloader says of its slots, for a message; empty if nothing."""
        told = []
        for slot in ("a", "b"):
            names = ("successful", "unbootable", "retry-count")
            values = [(name, self.read_variable(f"slot-{name}:{slot}")) for name in names]
            if known := ", ".join(f"{name} {value}" for name, value in values if value):
                told.append(f"slot {slot}: {known}")
        return "; ".join(told)

    def _run(self, words: Sequence[str], *, timeout: float) -> subprocess.CompletedProcess[str]:
        return _run_program(["-s", self.serial, *words], timeout)

    def _call(self, words: Sequence[str], timeout: float, *, what: str) -> subprocess.CompletedProcess[str]:
        try:
            done = self._run(words, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise NotReady(
                f"{self.serial}: `fastboot {what}` did not end in {timeout:.0f} s; check the cable, the serial and that the "
                "phone shows its bootloader (`fastboot devices`)."
            ) from error
        if done.returncode != 0:
            raise explain_failure(self.serial, what, done.stderr or done.stdout)
        return done


def _listens(serial: str) -> bool:
    """False if nobody listens at ``tcp:HOST[:PORT]``."""
    kind, _, address = serial.partition(":")
    host, colon, port = address.rpartition(":") if address.rpartition(":")[2].isdigit() else (address, "", "")
    if kind != "tcp":
        return True
    try:
        socket.create_connection((host.strip("[]"), int(port) if colon else _TCP_PORT), timeout=_PROBE_S).close()
    except OSError:
        return False
    return True


def explain_failure(serial: str, what: str, said: str) -> SuiteError:
    """The error for what `fastboot` printed when it failed."""
    remote, error = _REMOTE.search(said), _ERROR.search(said)
    words = " ".join((remote[1] if remote else error[1] if error else said.strip()[-300:]).split()) or "no message"
    start = f"{serial}: `fastboot {what}` failed ({words}); "
    lower = words.lower()
    if any(word in lower for word in _FULL):
        return LabError(
            start + "the image does not fit its partition: build it smaller, or check that it is of this phone."
        )
    if any(word in lower for word in _ABSENT):
        return Unsupported(start + "this phone has no such partition: correct `flash` in the plan.")
    if any(word in lower for word in _LOCKED):
        return Unsupported(
            start + "unlock its bootloader (`fastboot flashing unlock`, which erases the phone), or use another phone."
        )
    if any(word in lower for word in _UNKNOWN):
        other = (
            "give the images to `flash` in the plan instead." if what == "boot" else "update it or use another phone."
        )
        return Unsupported(start + f"this bootloader cannot do that: {other}")
    return LabError(start + "look at the phone's screen, then try again.")


def _run_program(words: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["fastboot", *words], capture_output=True, text=True, errors="replace", timeout=timeout, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise LabError(
            "there is no `fastboot` on this machine; run `make setup`, or apt-get install fastboot."
        ) from error
