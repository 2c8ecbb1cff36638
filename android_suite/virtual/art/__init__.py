"""A real Android runtime for the virtual device: ART 14 of Debian, with a class library that is built here.

``build.py`` makes the overlay: libraries of Debian packages (``recipe.toml``), libart with its faults mended
(``patches.toml``), the class library of Debian's source package with our edits (``edits.toml``, ``classes/``), and our
launcher (``native/``). Nothing of it is in the repository but what we wrote; docs/decisions/0011 has the licences.
"""

from __future__ import annotations

from android_suite.virtual.art.build import Runtime, build_runtime

__all__ = ["Runtime", "build_runtime"]
