"""The decorator of the analysis' compiled loops, and the types they use.

Their input has passed the trace readers and TidIndex, so indexes are in range by construction; the tests run the loops
once more with ``NUMBA_BOUNDSCHECK=1``.

Small state that changes with each event (of a thread, of a slot in a queue) is a record of a structured array: one
cache line and one argument, instead of one of each per field.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from android_suite.jit import decorate

Array = NDArray[Any]
Bools = NDArray[np.bool_]
I8 = NDArray[np.int8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

compiled = decorate.compiled(error_model="python")
compiled_part = decorate.compiled(error_model="python", part=True)  # of a long loop, which alone calls it


def frozen(values: Array) -> Array:
    """A contiguous read-only view.

    Columns from pandas are sometimes read-only and sometimes not. For numba these are two types, and each mixture of
    them takes seconds to compile. So columns pass through here into a compiled loop; arrays to be filled do not.
    """
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view
