"""The numbers that the README prints are the numbers that whoever runs the demo gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from android_suite.analyze import load_run
from android_suite.campaign.lab import check_parameters
from android_suite.campaign.plan_file import read_plan
from android_suite.cli.main import run
from android_suite.store.run import open_run
from android_suite.virtual.image import build_base
from android_suite.workload.registry import scenario_names
from scripts.demo_numbers import ART_ROW, SIDES, STRESS, TARGETS, update_readme
from tests.journeys.conftest import BASELINE, CANDIDATE
from tests.settings import CONFIG


def read_document(project_root: Path, file: str) -> dict[str, Any]:
    return json.loads((project_root / "docs" / file).read_text())


@pytest.fixture(scope="module")
def numbers(project_root: Path) -> dict[str, Any]:
    return read_document(project_root, "demo.json")["model"]


def read_tables(readme: str) -> dict[str, dict[str, list[str]]]:
    """The tables with a verdict, by the first word group of their header: name of the row -> its other cells."""
    tables: dict[str, dict[str, list[str]]] = {}
    table: dict[str, list[str]] | None = None
    for line in readme.splitlines():
        cells = [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]
        if not line.startswith("|"):
            table = None
        elif cells[-1] == "verdict":
            table = tables.setdefault(cells[0], {})
        elif table is not None:
            table[cells[0]] = cells[1:]
    return tables


@pytest.mark.parametrize(("table", "part"), [("", "model"), ("on ART 14", "art")])
def test_the_readme_prints_them(project_root: Path, table: str, part: str) -> None:
    document = read_document(project_root, "demo.json")
    numbers = document[part]
    printed = read_tables((project_root / "README.md").read_text())[table]
    for metric, values in numbers["gc_stress"].items():
        for row in [cells for name, cells in printed.items() if f"`{metric}`" in name]:
            baseline, candidate = (float(cell.split()[0].replace("−", "-")) for cell in row[:2])
            assert baseline == pytest.approx(values["baseline"], abs=0.05)
            assert candidate == pytest.approx(values["candidate"], abs=0.05)
            assert row[2] == values["verdict"]
    rows = {"`madvise`": numbers} | ({ART_ROW: document["art"]} if part == "model" else {})
    for start, told in rows.items():
        [paths] = [cells for name, cells in printed.items() if name.startswith(start)]
        for cell, side in zip(paths, SIDES, strict=False):
            counts = [int(number.replace(" ", "")) for number in cell.split("/")]
            assert counts == [told["madvise"][side]["mmap_lock"], told["madvise"][side]["per_vma"]]


def test_the_readme_prints_every_metric_of_the_stress(project_root: Path) -> None:
    tables = read_tables((project_root / "README.md").read_text())
    for table in ("", "on ART 14"):
        assert all(any(f"`{metric}`" in name for name in tables[table]) for metric in STRESS)


def test_both_parts_of_the_demo_compare_the_same_kernels(project_root: Path) -> None:
    script = (project_root / "scripts/demo").read_text()
    plans = {}
    for part, (name, folder, _) in TARGETS["demo"].items():
        file = read_plan(project_root / "scenarios" / name, scenarios=scenario_names())
        check_parameters(file)
        plans[part] = file.plan
        assert folder in script
    assert plans["art"].kernels == plans["model"].kernels
    assert (plans["art"].runtime, plans["model"].runtime) == ("art", None)
    assert not plans["art"].warnings, "with fewer seeds there is no verdict"
    assert [plan.scenarios[0].name for plan in plans.values()] == ["gc_stress", "gc_stress"], "whose table comes first"


def test_new_numbers_change_the_readmes_cells_and_nothing_else(project_root: Path) -> None:
    text = (project_root / "README.md").read_text()
    demo = read_document(project_root, "demo.json")
    assert update_readme(text, demo) == text
    demo["model"]["gc_stress"]["frameOverrunMs_p95"]["candidate"] = -12.34
    demo["model"]["vma_stress"]["vmaLockWaitMs_ui"] |= {"candidate": 1, "candidate_range": [0, 2.25]}
    demo["art"]["madvise"]["candidate"] |= {"mmap_lock": 3, "per_vma": 1_234_567}
    demo["art"]["gc_stress"]["jankyFramesPct"]["baseline"] = None
    old, new = text.splitlines(), update_readme(text, demo).splitlines()
    changed = [after for before, after in zip(old, new, strict=True) if before != after]
    assert len(changed) == 5
    assert "| −12.3 ms |" in changed[1]
    assert "| 3 / 1 234 567 |" in changed[0]
    assert "| 1.0 ms (0.0 to 2.2) |" in changed[2]
    assert "| 3 / 1 234 567 |" in changed[3]
    assert "| unknown |" in changed[4]


@pytest.mark.vdev
@pytest.mark.timeout(900)
def test_a_run_of_the_first_seed_gives_them(tmp_path: Path, numbers: dict[str, Any]) -> None:
    found = {}
    for kernel in (BASELINE, CANDIDATE):
        path = tmp_path / kernel
        settings = ["--set", "duration_ms=6000", "--set", "profile=inversion"]
        command = ["record", "gc_stress", "--deterministic", "--seed", "1", "--kernel", kernel, *settings]
        assert run([*command, "-o", str(path)]) == 0
        found[kernel] = path
    digests = {kernel: open_run(path).manifest.iterations[0].trace_digest for kernel, path in found.items()}
    if build_base("arm64", config=CONFIG).digests["base"] == numbers["image_sha256"]:
        assert digests == {kernel: numbers["digests"][f"{kernel} seed 1"] for kernel in found}
    # On another image (another compiler, another busybox) instructions differ a little; what they say does not.
    metrics = {
        kernel: {m.name: m.value for m in load_run(path).iterations[0].summary.metrics}
        for kernel, path in found.items()
    }
    before, after = metrics[BASELINE], metrics[CANDIDATE]
    assert before["invertedMs_gcMadvise"] > 5
    assert after["invertedMs_gcMadvise"] == 0
    assert before["mmapLockWaitMs_ui"] > after["mmapLockWaitMs_ui"] + 5
    assert before["madviseMmapLockPct_gc"] == 100
    assert after["madviseMmapLockPct_gc"] == 0
