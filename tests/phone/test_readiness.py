"""Readiness on the scripted phone: what is changed, watched, waited for, and put back whatever happens."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from android_suite.device.connect import connect
from android_suite.device.device import Device
from android_suite.errors import DeviceLost, NotReady
from android_suite.model.readiness import ReadyOptions
from android_suite.ready.journal import ON_DEVICE
from android_suite.ready.keeper import hold_ready
from tests.phone.conftest import MakePhone
from tests.scripted_phone import ScriptedPhone
from tests.scripted_phone.server import AdbServer
from tests.scripted_phone.state import Package

QUICK = ReadyOptions(cool_s=300)  # no test waits so long, but the machine may be busy


def open_device(phone: ScriptedPhone, server: AdbServer, cache: Path) -> Device:
    return Device(connect(server.config(cache), phone.address))


def snapshot(phone: ScriptedPhone) -> dict[str, object]:
    state = phone.state
    settings = {space: dict(table) for space, table in state.settings.items()}
    return {"settings": settings, "doze": state.doze, "dexopt": state.dexopt_jobs, "governors": dict(state.governors)}


def test_all_is_set_and_put_back(make_phone: MakePhone, server: AdbServer, tmp_path: Path) -> None:
    phone = make_phone(root="adbd")
    phone.state.screen.awake, phone.state.screen.locked = False, True
    before = snapshot(phone)
    device = open_device(phone, server, tmp_path)
    options = ReadyOptions(governor="performance", idle_states=False)
    with hold_ready(device, options, cache=tmp_path) as keeper:
        state = keeper.wait_ready()
        assert state.awake
        assert state.locked is False
        assert phone.state.settings["global"]["stay_on_while_plugged_in"] == "15"
        assert phone.state.settings["global"]["window_animation_scale"] == "0"
        assert not phone.state.doze
        assert not phone.state.dexopt_jobs
        assert set(phone.state.governors.values()) == {"performance"}
        assert phone.state.idle_disabled == {(0, 1): "1", (1, 1): "1"}  # WFI stays
        assert phone.state.settings["global"]["airplane_mode_on"] == "0"  # it would cut adb over a network
        assert keeper.check() == ()
        assert device.read_text(ON_DEVICE) is not None
    assert snapshot(phone) == before
    assert set(phone.state.idle_disabled.values()) == {"0"}
    assert not phone.state.screen.awake
    assert device.read_text(ON_DEVICE) is None
    assert not list((tmp_path / "ready").iterdir())


def disturb_heat(phone: ScriptedPhone) -> None:
    phone.state.thermal.status, phone.state.thermal.skin = 3, 44.1


def disturb_battery(phone: ScriptedPhone) -> None:
    phone.state.battery.temperature = 455


def disturb_screen(phone: ScriptedPhone) -> None:
    phone.state.screen.awake = False


def disturb_lock(phone: ScriptedPhone) -> None:
    phone.state.screen.locked = True


def disturb_setting(phone: ScriptedPhone) -> None:
    phone.state.settings["global"]["window_animation_scale"] = "1.0"


def disturb_packages(phone: ScriptedPhone) -> None:
    phone.state.packages["com.example.app"] = Package("com.example.app", version=2)


def disturb_by_an_update_of_the_same_version(phone: ScriptedPhone) -> None:
    phone.state.packages["com.example.app"].path = "z9y8x7w6v5"


def disturb_by_what_comes_and_goes(phone: ScriptedPhone) -> None:
    folder = phone.jail.inside("/data/app/vmdl1208.tmp")
    folder.mkdir(parents=True)
    folder.rmdir()


DISTURBANCES: tuple[tuple[Callable[[ScriptedPhone], None], str], ...] = (
    (disturb_heat, "thermal status is severe, its skin has 44.1 °C"),
    (disturb_battery, "battery has 45.5 °C"),
    (disturb_screen, "screen went off"),
    (disturb_lock, "screen was locked"),
    (disturb_setting, "global/window_animation_scale was changed from 0 to 1.0"),
    (disturb_packages, "installed, updated or removed"),
    (disturb_by_an_update_of_the_same_version, "installed, updated or removed"),
    (disturb_by_what_comes_and_goes, "installed, updated or removed"),
)


def test_what_disturbs_an_iteration_is_told(make_phone: MakePhone, server: AdbServer, tmp_path: Path) -> None:
    phone = make_phone(root="adbd")
    device = open_device(phone, server, tmp_path)
    with hold_ready(device, QUICK, cache=tmp_path) as keeper:
        for disturb, told in DISTURBANCES:
            phone.state.thermal.status, phone.state.battery.temperature = 0, 285
            keeper.wait_ready()
            assert keeper.check() == ()
            disturb(phone)
            reasons = keeper.check()
            assert len(reasons) == 1
            assert told in reasons[0]
        assert phone.state.settings["global"]["window_animation_scale"] == "0"  # it was set again
        keeper.wait_ready()
        phone.state.screen.locked = phone.state.screen.secure = True
        assert keeper.check() == ("the screen was locked",)
        with pytest.raises(NotReady, match="unlock it by hand"):
            keeper.wait_ready()


def test_what_came_and_went_meanwhile_is_told(make_phone: MakePhone, server: AdbServer, tmp_path: Path) -> None:
    phone = make_phone(root="none")
    phone.state.heat(3, 43.0)
    phone.state.heat(0, 31.0)  # before the iteration
    device = open_device(phone, server, tmp_path)
    phone.state.screen.awake = False
    with hold_ready(device, QUICK, cache=tmp_path) as keeper:
        keeper.wait_ready()  # which wakes it
        phone.state.heat(1, 36.0)  # light is allowed
        phone.state.heat(0, 35.0)
        phone.state.log.add_event("thermal_changed", "[BIG,0,99.0,4,0]")  # no skin
        phone.state.log.add("screen_toggled", "0")  # an app may write what it likes, but not to this buffer
        assert keeper.check() == ()
        assert keeper.describe_end()["meanwhile"]["covered"] is True
        keeper.wait_ready()
        phone.state.heat(2, 41.0)
        phone.state.heat(3, 44.125)
        phone.state.heat(0, 35.0)
        assert keeper.check() == ("its thermal status was severe meanwhile, VIRTUAL-SKIN had 44.1 °C",)
        keeper.wait_ready()
        assert keeper.check() == ()  # the next iteration is not to blame
        keeper.wait_ready()
        phone.state.switch_screen(False)
        phone.state.switch_screen(True)
        assert keeper.check() == ("the screen went off and on again",)
        keeper.wait_ready()
        phone.state.log.add_event("wm_set_keyguard_shown", "[0,0,0,0,0,keyguardGoingAway]")
        phone.state.log.add_event("wm_set_keyguard_shown", "[0,1,0,0,1,setOccluded]")  # an app stands before it
        phone.state.log.add_event("wm_set_keyguard_shown", "[0,1,0,1,setKeyguardShown]")  # on its way out, Android 11
        assert keeper.check() == ()
        keeper.wait_ready()
        phone.state.show_keyguard(True)
        phone.state.show_keyguard(False)
        assert keeper.check() == ("the screen was locked and unlocked again",)
        # the log of events is a ring
        keeper.wait_ready()
        phone.state.log.lines.clear()
        phone.state.heat(0, 35.0)
        assert keeper.check() == ()
        assert keeper.describe_end()["meanwhile"]["covered"] is False


def test_a_hot_phone_is_waited_for(make_phone: MakePhone, server: AdbServer, tmp_path: Path) -> None:
    phone = make_phone(root="adbd")
    device = open_device(phone, server, tmp_path)
    disturb_heat(phone)
    said: list[str] = []

    def say(message: str) -> None:
        said.append(message)
        phone.state.thermal.status = 1  # it cools while somebody waits

    with hold_ready(device, QUICK, cache=tmp_path, say=say) as keeper:
        keeper.wait_ready()
    (told,) = said
    hot = "waiting for the device to cool: its thermal status is severe, its skin has 44.1 °C"
    assert re.fullmatch(rf"{hot} \(\d+ of 300 s\)", told)


def test_what_does_not_become_ready_is_named(make_phone: MakePhone, server: AdbServer, tmp_path: Path) -> None:
    phone = make_phone(root="adbd")
    device = open_device(phone, server, tmp_path)
    before = snapshot(phone)

    def attempt(options: ReadyOptions) -> str:
        with pytest.raises(NotReady) as failed, hold_ready(device, options, cache=tmp_path) as keeper:
            keeper.wait_ready()
        assert snapshot(phone) == before
        return str(failed.value)

    disturb_heat(phone)
    assert "did not cool in 0 s" in attempt(ReadyOptions(cool_s=0))
    phone.state.thermal.status = 0
    phone.state.battery.level = 9
    assert "battery is at 9 %" in attempt(QUICK)
    phone.state.battery.level = 90
    phone.state.screen.locked = phone.state.screen.secure = True
    assert "unlock it by hand" in attempt(QUICK)
    phone.state.properties["sys.boot_completed"] = "0"
    assert "has not finished booting" in attempt(ReadyOptions(boot_s=0))


def test_a_crash_of_the_suite_is_put_right_by_the_next_recording(
    make_phone: MakePhone, server: AdbServer, tmp_path: Path
) -> None:
    phone = make_phone(root="adbd")
    before = snapshot(phone)
    device = open_device(phone, server, tmp_path)
    with pytest.raises(DeviceLost), hold_ready(device, ReadyOptions(governor="performance"), cache=tmp_path):
        raise DeviceLost("the suite cannot put anything back any more.")
    changed = snapshot(phone)
    assert changed != before
    other = tmp_path / "another host"  # which has no journal of its own
    said: list[str] = []
    keep = ReadyOptions(keep=frozenset({"animations"}))
    with hold_ready(device, keep, cache=other, say=said.append):
        assert phone.state.settings["global"]["window_animation_scale"] == "1.0"
    assert "an interrupted recording left" in said[0]
    assert snapshot(phone) == before


@pytest.mark.parametrize("serialno", ["1A2B3C4D5E6F", ""])
def test_another_device_is_not_taken_for_the_one_before(
    make_phone: MakePhone, server: AdbServer, tmp_path: Path, serialno: str
) -> None:
    """At the same address, with the same serial number or without any: a virtual device, a phone that was reset."""
    phone = make_phone(root="adbd", properties={"ro.serialno": serialno})
    device = open_device(phone, server, tmp_path)
    with pytest.raises(DeviceLost), hold_ready(device, QUICK, cache=tmp_path):
        raise DeviceLost("the cable was pulled.")
    # the next device there has its own settings, and nothing of ours
    (phone.jail.root / ON_DEVICE.lstrip("/")).unlink()
    phone.state.settings["global"]["window_animation_scale"] = "0.5"
    phone.state.doze = phone.state.dexopt_jobs = True
    if serialno:
        phone.state.settings["secure"]["android_id"] = "0123456789abcdef"
    else:
        del phone.state.settings["secure"]["android_id"]
    said: list[str] = []
    for _ in range(2):
        before = snapshot(phone)
        with hold_ready(device, QUICK, cache=tmp_path, say=said.append):
            pass
        assert said == []
        assert snapshot(phone) == before


def test_a_crash_of_the_phone_is_put_right_after_its_reboot(
    make_phone: MakePhone, server: AdbServer, tmp_path: Path
) -> None:
    phone = make_phone(root="adbd")
    before = snapshot(phone)
    boot = phone.state.boot_id
    device = open_device(phone, server, tmp_path)

    def reboots_meanwhile() -> None:
        with hold_ready(device, QUICK, cache=tmp_path):
            phone.reboot()
            phone.wait_booted(boot)
            device.run("true")

    with pytest.raises(DeviceLost):
        reboots_meanwhile()
    assert snapshot(phone)["settings"] != before["settings"]  # they are on the phone's disk
    (phone.jail.root / ON_DEVICE.lstrip("/")).unlink()  # the host has a journal, too
    with hold_ready(open_device(phone, server, tmp_path), QUICK, cache=tmp_path):
        pass
    assert snapshot(phone) == before


def test_a_hostile_journal_runs_nothing(make_phone: MakePhone, server: AdbServer, tmp_path: Path) -> None:
    phone = make_phone(root="adbd")
    device = open_device(phone, server, tmp_path)
    found = {
        "global/airplane_mode_on": "1; touch /data/local/tmp/pwned",
        "global/x; touch /data/local/tmp/pwned": "1",
        "/sys/kernel/tracing/tracing_on": "0",
        "$(touch /data/local/tmp/pwned)": "1",
        "system/screen_brightness": "55",
    }
    device.run("mkdir -p /data/local/tmp/android-suite")
    device.transport.push(json.dumps({"found": found}).encode(), ON_DEVICE)
    with hold_ready(device, QUICK, cache=tmp_path):
        pass
    assert device.run("ls /data/local/tmp").text.split() == ["android-suite"]
    assert phone.tracefs.values["tracing_on"] == "1"
    assert phone.state.settings["system"]["screen_brightness"] == "55"


@pytest.mark.parametrize("root", ["none", "magisk"])
def test_without_adbd_as_root(make_phone: MakePhone, server: AdbServer, tmp_path: Path, root: str) -> None:
    phone = make_phone(root=root)
    before = snapshot(phone)
    said: list[str] = []
    device = open_device(phone, server, tmp_path)
    with hold_ready(device, ReadyOptions(governor="performance"), cache=tmp_path, say=said.append) as keeper:
        keeper.wait_ready()
        rooted = root == "magisk"
        assert set(phone.state.governors.values()) == ({"performance"} if rooted else {"sched_pixel"})
        assert any("did not accept" in line and "scaling_governor" in line for line in said) is not rooted
        assert phone.state.settings["global"]["stay_on_while_plugged_in"] == "15"
    assert snapshot(phone) == before
