"""`launch_cvd --daemon --kernel_path=... --initramfs_path=...`: ends when the device has booted, which lives on."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.scripted_emulators import FAULT
from tests.scripted_emulators.guest import PANIC, make_guest

RUNTIME = Path.home() / "cuttlefish_runtime"
ENDINGS = {
    "disk": "assemble_cvd E 01-12 02:51:11  6184 super_image_mixer.cpp:12] No space left on device",
    "kvm": "launch_cvd E 01-12 02:51:11  6032 main.cc:186] Unable to open /dev/kvm: Permission denied",
}


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--daemon", action="store_true")
    for name in ("resume", "report_anonymous_usage_stats", "kernel_path", "initramfs_path"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--inside", action="store_true")
    asked, fault = parser.parse_args(), os.environ.get(FAULT, "")
    if asked.inside:
        with make_guest(Path(asked.kernel_path), 6520, fault):
            (RUNTIME / "run_cvd.pid").write_text(str(os.getpid()))
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            signal.pause()
    print("launch_cvd I 01-12 02:51:11  6032  6032 main.cc:186] Host changed from last run: 0")  # noqa: T201
    if fault in ENDINGS:
        print(ENDINGS[fault])  # noqa: T201
        return 1
    RUNTIME.mkdir(exist_ok=True)
    (RUNTIME / "kernel.log").write_text(PANIC if fault == "panic" else "[    9.1] VIRTUAL_DEVICE_BOOT_COMPLETED\n")
    (RUNTIME / "run_cvd.pid").unlink(missing_ok=True)
    if fault in ("panic", "slow"):
        print("run_cvd E 01-12 02:55:11 boot_state_machine.cc:160] Virtual device failed to boot")  # noqa: T201
        return 10
    words = [
        sys.executable,
        "-m",
        "tests.scripted_emulators.launch_cvd",
        "--inside",
        f"--kernel_path={asked.kernel_path}",
    ]
    null = subprocess.DEVNULL
    inside = subprocess.Popen(words, stdin=null, stdout=null, stderr=null, start_new_session=True)
    while not (RUNTIME / "run_cvd.pid").exists():
        if inside.poll() is not None:
            return 11
        time.sleep(0.05)
    print("VIRTUAL_DEVICE_BOOT_COMPLETED\nVirtual device booted successfully")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
