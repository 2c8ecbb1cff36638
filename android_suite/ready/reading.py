"""How the device is right now: one script that asks, and parsers of what Android's services answer. No I/O."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_MARK: Final = "=android-suite-ready= "
QUESTIONS: Final[Mapping[str, str]] = {
    "booted": "getprop sys.boot_completed",
    "battery": "dumpsys battery",
    "thermal": "dumpsys thermalservice",
    "power": "dumpsys power",
    "window": "dumpsys window policy",
    # An update of the same version has another path, and whatever is installed and removed changes the folder.
    "packages": "pm list packages -f --show-versioncode",
    "apps": "stat -c %y /data/app",
}
_ABSENT_C: Final = 0.0  # devices without a battery report 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The state of a device. None: the device does not say.

    Attributes:
        booted: Android has finished booting.
        battery: there is a battery.
        battery_pct: charge.
        battery_c: temperature of the battery in degrees Celsius.
        powered: charging or powered.
        thermal_status: PowerManager's, 0 none to 6 shutdown.
        skin_c: temperature of the skin sensor in degrees Celsius.
        awake: the screen is on.
        locked: the keyguard is shown.
        secure: the keyguard asks for a secret.
        packages: SHA-256 of the installed packages with their versions and paths, and of when their folder changed.
    """

    booted: bool | None = None
    battery: bool | None = None
    battery_pct: int | None = None
    battery_c: float | None = None
    powered: bool | None = None
    thermal_status: int | None = None
    skin_c: float | None = None
    awake: bool | None = None
    locked: bool | None = None
    secure: bool | None = None
    packages: str | None = None


def render_reading_script() -> str:
    """Asks every service; a service that the device lacks answers nothing."""
    return "".join(f'echo "{_MARK}{name}"; {question} 2>/dev/null\n' for name, question in QUESTIONS.items()) + "true\n"


def parse_reading(text: str) -> Reading:
    """What :func:`render_reading_script` printed. Text that makes no sense is as if it were not there."""
    parts: dict[str, str] = {}
    for part in ("\n" + text.replace("\r\n", "\n")).split("\n" + _MARK)[1:]:
        name, _, body = part.partition("\n")
        parts[name] = body
    battery, thermal = parts.get("battery", ""), parts.get("thermal", "")
    power, window = parts.get("power", ""), parts.get("window", "")
    tenths = _number(rf"^\s*temperature: ({_NUMBER})", battery)
    powered = re.findall(r"^\s*(?:AC|USB|Wireless|Dock) powered: (true|false)", battery, re.MULTILINE)
    packages = sorted(line for line in parts.get("packages", "").splitlines() if line.startswith("package:"))
    if packages:
        packages.append(parts.get("apps", "").strip())
    return Reading(
        booted=None if not parts.get("booted", "").strip() else parts["booted"].strip() == "1",
        battery=_flag(r"^\s*present: (true|false)", battery),
        battery_pct=parse_level(battery),
        battery_c=None if tenths is None or tenths == _ABSENT_C else tenths / 10,
        powered="true" in powered if powered else None,
        thermal_status=parse_thermal_status(thermal),
        skin_c=parse_skin(thermal),
        awake=_awake(power, window),
        locked=_flag(r"\b(?:mShowingLockscreen|showing|isStatusBarKeyguard)=(true|false)", window),
        secure=_flag(r"\bsecure=(true|false)", window),
        packages=hashlib.sha256("\n".join(packages).encode(errors="surrogateescape")).hexdigest() if packages else None,
    )


_NUMBER = r"-?\d{1,6}(?:\.\d{1,6})?"


def parse_level(dumpsys_battery: str) -> int | None:
    """Charge in percent; None for a device without a battery."""
    if re.search(r"^\s*present: false", dumpsys_battery, re.MULTILINE):
        return None
    level, scale = _number(r"^\s*level: (\d{1,6})", dumpsys_battery), _number(r"^\s*scale: (\d{1,6})", dumpsys_battery)
    return None if level is None or not scale else round(100 * level / scale)


def parse_thermal_status(dumpsys_thermalservice: str) -> int | None:
    """``Thermal Status: 2``, Android 10 and later; None if absent or no status of PowerManager."""
    status = _number(r"^\s*(?:Thermal Status|mStatus)[:=] ?(\d{1,2})\s*$", dumpsys_thermalservice)
    return int(status) if status is not None and status < 7 else None


def parse_skin(dumpsys_thermalservice: str) -> float | None:
    """The current temperature of the hottest skin sensor (type 3), the HAL's own where it is printed."""
    _, _, current = dumpsys_thermalservice.partition("Current temperatures from HAL:")
    for part in (current.partition("Current cooling")[0], dumpsys_thermalservice):
        found = re.findall(rf"Temperature{{mValue=({_NUMBER}), mType=3,", part)
        if sane := [float(value) for value in found if -40 < float(value) < 150]:
            return max(sane)
    return None


def _awake(power: str, window: str) -> bool | None:
    found = re.search(r"\bmWakefulness=(\w+)", power)
    if found:
        return found[1] == "Awake"
    found = re.search(r"\bscreenState=SCREEN_STATE_(\w+)", window)
    return found[1] == "ON" if found else None


def _flag(pattern: str, text: str) -> bool | None:
    found = re.search(pattern, text, re.MULTILINE)
    return None if found is None else found[1] == "true"


def _number(pattern: str, text: str) -> float | None:
    found = re.search(pattern, text, re.MULTILINE)
    return None if found is None else float(found[1])
