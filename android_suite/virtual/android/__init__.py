"""The runtime of a user's own Android system, for ``--android``: bionic and ART as they are on the device.

``images.py`` unpacks what the user gives, ``tree.py`` finds in it what the runtime needs and says what is missing,
``elf.py`` reads its programs, ``build.py`` makes the overlay, with our app compiled for bionic (``native/``).
"""

from __future__ import annotations

from android_suite.virtual.android.build import build_android

__all__ = ["build_android"]
