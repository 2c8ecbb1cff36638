"""What the tests of blame share: three processes' threads, and chains as text."""

from __future__ import annotations

from android_suite.analysis.pipeline import Analysis
from android_suite.tables.blame import LINKS
from android_suite.tables.derived import WHO_EVIDENCE
from tests.analysis.build import APP, TraceBuilder

SERVER, WORKER, OTHER = 201, 202, 301
STRONG, WEAK = 110, 130
MUTEX, WRITE = 32, 4
Row = tuple[object, ...]


def build() -> TraceBuilder:
    """The UI thread on CPU 0 with a strong priority, and a server and a worker of another process."""
    b = TraceBuilder().thread(200, 200, "system_server", "system_server").thread(SERVER, 200, "binder:200_1")
    b.thread(WORKER, 200, "android.bg").thread(OTHER, APP, "RenderThread")
    return b.mark(0, APP, "B|100|Choreographer#doFrame 1").mark(0, APP, "E|100")


def runs(b: TraceBuilder, tid: int, cpu: int, start: int, end: int, state: str = "S", prio: int = 120) -> TraceBuilder:
    """The thread on a CPU, which is idle before and after."""
    b.switch(start, 0, "R", tid, prio=(120, prio), cpu=cpu)
    return b.switch(end, tid, state, 0, prio=(prio, 120), cpu=cpu)


def chains(analysis: Analysis) -> list[Row]:
    """Start, end, the chain as kind:holder:evidence, evidence of the whole, and inverted time."""
    links = analysis["blame_links"]
    out = []
    for number, row in enumerate(analysis["blame"].to_dict("records")):
        own = links[links["blame"] == number]
        assert own["position"].tolist() == [*range(row["links"])]
        assert own["tid"].tolist() == [row["waiter_tid"], *own["holder_tid"][:-1]]
        columns = (own[c].tolist() for c in ("kind", "holder_tid", "evidence"))
        path = " ".join(f"{LINKS[k]}:{h}:{WHO_EVIDENCE[e]}" for k, h, e in zip(*columns, strict=True))
        assert row["end_tid"] == own["holder_tid"].iloc[-1]
        told = row["running_ns"] + row["runnable_ns"] + row["blocked_ns"]
        assert told <= row["end_ns"] - row["start_ns"]
        out.append((row["start_ns"], row["end_ns"], path, WHO_EVIDENCE[row["evidence"]], row["inverted_ns"]))
    return out
