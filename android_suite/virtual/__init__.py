"""The QEMU device: kernels, image, machine. guest/ has the sources that run inside it.

>>> config = read_config(env=os.environ, folder=Path.cwd())  # doctest: +SKIP
>>> with VirtualDevice(kernel=fetch_kernel("6.17.13", config=config), config=config) as device:  # doctest: +SKIP
...     device.start()
...     print(device.serial)  # answers adb until the block ends
"""

from __future__ import annotations

from android_suite.virtual.cache import Cache
from android_suite.virtual.console import GuestCrash, parse_crash
from android_suite.virtual.kernels import KernelChoice, KernelImage, fetch_kernel, list_kernels
from android_suite.virtual.machine import ExitReport, VirtualDevice
from android_suite.virtual.registry import DeviceRecord, Registry, stop_device

__all__ = [
    "Cache",
    "DeviceRecord",
    "ExitReport",
    "GuestCrash",
    "KernelChoice",
    "KernelImage",
    "Registry",
    "VirtualDevice",
    "fetch_kernel",
    "list_kernels",
    "parse_crash",
    "stop_device",
]
