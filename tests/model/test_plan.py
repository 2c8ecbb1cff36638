from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.errors import ConfigError
from android_suite.model.metrics import Margin
from android_suite.model.plan import MIN_BOOTS, Plan, describe_runtime, parse_duration_s, parse_plan
from android_suite.model.readiness import ReadyOptions
from android_suite.model.toml_source import locate_keys, parse_toml
from android_suite.stats import decision

PLAN = """\
[plan]
name = "x"
mode = "deterministic"
seeds = [1, 2,
  3, 4]
budget = "90 min"

[[kernel]]
label = "before"
kernel = "6.16.12"
role = "baseline"
[[kernel]]
label = "after"
kernel = "6.17.13"
role = "candidate"

[[scenario]]
name = "gc_stress"
traced = "pairs"
parameters = { duration_ms = 6000 }

[[gate]]
metric = "frameOverrunMs_p95"
margin = "0.5 ms"

[margin]
invertedMs = "2 ms"
"""


def parse(text: str) -> Plan:
    return parse_plan(parse_toml(text, Path("p.toml")), scenarios=("gc_stress", "app_launch"))


def test_a_plan_becomes_data() -> None:
    plan = parse(PLAN)
    assert (plan.name, plan.mode, plan.boots, plan.seeds) == ("x", "deterministic", 4, (1, 2, 3, 4))
    assert plan.budget_s == 5400
    assert (plan.baseline.label, [kernel.label for kernel in plan.candidates]) == ("before", ["after"])
    assert plan.scenarios[0].tracings == (True, False)
    assert plan.scenarios[0].parameters == {"duration_ms": 6000}
    assert plan.gates[0].margin == Margin(value=0.5, unit="ms")
    assert plan.margins == {"invertedMs": Margin(value=2.0, unit="ms")}


def test_a_runtime_is_for_virtual_devices() -> None:
    assert parse(PLAN).runtime is None
    realtime = PLAN.replace("deterministic", "realtime").replace("budget =", 'runtime = "art"\nbudget =')
    assert parse(realtime).runtime == "art"
    with pytest.raises(ConfigError, match=r"plan\.runtime is for virtual devices.*'attached'"):
        parse(realtime.replace('"6.17.13"', '"attached"'))


BOOTS = (
    PLAN.replace("deterministic", "realtime")
    .replace('"6.16.12"', '"attached"')
    .replace('"6.17.13"', '"./boot.img"\nboot = "fastboot"')
)
FLASH = BOOTS.replace(
    '"fastboot"\n', '"fastboot"\nflash = { boot = "./boot.img", vendor_dlkm = "./v.img" }\nslot = "b"\n'
)


def test_a_phone_boots_what_is_installed_and_what_is_flashed() -> None:
    plan = parse(FLASH)
    assert [kernel.kind for kernel in plan.kernels] == ["attached", "fastboot"]
    (after,) = plan.candidates
    assert after.files == {"flash.boot": "./boot.img", "flash.vendor_dlkm": "./v.img"}
    assert after.describe({"./boot.img": "1", "./v.img": "2"}) == {
        "boot": "fastboot", "slot": "b", "flash.boot": "sha256 1", "flash.vendor_dlkm": "sha256 2"
    }  # fmt: skip
    assert parse(PLAN).baseline.describe({}) == {}


# a change of BOOTS or FLASH -> key, a part of what was expected, a part of what was found
BOOT_FAULTS = {
    "unknown boot": (BOOTS, '"fastboot"', '"usb"', "kernel[1].boot", "'fastboot'", "'usb'"),
    "two devices": (
        BOOTS,
        "fastboot",
        "virtual",
        "kernel[1]",
        "a kernel for a phone, as kernel[0]",
        "a virtual device",
    ),
    "no image": (BOOTS, "./boot.img", "6.17.13", "kernel[1].kernel", "the path of an image for fastboot", "'6.17.13'"),
    "installed and flashed": (BOOTS, '"attached"', '"attached"\nboot = "avd"', "kernel[0].boot", "'attached'", "'avd'"),
    "attached with an image": (BOOTS, "fastboot", "attached", "kernel[1].kernel", "only restarts", "'./boot.img'"),
    "a slot of memory": (BOOTS, '"fastboot"', '"fastboot"\nslot = "a"', "kernel[1].slot", "flash beside it", "'a'"),
    "a key of another boot": (
        BOOTS,
        '"fastboot"',
        '"fastboot"\navd = "x"',
        "kernel[1].avd",
        "boot = 'avd'",
        "'fastboot'",
    ),
    "no AVD": (BOOTS, "fastboot", "avd", "kernel[1].avd", "emulator -list-avds", "nothing"),
    "unknown partition": (
        FLASH,
        "vendor_dlkm",
        "userdata",
        "kernel[1].flash.userdata",
        "boot, init_boot",
        "'userdata'",
    ),
    "partition with a slot": (FLASH, "vendor_dlkm", "boot_b", "kernel[1].flash.boot_b", "without its slot", "'boot_b'"),
    "no kernel among them": (
        FLASH,
        'boot = "./boot',
        'boot = "./other',
        "kernel[1].flash",
        "./boot.img",
        "./other.img",
    ),
    "not a path": (FLASH, "./v.img", "v.img", "kernel[1].flash.vendor_dlkm", "the path of an image", "'v.img'"),
    "slot c": (FLASH, 'slot = "b"', 'slot = "c"', "kernel[1].slot", "'other'", "'c'"),
}


@pytest.mark.parametrize("name", BOOT_FAULTS)
def test_a_fault_of_a_boot_says_where_and_what(name: str) -> None:
    text, old, new, key, expected, found = BOOT_FAULTS[name]
    assert old in text
    with pytest.raises(ConfigError) as caught:
        parse(text.replace(old, new, 1))
    assert caught.value.key == key
    assert expected in caught.value.expected
    assert found in str(caught.value.found)


def test_a_phone_is_not_deterministic() -> None:
    with pytest.raises(ConfigError, match="only virtual devices are deterministic"):
        parse(BOOTS.replace("realtime", "deterministic").replace('"attached"', '"6.16.12"'))


READY = (
    BOOTS.replace("budget =", 'capture = "both"\nbudget =')
    + """
[ready]
keep = ["airplane", "doze"]
governor = "performance"
idle_states = false
thermal_status = "none"
battery_c = 38.5
battery_pct = 40
cool = "20 min"
boot = "90 s"
repeats = 0
"""
)


def test_what_is_asked_of_the_device() -> None:
    plan = parse(READY)
    assert plan.capture == "both"
    assert plan.ready == ReadyOptions(
        keep=frozenset({"airplane", "doze"}), governor="performance", idle_states=False, thermal_status=0, battery_c=38.5,
        battery_pct=40, cool_s=1200, boot_s=90, repeats=0,
    )  # fmt: skip
    assert parse(BOOTS).ready == ReadyOptions()
    assert parse(BOOTS).ready.changes() == {}
    assert plan.ready.changes()["keep"] == ["airplane", "doze"]
    said = plan.ready.describe()
    for part in (
        "set: screen, animations, dexopt; left as found: airplane, doze",
        "governor performance",
        "no deep idle states",
        "at most none",
        "40 %",
        "1200 s",
    ):
        assert part in said
    assert parse(READY.replace('["airplane", "doze"]', '["everything"]')).ready.describe().startswith("set: nothing;")


# change of READY -> key, a part of what was expected, a part of what was found
READY_FAULTS = {
    "misspelt key": ("repeats", "repeat", "ready.repeat", "'repeats' (did you mean", "'repeat'"),
    "unknown part": ('"doze"]', '"dose"]', "ready.keep[1]", "'doze'", "'dose'"),
    "shell in a name": ('"performance"', '"a; reboot"', "ready.governor", "name of a governor", "'a; reboot'"),
    "unknown status": ('"none"', '"warm"', "ready.thermal_status", "'light'", "'warm'"),
    "too hot": ("38.5", "138.5", "ready.battery_c", "0 to 100", "138.5"),
    "not finite": ("38.5", "nan", "ready.battery_c", "finite", "nan"),
    "too full": ("= 40", "= 140", "ready.battery_pct", "0 to 100", "140"),
    "too often": ("= 0\n", "= 101\n", "ready.repeats", "0 to 100", "101"),
    "no unit": ('"20 min"', '"20"', "ready.cool", "with its unit", "'20'"),
    "too long": ('"90 s"', '"2 d"', "ready.boot", "at most a day", "'2 d'"),
    "nobody records": ('"both"', '"atrace"', "plan.capture", "'perfetto'", "'atrace'"),
}


@pytest.mark.parametrize("name", READY_FAULTS)
def test_a_fault_of_the_device_says_where_and_what(name: str) -> None:
    old, new, key, expected, found = READY_FAULTS[name]
    assert old in READY
    with pytest.raises(ConfigError) as caught:
        parse(READY.replace(old, new, 1))
    assert caught.value.key == key
    assert expected in caught.value.expected
    assert found in str(caught.value.found)


def test_no_host_looks_after_a_deterministic_guest() -> None:
    with pytest.raises(ConfigError, match=r"^p.toml:29: ready: expected no \[ready\] in a deterministic plan"):
        parse(PLAN + "\n[ready]\n")
    with pytest.raises(ConfigError, match=r"plan\.capture: expected 'auto' or 'tracefs'"):
        parse(PLAN.replace("budget =", 'capture = "perfetto"\nbudget ='))
    assert parse(PLAN.replace("budget =", 'capture = "tracefs"\nbudget =')).capture == "tracefs"


def test_an_android_system_is_for_a_runtime() -> None:
    with pytest.raises(
        ConfigError, match=r"plan\.android: expected plan\.runtime = 'art' beside it, found no plan\.runtime"
    ):
        parse(PLAN.replace("budget =", 'android = "system.img"\nbudget ='))
    plan = parse(PLAN.replace("budget =", 'runtime = "art"\nandroid = "system.img"\nbudget ='))
    assert plan.android == "system.img"
    assert describe_runtime(plan.android).endswith(
        "a real Android runtime's of the Android system system.img, not the model's"
    )


def test_realtime_boots_have_paired_seeds() -> None:
    plan = parse(PLAN.replace("deterministic", "realtime").replace("seeds = [1, 2,\n  3, 4]", "boots = 6"))
    assert plan.seeds == (1, 2, 3, 4, 5, 6)
    assert not plan.warnings


# change of the plan -> line, key, a part of what was expected, a part of what was found
FAULTS = {
    "misspelt key": ("seeds =", "sedes =", 4, "plan.sedes", "'seeds' (did you mean", "unknown key 'sedes'"),
    "misspelt table": ("[margin]", "[margins]", 26, "margins", "'margin'", "unknown key"),
    "misspelt key in a table of an array": ('label = "after"', 'lable = "after"', 13, "kernel[1].lable", "'label'", ""),
    "nothing like a key": ('name = "x"', 'name = "x"\nqqq = 1', 3, "plan.qqq", "one of android, arch, boots,", "'qqq'"),
    "margin without a unit": ('"2 ms"', '"2"', 27, "margin.invertedMs", "with its unit", "'2'"),
    "margin that is a number": ('"2 ms"', "2", 27, "margin.invertedMs", "with its unit", "2"),
    "gate margin without a unit": ('"0.5 ms"', '"0.5"', 24, "gate[0].margin", "with its unit", "'0.5'"),
    "unknown scenario": ("gc_stress", "gc_stres", 18, "scenario[0].name", "'gc_stress' (did", "'gc_stres'"),
    "kernel twice": ("6.17.13", "6.16.12", 14, "kernel[1].kernel", "other than 'before'", "a second time"),
    "label twice": ('"after"', '"before"', 13, "kernel[1].label", "unique", "'before' a second time"),
    "label with a slash": ('"after"', '"a/b"', 13, "kernel[1].label", "file name", "'a/b'"),
    "two baselines": ('"candidate"', '"baseline"', 8, "kernel", "exactly one kernel", "2"),
    "no candidate": (PLAN[PLAN.index('[[kernel]]\nlabel = "after"') : PLAN.index("[[sc")], "", 8, "kernel", "'cand", "0"),
    "one boot with a gate": ("[1, 2,\n  3, 4]", "[1]", 4, "plan.seeds", "at least 4 boots", "1"),
    "no seeds": ("seeds = [1, 2,\n  3, 4]", "", 1, "plan.seeds", "the seeds of", "nothing"),
    "seed twice": ("2,\n", "1,\n", 4, "plan.seeds", "different seeds", "[1, 1, 3, 4]"),
    "seed in quotes": ("[1, 2,", '["1", 2,', 4, "plan.seeds[0]", "integer", "'1'"),
    "budget without a unit": ('"90 min"', '"90"', 6, "plan.budget", "'90 min'", "'90'"),
    "unknown mode": ('"deterministic"', '"fast"', 3, "plan.mode", "'realtime' or 'deterministic'", "'fast'"),
    "traced neither": ('"pairs"', '"pair"', 19, "scenario[0].traced", "'pairs'", "'pair'"),
    "not finite": ("6000", "nan", 20, "scenario[0].parameters.duration_ms", "finite", "nan"),
    "not TOML": ("4]", "4", 6, "syntax", "TOML", "unclosed array"),
    "iterations with seeds": ("traced =", "iterations = 3\ntraced =", 19, "scenario[0].iterations", "add seeds", "3"),
    "gate on an absent scenario": (
        'margin = "0.5 ms"', 'scenario = "app_launch"', 24, "gate[0].scenario", "of this plan", "'app_launch'"
    ),
    "misspelt metric": ("frameOverrunMs_p95", "frameOverunMs_p95", 23, "gate[0].metric", "'frameOverrunMs_p95'", ""),
    "misspelt metric of a margin": ("invertedMs =", "invertdMs =", 27, "margin.invertdMs", "'invertedMs' (did", ""),
    "another runtime": ('budget =', 'runtime = "jvm"\nbudget =', 6, "plan.runtime", "'art'", "'jvm'"),
    "attached and deterministic": ('"6.17.13"', '"attached"', 14, "kernel[1].kernel", "only virtual", "'attached'"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_says_where_and_what(name: str) -> None:
    old, new, line, key, expected, found = FAULTS[name]
    assert old in PLAN
    with pytest.raises(ConfigError) as caught:
        parse(PLAN.replace(old, new, 1))
    error = caught.value
    assert (error.line, error.key) == (line, key)
    assert expected in error.expected
    assert found in str(error.found)
    assert str(error).startswith(f"p.toml:{line}: {key}: expected ")


def test_a_misspelt_key_comes_before_the_key_it_leaves_missing() -> None:
    with pytest.raises(ConfigError, match="lable") as caught:
        parse(PLAN.replace('label = "before"', 'lable = "before"'))
    assert any("kernel[0].label" in note for note in caught.value.__notes__)


def test_few_boots_are_warned_of() -> None:
    assert parse(PLAN).warnings == ()
    [warning] = parse(PLAN.replace("4]", "]").replace("[margin]", 'undecided = "pass"\n[margin]')).warnings
    assert warning == "p.toml:4: with 3 boots per kernel every verdict will be UNDECIDED; use at least 4."


def test_the_fewest_boots_are_those_of_the_statistics() -> None:
    assert MIN_BOOTS == decision.MIN_BOOTS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90 min", 5400.0), ("1.5h", 5400.0), ("40 s", 40.0), ("2 d", 172800.0), ("90", None), ("-1 s", None), ("", None)],
)
def test_durations_need_a_unit(text: str, seconds: float | None) -> None:
    assert parse_duration_s(text) == seconds


def test_lines_of_keys() -> None:
    text = (
        'a = """\nb = 1\n"""\nc.d = [ # [\n  "]",\n]\n"e f" = 1\n[g.h]\ni = {j = 1}\n'
        "[[k]]\nl = '[['\n[[k]]\nl = 2\n[k.m]\nn = 3\n[[k.o]]\np = 4\n"
    )
    places = locate_keys(text)
    assert places == {
        ("a",): 1, ("c",): 4, ("c", "d"): 4, ("e f",): 7, ("g", "h"): 8, ("g", "h", "i"): 9,
        ("k",): 10, ("k", 0): 10, ("k", 0, "l"): 11, ("k", 1): 12, ("k", 1, "l"): 13,
        ("k", 1, "m"): 14, ("k", 1, "m", "n"): 15, ("k", 1, "o"): 16, ("k", 1, "o", 0): 16, ("k", 1, "o", 0, "p"): 17,
    }  # fmt: skip
