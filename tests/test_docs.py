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
