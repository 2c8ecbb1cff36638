"""ART's own HeapTaskDaemon on both kernels, beside which the kernel counts its calls by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from android_suite.analysis.pipeline import Analysis, analyze_trace
from android_suite.capture.trace_plan import TraceOptions
from android_suite.device.connect import connect
from android_suite.device.device import Device
from android_suite.record.live import RecordOptions, record
from android_suite.store.run import create_run
from android_suite.tables.derived import PATHS
from android_suite.trace.ring.capture_folder import read_raw_capture
from android_suite.virtual import VirtualDevice, fetch_kernel
from android_suite.virtual.art import build_runtime
from tests.settings import CONFIG
from tests.stress_sequence import expect_mixed
from tests.witness.kernel_counts import KernelCounts, read_counts, start_counting

pytestmark = [pytest.mark.vdev, pytest.mark.timeout(1800)]

# Work and not time is fixed, so that a slow host sees as many calls. A small heap is collected often.
STEPS = 48_000
STRESS = f"dalvikvm -Xmx64m com.androidsuite.workload.Stress seed=1 steps={STEPS}"
DONTNEED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """A run of the stress on ART: the kernel that it ran on, what it printed, what suite and kernel counted."""

    kernel: str
    told: Mapping[str, object]
    analysis: Analysis
    counts: KernelCounts
    lost: int


@pytest.fixture(scope="module", params=["6.16.12", "6.17.13"])
def witnessed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Witnessed:
    folder = tmp_path_factory.mktemp("art")
    kernel = fetch_kernel(request.param, "arm64", config=CONFIG)
    overlays = [build_runtime("arm64", config=CONFIG).overlay]
    with VirtualDevice(config=CONFIG, kernel=kernel, memory_mb=2048, overlays=overlays) as machine:
        machine.start()
        device = Device(connect(CONFIG, machine.serial))
        start_counting(device)
        writer = create_run(folder / "run", label="art", mode="realtime")
        options = RecordOptions(
            cache=CONFIG.cache,
            parameters={"run": STRESS, "process": "dalvikvm", "timeout_s": 1200.0},
            tracing=TraceOptions(buffer_kb=65536),
            take_tracing=True,  # the counters' triggers show as events of somebody else's
        )
        record(["command"], device, writer, options)
        run = writer.seal()
        counts = read_counts(device)
    raw = run.raw(run.manifest.iterations[0])
    trace = read_raw_capture(raw)
    return Witnessed(
        kernel=request.param,
        told=json.loads((raw / "command_stdout.txt").read_text().partition("result ")[2]),
        analysis=analyze_trace(trace, process="dalvikvm"),
        counts=counts,
        lost=trace.source.lost_events,
    )


def test_every_call_of_arts_threads_and_its_path_to_the_last(witnessed: Witnessed) -> None:
    """Kprobes on the system call and on taking an rwsem in mm/madvise.c against the suite's reading of its trace."""
    roles, counts = witnessed.analysis["thread_roles"], witnessed.counts
    own = roles[roles["process"] == "dalvikvm"]
    [gc] = own[own["comm"] == "HeapTaskDaemon"]["tid"].tolist()
    madvise = witnessed.analysis["madvise"]
    madvise = madvise[madvise["tid"].isin(own["tid"])]
    by_thread = madvise.groupby(["tid", "advice", "path"]).size()
    assert (witnessed.lost, counts.missed) == (0, 0)
    keys = {(int(tid), int(advice)) for tid, advice, _ in by_thread.index}
    assert {key for key in counts.calls if key[0] in set(own["tid"])} == keys
    for tid, advice in keys:
        paths = [int(by_thread.get((tid, advice, path), 0)) for path in range(len(PATHS))]
        assert sum(paths) == counts.calls[tid, advice]
        assert paths[PATHS.index("mmap_lock")] == counts.took.get((tid, advice), 0)
    freed = {path: int(by_thread.get((gc, DONTNEED, PATHS.index(path)), 0)) for path in PATHS}
    calls = counts.calls[gc, DONTNEED]
    assert calls >= 10_000
    assert freed["unknown"] == 0
    if witnessed.kernel == "6.16.12":
        assert freed["per_vma"] == 0
        assert counts.vma_found.get(gc, 0) == 0
    else:
        assert freed["per_vma"] >= 0.995 * calls
        assert counts.vma_found[gc] >= freed["per_vma"]


def test_the_stress_made_the_objects_that_its_seed_says(witnessed: Witnessed) -> None:
    told = witnessed.told
    assert (told["allocations"], told["allocated_bytes"], told["digest"]) == (STEPS, *expect_mixed(1, STEPS))
