"""The documentation builds as a site, with every link and every reference to the API in order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_site_builds_without_a_broken_link(project_root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=project_root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "python.html").read_text()
    assert "analyze_file" in page, "the API reference is not there"


def test_lines_fit_120_columns(project_root: Path) -> None:
    long = [
        f"{page.relative_to(project_root)}:{number} has {len(line)} characters"
        for page in sorted((project_root / "docs").rglob("*.md"))
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 120 and not line.startswith("|")
    ]
    assert not long, long


def test_every_decision_has_its_own_number_and_is_in_the_site(project_root: Path) -> None:
    pages = sorted((project_root / "docs" / "decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert len(set(numbers)) == len(numbers)
    for page, number in zip(pages, numbers, strict=True):
        assert page.read_text(encoding="utf-8").startswith(f"# {number}. "), page.name
    site = (project_root / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page.name for page in pages if f"decisions/{page.name}" not in site] == []
