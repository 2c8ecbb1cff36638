"""`kernels survey` on two real kernels: the reader of maps takes mmap_lock on one and not on the other."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from android_suite.campaign.plan_file import ANY_PAIR
from android_suite.cli import main as cli
from android_suite.model.survey import SurveyRow, read_survey
from android_suite.store.run import open_run
from android_suite.tables.derived import THREAD_ROLES

pytestmark = pytest.mark.vdev
PLAN = f"""
[plan]
name = "short"
mode = "deterministic"
seeds = [1]

{ANY_PAIR}
[[scenario]]
name = "proc_reader"
parameters = {{ duration_ms = 300, profile = "inversion", reader_files = "maps", reader_period_ms = 10 }}
"""
KERNELS = ("6.16.12", "6.17.13")


def count_holds(out: Path, kernel: str) -> int:
    """How often the reader held mmap_lock of the app."""
    (job,) = (out / "jobs").glob(f"*-{kernel}-*")
    run = open_run(job)
    (iteration,) = run.manifest.iterations
    threads = pd.read_parquet(run.derived(iteration) / f"{THREAD_ROLES.name}.parquet")
    holds = pd.read_parquet(run.derived(iteration) / "lock_holds.parquet")
    app = threads[(threads["process"] == iteration.process) & (threads["comm"] != "proc_reader")]
    mm = holds.loc[holds["tid"].isin(app["tid"]), "mm"].mode()[0]
    readers = threads.loc[threads["comm"] == "proc_reader", "tid"]
    assert len(readers), "the reader is in the trace"
    return int((holds["tid"].isin(readers) & (holds["mm"] == mm)).sum())


def test_a_reader_of_maps_on_two_kernels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, out, page = tmp_path / "plan.toml", tmp_path / "survey", tmp_path / "page.md"
    plan.write_text(PLAN)
    argv = ["kernels", "survey", *KERNELS, "--plan", str(plan), "-o", str(out), "--page", str(page), "--json"]
    assert cli.run(argv) == 0
    found = read_survey(json.loads(capsys.readouterr().out))
    for row in found.rows:
        assert (row.boots, row.notes, row.mmap_lock_events) == (1, (), True), row.notes
        assert row.release is not None
        assert row.release.startswith(row.name)
        assert value(row, "readMaps") > 0
    # Since 5631da56c9a8, in 6.17, maps are read under the lock of each VMA.
    before, after = (count_holds(out, kernel) for kernel in KERNELS)
    assert before > 0
    assert after == 0
    assert value(found.rows[1], "behindReaderMmapLock") == 0
    assert all(kernel in page.read_text() for kernel in KERNELS)
    assert (tmp_path / "images" / "survey.svg").is_file()


def value(row: SurveyRow, key: str) -> float:
    found = row.values[key].value
    assert found is not None, row.values[key].reason
    return found
