"""Runs compiled loops on several cores. They release the GIL, so threads are enough.

Only independent work runs in parallel (tables, chunks, passes), so one core and many give the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

CORES_VARIABLE = "ANDROID_SUITE_CORES"
_T = TypeVar("_T")


def count_cores() -> int:
    """Cores to use: ``ANDROID_SUITE_CORES``, else those this process may run on (``taskset`` and cpusets count)."""
    allowed = len(os.sched_getaffinity(0))
    asked = os.environ.get(CORES_VARIABLE, "")
    return max(1, min(int(asked), allowed)) if asked.isdecimal() and int(asked) else allowed


class Workers:
    """Runs tasks beside the caller, which does its share of them when it has nothing else to do.

    Args:
        cores: at most so many run at once, the caller's included; None: as ``count_cores`` says.
    """

    def __init__(self, cores: int | None = None) -> None:
        self.cores = cores if cores is not None else count_cores()
        self._pool = ThreadPoolExecutor(self.cores - 1, "compiled-loops") if self.cores > 1 else None
        self._begun: list[tuple[Future[object], Callable[[], object]]] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def begin(self, tasks: Sequence[Callable[[], object]]) -> None:
        """Begins tasks; those begun before must be finished. With one core they run at once."""
        if self._pool is None:
            for task in tasks:
                task()
            return
        self._begun = [(self._pool.submit(task), task) for task in tasks]

    def finish(self) -> None:
        """Ends what was begun; runs here what no thread has taken yet.

        Raises:
            Exception: the first one that a task raised.
        """
        begun, self._begun = self._begun, []
        for future, task in reversed(begun):
            if future.cancel():
                task()
        for future, _ in begun:
            if not future.cancelled():
                future.result()

    def map(self, function: Callable[[_T], object], values: Sequence[_T]) -> None:
        """Calls ``function`` with every value; done when it returns."""
        self.begin([lambda value=value: function(value) for value in values])  # type: ignore[misc]
        self.finish()
