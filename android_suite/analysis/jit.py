"""The decorator of the analysis' compiled loops, and the types they use.

Their input went through the trace readers and TidIndex, so that indexes are in range by construction; the tests run the
kernels once more with ``NUMBA_BOUNDSCHECK=1``.

What changes from event to event and is small (a thread, a slot of a queue) is a record of a structured array: one line
of the cache, and one argument, where columns are as many as there are fields.
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


def frozen(values: Array) -> Array:
    """A contiguous read-only view.

    pandas hands out its columns now read-only, now not; to numba these are two types, and every mixture of them would
    be compiled anew for seconds. Columns therefore go into the kernels through here, and arrays to be filled do not.
    """
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view
