"""Compares the chains of blame that the analysis finds with the diary of a world, instant by instant."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping

from android_suite.analysis.pipeline import Analysis, analyze_trace
from android_suite.tables import events
from android_suite.tables.blame import LINKS
from android_suite.tables.derived import WHO_EVIDENCE
from android_suite.tables.schema import make_frame
from android_suite.tables.trace import Trace, TraceSource, fill_missing
from tests.simulator.blame_worlds import CLIENT_TGID, UI
from tests.simulator.kernel import Kernel, Moment

Link = tuple[str, int, str]  # kind, holder, evidence
Stretch = tuple[int, int, tuple[Link, ...]]
_TABLES = {t.name: t for t in events.EVENT_TABLES}
_CODES = {
    "sched_switch": (3, events.TASK_STATES), "sched_wake": (2, events.WAKE_KINDS), "contention": (2, events.CONTENTION_KINDS),
    "binder": (2, events.BINDER_KINDS),
}  # fmt: skip


def make_blame_trace(kernel: Kernel, lost: tuple[int, int, int] | None = None) -> Trace:
    """The tables as a reader gives them; ``lost``: CPU, first and last time of what is missing."""
    rows = sorted(((r[0], name, r) for name, own in kernel.rows.items() for r in own), key=lambda each: each[0])
    if lost:
        rows = [each for each in rows if not (each[2][1] == lost[0] and lost[1] < each[0] < lost[2])]
    found: dict[str, list[tuple[object, ...]]] = {}
    for seq, (ts, name, row) in enumerate(rows):
        found.setdefault(name, []).append((seq, ts, *_values(name, row)))
    frames = {
        name: make_frame(_TABLES[name], dict(zip(_TABLES[name].dtypes, map(list, zip(*own, strict=True)), strict=True)))
        for name, own in found.items()
    }
    threads = kernel.threads.values()
    frames["threads"] = make_frame(
        events.THREADS,
        {
            "tid": [t.tid for t in threads], "tgid": [t.tgid for t in threads], "comm": [t.comm for t in threads],
            "process": ["app" if t.tgid == CLIENT_TGID else "system_server" for t in threads],
        },
    )  # fmt: skip
    if lost:
        columns = {"cpu": [lost[0]], "from_ns": [lost[1]], "to_ns": [lost[2]], "events": [-1]}
        frames["lost"] = make_frame(events.LOST, columns)
    source = TraceSource(
        format="simulated", path="", events=len(rows), lost_events=int(bool(lost)), clock="mono", start_ns=rows[0][0],
        end_ns=kernel.now, cpus=len(kernel.current), enabled_events=frozenset({"binder:binder_transaction"}),
    )  # fmt: skip
    return Trace(source=source, tables=fill_missing(frames))


def _values(name: str, row: tuple[object, ...]) -> tuple[object, ...]:
    values = list(row[1:])
    if name in _CODES:
        at, names = _CODES[name]
        values[at] = names.index(str(values[at]))
    if name == "syscall":
        cpu, tid, kind, call, args, ret = values
        padded = (*args, *([0] * (6 - len(args))))  # type: ignore[misc, arg-type]
        return cpu, tid, events.SYSCALL_KINDS.index(str(kind)), events.SYSCALLS.index(str(call)), -1, *padded, ret
    return tuple(values)


def true_chain(moment: Moment, tid: int, *, real: bool = False) -> tuple[Link, ...]:
    """Whom a thread waits for at an instant, and whom that one waits for, and so on.

    ``real``: who had each lock, else as far as events tell it.
    """
    entries = {b.tid: b for b in moment.behind}
    links: list[Link] = []
    here = tid
    while (entry := entries.get(here)) and entry.kind:
        if entry.asleep and moment.threads[here][0] not in ("sleeping", "disk"):
            break
        here = entry.holder if entry.truth is None or not real else entry.truth
        links.append((entry.kind, here, entry.evidence))
        if here < 0 or here in (tid, *(link[1] for link in links[:-1])):
            break
    return tuple(links)


def true_stretches(kernel: Kernel, tid: int, *, real: bool = False) -> list[Stretch]:
    """The whole time of a thread's waits."""
    return _merge((m.start, m.end, chain) for m in kernel.diary if (chain := true_chain(m, tid, real=real)))


def found_stretches(analysis: Analysis, tid: int) -> list[Stretch]:
    """The same as the analysis has it."""
    links = analysis["blame_links"]
    paths: dict[int, list[Link]] = {}
    columns = (links[c].tolist() for c in ("blame", "kind", "holder_tid", "evidence"))
    for row, kind, holder, evidence in zip(*columns, strict=True):
        paths.setdefault(row, []).append((LINKS[kind], holder, WHO_EVIDENCE[evidence]))
    own = analysis["blame"]
    own = own[own["waiter_tid"] == tid]
    times = zip(own.index.tolist(), own["start_ns"].tolist(), own["end_ns"].tolist(), strict=True)
    return _merge((start, end, tuple(paths[row])) for row, start, end in times)


def _merge(stretches: Iterator[Stretch]) -> list[Stretch]:
    out: list[Stretch] = []
    for start, end, chain in stretches:
        if out and out[-1][1:] == (start, chain):
            out[-1] = (out[-1][0], end, chain)
        else:
            out.append((start, end, chain))
    return out


def check_blame(kernel: Kernel, counts: Counter[str]) -> Iterator[str]:
    """Every difference between a whole trace's chains, or what the last thread did in them, and the truth."""
    analysis = analyze_trace(make_blame_trace(kernel))
    for tid in (UI, UI + 1):
        true, found = true_stretches(kernel, tid), found_stretches(analysis, tid)
        counts["stretches"] += len(true)
        counts["longest chain"] = max([counts["longest chain"], *(len(chain) for *_, chain in true)])
        for _, _, chain in true:
            counts.update(f"{kind} {evidence}" for kind, _, evidence in chain)
        if true != found:
            pairs = [(t, f) for t, f in zip([*true, None], [*found, None], strict=False) if t != f]
            yield f"thread {tid}: true {pairs[0][0]}, found {pairs[0][1]}"
            return
        yield from _check_exact(kernel, tid, found)
    yield from _check_sums(kernel, analysis)


def _check_exact(kernel: Kernel, tid: int, found: list[Stretch], what: str = "") -> Iterator[str]:
    """Chains that are said to be exact and are not what really was."""
    real = true_stretches(kernel, tid, real=True)
    for begin, end, chain in found:
        if any(evidence != "exact" for *_, evidence in chain):
            continue
        covered = sum(min(end, e) - max(begin, s) for s, e, c in real if s < end and e > begin and _agrees(chain, c))
        if covered != end - begin:
            yield f"{what}thread {tid}: {begin}..{end} {chain} is not true: {_near(real, begin, end)}"
            return


def _check_sums(kernel: Kernel, analysis: Analysis) -> Iterator[str]:
    """What the last thread did, and for how long it was the weaker one, as far as priorities are known."""
    names = ("running", "runnable", "blocked")
    shown = {t.tid: t.shown if t.silent else kernel.now for t in kernel.threads.values()}
    for row in analysis["blame"].to_dict("records"):
        last, spent = row["end_tid"], Counter[str]()
        for m in kernel.diary:
            low, high = max(m.start, row["start_ns"]), min(m.end, row["end_ns"])
            if low < high and last >= 0:
                state, _, prio = m.threads[last]
                spent[state if state in ("running", "runnable") else "blocked"] += high - low
                spent["inverted"] += (high - low) * (prio > m.threads[row["waiter_tid"]][2])
        told = {name: row[f"{name}_ns"] for name in (*names, "inverted")}
        # Before its first event nothing is known of a thread, and nothing shows a change after its last one.
        whole = sum(told[name] for name in names) == row["end_ns"] - row["start_ns"]
        wrong = whole and any(told[name] != spent[name] for name in names)
        if last >= 0 and row["end_ns"] <= min(shown[last], shown[row["waiter_tid"]]):
            wrong |= not 0 <= spent["inverted"] - told["inverted"] <= row["unjudged_ns"]
        if wrong:
            yield f"{row['start_ns']}..{row['end_ns']} behind {last}: found {told}, true {dict(spent)}"
            return


def check_lossy(kernel: Kernel, seed: int, counts: Counter[str]) -> Iterator[str]:
    """Where events of one CPU are lost, every chain that is said to be exact must be true."""
    rng = random.Random(seed)
    start = rng.randint(10_000, kernel.now - 20_000)
    analysis = analyze_trace(
        make_blame_trace(kernel, (rng.randrange(len(kernel.current)), start, start + rng.randint(500, 9_000)))
    )
    for tid in (UI, UI + 1):
        found = found_stretches(analysis, tid)
        counts["lossy stretches"] += sum(all(how == "exact" for *_, how in chain) for *_, chain in found)
        yield from _check_exact(kernel, tid, found, "lossy, ")


def _agrees(found: tuple[Link, ...], true: tuple[Link, ...]) -> bool:
    """A chain may be told in part: what follows may be lost."""
    return [link[:2] for link in found] == [link[:2] for link in true[: len(found)]]


def _near(true: list[Stretch], begin: int, end: int) -> Mapping[str, object]:
    return {f"{s}..{e}": c for s, e, c in true if s < end and e > begin}
