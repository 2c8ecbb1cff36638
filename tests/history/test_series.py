"""What may stand in one series, in which order, and what counts once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from android_suite.errors import UsageError
from android_suite.history.runs import read_stored_runs
from android_suite.history.series import build_series
from tests.made_runs import DEVICE
from tests.made_stores import MadeBoot, plan_line, stored, write_run

WAIT = "mmapLockWaitMs_ui"


def boot(kernel: str = "6.1.1", value: float = 1.0, **more: object) -> MadeBoot:
    return MadeBoot(kernel=kernel, values={WAIT: [value]}, **more)  # type: ignore[arg-type]


def series(*boots: MadeBoot, order: str = "kernel", plan: dict[str, object] | None = None):  # type: ignore[no-untyped-def]
    return build_series(stored(*boots, plan=plan), order=order, metrics=None, scenarios=None)  # type: ignore[arg-type]


def test_kernels_are_in_the_order_of_their_versions_and_builds() -> None:
    late, early = "#2 Fri Jan  9 10:00:00 UTC 2026", "#1 Thu Jan  8 10:00:00 UTC 2026"
    ordered = series(
        boot("6.17.0", boot="c"), boot("6.9.1", boot="a"), boot("6.16.2", boot="x", version=late, build_id="b2"),
        boot("6.16.2", boot="y", version=early, build_id="b1"),
    )  # fmt: skip
    (only,) = ordered.series
    assert [(p.name, p.kernel.build_id) for p in only.points] == [
        ("6.9.1", None), ("6.16.2 #1", "b1"), ("6.16.2 #2", "b2"), ("6.17.0", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        {"mode": "deterministic"},
        {"device": replace(DEVICE, model="another")},
        {"device": replace(DEVICE, refresh_rate_hz=120.0)},
        {"parameters": {"duration_ms": 9000}},
        {"overlays": ("ab" * 32,)},
        {"scenario": "vma_stress"},
    ],
)
def test_other_conditions_are_another_series(other: dict[str, object]) -> None:
    assert len(series(boot(boot="a"), boot("6.2.1", boot="b", **other)).series) == 2


def test_what_belongs_to_the_kernel_or_the_boot_joins() -> None:
    port = replace(DEVICE, serial="127.0.0.1:6000", memory_kb=1)
    assert len(series(boot(boot="a", seed=1), boot("6.2.1", boot="b", seed=2, device=port)).series) == 1


def test_two_phones_of_one_model_are_two_series() -> None:
    phone = replace(DEVICE, virtual=False, serial="A")
    assert len(series(boot(boot="a", device=phone), boot(boot="b", device=replace(phone, serial="B"))).series) == 2


def test_plans_that_run_other_scenarios_are_two_series() -> None:
    one = stored(boot(boot="a"), plan={"scenarios": [{"name": "gc_stress"}], "image": "1"})
    other = stored(boot(boot="b"), plan={"scenarios": [{"name": "ui_scroll"}, {"name": "gc_stress"}], "image": "1"})
    assert len(build_series([*one, *other], order="kernel", metrics=None, scenarios=None).series) == 2


def test_in_order_of_date_labels_are_apart() -> None:
    boots = [
        boot(kernel, boot=f"{label}{day}", label=label, at=f"2026-11-0{day}T10:00:00+00:00")
        for day in (1, 2)
        for label, kernel in (("baseline", "6.1.1"), ("candidate", f"6.2.{9 - day}"))
    ]
    ordered = series(*boots, order="date")
    assert {(s.label, tuple(p.name for p in s.points)) for s in ordered.series} == {
        ("baseline", ("2026-11-01", "2026-11-02")), ("candidate", ("2026-11-01", "2026-11-02")),
    }  # fmt: skip


def test_bounds_unknown_and_failed_are_in_no_level() -> None:
    launch = "timeToInitialDisplayMs_cold"
    values = {WAIT: [5.0, (9.0, "lower_bound")], launch: [300.0, (10_000.0, "failed")], "invertedMs": [None, None]}
    boots = MadeBoot(kernel="6.1.1", values=values, scenario="app_launch")
    found = {s.metric.name: s.points[0] for s in series(boots).series}
    wait, failed, unknown = (found[name] for name in (WAIT, launch, "invertedMs"))
    assert (wait.level, wait.exact, wait.lower_bound) == (None, 0, 1)
    assert wait.boots[0].values == (5.0,)
    assert wait.boots[0].bound == 9.0
    assert (failed.level, failed.boots[0].failed, failed.boots[0].bound) == (None, 1, 10_000.0)
    assert (unknown.level, unknown.unknown, unknown.boots[0].reason) == (None, 1, "events were not enabled")


def test_copies_and_repeated_seeds_count_once() -> None:
    assert series(boot(boot="a"), boot(boot="a")).repeats == 1
    virtual = {"mode": "deterministic", "boot": "seed-1", "seed": 1}
    ordered = series(boot(**virtual), boot(**virtual, at="2026-11-02T10:00:00+00:00"), boot("6.2.1", **virtual))
    assert ordered.repeats == 1
    assert [p.exact for p in ordered.series[0].points] == [1, 1]


def test_a_store_is_walked_without_links_and_unfinished_jobs(tmp_path: Path) -> None:
    store, outside = tmp_path / "store", tmp_path / "outside"
    write_run(outside / "run", boot("9.9.9"))
    write_run(store / "campaign" / "jobs" / "000-a", boot(boot="a"))
    write_run(store / "campaign" / "failed" / "001-b.1", boot("6.3.1", boot="b"))
    write_run(store / "campaign" / "partial" / "002-c", boot("6.4.1", boot="c"))
    write_run(store / "lone", boot("6.2.1", boot="d"))
    (store / "campaign" / "journal.jsonl").write_text(plan_line(image="abc", scenarios=[]))
    (store / "link").symlink_to(outside)
    (store / "broken").mkdir()
    (store / "broken" / "manifest.json").write_text("[" * 100_000)
    runs, refused = read_stored_runs(store, say=lambda _: None)
    assert [(run.path, run.plan and run.plan["image"]) for run in runs] == [
        ("campaign/jobs/000-a", "abc"),
        ("lone", None),
    ]
    assert [each.run for each in refused] == ["broken"]


def test_a_store_without_runs_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run directory; give a folder"):
        read_stored_runs(tmp_path, say=lambda _: None)
    with pytest.raises(UsageError, match="is not a folder"):
        read_stored_runs(tmp_path / "absent", say=lambda _: None)
