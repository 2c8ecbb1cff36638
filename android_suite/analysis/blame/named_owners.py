"""Whether the owner that ART names kept its lock until the sleeper was woken.

ART names the owner of the moment at which a thread begins to wait. What happens to the lock during the sleep it does not say,
but whoever lets go of it wakes a sleeper: a sleep that the named owner ends was due to it from beginning to end. A sleep that
somebody else ends may have had several owners in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from android_suite.analysis.jit import I8, I32, I64
from android_suite.tables.derived import WHO_EVIDENCE

_TOLD, _INFERRED, _UNTOLD = (WHO_EVIDENCE.index(name) for name in ("exact", "inferred", "unknown"))


@dataclass(frozen=True, slots=True)
class NamedOwners:
    """Whom ART names during each wait: disjoint pieces, by wait and time.

    A thread that is woken, finds the lock taken again and sleeps again names the owner anew.

    Attributes:
        row: of MONITOR_WAITS.
        start_ns, end_ns: from when until when.
        holder: thread; -1 unknown.
        evidence: index into WHO_EVIDENCE: how it is known who was named.
    """

    row: I64
    start_ns: I64
    end_ns: I64
    holder: I32
    evidence: I8

    @classmethod
    def none(cls) -> Self:
        """No waits at all."""
        nothing = np.empty(0, np.int64)
        return cls(nothing, nothing, nothing, np.empty(0, np.int32), np.empty(0, np.int8))

    def pick(self, rows: np.ndarray) -> NamedOwners:
        """Some of them: by mask or by number."""
        return NamedOwners(*(getattr(self, name)[rows] for name in self.__slots__))


def judge_sleeps(piece: I64, waker: I32, named: NamedOwners) -> tuple[I32, I8]:
    """For whom a thread slept, and how that is known.

    Args:
        piece: of each sleep, ascending: position in ``named``; the sleeps of a piece by time.
        waker: who ended each sleep; -1 not known.
        named: the pieces.

    Returns:
        Thread and evidence of each sleep. Up to the sleep that the named owner ended they are the named ones; without
        such a sleep they are at best inferred. Behind it, whoever ends a sleep is taken for the owner.
    """
    holder, evidence = named.holder[piece], named.evidence[piece]
    number = np.arange(len(piece))
    ended = np.flatnonzero((waker == holder) & (holder >= 0))
    last = np.full(len(named.row), len(piece))
    last[piece[ended][::-1]] = ended[::-1]  # the first one of each piece
    unsure = last[piece] == len(piece)
    evidence = np.where(unsure & (evidence == _TOLD), _INFERRED, evidence)
    later = ~unsure & (number > last[piece])
    holder = np.where(later, np.where(waker > 0, waker, -1), holder)
    evidence = np.where(later, np.where(waker > 0, _INFERRED, _UNTOLD), evidence)
    return holder.astype(np.int32), evidence.astype(np.int8)
