"""Which threads a trace knows, what they are called and to which process they belong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from android_suite.tables.events import THREADS
from android_suite.tables.schema import make_frame
from android_suite.trace import gather
from android_suite.trace.event_format import Field
from android_suite.trace.text_column import decode_text

Array = npt.NDArray[Any]

_CACHE_SLOTS = 1 << 15
IDLE_COMM = "swapper"


class ThreadNames:
    """Collects thread ids and comms over batches; only a thread's changes cost more than a few ns."""

    def __init__(self) -> None:
        self._seen_cache: Array = np.full(_CACHE_SLOTS, -(1 << 40), np.int64)
        self._name_tid: Array = np.full(_CACHE_SLOTS, -(1 << 40), np.int64)
        self._name_words: Array = np.zeros((_CACHE_SLOTS, 4), np.uint32)
        self.tids: set[int] = set()
        self.comms: dict[int, str] = {}
        self._heard: list[tuple[Array, Array, Any]] = []

    def saw(self, tid: Array) -> None:
        """Notes that these threads (int64) ran."""
        out = np.empty(tid.size, np.int64)
        n = gather.new_tids(tid, self._seen_cache, out)
        if n:
            self.tids.update(np.unique(out[:n]).tolist())

    def heard(self, seq: Array, tid: Array, words: Array, where: Array, size: Array, big: bool, name: Field) -> None:
        """Notes what events call these threads."""
        rows = np.empty(tid.size, np.int64)
        if name.location == "here" and name.size % 4 == 0 and name.offset % 4 == 0 and name.size <= 16:
            n = gather.changed_names(
                tid, words, where, name.offset, name.size // 4, self._name_tid, self._name_words, rows
            )
        else:
            rows[:], n = np.arange(tid.size), tid.size
        # Of many changes of one thread only the last counts.
        last = np.unique(tid[rows[:n]][::-1], return_index=True)[1]
        rows = rows[:n][::-1][last]
        if rows.size:
            texts = decode_text(words, where[rows], size[rows], big, name)
            self._heard.append((seq[rows], tid[rows], texts))

    def end_batch(self) -> None:
        """Settles what was heard in a batch: for each thread the latest name holds."""
        if not self._heard:
            return
        said = [item for seqs, tids, texts in self._heard for item in zip(seqs, tids, texts.to_pylist(), strict=True)]
        self._heard.clear()
        for _, tid, comm in sorted(said, key=lambda item: int(item[0])):
            if comm and comm != "<...>":
                self.comms[int(tid)] = comm


def make_threads(
    *,
    seen: set[int],
    event_comms: Mapping[int, str],
    proc_comms: Mapping[int, str],
    saved_comms: Mapping[int, str],
    tgids: Mapping[int, int],
    processes: Mapping[int, str],
) -> pd.DataFrame:
    """The THREADS table from every source, the most trusted name first: events, /proc, saved_cmdlines."""
    int32 = range(-(1 << 31), 1 << 31)
    tids = sorted(t for t in {*seen, *event_comms, *proc_comms, *saved_comms, *tgids} if t in int32)
    comm = {t: event_comms.get(t) or proc_comms.get(t) or saved_comms.get(t) or "" for t in tids}
    if 0 in comm:
        comm[0] = IDLE_COMM
    group = {t: 0 if t == 0 else tgids.get(t, -1) for t in tids}
    return make_frame(
        THREADS,
        {
            "tid": np.array(tids, np.int32),
            "tgid": np.array([group[t] for t in tids], np.int32),
            "comm": [comm[t] for t in tids],
            "process": [processes.get(group[t]) or comm.get(group[t], "") for t in tids],
        },
    )
