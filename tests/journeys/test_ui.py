"""The unmodified client library uiautomator2 drives the virtual device's screen, and the scenario that is built on it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from uiautomator2.exceptions import RPCUnknownError, UiObjectNotFoundError

from android_suite.analyze import load_run
from android_suite.boot.booted import Booted
from android_suite.boot.virtual import boot_virtual
from android_suite.device.ui import Ui, open_ui
from android_suite.errors import NotReady
from android_suite.evidence.framestats import parse_framestats_polls
from android_suite.record.live import RecordOptions, record
from android_suite.store.run import create_run
from android_suite.workload.our_app import PACKAGE, VERSION_CODE
from tests.settings import CONFIG

pytestmark = pytest.mark.vdev
KERNEL = "6.17.13"
HOME = "com.androidsuite.home"
LABEL = "android-suite workload"
ROWS, FIELD, NOTE, STATUS = (f"{PACKAGE}:id/{name}" for name in ("rows", "field", "note", "status"))
WAIT_S = 90.0  # a busy machine's emulator draws few frames a second
INK = (33, 33, 33)


@pytest.fixture(scope="module")
def booted() -> Iterator[Booted]:
    with boot_virtual(KERNEL, config=CONFIG) as device:
        yield device


@pytest.fixture(scope="module")
def ui(booted: Booted) -> Iterator[Ui]:
    with open_ui(booted.device, wait_s=WAIT_S) as opened:
        yield opened


@pytest.fixture
def client(ui: Ui) -> Any:
    """The library's own object, on the activity with the list, as new."""
    client = ui.client
    client.shell(["pm", "revoke", PACKAGE, "android.permission.POST_NOTIFICATIONS"])
    client.app_stop(PACKAGE)
    client.shell(["am", "start", "-W", "-n", f"{PACKAGE}/.UiActivity"])
    assert client(resourceId=ROWS).wait(timeout=WAIT_S)
    return client


def count_ink(picture: Image.Image, box: tuple[int, int, int, int]) -> int:
    """Dots in the colour of text."""
    return int((np.asarray(picture.convert("RGB").crop(box)) == INK).all(axis=2).sum())


def test_apps_come_and_go(client: Any) -> None:
    assert client.info["currentPackageName"] == PACKAGE
    assert client.window_size() == (1080, 1920)
    assert client.app_info(PACKAGE) == {"versionName": "1.2", "versionCode": VERSION_CODE}
    assert client.app_wait(PACKAGE, front=True) > 0
    assert client.app_current()["activity"] == f"{PACKAGE}.UiActivity"
    client.press("home")
    assert client(resourceId=ROWS).wait_gone(timeout=WAIT_S)
    assert client.app_current()["package"] == HOME
    client(text=LABEL).click()  # the icon brings the task back
    assert client(resourceId=ROWS).wait(timeout=WAIT_S)
    client.app_stop(PACKAGE)
    assert client.app_current()["package"] == HOME
    client.app_start(PACKAGE)  # without an activity: monkey, as on a phone
    assert client.app_current()["activity"] == f"{PACKAGE}.LaunchActivity"


def test_the_dump_and_the_selectors_mean_the_same(client: Any) -> None:
    root = ElementTree.fromstring(client.dump_hierarchy())
    assert root.tag == "hierarchy"
    assert root.get("rotation") == "0"
    rows = [node for node in root.iter("node") if node.get("text", "").startswith("Row ")]
    assert [node.get("text") for node in rows] == [f"Row {n}" for n in range(len(rows))]
    assert len(rows) == client(textMatches=r"Row \d+").count == len(client(resourceId=ROWS).child(clickable=True))
    fifth = client(resourceId=ROWS).child(className="android.widget.TextView")[5]
    left, top, right, bottom = fifth.bounds()
    assert rows[5].get("bounds") == f"[{left},{top}][{right},{bottom}]"
    assert fifth.info["text"] == "Row 5"
    assert client(text="Done").sibling(textContains="permission").get_text() == "Ask for permission"
    assert client.xpath('//*[@text="Row 3"]').exists
    assert not client(text="Row 3", packageName=HOME).exists
    with pytest.raises(UiObjectNotFoundError):
        _ = client(text="nowhere").info
    assert client(text="nowhere").wait(timeout=0.2) is False
    with pytest.raises(RPCUnknownError, match="-32601"):
        client.jsonrpc.noSuchMethod()


def test_fingers_and_keys_do_what_they_do_on_a_phone(client: Any) -> None:
    rows = client(resourceId=ROWS)
    first = rows.child(className="android.widget.TextView")
    client.swipe(540, 1600, 540, 900, steps=6)
    moved = int(first.get_text().removeprefix("Row "))
    assert moved >= 7  # seven rows by the finger, more by the fling
    assert rows.scroll.to(text=f"Row {moved + 20}")
    client(text=f"Row {moved + 20}").click()
    assert client(resourceId=f"{PACKAGE}:id/title").get_text() == f"Row {moved + 20}"
    hostile = """ä "q" 'a' $(id); %s\\n <b>&amp;"""
    client(resourceId=NOTE).set_text(hostile)
    assert client(resourceId=NOTE).get_text() == hostile
    assert hostile in [node.get("text") for node in ElementTree.fromstring(client.dump_hierarchy()).iter("node")]
    client.press("back")
    assert client(resourceId=NOTE).wait_gone(timeout=WAIT_S)
    client(resourceId=FIELD).click()
    client.send_keys("first")
    client.send_keys(" and second")
    assert client(focused=True).get_text() == "first and second"
    client.press("delete")
    assert client(focused=True).get_text() == "first and secon"
    client.send_keys("new", clear=True)
    assert client(focused=True).get_text() == "new"


def test_a_picture_shows_what_the_tree_says(client: Any) -> None:
    before = client.screenshot()
    assert before.size == (1080, 1920)
    row = client(text="Row 1")
    assert count_ink(before, row.bounds()) > 500
    assert count_ink(before, (600, *row.bounds()[1:])) == 0  # the text is at the left
    field = client(resourceId=FIELD).bounds()
    assert count_ink(before, field) == 0  # a hint is grey
    client(resourceId=FIELD).set_text("X")
    typed = client.screenshot()
    assert 300 < count_ink(typed, field) < 2000
    client(resourceId=FIELD).set_text("XX")
    assert count_ink(client.screenshot(), field) == 2 * count_ink(typed, field)
    client(text="Row 1").click()
    assert count_ink(client.screenshot(), row_of_list := (0, 1000, 1080, 1900)) == 0
    assert count_ink(before, row_of_list) > 2000
    png = client.shell(["screencap", "-p"]) and client.adb_device.shell(["screencap", "-p"], encoding=None)
    assert Image.open(io.BytesIO(png)).size == (1080, 1920)


@pytest.mark.parametrize(("answer", "status"), [("allow", "Permission: allowed"), ("deny", "Permission: denied")])
def test_a_watcher_answers_the_dialog(ui: Ui, client: Any, answer: str, status: str) -> None:
    with ui.answering(answer):
        client(text="Ask for permission").click()
        assert client(resourceId=STATUS, text=status).wait(timeout=WAIT_S)
    assert client(resourceId=ROWS).exists
    granted = f"android.permission.POST_NOTIFICATIONS: granted={'true' if answer == 'allow' else 'false'}"
    assert granted in client.shell(["dumpsys", "package", PACKAGE]).output


def test_what_is_not_there_is_told(booted: Booted, client: Any) -> None:
    with open_ui(booted.device, wait_s=1.0) as hasty, pytest.raises(NotReady, match="text='nowhere', 1 s long"):
        hasty.tap(text="nowhere")


def test_the_scenario(booted: Booted, tmp_path: Path) -> None:
    """Recorded with tracing; the frames that the app counted and the slices in the trace are the same, one by one."""
    run = create_run(tmp_path / "run", label="ui", mode="realtime")
    options = RecordOptions(
        cache=CONFIG.cache, seed=3, parameters={"swipes": 3, "swipe_steps": 8, "answer": "deny", "wait_s": 300}
    )
    (iteration,) = record(["ui_scroll"], booted.device, run, options, crash_probe=booted.crash_probe)
    assert (iteration.status, iteration.reason) == ("complete", "")
    folder = run.seal().raw(iteration)
    steps = json.loads((folder / "ui_steps.json").read_text())
    assert all(step["done"] for step in steps)
    saw = {step["step"]: step["saw"] for step in steps}
    assert saw["scroll"]["first_row_after"] >= 20
    assert saw["type"]["typed"] == "Hello, list 42"
    assert saw["answer the dialog"] == "Permission: denied"
    assert saw["leave"] == HOME
    assert saw["come back"]["launch"] == "HOT"
    result = json.loads((folder / "app_result.json").read_text())
    assert result["scenario"] == "ui_scroll"
    assert result["complete"] is True
    assert result["gc_cycles"] > 0
    with Image.open(folder / "screen.png") as picture:
        assert picture.size == (1080, 1920)
    assert PACKAGE in (folder / "screen.xml").read_text()

    load_run(tmp_path / "run")
    (derived,) = (tmp_path / "run").rglob("slices.parquet")
    frames, _ = parse_framestats_polls((folder / "framestats.txt").read_text())
    slices = pd.read_parquet(derived)
    mine = slices[(slices["tgid"] == result["pid"]) & slices["name"].str.startswith("Choreographer#doFrame ")]
    drawn = mine.assign(id=mine["name"].str.split().str[-1].astype("int64")).set_index("id")
    both = frames[frames["vsync_id"].isin(drawn.index)].set_index("vsync_id")
    assert len(both) >= 20  # three swipes of eight moves, and what comes with them
    whole = frames[frames["intended_vsync_ns"] > drawn["start_ns"].min()]  # the trace saw all but what came before it
    assert set(whole["vsync_id"]) <= set(drawn.index)
    assert (both["frame_start_ns"] >= drawn.loc[both.index, "start_ns"]).all()
    assert (both["sync_queued_ns"] <= drawn.loc[both.index, "end_ns"]).all()
