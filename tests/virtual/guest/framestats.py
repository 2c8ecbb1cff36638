"""What ``dumpsys gfxinfo PACKAGE framestats`` prints, held against what Android prints."""

from __future__ import annotations

import re

HEADER = (
    "Flags,FrameTimelineVsyncId,IntendedVsync,Vsync,InputEventId,HandleInputStart,AnimationStart,PerformTraversalsStart,"
    "DrawStart,FrameDeadline,FrameInterval,FrameStartTime,SyncQueued,SyncStart,IssueDrawCommandsStart,SwapBuffers,"
    "FrameCompleted,DequeueBufferDuration,QueueBufferDuration,GpuCompleted,SwapBuffersCompleted,DisplayPresentTime,"
    "CommandSubmissionCompleted,"
)


def check_framestats(text: str) -> None:
    """The counts agree, the header is Android's, and every frame's times follow each other."""
    rendered = int(re.search(r"Total frames rendered: (\d+)", text)[1])  # type: ignore[index]
    buckets = re.search(r"HISTOGRAM:((?: \d+ms=\d+)+)", text)
    assert buckets is not None
    assert sum(int(b.split("=")[1]) for b in buckets[1].split()) == rendered
    _, block, _ = text.split("---PROFILEDATA---\n")
    header, *lines = block.splitlines()
    assert header == HEADER
    assert len(lines) == min(rendered, 120)
    rows = [[int(value) for value in line.rstrip(",").split(",")] for line in lines]
    ids = [row[1] for row in rows]
    assert ids == sorted(set(ids))
    for row in rows:
        flags, _, intended, vsync, _, handle, animation, traversals, draw, deadline, began, interval, *_ = row
        queued, synced, issued, swapped, completed = row[12:17]
        assert (flags, interval, deadline - intended) == (0, 16666667, 16666667)
        assert intended <= vsync <= began <= handle <= animation <= traversals <= draw
        assert draw <= queued <= synced <= issued <= swapped <= completed
