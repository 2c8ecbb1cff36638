"""The monitor of the scenario proc_reader: the real program, reading a real process of this machine."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from android_suite.analysis.metrics.listing import list_metrics
from android_suite.analysis.pipeline import Evidence, analyze_trace
from android_suite.device.native_program import build_native
from android_suite.errors import UsageError
from android_suite.evidence.proc_reads import parse_proc_reads
from android_suite.model.analysis import MetricValue
from android_suite.tables.trace import Trace, TraceSource, fill_missing
from android_suite.workload import foreground
from android_suite.workload.registry import find_workload
from android_suite.workload.workload import BringsFiles, complete_parameters
from tests.settings import CONFIG

SOURCE = Path(foreground.__file__).parent / "native" / "proc_reader.c"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("native") / "proc_reader"
    path.write_bytes(build_native(SOURCE, platform.machine(), cache=CONFIG.cache))
    path.chmod(0o755)
    return path


@pytest.fixture
def app() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose mappings are settled: it has answered, and now waits for input."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"x\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"x\n"
        yield process
        process.kill()


def test_each_file_is_read_to_its_end_and_timed(program: Path, app: subprocess.Popen[bytes]) -> None:
    done = subprocess.run(
        [program, str(app.pid), "10", "maps", "smaps"], capture_output=True, text=True, check=True, timeout=60
    )
    reads = parse_proc_reads(done.stdout)
    assert reads["file"].tolist() == ["maps", "smaps"]
    real = [len(Path(f"/proc/{app.pid}/{name}").read_bytes()) for name in ("maps", "smaps")]
    assert reads["bytes"].tolist() == real
    assert (reads["calls"] >= np.ceil(reads["bytes"] / 4096)).all()
    assert (reads["cpu_ns"] > 0).all()
    assert (reads["wall_ns"] > 0).all()


def test_it_is_weak_and_has_a_name(program: Path, tmp_path: Path) -> None:
    """A fifo in place of a file of /proc keeps it waiting, so that it can be looked at."""
    fifo = tmp_path / "f"
    os.mkfifo(fifo)
    with subprocess.Popen([program, "self", "7", f"../..{fifo}"], stdout=subprocess.PIPE) as process:
        with fifo.open("wb") as writer:  # opens once the program has
            stat = Path(f"/proc/{process.pid}/stat").read_text()
            writer.write(b"x" * 5000)
        assert process.stdout is not None
        assert process.stdout.read().split()[-2] == b"5000"
    comm, _, rest = stat.partition("(")[2].rpartition(")")
    assert comm == "proc_reader"
    assert int(rest.split()[16]) == 7


def test_a_process_that_is_gone_and_wrong_use_are_failures(program: Path) -> None:
    gone = subprocess.run([program, "4194303", "10", "maps"], capture_output=True, text=True, check=False, timeout=60)
    assert (gone.returncode, gone.stdout) == (1, "")
    assert gone.stderr == "proc_reader: /proc/4194303/maps: No such file or directory\n"
    wrong = subprocess.run([program, "1"], capture_output=True, text=True, check=False, timeout=60)
    assert (wrong.returncode, wrong.stderr) == (2, "usage: proc_reader PID NICE FILE...\n")


def test_a_lone_guest_contains_the_program_that_its_script_runs() -> None:
    workload = find_workload("proc_reader")
    assert isinstance(workload, BringsFiles)
    ((path, content),) = workload.guest_files("aarch64", CONFIG.cache).items()
    assert content.startswith(b"\x7fELF")
    script = workload.guest_script(
        complete_parameters(workload, {"reader_files": "maps", "reader_nice": 4}), seed=1, token="t"
    )
    assert f"program={path}\n" in script
    assert '"$program" ${pid%% *} 4 maps\n' in script
    assert find_workload("smaps_monitor").guest_files("aarch64", CONFIG.cache) == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("reader_files", "maps,mem", "no reader_files 'mem'"),
        ("reader_period_ms", 0, "1 to 60000"),
        ("reader_nice", 20, "0 to 19"),
    ],
)
def test_parameters_that_make_no_sense(name: str, value: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        complete_parameters(find_workload("proc_reader"), {name: value})


def metrics_of(said: str) -> dict[str, MetricValue]:
    source = TraceSource(
        format="none", path="x", events=0, lost_events=None, clock="mono", start_ns=0, end_ns=0, cpus=0, notes=()
    )
    trace = Trace(source=source, tables=fill_missing({}))
    analysis = analyze_trace(trace, process="com.x", evidence=Evidence(proc_reads=parse_proc_reads(said)))
    return {metric.name: metric for metric in list_metrics(analysis)}


def test_times_of_readings_are_medians_and_need_no_trace() -> None:
    said = (
        "".join(f"did read maps {wall}000000 {wall}00000 9 1\n" for wall in (7, 1, 3))
        + "cat: x\ndid read smaps 1 1 1\n"
    )
    found = metrics_of(said)
    assert (found["procReadMs_maps"].value, found["procReadCpuMs_maps"].value) == (3.0, 0.3)
    assert "procReadMs_smaps" not in found  # the line is not whole
    behind = found["behindReaderMs_mmapLock"]
    assert (behind.value, behind.quality) == (None, "unknown")
    assert "mmap_lock events were not recorded" in (behind.reason or "")
    assert not [name for name in metrics_of("did read\n") if "ead" in name and "Reader" in name]
