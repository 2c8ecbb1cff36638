"""What a trace in a given form is asked for, and the parts of its analysis that belong to each world."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from android_suite.analysis.map_snapshots import MapSnapshot
from android_suite.analysis.pipeline import Analysis, Evidence, analyze_trace
from android_suite.tables.trace import Trace
from tests.simulator.layout import Row, list_threads
from tests.simulator.memory import snapshot_maps
from tests.simulator.recording import Recording, operation_as_recorded
from tests.simulator.world import World


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The form of a trace, and how much of the truth it can tell.

    Attributes:
        recording: the form.
        every_call: a lock outside all recorded calls is known to be taken outside any call.
        counts: what was compared so far.
    """

    recording: Recording
    every_call: bool
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, recording: Recording, rows: Sequence[Row], counts: Counter[str]) -> Asked:
        return cls(recording=recording, every_call=recording.sees_every_call(rows), counts=counts)

    def operations(self, true: str, *, whole: bool) -> set[str]:
        """Names that may be given to what took a lock."""
        told = operation_as_recorded(true, self.recording, every_call=self.every_call)
        names = {told}
        if told == "untraced" and self.recording.faults:
            names.add("fault")  # a fault that took no lock, then a call that is not recorded: nothing tells them apart
        if not whole:
            # Of a call that began before the trace only the name is known, and in text perhaps only its number.
            names |= {told.split("(")[0], "unknown", "untraced"}
        return names

    def reasons(self, true: str, *, whole: bool) -> set[str]:
        """Reasons that may be given for the way of a madvise call."""
        sure = whole and self.recording.maps and self.recording.tells_tgids
        return {true} if sure or not true else {true, "unknown"}


class Mine:
    """The part of an analysis that belongs to one world: rows as tuples, with their row numbers."""

    def __init__(self) -> None:
        self.waits: dict[int, tuple[int, ...]] = {}
        self.holds: dict[int, tuple[int, ...]] = {}
        self.vma_waits: dict[int, dict[str, Any]] = {}
        self.blockers: list[dict[str, object]] = []
        self.inversions: list[dict[str, object]] = []
        self.madvise: list[dict[str, object]] = []


def analyze_worlds(worlds: Sequence[World], trace: Trace, asked: Asked) -> tuple[Analysis, list[Mine]]:
    """The analysis, whole and by world."""
    processes = sorted(set(list_threads(worlds)["tgid"])) if asked.recording.maps else []
    maps = [MapSnapshot(tgid=tgid, vmas=snapshot_maps()) for tgid in processes]
    analysis = analyze_trace(trace, evidence=Evidence(maps=maps))
    out = [Mine() for _ in worlds]
    for name in ("waits", "holds"):
        table = analysis[f"lock_{name}"]
        last = "outcome" if name == "waits" else "how"
        extra = "start_seq" if name == "waits" else "downgrade_ns"
        columns = ("tid", "mm", "write", "start_ns", "end_ns", last, "quality", extra)
        for row, values in enumerate(zip(*(table[c].tolist() for c in columns), strict=True)):
            getattr(out[values[0] // 1000], name)[row] = values
    for row, values in enumerate(analysis["vma_waits"].to_dict("records")):
        out[values["tid"] // 1000].vma_waits[row] = values
    for values in analysis["lock_blockers"].to_dict("records"):
        out[values["waiter_tid"] // 1000].blockers.append(values)
    ran: defaultdict[int, dict[int, int]] = defaultdict(dict)
    intruders = analysis["intruders"]
    for inversion, tid, ns in zip(*(intruders[c].tolist() for c in intruders.columns), strict=True):
        ran[inversion][tid] = ns
    for row, values in enumerate(analysis["inversions"].to_dict("records")):
        out[values["waiter_tid"] // 1000].inversions.append({**values, "intruders": ran[row]})
    for values in analysis["madvise"].to_dict("records"):
        out[values["tid"] // 1000].madvise.append(values)
    return analysis, out
