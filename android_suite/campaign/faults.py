"""The policy for failures of the test setup: whose fault, what is tried again, how often, after which pause.

docs/faults.md is the same in words. A fault of the tested kernel is no failure: it is recorded in the run.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from android_suite.errors import AdbError, DeviceLost, LabError, NotReady, SuiteError, Unsupported
from android_suite.model.journal import Fault


def blame(error: SuiteError) -> Fault:
    """Whose fault a failed attempt was. The kernel's faults are results, not failures."""
    if isinstance(error, DeviceLost | NotReady | AdbError | Unsupported):
        return "device"
    return "lab" if isinstance(error, LabError) else "suite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How often what is tried again.

    Attributes:
        pauses_s: mean pause before the second and each further attempt at a job.
        jitter: a pause is drawn evenly from its mean times (1 - jitter) to (1 + jitter), so that jobs that failed
            together do not come back together.
        no_worker_s: how long no worker may take a job before the campaign ends.
        no_scheduler_s: how long a scheduler that went away may take to come back.
        failures_to_quarantine: so many failures of one device in a row, whatever the job, and it gets no more.
    """

    pauses_s: tuple[float, ...] = (3.0, 15.0)
    jitter: float = 0.5
    no_worker_s: float = 300.0
    no_scheduler_s: float = 120.0
    failures_to_quarantine: int = 3

    def pause_s(self, error: SuiteError, attempt: int, draw: float) -> float | None:
        """Seconds until the next attempt; None: there is none.

        Args:
            error: why the last one failed.
            attempt: its number, from 1.
            draw: evenly distributed in 0..1.
        """
        # A device that does not boot takes its full timeout each time.
        most = min(1, len(self.pauses_s)) if isinstance(error, NotReady) else len(self.pauses_s)
        if not isinstance(error, LabError) or attempt > most:
            return None
        return self.pauses_s[attempt - 1] * (1 + self.jitter * (2 * draw - 1))


@dataclass(slots=True)
class Breaker:
    """A circuit breaker for one device: opens after failures in a row that were its own fault, not the lab's."""

    limit: int
    _reasons: list[str] = field(default_factory=list)

    def succeed(self) -> None:
        """A job ended well."""
        self._reasons.clear()

    def fail(self, error: SuiteError) -> str | None:
        """Counts a failure; returns the reason if the device is to be put into quarantine now."""
        if blame(error) == "device":
            self._reasons.append(str(error))
        if len(self._reasons) < self.limit:
            return None
        return f"{len(self._reasons)} failures in a row, the last: {self._reasons[-1]}"
