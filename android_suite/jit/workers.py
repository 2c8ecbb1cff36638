"""Runs compiled loops on several cores. They release the GIL, so threads are enough.

Only independent work runs in parallel (tables, chunks, passes), so one core and many give the same bytes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

CORES_VARIABLE = "ANDROID_SUITE_CORES"
_T = TypeVar("_T")


def count_cores() -> int:
    """Cores to use: ``ANDROID_SUITE_CORES``, else those this process may run on (``taskset`` and cpusets count)."""
    allowed = len(os.sched_getaffinity(0))
    asked = os.environ.get(CORES_VARIABLE, "")
    return max(1, min(int(asked), allowed)) if asked.isdecimal() and int(asked) else allowed


class Begun(Generic[_T]):
    """A task that was begun; see ``Workers.start``."""

    def __init__(self, task: Callable[[], _T], future: Future[_T] | None) -> None:
        self._task: Callable[[], _T] | None = task
        self._future = future
        self._lock = threading.Lock()  # a task may ask for another one's result while the caller does

    def result(self) -> _T:
        """What the task returns; runs it here if no thread has taken it yet. Any thread may ask, more than once.

        Raises:
            Exception: whatever the task raises.
        """
        with self._lock:
            task, self._task = self._task, None  # what it reads is let go with it
            if task is not None and (self._future is None or self._future.cancel()):
                self._future = Future()
                try:
                    self._future.set_result(task())
                except BaseException as error:  # whoever asks again is told the same
                    self._future.set_exception(error)
            assert self._future is not None
            return self._future.result()


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

    def start(self, task: Callable[[], _T]) -> Begun[_T]:
        """Begins one task beside the caller, in the order of the calls; with one core it runs where its result is asked for."""
        return Begun(task, self._pool.submit(task) if self._pool is not None else None)

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
