"""`probe` on the two kernels of the demo."""

from __future__ import annotations

import json

import pytest

from android_suite.cli.main import run

pytestmark = pytest.mark.vdev


@pytest.mark.parametrize(("kernel", "answer"), [("6.16.12", "no"), ("6.17.13", "yes")])
def test_the_seed_patch_shows_in_what_madvise_does(
    kernel: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["probe", "--kernel", kernel, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["seed_patch"] == answer
    assert told["kernel"]["release"].startswith(kernel)
    evidence = told["evidence"]
    assert evidence["made"] == 400
    path, other = ("per_vma", "mmap_lock") if answer == "yes" else ("mmap_lock", "per_vma")
    assert evidence[path] >= 360
    assert evidence[other] <= 40
    assert "mmap_lock:mmap_lock_start_locking" in evidence["events"]
