"""Makes a device ready, looks after it between iterations, and puts it back as it was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from android_suite.device.connect import crosses_network
from android_suite.device.device import Device
from android_suite.errors import DeviceLost, NotReady, SuiteError
from android_suite.model.readiness import THERMAL_NAMES, ReadyOptions
from android_suite.ready.journal import Journal, name_settings
from android_suite.ready.knobs import GOVERNORS, IDLE_STATES, list_knobs, parse_read, render_read, render_set
from android_suite.ready.meanwhile import CLOCK, SCRIPT, Meanwhile, parse_clock, parse_meanwhile
from android_suite.ready.reading import Reading, parse_reading, render_reading_script

_POLL_S: Final = 2.0
_TELL_EVERY_S: Final = 15.0
_WAKE: Final = "input keyevent 224; wm dismiss-keyguard || cmd window dismiss-keyguard || input keyevent 82; true"
_SLEEP: Final = "input keyevent 223; true"
Say = Callable[[str], None]


@contextmanager
def hold_ready(device: Device, options: ReadyOptions, *, cache: Path, say: Say = lambda _: None) -> Iterator[Keeper]:
    """Keeps the device ready while the block runs. Claim the device first.

    Args:
        device: a claimed device.
        options: what is asked of it.
        cache: the suite's cache, for the journal.
        say: called with progress messages.

    Raises:
        NotReady: the device did not boot, its battery is empty, or a secret locks its screen.
    """
    keeper = Keeper(device, options, cache=cache, say=say)
    keeper.begin()
    try:
        yield keeper
    except DeviceLost:
        raise  # the journal stays: whoever records next on the device puts everything back
    except BaseException as error:
        try:
            keeper.end()
        except SuiteError as failure:
            error.add_note(f"while restoring the settings of the device: {failure}")
        raise
    try:
        keeper.end()
    except DeviceLost:  # its loss is told already, as a crash of the kernel or by whoever needed it
        say(f"{device.serial}: the next recording there puts its settings back")


class Keeper:
    """See :func:`hold_ready`. Between iterations call :meth:`wait_ready`, then :meth:`check`."""

    def __init__(
        self, device: Device, options: ReadyOptions, *, cache: Path, say: Say, poll_s: float = _POLL_S
    ) -> None:
        self._device, self._options, self._say, self._poll_s = device, options, say, poll_s
        properties = device.read_properties()
        sdk = properties.get("ro.build.version.sdk", "")
        self._cache = cache
        self._sdk = int(sdk) if sdk.isascii() and sdk.isdigit() else None
        self._journal: Journal | None = None
        self._found: Mapping[str, str] = {}
        self._wanted: dict[str, str] = {}
        self._slept = False
        self._before = self._after = Reading()
        self._since: float | None = None
        self._meanwhile = Meanwhile()

    def begin(self) -> None:
        """Puts back what an interrupted recording left, then changes what is wanted, with a journal."""
        self._wait_boot()
        journal = self._journal = Journal(self._device, self._cache, name_settings(self._device))
        left = journal.read()
        if left:
            self._say(
                f"{self._device.serial}: an interrupted recording left {len(left)} settings changed; putting them back"
            )
        knobs = list_knobs(
            self._options, network=crosses_network(self._device.serial), sdk=self._sdk, files=self._list_files()
        )
        names = {knob.name for knob in knobs}
        now = self._read([*names, *left])
        self._found = {name: left.get(name, value) for name, value in now.items() if name in names}
        self._wanted = {knob.name: knob.value for knob in knobs if knob.name in now}
        if gone := {name: value for name, value in left.items() if name not in names}:
            self._device.run(render_set(gone))
        if self._found:
            journal.write(self._found)
            self._set(self._wanted)
            self._keep_what_took()
        elif left:
            journal.remove()
        self._before = self.read()

    def end(self) -> None:
        """Puts everything back."""
        found, self._found = self._found, {}
        if self._slept:
            self._device.run(_SLEEP)
        if found:
            self._device.run(render_set(found))
            if self._journal is not None:
                self._journal.remove()

    def read(self) -> Reading:
        """How the device is now."""
        return parse_reading(self._device.run(render_reading_script()).text)

    def wait_ready(self) -> Reading:
        """Wakes the device and waits until it is cool enough.

        Raises:
            NotReady: it does not become so; the message says what to do.
        """
        begun = time.monotonic()
        told = -_TELL_EVERY_S
        while True:
            now = self.read()
            if now.awake is False or now.locked:
                now = self._wake(now)
            if (low := self._tell_low(now)) is not None:
                raise NotReady(f"{self._device.serial}: {low}; charge it, then run again.")
            hot = self._tell_hot(now)
            if hot is None:
                self._before = now
                self._since = parse_clock(self._device.transport.run(CLOCK).text)
                return now
            waited = time.monotonic() - begun
            if waited >= self._options.cool_s:
                raise NotReady(
                    f"{self._device.serial}: {hot}, and it did not cool in {self._options.cool_s:.0f} s; move it away from heat "
                    "and out of its case, or allow a longer wait."
                )
            if waited - told >= _TELL_EVERY_S:
                told = waited
                self._say(f"waiting for the device to cool: {hot} ({waited:.0f} of {self._options.cool_s:.0f} s)")
            time.sleep(min(self._poll_s, max(0.05, self._options.cool_s - waited)))

    def check(self) -> tuple[str, ...]:
        """What disturbed the iteration that has just ended, a sentence each; sets right what was changed.

        Not called for a lost device.
        """
        now, settings = self.read(), self._read(list(self._wanted))
        self._after, self._meanwhile = now, self._read_meanwhile()
        told = [self._tell_hot(now) or self._tell_heat(), self._tell_low(now)]
        if now.awake is False:
            told.append("the screen went off")
        elif now.locked:
            told.append("the screen was locked")
        elif self._meanwhile.dark:
            told.append("the screen went off and on again")
        elif self._meanwhile.locked:
            told.append("the screen was locked and unlocked again")
        if now.packages and self._before.packages and now.packages != self._before.packages:
            told.append("apps were installed, updated or removed")
        changed = {name: value for name, value in settings.items() if value != self._wanted[name] and name != "dexopt"}
        told += [f"{name} was changed from {self._wanted[name]} to {value}" for name, value in changed.items()]
        if changed:
            self._set({name: self._wanted[name] for name in changed})
        self._before = now
        return tuple(filter(None, told))

    def describe(self) -> dict[str, Any]:
        """The state before the iteration and the settings, as JSON for the evidence."""
        return {"state": asdict(self._before), "settings": dict(self._wanted), "found": dict(self._found)}

    def describe_end(self) -> dict[str, Any]:
        """What :meth:`check` saw, as JSON for the evidence."""
        return {"state_after": asdict(self._after), "meanwhile": asdict(self._meanwhile)}

    def _wait_boot(self) -> None:
        deadline = time.monotonic() + self._options.boot_s
        while (now := self.read()).booted is False or (now.booted is None and self._sdk is not None):
            if time.monotonic() >= deadline:
                raise NotReady(
                    f"{self._device.serial}: Android has not finished booting after {self._options.boot_s:.0f} s; look at its "
                    "screen, or reboot it."
                )
            self._say("waiting for Android to finish booting")
            time.sleep(self._poll_s)

    def _wake(self, now: Reading) -> Reading:
        if now.awake is False:
            self._slept = True
        self._device.run(_WAKE)
        now = self.read()
        if now.locked and now.secure:
            raise NotReady(
                f"{self._device.serial}: a secret locks its screen; unlock it by hand, or remove the screen lock."
            )
        return now

    def _tell_hot(self, now: Reading) -> str | None:
        if now.thermal_status is not None and now.thermal_status > self._options.thermal_status:
            skin = "" if now.skin_c is None else f", its skin has {now.skin_c:.1f} °C"
            return f"its thermal status is {THERMAL_NAMES[now.thermal_status]}{skin}"
        if now.battery_c is not None and now.battery_c > self._options.battery_c:
            return f"its battery has {now.battery_c:.1f} °C"
        return None

    def _tell_heat(self) -> str | None:
        """Heat that came and went."""
        worst = max(self._meanwhile.heat, key=lambda heat: heat.status, default=None)
        if worst is None or worst.status <= self._options.thermal_status:
            return None
        skin = "" if worst.celsius is None else f", {worst.sensor} had {worst.celsius:.1f} °C"
        return f"its thermal status was {THERMAL_NAMES[worst.status]} meanwhile{skin}"

    def _read_meanwhile(self) -> Meanwhile:
        if self._since is None or self._sdk is None:
            return Meanwhile()
        return parse_meanwhile(self._device.transport.run(SCRIPT).text, self._since)

    def _tell_low(self, now: Reading) -> str | None:
        if now.battery_pct is not None and now.battery_pct < self._options.battery_pct:
            return f"its battery is at {now.battery_pct} %"
        return None

    def _list_files(self) -> list[str]:
        patterns = [GOVERNORS] * bool(self._options.governor) + [IDLE_STATES] * (not self._options.idle_states)
        if not patterns:
            return []
        files = self._device.run(f"for f in {' '.join(patterns)}; do [ -e $f ] && echo $f; done; true").text.split()
        if self._options.governor and not any(file.endswith("/scaling_governor") for file in files):
            self._say(f"{self._device.serial} has no CPU frequency governor to choose; recording without one")
        return files

    def _read(self, names: list[str]) -> Mapping[str, str]:
        return parse_read(self._device.run(render_read(names)).text) if names else {}

    def _set(self, values: Mapping[str, str]) -> None:
        self._device.run(render_set(values))

    def _keep_what_took(self) -> None:
        """Forgets what the device did not accept, and says so."""
        now = self._read(list(self._wanted))
        refused = [name for name, value in self._wanted.items() if name != "dexopt" and now.get(name) != value]
        for name in refused:
            del self._wanted[name]
        if refused:
            self._say(f"{self._device.serial} did not accept the settings {', '.join(refused)}; recording without them")
