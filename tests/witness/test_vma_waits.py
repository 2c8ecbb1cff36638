"""Waits for a VMA by thread states, against the kernel function they are in, probed in the same run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from android_suite.record.sealed import record_deterministic
from android_suite.store.run import create_run
from android_suite.trace.ring.capture_folder import read_raw_capture
from tests.settings import CONFIG
from tests.witness.vma_waits import compare_vma_waits

pytestmark = [pytest.mark.vdev, pytest.mark.timeout(900)]

# Two CPUs, so that reader and writer meet without being preempted first, and sixty writes to the VMA a frame.
PARAMETERS = {"duration_ms": 1000, "ui_protects": 60}


def test_states_and_probe_tell_the_same_waits(tmp_path: Path) -> None:
    writer = create_run(tmp_path / "run", label="witness", mode="deterministic")
    (iteration,) = record_deterministic(
        ["vma_stress"], writer, config=CONFIG, kernel="6.17.13", cpus=2, seed=3, parameters=PARAMETERS
    )
    assert (iteration.status, iteration.lost_events) == ("complete", 0)
    trace = read_raw_capture(writer.seal().raw(iteration))
    compared = compare_vma_waits(trace, "com.androidsuite.workload")
    said = compared.describe()
    assert len(compared.asleep) > 100, said
    assert len(compared.unlike) == 0, f"{said}\n{compared.unlike}"
    assert len(compared.beside) == 0, f"{said}\n{compared.beside}"
    # Seen in 41 of 1859: the window between the writer's last look and its switch-out is a few microseconds.
    assert len(compared.blocked) - len(compared.asleep) < 0.1 * len(compared.blocked), said
    # A witness that knew nothing would agree with everything.
    blind = replace(trace, tables={**trace.tables, "vma_start_write": trace["vma_start_write"].iloc[:0]})
    assert len(compare_vma_waits(blind, "com.androidsuite.workload").beside) == len(compared.states)
