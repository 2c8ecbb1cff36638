"""The reference in docs/ says what the declarations say."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.reference import render_metrics, render_tables


@pytest.mark.parametrize(("name", "text"), [("tables.md", render_tables()), ("metrics.md", render_metrics())])
def test_it_is_current(project_root: Path, name: str, text: str) -> None:
    assert (project_root / "docs" / name).read_text() == text, "run `make reference`"
