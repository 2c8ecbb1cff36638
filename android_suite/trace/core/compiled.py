"""The decorator of the readers' compiled loops.

The loops read hostile input. numba does not check bounds, so every loop checks its own before it reads, and the tests
run the loops again with ``NUMBA_BOUNDSCHECK=1``.
"""

from __future__ import annotations

from android_suite.jit import decorate

compiled = decorate.compiled(error_model="numpy")
