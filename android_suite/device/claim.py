"""One recording at a time on a device: a second one would stop the first one's app and empty its trace.

A claim is held in two places. On the host it is a locked file of the cache, named by the device's boot id, which is the
same whatever the device's serial and connection. On the device, for recordings from other hosts, it is a symbolic link
whose target names a process there; that process ends as soon as adbd has closed its input. So a dead holder, a killed
adb server and a reboot all free the device by themselves.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from android_suite.device.device import BOOT_ID, WORK_FOLDER, Device
from android_suite.device.transport import Stream
from android_suite.errors import LabError, SuiteError

CLAIM: Final = f"{WORK_FOLDER}/claim"
_POLL_S = 0.1
_ANSWER_TIMEOUT_S = 20.0
_RELEASE_TIMEOUT_S = 5.0
_LAST_MOMENT_S = 3.0  # for adbd to close the input of a recording that was killed
_MINE, _HELD, _REFUSED = "mine", "held ", "refused "

# The link's target is PID:START:BOOT:HOLDER. A link is made and named in one step, so every claim names its holder.
# Two processes may find a leftover link at once: the one that removes it checks a second later that the new one is its own.
_SCRIPT = f"""
trap '' HUP
l={CLAIM}
started() {{ IFS= read -r s < /proc/$1/stat || return 0; set -- ${{s##*) }}; echo ${{20}}; }} 2>/dev/null
mkdir -p {WORK_FOLDER}
IFS= read -r boot < {BOOT_ID}
me="$$:$(started $$):$boot:$HOLDER"
tries=0
wait=0
while :; do
  if said=$(ln -s "$me" $l 2>&1); then
    if [ $wait = 0 ]; then break; fi
    sleep 1
    if [ "$(readlink $l)" = "$me" ]; then break; fi
  fi
  had=$(readlink $l)
  tries=$((tries + 1))
  if [ $tries -gt 5 ]; then echo "{_REFUSED}$said"; exit 0; fi
  if [ -z "$had" ]; then continue; fi
  pid=${{had%%:*}}; rest=${{had#*:}}
  at=${{rest%%:*}}; rest=${{rest#*:}}
  if [ "${{rest%%:*}}" = "$boot" ] && [ -n "$at" ] && [ "$(started $pid)" = "$at" ]; then
    echo "{_HELD}${{rest#*:}}"
    exit 0
  fi
  wait=1
  if [ "$(readlink $l)" = "$had" ]; then rm -f $l; fi
done
echo {_MINE}
while read -r _; do :; done
if [ "$(readlink $l)" = "$me" ]; then rm -f $l; fi
"""


@contextmanager
def claim_device(
    device: Device, cache: Path, *, wait_s: float = 0.0, say: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """Keeps every other recording away from the device while the block runs.

    Args:
        device: the device; only its boot id is read before the claim is held.
        cache: folder of the suite's cache.
        wait_s: seconds to wait for another recording to end.
        say: called once with a message that names the recording to wait for.

    Raises:
        LabError: another recording (named in the message) holds the device, or the claim cannot be made.
    """
    holder = f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H.%M.%S}"
    wait = _Wait(device.serial, wait_s, say)
    with _claim_on_host(cache, device.boot_id(), holder, wait):
        stream = _claim_on_device(device, holder, wait)
        try:
            yield
        finally:
            with suppress(SuiteError):  # if the device is gone, there is nothing to release
                _release(stream)


class _Wait:
    """The time spent waiting for another recording, on the host and on the device together."""

    def __init__(self, serial: str, wait_s: float, say: Callable[[str], None]) -> None:
        self._serial, self._wait_s, self._say = serial, wait_s, say
        self._begun = time.monotonic()
        self._told = False

    def go_on(self, holder: str, *, at_least_s: float = 0.0) -> None:
        """Waits a moment for ``holder`` to end.

        Raises:
            LabError: the time is up.
        """
        if time.monotonic() - self._begun >= max(self._wait_s, at_least_s):
            waited = f" and did not end in {self._wait_s:.0f} s" if self._wait_s else ""
            raise LabError(
                f"{self._serial}: another recording runs there ({holder or 'an unknown process'}){waited}; "
                "wait for its end, or use another device."
            )
        if self._wait_s and not self._told:
            self._told = True
            self._say(f"{self._serial}: waiting up to {self._wait_s:.0f} s for another recording ({holder}) to end")
        time.sleep(_POLL_S)


@contextmanager
def _claim_on_host(cache: Path, boot: str, holder: str, wait: _Wait) -> Iterator[None]:
    """Locks the device's file; the kernel drops the lock when its holder dies.

    The first lock is the head of the queue: a process that records repeatedly queues for it too.
    """
    path = cache / "claims" / re.sub(r"[^0-9A-Za-z-]", "_", boot)
    queue = path.with_suffix(".next")
    with _lock(queue, path, wait):
        try:
            held = _lock(path, path, wait)
        finally:
            queue.unlink(missing_ok=True)
    with held:
        held.truncate(0)
        held.write(holder)
        held.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # every boot has a file of its own


def _lock(path: Path, told_in: Path, wait: _Wait) -> IO[str]:
    """The file, opened and locked.

    Args:
        path: the file; created if it does not exist.
        told_in: the file that names the holder.
        wait: the time to wait.
    """
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+")
        except OSError as error:
            raise LabError(
                f"cannot claim the device with {path} ({error.strerror}); set ANDROID_SUITE_CACHE to a folder you may write."
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if path.samefile(f"/proc/self/fd/{file.fileno()}"):
                    return file
            file.close()  # its holder removed it in between
        except BlockingIOError:
            file.close()
            wait.go_on(_read_holder(told_in))
        except BaseException:
            file.close()
            raise


def _read_holder(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _claim_on_device(device: Device, holder: str, wait: _Wait) -> Stream:
    """Starts the process that holds the claim on the device."""
    name = re.sub(r"[^0-9A-Za-z_. -]", "_", holder)
    while True:
        stream = device.transport.stream(f"HOLDER={shlex.quote(name)}{_SCRIPT}")
        try:
            answer = _read_line(stream)
            if answer == _MINE:
                return stream
            if not answer.startswith(_HELD):
                said = answer.removeprefix(_REFUSED) or stream.stderr.decode(errors="replace").strip()
                raise LabError(
                    f"{device.serial}: cannot claim the device with {CLAIM} ({said or 'no message'}); "
                    f"remove it with `adb shell rm -rf {CLAIM}`, then try again."
                )
        except BaseException:
            stream.close()
            raise
        stream.close()
        wait.go_on(answer.removeprefix(_HELD), at_least_s=_LAST_MOMENT_S)


def _read_line(stream: Stream) -> str:
    deadline = time.monotonic() + _ANSWER_TIMEOUT_S
    answer = b""
    while b"\n" not in answer:
        if not (data := stream.read(timeout=deadline - time.monotonic())):
            break
        answer += data
    return answer.decode(errors="replace").strip()


def _release(stream: Stream) -> None:
    """Ends the process on the device and waits until its link is gone."""
    with stream:
        stream.close_stdin()
        deadline = time.monotonic() + _RELEASE_TIMEOUT_S
        while stream.read(timeout=deadline - time.monotonic()):
            pass
