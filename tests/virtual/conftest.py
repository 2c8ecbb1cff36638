from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.virtual import git_tree, series_tree
from tests.virtual.stand_in import make_tree


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git tree that stands in for the kernel's, and needs none of the kernel's tools."""
    for module in (series_tree, git_tree):
        monkeypatch.setattr(module, "check_tools", lambda arch: None)
    return make_tree(tmp_path / "linux")
