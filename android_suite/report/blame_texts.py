"""Puts chains of blame into words for every renderer."""

from __future__ import annotations

from dataclasses import dataclass

from android_suite.model.analysis import BlameLink, BlameSummary, OtherWaitSummary, ReleaseSummary
from android_suite.model.operation import describe_operation
from android_suite.report.chains import name_thread
from android_suite.report.phrases import format_ms, format_number, show_foreign

BLAME_NOTE = (
    "Each wait of a UI or render thread, followed from thread to thread to the one that does not wait for another. Inverted "
    "is the time in which that one had the lower priority. Inferred: a step rests on who woke whom or on a name, not on an "
    "event that says so."
)
_KINDS = {
    "vma_lock": "lock of a VMA", "folio": "folio lock", "writeback": "writeback of a folio", "monitor": "Java monitor",
    "art_lock": "lock of ART", "binder": "binder call", "spin": "spinlock", "percpu": "percpu rwsem",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BlameTexts:
    """One chain: who waits, through what for whom, what the last thread did, and how the chain is known."""

    waiter: str
    chain: str
    last: str
    evidence: str


def describe_blame(row: BlameSummary) -> BlameTexts:
    """Puts a chain into words."""
    spent = (("running", row.running_ns), ("runnable", row.runnable_ns), ("blocked", row.blocked_ns))
    return BlameTexts(
        waiter=name_thread(row.waiter),
        chain=", then ".join(map(_describe_link, row.links)) + (" (not followed further)" if row.cut else ""),
        last=", ".join(f"{name} {format_ms(ns)}" for name, ns in spent if ns) or "not known",
        evidence=row.evidence,
    )


def _describe_link(link: BlameLink) -> str:
    lock = _KINDS.get(link.kind, link.kind)
    detail = show_foreign(describe_operation(link.name or ""), longest=80)
    who = "an unknown thread" if link.tid is None else name_thread(link)
    process = show_foreign(f" of {link.process}", longest=60) if link.process and link.kind == "binder" else ""
    marked = " (inferred)" if link.evidence == "inferred" and link.tid is not None else ""
    return f"{lock}{f' [{detail}]' if detail else ''}: {who}{process}{marked}"


def name_other_lock(row: OtherWaitSummary) -> str:
    """The kind of lock, and which one where it is known."""
    return f"{row.lock} ({row.name})" if row.name else row.lock


def describe_releases(releases: ReleaseSummary) -> str:
    """How far lock:contended_release confirms the holders that are inferred."""
    judged = releases.agreed + releases.differed
    return (
        f"lock:contended_release names the inferred holder in {format_number(releases.agreed)} of {format_number(judged)} "
        f"contended waits for mmap_lock; for {format_number(releases.untold)} more one of both names nobody."
    )
