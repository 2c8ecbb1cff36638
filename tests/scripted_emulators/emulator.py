"""`emulator -avd NAME -kernel IMAGE -port N ...`: boots, tells adb, and serves its console until `kill`."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from tests.scripted_emulators import FAULT
from tests.scripted_emulators.guest import PANIC, make_guest

AVDS = ("Pixel_6_API_34", "tv")
ENDINGS = {
    "disk": "FATAL        | Your device does not have enough disk space to run avd: `Pixel_6_API_34`. Not enough space.",
    "twice": (
        "ERROR        | Running multiple emulators with the same AVD\n"
        "ERROR        | is an experimental feature. Please use -read-only flag to enable this feature."
    ),
    "kvm": "ERROR        | x86_64 emulation currently requires hardware acceleration!\nPlease ensure KVM is properly installed.",
}


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("avd", "kernel", "ramdisk", "port"):
        parser.add_argument(f"-{name}")
    for name in ("no-snapshot", "read-only", "no-window", "no-audio", "no-boot-anim", "show-kernel"):
        parser.add_argument(f"-{name}", action="store_true")
    asked, fault = parser.parse_args(), os.environ.get(FAULT, "")
    tell("INFO         | Android emulator version 33.1.24.0 (build_id 11237101) (CL:N/A)")
    if asked.avd not in AVDS:
        tell(f"PANIC: Unknown AVD name [{asked.avd}], use -list-avds to see valid list.")
        return 1
    if fault in ENDINGS:
        tell(ENDINGS[fault])
        return 1
    if fault == "panic":
        tell(PANIC)
        signal.pause()
    port = int(asked.port)
    if fault in ("offline", "offline panic"):  # adb's port is open while the guest has not started its adbd
        with socket.create_server(("127.0.0.1", port + 1)):
            tell_adb(port + 1)
            if fault == "offline panic":
                tell(PANIC)
                signal.pause()
            time.sleep(3)
    with make_guest(Path(asked.kernel), port + 1, fault):
        tell("INFO         | Boot completed in 21456 ms")
        console = socket.create_server(("127.0.0.1", port))
        tell_adb(port + 1)
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        threading.Thread(target=serve_console, args=(console, stop), daemon=True).start()
        stop.wait()
    return 0


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell_adb(port: int) -> None:
    """What an emulator sends to the adb server once its adbd listens."""
    word = f"host:emulator:{port}".encode()
    with socket.create_connection(("127.0.0.1", int(os.environ["ANDROID_ADB_SERVER_PORT"]))) as server:
        server.sendall(b"%04x" % len(word) + word)


def serve_console(console: socket.socket, stop: threading.Event) -> None:
    token = Path.home() / ".emulator_console_auth_token"
    while True:
        raw, _ = console.accept()
        with raw, raw.makefile("rwb") as lines:
            lines.write(
                b"Android Console: Authentication required\r\nAndroid Console: type 'auth <auth_token>' to authenticate\r\n"
                b"Android Console: you can find your <auth_token> in \r\n'" + str(token).encode() + b"'\r\nOK\r\n"
            )
            lines.flush()
            known = False
            for line in lines:
                words = line.decode().split()
                if words[:1] == ["auth"]:
                    known = words[1:] == token.read_text().split()
                    lines.write(
                        b"Android Console: type 'help' for a list of commands\r\nOK\r\n" if known else b"KO: bad\r\n"
                    )
                elif words == ["kill"] and known:
                    lines.write(b"OK: killing emulator, bye bye\r\n")
                    lines.flush()
                    stop.set()
                    return
                elif words == ["quit"]:
                    break
                else:
                    lines.write(b"KO: unknown command, try 'help'\r\n")
                lines.flush()


if __name__ == "__main__":
    sys.exit(main())
