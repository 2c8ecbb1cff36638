"""Whose fault a failed scenario is, and where its run is found. The recorder is replaced, so no device is needed."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

import pandas.core.arrays.arrow.extension_types as arrow_types
import pyarrow.parquet
import pytest

from android_suite.boot import attached, virtual
from android_suite.pytest_plugin import recording
from tests import made_runs

pytest_plugins = ["pytester"]
# pytester forgets the modules that the inner run loads first, and numpy cannot be loaded twice: load them here.
LOADED = (arrow_types, pyarrow.parquet, attached, virtual, recording, made_runs)

CONFTEST = """
import pytest

from android_suite.errors import DeviceLost, Unsupported
from android_suite.model.identity import CrashRecord
from android_suite.boot import attached, virtual
from android_suite.boot.booted import Booted
from android_suite.model.readiness import ReadyOptions
from android_suite.pytest_plugin import recording
from tests.made_runs import BEFORE, DEVICE


def record_scenarios(scenarios, device, writer, options, crash_probe):
    writer.set_identity(BEFORE, DEVICE)
    iteration = writer.begin_iteration(scenarios[0], seed=1, boot="b", traced=False, parameters={})
    what = options.parameters["run"]
    if what == "lost":
        raise DeviceLost("the device disconnected; check the cable.")
    if what == "unsupported":
        raise Unsupported("the kernel has no mmap_lock events.")
    if what == "told":
        assert options.capture == "perfetto"
        assert options.ready == ReadyOptions(
            keep=frozenset({"doze", "screen"}), governor="performance", idle_states=False, repeats=7, cool_s=5
        )
    if what == "untold":
        assert (options.capture, options.ready) == ("auto", ReadyOptions())
    if what == "crash":
        iteration.seal("incomplete", "it crashed", crash=CrashRecord(kind="oops", summary="BUG: bad page", console="..."))
    elif what == "boot_crash":
        writer.set_crash(CrashRecord(kind="panic", summary="Kernel panic", console="..."))
    else:
        iteration.seal("complete")


@pytest.fixture
def _claimed(monkeypatch):
    monkeypatch.setattr(recording, "record_scenarios", record_scenarios)
    return Booted(device=None, release=None, accel=None, crash_probe=lambda: None)
"""


def run(pytester: pytest.Pytester, body: str, *options: str) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("def test_it(record):\n    " + body)
    return pytester.runpytest_inprocess("--junitxml=junit.xml", "-p", "no:cacheprovider", *options)


def case(pytester: pytest.Pytester) -> Xml.Element:
    found = Xml.parse(pytester.path / "junit.xml").getroot().find(".//testcase")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("body", "outcome", "tag", "text"),
    [
        ("record('command', run='lost')", "errors", "error", "check the cable"),
        ("record('command', run='true').metric('invertedMs')", "errors", "error", "invertedMs is unknown in 1 of 1"),
        ("record('no_such', run='true')", "errors", "error", "no_such"),
        ("record('command', run='unsupported')", "skipped", "skipped", "no mmap_lock events"),
        ("record('command', run='crash')", "failed", "failure", "BUG: bad page"),
        ("record('command', run='boot_crash')", "failed", "failure", "Kernel panic"),
    ],
)  # fmt: skip
def test_whose_fault_it_is(pytester: pytest.Pytester, body: str, outcome: str, tag: str, text: str) -> None:
    result = run(pytester, body)
    result.assert_outcomes(**{outcome: 1})
    (found,) = (child for child in case(pytester) if child.tag in ("error", "failure", "skipped"))
    assert found.tag == tag
    assert text in f"{found.get('message')} {found.text}"


def test_options_say_what_is_asked_of_the_device(pytester: pytest.Pytester) -> None:
    words = (
        "--keep",
        "doze",
        "--keep",
        "screen",
        "--governor",
        "performance",
        "--no-idle-states",
        "--repeats",
        "7",
        "--cool",
        "5",
    )
    run(pytester, "record('command', run='told')", *words, "--cool", "5", "--capture-with", "perfetto").assert_outcomes(
        passed=1
    )
    run(pytester, "record('command', run='untold')").assert_outcomes(passed=1)
    for word, value in (("--governor", "a; reboot"), ("--repeats", "-1"), ("--cool", "1e9")):
        result = run(pytester, "record('command', run='untold')", f"{word}={value}")
        result.assert_outcomes(errors=1)
        assert f"UsageError: {word}" in result.stdout.str()


def test_the_run_of_a_lost_device_is_told_too(pytester: pytest.Pytester) -> None:
    result = run(pytester, "record('command', run='lost')", "--run-dir", "elsewhere")
    result.stdout.fnmatch_lines([f"{pytester.path / 'elsewhere' / 'test_it-1'}  *::test_it"])


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ("len(done.launches) > 0", "assert 0 > 0"),
        ("len(done.summaries) == 2", "assert 1 == 2"),
        ("len(done.summaries) <= 0", "assert 1 <= 0"),
        ("'com.example' in done.launches", "assert 'com.example' in []"),
        ("len(done.summaries) == pytest.approx(2)", "assert 1 == 2 ± 2"),
    ],
)
def test_a_failed_assertion_is_a_sentence_and_keeps_its_run(pytester: pytest.Pytester, claim: str, words: str) -> None:
    result = run(pytester, f"import pytest\n    done = record('command', run='true')\n    assert {claim}")
    result.assert_outcomes(failed=1)
    said = result.stdout.str()
    assert words in said
    assert "approx" in claim or "= command (1 of 1 iterations complete, " in said  # approx shows its numbers alone
    assert "Recorded(" not in said
    assert "object at 0x" not in said
    (path,) = (one.get("value") for one in case(pytester).iter("property") if one.get("name") == "run")
    assert path is not None
    assert (pytester.path / path / "manifest.json").is_file()


BOOTS = """
import pytest

from android_suite.boot.booted import KernelCrashed
from android_suite.model.identity import CrashRecord


@pytest.fixture(scope="session")
def _booted():
    raise KernelCrashed(CrashRecord(kind="panic", summary="Kernel panic: no init", console="[ 1.0] Kernel panic"))
"""


def test_a_kernel_that_crashes_while_it_boots_fails_its_tests(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(BOOTS)
    pytester.makepyfile("def test_one(record):\n    pass\n\n\ndef test_two(device):\n    pass\n")
    result = pytester.runpytest_inprocess("--junitxml=junit.xml", "-p", "no:cacheprovider")
    result.assert_outcomes(failed=2)
    cases = list(Xml.parse(pytester.path / "junit.xml").getroot().iter("testcase"))
    assert [[child.tag for child in each if child.tag != "properties"] for each in cases] == [["failure"], ["failure"]]
    failure = cases[0].find("failure")
    assert failure is not None
    assert "crashed while it booted (panic): Kernel panic: no init" in f"{failure.get('message')} {failure.text}"


def test_one_device_is_chosen(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(record):\n    pass\n")
    result = pytester.runpytest_inprocess("--serial", "x", "--kernel", "6.17.13", "-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    assert "give one of the two" in result.stdout.str()


def test_the_kernel_is_the_label_unless_there_is_one(pytester: pytest.Pytester) -> None:
    body = "done = record('command', run='true')\n    assert done.analysis.run.manifest.label == {!r}"
    run(pytester, body.format("6.17.13"), "--kernel", "6.17.13").assert_outcomes(passed=1)
    run(pytester, body.format("new"), "--kernel", "6.17.13", "--kernel-label", "new").assert_outcomes(passed=1)
