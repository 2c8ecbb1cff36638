"""What a user of Python relies on: tables by name, names in place of codes, an iteration of a run."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from android_suite.analysis.pipeline import Analysis
from android_suite.analyze import analyze_file
from android_suite.errors import UsageError
from android_suite.tables.derived import DERIVED_TABLES, ROLES
from android_suite.tables.schema import Column, Table, name_codes
from tests.test_analyze import GOLDEN, make_run


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze_file(GOLDEN)


def test_an_analysis_gives_its_tables_by_name(analysis: Analysis) -> None:
    names = list(analysis)
    assert sorted(names) == sorted({table.name for table in DERIVED_TABLES} | {"frame_gaps", "proc_reads"})
    assert len(analysis) == len(names)
    assert all(name in analysis and isinstance(analysis[name], pd.DataFrame) for name in names)
    assert "no_such_table" not in analysis


def test_every_table_has_names_in_place_of_its_codes(analysis: Analysis) -> None:
    for table in DERIVED_TABLES:
        named = analysis.named(table.name)
        for column in table.columns:
            if "index into" in column.doc or "index as in" in column.doc:
                assert column.names, f"{table.name}.{column.name} does not declare its names"
                assert named[column.name].dtype == "category", f"{table.name}.{column.name}"
            else:
                assert named[column.name].dtype == analysis[table.name][column.name].dtype
    with pytest.raises(UsageError, match=r"there is no table 'no_such_table'; there is .*thread_roles"):
        analysis.named("no_such_table")


def test_a_role_is_found_by_its_name(analysis: Analysis) -> None:
    codes, named = analysis["thread_roles"], analysis.named("thread_roles")
    assert len(named) > 0
    for code, role in enumerate(ROLES):
        assert list(named["tid"][named["role"] == role]) == list(codes["tid"][codes["role"] == code])
    assert codes["role"].dtype == "int8", "what the package reads stays as it is"


def test_a_code_without_a_name_is_missing() -> None:
    table = Table("t", "", (Column("kind", "int8", "", "", ("a", "b")), Column("n", "int64", "", "")))
    named = name_codes(table, pd.DataFrame({"kind": pd.Series([1, -1, 0, 2], dtype="int8"), "n": [1, 2, 3, 4]}))
    assert named["kind"].isna().tolist() == [False, True, False, True]
    assert named["kind"].dropna().tolist() == ["b", "a"]


def test_a_run_with_several_iterations_says_how_to_choose_one(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "incomplete")
    with pytest.raises(UsageError, match=re.escape("iteration=N); there is 0 (command), 1 (command)")):
        analyze_file(run.path)
    assert analyze_file(run.path, iteration=0).source.events == analyze_file(GOLDEN).source.events
    with pytest.raises(UsageError, match=r"0 .command."):
        analyze_file(run.path, iteration=7)
    with pytest.raises(UsageError, match="is not a run directory"):
        analyze_file(GOLDEN, iteration=0)


def test_the_recipes_of_the_manual_run(project_root: Path, analysis: Analysis) -> None:
    """All but the drawing itself, which needs matplotlib."""
    page = (project_root / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[1:]
    drawing = re.compile(r"^(import matplotlib|fig|    ax|ax|for role).*\n", re.MULTILINE)
    known: dict[str, object] = {"analysis": analysis}
    for block in blocks:
        exec(drawing.sub("", block), known)
    assert isinstance(known["ui"], pd.DataFrame)
    waits = known["waits"]
    assert isinstance(waits, pd.DataFrame)
    assert len(waits) == len(analysis["lock_waits"]) > 0
