"""The parsers of readiness on what Android prints, old and new, and on nonsense."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from android_suite.model.readiness import ReadyOptions
from android_suite.ready.knobs import is_known, list_knobs, parse_read, render_read, render_set
from android_suite.ready.reading import Reading, parse_level, parse_reading, parse_skin, parse_thermal_status

BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  status: 2
  health: 2
  present: true
  level: 43
  scale: 50
  temperature: 312
"""
# With the HAL, cached values may be old; the section of the HAL is what counts. A second skin sensor is hotter.
THERMAL = """IsStatusOverride: false
ThermalStatusListeners:
\tcallbacks: 1
Thermal Status: 2
Cached temperatures:
\tTemperature{mValue=55.0, mType=3, mName=skin, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{mValue=80.1, mType=0, mName=cpu0, mStatus=0}
\tTemperature{mValue=39.5, mType=3, mName=skin, mStatus=1}
\tTemperature{mValue=41.25, mType=3, mName=skin-front, mStatus=2}
\tTemperature{mValue=-274.0, mType=3, mName=broken, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=3, mType=2, mName=thermal-cpufreq-0}
"""


def part(name: str, text: str) -> str:
    return f"=android-suite-ready= {name}\n{text}"


def test_a_phone_is_read() -> None:
    window = "    KeyguardServiceDelegate\n      showing=true\n      secure=false\n"
    packages = "package:b versionCode:2\npackage:a versionCode:1\n"
    text = "".join(
        part(name, told)
        for name, told in (
            ("booted", "1\n"), ("battery", BATTERY), ("thermal", THERMAL), ("power", "  mWakefulness=Dozing\n"),
            ("window", window), ("packages", packages),
        )
    )  # fmt: skip
    read = parse_reading(text)
    assert (read.booted, read.battery_pct, read.battery_c, read.powered) == (True, 86, 31.2, True)
    assert (read.thermal_status, read.skin_c) == (2, 41.25)
    assert (read.awake, read.locked, read.secure) == (False, True, False)
    other_order = parse_reading(part("packages", "package:a versionCode:1\npackage:b versionCode:2\n"))
    assert read.packages == other_order.packages
    for apps in (
        part("packages", "package:a versionCode:1\npackage:b versionCode:3\n"),
        part("packages", packages) + part("apps", "2026-01-02 03:04:05.000000001 +0000\n"),
    ):
        assert read.packages != parse_reading(apps).packages


def test_what_is_not_there_is_unknown() -> None:
    assert parse_reading("") == Reading()
    assert parse_level(BATTERY.replace("present: true", "present: false")) is None  # a virtual device, a set-top box
    assert parse_level(BATTERY.replace("scale: 50", "scale: 0")) is None
    assert parse_thermal_status("Thermal Status: 9") is None
    assert parse_thermal_status("Can't find service: thermalservice") is None
    assert parse_skin("HAL Ready: false\nCached temperatures:\n") is None
    assert parse_skin("Temperature{mValue=38.0, mType=3, mName=skin, mStatus=0}") == 38.0  # Android 10: no HAL section


@given(st.text(max_size=400))
def test_nonsense_is_as_if_it_were_not_there(text: str) -> None:
    for name in ("booted", "battery", "thermal", "power", "window", "packages"):
        parse_reading(part(name, text))
    for name, value in parse_read(f"=android-suite-knob= global/x\n{text}").items():
        assert is_known(name, value)


def test_only_plain_names_and_values_are_put_back() -> None:
    policy = "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
    good = {"global/window_animation_scale": "0.5", "doze": "1", policy: "schedutil"}
    for name, value in good.items():
        assert is_known(name, value)
        assert value in render_set({name: value}) or name == "doze"
    for name, value in (
        ("global/x y", "1"), ("global/x", "1; reboot"), ("global/x", "$(reboot)"), ("global/x", ""), ("other/x", "1"),
        (policy + "/../../../../../../proc/sysrq-trigger", "b"), ("/proc/sysrq-trigger", "b"), ("doze", "1\nreboot"),
    ):  # fmt: skip
        assert not is_known(name, value), (name, value)


def test_what_is_kept_is_not_touched() -> None:
    everything = ReadyOptions(keep=frozenset({"screen", "animations", "airplane", "doze", "dexopt"}))
    assert list_knobs(everything, network=False, sdk=34) == ()
    by_cable = {knob.name for knob in list_knobs(ReadyOptions(), network=False, sdk=34)}
    over_network = {knob.name for knob in list_knobs(ReadyOptions(), network=True, sdk=34)}
    assert by_cable - over_network == {"airplane"}
    assert by_cable - {knob.name for knob in list_knobs(ReadyOptions(), network=False, sdk=33)} == {"dexopt"}
    assert "airplane-mode" in render_read(["airplane"])
