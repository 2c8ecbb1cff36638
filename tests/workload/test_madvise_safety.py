"""The scenario that checks what madvise must never do: its program on this machine's kernel, and what is made of it."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path

import pytest

from android_suite.device.device import WORK_FOLDER
from android_suite.device.native_program import build_native
from android_suite.errors import LabError, UsageError
from android_suite.model.checks import parse_checks
from android_suite.workload.madvise_safety import CHECKS_FILE, HUGE, NAME, RACES, SOURCE, judge_output
from android_suite.workload.registry import find_workload
from android_suite.workload.workload import complete_parameters

PROPERTIES = {"zeros", "neighbours", "writes", "calls", "guards"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("native")
    made = folder / NAME
    made.write_bytes(build_native(SOURCE, platform.machine(), cache=folder))
    made.chmod(0o755)
    return made


def run(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=300, check=False)


def test_every_race_tells_of_every_property_and_this_kernel_fails_none(program: Path) -> None:
    done = run(program, "1", "12", "1", "120")
    results, ended = parse_checks(done.stdout)
    assert (done.returncode, done.stderr, ended) == (0, "", True)
    # Other processes of this machine are in the log and in the counters, too.
    own = [each for each in results if not each.check.startswith("system/")]
    assert [each for each in own if each.result == "failed"] == []
    assert tuple(dict.fromkeys(each.check.partition("/")[0] for each in own)) == RACES
    told = {each.check for each in own}
    assert {f"{race}/{name}" for race in RACES for name in PROPERTIES - {"guards"}} <= told
    assert {each.check for each in results} - told == {"system/pages", "system/kernel_log"}
    assert all(each.reason for each in results if each.result == "unsupported")
    passed = {each.check: each.tried for each in own if each.result == "passed"}
    assert passed["faults/zeros"] > 0
    assert passed["mprotect/neighbours"] > 0


def test_more_cpus_than_there_are_is_unsupported_and_not_passed(program: Path) -> None:
    results, ended = parse_checks(run(program, "1", "1", "999", "60", "faults").stdout)
    assert ended
    told = {each.check: each for each in results}
    assert (told["faults/zeros"].result, told["faults/zeros"].cpus) == ("unsupported", 999)
    assert "999 CPUs" in told["faults/zeros"].reason


@pytest.fixture(scope="module")
def late_pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("late") / "late_pages"
    source = Path(__file__).parent / "late_pages.c"
    subprocess.run(["gcc", "-Wall", "-I", SOURCE, "-o", made, source], check=True, timeout=60)
    return made


@pytest.mark.parametrize(
    ("late_ms", "kept", "swing", "result", "reason"),
    [
        (0, 0, 0, "passed", ""),
        (0, 256, 0, "passed", ""),
        (10_000, 0, 0, "passed", ""),  # RCU frees page tables that late (CONFIG_RCU_LAZY)
        (10_000, 300, 0, "failed", "300 more than before"),
        (3_600_000, 0, 0, "failed", "1000 more than before"),
        (10_000, 300, 40, "unsupported", "other processes use memory"),
    ],
)
def test_a_leak_is_what_is_there_after_all_late_frees(
    late_ms: int, kept: int, swing: int, result: str, reason: str, late_pages: Path
) -> None:
    done = run(late_pages, str(late_ms), str(kept), str(swing))
    told, took = (json.loads(line) for line in done.stdout.splitlines())
    assert (told["check"], told["result"]) == ("system/pages", result)
    assert reason in told["reason"]
    assert took["took_ms"] <= (2_000 if (late_ms, result) == (0, "passed") else 17_000)


@pytest.mark.parametrize("words", [(), ("1", "0", "1"), ("1", "5", "1", "0")])
def test_the_program_says_how_it_is_called(program: Path, words: tuple[str, ...]) -> None:
    done = run(program, *words)
    assert done.returncode == 2
    assert "usage: madvise_safety SEED ROUNDS CPUS" in done.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cpus": "1,x"}, "such as 1,4"),
        ({"cpus": "0"}, "such as 1,4"),
        ({"rounds": 0}, "choose 1 to"),
        ({"race": "mmap"}, "no race 'mmap'"),
        ({"patience_s": 0}, "choose 1 to 3600"),
    ],
)
def test_bad_parameters_are_refused_before_a_device_is_touched(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        complete_parameters(find_workload(NAME), given)


def test_what_became_of_the_program() -> None:
    line = json.dumps({"check": "faults/zeros", "cpus": 1, "result": "failed", "tried": 1, "reason": "x"})
    whole = judge_output(f'{line}\n{{"end": true}}\n', 0, "")
    assert (whole.incomplete, whole.fault) == ("", None)
    cut = judge_output(line, None, "")
    assert "stopped after 1 results (it did not end)" in cut.incomplete
    refused = judge_output("", 126, "Permission denied")
    assert isinstance(refused.fault, LabError)
    assert "Permission denied" in str(refused.fault)


def test_a_lone_guest_has_the_program_and_leaves_its_results(tmp_path: Path) -> None:
    workload = find_workload(NAME)
    parameters = complete_parameters(workload, {"race": "borders", "cpus": "1"})
    script = workload.guest_script(parameters, seed=3, token="t")
    ((path, content),) = workload.guest_files(platform.machine(), tmp_path).items()  # type: ignore[attr-defined]
    assert path in script
    assert content.startswith(b"\x7fELF")
    evidence, outcome = workload.read_guest({CHECKS_FILE: b'{"end": true}'}, parameters, "t")
    assert evidence == {CHECKS_FILE: '{"end": true}'}
    assert "stopped after 0 results" in outcome.incomplete


def test_huge_pages_that_are_off_are_allowed_for_the_races_and_forbidden_again(tmp_path: Path) -> None:
    """Both halves of a lone guest's script, on files that stand for the kernel's and the device's."""
    workload = find_workload(NAME)
    parameters = complete_parameters(workload, {})
    before = workload.guest_prepare(parameters)
    after = workload.guest_script(parameters, seed=1, token="t").partition("safety_status.txt\n")[2]
    switch, work = tmp_path / "enabled", tmp_path / "work"

    def sh(script: str) -> None:
        there = script.replace(HUGE, str(switch)).replace(WORK_FOLDER, str(work))
        assert str(switch) in there
        subprocess.run(["sh", "-c", there], check=True, timeout=30)

    for off, then, last in (("always madvise [never]", "madvise", "never"), *2 * [("always [madvise] never",) * 3]):
        switch.write_text(off)
        sh(before)
        assert switch.read_text().strip() == then
        sh(after)
        assert switch.read_text().strip() == last
        assert not list(work.iterdir())
    switch.write_text("[never]")
    sh(before)  # and was killed
    sh(before)
    sh(after)
    assert switch.read_text() == "never\n"
    switch.unlink()  # a kernel without them
    switch.mkdir()
    sh(before)
    sh(after)
