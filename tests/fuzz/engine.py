"""Runs cases and judges how each ends: decoded, refused with a message that helps, or a violation."""

from __future__ import annotations

import contextlib
import faulthandler
import random
import resource
import signal
import time
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from android_suite.errors import EvidenceError, SuiteError, TraceError, Unsupported, UsageError

CASE_SECONDS = 20  # of processor time; a batch has them once
MEMORY_BYTES = 1 << 30  # over what the process has after the whole inputs were read once
# On the wall, of all cases of one call: compiled code that never returns cannot be interrupted, only ended.
_DEADLOCK_SECONDS = 3600
_REFUSALS = (TraceError, UsageError, EvidenceError, Unsupported)


@dataclass(slots=True)
class Case:
    """One input to be: its number, its own random numbers, and what was drawn with them."""

    number: int
    rng: random.Random
    drawn: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, seed: int, number: int) -> Case:
        """The case is the same whatever ran before it."""
        return cls(number, random.Random(seed << 32 | number))

    def chance(self, share: float, what: str) -> bool:
        """True in ``share`` of the cases, which are then counted as ``what``."""
        hit = self.rng.random() < share
        self.drawn[what] += hit
        return hit


class Reader(ABC):
    """A reader under test."""

    name: ClassVar[str]
    batch: ClassVar[int] = 1  # cases that may be read as one input

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch  # the only place a refusal may name
        self.warm_up()

    @abstractmethod
    def warm_up(self) -> None:
        """Reads the whole inputs, which must be decoded; compiles what is compiled."""

    @abstractmethod
    def make(self, case: Case) -> Any:
        """The broken input."""

    @abstractmethod
    def read(self, case: Case, made: Any) -> None:
        """Reads it to the end; lets the reader's exception through, or raises AssertionError for a wrong result."""

    def read_together(self, cases: Sequence[Case], made: Sequence[Any]) -> list[bool] | None:
        """Reads inputs that may follow each other as one; which were decoded. None: they have to be read one by one."""
        return None

    def input_bytes(self, made: Any, file: Path) -> int | None:
        """Size of the input that offsets in ``file`` count in; None where they count unpacked bytes."""
        return None


@dataclass(slots=True)
class Tally:
    """How a range of cases ended."""

    cases: int = 0
    decoded: int = 0
    refused: int = 0
    drawn: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)  # seconds of processor time, case
    peak_bytes: int = 0  # over what the process had before
    cpu_seconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Joins the result of another range."""
        self.cases, self.decoded = self.cases + other.cases, self.decoded + other.decoded
        self.refused, self.cpu_seconds = self.refused + other.refused, self.cpu_seconds + other.cpu_seconds
        self.drawn += other.drawn
        self.violations += other.violations
        self.slowest = max(self.slowest, other.slowest)
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)


def run_cases(reader: Reader, numbers: Sequence[int], seed: int, progress: Path | None = None) -> Tally:
    """Runs the cases.

    Args:
        reader: warm.
        numbers: of the cases.
        seed: with it, a number names a case.
        progress: holds the number that is being run, for when the process dies of it.
    """
    tally = Tally()
    before = _peak_bytes()
    signal.signal(signal.SIGPROF, _too_slow)
    faulthandler.dump_traceback_later(_DEADLOCK_SECONDS, exit=True)
    for at in range(0, len(numbers), reader.batch):
        group = numbers[at : at + reader.batch]
        if progress is not None:
            progress.write_text(str(group[0]))
        _run_group(reader, group, seed, tally)
        grown = _peak_bytes() - before
        if grown > max(MEMORY_BYTES, tally.peak_bytes):
            tally.violations.append(f"{reader.name} --only {group[0]}: memory grew by {grown >> 20} MiB")
        tally.peak_bytes = max(tally.peak_bytes, grown)
    faulthandler.cancel_dump_traceback_later()
    return tally


def _run_group(reader: Reader, group: Sequence[int], seed: int, tally: Tally) -> None:
    """Together where that is possible and nothing is wrong; else one by one, to name the case."""
    start = time.process_time()
    found = None
    cases = [Case.of(seed, number) for number in group]
    if len(group) > 1:
        with contextlib.suppress(Exception), _limits():
            found = reader.read_together(cases, [reader.make(case) for case in cases])
    if found is not None:
        tally.decoded += sum(found)
        tally.refused += len(found) - sum(found)
        for case in cases:
            tally.drawn += case.drawn
        _clock(tally, start, group[0])
    else:
        for number in group:
            start = time.process_time()
            _run_one(reader, Case.of(seed, number), tally)
            _clock(tally, start, number)
    tally.cases += len(group)


def _clock(tally: Tally, start: float, number: int) -> None:
    took = time.process_time() - start
    tally.cpu_seconds += took
    tally.slowest = max(tally.slowest, (took, number))


def _run_one(reader: Reader, case: Case, tally: Tally) -> None:
    made = None
    try:
        with _limits():
            made = reader.make(case)
            try:
                reader.read(case, made)
                tally.decoded += 1
            except _REFUSALS as error:
                tally.refused += 1
                check_refusal(error, reader, made)
    except (Exception, SuiteError) as error:
        at = error.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        where = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at else "?"
        tally.violations.append(
            f"{reader.name} --only {case.number}: {error!r:.300} in {where}; drawn {dict(case.drawn)}"
        )
    tally.drawn += case.drawn


def check_refusal(error: SuiteError, reader: Reader, made: Any) -> None:
    """A refusal says which file, where in it, and what to do next.

    Raises:
        AssertionError: it does not.
    """
    text = str(error)
    assert text.rstrip().endswith((".", ")")) or "; " in text, f"no next step: {text}"
    if not isinstance(error, TraceError):
        assert isinstance(error, EvidenceError) or str(reader.scratch) in text, f"the file is not named: {text}"
        return
    assert str(error.file).startswith(str(reader.scratch)), f"not the file that was read: {text}"
    assert text.startswith(str(error.file)), f"the file is not named: {text}"
    assert "expected " in text, f"it does not say what was expected: {text}"
    if error.offset is not None:
        assert error.offset >= 0, text
        assert f" at byte {error.offset}:" in text, text
        size = reader.input_bytes(made, error.file)
        assert size is None or error.offset <= size, f"an offset outside the {size} bytes of the file: {text}"


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    signal.setitimer(signal.ITIMER_PROF, CASE_SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"more than {CASE_SECONDS} s of processor time")


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
