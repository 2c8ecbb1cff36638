"""The guest's programs, driven as the device layer drives them: on this host in a namespace, and on a real virtual device.

All in one file, which is one boot.
"""

from __future__ import annotations

import re
from dataclasses import asdict

import pytest

from android_suite.model.launch import judge_launch, parse_am_start, parse_am_starts
from tests.stress_sequence import expect_mixed
from tests.virtual.guest.framestats import check_framestats
from tests.virtual.guest.guests import PACKAGE, Guest, ask_readiness, start, wait_result

LAUNCH = f"{PACKAGE}/.LaunchActivity"
STRESS = f"{PACKAGE}/.GcStressActivity"
BACKGROUND = "com.androidsuite.background"
CLEAR_TASK = "0x10008000"  # NEW_TASK | CLEAR_TASK


def test_launches_as_android_12_and_later_do_them(guest: Guest) -> None:
    """BACK leaves a launcher's root activity as HOME does; only a cleared task makes a warm launch."""
    front = "Activity not started, its current task has been brought to the front"
    for state, key, flags in (
        ("COLD", None, ""), ("HOT", "3", ""), ("HOT", "KEYCODE_BACK", ""), ("WARM", "3", CLEAR_TASK), ("WARM", None, CLEAR_TASK),
    ):  # fmt: skip
        if key:
            assert guest.run("input", "keyevent", key)[0] == 0
        told = start(guest, LAUNCH, flags=flags)
        assert told.pop("Warning", None) == (front if state == "HOT" else None)
        assert told.keys() == {"Status", "LaunchState", "Activity", "TotalTime", "WaitTime"}
        assert (told["Status"], told["LaunchState"], told["Activity"]) == ("ok", state, LAUNCH)
        assert 0 < int(told["TotalTime"]) <= int(told["WaitTime"])
    _, log = guest.run("logcat", "-d", "-b", "system", "-v", "raw")
    displayed = re.findall(rf"^Displayed {re.escape(LAUNCH)} for user 0: \+(?:\d+s)?\d+ms$", log, re.MULTILINE)
    assert len(displayed) == 5


def test_back_finishes_an_activity_that_is_no_launcher(guest: Guest) -> None:
    start(guest, STRESS, "--ei", "duration_ms", "60000")
    guest.run("input", "keyevent", "BACK")
    assert start(guest, STRESS, "--ei", "duration_ms", "1000")["LaunchState"] == "WARM"
    assert start(guest, LAUNCH)["LaunchState"] == "WARM", "another activity is created in the process that lives"


def test_a_second_start_of_the_running_activity_is_no_launch(guest: Guest) -> None:
    start(guest, LAUNCH)
    told = start(guest, LAUNCH)
    assert told["Warning"] == "Activity not started, intent has been delivered to currently running top-most instance."
    assert (told["LaunchState"], told["TotalTime"]) == ("UNKNOWN (0)", "0")
    assert judge_launch("hot", parse_am_start(guest.run("am", "start", "-W", "-n", LAUNCH)[1])).outcome == "wrong_state"


def test_stop_first_repeat_and_user(guest: Guest) -> None:
    start(guest, LAUNCH)
    status, text = guest.run(
        "am", "start", "-S", "-W", "-R", "2", "--user", "0", "-n", f"{PACKAGE}/{PACKAGE}.LaunchActivity"
    )
    assert status == 0
    assert text.count(f"Stopping: {PACKAGE}\nStarting: Intent {{ cmp={LAUNCH} }}\nStatus: ok\nLaunchState: COLD\n") == 2
    assert [one.state for one in parse_am_starts(text)] == ["cold", "cold"]
    assert guest.run("am", "start", "--user", "10", "-n", LAUNCH)[0] == 255


def test_fully_drawn_is_reported_once_after_the_first_frames(guest: Guest) -> None:
    start(guest, LAUNCH, "--es", "token", "drawn")
    result = wait_result(guest, "drawn")
    assert result["scenario"] == "app_launch"
    _, log = guest.run("logcat", "-d", "-v", "raw", "-s", "ActivityTaskManager")
    assert len(re.findall(rf"^Fully drawn {re.escape(LAUNCH)}: \+", log, re.MULTILINE)) == 1


def test_gc_stress_reports_what_it_did(guest: Guest) -> None:
    told = start(
        guest, STRESS, "--es", "token", 'a "quoted" token', "--el", "seed", "7", "--ei", "duration_ms", "2000",
        "--es", "planted", "spans_vmas,userfaultfd,process_madvise,tagged", "--ei", "gc_trigger_bytes", "4194304",
    )  # fmt: skip
    assert told["LaunchState"] == "COLD"
    result = wait_result(guest, r"a \"quoted\" token")
    cycles, calls, planted = result["gc_cycles"], result["madvise"], result["planted"]
    assert isinstance(cycles, int)
    assert isinstance(calls, dict)
    assert isinstance(planted, dict)
    assert cycles >= 1
    assert result["complete"] is True
    assert result["frames"] >= 1  # type: ignore[operator]  # an emulator on a busy host draws few
    assert planted.keys() == {"spans_vmas", "userfaultfd", "remote", "process_madvise_self", "tagged"}
    # Five of each a cycle; null is a kernel or an architecture that has no such thing.
    assert set(planted.values()) <= {None, 5 * cycles}
    assert planted["spans_vmas"] == 5 * cycles
    own = sum(planted[kind] or 0 for kind in ("spans_vmas", "userfaultfd", "tagged"))
    # What the collector keeps its books in, at least, in the collection of a starting app and in each after it.
    assert calls["gc.dontneed"] >= 13 * (cycles + 1) + own  # type: ignore[operator]
    assert result["madvise_failed"] == 0


def test_the_model_allocates_what_java_allocates(guest: Guest) -> None:
    for profile, seed in (("steady", 3), ("inversion", 4)):
        start(
            guest, STRESS, "--es", "token", profile, "--el", "seed", str(seed), "--ei", "duration_ms", "1000",
            "--es", "profile", profile,
        )  # fmt: skip
        result = wait_result(guest, profile)
        allocations = result["allocations"]
        assert isinstance(allocations, int)
        assert allocations > 1000
        assert (result["allocated_bytes"], result["digest"]) == expect_mixed(seed, allocations)


def test_seeds_make_launches_differ(guest: Guest) -> None:
    """What a phone varies: amounts, sizes and order of allocations, addresses; and nothing without a seed."""

    def count_left(*extras: str) -> int:
        """Mappings that stay; those of frames come and go with their number."""
        guest.run("am", "force-stop", PACKAGE)
        guest.run("logcat", "-c")
        start(guest, LAUNCH, "--es", "token", "s", *extras)
        result = wait_result(guest, "s")
        return int(str(result["mmap"])) - int(str(result["munmap"]))

    plain, one, again = count_left(), count_left("--el", "seed", "1"), count_left("--el", "seed", "1")
    assert one == again == plain + 1, "one range shifts what is mapped after it"


def test_the_vma_profile_frees_whole_ranges_without_rest(guest: Guest) -> None:
    guest.run("am", "force-stop", PACKAGE)
    start(guest, STRESS, "--es", "token", "vma", "--es", "profile", "vma", "--ei", "duration_ms", "1500")
    result = wait_result(guest, "vma")
    cycles, calls = result["gc_cycles"], result["madvise"]
    assert isinstance(cycles, int)
    assert isinstance(calls, dict)
    assert cycles >= 1
    assert result["allocations"] == 0
    # Beside them the collection of a starting app frees its few objects of 16 KiB.
    assert 2 * cycles < calls["gc.dontneed"] < 2 * cycles + 2000
    assert result["mprotect"] > 4 * result["frames"]  # type: ignore[operator]


def test_the_inversion_profile_frees_what_is_garbage(guest: Guest) -> None:
    guest.run("am", "force-stop", PACKAGE)
    start(
        guest, STRESS, "--es", "token", "inv", "--es", "profile", "inversion", "--ei", "duration_ms", "2000",
        "--ei", "gc_trigger_bytes", "8388608",
    )  # fmt: skip
    result = wait_result(guest, "inv")
    cycles, calls = result["gc_cycles"], result["madvise"]["gc.dontneed"]  # type: ignore[index]
    assert cycles >= 1  # type: ignore[operator]
    # A large object has 88 KiB in the mean, and nearly all bytes are in large objects.
    assert calls > 13 * (cycles + 1) + 50 * cycles
    assert result["mmap"] > 6 * result["frames"]  # type: ignore[operator]


def test_large_objects_are_freed_one_by_one(guest: Guest) -> None:
    start(guest, STRESS, "--es", "token", "large", "--es", "profile", "large", "--ei", "duration_ms", "2500",
          "--ei", "gc_trigger_bytes", "4194304")  # fmt: skip
    result = wait_result(guest, "large")
    calls, cycles = result["madvise"]["gc.dontneed"], result["gc_cycles"]  # type: ignore[index]
    assert cycles >= 1  # type: ignore[operator]
    # A collection begins with 4 MiB of objects of 12 to 256 KiB.
    assert calls >= (13 + 16) * cycles
    assert result["madvise_failed"] == 0


def test_a_heap_under_userfaultfd_still_works(guest: Guest) -> None:
    start(guest, STRESS, "--es", "token", "uffd", "--ei", "gc_uffd", "1", "--ei", "duration_ms", "2500",
          "--ei", "gc_trigger_bytes", "2097152")  # fmt: skip
    result = wait_result(guest, "uffd")
    assert result["complete"] is True
    assert result["gc_cycles"] >= 1  # type: ignore[operator]
    assert result["uffd"] is None or result["uffd"]["armed"] == result["gc_cycles"]  # type: ignore[index]


def test_memory_is_trimmed_as_activity_manager_does_it(guest: Guest) -> None:
    trim = ("am", "send-trim-memory", PACKAGE)
    assert guest.run(*trim, "COMPLETE")[0] == 255
    assert "IllegalArgumentException: Unknown process: com.androidsuite.workload" in guest.run(*trim, "5")[1]
    assert guest.run("setprop", "debug.am.run_mallopt_trim_level", "5")[0] == 0
    start(guest, STRESS, "--es", "token", "trim", "--es", "profile", "native", "--ei", "duration_ms", "3000")
    assert guest.run(*trim, "RUNNING_LOW") == (0, "")
    assert "Unable to set a higher trim level than current level" in guest.run(*trim, "RUNNING_MODERATE")[1]
    assert "Unable to set a background trim level on a foreground process" in guest.run(*trim, "MODERATE")[1]
    assert guest.run(*trim, "UI_HIDDEN") == (255, "\nError: Unknown level option: UI_HIDDEN\n")
    assert guest.run("am", "send-trim-memory", "--user", "0", guest.run("pidof", PACKAGE)[1].strip(), "15")[0] == 0
    result = wait_result(guest, "trim")
    assert result["madvise"]["ui.dontneed"] >= 1  # type: ignore[index]
    guest.run("input", "keyevent", "HOME")
    assert guest.run(*trim, "COMPLETE") == (0, ""), "another state takes every level again"
    guest.run("setprop", "debug.am.run_mallopt_trim_level", "")


def test_services_are_processes_of_their_own(guest: Guest) -> None:
    start(guest, STRESS, "--es", "token", "many", "--ei", "processes", "2", "--ei", "duration_ms", "60000")
    pids = {guest.run("pidof", f"{PACKAGE}:p{number}")[1].strip() for number in (1, 2)}
    assert len(pids) == 2
    assert all(pid.isdigit() for pid in pids)
    assert guest.run("am", "send-trim-memory", f"{PACKAGE}:p2", "COMPLETE") == (0, "")
    guest.run("am", "force-stop", PACKAGE)
    assert guest.run("pidof", PACKAGE, f"{PACKAGE}:p1", f"{PACKAGE}:p2") == (1, "")


def test_a_second_app_goes_on_behind_the_first(guest: Guest) -> None:
    guest.run("am", "force-stop", BACKGROUND)
    stress = ("--es", "token", "behind", "--ei", "background", "1", "--ei", "gc_trigger_bytes", "2097152")
    assert (
        start(guest, f"{BACKGROUND}/.GcStressActivity", *stress, "--ei", "duration_ms", "2000")["LaunchState"] == "COLD"
    )
    assert start(guest, LAUNCH)["LaunchState"] == "COLD", "the second app sends the first to the back"
    guest.run("am", "force-stop", PACKAGE)
    result = wait_result(guest, "behind")
    assert result["complete"] is True
    assert result["gc_cycles"] >= 1  # type: ignore[operator]
    assert f"[{BACKGROUND}]" in guest.run("dumpsys", "gfxinfo", BACKGROUND)[1]
    guest.run("am", "force-stop", BACKGROUND)
    assert guest.run("pidof", BACKGROUND) == (1, "")


def test_a_trampoline_shows_what_it_started(guest: Guest) -> None:
    trampoline = f"{PACKAGE}/.TrampolineActivity"
    for state, key, flags in (("COLD", None, ""), ("HOT", "HOME", ""), ("WARM", None, CLEAR_TASK)):
        if key:
            guest.run("input", "keyevent", key)
        told = start(guest, trampoline, flags=flags)
        assert (told["LaunchState"], told["Activity"]) == (state, LAUNCH)


def test_a_swipe_is_drawn_for_as_long_as_it_takes(guest: Guest) -> None:
    start(guest, LAUNCH, "--es", "token", "swiped", "--ei", "duration_ms", "100")
    wait_result(guest, "swiped")
    guest.run("dumpsys", "gfxinfo", PACKAGE, "reset")
    assert guest.run("input", "swipe", "540", "1500", "540", "300", "200") == (0, "")
    rendered = re.search(r"Total frames rendered: (\d+)", guest.run("dumpsys", "gfxinfo", PACKAGE)[1])
    assert rendered is not None
    assert int(rendered[1]) >= 1
    assert guest.run("input", "swipe", "540")[0] == 255


def test_an_intent_ends_the_scenario_before_it(guest: Guest) -> None:
    start(guest, STRESS, "--es", "token", "first", "--ei", "duration_ms", "60000")
    guest.run("am", "start", "-W", "-n", LAUNCH, "--es", "token", "second")
    assert wait_result(guest, "first")["complete"] is False
    assert wait_result(guest, "second")["complete"] is True


@pytest.mark.parametrize(
    ("extras", "said"),
    [
        (("--es", "planted", "nonsense"), "unknown planted fallback 'nonsense'"),
        (("--es", "profile", "nonsense"), "unknown profile 'nonsense'"),
        (("--ei", "duration_ms", "-5"), "extra duration_ms is not a number: '-5'"),
        (
            ("--ei", "gc_copy_bytes", "99999999999"),
            "extra gc_copy_bytes is out of range: 99999999999 is not in 16384 to 67108864",
        ),
        (("--ei", "ui_spin", "99999999999999999999999"), "extra ui_spin is not a number"),
        (("--ei", "binder_every", "0"), "extra binder_every is out of range"),
        (("--ei", "ui_slowdown_pct", "5%"), "extra ui_slowdown_pct is not a number: '5%'"),
    ],
)
def test_bad_extras_are_refused(guest: Guest, extras: tuple[str, ...], said: str) -> None:
    status, text = guest.run("am", "start", "-W", "-n", STRESS, *extras)
    assert status == 255
    assert f"Error: the activity refused the intent: {said}" in text


def test_unknown_activities_and_options(guest: Guest) -> None:
    status, text = guest.run("am", "start", "-W", "-n", f"{PACKAGE}/.Nothing")
    assert (status, "Error type 3" in text) == (1, True)
    assert guest.run("am", "start", "-n", "noslash")[0] == 255
    assert guest.run("am", "start", "--frobnicate", "x", "-n", LAUNCH)[0] == 255
    assert guest.run("cmd", "vibrator") == (20, "cmd: Can't find service: vibrator\n")
    assert guest.run("dumpsys", "vibrator") == (0, "Can't find service: vibrator\n")


def test_what_readiness_asks_is_known(guest: Guest) -> None:
    """Except temperatures and a charge, which nothing here has."""
    guest.run("setprop", "sys.boot_completed", "1")  # init's, in a virtual device
    now = ask_readiness(guest)
    unknown = {name for name, value in asdict(now).items() if value is None}
    assert unknown == {"battery_pct", "battery_c", "skin_c"}
    assert (now.booted, now.powered, now.thermal_status, now.awake, now.locked) == (True, True, 0, True, False)
    assert (now.secure, now.battery) == (False, False)
    assert guest.run("cmd", "thermalservice", "override-status", "3") == (0, "")
    assert ask_readiness(guest).thermal_status == 3
    assert guest.run("cmd", "thermalservice", "override-status", "9")[0] == 255
    assert guest.run("cmd", "thermalservice", "reset") == (0, "")
    assert ask_readiness(guest) == now
    # what readiness does
    assert guest.run("wm", "dismiss-keyguard") == (0, "")
    assert guest.run("dumpsys", "deviceidle", "enabled") == (0, "0\n")
    assert guest.run("pm", "bg-dexopt-job", "--disable") == (0, "Success\n")
    assert guest.run("svc", "power", "stayon", "usb") == (0, "")
    assert guest.run("settings", "get", "global", "stay_on_while_plugged_in") == (0, "2\n")
    assert "  mStayOn=true\n" in guest.run("dumpsys", "power")[1]
    assert guest.run("svc", "power", "stayon", "false") == (0, "")
    assert "  mStayOn=false\n" in guest.run("dumpsys", "power")[1]
    assert "Thermal Status: 0" in guest.run("dumpsys", "thermalservice")[1]


def test_users_and_the_id_of_the_device(guest: Guest) -> None:
    first = guest.run("settings", "get", "--user", "0", "secure", "android_id")
    assert first[0] == 0
    assert re.fullmatch(r"[0-9a-f]{16}\n", first[1])
    assert guest.run("settings", "get", "secure", "android_id") == first
    assert guest.run("am", "get-current-user") == (0, "0\n")
    assert "UserInfo{0:" in guest.run("pm", "list", "users")[1]
    assert guest.run("pm", "path", "--user", "0", PACKAGE)[0] == 0
    for words in (("pm", "path"), ("am", "start", "-W", "-n"), ("settings", "get")):
        assert guest.run(*words[:2], "--user", "10", *words[2:], LAUNCH)[0] == 255


def test_framestats(guest: Guest) -> None:
    assert guest.run("dumpsys", "gfxinfo", PACKAGE) == (0, f"No process found for: {PACKAGE}\n")
    start(guest, STRESS, "--es", "token", "frames", "--ei", "duration_ms", "3500")
    wait_result(guest, "frames")
    _, text = guest.run("dumpsys", "gfxinfo", PACKAGE, "framestats")
    check_framestats(text)
    guest.run("dumpsys", "gfxinfo", PACKAGE, "reset")
    assert "Total frames rendered: 0\n" in guest.run("dumpsys", "gfxinfo", PACKAGE)[1]


def test_logcat(guest: Guest) -> None:
    guest.run("log", "-t", "One", "-p", "w", "first", "line")
    guest.run("log", "-t", "Two", "-p", "i", "second")
    guest.run("log", "-b", "events", "-t", "Three", "third")
    assert guest.run("logcat", "-d", "-v", "tag")[1].splitlines() == [
        "--------- beginning of main", "W/One     : first line", "I/Two     : second",
    ]  # fmt: skip
    assert guest.run("logcat", "-d", "-v", "raw", "-s", "Two")[1].splitlines()[1:] == ["second"]
    assert guest.run("logcat", "-d", "-v", "raw", "*:W")[1].splitlines()[1:] == ["first line"]
    assert guest.run("logcat", "-d", "-v", "raw", "-b", "events")[1].splitlines()[1:] == ["third"]
    assert guest.run("logcat", "-v", "raw", "-m", "1", "-e", "^sec")[1].splitlines()[1:] == ["second"]
    assert guest.run("logcat", "-t", "1", "-v", "raw")[1].splitlines()[1:] == ["second"]
    line = guest.run("logcat", "-d", "-v", "threadtime", "-s", "One")[1].splitlines()[1]
    assert re.fullmatch(r"\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} +\d+ +\d+ W One     : first line", line)
    line = guest.run("logcat", "-d", "-v", "epoch", "-v", "usec", "-s", "One")[1].splitlines()[1]
    stamp = re.fullmatch(r" +(\d+\.\d{6}) +\d+ +\d+ W One     : first line", line)
    assert stamp is not None
    later = f"{float(stamp[1]) + 3600:.3f}"
    assert guest.run("logcat", "-d", "-T", later) == (0, "")
    guest.run("logcat", "-c")
    assert guest.run("logcat", "-d") == (0, "")
    assert guest.run("logcat", "-d", "-b", "nonsense")[0] == 1


def test_properties_settings_packages(guest: Guest) -> None:
    assert guest.run("getprop", "ro.product.model") == (0, "android-suite virtual device\n")
    assert guest.run("getprop", "no.such.property") == (0, "\n")
    assert guest.run("setprop", "debug.mine", "a b")[0] == 0
    assert "[debug.mine]: [a b]\n" in guest.run("getprop")[1]
    assert guest.run("setprop", "ro.product.model", "a phone")[0] == 1
    assert guest.run("settings", "get", "global", "animator_duration_scale") == (0, "null\n")
    assert guest.run("settings", "put", "global", "animator_duration_scale", "0")[0] == 0
    assert guest.run("settings", "get", "global", "animator_duration_scale") == (0, "0\n")
    assert guest.run("settings", "delete", "global", "animator_duration_scale") == (0, "Deleted 1 rows\n")
    assert guest.run("pm", "list", "packages", "-3") == (0, f"package:com.androidsuite.background\npackage:{PACKAGE}\n")
    assert guest.run("pm", "path", PACKAGE)[1].startswith(f"package:/data/app/{PACKAGE}/")
    assert guest.run("pm", "path", "com.nobody") == (1, "")
    assert guest.run("cmd", "package", "compile", "-m", "speed-profile", "-f", PACKAGE) == (0, "Success\n")


def test_force_stop_ends_the_process(guest: Guest) -> None:
    start(guest, LAUNCH)
    status, pid = guest.run("pidof", PACKAGE)
    assert status == 0
    assert pid.strip().isdigit()
    guest.run("am", "force-stop", PACKAGE)
    assert guest.run("pidof", PACKAGE) == (1, "")
    assert start(guest, LAUNCH)["LaunchState"] == "COLD"


def test_ps_as_toybox_has_it(guest: Guest) -> None:
    start(guest, LAUNCH)
    pid = guest.run("pidof", PACKAGE)[1].strip()
    status, text = guest.run("ps", "-A")
    assert status == 0
    header, *rows = (line.split(None, 8) for line in text.splitlines())
    assert header == ["USER", "PID", "PPID", "VSZ", "RSS", "WCHAN", "ADDR", "S", "NAME"]
    assert [row[8] for row in rows if row[1] == pid] == [PACKAGE]
    assert guest.run("ps", "-o", "NAME", "-p", pid) == (0, f"NAME\n{PACKAGE}\n")
    assert "HeapTaskDaemon" in guest.run("ps", "-T", "-o", "TID,COMM", "-p", pid)[1]
    assert guest.run("ps", "-AT")[1].split()[:3] == ["USER", "PID", "TID"]
    assert guest.run("ps", "-o", "nonsense") == (1, "ps: bad -o 'nonsense'\n")


@pytest.mark.vdev
def test_no_applet_of_busybox_stands_before_a_command_of_the_guest(device_guest: Guest) -> None:
    """Its shell, Debian's build of it, runs an applet of that name wherever PATH points."""
    twice = 'echo $c $(command -v $c) $(env sh -c "command -v $c")'
    script = f"cd /system/bin; for c in *; do [ x$(readlink $c) = xtoolbox ] && {twice}; done"
    _, text = device_guest.run("sh", "-c", script)
    found = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    assert set(found) > {"svc", "ps", "pidof", "reboot", "am"}
    assert found == {name: [f"/system/bin/{name}"] * 2 for name in found}
    assert device_guest.run("env", "svc", "power") == (255, "Available commands:\n    power stayon\n")
