"""What am and the log say of a launch, and what it is judged to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.model.launch import judge_launch, parse_am_start, parse_am_starts, parse_drawn, shorten_component

FRONT = "Warning: Activity not started, its current task has been brought to the front\n"
TOP = "Warning: Activity not started, intent has been delivered to currently running top-most instance.\n"


def answer(
    state: str | None, *, status: str = "ok", warning: str = "", drew: str = "com.ex.app/.Main", ms: int | None = 60
) -> str:
    lines = [f"Starting: Intent {{ cmp=com.ex.app/.Main }}\n{warning}Status: {status}"]
    lines += [f"LaunchState: {state}"] if state else []
    lines += [f"Activity: {drew}"]
    lines += [f"TotalTime: {ms}"] if ms is not None else []
    return "\n".join([*lines, "WaitTime: 67", "Complete", ""])


def test_a_cold_start() -> None:
    found = parse_am_start(answer("COLD"))
    assert (found.status, found.launch_state, found.total_ms, found.wait_ms) == ("ok", "COLD", 60, 67)
    assert (found.intent, found.activity, found.state) == ("com.ex.app/.Main", "com.ex.app/.Main", "cold")
    assert found.error is None
    assert found.warnings == ()


def test_every_recorded_answer_is_read(shared_data: Path) -> None:
    found = parse_am_starts((shared_data / "dumpsys" / "am_start_W_samples.txt").read_text())
    assert [(one.this_ms, one.total_ms, one.wait_ms) for one in found] == [
        (1131, 4171, 4190),
        (None, 1479, 1482),
        (None, None, 11639),
    ]
    # the second is another package's activity: it was never launched
    assert [judge_launch("", one).outcome for one in found] == ["ok", "elsewhere", "timeout"]


def test_the_cases(shared_root: Path) -> None:
    hot = parse_am_start((shared_root / "cases/device/01-hot-launch.txt").read_text())
    assert judge_launch("hot", hot).outcome == "ok"
    assert (judge_launch("warm", hot).outcome, judge_launch("warm", hot).reason) == (
        "wrong_state",
        "asked warm, got HOT",
    )
    elsewhere = parse_am_start((shared_root / "cases/device/09-activity-elsewhere.txt").read_text())
    assert judge_launch("cold", elsewhere, component="com.ex.app/.Main").outcome == "elsewhere"
    drawn = parse_drawn((shared_root / "cases/device/05-fully-drawn.txt").read_text())
    assert drawn is not None
    assert (drawn.fully, drawn.component, drawn.duration_ms) == (
        True,
        shorten_component("com.ex.app/com.ex.app.Main"),
        1234,
    )


@pytest.mark.parametrize(
    ("asked", "text", "outcome", "reason"),
    [
        ("hot", answer("HOT", warning=FRONT), "ok", ""),
        ("hot", answer("HOT"), "ok", ""),
        ("hot", answer(None, warning=FRONT), "ok", ""),  # before Android 10
        ("warm", answer(None, warning=FRONT), "wrong_state", "asked warm, got HOT"),
        ("cold", answer("COLD", warning=FRONT), "ok", ""),  # its task was kept in the recents, its process was not
        ("warm", answer("WARM"), "ok", ""),
        ("warm", answer("COLD"), "wrong_state", "asked warm, got COLD"),
        ("warm", answer("RELAUNCH"), "wrong_state", "asked warm, got RELAUNCH"),
        ("hot", answer("UNKNOWN (0)", warning=TOP, ms=0), "wrong_state", TOP.strip().removeprefix("Warning: ")),
        (
            "cold",
            answer("UNKNOWN (-1)", status="timeout", ms=None),
            "timeout",
            "am start reported a timeout after 67 ms",
        ),
        ("cold", answer("UNKNOWN (0)", ms=None), "wrong_state", "asked cold, got UNKNOWN (0)"),
        # before Android 10 and since: an activity that was on the screen already
        (
            "hot",
            answer("HOT", warning=FRONT, ms=0),
            "wrong_state",
            "am start reported 0 ms: the activity was shown already",
        ),
        (
            "hot",
            answer(None, warning=FRONT, ms=0),
            "wrong_state",
            "am start reported 0 ms: the activity was shown already",
        ),
        ("cold", answer("COLD", drew="com.ex.app/.Other"), "ok", ""),  # a trampoline, an alias
        ("cold", answer("COLD", drew="com.ex.app/org.lib.Main"), "ok", ""),
        (
            "cold",
            answer("COLD", drew="com.ex.app2/.Main"),
            "elsewhere",
            "com.ex.app2/.Main drew instead of com.ex.app/.Main",
        ),
        ("cold", "Status: ok\nThisTime: 5\nTotalTime: 5\n", "ok", ""),
        ("cold", "", "wrong_state", "am start reported no status"),
        (
            "cold",
            "Starting: Intent { }\nError type 3\nError: Activity class {a.b/a.b.X} does not exist.\n",
            "wrong_state",
            "Error: Activity class {a.b/a.b.X} does not exist.",
        ),
        (
            "cold",
            "Starting: Intent { }\n\nException occurred while executing 'start':\njava.lang.SecurityException: Permission\n",
            "wrong_state",
            "Exception occurred while executing 'start':",
        ),
    ],
)
def test_what_became_of_it(asked: str, text: str, outcome: str, reason: str) -> None:
    verdict = judge_launch(asked, parse_am_start(text))
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


def test_a_crash_and_an_am_that_hangs_are_outcomes() -> None:
    drawn = parse_am_start(answer("COLD"))
    assert judge_launch("cold", drawn, crash="Process: com.ex.app, PID: 3").outcome == "crash"
    assert judge_launch("cold", parse_am_start(""), no_answer_ms=60_000).outcome == "timeout"


@pytest.mark.parametrize(
    ("component", "short"),
    [
        ("com.ex.app/.Main", "com.ex.app/.Main"),
        ("com.ex.app/com.ex.app.Main", "com.ex.app/.Main"),
        ("com.ex.app/com.ex.app.ui.Main$Inner", "com.ex.app/.ui.Main$Inner"),
        ("com.ex.app/com.ex.apple.Main", "com.ex.app/com.ex.apple.Main"),
        ("com.ex.app/org.lib.Main", "com.ex.app/org.lib.Main"),
    ],
)
def test_components_in_short(component: str, short: str) -> None:
    assert shorten_component(component) == short


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("Fully drawn com.a/com.a.B: +1s234ms", (True, "com.a/.B", None, 1234)),
        ("Fully drawn com.a/.B for user 10: +850ms", (True, "com.a/.B", 10, 850)),
        ("Displayed com.a/.B for user 0: +1m2s3ms (total +2m)", (False, "com.a/.B", 0, 62003)),
        ("Displayed com.a/.B: +850ms (total +2s1ms)", (False, "com.a/.B", None, 850)),
        ("1.0 1 2 I ActivityManager: Fully drawn com.a/.B: +1d2h", (True, "com.a/.B", None, 26 * 3_600_000)),
        ("Fully drawn com.a/.B: soon", None),
        ("Not drawn com.a/.B: +1s", None),
    ],
)
def test_drawn_lines(message: str, found: tuple[bool, str, int | None, int] | None) -> None:
    said = parse_drawn(message)
    assert (said and (said.fully, said.component, said.user, said.duration_ms)) == found
