"""Sources of one iteration, started in order and stopped in reverse; the device is put back whatever happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from android_suite.capture.source import Source
from android_suite.errors import DeviceLost, SuiteError
from android_suite.store.run import IterationWriter


@contextmanager
def run_session(sources: Sequence[Source], out: IterationWriter) -> Iterator[None]:
    """Collects evidence while the block runs.

    If the block or a source fails, what can still be fetched is fetched, the device is put back, and the first
    failure is raised; what failed after it is added to it as notes. A device that is gone is not asked again.
    """
    prepared: list[Source] = []
    started: list[Source] = []
    ended = False
    try:
        for source in sources:
            prepared.append(source)  # first: a prepare that fails half-way has something to restore, too
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
    """Stops what runs and fetches what there is; a source that fails costs no other its evidence.

    Args:
        started: in the order in which they started.
        error: the failure behind it, which gets what fails here as notes; after an interrupt nothing is fetched.

    Raises:
        SuiteError: the first failure, where there was none before.
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
                error.add_note(f"while putting the device back ({source.name}): {failure}")
    if first:
        raise first
