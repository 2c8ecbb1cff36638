"""The settings that readiness may change: how each is read, set and put back. No I/O.

A journal holds only names and values found; the commands that put them back come from here, so a damaged or hostile
journal cannot run anything.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from android_suite.model.readiness import ReadyOptions

ABSENT: Final = "null"  # what `settings get` prints for a setting that is not there
_MARK: Final = "=android-suite-knob= "
_VALUE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_GOVERNOR_FILE: Final = re.compile(r"/sys/devices/system/cpu/cpufreq/policy\d{1,4}/scaling_governor")
_IDLE_FILE: Final = re.compile(r"/sys/devices/system/cpu/cpu\d{1,4}/cpuidle/state\d{1,3}/disable")
GOVERNORS: Final = "/sys/devices/system/cpu/cpufreq/policy*/scaling_governor"
IDLE_STATES: Final = "/sys/devices/system/cpu/cpu*/cpuidle/state[1-9]*/disable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """One thing to change.

    Attributes:
        name: as journals have it: ``global/NAME``, ``doze``, or a file of /sys.
        value: what is wanted.
    """

    name: str
    value: str


def list_knobs(options: ReadyOptions, *, network: bool, sdk: int | None, files: Sequence[str] = ()) -> tuple[Knob, ...]:
    """What to change on a device.

    Args:
        options: what was asked.
        network: adb reaches the device over a network, which airplane mode would cut.
        sdk: API level; None for what is no Android.
        files: the files of governors and idle states that the device has.
    """

    def wanted() -> Iterator[Knob]:
        if "screen" not in options.keep:
            yield Knob(name="global/stay_on_while_plugged_in", value="15")
            yield Knob(name="system/screen_off_timeout", value="1800000")
        if "animations" not in options.keep:
            yield Knob(name="global/window_animation_scale", value="0")
            yield Knob(name="global/transition_animation_scale", value="0")
        if sdk is None:
            return
        if "airplane" not in options.keep and not network:
            yield Knob(name="airplane", value="1")
        if "doze" not in options.keep:
            yield Knob(name="doze", value="0")
        if "dexopt" not in options.keep and sdk >= 34:
            yield Knob(name="dexopt", value="0")

    def of_files() -> Iterator[Knob]:
        for file in files:
            if options.governor and _GOVERNOR_FILE.fullmatch(file):
                yield Knob(name=file, value=options.governor)
            if not options.idle_states and _IDLE_FILE.fullmatch(file):
                yield Knob(name=file, value="1")

    return (*wanted(), *of_files())


def is_known(name: str, value: str) -> bool:
    """Whether a journal's entry may be put back: a name of this module with a plain value."""
    if not _VALUE.fullmatch(value):
        return False
    space, slash, key = name.partition("/")
    if space in ("global", "system", "secure") and slash:
        return re.fullmatch(r"[a-z_]{1,64}", key) is not None
    return name in ("airplane", "doze", "dexopt") or bool(_GOVERNOR_FILE.fullmatch(name) or _IDLE_FILE.fullmatch(name))


def render_read(names: Sequence[str]) -> str:
    """A script that prints the value of each."""
    return "".join(f"echo {shlex.quote(_MARK + name)}; {_read(name)} 2>/dev/null\n" for name in names) + "true\n"


def parse_read(text: str) -> Mapping[str, str]:
    """What :func:`render_read` printed, without what the device does not know."""
    found = {}
    for part in ("\n" + text.replace("\r\n", "\n")).split("\n" + _MARK)[1:]:
        name, _, body = part.partition("\n")
        value = body.strip()
        value = {"enabled": "1", "disabled": "0"}.get(value, value) if name == "airplane" else value
        if is_known(name, value):
            found[name] = value
    return found


def render_set(values: Mapping[str, str]) -> str:
    """A script that sets each; a device that lacks one is not stopped by it."""
    return "".join(f"{{ {_set(name, value)}; }} >/dev/null 2>&1\n" for name, value in values.items()) + "true\n"


def _read(name: str) -> str:
    space, _, key = name.partition("/")
    match space:
        case "global" | "system" | "secure":
            return f"settings get {space} {key}"
        case "airplane":
            return "cmd connectivity airplane-mode || settings get global airplane_mode_on"
        case "doze":
            return "dumpsys deviceidle enabled"
        case "dexopt":
            return "echo 1"  # Android does not tell; what it found switched on is switched on again
        case _:
            return f"cat {shlex.quote(name)}"


def _set(name: str, value: str) -> str:
    space, _, key = name.partition("/")
    match space:
        case "global" | "system" | "secure" if value == ABSENT:
            return f"settings delete {space} {key}"
        case "global" | "system" | "secure":
            return f"settings put {space} {key} {shlex.quote(value)}"
        case "airplane":
            return f"cmd connectivity airplane-mode {'enable' if value == '1' else 'disable'}"
        case "doze":
            return f"dumpsys deviceidle {'enable' if value == '1' else 'disable'}"
        case "dexopt":
            return f"pm bg-dexopt-job {'--enable' if value == '1' else '--disable'}"
        case _:
            return f"echo {shlex.quote(value)} > {shlex.quote(name)}"
