"""Battery, heat, screen, doze: dumpsys, svc, wm, input, and the services that `cmd` reaches."""

from __future__ import annotations

from tests.scripted_phone.call import Call, command
from tests.scripted_phone.commands import apps
from tests.scripted_phone.state import PhoneState


@command("dumpsys")
def dumpsys(call: Call) -> int:
    words = call.shift()
    while words.word(0).startswith("-") and words.word(0) != "-l":
        words = words.shift(2 if words.word(0) in ("-t", "-T") else 1)
    service = words.word(0)
    state = call.phone.state
    told = call.phone.dumps.get(service)
    if told is not None:
        call.out(told)
        return 0
    match service:
        case "-l":
            call.out(
                "Currently running services:\n" + "\n".join(f"  {name}" for name in sorted({*_DUMPS, *apps.DUMPS}))
            )
        case "deviceidle" if len(words.words) > 1:
            return deviceidle(words)
        case "battery" if len(words.words) > 1:
            return battery(words)
        case _ if service in _DUMPS:
            call.out(_DUMPS[service](state))
        case _ if service in apps.DUMPS:
            return apps.DUMPS[service](words)
        case _:
            call.err(f"Can't find service: {service}")
    return 0


def _dump_battery(state: PhoneState) -> str:
    battery = state.battery
    return (
        "Current Battery Service state:\n"
        f"  AC powered: {_word(battery.ac)}\n  USB powered: {_word(battery.usb)}\n  Wireless powered: false\n"
        "  Dock powered: false\n  Max charging current: 500000\n  Max charging voltage: 5000000\n  Charge counter: 3712000\n"
        f"  status: {battery.status}\n  health: 2\n  present: true\n  level: {battery.level}\n  scale: 100\n  voltage: 4213\n"
        f"  temperature: {battery.temperature}\n  technology: Li-ion"
    )


def _dump_thermal(state: PhoneState) -> str:
    heat = state.thermal
    if heat.cools_in:
        heat.cools_in -= 1
        heat.status = heat.status if heat.cools_in else 0
    temperatures = "\n".join(
        f"\tTemperature{{mValue={value}, mType={kind}, mName={name}, mStatus={status}}}"
        for value, kind, name, status in (
            (heat.cpu, 0, "BIG", 0),
            (state.battery.temperature / 10, 2, "battery", 0),
            (heat.skin, 3, "VIRTUAL-SKIN", heat.status),
        )
    )
    return (
        "IsStatusOverride: false\nThermalEventListeners:\n\tcallbacks: 2\n\tkilled: false\n\tbroadcasts count: -1\n"
        f"ThermalStatusListeners:\n\tcallbacks: 5\n\tkilled: false\n\tbroadcasts count: -1\nThermal Status: {heat.status}\n"
        f"Cached temperatures:\n{temperatures}\nHAL Ready: true\nHAL connection:\n\tThermalHAL AIDL 1  connected: yes\n"
        f"Current temperatures from HAL:\n{temperatures}\nCurrent cooling devices from HAL:\n"
        "\tCoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}"
    )


def _dump_power(state: PhoneState) -> str:
    wakefulness = "Awake" if state.screen.awake else "Asleep"
    return (
        "POWER MANAGER (dumpsys power)\n\nPower Manager State:\n  mDirty=0x0\n"
        f"  mWakefulness={wakefulness}\n  mWakefulnessChanging=false\n"
        f"  mIsPowered={_word(state.battery.usb or state.battery.ac)}\n"
        f"  mPlugType=2\n  mBatteryLevel={state.battery.level}\n  mStayOn={_word(state.stay_on != 0)}\n"
        "  mProximityPositive=false\n"
        "  mBootCompleted=true\n  mSystemReady=true\n\nSettings and Configuration:\n"
        f"  mStayOnWhilePluggedInSetting={state.settings['global'].get('stay_on_while_plugged_in', '0')}\n"
        f"  mScreenOffTimeoutSetting={state.settings['system'].get('screen_off_timeout', '30000')}"
    )


def _dump_window(state: PhoneState) -> str:
    shown = _word(state.screen.locked)
    return (
        "WINDOW MANAGER POLICY STATE (dumpsys window policy)\n"
        f"    mSafeMode=false mSystemReady=true mSystemBooted=true\n"
        f"    screenState=SCREEN_STATE_{'ON' if state.screen.awake else 'OFF'}\n"
        f"    KeyguardServiceDelegate\n      showing={shown}\n      inputRestricted={shown}\n      occluded=false\n"
        f"      secure={_word(state.screen.secure)}\n      dreaming=false\n      systemIsReady=true\n"
        "      deviceHasKeyguard=true\n"
        f"      enabled=true\n      bootCompleted=true\n      currentUser=0\n"
        f"  mDreamingLockscreen={shown} mDreaming=false\n  mCurrentFocus=Window{{1a2b3c u0 {state.front or 'NotificationShade'}}}"
    )


def _dump_display(state: PhoneState) -> str:
    modes = "{id=1, width=1080, height=2400, fps=60.000004}, {id=2, width=1080, height=2400, fps=90.0}"
    active = 1 if state.screen.rate < 75 else 2
    return (
        "DISPLAY MANAGER (dumpsys display)\n\nDisplay Devices: size=1\n"
        '  DisplayDeviceInfo{"Built-in Screen": uniqueId="local:4619827259835644672", 1080 x 2400, '
        f"modeId {active}, renderFrameRate {state.screen.rate}, defaultModeId 1, supportedModes [{modes}], colorMode 0, "
        f"state {'ON' if state.screen.awake else 'OFF'}}}\n    mActiveModeId={active}"
    )


def _dump_deviceidle(state: PhoneState) -> str:
    on = _word(state.doze)
    return f"  Settings:\n  mLightEnabled={on}  mDeepEnabled={on}\n  mState=ACTIVE\n  mLightState=ACTIVE"


_DUMPS = {
    "battery": _dump_battery,
    "thermalservice": _dump_thermal,
    "power": _dump_power,
    "window": _dump_window,
    "display": _dump_display,
    "deviceidle": _dump_deviceidle,
}


def _word(value: bool) -> str:
    return "true" if value else "false"


def deviceidle(call: Call) -> int:
    """`dumpsys deviceidle enable|disable|enabled`, also as `cmd deviceidle`."""
    match call.word(1):
        case "disable" | "enable" as verb:
            call.phone.state.doze = verb == "enable"
            call.out(f"Deep idle mode {verb}d\nLight idle mode {verb}d")
        case "enabled":
            call.out("1" if call.phone.state.doze else "0")
        case verb:
            call.err(f"Unknown command: {verb}")
            return 255
    return 0


def battery(call: Call) -> int:
    """`cmd battery set|unplug|reset`, which tests and labs use."""
    state = call.phone.state.battery
    match call.words[1:]:
        case ("set", "level", value):
            state.level = int(value)
        case ("set", "temp", value):
            state.temperature = int(value)
        case ("unplug",):
            state.usb = state.ac = False
        case ("reset",):
            state.usb = True
        case _:
            call.err("Unknown command")
            return 255
    return 0


def thermalservice(call: Call) -> int:
    """`cmd thermalservice override-status N|reset`."""
    if call.word(1) == "override-status":
        call.phone.state.thermal.status = int(call.word(2))
    elif call.word(1) == "reset":
        call.phone.state.thermal.status = 0
    return 0


@command("cmd")
def cmd(call: Call) -> int:
    words = call.shift()
    services = {
        "deviceidle": deviceidle,
        "battery": battery,
        "thermalservice": thermalservice,
        "connectivity": _connectivity,
        "window": _window,
        "package": apps.pm,
        "activity": apps.am,
        "settings": lambda inner: 0,
    }
    if words.word(0) == "-l":
        call.out("\n".join(["Currently running services:", *(f"  {name}" for name in services)]))
        return 0
    if words.word(0) not in services:
        call.err(f"cmd: Can't find service: {words.word(0)}")
        return 20
    return services[words.word(0)](words)


def _connectivity(call: Call) -> int:
    if call.word(1) != "airplane-mode":
        return 255
    table = call.phone.state.settings["global"]
    if call.word(2):
        table["airplane_mode_on"] = "1" if call.word(2) == "enable" else "0"
    else:
        call.out("enabled" if table["airplane_mode_on"] == "1" else "disabled")
    return 0


def _window(call: Call) -> int:
    if call.word(1) == "dismiss-keyguard" and not call.phone.state.screen.secure:
        call.phone.state.screen.locked = False
    return 0


@command("svc")
def svc(call: Call) -> int:
    kinds = {"true": 15, "false": 0, "usb": 2, "ac": 1, "wireless": 4}
    if call.words[1:3] == ("power", "stayon") and call.word(3) in kinds:
        call.phone.state.stay_on = kinds[call.word(3)]
        call.phone.state.settings["global"]["stay_on_while_plugged_in"] = str(kinds[call.word(3)])
        return 0
    if call.words[1:2] in (("wifi",), ("data",)) and call.word(2) in ("enable", "disable"):
        return 0
    call.err(
        "Available commands:\n    help     Show information about the subcommands\n    power    Control the power manager"
    )
    return 255


@command("wm")
def wm(call: Call) -> int:
    match call.words[1:]:
        case ("size",):
            call.out("Physical size: 1080x2400")
        case ("density",):
            call.out("Physical density: 420")
        case ("dismiss-keyguard",):
            return _window(call)
        case _:
            call.err(f"Unknown command: {call.word(1)}")
            return 255
    return 0


@command("input")
def press(call: Call) -> int:
    """Keys: POWER, WAKEUP, SLEEP, MENU, HOME, BACK; taps and swipes reach nobody."""
    screen, words = call.phone.state.screen, call.words[1:]
    if words[:1] != ("keyevent",):
        return 0 if words[:1] in (("tap",), ("swipe",), ("text",)) else 255
    for key in (word.removeprefix("KEYCODE_") for word in words[1:]):
        match key:
            case "26" | "POWER":
                call.phone.state.switch_screen(not screen.awake)
            case "224" | "WAKEUP":
                call.phone.state.switch_screen(True)
            case "223" | "SLEEP":
                call.phone.state.switch_screen(False)
            case "82" | "MENU":
                screen.locked = screen.locked and screen.secure
            case "3" | "HOME" | "4" | "BACK":
                call.phone.state.front = ""
    return 0
