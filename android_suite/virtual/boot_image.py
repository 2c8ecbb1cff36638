"""Reads Android boot images (``boot.img``): the kernel in them. No I/O.

The layout is that of ``bootimg.h`` in AOSP's mkbootimg: versions 0 to 2 give their page size, from version 3 on a page
has 4096 bytes. The kernel follows the header's page.
"""

from __future__ import annotations

import struct
from typing import Final

_MAGIC: Final = b"ANDROID!"
_PAGE_BYTES: Final = 4096  # from version 3 on
_SIZE, _PAGE_SIZE, _VERSION = 8, 36, 40  # offsets in the header; the version is at the same place in all of them


def find_kernel(image: bytes) -> bytes:
    """The kernel in a boot image, as packed as it is there; any other image is returned unchanged.

    Raises:
        ValueError: it is a boot image without a kernel, such as ``init_boot.img``, or it is cut off.
    """
    if image[:8] != _MAGIC:
        return image
    if len(image) < _VERSION + 4:
        raise ValueError("the boot image is cut off")
    size, version = (struct.unpack_from("<I", image, at)[0] for at in (_SIZE, _VERSION))
    # In old images of version 0 this field held the size of a device tree.
    page = _PAGE_BYTES if version in (3, 4) else struct.unpack_from("<I", image, _PAGE_SIZE)[0]
    if size == 0:
        raise ValueError("the boot image has no kernel")
    if not 512 <= page <= 1 << 20 or page + size > len(image):
        raise ValueError("the boot image is cut off")
    return image[page : page + size]
