"""GC stress: what a background garbage collection costs the UI thread. Run with `pytest scenarios --serial S`."""

from __future__ import annotations

import pytest


def test_gc_frees_memory_without_the_process_wide_lock(record) -> None:
    result = record("gc_stress", duration_ms=10_000)
    gc = result.madvise(role="gc")
    assert gc.calls > 0, "no GC ran: nothing was measured"
    assert gc.unknown == 0
    if gc.per_vma == 0:
        pytest.skip("this kernel has no per-VMA madvise path")
    share = (gc.per_vma + gc.vma_lock_busy) / gc.calls
    assert share >= 0.995, f"too many calls took the process-wide lock: {gc}"


def test_no_frame_is_lost_to_priority_inversion(real_time, record) -> None:
    result = record("gc_stress", duration_ms=10_000)
    assert result.metric("frameCount") > 0
    assert result.metric("jankyFromInversionCount") == 0
