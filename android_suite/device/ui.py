"""The screen of a device, driven by the real client library uiautomator2: look, tap, swipe, type, wait.

The client puts its own server on the device and talks to it over adb; a virtual device answers the same protocol. A
selector is a mapping of uiautomator2's fields: ``text``, ``textMatches``, ``resourceId``, ``className`` ...
"""

from __future__ import annotations

import atexit
import io
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from android_suite.device.adb import AdbTransport
from android_suite.device.device import Device
from android_suite.device.root import SuTransport
from android_suite.errors import DeviceLost, LabError, NotReady

Selector = Mapping[str, str | int | bool]
PERMISSION_BUTTONS: Final[Mapping[str, str]] = {
    # Android's dialogs name their buttons alike from 6 to 16, whoever's package shows them.
    "allow": '//*[contains(@resource-id, ":id/permission_allow_")]',
    "deny": '//*[contains(@resource-id, ":id/permission_deny_")]',
}
_WATCH_S = 0.5


@dataclass(frozen=True, slots=True)
class Ui:
    """A device's screen. Every method raises NotReady where what it needs does not come, and LabError or DeviceLost."""

    client: Any  # uiautomator2.Device, for what this class has no word for
    serial: str
    wait_s: float

    def tap(self, **selector: str | int | bool) -> None:
        """Taps the middle of the first element that the selector fits, once it is there."""
        with self._told(f"tap {_render(selector)}"):
            self._require(selector)
            self._find(selector).click(timeout=self.wait_s)

    def press(self, key: str) -> None:
        """Presses a key: ``home``, ``back``, ``enter`` ..."""
        with self._told(f"press {key}"):
            self.client.press(key)

    def swipe_up(self, *, steps: int, **selector: str | int | bool) -> None:
        """Swipes up inside an element, from a tenth above its lower edge to a tenth below the upper.

        Args:
            steps: moves of the finger, each at least 5 ms after the last; fewer are a faster swipe and a longer fling.
            selector: the element.
        """
        with self._told(f"swipe in {_render(selector)}"):
            self._require(selector)
            left, top, right, bottom = self._find(selector).bounds()
            middle, edge = (left + right) // 2, (bottom - top) // 10
            self.client.swipe(middle, bottom - edge, middle, top + edge, steps=steps)

    def type_text(self, text: str, **selector: str | int | bool) -> None:
        """Taps a text field and types into it; what was there goes."""
        self.tap(**selector)
        with self._told(f"type into {_render(selector)}"):
            self.client.send_keys(text, clear=True)

    def read_text(self, **selector: str | int | bool) -> str:
        """Text of the first element that the selector fits, once it is there."""
        with self._told(f"read {_render(selector)}"):
            self._require(selector)
            return str(self._find(selector).get_text(timeout=self.wait_s))

    def wait_shown(self, **selector: str | int | bool) -> None:
        """Waits until an element is on the screen."""
        with self._told(f"wait for {_render(selector)}"):
            self._require(selector)

    def wait_gone(self, **selector: str | int | bool) -> None:
        """Waits until no such element is on the screen."""
        with self._told(f"wait for the end of {_render(selector)}"):
            if not self._find(selector).wait_gone(timeout=self.wait_s):
                raise NotReady(f"{self.serial}: {_render(selector)} is still on the screen after {self.wait_s:g} s.")

    def read_front(self) -> str:
        """The package in front."""
        with self._told("ask what is in front"):
            return str(self.client.app_current()["package"])

    def dump(self) -> str:
        """What is on the screen, as XML in the form of ``uiautomator dump``."""
        with self._told("dump the screen"):
            return str(self.client.dump_hierarchy())

    def screenshot(self) -> bytes:
        """A picture of the screen, as PNG."""
        with self._told("take a picture"):
            out = io.BytesIO()
            self.client.screenshot().save(out, format="PNG")
            return out.getvalue()

    @contextmanager
    def answering(self, answer: str) -> Iterator[None]:
        """While it is open, a watcher answers every permission dialog: ``allow`` or ``deny``."""
        watcher = self.client.watcher
        watcher("permission").when(PERMISSION_BUTTONS[answer]).click()
        watcher.start(interval=_WATCH_S)
        try:
            yield
        finally:
            watcher.stop()
            watcher.remove("permission")

    def _find(self, selector: Selector) -> Any:
        return self.client(**selector)

    def _require(self, selector: Selector) -> None:
        if not self._find(selector).wait(timeout=self.wait_s):
            raise NotReady(
                f"{self.serial}: nothing on the screen is {_render(selector)}, {self.wait_s:g} s long; "
                "look at the picture and the dump of the screen, and unlock the device if it is locked."
            )

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        with _translated(self.serial, what):
            yield


@contextmanager
def open_ui(device: Device, *, wait_s: float = 20.0) -> Iterator[Ui]:
    """Starts uiautomator2's server on the device; ends it afterwards.

    Args:
        device: a device that is reached over adb.
        wait_s: how long each verb waits for its element.

    Raises:
        LabError: the server does not start.
    """
    import uiautomator2

    transport = device.transport
    if isinstance(transport, SuTransport):  # the client speaks adb itself, and its server needs no root
        transport = transport.inner
    if not isinstance(transport, AdbTransport):
        raise LabError(f"{device.serial}: its screen can only be driven over adb.")
    with _translated(device.serial, "start uiautomator2"):
        client = uiautomator2.Device(transport.adb_device())
    client.settings["wait_timeout"] = wait_s
    try:
        yield Ui(client, device.serial, wait_s)
    finally:
        # The client would end its server when Python ends, when the device may be another's.
        atexit.unregister(client.stop_uiautomator)
        with suppress(Exception):
            _run_for(lambda: client.stop_uiautomator(wait=False), seconds=10.0)


def _run_for(work: Callable[[], object], *, seconds: float) -> None:
    """Runs something that may hang with a device that is gone, and leaves it alone after a while."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)


@contextmanager
def _translated(serial: str, what: str) -> Iterator[None]:
    """Converts what the client raises into the suite's exceptions."""
    import adbutils
    from uiautomator2 import exceptions

    try:
        yield
    except exceptions.UiObjectNotFoundError as error:
        raise NotReady(
            f"{serial}: could not {what}: it is not on the screen; look at the picture and the dump of the screen."
        ) from error
    except exceptions.LaunchUiAutomationError as error:
        raise LabError(
            f"{serial}: uiautomator2's server does not start ({_first(error)}); end other UI test tools on the device, "
            "and see `adb logcat`."
        ) from error
    except exceptions.BaseException as error:
        raise LabError(f"{serial}: could not {what} ({type(error).__name__}: {_first(error)}); see its log.") from error
    except (adbutils.AdbError, OSError, EOFError) as error:
        raise DeviceLost(
            f"{serial} went away while the suite tried to {what} ({error}); check cable and adb."
        ) from error


def _first(error: Exception) -> str:
    lines = [line.strip() for word in error.args for line in str(word).splitlines() if line.strip()]
    return lines[0][:200] if lines else "no message"


def _render(selector: Selector) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in selector.items())
