"""`stop_cvd`: ends the device that `launch_cvd` started."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


def main() -> int:
    try:
        pid = int((Path.home() / "cuttlefish_runtime" / "run_cvd.pid").read_text())
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        print("stop_cvd E 01-12 02:55:11 main.cc:73] Failed to find the config of a running device")  # noqa: T201
        return 0
    while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        time.sleep(0.05)
    print("Successfully stopped device cvd-1")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
