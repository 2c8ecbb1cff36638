"""Starts the sources of one iteration in order and stops them in reverse. Always restores the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from android_suite.capture.source import Source
from android_suite.errors import DeviceLost, SuiteError
from android_suite.store.run import IterationWriter


@contextmanager
def run_session(sources: Sequence[Source], out: IterationWriter) -> Iterator[None]:
    """Collects evidence during the `with` block.

    If the block or a source fails, this fetches all evidence that is still available, restores the device and raises
    the first failure, with later failures as notes. It does not contact a lost device again.
    """
    prepared: list[Source] = []
    started: list[Source] = []
    ended = False
    try:
        for source in sources:
            prepared.append(source)  # first, because a prepare that fails half-way also has to be restored
            source.prepare(out)
        for source in sources:
            started.append(source)
            source.start()
        yield
        ended = True
        _collect(started, None)
    except BaseException as error:
        if not ended and not isinstance(error, DeviceLost):
            _collect(started, error)
        _restore(prepared, error)
        raise
    _restore(prepared, None)


def _collect(started: Sequence[Source], error: BaseException | None) -> None:
    """Stops the sources and fetches their evidence. A failing source does not affect the others.

    Args:
        started: the sources in start order.
        error: an earlier failure; failures here become its notes. After an interrupt nothing is fetched.

    Raises:
        SuiteError: the first failure, if ``error`` is None.
    """
    first: SuiteError | None = None
    steps = [source.stop for source in reversed(started)]
    if error is None or isinstance(error, SuiteError):
        steps += [source.pull for source in started]
    for step in steps:
        try:
            step()
        except SuiteError as failure:
            if error is None and first is None:
                first = failure
            else:
                (error or first or failure).add_note(f"while saving evidence: {failure}")
            if isinstance(failure, DeviceLost):
                break
    if first is not None:
        raise first


def _restore(prepared: Sequence[Source], error: BaseException | None) -> None:
    first: SuiteError | None = None
    for source in reversed(prepared):
        try:
            source.restore()
        except SuiteError as failure:
            if error is None:
                first = first or failure
            elif not isinstance(failure, DeviceLost):
                error.add_note(f"while restoring the device ({source.name}): {failure}")
    if first:
        raise first
