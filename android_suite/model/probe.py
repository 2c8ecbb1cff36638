"""``probe``: whether a kernel has the seed patch, by what it does and not by its version; see docs/schema/probe.json.

The patch is "mm/madvise: use per_vma lock for MADV_DONTNEED" (Linux 6.17): such a call takes the lock of its VMA and not
mmap_lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from android_suite.model.analysis import MadviseSummary
from android_suite.model.identity import DeviceIdentity, KernelIdentity

Answer = Literal["yes", "no", "cannot tell"]
CALLS = 400
_MOST = 0.9  # a call can meet a page fault, or a writer of its VMA; most do not
PROGRAM = "madvise_probe"  # its comm


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeEvidence:
    """What the trace of the probe's calls showed. ``made``: calls that the program says it made."""

    made: int = 0
    per_vma: int = 0
    mmap_lock: int = 0
    unknown: int = 0
    lost_events: int | None = None
    events: tuple[str, ...] = ()  # that were enabled

    @property
    def seen(self) -> int:
        """Calls in the trace."""
        return self.per_vma + self.mmap_lock + self.unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The answer, why, and what it is based on."""

    schema: Literal["android-suite/probe"] = "android-suite/probe"
    version: Literal[1] = 1
    seed_patch: Answer
    reason: str
    kernel: KernelIdentity | None
    device: DeviceIdentity | None
    evidence: ProbeEvidence | None

    @property
    def exit_code(self) -> int:
        """0 for yes and no, 3 if it cannot be told."""
        return 3 if self.seed_patch == "cannot tell" else 0


def count_calls(rows: Sequence[MadviseSummary]) -> tuple[int, int, int]:
    """The probe's calls by path: per VMA, mmap_lock, unknown."""
    own = [row for row in rows if row.thread == PROGRAM]
    return sum(row.per_vma for row in own), sum(row.mmap_lock for row in own), sum(row.unknown for row in own)


def judge(evidence: ProbeEvidence) -> tuple[Answer, str]:
    """The answer that the evidence gives, and why."""
    made, enough = evidence.made, evidence.made * _MOST
    if made == 0 or evidence.seen < enough:
        lost = f", and {evidence.lost_events} events were lost" if evidence.lost_events else ""
        return "cannot tell", f"{evidence.seen} of {made} madvise calls are in the trace{lost}"
    if evidence.per_vma >= enough:
        return "yes", f"{evidence.per_vma} of {made} calls of madvise(MADV_DONTNEED) took no mmap_lock"
    if evidence.mmap_lock >= enough:
        return "no", f"{evidence.mmap_lock} of {made} calls of madvise(MADV_DONTNEED) took mmap_lock"
    return "cannot tell", (
        f"of {made} calls of madvise(MADV_DONTNEED) {evidence.per_vma} took no mmap_lock, {evidence.mmap_lock} took it, and "
        f"of {evidence.unknown} it is not known"
    )
