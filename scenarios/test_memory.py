"""How the kernel gives memory back: large objects, native memory, many processes, userfaultfd.

Run with `pytest scenarios --serial S`.
"""

from __future__ import annotations

import json

import pytest

SHORT = {"duration_ms": 5000}


def count_lines(texts: list[str], start: str) -> int:
    return sum(line.startswith(start) for text in texts for line in text.splitlines())


def test_large_objects_are_freed_without_the_process_wide_lock(record) -> None:
    gc = record("large_objects", **SHORT).madvise(role="gc")
    assert gc.calls > 0, "no GC ran: nothing was measured"
    assert gc.unknown == 0
    if gc.per_vma == 0:
        pytest.skip("this kernel has no per-VMA madvise path")
    assert (gc.per_vma + gc.vma_lock_busy) / gc.calls >= 0.995, f"too many calls took the process-wide lock: {gc}"


def test_trimmed_native_memory_is_given_back_by_the_ui_thread(record) -> None:
    result = record("native_trim", **SHORT)
    assert count_lines(result.evidence("beside.txt"), "did trim") > 0
    assert result.madvise(role="ui").calls > 0, "no trim reached the allocator: nothing was measured"
    assert result.metric("frameCount") > 0


def test_many_processes_are_trimmed_while_one_draws(record) -> None:
    result = record("trim_many", processes=4, **SHORT)
    trimmed = {line.split()[2] for text in result.evidence("beside.txt") for line in text.splitlines() if "did" in line}
    assert len(trimmed) == 4, f"trimmed were {', '.join(sorted(trimmed)) or 'none'}"
    assert result.metric("frameCount") > 0


def test_an_armed_heap_falls_back_to_the_process_wide_lock(record) -> None:
    result = record("uffd_heap", gc_trigger_bytes=1 << 20, **SHORT)  # a collection every other frame
    gc = result.madvise(role="gc")
    assert gc.calls > 0, "no GC ran: nothing was measured"
    told = [json.loads(text).get("uffd") for text in result.evidence("app_result.json")]
    if any(each is not None and not each["armed"] for each in told):
        pytest.fail("the device was too slow: the collector never armed its heap")
    if gc.per_vma == 0:
        pytest.skip("this kernel has no per-VMA madvise path to fall back from")
    # The reason is known only where a map snapshot was made while the heap was armed.
    assert gc.mmap_lock > gc.vma_lock_busy, f"no call fell back: {gc}, {gc.reasons}"
