"""The phone's /sys beside tracefs, and the files of /proc that are not this machine's."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from hashlib import sha1

from tests.scripted_phone.fuse import File, Folder, text
from tests.scripted_phone.state import PhoneState
from tests.scripted_phone.tracefs import Tracefs

_GOVERNORS = ("sched_pixel", "schedutil", "performance", "powersave")


def grow_sys(state: PhoneState, tracefs: Tracefs) -> Folder:
    """The tree of /sys."""
    root = Folder()
    root.put("kernel/tracing", tracefs.tree)
    root.put("kernel/notes", File(read=lambda: _notes(state.kernel), mode=0o444))
    root.put("devices/system/cpu/present", text("0-1"))
    root.put("devices/system/cpu/online", text("0-1"))
    for cpu in state.governors:
        folder = f"devices/system/cpu/cpufreq/policy{cpu}"
        root.put(f"{folder}/scaling_governor", _governor(state, cpu))
        root.put(f"{folder}/scaling_available_governors", text(" ".join(_GOVERNORS)))
        root.put(f"{folder}/scaling_cur_freq", text("1803000"))
        for number, name in enumerate(("WFI", "C2")):
            below = f"devices/system/cpu/cpu{cpu}/cpuidle/state{number}"
            root.put(f"{below}/name", text(name))
            root.put(f"{below}/disable", _idle(state, cpu, number))
    for zone, (kind, read) in enumerate(
        (("BIG", lambda: state.thermal.cpu), ("VIRTUAL-SKIN", lambda: state.thermal.skin))
    ):
        root.put(f"class/thermal/thermal_zone{zone}/type", text(kind))
        root.put(f"class/thermal/thermal_zone{zone}/temp", _temperature(read))
    root.put("fs/pstore", Folder({name: text(content) for name, content in state.pstore.items()}))
    for path in state.denied:
        node = root.find(path.removeprefix("/sys"))
        assert node is not None, path
        node.denied = True
    return root


def _temperature(read):  # type: ignore[no-untyped-def]
    return text(lambda: str(round(read() * 1000)))


def _governor(state: PhoneState, cpu: int) -> File:
    def write(data: bytes) -> None:
        value = data.decode(errors="replace").strip()
        if value not in _GOVERNORS:
            raise OSError(22, "no such governor")
        state.governors[cpu] = value

    return File(read=lambda: f"{state.governors[cpu]}\n".encode(), write=write)


def _idle(state: PhoneState, cpu: int, number: int) -> File:
    def write(data: bytes) -> None:
        state.idle_disabled[cpu, number] = data.decode(errors="replace").strip()

    return File(read=lambda: state.idle_disabled.get((cpu, number), "0").encode() + b"\n", write=write)


def _notes(release: str) -> bytes:
    return struct.pack("<III", 4, 20, 3) + b"GNU\0" + sha1(release.encode(), usedforsecurity=False).digest()


def kernel_files(state: PhoneState) -> Mapping[str, str]:
    """Path below /proc -> content."""
    version = f"Linux version {state.kernel} (build-user@build-host) (Android clang 14.0.7) #1 SMP PREEMPT"
    return {
        "sys/kernel/random/boot_id": f"{state.boot_id}\n",
        "sys/vm/drop_caches": "0\n",
        "version": f"{version}\n",
        "cmdline": f"console=null androidboot.slot_suffix={state.slot} bootconfig\n",
        "meminfo": "MemTotal:        7700000 kB\nMemFree:         3100000 kB\n",
    }
