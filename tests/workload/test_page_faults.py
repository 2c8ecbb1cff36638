"""What page faults cost: the real program on this host, and what is made of its output."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from android_suite.device.native_program import build_native
from android_suite.errors import LabError, UsageError
from android_suite.model.fault_costs import KINDS, parse_fault_costs
from android_suite.workload.page_faults import NAME, SOURCE, PageFaults, judge_output
from android_suite.workload.registry import find_workload
from android_suite.workload.workload import complete_parameters

MACHINE = os.uname().machine


def test_the_program_measures_every_kind_with_the_faults_that_the_kernel_counted(tmp_path: Path) -> None:
    program = tmp_path / NAME
    program.write_bytes(build_native(SOURCE, MACHINE, cache=tmp_path))
    program.chmod(0o755)
    done = subprocess.run([program, "256", "3"], capture_output=True, text=True, check=True)
    costs, ended = parse_fault_costs(done.stdout)
    assert ended
    assert [cost.kind for cost in costs] == list(KINDS)
    by_kind = {cost.kind: cost for cost in costs}
    for kind in ("new", "freed", "zero", "copy"):
        assert by_kind[kind].faults >= 256 * 3, kind
        assert not by_kind[kind].doubt
    assert 0 < by_kind["file"].faults <= 256 * 3 + 8, "one fault maps several pages of a file"
    assert all(cost.page_ns > 0 for cost in costs)
    assert judge_output(done.stdout, 0, "").incomplete == ""


@pytest.mark.parametrize("words", [[], ["0", "1"], ["1"]])
def test_the_program_refuses_bad_arguments(tmp_path: Path, words: list[str]) -> None:
    program = tmp_path / NAME
    program.write_bytes(build_native(SOURCE, MACHINE, cache=tmp_path))
    program.chmod(0o755)
    assert subprocess.run([program, *words], capture_output=True, check=False).returncode


def line(**changes: object) -> str:
    return json.dumps({"kind": "new", "pages": 10, "rounds": 2, "faults": 20, "pass_ns": 15000} | changes)


def test_output_is_read_by_what_it_means() -> None:
    (cost,), ended = parse_fault_costs(
        f"noise\n[1]\n{line()}\n{line(kind='other')}\n{line(pages='x')}\n{line(pages=0)}"
    )
    assert (cost.page_ns, cost.doubt, ended) == (1500.0, "", False)
    (few,), _ = parse_fault_costs(line(faults=12))
    assert few.doubt == "12 faults were counted for 20 pages: something else mapped the rest"


def test_what_cannot_be_measured_is_no_number() -> None:
    assert "it did not end" in judge_output(line(), None, "").incomplete
    refused = judge_output("", 126, "Permission denied")
    assert isinstance(refused.fault, LabError)
    assert "allow programs" in str(refused.fault)


def test_parameters() -> None:
    workload = find_workload("page_faults")
    assert isinstance(workload, PageFaults)
    with pytest.raises(UsageError, match="pages is 0"):
        workload.check(complete_parameters(workload, {"pages": 0}))
    script = workload.guest_script(complete_parameters(workload, {"pages": 100}), seed=3, token="t")
    assert " 103 15 > $out/faults.jsonl" in script
