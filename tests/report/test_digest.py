"""The first screen: what got worse, what moved, what is undecided, by weight, and the same on every page."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest
from rich.console import Console

from android_suite.compare import compare_runs
from android_suite.model.comparison import Comparison, MetricComparison, Side
from android_suite.model.gate import Gate
from android_suite.model.identity import LabelledKernel
from android_suite.model.verdict import Verdict
from android_suite.report.digest import HIGHLIGHTS, digest_comparison, explain_p, rank_scenarios
from android_suite.report.html import render_html
from android_suite.report.json_file import render_json
from android_suite.report.junit import render_junit
from android_suite.report.markdown import render_markdown
from android_suite.report.model import ReportModel
from android_suite.report.terminal import render_terminal
from tests.made_runs import MOVED, PATCHED, World, made_pair


@pytest.fixture(scope="module")
def moved() -> Comparison:
    return compare_runs(*made_pair(World(boots=6, iterations=2, vma_locks=True), **(PATCHED | MOVED)))


def made_metric(name: str, verdict: Verdict, *, scenario: str = "s", **changes: object) -> MetricComparison:
    side = Side(boots=5, samples=5, level=10.0, median=10.0, p90=10.0, p95=10.0, p99=10.0)
    metric = MetricComparison(
        scenario=scenario, name=name, unit="ms", better="lower", headline=True, doc="", baseline=side, candidate=side,
        paired=True, effect=1.0, effect_ci=(0.5, 1.5), effect_relative=0.1, margin=2.0, margin_text="2 ms", p_value=0.5,
        p_adjusted=1.0, method="", verdict=verdict, reason="r", boots_to_decide=None,
    )  # fmt: skip
    return replace(metric, **changes)  # type: ignore[arg-type]


def made(*metrics: MetricComparison) -> Comparison:
    return Comparison(baseline=LabelledKernel(), candidate=LabelledKernel(), metrics=metrics, paths={})


def test_moved_is_said_on_every_page(moved: Comparison) -> None:
    (found,) = [each for each in moved.moved if each.fell == "invertedMs_mmapLock"]
    assert (found.scenario, found.rose) == ("gc_stress", "invertedMs_vmaLock")
    model = ReportModel(title="t", comparison=moved)
    console = Console(file=io.StringIO(), width=400)
    render_terminal(model, console)
    assert isinstance(console.file, io.StringIO)
    terminal = console.file.getvalue()
    assert f"Moved: gc_stress: {found.sentence}" in terminal
    assert terminal.strip().splitlines()[-1].startswith("WORSE, MOVED")
    page = render_html(model)
    assert found.sentence.replace("'", "&#39;") in page
    assert page.index("⇄ MOVED") < page.index("<h2>")
    assert re.search(r"🔀 Moved\..*\n[\s\S]*\*\*Moved:\*\*.*invertedMs\\_vmaLock", render_markdown(model))
    assert json.loads(render_json(model))["moved"][0]["sentence"] == moved.moved[0].sentence
    properties = {p.get("name"): p.get("value") for p in Xml.fromstring(render_junit(model)).iter("property")}
    assert properties["gc_stress.moved"] in {each.sentence for each in moved.moved}


def test_the_first_screen_shows_what_got_worse_and_what_moved_first(moved: Comparison) -> None:
    shown = [metric.name for metric in digest_comparison(moved).highlights]
    assert 3 <= len(shown) <= HIGHLIGHTS
    assert shown[0] == "invertedMs_vmaLock"
    assert "invertedMs_mmapLock" in shown[:3]


def test_of_one_quantity_there_is_one_picture() -> None:
    names = [f"frameOverrunMs_p{p}" for p in (50, 90, 95)]
    digest = digest_comparison(made(*(made_metric(name, Verdict.BETTER) for name in (*names, "invertedMs"))))
    assert len(digest.highlights) == 2


def test_a_quantity_is_shown_in_a_second_scenario_only_where_there_is_room() -> None:
    names = ["a", "b", "c", "d", "e"]
    metrics = [made_metric(name, Verdict.BETTER, scenario=scenario) for name in names for scenario in ("s", "t")]
    assert sorted(metric.name for metric in digest_comparison(made(*metrics)).highlights) == names
    few = digest_comparison(made(*metrics[:4])).highlights
    assert sorted((metric.name, metric.scenario) for metric in few) == [("a", "s"), ("a", "t"), ("b", "s"), ("b", "t")]


def test_scenarios_stand_by_weight() -> None:
    metrics = (
        made_metric("a", Verdict.SAME, scenario="app_launch"),
        made_metric("b", Verdict.WORSE, scenario="zoo", headline=False),
        made_metric("c", Verdict.BETTER, scenario="gc_stress"),
    )
    assert rank_scenarios(metrics) == ["zoo", "gc_stress", "app_launch"]


def test_nothing_is_shown_to_be_worse_and_what_leans_is_counted() -> None:
    better, leaning = made_metric("a", Verdict.BETTER), made_metric("b", Verdict.UNDECIDED, leans="worse")
    digest = digest_comparison(made(better, leaning))
    assert digest.verdict is Verdict.BETTER
    assert "nothing is shown to be worse; 1 leans worse" in digest.sentence
    assert digest.leaning == "s b (+10\N{NARROW NO-BREAK SPACE}%)"
    assert dict(digest.lines).keys() == {"Better", "Leans worse", "Undecided"}


def test_what_it_would_take_is_told() -> None:
    metrics = [made_metric(name, Verdict.UNDECIDED, boots_to_decide=boots) for name, boots in (("a", 12), ("b", 9))]
    digest = digest_comparison(made(*metrics))
    assert digest.undecided == (
        "2 metrics (r); about 9 boots per kernel would decide s b; about 12 boots per kernel would decide s a"
    )


def test_failed_gates_are_named() -> None:
    gates = (Gate(metric="frameOverrunMs_p95", scenario="gc_stress"), Gate(metric="absent"))
    comparison = compare_runs(*made_pair(World(boots=6, iterations=1), frameOverrunMs_p95=3.0), gates=gates)
    digest = digest_comparison(comparison)
    assert "failed: gc_stress/frameOverrunMs_p95 and */absent" in digest.sentence
    assert len(digest.failed_gates) == 2
    assert digest.verdict is Verdict.WORSE


def test_a_large_p_beside_an_interval_away_from_zero_is_explained() -> None:
    doubtful = made_metric("a", Verdict.UNDECIDED)
    assert explain_p(doubtful, 0.95) == "a difference, but not shown to exceed the margin (2 ms)"
    assert explain_p(replace(doubtful, effect_ci=(-0.5, 1.5)), 0.95) == ""
    assert explain_p(replace(doubtful, p_adjusted=0.01), 0.95) == ""
    assert explain_p(replace(doubtful, p_adjusted=None), 0.95) == ""
    page = render_html(ReportModel(title="t", comparison=made(doubtful)))
    assert "not shown to exceed the margin (2 ms)" in page
    assert "p tests for an effect beyond the margin" in page
    plain = render_html(ReportModel(title="t", comparison=made(made_metric("a", Verdict.BETTER, p_adjusted=0.01))))
    assert "p tests for an effect beyond the margin" not in plain


@pytest.mark.parametrize(("mode", "words"), [("realtime", "emulated device"), ("deterministic", "time is virtual")])
def test_times_that_are_no_phones_carry_their_caveat(mode: str, words: str) -> None:
    model = ReportModel(title="t", comparison=compare_runs(*made_pair(World(boots=2, iterations=1, mode=mode))))
    console = Console(file=io.StringIO(), width=400)
    render_terminal(model, console)
    assert isinstance(console.file, io.StringIO)
    for text in (render_html(model), render_markdown(model), render_junit(model), console.file.getvalue()):
        assert words in text


def test_the_index_leads_to_what_is_there(moved: Comparison) -> None:
    page = render_html(ReportModel(title="t", comparison=moved))
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    links = re.findall(r'href="#([^"]+)"', page)
    assert len(links) >= 5
    assert set(links) <= ids
    sections = re.findall(r'<section id="([^"]+)"', page)
    assert links == [section for section in sections if section != "highlights"]
