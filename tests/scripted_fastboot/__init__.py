"""A bootloader that Debian's real `fastboot` drives over TCP: slots, partitions, fastbootd, and what goes wrong there.

Its words are those of AOSP's protocol (system/core/fastboot/README.md) and of bootloaders in public logs.
"""

from tests.scripted_fastboot.bootloader import Bootloader, Slot

__all__ = ["Bootloader", "Slot"]
