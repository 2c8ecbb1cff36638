"""Operations of Android: activities, keys, frame statistics, the log. Unsafe names raise UsageError here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from android_suite.device.device import Device
from android_suite.device.transport import Stream
from android_suite.errors import LabError, UsageError
from android_suite.model.launch import AmStart, parse_am_start, shorten_component

Extra = str | int | bool
Key = Literal["HOME", "BACK", "WAKEUP"]
_KEYCODES: Mapping[Key, str] = {"HOME": "3", "BACK": "4", "WAKEUP": "224"}
_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+")
_ACTIVITY = re.compile(r"\.?[A-Za-z_$][A-Za-z0-9_$]*(\.[A-Za-z_$][A-Za-z0-9_$]*)*")
_EXTRA_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_INT32 = range(-(2**31), 2**31)


def check_package(name: str) -> str:
    """Checks a package name and returns it.

    Raises:
        UsageError: it is not a package name.
    """
    if not _PACKAGE.fullmatch(name) or len(name) > 200:
        raise UsageError(f"{name!r} is not a package name; give one such as com.example.app.")
    return name


def render_component(package: str, activity: str) -> str:
    """``package/.Activity`` for an activity in any form.

    Args:
        package: package of the app.
        activity: ``.Main``, ``com.example.app.Main``, a class of another package, an alias, or the whole component.

    Raises:
        UsageError: a name is invalid, or the component belongs to another package.
    """
    given, slash, name = activity.rpartition("/")
    if (slash and given != package) or not _ACTIVITY.fullmatch(name) or len(name) > 200:
        raise UsageError(f"{activity!r} is not an activity of {package}; give one such as .MainActivity.")
    return shorten_component(f"{check_package(package)}/{name}")


def render_extras(extras: Mapping[str, Extra], *, longs: frozenset[str] = frozenset()) -> list[str]:
    """Arguments of ``am start`` for extras, with the types that the app reads; keys in ``longs`` are sent as long.

    Raises:
        UsageError: a key is invalid.
    """
    words: list[str] = []
    for key, value in extras.items():
        if not _EXTRA_KEY.fullmatch(key):
            raise UsageError(f"{key!r} is not a parameter's name; use letters, digits and _.")
        if isinstance(value, bool):
            words += ["--ez", key, "true" if value else "false"]
        elif isinstance(value, int):
            words += ["--el" if key in longs or value not in _INT32 else "--ei", key, str(value)]
        else:
            words += ["--es", key, value]
    return words


def render_user(user: int) -> list[str]:
    """Arguments that choose a user or a work profile; -1 is the current user and needs none."""
    return [] if user < 0 else ["--user", str(user)]


def start_activity(
    device: Device, component: str, *, extras: list[str] | None = None, user: int = -1, timeout: float = 60.0
) -> tuple[AmStart, str]:
    """Runs ``am start -W``; returns its answer, parsed and as printed, when the first frame is drawn."""
    words = ["am", "start", "-W", *render_user(user), "-n", component, *(extras or [])]
    completed = device.transport.run(words, timeout=timeout)
    text = completed.text + completed.stderr.decode(errors="replace")
    return parse_am_start(text), text


def force_stop(device: Device, package: str, *, user: int = -1) -> None:
    """Ends all processes of a package, of one user if one is given."""
    device.run(["am", "force-stop", *render_user(user), check_package(package)])


def press_key(device: Device, key: Key) -> None:
    """Presses a key."""
    device.run(["input", "keyevent", _KEYCODES[key]])


def is_installed(device: Device, package: str, *, user: int = -1) -> bool:
    """True if a package is installed, for one user if one is given."""
    words = ["pm", "path", *render_user(user), check_package(package)]
    return device.transport.run(words).text.startswith("package:")


def drop_caches(device: Device) -> None:
    """Empties the page cache, so that a cold launch reads its code again. Needs root."""
    device.run("sync; echo 3 > /proc/sys/vm/drop_caches")


def read_framestats(device: Device, package: str) -> bytes:
    """``dumpsys gfxinfo PACKAGE framestats`` as printed: the last 120 frames of each window."""
    return device.transport.run(["dumpsys", "gfxinfo", check_package(package), "framestats"]).stdout


def reset_framestats(device: Device, package: str) -> None:
    """Zeroes the totals of ``dumpsys gfxinfo``."""
    device.transport.run(["dumpsys", "gfxinfo", check_package(package), "reset"])


def stream_log(device: Device, *, since: str = "1") -> Stream:
    """Streams the log from now on, with epoch time stamps (they need no time zone).

    Args:
        device: the device.
        since: how many earlier lines come first, or a time stamp to begin at.
    """
    return device.transport.stream(["logcat", "-v", "epoch", "-T", since])


def read_log(device: Device) -> bytes:
    """The log so far, with epoch time stamps."""
    return device.run(["logcat", "-d", "-v", "epoch"], timeout=60).stdout


def require_package(device: Device, package: str, *, next_step: str, user: int = -1) -> None:
    """Checks that a package is installed.

    Raises:
        LabError: it is not.
    """
    if not is_installed(device, package, user=user):
        whom = f" for user {user} (`adb shell pm list users` lists them)" if user >= 0 else ""
        raise LabError(f"{device.serial}: {package} is not installed{whom}; {next_step}")
