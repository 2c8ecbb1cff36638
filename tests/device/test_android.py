"""Android's verbs: hostile names end here."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_suite.device.android import (
    check_package,
    is_installed,
    press_key,
    render_component,
    render_extras,
    start_activity,
)
from android_suite.device.device import Device
from android_suite.device.scripted import Exchange, ScriptedTransport
from android_suite.errors import UsageError


@pytest.mark.parametrize("name", ["", "app", "a b.c", "a.b;reboot", "a.b/..", "../a.b", "1a.b", "a.b\n", "a." * 200])
def test_what_is_no_package(name: str) -> None:
    with pytest.raises(UsageError, match="package name"):
        check_package(name)


@pytest.mark.parametrize("activity", ["", "$(id)", ".A B", "A/.B", ".A;B"])
def test_what_is_no_activity(activity: str) -> None:
    with pytest.raises(UsageError, match="activity"):
        render_component("com.example.app", activity)


def test_components() -> None:
    assert render_component("com.example.app", ".MainActivity") == "com.example.app/.MainActivity"
    assert render_component("a.b", "c.d.Main$Inner") == "a.b/c.d.Main$Inner"
    assert render_component("com.ex.app", "com.ex.app.Main") == "com.ex.app/.Main"
    assert render_component("com.ex.app", "com.ex.app/.Main") == "com.ex.app/.Main"
    assert render_component("com.ex.app", "com.ex.app/com.ex.app.ui.Main") == "com.ex.app/.ui.Main"
    with pytest.raises(UsageError, match="not an activity of"):
        render_component("com.ex.app", "com.other/.Main")


def test_extras_carry_their_types() -> None:
    words = render_extras({"n": 3, "seed": 7, "big": 2**40, "on": True, "s": "x"}, longs=frozenset({"seed"}))
    assert words == [
        "--ei",
        "n",
        "3",
        "--el",
        "seed",
        "7",
        "--el",
        "big",
        str(2**40),
        "--ez",
        "on",
        "true",
        "--es",
        "s",
        "x",
    ]
    with pytest.raises(UsageError, match="parameter's name"):
        render_extras({"a b": 1})


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40))
def test_an_extra_stays_one_word_for_the_shell(text: str) -> None:
    line = shlex.join(["am", "start", *render_extras({"s": text})])
    assert shlex.split(line) == ["am", "start", "--es", "s", text]


def test_verbs_say_what_android_expects() -> None:
    script = ScriptedTransport(
        [
            Exchange(command="pm path com.example.app", stdout=b"package:/data/app/base.apk\n"),
            Exchange(command="input keyevent 3"),
            Exchange(
                command="am start -W -n com.example.app/.A --es s 'a b'", stdout=b"Status: ok\nLaunchState: HOT\n"
            ),
        ]
    )
    device = Device(script)
    assert is_installed(device, "com.example.app")
    press_key(device, "HOME")
    started, text = start_activity(device, "com.example.app/.A", extras=["--es", "s", "a b"])
    assert started.launch_state == "HOT"
    assert "Status" in text
    script.finish()
