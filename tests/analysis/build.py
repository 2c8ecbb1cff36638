"""Small traces, written event by event."""

from __future__ import annotations

from collections.abc import Iterable

from android_suite.tables import events
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace, TraceSource, fill_missing

APP, GC, BINDER = 100, 101, 102
MM, OTHER_MM = 0xFFFF_8000_0000_1000, 0xFFFF_8000_0000_2000
_TABLES = {t.name: t for t in events.EVENT_TABLES}


class TraceBuilder:
    """Collects events in the order they are told; ``trace`` makes the tables."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[object, ...]]] = {"threads": [], "lost": [], "frame_timeline": []}
        self.times: list[int] = []
        for tid, comm in ((APP, "com.example"), (GC, "HeapTaskDaemon"), (BINDER, "Binder:1")):
            self.thread(tid, APP, comm, "com.example")

    def _add(self, table: str, ts: int, cpu: int, *values: object) -> TraceBuilder:
        self.rows.setdefault(table, []).append((len(self.times), ts, cpu, *values))
        self.times.append(ts)
        return self

    def thread(self, tid: int, tgid: int, comm: str, process: str = "") -> TraceBuilder:
        self.rows["threads"].append((tid, tgid, comm, process))
        return self

    def lose(self, cpu: int, from_ns: int, to_ns: int) -> TraceBuilder:
        self.rows["lost"].append((cpu, from_ns, to_ns, -1))
        return self

    def switch(
        self, ts: int, prev: int, state: str, new: int, *, prio: tuple[int, int] = (120, 120), cpu: int = 0
    ) -> TraceBuilder:
        return self._add("sched_switch", ts, cpu, prev, prio[0], events.TASK_STATES.index(state), new, prio[1])

    def wake(
        self, ts: int, tid: int, *, prio: int = 120, cpu: int = 0, kind: str = "sched_waking", waker: int = 0
    ) -> TraceBuilder:
        return self._add("sched_wake", ts, cpu, waker, events.WAKE_KINDS.index(kind), tid, prio, cpu)

    def boost(self, ts: int, tid: int, old: int, new: int) -> TraceBuilder:
        return self._add("pi_setprio", ts, 0, 0, tid, old, new)

    def lock(
        self, ts: int, tid: int, kind: str, mm: int = MM, *, write: bool = False, success: bool = True, cpu: int = 0
    ) -> TraceBuilder:
        names = {"start": 0, "acquired": 1, "released": 2}
        return self._add("mmap_lock", ts, cpu, tid, names[kind], mm, write, success)

    def hold(self, begin: int, end: int, tid: int, mm: int = MM, *, write: bool = False, wait: int = 1) -> TraceBuilder:
        """A whole cycle; later events must be told after it."""
        self.lock(begin - wait, tid, "start", mm, write=write)
        return self.lock(begin, tid, "acquired", mm, write=write).lock(end, tid, "released", mm, write=write)

    def enter(self, ts: int, tid: int, call: str, *args: int, cpu: int = 0, nr: int = -1) -> TraceBuilder:
        padded = (*args, *([0] * (6 - len(args))))
        return self._add("syscall", ts, cpu, tid, 0, events.SYSCALLS.index(call), nr, *padded, 0)

    def leave(self, ts: int, tid: int, call: str, ret: int = 0, *, cpu: int = 0) -> TraceBuilder:
        return self._add("syscall", ts, cpu, tid, 1, events.SYSCALLS.index(call), -1, *([0] * 6), ret)

    def fault(self, ts: int, tid: int, *, cpu: int = 0) -> TraceBuilder:
        return self._add("page_fault", ts, cpu, tid, 0x7000, 0x4000, 6)

    def probe(self, ts: int, tid: int, kind: str) -> TraceBuilder:
        return self._add("vma_start_write", ts, 0, tid, events.VMA_START_WRITE_KINDS.index(kind))

    def contend(self, ts: int, tid: int, addr: int, flags: int | None, ret: int = 0) -> TraceBuilder:
        kind = 1 if flags is None else 0
        return self._add("contention", ts, 0, tid, kind, addr, flags or 0, ret)

    def release(self, ts: int, tid: int, addr: int) -> TraceBuilder:
        return self._add("contended_release", ts, 0, tid, addr)

    def send(
        self, ts: int, tid: int, number: int, tgid: int, *, to: int = 0, reply: bool = False, one_way: bool = False
    ) -> TraceBuilder:
        return self._add("binder", ts, 0, tid, 0, number, tgid, to, reply, 0x10 | one_way)

    def receive(self, ts: int, tid: int, number: int) -> TraceBuilder:
        return self._add("binder", ts, 0, tid, 1, number, 0, 0, False, 0)

    def mark(self, ts: int, tid: int, text: str) -> TraceBuilder:
        return self._add("marker", ts, 0, tid, text)

    def reason(self, ts: int, tid: int, caller: str, *, io: bool = False) -> TraceBuilder:
        return self._add("blocked_reason", ts, 0, 0, tid, io, caller)

    def born(self, ts: int, tid: int, parent: int) -> TraceBuilder:
        return self._add("task", ts, 0, parent, events.TASK_KINDS.index("newtask"), tid, True, "new")

    def frame(
        self, token: int, expected: tuple[int, int], actual: tuple[int, int], jank: str, layer: str = "L"
    ) -> TraceBuilder:
        row = (token, token, APP, layer, *expected, *actual, "On-time", jank, jank == "None", False, "Valid", "None")
        self.rows["frame_timeline"].append(row)
        return self

    def trace(
        self,
        *,
        enabled: Iterable[str] | None = None,
        start: int | None = None,
        end: int | None = None,
        clock: str = "mono",
    ) -> Trace:
        """In order of time; what is told first goes first where times are equal."""
        order = sorted(range(len(self.times)), key=lambda i: self.times[i])
        place = {old: new for new, old in enumerate(order)}
        frames = {}
        for name, rows in self.rows.items():
            if name not in ("threads", "thread_lists", "lost", "frame_timeline"):
                rows = sorted((place[int(str(r[0]))], *r[1:]) for r in rows)
            if rows:
                columns = zip(_TABLES[name].dtypes, map(list, zip(*rows, strict=True)), strict=True)
                frames[name] = make_frame(_TABLES[name], dict(columns))
        source = TraceSource(
            format="test", path="", events=len(self.times), lost_events=len(self.rows["lost"]), clock=clock,
            start_ns=min(self.times, default=0) if start is None else start,
            end_ns=max(self.times, default=0) if end is None else end, cpus=2,
            enabled_events=None if enabled is None else frozenset(enabled),
        )  # fmt: skip
        return Trace(source=source, tables=fill_missing(frames))
