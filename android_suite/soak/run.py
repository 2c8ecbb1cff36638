"""Counts on a device until a time: a checkpoint a minute, across lost connections, reboots and deaths of the suite.

The device counts by itself; this loop only reads. What it needs to go on is in the soak's folder and on the device, so
killing it loses nothing but the host's own last minute of names.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from android_suite.device.device import Device
from android_suite.errors import AdbError, LabError, UsageError
from android_suite.model.soak import Checkpoint, Edge, SoakTable, SoakThread
from android_suite.soak.counters import (
    Mark,
    Reading,
    Refused,
    install,
    read_counters,
    read_mark,
    read_process_names,
    read_ring,
    read_soak_facts,
    read_threads,
    remove,
)
from android_suite.soak.plan import SoakFacts, SoakPlan, plan_soak
from android_suite.store.soak import SoakWriter, read_checkpoints

MAX_OUTLIERS: Final = 100
_RETRY_S: Final = 5.0
Say = Callable[[str], None]
Connect = Callable[[], Device]
Row = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakOptions:
    """What is counted. ``entries``: threads that each table can hold, a power of two."""

    entries: int = 16384
    outlier_ms: float | None = 50.0
    by_probe: bool = False


def plan_for(device: Device, options: SoakOptions, *, refused: frozenset[str] = frozenset()) -> SoakPlan:
    """The plan for a device, as far as its facts tell."""
    return _plan(read_soak_facts(device), options, refused)


def _plan(facts: SoakFacts, options: SoakOptions, refused: frozenset[str]) -> SoakPlan:
    return plan_soak(
        facts,
        entries=options.entries,
        outliers=options.outlier_ms is not None,
        refused=refused,
        by_probe=options.by_probe,
    )


def install_possible(device: Device, options: SoakOptions, soak: str, say: Say) -> tuple[SoakPlan, Mark]:
    """Installs what the kernel allows; what it refuses is left out and listed as missing.

    Raises:
        LabError: the device has the counters of another soak.
    """
    refuse_other(device, soak)
    facts = read_soak_facts(device)
    refused: frozenset[str] = frozenset()
    limit_ns = None if options.outlier_ms is None else round(options.outlier_ms * 1e6)
    while True:
        plan = _plan(facts, options, refused)
        try:
            return plan, install(device, plan, soak=soak, limit_ns=limit_ns)
        except Refused as error:
            if not error.group or error.group in refused:
                raise
            say(f"{error} Counting goes on without it.")
            refused |= {error.group}


def refuse_other(device: Device, soak: str) -> None:
    """Refuses a device on which another soak counts in this boot.

    Raises:
        LabError: it has a mark of another soak.
    """
    mark = read_mark(device)
    if mark is not None and mark.soak != soak and mark.boot == device.boot_id():
        raise LabError(
            f"{device.serial}: soak {mark.soak} counts there; go on with it by `soak --resume FOLDER`, or remove its "
            "counters by `android-suite soak clean`."
        )


@dataclass(slots=True)
class _State:
    """What the next checkpoint is compared with: bounded by the device's tables."""

    n: int = 0
    segment: int = -1
    mark: Mark | None = None
    rows: dict[str, dict[tuple[int, int], Row]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    threads: dict[int, SoakThread] = field(default_factory=dict)
    outliers: int = 0


class Soak:
    """One soak, while this process follows it."""

    def __init__(
        self,
        writer: SoakWriter,
        options: SoakOptions,
        connect: Connect,
        say: Say,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._writer, self._options, self._connect, self._say, self._sleep = writer, options, connect, say, sleep
        self._state = _State()
        self._plan: SoakPlan | None = None
        self._device: Device | None = None

    def resume_state(self) -> None:
        """Takes up what the folder's checkpoints say."""
        state = self._state
        for line in read_checkpoints(self._writer.folder):
            if line.segment != state.segment:
                state.rows, state.dropped, state.threads = {}, {}, {}
            state.n, state.segment = line.n + 1, line.segment
            state.mark = Mark(self._writer.manifest.id, line.boot, line.install)
            state.outliers += bool(line.outlier)
            for name, table in line.tables.items():
                state.dropped[name] = table.dropped
                rows = state.rows.setdefault(name, {})
                rows |= {(tid, bucket): (count, total, most) for tid, bucket, count, total, most in table.rows}
            state.threads |= {thread.tid: thread for thread in line.threads}

    def run(self, device: Device, plan: SoakPlan, mark: Mark) -> None:
        """Counts until the manifest's time is over, then reads a last time and removes the counters.

        Args:
            device: the device, on which ``mark`` is installed.
            plan: what is installed.
            mark: the installation.

        Raises:
            LabError: the folder cannot be written.
        """
        self._device, self._plan = device, plan
        resumed = self._state.mark is not None
        self._enter(mark)
        self._checkpoint("resume" if resumed else "begin")
        until_s = self._writer.manifest.until_unix_ns / 1e9
        interval_s = self._writer.manifest.interval_s
        while (left_s := until_s - time.time()) > 0:
            self._sleep(min(interval_s, left_s))
            if time.time() < until_s:
                self._follow("minute")
        self._follow("end")
        assert self._device is not None
        remove(self._device, self._plan.tracefs)
        self._writer.update(replace(self._writer.manifest, finished=True))

    def end_early(self) -> None:
        """After an interruption by the user: a last checkpoint, and the counters are removed."""
        if self._device is None or self._plan is None:
            return
        self._checkpoint("end", notes=("ended by the user",))
        remove(self._device, self._plan.tracefs)
        self._writer.update(replace(self._writer.manifest, finished=True))

    def _enter(self, mark: Mark) -> None:
        state = self._state
        if state.mark is None or (state.mark.boot, state.mark.install) != (mark.boot, mark.install):
            state.segment += 1
            state.rows, state.dropped, state.threads = {}, {}, {}
        state.mark = mark

    def _follow(self, edge: Edge) -> None:
        """A checkpoint; while the device is away, waits for it, at the end at most for one interval."""
        lost_at: float | None = None
        while True:
            try:
                if self._device is None:
                    self._reconnect()
                self._checkpoint(edge)
                if lost_at is not None:
                    self._say(f"the device is back after {time.time() - lost_at:.0f} s")
                return
            except UsageError:
                raise
            except LabError as error:
                if isinstance(error, Refused) or "cannot append" in str(error):
                    raise
                self._device = None
                if lost_at is None:
                    lost_at = time.time()
                    self._say(f"{error} Waiting for the device; it goes on counting unless it restarts.")
                waited = time.time() - lost_at
                if time.time() >= self._writer.manifest.until_unix_ns / 1e9 and waited > max(
                    60.0, self._writer.manifest.interval_s
                ):
                    raise
                self._sleep(_RETRY_S)

    def _reconnect(self) -> None:
        device = self._connect()
        device.boot_id()
        self._device = device

    def _checkpoint(self, edge: Edge, *, notes: tuple[str, ...] = ()) -> None:
        assert self._device is not None
        assert self._plan is not None
        state, device = self._state, self._device
        reading = read_counters(device, self._plan)
        assert state.mark is not None
        if not reading.boot:
            raise AdbError(f"{device.serial} does not give its boot id.", serial=device.serial)
        if reading.boot != state.mark.boot or reading.missing:
            why = "the device restarted" if reading.boot != state.mark.boot else "the counters were removed by someone"
            self._say(f"{why}: counting begins anew, as segment {state.segment + 1}")
            self._plan, mark = install_possible(device, self._options, self._writer.manifest.id, self._say)
            self._enter(mark)
            notes = (*notes, why)
            reading = read_counters(device, self._plan)
        outlier = self._take_outlier(reading)
        tables, changed = self._changes(reading)
        threads = self._identify(changed, reading)
        assert state.mark is not None
        self._writer.append(
            Checkpoint(
                n=state.n,
                edge=edge,
                boot=state.mark.boot,
                install=state.mark.install,
                segment=state.segment,
                at_unix_ns=time.time_ns(),
                uptime_ns=reading.uptime_ns,
                tables=tables,
                threads=threads,
                system={**reading.system, "suite_rss_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss},
                outlier=outlier,
                notes=notes,
            )
        )
        # only now: what could not be written is written with the next checkpoint
        state.n += 1
        for name, table in reading.tables.items():
            state.rows[name] = dict(table.rows)
            state.dropped[name] = table.dropped
        state.threads |= {thread.tid: thread for thread in threads}

    def _changes(self, reading: Reading) -> tuple[Mapping[str, SoakTable], dict[int, str]]:
        """The rows that changed, and the threads in them with the comm that the kernel noted, if any."""
        tables: dict[str, SoakTable] = {}
        changed: dict[int, str] = {}
        for name, table in reading.tables.items():
            before = self._state.rows.get(name, {})
            rows = [(key, row) for key, row in table.rows.items() if before.get(key) != row]
            for (tid, _), _row in rows:
                changed.setdefault(tid, "")
                changed[tid] = table.comms.get(tid) or changed[tid]
            if rows or table.dropped != self._state.dropped.get(name, 0):
                tables[name] = SoakTable(
                    rows=tuple((tid, bucket, *row) for (tid, bucket), row in sorted(rows)), dropped=table.dropped
                )
        return tables, changed

    def _identify(self, changed: Mapping[int, str], reading: Reading) -> tuple[SoakThread, ...]:
        """Who the changed threads are, as far as that is new. A thread that ended keeps what is known of it."""
        assert self._device is not None
        known = self._state.threads
        living = read_threads(self._device, sorted(changed)) if changed else {}
        names = {thread.tgid: thread.process for thread in known.values() if thread.process}
        fresh = {
            tgid
            for tid, (tgid, start, comm) in living.items()
            if tid not in known or known[tid].start != start or not known[tid].process or known[tid].comm != comm
        }
        told = read_process_names(self._device, sorted(fresh)) if fresh else {}
        found = []
        for tid, comm in changed.items():
            if tid in living:
                tgid, start, now = living[tid]
                process = told.get(tgid) or names.get(tgid, "")
                thread = SoakThread(tid=tid, tgid=tgid, start=start, comm=now, process=process)
            elif tid in known and (known[tid].comm or not comm):
                continue  # it ended: what is known of it stays
            else:
                thread = replace(known.get(tid) or SoakThread(tid=tid), comm=comm)
            if known.get(tid) != thread:
                found.append(thread)
        return tuple(found)

    def _take_outlier(self, reading: Reading) -> str:
        assert self._device is not None
        assert self._plan is not None
        if not reading.stopped:
            return ""
        text = read_ring(self._device, self._plan)
        if self._state.outliers >= MAX_OUTLIERS:
            return ""
        self._state.outliers += 1
        name = f"{self._state.n:06d}.txt"
        self._writer.write_outlier(name, text)
        return name


def adopt(device: Device, manifest_id: str, options: SoakOptions, say: Say) -> tuple[SoakPlan, Mark]:
    """Finds the counters of a soak on the device, or installs them anew if it restarted or someone removed them.

    Raises:
        LabError: another soak counts there.
    """
    mark = read_mark(device)
    if mark is not None and mark.soak == manifest_id and mark.boot == device.boot_id():
        facts = read_soak_facts(device)
        for refused in (frozenset[str](), frozenset({"vma"}), frozenset({"vma", "waits"})):
            plan = _plan(facts, options, refused)
            if not read_counters(device, plan).missing:
                say("the counters are still there; counting went on meanwhile")
                return plan, mark
    say("the device restarted, or its counters were removed: counting begins anew")
    return install_possible(device, options, manifest_id, say)


def clean(device: Device) -> None:
    """Removes the counters of any soak."""
    facts = read_soak_facts(device)
    remove(device, facts.tracefs or "")
