"""The arithmetic of `benchmarks.planted` on made boots whose answer is known. Nothing is booted here."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from android_suite.analyze import RunAnalysis
from android_suite.errors import SuiteError, UsageError
from android_suite.model.run import IterationRecord, Manifest
from android_suite.store.run import Run
from android_suite.tables.samples import SAMPLES
from android_suite.tables.schema import make_frame
from benchmarks import planted
from benchmarks.planted import (
    AS_IT_IS,
    TIGHT,
    VARIANTS,
    Recorded,
    count_verdicts,
    gather_boots,
    measure_alarms,
    measure_effects,
    render,
)
from tests.made_runs import AFTER, BEFORE

METRICS = {"frameOverrunMs_p50": (-5.0, 0.3), "frameOverrunMs_p95": (2.0, 0.8), "mmapLockWaitMs_ui": (100.0, 20.0)}


def made_boots(seeds: int = 10, **shift: float) -> pd.DataFrame:
    """Boots that differ by seed, the same ones at each call, each metric shifted by what is given."""
    rng = np.random.default_rng(7)
    columns = {name: level + spread * rng.normal(size=seeds) for name, (level, spread) in METRICS.items()}
    boots = pd.DataFrame(columns, index=pd.RangeIndex(1, seeds + 1))
    for name, by in shift.items():
        boots[name] += by
    return boots


def analyses(variants: list[str], seeds: range = range(1, 7), **changed: Any) -> list[RunAnalysis]:
    """One run directory a variant and seed, as `record` and `analyze` would leave them."""
    boots = made_boots()
    found = []
    for variant in variants:
        for seed in seeds:
            record = IterationRecord(
                index=0, scenario="gc_stress", seed=seed, boot=f"seed-{seed}", status="complete", reason="",
                directory="000-gc_stress", started_at="2026-11-25T10:00:00+00:00", traced=True, lost_events=0,
                trace_digest=f"{variant}{seed}",
                parameters={"profile": "inversion", "duration_ms": changed.get("duration_ms", 3000)},
            )  # fmt: skip
            manifest = Manifest(
                suite="0.1.0", label=variant, mode="deterministic", created_at="2026-11-25T10:00:00+00:00", sealed=True,
                kernel=changed.get("kernel", BEFORE), device=None, iterations=(record,),
            )  # fmt: skip
            rows = [
                {
                    "label": variant, "kernel": "", "boot": f"seed-{seed}", "seed": seed, "scenario": "gc_stress",
                    "iteration": 0, "sample": 0, "traced": True, "metric": name, "unit": "ms", "better": "lower",
                    "value": boots.loc[seed, name],
                    "quality": "lower_bound" if (name, seed) == changed.get("bounded") else "exact",
                    "reason": "",
                    "censored": False,
                }
                for name in METRICS
            ]  # fmt: skip
            samples = make_frame(SAMPLES, {c.name: [row[c.name] for row in rows] for c in SAMPLES.columns})
            found.append(RunAnalysis(run=Run(Path("run"), manifest), iterations=(), samples=samples))
    return found


def verdicts(cand: pd.DataFrame, name: str, *, paired: bool, tight: bool = False, boots: int = 20) -> dict[str, int]:
    margins = TIGHT if tight else {}
    found = count_verdicts(made_boots(), cand, boots, paired=paired, margins=margins, shown=[name], experiments=40)
    return {verdict: count for (metric, verdict), count in found.items() if metric == name}


def test_effects_are_means_of_pairs_with_students_interval() -> None:
    old = pd.DataFrame({"m": [1.0, 2.0, 3.0]})
    new = pd.DataFrame({"m": [2.0, 2.0, 5.0]})
    effect, reach = measure_effects(old, new).loc["m"]
    assert effect == pytest.approx(1.0)
    assert reach == pytest.approx(4.302653 * 1.0 / 3**0.5)  # t of 2 degrees, standard deviation 1


def test_a_slowdown_beyond_the_margin_is_found_in_pairs_and_hidden_by_seeds() -> None:
    slow = made_boots(mmapLockWaitMs_ui=12.0)  # margin 5, spread 20
    assert verdicts(slow, "mmapLockWaitMs_ui", paired=True) == {"WORSE": 40}
    assert verdicts(slow, "mmapLockWaitMs_ui", paired=False).get("WORSE", 0) < 20
    assert verdicts(made_boots(mmapLockWaitMs_ui=-12.0), "mmapLockWaitMs_ui", paired=True) == {"BETTER": 40}


def test_the_margin_says_what_matters() -> None:
    slow = made_boots(frameOverrunMs_p50=0.2)
    assert verdicts(slow, "frameOverrunMs_p50", paired=True) == {"SAME": 40}
    assert verdicts(slow, "frameOverrunMs_p50", paired=True, tight=True) == {"WORSE": 40}


def test_boots_against_themselves_raise_few_alarms() -> None:
    base = made_boots()
    assert measure_alarms(base, 10, margins={}, experiments=100) <= 0.12  # 5 % and 3 standard errors
    base.iloc[:5] += 1e3  # two kinds of seeds, dealt by chance
    assert measure_alarms(base, 10, margins={}, experiments=100) <= 0.12


def test_only_whole_seeds_and_exact_metrics_count() -> None:
    rest = [variant for variant in VARIANTS if variant != AS_IT_IS]
    found = gather_boots(
        [*analyses([AS_IT_IS], range(1, 8)), *analyses(rest, range(2, 8), bounded=("mmapLockWaitMs_ui", 3))]
    )
    for boots in found.boots.values():
        assert boots.index.tolist() == [2, 3, 4, 5, 6, 7]
        assert boots.columns.tolist() == ["frameOverrunMs_p50", "frameOverrunMs_p95"]
        assert boots["frameOverrunMs_p50"].tolist() == made_boots().loc[2:7, "frameOverrunMs_p50"].tolist()
    assert found.conditions["boots"].startswith("42: 6 seeds (2, 3, 4, 5, 6, 7)")


@pytest.mark.parametrize("odd", [{"kernel": AFTER}, {"duration_ms": 6000}])
def test_runs_of_other_kinds_are_refused(odd: dict[str, Any]) -> None:
    first, *rest = VARIANTS
    with pytest.raises(UsageError, match="separate them"):
        gather_boots([*analyses([first]), *analyses(rest, **odd)])


def test_too_few_seeds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="3 seeds"):
        gather_boots(analyses(list(VARIANTS), range(1, 4)))
    with pytest.raises(UsageError, match="0 seeds"):
        planted.read_boots(tmp_path)


def test_page_has_every_variant() -> None:
    boots = {variant: made_boots(frameOverrunMs_p50=0.04 * n) for n, variant in enumerate(VARIANTS)}
    page = render(Recorded(boots=boots, conditions={"kernel": "6.16.12"}), 1)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    power = {tuple(row[:3]): row[3:] for row in rows if len(row) == 9}
    assert power["UI +10 %", "`frameOverrunMs_p50`", "0.05 ms"][5] == "100 / 0"
    assert power["UI +10 %", "`frameOverrunMs_p50`", "0.5 ms"][5] == "0 / 100"
    assert {key[0] for key in power} >= VARIANTS.keys() - {AS_IT_IS}
    assert "- UI +2 %: by none of these metrics with up to 20 boots" in page
    assert "- UI +10 %: `frameOverrunMs_p50` (0.05 ms) with " in page
    assert "Moved by none: `frameOverrunMs_p95`, `mmapLockWaitMs_ui`." in page


def test_record_stops_at_a_failure_and_goes_on_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[str] = []
    refused = ["ui_slowdown_pct=5"]

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        if refused and refused[0] in command:
            return subprocess.CompletedProcess(command, 4, "", "no room")
        target = Path(command[command.index("-o") + 1])
        target.mkdir()
        recorded.append(target.name)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(planted.subprocess, "run", run)
    monkeypatch.setattr(planted, "load_run", lambda path: path)
    with pytest.raises(SuiteError, match=r"seed-01-ui_slowdown_pct-5: record ended with 4: no room"):
        planted.record_boots(tmp_path, seeds=range(1, 50), settings={"duration_ms": 3000}, kernel="6.16.12")
    assert len(recorded) < 49 * len(VARIANTS) - 49
    refused.clear()
    planted.record_boots(tmp_path, seeds=[1], settings={"duration_ms": 3000}, kernel="6.16.12")
    assert len(recorded) == len(set(recorded))
    assert len(list(tmp_path.glob("seed-01*"))) == len(VARIANTS)
