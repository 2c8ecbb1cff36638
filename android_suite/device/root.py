"""Root: adbd itself, ``su``, or ``adb root``, which restarts adbd. User builds refuse the last.

``su`` comes first, because a restart of adbd would end the streams of others, such as a colleague's logcat.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from android_suite.device.transport import (
    DEFAULT_TIMEOUT_S,
    Command,
    Completed,
    Stream,
    Transport,
    check_status,
    render_command,
)
from android_suite.errors import AdbTimeout, DeviceLost, LabError

# Magisk and KernelSU take a script after -c; AOSP's su (userdebug, emulators) takes a user and a program; SuperSU both.
_FORMS: tuple[tuple[str, ...], ...] = (("su", "-c"), ("su", "0", "sh", "-c"), ("su", "root", "sh", "-c"))
_ASK_TIMEOUT_S = 10.0  # su may wait until the user allows it on the screen
_STAGE = "/data/local/tmp"  # where the shell user may write


def describe_root(transport: Transport) -> str:
    """How the commands of a root transport become root."""
    return f"by `{' '.join(transport.form)}`" if isinstance(transport, SuTransport) else "adbd runs as root"


def may_restart_as_root(transport: Transport) -> bool:
    """Whether commands do not run as root, but ``adb root`` would change that: on userdebug and eng builds."""
    if _is_root(transport, "id") is not False:
        return False
    try:
        return transport.run(["getprop", "ro.debuggable"], timeout=_ASK_TIMEOUT_S).text.strip() == "1"
    except DeviceLost:
        raise
    except LabError:
        return False


def become_root(transport: Transport) -> Transport:
    """A transport whose commands go through ``su``; the given one if it is already root or cannot be."""
    if _is_root(transport, "id") is not False:
        return transport
    for form in _FORMS:
        if _is_root(transport, shlex.join([*form, "id"])):
            return SuTransport(transport, form)
    return transport


def _is_root(transport: Transport, command: str) -> bool | None:
    """Whether commands run as root according to ``id``; None if ``id`` gives no answer."""
    try:
        said = transport.run(command, timeout=_ASK_TIMEOUT_S).text
    except DeviceLost:
        raise
    except (AdbTimeout, LabError):
        return None
    return "uid=0" in said if "uid=" in said else None


class SuTransport:
    """A :class:`~android_suite.device.transport.Transport` whose commands, pushes and pulls run as root by ``su``."""

    def __init__(self, inner: Transport, form: Sequence[str]) -> None:
        self._inner, self._form = inner, tuple(form)

    @property
    def serial(self) -> str:
        """The serial, as adb prints it."""
        return self._inner.serial

    @property
    def inner(self) -> Transport:
        """The transport below, whose commands run as adbd's own user."""
        return self._inner

    @property
    def form(self) -> tuple[str, ...]:
        """The words before the script."""
        return self._form

    def _wrap(self, command: Command) -> str:
        return shlex.join([*self._form, render_command(command)])

    def run(self, command: Command, *, timeout: float = DEFAULT_TIMEOUT_S, stdin: bytes = b"") -> Completed:
        """See the protocol. ``command`` of the answer is the given command, without ``su``."""
        done = self._inner.run(self._wrap(command), timeout=timeout, stdin=stdin)
        return Completed(command=render_command(command), stdout=done.stdout, stderr=done.stderr, status=done.status)

    def stream(self, command: Command) -> Stream:
        """See the protocol."""
        return self._inner.stream(self._wrap(command))

    def push(self, data: bytes, path: str, *, mode: int = 0o644, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        """See the protocol. adb's sync runs as the shell user, so the file goes through a folder that it may write."""
        staged = f"{_STAGE}/.android-suite-{path.rpartition('/')[2]}"
        self._inner.push(data, staged, mode=mode, timeout=timeout)
        source, target = shlex.quote(staged), shlex.quote(path)
        # cat, not mv: the file gets the target folder's owner and SELinux label
        copied = self.run(
            f"cat {source} > {target} && chmod {mode:o} {target}; s=$?; rm -f {source}; exit $s", timeout=timeout
        )
        check_status(copied, self.serial, next_step=f"check that root may write {path}.")

    def pull(self, path: str, *, timeout: float = DEFAULT_TIMEOUT_S) -> bytes:
        """See the protocol."""
        copied = self.run(["cat", path], timeout=timeout)
        return check_status(copied, self.serial, next_step=f"check that {path} is there and root may read it.").stdout
