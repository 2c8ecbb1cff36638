"""The reference in docs/ says what the declarations say."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.reference import render_metrics, render_schemas, render_tables

SCHEMAS = {f"schema/{name}": text for name, text in render_schemas().items()}
PAGES = {"tables.md": render_tables(), "metrics.md": render_metrics(), **SCHEMAS}


@pytest.mark.parametrize("name", PAGES)
def test_it_is_current(project_root: Path, name: str) -> None:
    assert (project_root / "docs" / name).read_text() == PAGES[name], "run `make reference`"


def test_no_schema_is_left_behind(project_root: Path) -> None:
    assert {f"schema/{file.name}" for file in (project_root / "docs/schema").iterdir()} == SCHEMAS.keys()
