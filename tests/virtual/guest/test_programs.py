"""The sources of the guest's programs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.virtual.guest.guests import build_programs


@pytest.mark.parametrize("compiler", ["gcc", "aarch64-linux-gnu-gcc"])
def test_programs_compile_without_a_warning(tmp_path: Path, compiler: str) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    build_programs(tmp_path / "bin", compiler)
    assert {path.name for path in (tmp_path / "bin").iterdir()} >= {"app_process", "toolbox"}
