"""The workload app: on a phone an APK that comes with the suite, in a virtual device built in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from android_suite.device.android import is_installed, render_component, start_activity
from android_suite.device.device import Device
from android_suite.device.install import install_apk, install_for_user, read_version_code
from android_suite.errors import LabError, NotReady, UsageError
from android_suite.model.identity import CrashRecord
from android_suite.workload.workload import Context, Outcome, find_user

PACKAGE: Final = "com.androidsuite.workload"
BACKGROUND_PACKAGE: Final = "com.androidsuite.background"  # the same app under another name, to run behind the first
APK: Final = Path(__file__).with_name(f"{PACKAGE}.apk")  # `make apk` writes both
BACKGROUND_APK: Final = APK.with_name(f"{BACKGROUND_PACKAGE}.apk")
VERSION_CODE: Final = 3  # of the APKs; an older one lacks an activity or a parameter


def install_app(
    device: Device, say: Callable[[str], None], *, package: str = PACKAGE, users: Iterable[int] = ()
) -> None:
    """Installs the app, under its first or its second name, where it is missing or older, and for each of ``users``.

    Raises:
        LabError: the device refuses it; or it says afterwards that it has none, or still the older one.
    """
    _install_newest(device, say, package)
    for user in sorted({user for user in users if user >= 0}):
        if not is_installed(device, package, user=user):
            say(f"installing {package} for user {user}")
            install_for_user(device, package, user)


def _install_newest(device: Device, say: Callable[[str], None], package: str) -> None:
    installed = read_version_code(device, package)
    if installed is not None and installed >= VERSION_CODE:
        return
    instead = "" if installed is None else f" over version {installed}"
    say(f"installing {package}, version {VERSION_CODE}{instead}")
    install_apk(device, APK.with_name(f"{package}.apk").read_bytes(), package)
    if (read_version_code(device, package) or 0) < VERSION_CODE:
        raise LabError(
            f"{device.serial}: the device took {package} and does not have it; "
            f"look at `adb -s {device.serial} shell dumpsys package {package}`."
        )


def start_app(context: Context, activity: str, extras: list[str]) -> None:
    """Starts an activity of the app and keeps what ``am`` answers as ``am_start.txt``.

    Raises:
        UsageError: the app refused a parameter.
        LabError: it did not start.
    """
    device = context.device
    user = find_user(context.parameters)
    started, text = start_activity(device, render_component(PACKAGE, activity), extras=extras, user=user)
    context.out.write("am_start.txt", text)
    if started.error and "refused the intent" in text:
        raise UsageError(f"the app refused a parameter ({_last_line(text)}); see `am_start.txt` of the run.")
    if started.error or started.status != "ok":
        raise LabError(f"{device.serial}: the app did not start ({_last_line(text)}); see its log.")


def wait_result(context: Context, mark: int, *, timeout: float) -> Outcome:
    """Waits for the app's result line, keeps it as ``app_result.json`` and judges it. The app's death is an outcome.

    Raises:
        NotReady: the app lives and has not reported within ``timeout`` seconds.
    """
    try:
        line = context.log.wait_line(
            result_pattern(context.token), timeout=timeout, what="result line of the workload app", since=mark
        )
    except NotReady as error:
        if context.device.pidof(PACKAGE):
            raise
        return describe_death(str(error))
    context.out.write("app_result.json", line.group(1) + "\n")
    return judge_result(line.group(1))


def describe_death(console: str) -> Outcome:
    """The outcome of an iteration in which the app ended before it reported."""
    crash = CrashRecord(kind="app_crash", summary=f"{PACKAGE} ended before it reported", console=console)
    return Outcome(incomplete="the app under test died", crash=crash)


def result_pattern(token: str) -> re.Pattern[str]:
    """Finds the app's result line of one iteration in the log."""
    return re.compile(r"AndroidSuite\b.*?\bresult (\{.*" + re.escape(json.dumps(token)) + r".*\})")


def judge_result(text: str) -> Outcome:
    """The outcome from the app's report, a JSON object."""
    try:
        complete = json.loads(text).get("complete") is True
    except (ValueError, RecursionError):
        return Outcome(incomplete="the app's result line is not JSON")
    return Outcome(incomplete="" if complete else "the app reports that it was interrupted")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "am printed nothing"
