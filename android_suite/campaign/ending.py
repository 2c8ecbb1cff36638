"""How a command or a campaign ends that something else ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def end_as_interrupted() -> Iterator[None]:
    """Makes SIGTERM, which CI uses to end a job, clean up like Ctrl-C. Also decorates a command."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
