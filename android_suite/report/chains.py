"""Describes the worst inversions, each in one sentence; ``timeline`` draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from android_suite.model.analysis import AnalysisSummary, ChainSummary, Lock, RankedThread, ThreadSummary
from android_suite.model.operation import describe_operation
from android_suite.report.phrases import format_ms, show_foreign


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """An inversion: where it was found, what happened, and what the analysis says of it."""

    where: str
    sentence: str
    start_ms: float | None
    told: ChainSummary


def list_chains(sources: Sequence[tuple[str, AnalysisSummary]], *, most: int) -> list[Chain]:
    """The longest chains of several analyses; where several threads wait behind one hold, the longest wait.

    Args:
        sources: name of each analysis, and the analysis.
        most: the largest number of chains.
    """
    found = [(where, chain) for where, analysis in sources for chain in analysis.inversions.chains if chain.duration_ns]
    found.sort(key=lambda item: -item[1].duration_ns)
    chosen: list[tuple[str, ChainSummary]] = []
    for where, chain in found:
        if len(chosen) == most:
            break
        if not any(where == other and _overlap(chain, shown) for other, shown in chosen):
            chosen.append((where, chain))
    return [_describe(where, chain) for where, chain in chosen]


def name_lock(lock: Lock) -> str:
    """The words for a lock in a sentence."""
    return "the lock of a VMA" if lock == "vma_lock" else lock


def _overlap(one: ChainSummary, other: ChainSummary) -> bool:
    """The same hold seen by two waiters: one picture of it is enough."""
    if one.start_ns is None or other.start_ns is None or (one.lock, one.holder) != (other.lock, other.holder):
        return False
    return one.start_ns < other.start_ns + other.duration_ns and other.start_ns < one.start_ns + one.duration_ns


def name_thread(thread: ThreadSummary) -> str:
    """A thread by its comm, with tid, role and priority as far as they are known."""
    details = [thread.role] if thread.role not in ("", "other") else []
    if isinstance(thread, RankedThread) and thread.prio is not None:
        details.append(f"prio {thread.prio}")
    comm = thread.thread if thread.tid is None or thread.thread == str(thread.tid) else f"{thread.thread}/{thread.tid}"
    return show_foreign(f"{comm} ({', '.join(details)})" if details else comm, longest=60)


def _describe(where: str, chain: ChainSummary) -> Chain:
    states = chain.holder_state_ns
    operation = show_foreign(describe_operation(chain.holder_operation) or "an unknown operation", longest=60)
    via = ""
    if chain.via and chain.holder_lock == chain.lock:
        via = f", behind the waiting writer {name_thread(chain.via)}"
    elif chain.via:
        via = f", behind its holder {name_thread(chain.via)}, which waited for a VMA"
    spent = (("running", states.running), ("runnable", states.runnable), ("blocked", states.blocked))
    parts = ", ".join(f"{name} {format_ms(ns)}" for name, ns in spent if ns)
    instead = [name for name, _ in list_intruders(chain)]
    ran = f" Meanwhile ran: {', '.join(instead[:4])}{' and others' if len(instead) > 4 else ''}." if instead else ""
    return Chain(
        where=show_foreign(where, longest=80),
        sentence=f"{name_thread(chain.waiter)} waited {format_ms(chain.duration_ns)} for {name_lock(chain.lock)}{via}; "
        f"{name_thread(chain.holder)} held it in {operation}{f' ({parts})' if parts else ''}.{ran}",
        start_ms=None if chain.start_ns is None else chain.start_ns / 1e6,
        told=chain,
    )


def list_intruders(chain: ChainSummary) -> list[tuple[str, int | None]]:
    """Names of the threads that ran instead, and for how long if that is known; longest first, one row per thread."""
    totals: dict[str, int | None] = {}
    for intruder in chain.intruders:
        name = name_thread(intruder)
        before = totals.get(name)
        totals[name] = intruder.ran_ns if before is None else before + (intruder.ran_ns or 0)
    return sorted(totals.items(), key=lambda item: -(item[1] or 0))
