"""JUnit, Markdown, JSON and the terminal, over good, bad and hostile comparisons."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest
from rich.console import Console

from android_suite.compare import compare_runs
from android_suite.model.analysis import AnalysisSummary, RankedThread, SourceSummary, read_analysis
from android_suite.model.analyzed import AnalyzedRun
from android_suite.model.comparison import Comparison
from android_suite.model.document import to_plain
from android_suite.model.gate import Gate
from android_suite.model.identity import CrashRecord, LabelledKernel
from android_suite.report.chains import list_chains
from android_suite.report.html import render_html
from android_suite.report.json_file import render_json
from android_suite.report.junit import render_junit
from android_suite.report.markdown import LONGEST, escape, render_markdown
from android_suite.report.model import ReportModel
from android_suite.report.terminal import render_terminal
from android_suite.report.terminal_preview import render_preview
from tests.made_analyses import made_analyses, made_analysis
from tests.made_runs import PATCHED, World, made_pair

HOSTILE = "<script>alert(1)</script>\"'&]]>\x00\x1b[2J\u202e\ud800@everyone [x](javascript:1) `a` |b|" + "y" * 3000
GATES = (
    Gate(metric="frameOverrunMs_p95", scenario="gc_stress"),
    Gate(metric="invertedMs", scenario="gc_stress"),
    Gate(metric="misspelt"),
)
GOOD_GATES = (Gate(metric="mmapLockWaitMs_ui", scenario="gc_stress"), GATES[1])


@pytest.fixture(scope="module")
def good() -> Comparison:
    return compare_runs(*made_pair(World(boots=5, iterations=1), **PATCHED), gates=GOOD_GATES)


@pytest.fixture(scope="module")
def hostile() -> ReportModel:
    crash = CrashRecord(kind=HOSTILE, summary=HOSTILE, console=HOSTILE + "\n" + HOSTILE)
    world = World(boots=4, iterations=1, process=HOSTILE, crash=crash)
    comparison = compare_runs(*made_pair(world), gates=GATES)
    names = ("label", "release", "version", "build_id", "config_sha256", "cmdline")
    kernel = LabelledKernel(**dict.fromkeys(names, HOSTILE))
    metrics = tuple(replace(m, scenario=HOSTILE, name=HOSTILE, doc=HOSTILE, unit="ms") for m in comparison.metrics[:3])
    return ReportModel(
        title=HOSTILE,
        comparison=replace(comparison, baseline=kernel, candidate=kernel, metrics=metrics),
        runs=made_analyses(HOSTILE),
        crashes=(crash,),
        notes=(HOSTILE,),
        commands=(HOSTILE,),
        created_at=HOSTILE,
        suite_version=HOSTILE,
    )


def model(comparison: Comparison) -> ReportModel:
    return ReportModel(title="Per-VMA madvise", comparison=comparison, runs=made_analyses())


def to_terminal(shown: ReportModel, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    render_terminal(shown, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_terminal_ends_with_the_seeds_table_and_the_verdict(good: Comparison) -> None:
    text = to_terminal(model(good))
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines[-1].startswith("BETTER")
    table = text[text.index("HeapTaskDaemon: madvise calls by path") :]
    assert re.search(r"6\.16\.12\S*\)\s+0\s+8.060\s+0\s+0.%\s+unpatched 8.060", table)
    assert re.search(r"6\.17\.13\S*\)\s+8.060\s+9\s+0\s+99\.9.%\s+spans_vmas 6, remote 3", table)


@pytest.mark.parametrize("decided", [False, True])
def test_a_preview_has_paths_and_headlines_and_verdicts_only_if_decided(good: Comparison, decided: bool) -> None:
    console = Console(file=io.StringIO(), width=160)
    render_preview(good, console, title="demo: 2 of 6 seeds so far", scenario="gc_stress", decided=decided)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert text.startswith("demo: 2 of 6 seeds so far\nHeapTaskDaemon: madvise calls by path")
    assert "invertedMs" in text
    assert ("BETTER" in text) == decided


def test_terminal_of_one_analysis() -> None:
    run = AnalyzedRun(name="trace.txt", analysis=made_analysis(1, patched=True))
    text = to_terminal(ReportModel(title="trace.txt", runs=(run,)))
    assert "HeapTaskDaemon/177" in text
    assert "frameOverrunMs_p95" in text
    assert "unknown" in text


def test_terminal_says_who_waited_for_whom() -> None:
    slow, fast = (AnalyzedRun(name="a.txt", analysis=made_analysis(1, patched=patched)) for patched in (False, True))
    text = to_terminal(ReportModel(title="a.txt", runs=(slow,)))
    row = next(line for line in text.splitlines() if "madvise(MADV_DONTNEED)" in line and "117" in line)
    assert row.index("suite.workload/176 (ui)") < row.index("HeapTaskDaemon/177 (gc)") < row.index("mmap_lock")
    assert "behind a writer" in text
    assert "for mmap_lock; HeapTaskDaemon (gc, prio 124) held it in madvise(MADV_DONTNEED)" in text
    assert "suite.workload/176 (ui)" in text.split("weaker evidence")[1]
    assert "49 late" not in text  # this analysis does not say it
    assert "31 of them only because of inversion" in text
    assert "LaunchActivity" in text.split("Launches")[1]
    assert "young concurrent copying" in text.split("Garbage collections")[1]
    assert "Who waited for whom" not in to_terminal(ReportModel(title="b", runs=(fast,)))
    for page in (render_html, render_markdown):
        shown = page(ReportModel(title="a.txt", runs=(slow,)))
        assert re.search(r"waited", shown)


def test_what_a_trace_cannot_tell_is_said_in_words() -> None:
    """Outside every recorded call: the code of the tables is no word for a reader."""
    told = json.dumps(to_plain(made_analysis(1, patched=False))).replace("madvise(MADV_DONTNEED)", "untraced")
    run = AnalyzedRun(name="a.txt", analysis=read_analysis(json.loads(told), "a"))
    shown = ReportModel(title="a.txt", runs=(run,))
    for text in (to_terminal(shown, 250), render_markdown(shown), render_html(shown)):
        assert "untraced" not in text
        assert text.count("a page fault or an unrecorded call") >= 2
    assert "held it in a page fault or an unrecorded call" in to_terminal(shown, 250)


def test_who_is_to_blame_is_told_by_every_renderer() -> None:
    run = AnalyzedRun(name="r", analysis=made_analysis(1, patched=False))
    chain = (
        "binder call: binder:900_3/903 (prio 120) of system_server, then Java monitor [void a.B.c(int)(B.java:5)]: "
        "android.bg/905 (prio 130) (inferred)"
    )
    releases = "lock:contended_release names the inferred holder in 41 of 42 contended waits for mmap_lock; for 2 more"
    told = ReportModel(title="r", runs=(run,))
    texts = [to_terminal(told, width=400), render_markdown(told), render_html(told)]
    for text in texts:
        plain = re.sub(r"\\(.)", r"\1", text).replace("\u202f", " ")  # Markdown escapes; units follow a narrow space
        assert chain in plain
        assert releases in plain
        assert "running 9 ms, runnable 1 ms, blocked 2 ms" in plain


def test_terminal_says_that_nobody_waited() -> None:
    quiet = replace(made_analysis(1, patched=True), source=SourceSummary(recorded=("mmap_lock", "sched")))
    assert "No wait for mmap_lock or a VMA lock" in to_terminal(
        ReportModel(title="b", runs=(AnalyzedRun(name="b", analysis=quiet),))
    )
    quiet = replace(quiet, source=SourceSummary(recorded=("sched",)))
    assert "Nobody" not in to_terminal(ReportModel(title="b", runs=(AnalyzedRun(name="b", analysis=quiet),)))


def test_junit_counts_gates(good: Comparison) -> None:
    suite = Xml.fromstring(render_junit(model(good))).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "0", "0")
    case = suite.find("testcase")
    assert case is not None
    assert (case.get("classname"), case.get("name")) == ("gc_stress", "mmapLockWaitMs_ui")
    properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert properties["candidate.release"] == "6.17.13+deb13-cloud-arm64"
    assert properties["candidate.madvise.gc.per_vma"] == "8060"
    assert float(properties["mmapLockWaitMs_ui.effect"] or 0) < 0


def test_junit_of_failed_misspelt_and_crashed() -> None:
    crash = CrashRecord(kind="panic", summary="Kernel panic", console="[1.0] Oops\x00")
    pair = made_pair(World(boots=5, iterations=1, crash=crash), frameOverrunMs_p95=4.0)
    suite = Xml.fromstring(render_junit(model(compare_runs(*pair, gates=GATES)))).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "3", "1")
    assert "Oops⟨U+0000⟩" in (suite.findall("testcase")[-1].findtext("failure") or "")


def test_junit_without_gates_has_a_case_a_metric() -> None:
    result = compare_runs(*made_pair(World(boots=5, iterations=1)))
    suite = Xml.fromstring(render_junit(model(result))).find("testsuite")
    assert suite is not None
    assert suite.get("tests") == str(len(result.metrics))


def test_junit_stays_xml_whatever_a_device_says(hostile: ReportModel) -> None:
    text = render_junit(hostile)
    Xml.fromstring(text.encode())
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", text)


def test_markdown_fits_a_comment(good: Comparison) -> None:
    text = render_markdown(model(good))
    assert len(text) < LONGEST
    assert text.startswith("## Per\\-VMA madvise\n")
    assert "| 8 060 |".replace(" 060", "\N{NARROW NO-BREAK SPACE}060") in text
    assert text.count("<details>") == text.count("</details>") == 1
    rows = [line for line in text.splitlines() if line.startswith("| ✅ BETTER")]
    assert rows
    assert len({line.count(" | ") for line in rows}) == 1


def test_markdown_lets_no_markup_through(hostile: ReportModel) -> None:
    text = render_markdown(hostile)
    assert len(text) <= LONGEST + 200
    assert text.count("<details>") == text.count("</details>")
    assert "<script" not in text
    assert not re.search(r"(?<!\\)@everyone", text)
    assert not re.search(r"(?<!\\)\]\(", text)
    assert escape("a|b") == "a\\|b"


def test_markdown_of_an_analysis() -> None:
    text = render_markdown(ReportModel(title="t", runs=made_analyses()[:1]))
    assert "on mmap_lock" in text
    assert "| invertedMs | unknown | unknown |" in text


def test_json_is_the_comparison(good: Comparison) -> None:
    assert json.loads(render_json(model(good))) == json.loads(json.dumps(good.to_json()))
    one = ReportModel(title="t", runs=made_analyses()[:1])
    assert json.loads(render_json(one)) == to_plain(made_analysis(1, patched=False))
    assert len(json.loads(render_json(ReportModel(title="t", runs=made_analyses())))["runs"]) == 6


def test_terminal_obeys_no_escape_sequence(hostile: ReportModel) -> None:
    assert "\x1b" not in to_terminal(hostile)


@pytest.fixture(scope="module")
def good_html(good: Comparison) -> str:
    return render_html(model(good))


def test_html_holds_no_script_and_no_address(hostile: ReportModel, good_html: str) -> None:
    for text in (render_html(hostile), good_html):
        assert "<script" not in text
        assert not re.search(r"""(?:src|href)=["'](?!#|data:,)""", text)
        assert not re.search(r"\bon\w+=", re.sub(r">[^<]*<", "><", text))
        assert "\x00" not in text


def test_html_from_saved_json_is_the_same_to_the_byte(good: Comparison, good_html: str) -> None:
    saved = Comparison.from_json(json.loads(json.dumps(good.to_json())))
    assert render_html(model(saved)) == good_html


def test_html_of_a_lone_analysis_tells_what_was_found() -> None:
    runs = made_analyses()[:1]
    text = render_html(ReportModel(title="trace.dat", runs=runs, notes=("read from a file",)))
    for words in (
        "Launches",
        "Garbage collections",
        "Waits for and holds of the locks",
        "What the threads of late frames spent",
    ):
        assert words in text
    assert "Verdicts" not in text
    assert "read from a file" in text


def test_html_of_next_to_nothing() -> None:
    source = {"format": "ftrace_text", "events": 0}
    bare = read_analysis({"schema": "android-suite/analysis", "version": 1, "source": source})
    assert bare == AnalysisSummary(source=SourceSummary(format="ftrace_text", events=0))
    text = render_html(ReportModel(title="empty", runs=(AnalyzedRun(name="empty.txt", analysis=bare),)))
    assert "empty.txt" in text
    assert "unknown" in text
    render_markdown(ReportModel(title="empty", runs=(AnalyzedRun(name="empty.txt", analysis=bare),)))
    to_terminal(ReportModel(title="empty", runs=(AnalyzedRun(name="empty.txt", analysis=bare),)))
    assert render_html(ReportModel(title="nothing at all"))
    empty = Comparison(baseline=LabelledKernel(), candidate=LabelledKernel(), metrics=(), paths={})
    shown = ReportModel(title="no metric", comparison=empty)
    assert "No metric was measured" in render_html(shown)
    render_junit(shown)
    render_markdown(shown)
    to_terminal(shown)


def test_one_hold_is_drawn_once() -> None:
    analysis = made_analysis(1, patched=False)
    chains = analysis.inversions.chains
    waiter = RankedThread(thread="Binder:1", role="binder", prio=120)
    twin = replace(chains[0], waiter=waiter, duration_ns=chains[0].duration_ns - 1000)
    twice = replace(analysis, inversions=replace(analysis.inversions, chains=(*chains, twin)))
    shown = list_chains([("a", twice)], most=10)
    assert len(shown) == 6
    assert all("Binder:1 " not in chain.sentence for chain in shown)


@pytest.mark.parametrize("width", [40, 80, 128, 200])
def test_terminal_cuts_no_name_at_any_usual_width(good: Comparison, width: int) -> None:
    text = to_terminal(model(good), width)
    assert all(len(line) <= width for line in text.splitlines())
    if width >= 80:
        assert "timeToInitialDisplayMs_cold" in text
        assert ("95" in text.split("app_launch")[1].split("\n")[2]) == (width >= 128)


def test_how_launches_ended_is_a_table() -> None:
    run = made_analyses()[0]
    (launch,) = run.analysis.launches
    ends = ("ok", "timeout", "crash", "elsewhere", "ok", None)
    launches = tuple(replace(launch, outcome=end) for end in ends)
    shown = ReportModel(title="t", runs=[replace(run, analysis=replace(run.analysis, launches=launches))])
    want = [("complete", 2), ("timed out", 1), ("crashed", 1), ("ended in another app", 1), ("not known", 1)]
    markdown, html = render_markdown(shown), render_html(shown)
    table = markdown[markdown.index("| outcome of launches |") :].splitlines()[2:7]
    assert table == [f"| {words} | {count} |" for words, count in want]
    rows = re.findall(r"<tr><td>([a-z ]+)</td><td class=\"n\">(\d)</td></tr>", html.split('class="outcomes"')[1])
    assert rows == [(words, str(count)) for words, count in want]
    without = ReportModel(title="t", runs=[replace(run, analysis=replace(run.analysis, launches=()))])
    assert "launches that were" not in render_markdown(without).lower() + render_html(without).lower()
