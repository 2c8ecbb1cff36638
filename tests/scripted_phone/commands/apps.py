"""Apps: am, pm, pidof, and what dumpsys tells of packages, activities and frames."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping

from android_suite.workload.our_app import VERSION_CODE
from tests.scripted_phone.call import Call, Command, command
from tests.scripted_phone.state import OUR_ACTIVITIES, Package

_STATES = ("COLD", "WARM", "HOT")
_CLEAR_TASK = 0x8000


@command("am")
def am(call: Call) -> int:
    match call.word(1):
        case "start" | "start-activity":
            return _start(call)
        case "force-stop":
            call.phone.stop_app(call.words[-1])
        case "get-current-user":
            call.out("0")
        case "kill" | "broadcast" | "send-trim-memory" | "crash":
            pass
        case verb:
            call.err(f"Unknown command: {verb}")
            return 255
    return 0


def _start(call: Call) -> int:
    words = list(call.words[2:])
    flags = int(words[words.index("-f") + 1], 0) if "-f" in words else 0
    component = words[words.index("-n") + 1] if "-n" in words else ""
    user = (
        int(words[words.index("--user") + 1]) if "--user" in words and words[words.index("--user") + 1].isdigit() else 0
    )
    package, _, activity = component.partition("/")
    extra = " (has extras)" if any(word.startswith("--e") for word in words) else ""
    told = f" flg={flags:#x}" if flags else ""
    call.out(f"Starting: Intent {{{told} cmp={component}{extra} }}")
    found = call.phone.state.packages.get(package)
    short = activity.removeprefix(package) if activity.startswith(f"{package}.") else activity
    if user not in call.phone.state.users:
        call.err(f"java.lang.IllegalArgumentException: No such user {user}")
        return 255
    if found is None or short not in found.activities or user not in found.users:
        call.err(f"Error type 3\nError: Activity class {{{component}}} does not exist.")
        return 1
    state = call.phone.launch(found, flags & _CLEAR_TASK != 0, user)
    if "-W" in words:
        total = found.launch_ms[state]
        if state == 2:
            call.err("Warning: Activity not started, its current task has been brought to the front")
        call.out(f"Status: ok\nLaunchState: {_STATES[state]}\nActivity: {package}/{short}")
        call.out(f"TotalTime: {total}\nWaitTime: {total + 7}\nComplete")
    _tell_launch(call, found, short, found.launch_ms[state], user)
    _tell_result(call, words, found)
    return 0


def _tell_launch(call: Call, package: Package, activity: str, total: int, user: int) -> None:
    log, name = call.phone.state.log, f"{package.name}/{activity}"
    whose = f" for user {user}" if user else ""
    log.add("ActivityTaskManager", f"Displayed {name}{whose}: +{total}ms", pid=1390)
    if package.fully_drawn:
        log.add("ActivityTaskManager", f"Fully drawn {name}{whose}: +{total + 40}ms", pid=1390)


def _tell_result(call: Call, words: list[str], package: Package) -> None:
    """The result line of the workload app, which gc_stress waits for."""
    if "token" not in words or package.name != "com.androidsuite.workload":
        return
    told = json.dumps({"token": words[words.index("token") + 1], "frames": 120, "gc_cycles": 4, "complete": True})
    call.phone.state.log.add("AndroidSuite", f"result {told}", pid=call.phone.pid_of(package.name))


@command("pm")
def pm(call: Call) -> int:
    packages = call.phone.state.packages
    name = call.words[-1]
    match call.word(1):
        case "path":
            if name not in packages or ("--user" in call.words and not _has_user(call, packages[name])):
                return 1
            call.out(f"package:{_path(packages[name])}")
        case "list" if call.word(2) == "packages":
            versions, files = "--show-versioncode" in call.words, "-f" in call.words
            for each in sorted(packages):
                path = f"{_path(packages[each])}=" if files else ""
                call.out(f"package:{path}{each}{f' versionCode:{packages[each].version}' if versions else ''}")
        case "list" if call.word(2) == "users":
            call.out("Users:")
            for number, who in call.phone.state.users.items():
                call.out(f"\tUserInfo{{{number}:{who}:{'4c13' if number == 0 else '1030'}}} running")
        case "bg-dexopt-job":
            call.phone.state.dexopt_jobs = "--enable" in call.words or "--disable" not in call.words
            call.out("Success")
        case "install-existing" if name in packages and _is_user(call):
            packages[name].users += (int(call.words[call.words.index("--user") + 1]),)
            call.out(f"Package {name} installed for user: {packages[name].users[-1]}")
        case "install-existing":
            call.err(f"java.lang.IllegalArgumentException: no such user or package: {call.words[1:]}")
            return 1
        case "install" if (apk := name.rpartition("/")[2]).startswith("com.androidsuite."):
            ours = packages.setdefault(apk.removesuffix(".apk"), Package("", activities=OUR_ACTIVITIES))
            ours.name, ours.version, ours.path = apk.removesuffix(".apk"), VERSION_CODE, uuid.uuid4().hex[:12]
            call.out("Success")
        case "install" | "uninstall" | "clear" | "grant" | "compile":
            call.out("Success")
        case verb:
            call.err(f"Unknown command: {verb}")
            return 255
    return 0


def _path(package: Package) -> str:
    return f"/data/app/~~{package.path}==/{package.name}-u7i8o9p0==/base.apk"


def _is_user(call: Call) -> bool:
    return call.words[call.words.index("--user") + 1] in map(str, call.phone.state.users)


def _has_user(call: Call, package: Package) -> bool:
    return call.words[call.words.index("--user") + 1] in map(str, package.users)


def _dump_package(call: Call) -> int:
    found = call.phone.state.packages.get(call.word(1))
    if found is None:
        call.out(f"Unable to find package: {call.word(1)}")
        return 0
    call.out(
        f"Packages:\n  Package [{found.name}] (4d5e6f):\n    userId=10123\n"
        f"    versionCode={found.version} minSdk=26 targetSdk=34\n"
        f"    versionName={found.version}.0"
    )
    return 0


def _dump_gfxinfo(call: Call) -> int:
    pid = call.phone.pid_of(call.word(1))
    if not pid:
        call.out(f"No process found for: {call.word(1)}")
        return 0
    call.out(
        f"Applications Graphics Acceleration Info:\nUptime: 138081 Realtime: 138081\n\n** Graphics info for pid {pid} "
        f"[{call.word(1)}] **\n\nStats since: 15396303822ns\nTotal frames rendered: 0\nJanky frames: 0 (0.00%)"
    )
    return 0


def _dump_activity(call: Call) -> int:
    call.out(
        f"ACTIVITY MANAGER ACTIVITIES (dumpsys activity activities)\n  ResumedActivity: {call.phone.state.front or 'null'}"
    )
    return 0


def _dump_trust(call: Call) -> int:
    call.out('Trust manager state:\n User "Owner" (id=0, flags=0x4c13) (current): trusted=0, trustManaged=1')
    return 0


DUMPS: Mapping[str, Command] = {
    "package": _dump_package,
    "gfxinfo": _dump_gfxinfo,
    "activity": _dump_activity,
    "trust": _dump_trust,
}
