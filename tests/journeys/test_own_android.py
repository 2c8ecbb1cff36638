"""A user's own Android system in the virtual device: an image with modules in it, unpacked, checked, booted, measured.

Debian's ART plays the part of the device's (tests/virtual/android/standin.py), in the layout of a device. What that
cannot show is bionic itself.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from android_suite.analyze import load_run
from android_suite.cli.main import run
from android_suite.errors import UsageError
from android_suite.store.run import open_run
from android_suite.virtual.android import build_android
from android_suite.virtual.art import build_runtime
from tests.journeys.conftest import CANDIDATE
from tests.settings import CONFIG
from tests.virtual.android.standin import make_image, make_module, make_tree

pytestmark = [pytest.mark.vdev, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """system.img as a device has it: erofs, its modules ext4 and erofs, one of them compressed."""
    folder = tmp_path_factory.mktemp("android")
    tree = make_tree(folder / "tree", build_runtime("arm64", config=CONFIG).overlay, "arm64")
    modules = tree / "system/apex"
    modules.mkdir()
    make_module(tree / "apex/com.android.art", modules / "com.google.android.art.capex", "ext4", compressed=True)
    make_module(tree / "apex/com.android.runtime", modules / "com.android.runtime.apex", "ext4")
    make_module(tree / "apex/com.android.i18n", modules / "com.android.i18n.apex", "erofs")
    shutil.rmtree(tree / "apex")
    return make_image(tree, folder / "system.img", "erofs lz4")


def test_the_scenario_runs_on_the_systems_runtime(image: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    command = ["record", "gc_stress", "--kernel", CANDIDATE, "--runtime", "art", "--android", str(image)]
    assert run([*command, "--deterministic", "--set", "duration_ms=1000", "-o", str(path)]) == 0
    [file] = path.glob("raw/*/app_result.json")
    told = json.loads(file.read_text())
    assert (told["runtime"], told["complete"]) == ("art", True)
    assert told["frames"] > 50
    summary = load_run(path).iterations[0].summary
    [calls] = [each for each in summary.madvise if each.thread == "HeapTaskDaemon"]
    assert calls.unknown == 0
    assert calls.per_vma >= 0.995 * (calls.per_vma + calls.mmap_lock) >= 1000
    # ART's own sections are in the trace, through our libartpalette-system.
    assert {each.collector for each in summary.gc} == {"concurrent copying"}
    assert "Background" in {each.cause for each in summary.gc}
    assert any("the Android system system.img" in note for note in open_run(path).manifest.notes)


def test_another_machines_system_is_refused(image: Path) -> None:
    with pytest.raises(
        UsageError, match="is of a device with arm64, and the virtual device is amd64; choose with --arch"
    ):
        build_android(image, "amd64", config=CONFIG)
