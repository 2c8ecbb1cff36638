"""Installs an app and reads which version of one is installed."""

from __future__ import annotations

import re
from typing import Final

from android_suite.device.android import check_package, is_installed, render_user
from android_suite.device.device import WORK_FOLDER, Device
from android_suite.errors import LabError

_INSTALL_TIMEOUT_S = 180.0  # the device verifies and compiles the app
_VERSION = re.compile(r"^\s*versionCode=(\d{1,18})", re.MULTILINE)
_FAILURE = re.compile(r"Failure \[(?P<code>\w+)(?::\s*(?P<why>[^\]]*))?\]")
_NEXT_STEPS: Final = {
    "INSTALL_FAILED_UPDATE_INCOMPATIBLE": "the one that is there has another signature; remove it with "
    "`adb -s {serial} uninstall {package}`, then run again.",
    "INSTALL_FAILED_INSUFFICIENT_STORAGE": "free some space on /data (`adb -s {serial} shell df /data`), then run again.",
    "INSTALL_FAILED_USER_RESTRICTED": "allow `Install via USB` in the developer options, unlock the phone, "
    "and confirm there what it asks.",
    "INSTALL_FAILED_ABORTED": "somebody refused it on the phone; run again and confirm there what it asks.",
    "INSTALL_FAILED_VERIFICATION_FAILURE": "turn off the check of apps from adb with "
    "`adb -s {serial} shell settings put global verifier_verify_adb_installs 0`, then run again.",
    "INSTALL_FAILED_VERSION_DOWNGRADE": "a newer one is there; remove it with `adb -s {serial} uninstall {package}`.",
    "INSTALL_FAILED_OLDER_SDK": "the device's Android is older than the app can use (8.0); choose another device.",
}


def read_version_code(device: Device, package: str) -> int | None:
    """The ``versionCode`` of an installed package, 0 if the device does not say it; None if it is not installed.

    ``pm path`` decides: ``dumpsys package`` also prints a package that only another user has.
    """
    if not is_installed(device, package):
        return None
    found = _VERSION.search(device.transport.run(["dumpsys", "package", check_package(package)]).text)
    return int(found.group(1)) if found else 0


def install_for_user(device: Device, package: str, user: int) -> None:
    """Gives a user or a work profile an app that another user of the device has.

    Raises:
        LabError: the package manager refused it, as for a user that does not exist.
    """
    words = ["pm", "install-existing", *render_user(user), check_package(package)]
    done = device.transport.run(words, timeout=_INSTALL_TIMEOUT_S)
    if not is_installed(device, package, user=user):
        said = done.complaint or done.text.strip() or "it says nothing"
        raise LabError(
            f"{device.serial}: {package} could not be installed for user {user} ({said}); "
            "`adb shell pm list users` lists them."
        )


def install_apk(device: Device, apk: bytes, package: str) -> None:
    """Installs an APK over the version that is there, as ``adb install -r -t`` does.

    Raises:
        LabError: the package manager refused it; the message has its words and what to do about it.
    """
    path = f"{WORK_FOLDER}/{check_package(package)}.apk"
    device.run(["mkdir", "-p", WORK_FOLDER])
    device.transport.push(apk, path, timeout=60)
    try:
        done = device.transport.run(["pm", "install", "-r", "-t", path], timeout=_INSTALL_TIMEOUT_S)
    finally:
        device.transport.run(["rm", "-f", path])
    said = done.text + done.stderr.decode(errors="replace")
    if "Success" in said:
        return
    failure = _FAILURE.search(said)
    words = ": ".join(filter(None, failure.groups())) if failure else done.complaint
    step = _NEXT_STEPS.get(failure["code"]) if failure else None
    if step is None:
        step = "see `adb -s {serial} logcat -d -s PackageManager`, or install the APK by hand."
    raise LabError(
        f"{device.serial}: {package} could not be installed ({words}); "
        + step.format(serial=device.serial, package=package)
    )
