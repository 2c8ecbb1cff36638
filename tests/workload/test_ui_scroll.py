"""The steps of `ui_scroll` on a screen that is played: what is done in which order, and what is told when it is not so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from android_suite.device.device import Device
from android_suite.device.scripted import Exchange, ScriptedTransport
from android_suite.device.ui import Ui
from android_suite.errors import LabError, NotReady
from android_suite.store.run import IterationWriter, create_run
from android_suite.workload import ui_scroll
from android_suite.workload.our_app import PACKAGE
from android_suite.workload.registry import find_workload
from android_suite.workload.workload import Context, complete_parameters

START = "am start -W -n com.androidsuite.workload/.UiActivity"
STARTED = b"Status: ok\nLaunchState: COLD\nActivity: com.androidsuite.workload/.UiActivity\nTotalTime: 9\nComplete\n"
RESULT = '{"token":"t-0","scenario":"ui_scroll","complete":true}'


@dataclass
class PlayedScreen:
    """The app's screen as far as the scenario looks at it; ``broken`` names what it gets wrong."""

    broken: str = ""
    serial: str = "played"
    done: list[str] = field(default_factory=list)
    first: int = 0
    title: str = ""
    note: str = ""
    status: str = "Permission: not asked"
    answer: str = ""

    def tap(self, **selector: object) -> None:
        where = str(selector.get("text") or selector["resourceId"])
        self.done.append(f"tap {where.rpartition('/')[2]}")
        if self.broken == where:
            raise NotReady(f"played: nothing on the screen is {where}")
        if where.startswith("Row "):
            self.title = where
        elif where.endswith("/ask"):
            self.status = {"allow": "Permission: allowed", "deny": "Permission: denied"}[self.answer]

    def press(self, key: str) -> None:
        self.done.append(f"press {key}")

    def swipe_up(self, *, steps: int, **selector: object) -> None:
        self.done.append(f"swipe {steps}")
        self.first += 0 if self.broken == "scroll" else 9

    def type_text(self, text: str, **selector: object) -> None:
        self.note = text[:-1] if self.broken == "typing" else text

    def read_text(self, **selector: object) -> str:
        if "textMatches" in selector:
            return f"Row {self.first}"
        return {"title": self.title, "note": self.note, "status": self.status}[
            str(selector["resourceId"]).rpartition("/")[2]
        ]

    def wait_shown(self, **selector: object) -> None:
        if "text" in selector and selector["text"] != self.status:
            raise NotReady(f"played: the status is {self.status}")

    def wait_gone(self, **selector: object) -> None:
        pass

    def read_front(self) -> str:
        return "com.example.launcher"

    def dump(self) -> str:
        return "<hierarchy/>"

    def screenshot(self) -> bytes:
        return b"\x89PNG"

    @contextmanager
    def answering(self, answer: str) -> Iterator[None]:
        self.answer = answer
        yield
        self.answer = ""


class PlayedLog:
    def mark(self) -> int:
        return 7

    def wait_line(self, pattern: re.Pattern[str], *, timeout: float, what: str, since: int = 1) -> re.Match[str]:
        assert since == 7
        found = pattern.search(f"I AndroidSuite: result {RESULT}")
        assert found
        return found


@pytest.fixture
def out(tmp_path: Path) -> IterationWriter:
    run = create_run(tmp_path / "run", label="t", mode="realtime")
    return run.begin_iteration("ui_scroll", seed=4, boot="b", traced=False, parameters={})


def play(
    screen: PlayedScreen, out: IterationWriter, monkeypatch: pytest.MonkeyPatch, *exchanges: Exchange, **given: object
) -> Any:
    """One iteration on the played screen; ``exchanges`` are what the device is asked after the start."""

    @contextmanager
    def opened(device: Device, *, wait_s: float) -> Iterator[Ui]:
        yield cast(Ui, screen)

    monkeypatch.setattr(ui_scroll, "open_ui", opened)
    workload = find_workload("ui_scroll")
    parameters = complete_parameters(workload, {"away_ms": 0, **cast(Mapping[str, object], given)})
    extras = "--es token t-0 --el seed 4 --ei rate 20000"
    script = ScriptedTransport([Exchange(command=f"{START} {extras}", stdout=STARTED), *exchanges])
    context = Context(
        device=Device(script), out=out, log=PlayedLog(), seed=4, token="t-0", parameters=parameters, say=lambda _: None
    )
    try:
        return workload.run_once(context)
    finally:
        script.finish()


def test_the_steps_in_their_order(out: IterationWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = PlayedScreen()
    outcome = play(screen, out, monkeypatch, Exchange(command=START, stdout=STARTED), swipes=2, answer="deny")
    assert (outcome.incomplete, outcome.crash) == ("", None)
    row = int(screen.title.removeprefix("Row "))
    assert row in range(20, 23)  # two swipes of nine rows, then one of three whole rows
    assert screen.done == [
        "swipe 20", "swipe 20", f"tap Row {row}", "tap close", "tap ask", "press home", "tap done",
    ]  # fmt: skip
    steps = json.loads((out.path("ui_steps.json")).read_text())
    assert [(step["step"], step["done"]) for step in steps] == [
        (name, True) for name in ("open", "scroll", "type", "answer the dialog", "leave", "come back", "done")
    ]
    assert steps[3]["saw"] == "Permission: denied"
    assert steps[4]["saw"] == "com.example.launcher"
    assert out.path("app_result.json").read_text().strip() == RESULT
    assert out.path("screen.png").read_bytes() == b"\x89PNG"


@pytest.mark.parametrize(
    ("broken", "step", "says"),
    [
        ("scroll", "scroll", "the list did not scroll"),
        ("typing", "type", "not what was typed"),
    ],
)
def test_a_screen_that_does_something_else_is_a_fault(
    broken: str, step: str, says: str, out: IterationWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LabError, match=says):
        play(PlayedScreen(broken=broken), out, monkeypatch)
    steps = json.loads(out.path("ui_steps.json").read_text())
    assert (steps[-1]["step"], steps[-1]["done"]) == (step, False)
    assert out.path("screen.png").exists()  # how it looked
    assert out.path("screen.xml").exists()


@pytest.mark.parametrize("lives", [True, False])
def test_an_element_that_does_not_come(lives: bool, out: IterationWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the setup while the app lives; the app's crash where its process is gone."""
    gone = Exchange(command=f"pidof {PACKAGE}", stdout=b"41\n" if lives else b"", status=0 if lives else 1)
    screen = PlayedScreen(broken=f"{PACKAGE}:id/ask")
    if lives:
        with pytest.raises(NotReady, match="nothing on the screen"):
            play(screen, out, monkeypatch, gone)
    else:
        outcome = play(screen, out, monkeypatch, gone)
        assert outcome.crash.kind == "app_crash"
