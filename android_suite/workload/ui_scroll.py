"""A user's minute with the app: open it, scroll its list while it collects, open a row, type, answer a dialog, leave, come back.

The screen is driven from the host by uiautomator2, on a phone as on a virtual device. What is measured are the frames
and locks of the app meanwhile; what the host's calls take is kept beside it, as evidence that nobody should compare.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from android_suite.device.android import (
    check_package,
    force_stop,
    render_component,
    render_extras,
    render_user,
    require_package,
    start_activity,
)
from android_suite.device.ui import Ui, open_ui
from android_suite.errors import LabError, NotReady, SuiteError, UsageError
from android_suite.workload.our_app import PACKAGE, describe_death, start_app, wait_result
from android_suite.workload.workload import (
    LOCKS,
    PROBE_VMA_LOCK,
    USER,
    Context,
    Left,
    Outcome,
    Parameters,
    check_user,
    find_user,
    list_needs,
)

ACTIVITY: Final = ".UiActivity"
ANSWERS: Final = ("allow", "deny")
_PERMISSIONS: Final = ("android.permission.POST_NOTIFICATIONS", "android.permission.READ_EXTERNAL_STORAGE")
_STATUS: Final = {"allow": "Permission: allowed", "deny": "Permission: denied"}
_RESULT_S = 60.0
_PASSED = ("ui_alloc_bytes", "ui_maps", "threads", "rate", "sizes")


@dataclass(frozen=True, slots=True)
class UiScroll:
    """See the module. ``swipes`` and ``swipe_steps`` scroll the list; ``answer`` is given to the permission dialog.

    ``away_ms`` is the time on the home screen, ``wait_s`` how long a step waits for what it needs. The further
    parameters are extras of the app; -1 or an empty text leaves the choice to it.
    """

    name: str = "ui_scroll"

    @property
    def defaults(self) -> Parameters:
        """See the protocol."""
        return {
            "swipes": 8,
            "swipe_steps": 20,
            "text": "Hello, list 42",
            "answer": "allow",
            "away_ms": 500,
            "wait_s": 30.0,
            "ui_alloc_bytes": -1,
            "ui_maps": -1,
            "threads": -1,
            "rate": 20_000,
            "sizes": "",
            USER: -1,
            PROBE_VMA_LOCK: False,
            LOCKS: "mm",
        }

    def check(self, parameters: Parameters) -> None:
        """See the protocol."""
        check_user(parameters)
        for name, least, most in (("swipes", 1, 1000), ("swipe_steps", 2, 1000), ("away_ms", 0, 600_000)):
            if not least <= int(parameters[name]) <= most:
                raise UsageError(f"{name} is {parameters[name]}; choose {least} to {most}.")
        if not 1 <= float(parameters["wait_s"]) <= 600:
            raise UsageError(f"wait_s is {parameters['wait_s']}; choose 1 to 600.")
        if parameters["answer"] not in ANSWERS:
            raise UsageError(f"answer is {parameters['answer']!r}; choose one of {', '.join(ANSWERS)}.")
        text = str(parameters["text"])
        if not text or len(text) > 200 or not text.isprintable():
            raise UsageError("text is what is typed; give 1 to 200 printable characters.")

    def needs(self, parameters: Parameters) -> tuple[str, ...]:
        """See the protocol."""
        return list_needs(parameters)

    def process(self, parameters: Parameters) -> str:
        """See the protocol."""
        return PACKAGE

    def package(self, parameters: Parameters) -> str | None:
        """See the protocol."""
        return PACKAGE

    def prepare(self, context: Context) -> None:
        """Ends the app and takes its permission back, so that every iteration starts the same and sees the dialog."""
        device = context.device
        user = find_user(context.parameters)
        require_package(device, PACKAGE, next_step="install the workload app, or use a virtual device.", user=user)
        force_stop(device, PACKAGE)
        for permission in _PERMISSIONS:  # a device knows one of them and refuses the other
            of = [*render_user(user), check_package(PACKAGE), permission]
            device.transport.run(["pm", "revoke", *of])
            device.transport.run(["pm", "clear-permission-flags", *of, "user-set", "user-fixed"])

    def run_once(self, context: Context) -> Outcome:
        """Plays the steps, then waits for the app's account. The app's death is an outcome, a missing element is not."""
        parameters = context.parameters
        mark = context.log.mark()
        steps = Steps(context)
        try:
            with open_ui(context.device, wait_s=float(parameters["wait_s"])) as ui:
                try:
                    play(ui, steps, context)
                finally:
                    keep_screen(ui, context)
        except SuiteError as error:
            if steps.started and isinstance(error, NotReady) and not context.device.pidof(PACKAGE):
                return describe_death(str(error))
            raise
        return wait_result(context, mark, timeout=_RESULT_S)

    def cleanup(self, context: Context) -> None:
        """See the protocol."""
        force_stop(context.device, PACKAGE)

    @property
    def guest_defaults(self) -> Parameters:
        """Refuses: no host reaches a deterministic guest.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "ui_scroll is driven from the host, which no deterministic run lets in; record it in real time, "
            "or choose gc_stress, whose list scrolls by itself."
        )

    def guest_prepare(self, parameters: Parameters) -> str:
        """Refuses, as :attr:`guest_defaults`."""
        return str(self.guest_defaults)

    def guest_script(self, parameters: Parameters, *, seed: int, token: str) -> str:
        """Refuses, as :attr:`guest_defaults`."""
        return str(self.guest_defaults)

    def read_guest(self, left: Left, parameters: Parameters, token: str) -> tuple[Mapping[str, str], Outcome]:
        """Refuses, as :attr:`guest_defaults`."""
        return {str(self.guest_defaults): ""}, Outcome()


@dataclass(slots=True)
class Steps:
    """What was done, step by step, kept as ``ui_steps.json`` after each."""

    context: Context
    rows: list[dict[str, Any]] = field(default_factory=list)
    started: bool = False

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[object], None]]:
        """One step. Called with what the screen showed, the result keeps it."""
        row: dict[str, Any] = {"step": name, "done": False, "host_ms": None, "saw": None}
        self.rows.append(row)
        self.context.say(name)
        began = time.monotonic()
        try:
            yield lambda saw: row.update(saw=saw)
            row["done"] = True
        finally:
            row["host_ms"] = round((time.monotonic() - began) * 1000, 1)
            self.context.out.write("ui_steps.json", json.dumps(self.rows, indent=1) + "\n")


def play(ui: Ui, steps: Steps, context: Context) -> None:
    """The steps of the scenario.

    Raises:
        NotReady: an element did not come.
        LabError: the screen shows something else than what was done to it.
    """
    parameters = context.parameters
    extras: dict[str, str | int | bool] = {"token": context.token, "seed": context.seed}
    extras |= {name: _as_extra(parameters[name]) for name in _PASSED if parameters[name] not in (-1, "")}
    with steps.step("open"):
        start_app(context, ACTIVITY, render_extras(extras, longs=frozenset({"seed"})))
        steps.started = True
        ui.wait_shown(**element("rows"))
    with steps.step("scroll") as saw:
        before = _first_row(ui)
        for _ in range(int(parameters["swipes"])):
            ui.swipe_up(steps=int(parameters["swipe_steps"]), **element("rows"))
        after = _first_row(ui)
        saw({"first_row_before": before, "first_row_after": after})
        if after <= before:
            raise LabError(f"{ui.serial}: the list did not scroll (row {before} is still the first); see `screen.png`.")
    with steps.step("type") as saw:
        # A row that is whole, not one of the edge, chosen by the seed.
        row = _first_row(ui) + 2 + random.Random(context.seed).randrange(3)
        ui.tap(text=f"Row {row}", **_of_list())
        ui.type_text(str(parameters["text"]), **element("note"))
        title, typed = ui.read_text(**element("title")), ui.read_text(**element("note"))
        saw({"title": title, "typed": typed})
        if (title, typed) != (f"Row {row}", parameters["text"]):
            raise LabError(f"{ui.serial}: {title!r} has the note {typed!r}, which is not what was typed.")
        ui.tap(**element("close"))
        ui.wait_gone(**element("title"))
    with steps.step("answer the dialog") as saw, ui.answering(str(parameters["answer"])):
        ui.tap(**element("ask"))
        ui.wait_shown(text=_STATUS[str(parameters["answer"])], **element("status"))
        saw(ui.read_text(**element("status")))
    with steps.step("leave") as saw:
        ui.press("home")
        ui.wait_gone(packageName=PACKAGE)
        time.sleep(int(parameters["away_ms"]) / 1000)
        saw(ui.read_front())
    with steps.step("come back") as saw:
        component = render_component(PACKAGE, ACTIVITY)
        started, _ = start_activity(context.device, component, user=find_user(parameters))
        ui.wait_shown(**element("rows"))
        saw({"launch": started.launch_state, "first_row": _first_row(ui)})
    with steps.step("done"):
        ui.tap(**element("done"))


def keep_screen(ui: Ui, context: Context) -> None:
    """Keeps how the screen looks at the end, or where a step failed: ``screen.png`` and ``screen.xml``."""
    with suppress(SuiteError):
        context.out.write("screen.png", ui.screenshot())
    with suppress(SuiteError):
        context.out.write("screen.xml", ui.dump())


def element(name: str) -> dict[str, str | int | bool]:
    """The selector of an element of the app."""
    return {"resourceId": f"{PACKAGE}:id/{name}"}


def _of_list() -> dict[str, str | int | bool]:
    return {"className": "android.widget.TextView", "packageName": PACKAGE}


def _first_row(ui: Ui) -> int:
    """The number of the first row on the screen."""
    return int(ui.read_text(textMatches=r"Row \d+", **_of_list()).removeprefix("Row "))


def _as_extra(value: str | int | float | bool) -> str | int:
    return value if isinstance(value, str) else int(value)
