"""Collects the threads that ran in a trace of ring-buffer pages, and their names in its events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from android_suite.trace.core import gather
from android_suite.trace.core.event_format import Field
from android_suite.trace.core.scratch import Scratch
from android_suite.trace.core.string_columns import decode_text
from android_suite.trace.ring.batches import Batch
from android_suite.trace.ring.event_plan import EventPlan

Array = npt.NDArray[Any]

_CACHE_SLOTS = 1 << 15


class ThreadNames:
    """Collects thread ids and comms over batches. Only new threads and names cost more than a few ns per event.

    Args:
        plans: the plan of each kind of event, from kind 1 on; kind 0 names no thread.
    """

    def __init__(self, plans: Sequence[EventPlan]) -> None:
        self._seen_cache: Array = np.full(_CACHE_SLOTS, -(1 << 40), np.int64)
        self._name_tid: Array = np.full(_CACHE_SLOTS, -(1 << 40), np.int64)
        self._name_words: Array = np.zeros((_CACHE_SLOTS, 4), np.uint32)
        self._tid_word: Array = np.array([-1, *(plan.tid.offset // 4 for plan in plans)], np.int64)
        self._pairs = [pair for plan in plans for pair in plan.names]
        self._first_pair: Array = np.cumsum([0, 0, *(len(plan.names) for plan in plans)])
        self._pair_words: Array = np.array([_pair_words(*p) for p in self._pairs], np.int64).reshape(-1, 3)
        self._most_pairs = max((len(plan.names) for plan in plans), default=0)
        self._scratch = Scratch()
        self.tids: set[int] = set()
        self.comms: dict[int, str] = {}

    def note(self, batch: Batch) -> None:
        """Notes the threads that ran and their names; every record must be as long as its plan requires."""
        most = batch.ts.size * self._most_pairs
        tids = self._scratch.take("tids", batch.ts.size, np.int64)
        events, pairs = self._scratch.take("events", most, np.int32), self._scratch.take("pairs", most, np.int32)
        threads, n = gather.note_threads(
            batch.words, batch.where, batch.kind, self._tid_word, self._seen_cache, tids, self._first_pair,
            self._pair_words, self._name_tid, self._name_words, events, pairs,
        )  # fmt: skip
        if threads:
            self.tids.update(np.unique(tids[:threads]).tolist())
        if n:
            self._hear(batch, events[:n], pairs[:n])

    def _hear(self, batch: Batch, events: Array, pairs: Array) -> None:
        """Keeps the last name that a batch gives to each thread."""
        said: list[tuple[int, int, int, str]] = []
        for pair in np.unique(pairs).tolist():
            who, called = self._pairs[pair]
            chosen = events[pairs == pair]
            tid = np.empty(chosen.size, np.int64)
            gather.gather_field(batch.words, batch.where[chosen], who.offset, who.size, True, batch.big, tid)
            # Of many names of one thread only the last counts.
            last = np.unique(tid[::-1], return_index=True)[1]
            chosen, tid = chosen[::-1][last], tid[::-1][last]
            texts = decode_text(batch.words, batch.where[chosen], batch.size[chosen], batch.big, called)
            said.extend(
                (event, pair, t, text)
                for event, t, text in zip(chosen.tolist(), tid.tolist(), texts.to_pylist(), strict=True)
            )
        for _, _, spoken_of, comm in sorted(said):
            if comm and comm != "<...>":
                self.comms[spoken_of] = comm


def _pair_words(who: Field, called: Field) -> tuple[int, int, int]:
    """A pair in the form that ``note_threads`` takes."""
    compared = (
        who.size == 4 and who.offset % 4 == 0 and called.location == "here"
        and called.offset % 4 == 0 and called.size % 4 == 0 and 0 < called.size <= 16
    )  # fmt: skip
    return who.offset // 4, called.offset // 4, called.size // 4 if compared else 0
