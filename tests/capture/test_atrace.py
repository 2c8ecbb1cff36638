"""Slices of a phone: switched on for the run, and off again as found."""

from __future__ import annotations

from pathlib import Path

from android_suite.capture.atrace import TAGS, WANTED_TAGS, AtraceCapture
from android_suite.device.device import Device
from android_suite.device.scripted import Exchange, ScriptedTransport
from android_suite.store.run import create_run


def play(tmp_path: Path, exchanges: list[Exchange]) -> None:
    script = ScriptedTransport(exchanges)
    run = create_run(tmp_path / "run", label="x", mode="realtime")
    out = run.begin_iteration("s", seed=1, boot="b", traced=True, parameters={})
    source = AtraceCapture(Device(script), "com.example.app")
    source.prepare(out)
    source.restore()
    source.restore()
    script.finish()


def test_tags_are_added_and_put_back(tmp_path: Path) -> None:
    play(
        tmp_path,
        [
            Exchange(command="getprop", stdout=f"[{TAGS}]: [0x100]\n[debug.atrace.app_number]: [0]\n".encode()),
            Exchange(command=f"setprop {TAGS} {WANTED_TAGS | 0x100:#x}"),
            Exchange(command="setprop debug.atrace.app_number 1"),
            Exchange(command="setprop debug.atrace.app_0 com.example.app"),
            Exchange(command=f"setprop {TAGS} 0x100"),
            Exchange(command="setprop debug.atrace.app_number 0"),
            Exchange(command="setprop debug.atrace.app_0 ''"),
        ],
    )


def test_a_device_without_the_property_is_left_alone(tmp_path: Path) -> None:
    play(tmp_path, [Exchange(command="getprop", stdout=b"[ro.product.model]: [virtual]\n")])


def test_a_refused_property_is_noted_and_nothing_worse(tmp_path: Path) -> None:
    refused = b"Failed to set property 'debug.atrace.app_number' to '1'.\n"
    play(
        tmp_path,
        [
            Exchange(command="getprop", stdout=f"[{TAGS}]: [0]\n[debug.atrace.app_number]: [0]\n".encode()),
            Exchange(command=f"setprop {TAGS} {WANTED_TAGS:#x}"),
            Exchange(command="setprop debug.atrace.app_number 1", stderr=refused, status=1),
            Exchange(command="setprop debug.atrace.app_0 com.example.app"),
            Exchange(command=f"setprop {TAGS} 0"),
            Exchange(command="setprop debug.atrace.app_number 0", stderr=refused, status=1),
            Exchange(command="setprop debug.atrace.app_0 ''"),
        ],
    )
    (note,) = tmp_path.glob("run/raw/*/capture_notes.txt")
    assert note.read_text().startswith("the device refused the property debug.atrace.app_number (Failed to set")
