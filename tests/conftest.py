"""Shared fixtures: where the reference data lies, and a cache that tests may fill."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Checks that stand beside the tests say what they compared, too.
pytest.register_assert_rewrite("tests.trace.perfetto", "tests.virtual.guest")

PROJECT = Path(__file__).resolve().parent.parent

# Files of which each takes minutes, longest first. They start first, so that no worker ends alone with one of them.
LONGEST = (
    "phone/test_fault_matrix.py",
    "campaign/test_devices.py",
    "journeys/test_scenarios.py",
    "journeys/test_art.py",
    "fuzz/test_fuzz.py",
    "campaign/test_cluster.py",
    "virtual/test_kernels.py",
    "boot/test_qualify_phone.py",
    "witness/test_witnesses.py",
    "witness/test_art.py",
    "test_control.py",
)


@pytest.fixture(scope="session")
def project_root() -> Path:
    return PROJECT


@pytest.fixture(scope="session")
def shared_root() -> Path:
    """The folder of reference material beside the project; tests that need it skip where it is absent."""
    root = Path(os.environ.get("ANDROID_SUITE_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip("no reference data beside the project (set ANDROID_SUITE_TEST_DATA)")
    return root.parent


@pytest.fixture(scope="session")
def shared_data(shared_root: Path) -> Path:
    return shared_root / "data"


@pytest.fixture(scope="session")
def shared_cases(shared_root: Path) -> Path:
    folder = shared_root / "cases"
    if not folder.is_dir():
        pytest.skip("no cases beside the reference data")
    return folder


@pytest.fixture(scope="session")
def lab_kernels(shared_root: Path) -> Path:
    folder = shared_root / "kernels"
    if not folder.is_dir():
        pytest.skip("no lab kernels beside the reference data")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((place for place, name in enumerate(LONGEST) if item.path.match(f"tests/{name}")), len(LONGEST))

    items.sort(key=rank)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their argument and place: a test's name holds no content that may change (a gzip's clock)."""
    return argname if isinstance(val, bytes) else None
