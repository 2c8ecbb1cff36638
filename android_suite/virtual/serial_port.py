"""adb through a virtual serial port, for kernels without a driver for the network card.

Of some kernels Debian has dropped the modules, the card's driver among them, and kept the image, which has the port's
driver built in (``CONFIG_VIRTIO_CONSOLE``). ``serial/`` has what such a guest gets in addition: a part of its init and
the program that connects the port with adbd. No other guest is changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from android_suite.virtual.cache import Cache
from android_suite.virtual.image import CFLAGS, compile_guest
from android_suite.virtual.qmp import Qmp

# The guest finds the port by this name.
NAME = "android-suite.adb"
SOURCES = Path(__file__).parent / "serial"
_PROGRAM = "serial_adb"


def build_files(arch: str, *, cache: Cache) -> Mapping[str, bytes]:
    """The additional files of a guest by absolute path; the program is built on first use.

    Raises:
        MachineError: the compiler is missing or fails.
    """
    source = (SOURCES / f"{_PROGRAM}.c").read_bytes()
    key = f"{arch}-{hashlib.sha256(' '.join(CFLAGS).encode() + source).hexdigest()[:32]}"
    with cache.lock(f"serial-{arch}"):
        entry = cache.read_entry("serial", key)
        if entry is None:
            with cache.scratch() as scratch:
                entry = cache.write_entry("serial", key, compile_guest(arch, SOURCES, Path(scratch)), {"arch": arch})
    return {
        f"/system/bin/{_PROGRAM}": entry.files[_PROGRAM].read_bytes(),
        "/etc/android-suite/link.sh": (SOURCES / "link.sh").read_bytes(),
    }


def render_options(port: int) -> list[str]:
    """QEMU's options for a machine that has the port from the start; 0 takes a free port of the host."""
    return [
        *("-chardev", f"socket,id=adb,host=127.0.0.1,port={port},server=on,wait=off"),
        *("-device", "virtio-serial-pci", "-device", f"virtserialport,chardev=adb,name={NAME}"),
    ]


def plug(qmp: Qmp, port: int, *, bus: str) -> None:
    """Gives a running machine the port.

    Raises:
        MachineError: QEMU refuses it.
    """
    address = {"type": "inet", "data": {"host": "127.0.0.1", "port": str(port)}}
    backend = {"type": "socket", "data": {"addr": address, "server": True, "wait": False}}
    qmp.execute("chardev-add", id="adb", backend=backend)
    qmp.execute("device_add", driver="virtio-serial-pci", bus=bus, id="serial0")
    qmp.execute("device_add", driver="virtserialport", bus="serial0.0", chardev="adb", name=NAME)
