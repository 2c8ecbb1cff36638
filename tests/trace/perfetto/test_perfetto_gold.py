"""Perfetto's own diff tests: every question that the suite's tables can answer, answered by them and compared value by value.

A pair of a new kind fails ``test_every_pair_is_known`` until it is compared or named as outside.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.trace.gold import Pair
from tests.trace.perfetto import gold_events, gold_frames, gold_startups

CHECKS: dict[str, Callable[[Pair], None]] = {
    "parser__parsing__sched_blocked_proto_sched_blocked_reason": gold_events.check_blocked,
    "parser__parsing__sched_blocked_reason_symbolized_sched_blocked_reason_function": gold_events.check_blocked,
    "parser__parsing__sched_blocked_systrace_sched_blocked_reason": gold_events.check_blocked,
    "stdlib__sched__active_cpu_count": gold_events.check_active_cpus,
    "stdlib__sched__runnable_thread_count": gold_events.check_runnable,
    "parser__atrace__android_b2b_async_begin_list_slices": gold_events.check_slices,
    "parser__atrace__bad_print_systrace_list_slices": gold_events.check_slices,
    "parser__atrace__process_track_slices_android_async_slice": gold_events.check_async_slice,
    "parser__ftrace__crop_atrace_slice_legacy_field": gold_events.check_cropped_slices,
    "parser__sched__cpu_frequency_limits_from_systrace": gold_events.check_frequency_limits,
    "parser__parsing__print_systrace_unsigned": gold_events.check_print_unsigned,
    "parser__parsing__android_binder": gold_events.check_binder,
    "parser__graphics__drm_sched_617_gpu_track": gold_events.check_gpu_track,
    "parser__graphics__drm_sched_thread_track": gold_events.check_thread_track,
    "tables__preserve_ftrace_buffer_without_clock": gold_events.check_nothing_lost,
    "stdlib__android__android_frames_overrun": gold_frames.check_overrun,
    "stdlib__android__android_app_vsync_delay_per_frame": gold_frames.check_vsync_delay,
    "stdlib__android__android_frames_choreographer_do_frame": gold_frames.check_do_frames,
    "stdlib__android__android_frames_draw_frame": gold_frames.check_draw_frames,
    "stdlib__android__android_frames_get_frame_table_with_id": gold_frames.check_depths,
    "stdlib__android__android_first_frame_after": gold_frames.check_first_after,
    "stdlib__android__android_frame_stats": gold_frames.check_frame_stats,
    "metrics__frame_timeline__frame_timeline_metric": gold_frames.check_frame_timeline,
    "stdlib__android__android_jank_cuj_slice_summary": gold_frames.check_cuj_counters,
    "metrics__android__android_blocking_calls_cuj": gold_frames.check_blocking_calls,
    "metrics__android__android_blocking_calls_on_jank_cujs": gold_frames.check_blocking_calls,
    "metrics__android__android_blocking_calls_unagg": gold_frames.check_blocking_calls_all,
    "metrics__startup__android_startup_attribution_slow": gold_startups.check_startups,
    "metrics__startup__android_startup_broadcast_multiple": gold_startups.check_startups,
    "metrics__startup__android_startup_installd_dex2oat": gold_startups.check_startups,
    "metrics__startup__android_startup_installd_dex2oat_slow": gold_startups.check_startups,
    "metrics__startup__android_startup_lock_contention_slow": gold_startups.check_startups,
    "metrics__startup__android_startup_process_track": gold_startups.check_startups,
    "metrics__startup__android_startup_unlock": gold_startups.check_startups,
}
OUTSIDE = {
    "metrics__startup__android_batt_counters": "battery counters are packets of their own, not ftrace: no table has them",
    "metrics__startup__android_startup_powrails": "power rails are packets of their own, not ftrace: no table has them",
    "tables__clock_snapshot_table_multiplier": "asks for wall-clock time; the suite's tables stay on the trace's clock",
}


def _pairs(folder: Path) -> dict[str, dict[str, Any]]:
    lines = (folder / "expected.jsonl").read_text().splitlines()
    return {entry["test"]: entry for entry in map(json.loads, lines)}


def test_every_pair_is_known(shared_data: Path) -> None:
    pairs = _pairs(shared_data / "perfetto_gold")
    assert len(pairs) == 37
    assert not CHECKS.keys() & OUTSIDE.keys()
    assert pairs.keys() == CHECKS.keys() | OUTSIDE.keys()
    present = {path.name for path in (shared_data / "perfetto_gold").iterdir()}
    assert present == {entry["trace_file"] for entry in pairs.values()} | {"expected.jsonl"}


@pytest.mark.parametrize("name", CHECKS)
def test_pair(shared_data: Path, name: str) -> None:
    folder = shared_data / "perfetto_gold"
    entry = _pairs(folder)[name]
    CHECKS[name](Pair(path=folder / entry["trace_file"], expected=entry["expected"]))
