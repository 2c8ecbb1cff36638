"""The page in a real browser: no script, no request, nothing wider than a phone, printable, hostile text inert."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from android_suite.compare import compare_runs
from android_suite.model.gate import Gate
from android_suite.model.identity import CrashRecord
from android_suite.report.html import render_html
from android_suite.report.model import ReportModel
from tests.browser import open_browser
from tests.made_analyses import made_analyses
from tests.made_runs import MOVED, PATCHED, World, made_pair

pytestmark = pytest.mark.browser

HOSTILE = "com.<script>document.title='owned'</script><img src=x onerror=alert(1)>\x1b[31m\u202emoc" + "A" * 600
WORSE = {"frameOverrunMs_p95": 2.5, "mmapLockWaitMs_ui": 1.8, "timeToInitialDisplayMs_cold": 1.2}
WORLDS = {
    "good": (World(boots=6, iterations=2), PATCHED),
    "bad": (
        World(
            boots=6,
            iterations=2,
            untraced=True,
            process=HOSTILE,
            crash=CrashRecord(kind="panic", summary=HOSTILE, console=f"[ 1.0] {HOSTILE}\n" * 30),
        ),
        WORSE,
    ),
    "undecided": (World(boots=2, iterations=1, seeded=False), {}),
    "moved": (World(boots=6, iterations=2, vma_locks=True), PATCHED | MOVED),
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with open_browser(tmp_path_factory.mktemp("profile")) as chrome:
        yield chrome


@pytest.fixture(scope="module", params=list(WORLDS))
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    world, effects = WORLDS[request.param]
    gates = (Gate(metric="frameOverrunMs_p95", scenario="gc_stress"),)
    comparison = compare_runs(*made_pair(world, **effects), gates=gates)
    model = ReportModel(
        title=f"Per-VMA madvise ({request.param})",
        comparison=comparison,
        runs=made_analyses(HOSTILE if request.param == "bad" else "com.androidsuite.workload"),
        commands=("android-suite compare before after",),
    )
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render_html(model), encoding="utf-8")
    return request.param, file


def open_page(browser: webdriver.Chrome, file: Path, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(file.as_uri())


def unfold(browser: webdriver.Chrome) -> None:
    browser.execute_script("document.querySelectorAll('details').forEach(e => e.open = true)")


def requests_of(browser: webdriver.Chrome) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [str(params["request"]["url"]) for params in sent]


def test_page_stands_alone(browser: webdriver.Chrome, page: tuple[str, Path]) -> None:
    name, file = page
    browser.get("about:blank")
    browser.get_log("browser")
    requests_of(browser)
    open_page(browser, file, 1200)
    assert browser.get_log("browser") == []
    urls = [url for url in requests_of(browser) if not url.startswith("data:")]
    assert urls == [file.as_uri()]
    assert browser.title == f"Per-VMA madvise ({name})"
    assert browser.find_elements(By.CSS_SELECTOR, "script, img, iframe, object, link[rel=stylesheet]") == []


def test_tables_and_charts_are_there(browser: webdriver.Chrome, page: tuple[str, Path]) -> None:
    name, file = page
    open_page(browser, file, 1200)
    rows = browser.find_elements(
        By.CSS_SELECTOR,
        "#verdict-table tbody tr:not(.group), #other-table tbody tr:not(.group), #same-table tbody tr:not(.group)",
    )
    assert len(rows) == (24 if name == "moved" else 22)
    word = {"good": "BETTER", "bad": "WORSE", "undecided": "UNDECIDED", "moved": "MOVED"}[name]
    assert any(word in row.text for row in rows) or name == "moved"
    assert word in browser.find_element(By.CSS_SELECTOR, ".result").text or name == "good"
    assert len(browser.find_elements(By.CSS_SELECTOR, "#paths-table tbody tr")) == 2
    unfold(browser)
    charts = browser.find_elements(By.CSS_SELECTOR, "figure svg[role=img]")
    assert len(charts) >= 12
    assert all(chart.size["height"] > 40 and chart.size["width"] > 200 for chart in charts)
    ids: list[str] = browser.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_a_phone_needs_no_sideways_scrolling(browser: webdriver.Chrome, page: tuple[str, Path]) -> None:
    _, file = page
    open_page(browser, file, 360)
    unfold(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    wide: list[str] = browser.execute_script(
        "return [...document.querySelectorAll('main *')].filter(e => !e.closest('svg, thead') && "
        "e.getBoundingClientRect().right > 361).map(e => e.outerHTML.slice(0, 200))"
    )
    assert wide == []
    scales: list[float] = browser.execute_script(
        "return [...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().width / "
        "s.viewBox.baseVal.width)"
    )
    assert min(scales) > 0.85  # labels of 11 px stay above 9


def test_the_first_screen_holds_verdict_and_pictures(browser: webdriver.Chrome, page: tuple[str, Path]) -> None:
    _, file = page
    open_page(browser, file, 1160)
    places: list[float] = browser.execute_script(
        "return ['.result', '#highlights .card:last-child', 'nav'].map("
        "s => document.querySelector(s).getBoundingClientRect().bottom)"
    )
    assert places == sorted(places)
    assert places[-1] < 1200
    assert 3 <= len(browser.find_elements(By.CSS_SELECTOR, "#highlights .card")) <= 5
    length: float = browser.execute_script("return document.documentElement.scrollHeight")
    assert length < 6500, "the report was 12,500 px long, and that was too long"
    wide: list[str] = browser.execute_script(
        "return [...document.querySelectorAll('table')].filter(e => e.getBoundingClientRect().right > 1160).map(e => e.id)"
    )
    assert wide == []


def test_it_prints(browser: webdriver.Chrome, page: tuple[str, Path]) -> None:
    _, file = page
    open_page(browser, file, 1200)
    printed: dict[str, Any] = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pdf = base64.b64decode(printed["data"])
    assert pdf.startswith(b"%PDF")
    assert 3 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type/Page\n") <= 40


def test_paper_has_the_colours_of_the_screen_and_whole_rows(browser: webdriver.Chrome, page: tuple[str, Path]) -> None:
    open_page(browser, page[1], 1160)
    look = """const row = document.querySelector("#verdict-table tbody tr:not(.group)"), at = getComputedStyle(row);
        const head = getComputedStyle(document.querySelector("h2")), nav = document.querySelector("nav");
        return {row: [at.color, at.backgroundColor], whole: at.breakInside, head: head.breakAfter,
                nav: nav ? getComputedStyle(nav).display : "none"}"""
    screen = browser.execute_script(look)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        paper = browser.execute_script(look)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert paper["row"] == screen["row"]
    assert (paper["whole"], paper["head"], paper["nav"]) == ("avoid", "avoid", "none")
    assert screen["nav"] != "none"


def test_hostile_text_is_shown_as_text(browser: webdriver.Chrome, page: tuple[str, Path]) -> None:
    name, file = page
    open_page(browser, file, 1200)
    if name != "bad":
        assert "⟨U+" not in browser.find_element(By.TAG_NAME, "body").text
        return
    text = browser.find_element(By.TAG_NAME, "body").text
    assert "<script>document.title='owned'</script>" in text
    assert "<img src=x onerror=alert(1)>⟨U+001B⟩[31m⟨U+202E⟩moc" in text
    assert browser.title == "Per-VMA madvise (bad)"
