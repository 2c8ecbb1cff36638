"""Tracks who waits for and who holds each mm's lock, in order of arrival, and lists who stood in front of whom.

A thread has a few slots, one per lock that it waits for or holds. A slot is in one of two lists of its mm: the waiters
or the holders. All of this is records, so that a step touches few cache lines.
"""

from __future__ import annotations

import numpy as np

from android_suite.analysis.jit import I64, Array, compiled

SLOTS = 4  # locks that one thread may wait for or hold at once: fork takes two, no path more than three
FREE, WAITING, HOLDING = 0, 1, 2
NOBODY = -1

# ``row``: of the wait or the hold. ``segment``: the last one of this waiter, -1 none yet.
_SLOT = np.dtype(
    [("row", np.int64), ("segment", np.int64), ("next", np.int32), ("before", np.int32), ("mm", np.int32),
     ("state", np.int8), ("write", np.bool_)], align=True,
)  # fmt: skip
_LIST = np.dtype([("head", np.int32), ("tail", np.int32)], align=True)


@compiled
def new_slots(n_tids: int) -> Array:
    """Slots of thread t are ``SLOTS * t`` and those after; all are free."""
    slots = np.zeros(n_tids * SLOTS, _SLOT)
    for s in range(slots.shape[0]):
        slots[s].mm = slots[s].row = slots[s].segment = slots[s].next = slots[s].before = NOBODY
    return slots


@compiled
def new_lists(n_mms: int) -> Array:
    """Lists ``2 * m`` (who waits) and ``2 * m + 1`` (who holds) of mm number m; all are empty."""
    lists = np.empty(2 * n_mms, _LIST)
    for q in range(lists.shape[0]):
        lists[q].head = lists[q].tail = NOBODY
    return lists


@compiled
def forget_all(slots: Array, lists: Array) -> None:
    """Empties every list. The slots stay as they are, so that the end of what they are about is still told."""
    for q in range(lists.shape[0]):
        lists[q].head = lists[q].tail = NOBODY
    for s in range(slots.shape[0]):
        slots[s].next = slots[s].before = NOBODY


@compiled
def join(slots: Array, lists: Array, s: int) -> None:
    """Puts slot ``s`` last into the list that its state says."""
    slot = slots[s]
    queue = lists[2 * slot.mm + (slot.state == HOLDING)]
    slot.next, slot.before = NOBODY, queue.tail
    if queue.tail >= 0:
        slots[queue.tail].next = s
    else:
        queue.head = s
    queue.tail = s


@compiled
def leave(slots: Array, lists: Array, s: int) -> None:
    """Takes slot ``s`` out of its list, if it is in it, and frees it."""
    slot = slots[s]
    queue = lists[2 * slot.mm + (slot.state == HOLDING)]
    slot.state = FREE
    if slot.before >= 0:
        slots[slot.before].next = slot.next
    elif queue.head == s:
        queue.head = slot.next
    else:
        return  # not in the list: it was emptied at a gap
    if slot.next >= 0:
        slots[slot.next].before = slot.before
    else:
        queue.tail = slot.before
    slot.next = slot.before = NOBODY


@compiled
def list_segments(
    segments: I64, count: int, slots: Array, waiters: int, holders: int, since: int, now: int
) -> tuple[I64, int]:
    """Writes who stood in front of whom on an mm between ``since`` and ``now``.

    Args:
        segments: see MmapLock.segments, with room at its end.
        count: of segments so far.
        slots: all of them.
        waiters: slot at the head of the mm's list.
        holders: the same.
        since: ns.
        now: ns.

    Returns:
        Segments, moved where the room did not do, and how many there are now.
    """
    writer = NOBODY  # wait row of the writer that queues first
    w = waiters
    while w >= 0:
        waiting = slots[w]
        h = holders
        while h >= 0:
            holding = slots[h]
            chained = not waiting.write and not holding.write
            if w // SLOTS != h // SLOTS and (not chained or writer >= 0):
                via = writer if chained else NOBODY
                last = waiting.segment
                if (
                    last >= 0 and segments[last, 0] == waiting.row and segments[last, 1] == holding.row
                    and segments[last, 3] == since and segments[last, 4] == via
                ):  # fmt: skip
                    segments[last, 3] = now
                else:
                    if count == segments.shape[0]:
                        grown = np.empty((2 * count, 5), np.int64)
                        grown[:count] = segments
                        segments = grown
                    segments[count, 0], segments[count, 1] = waiting.row, holding.row
                    segments[count, 2], segments[count, 3], segments[count, 4] = since, now, via
                    waiting.segment = count
                    count += 1
            h = holding.next
        if writer < 0 and waiting.write:
            writer = waiting.row
        w = waiting.next
    return segments, count
