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
    try:
        for source in sources:
            prepared.append(source)  # first: a prepare that fails half-way has something to restore, too
            source.prepare(out)
        for source in sources:
            started.append(source)
            source.start()
        yield
        for source in reversed(sources):
            source.stop()
            started.remove(source)
        for source in sources:
            source.pull()
    except BaseException as error:
        _salvage(started, sources, error)
        _restore(prepared, error)
        raise
    _restore(prepared, None)


def _salvage(started: Sequence[Source], sources: Sequence[Source], error: BaseException) -> None:
    """Stops what runs and fetches what there is, after a failure."""
    if isinstance(error, DeviceLost):
        return
    if not isinstance(error, SuiteError):
        sources = ()  # an interrupt: stop at once, fetch nothing
    steps = [source.stop for source in reversed(started)] + [source.pull for source in sources if source in started]
    for step in steps:
        try:
            step()
        except SuiteError as further:
            error.add_note(f"while saving evidence: {further}")
            if isinstance(further, DeviceLost):
                return


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
