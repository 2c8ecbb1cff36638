"""Heat, a dark or a locked screen that came and went during an iteration, from the device's own log of events. No I/O.

Nothing is asked while an iteration runs, because an answer of Android's services costs time on the device. Afterwards
the log of events still knows each change: PowerManager writes ``screen_toggled``, ThermalManagerService
``thermal_changed``, the window manager ``wm_set_keyguard_shown`` (AOSP's EventLogTags.logtags of
frameworks/base/services/core).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# The second line of the log is its oldest entry: it tells how far back the log reaches.
SCRIPT: Final = (
    "logcat -b events -d -v epoch 2>/dev/null | "
    "sed -n -e 1,2p -e '/screen_toggled/p' -e '/thermal_changed/p' -e '/wm_set_keyguard_shown/p'; true"
)
CLOCK: Final = "date +%s.%N"
_LINE: Final = re.compile(r"\s*(\d{1,12}\.\d{1,9})\s+\d+\s+\d+ [VDIWEF] (\w+)\s*: (.*)")
_THERMAL: Final = re.compile(r"\[([^,\]]{0,80}),(\d{1,2}),(-?[\d.]{1,12}),(\d{1,2})(?:,\d{1,2})?\]")
# Display, whether the keyguard is shown, whether the dim clock is, whether the keyguard goes away; Android 12 and later
# also say whether an app covers it.
_KEYGUARD: Final = re.compile(r"\[\d{1,9},([01]),[01],([01])(?:,([01]))?,[^,]*\]")
_SKIN: Final = 3  # Temperature.TYPE_SKIN: the only kind of sensor that PowerManager's thermal status follows
_OFF: Final = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """A change of a skin sensor's status: 0 none to 6 shutdown; ``celsius`` None if it is no number."""

    sensor: str
    status: int
    celsius: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meanwhile:
    """What happened since a time.

    Attributes:
        covered: whether the log reaches back to that time; None if the device keeps no log of events.
        dark: how often the screen went off.
        locked: how often the keyguard was shown, other than under an app or on its way out.
        heat: every change of a skin sensor.
    """

    covered: bool | None = None
    dark: int = 0
    locked: int = 0
    heat: tuple[Heat, ...] = ()


def parse_clock(text: str) -> float | None:
    """Seconds since the epoch from what :data:`CLOCK` printed; whole seconds where ``date`` knows no finer ones."""
    found = re.match(r"\s*(\d{1,12})(\.\d{1,9})?", text)
    return float(found[0]) if found else None


def parse_meanwhile(text: str, since: float) -> Meanwhile:
    """What :data:`SCRIPT` printed, as far as it is later than ``since``, in seconds of the device's clock."""
    lines = [found for line in text.splitlines() if (found := _LINE.fullmatch(line.rstrip()))]
    later = [line for line in lines if float(line[1]) >= since]
    heat = [found for line in later if line[2] == "thermal_changed" and (found := _THERMAL.fullmatch(line[3].strip()))]
    return Meanwhile(
        covered=float(lines[0][1]) <= since if lines else None,
        dark=sum(line[2] == "screen_toggled" and line[3].strip() == _OFF for line in later),
        locked=sum(line[2] == "wm_set_keyguard_shown" and _is_locked(line[3]) for line in later),
        heat=tuple(
            Heat(sensor=found[1], status=int(found[4]), celsius=_celsius(found[3]))
            for found in heat
            if int(found[2]) == _SKIN and int(found[4]) <= 6
        ),
    )


def _is_locked(event: str) -> bool:
    found = _KEYGUARD.fullmatch(event.strip())
    return found is not None and found[1] == "1" and found[2] == "0" and found[3] != "1"


def _celsius(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
