"""What the scripted phone knows about itself, as a stock Android 14 phone (a Pixel 6 on a GKI 5.10) tells it."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Literal

OUR_ACTIVITIES = (".LaunchActivity", ".GcStressActivity", "com.androidsuite.workload.GcStressActivity")
RELEASE = "5.10.157-android13-4-00003-gdd1ff4e3a8f6-ab9942145"


@dataclass
class Package:
    """An installed app.

    Attributes:
        activities: as ``.Main``.
        launch_ms: TotalTime of a cold, a warm and a hot launch.
        fully_drawn: whether it calls reportFullyDrawn.
        users: where it is installed.
    """

    name: str
    version: int = 1
    activities: tuple[str, ...] = (".MainActivity",)
    launch_ms: tuple[int, int, int] = (480, 190, 60)
    fully_drawn: bool = True
    users: tuple[int, ...] = (0,)
    path: str = "q1w2e3r4t5"  # another one at each installation


@dataclass
class Thermal:
    """Status of PowerManager (0 none, 1 light, 2 moderate, 3 severe, ...) and temperatures in degrees Celsius.

    After ``cools_in`` readings the status is 0 again; 0: it stays.
    """

    status: int = 0
    cools_in: int = 0
    skin: float = 31.4
    cpu: float = 45.2


@dataclass
class Battery:
    """As BatteryService has it; temperature in tenths of a degree."""

    level: int = 87
    temperature: int = 285
    usb: bool = True
    ac: bool = False
    status: int = 2


@dataclass
class Screen:
    """The display and the keyguard."""

    awake: bool = True
    locked: bool = False
    secure: bool = False
    rate: float = 60.000004


@dataclass
class LogLine:
    """One line of the log; time in seconds since the epoch."""

    at: float
    pid: int
    tid: int
    level: str
    tag: str
    text: str
    buffer: Literal["main", "events"] = "main"


class Log:
    """The log buffer, which commands may follow."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.grown = threading.Condition()

    def add(self, tag: str, text: str, *, level: str = "I", pid: int = 1000, tid: int | None = None) -> None:
        """Adds a line now."""
        self._add(LogLine(time.time(), pid, tid or pid, level, tag, text))

    def add_event(self, tag: str, text: str) -> None:
        """Adds a line to the buffer of events now, as system_server does."""
        self._add(LogLine(time.time(), 1432, 1456, "I", tag, text, "events"))

    def _add(self, line: LogLine) -> None:
        with self.grown:
            self.lines.append(line)
            self.grown.notify_all()


@dataclass
class PhoneState:
    """See the module. Properties that begin with ``ro.`` cannot be set by a command.

    Attributes:
        root: how a shell becomes root: ``adbd`` runs as root already, ``debuggable`` has `adb root` and AOSP's su,
            ``adb root`` has no su, ``magisk``, ``su0`` (AOSP's syntax), ``none``.
        pstore: file of /sys/fs/pstore -> content, from the next boot on.
        denied: paths below /sys whose reading SELinux denies, root included.
    """

    kernel: str = RELEASE
    root: Literal["adbd", "debuggable", "adb root", "magisk", "su0", "none"] = "debuggable"
    slot: str = "_a"
    properties: dict[str, str] = field(default_factory=dict)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    packages: dict[str, Package] = field(default_factory=dict)
    users: dict[int, str] = field(default_factory=lambda: {0: "Owner"})
    battery: Battery = field(default_factory=Battery)
    thermal: Thermal = field(default_factory=Thermal)
    screen: Screen = field(default_factory=Screen)
    front: str = ""
    stay_on: int = 0
    doze: bool = True
    dexopt_jobs: bool = True
    pstore: dict[str, str] = field(default_factory=dict)
    denied: tuple[str, ...] = ()
    boot_id: str = ""
    booted_at: float = 0.0
    log: Log = field(default_factory=Log)
    governors: dict[int, str] = field(default_factory=lambda: {0: "sched_pixel", 1: "sched_pixel"})
    idle_disabled: dict[tuple[int, int], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        debuggable = self.root in ("adbd", "debuggable", "adb root")
        kind = "userdebug" if debuggable else "user"
        self.properties = {
            "ro.boot.bootreason": "reboot",
            "ro.boot.flash.locked": "0",
            "ro.boot.slot_suffix": self.slot,
            "ro.boot.verifiedbootstate": "orange",
            "ro.bootloader": "slider-14.0-10825040",
            "ro.build.fingerprint": f"google/oriole/oriole:14/UQ1A.231205.015/11084887:{kind}/release-keys",
            "ro.build.type": kind,
            "ro.build.version.release": "14",
            "ro.build.version.sdk": "34",
            "ro.debuggable": "1" if debuggable else "0",
            "ro.product.cpu.abi": "arm64-v8a",
            "ro.product.device": "oriole",
            "ro.product.manufacturer": "Google",
            "ro.product.model": "Pixel 6",
            "ro.product.name": "oriole",
            "ro.secure": "1",
            "ro.serialno": "1A2B3C4D5E6F",
            "sys.usb.state": "adb",
            "persist.sys.timezone": "Europe/Berlin",
            **self.properties,
        }
        defaults: dict[str, dict[str, str]] = {
            "global": {
                "airplane_mode_on": "0", "stay_on_while_plugged_in": "0", "window_animation_scale": "1.0",
                "transition_animation_scale": "1.0", "adb_enabled": "1", "device_provisioned": "1",
            },
            "system": {"screen_off_timeout": "30000", "screen_brightness": "102", "screen_brightness_mode": "1"},
            "secure": {"user_setup_complete": "1", "android_id": uuid.uuid4().hex[:16]},
        }  # fmt: skip
        self.settings = {space: {**defaults[space], **self.settings.get(space, {})} for space in defaults}
        if not self.packages:
            self.packages = {name: Package(name) for name in ("com.android.settings", "com.example.app")}
            self.packages["com.androidsuite.workload"] = Package("com.androidsuite.workload", activities=OUR_ACTIVITIES)

    def heat(self, status: int, celsius: float) -> None:
        """The skin reaches another status."""
        self.log.add_event("thermal_changed", f"[VIRTUAL-SKIN,3,{celsius},{status},{self.thermal.status}]")
        self.thermal.status, self.thermal.skin = status, celsius

    def show_keyguard(self, shown: bool) -> None:
        """The keyguard comes or goes, as Android 14 tells it."""
        self.screen.locked = shown
        self.log.add_event("wm_set_keyguard_shown", f"[0,{int(shown)},0,0,0,setKeyguardShown]")

    def switch_screen(self, on: bool) -> None:
        """The display goes on or off."""
        self.screen.awake = on
        self.log.add_event("power_screen_state", f"[{int(on)},2,0,0,412]")
        self.log.add_event("screen_toggled", str(int(on)))

    def begin_boot(self) -> None:
        """A new boot: its id, and what a reboot forgets."""
        self.boot_id, self.booted_at = str(uuid.uuid4()), time.time()
        self.properties["sys.boot_completed"] = "1"
        self.properties["dev.bootcomplete"] = "1"
        self.properties["init.svc.bootanim"] = "stopped"
        self.properties["service.bootanim.exit"] = "1"
        self.governors = dict.fromkeys(self.governors, "sched_pixel")
        self.idle_disabled.clear()
