"""The worst inversions as a reader meets them: a sentence each. The pictures are in ``timeline``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from android_suite.report.phrases import format_ms, show_foreign

_LOCK_NAMES = {"vma_lock": "the lock of a VMA"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """An inversion: where it was found, what happened, and the object of the analysis."""

    where: str
    sentence: str
    start_ms: float | None
    told: Mapping[str, Any]


def list_chains(sources: Sequence[tuple[str, Mapping[str, Any]]], *, most: int) -> list[Chain]:
    """The longest chains of several analyses; where several threads wait behind one hold, the longest wait.

    Args:
        sources: name of each analysis, and the analysis.
        most: how many chains at the most.
    """
    found = [
        (where, chain)
        for where, analysis in sources
        for chain in (analysis.get("inversions") or {}).get("chains") or ()
        if (chain.get("duration_ns") or 0) > 0
    ]
    found.sort(key=lambda item: -int(item[1]["duration_ns"]))
    chosen: list[tuple[str, Mapping[str, Any]]] = []
    for where, chain in found:
        if len(chosen) == most:
            break
        if not any(where == other and _overlap(chain, shown) for other, shown in chosen):
            chosen.append((where, chain))
    return [_chain(where, chain) for where, chain in chosen]


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """The same hold seen by two waiters: one picture of it is enough."""
    if one.get("start_ns") is None or other.get("start_ns") is None or one.get("holder") != other.get("holder"):
        return False
    return bool(
        one["start_ns"] < other["start_ns"] + other["duration_ns"]
        and other["start_ns"] < one["start_ns"] + one["duration_ns"]
    )


def name_thread(thread: object) -> str:
    """A thread as the analysis names it, a text or an object with ``thread``, ``role``, ``process``, ``prio``."""
    if not isinstance(thread, Mapping):
        return show_foreign(thread, longest=60)
    comm = thread.get("thread") or thread.get("comm") or thread.get("name") or "?"
    details = [str(thread[key]) for key in ("role",) if thread.get(key) not in (None, "", "other")]
    if thread.get("prio") is not None:
        details.append(f"prio {thread['prio']}")
    text = f"{comm} ({', '.join(details)})" if details else str(comm)
    return show_foreign(text, longest=60)


def _chain(where: str, chain: Mapping[str, Any]) -> Chain:
    waiter, holder = name_thread(chain.get("waiter")), name_thread(chain.get("holder"))
    duration = int(chain["duration_ns"])
    states = {key: int(value or 0) for key, value in (chain.get("holder_state_ns") or {}).items()}
    operation = show_foreign(chain.get("holder_operation") or "an unknown operation", longest=60)
    lock, held = chain.get("lock") or "mmap_lock", chain.get("holder_lock") or "mmap_lock"
    via = ""
    if chain.get("via"):
        through = "the waiting writer" if held == lock else "its holder"
        via = f", behind {through} {name_thread(chain['via'])}" + ("" if held == lock else ", which waited for a VMA")
    parts = ", ".join(f"{key} {format_ms(value)}" for key, value in states.items() if value)
    instead = [name for name, _ in list_intruders(chain)]
    ran = f" Meanwhile ran: {', '.join(instead[:4])}{' and others' if len(instead) > 4 else ''}." if instead else ""
    start = chain.get("start_ns")
    return Chain(
        where=show_foreign(where, longest=80),
        sentence=f"{waiter} waited {format_ms(duration)} for {_LOCK_NAMES.get(lock, lock)}{via}; "
        f"{holder} held it in {operation}"
        f"{f' ({parts})' if parts else ''}.{ran}",
        start_ms=None if start is None else start / 1e6,
        told=chain,
    )


def list_intruders(chain: Mapping[str, Any]) -> list[tuple[str, int | None]]:
    """Names of who ran instead, and for how long where that is known; longest first, one row a thread."""
    totals: dict[str, int | None] = {}
    for intruder in chain.get("intruders") or ():
        ran = int(intruder["ran_ns"]) if isinstance(intruder, Mapping) and intruder.get("ran_ns") else None
        name = name_thread(intruder)
        before = totals.get(name)
        totals[name] = ran if before is None else before + (ran or 0)
    return sorted(totals.items(), key=lambda item: -(item[1] or 0))
