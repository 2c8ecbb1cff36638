"""The page in Chromium beside campaigns that really run: live without reloading, over a restart of its server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import open_browser
from tests.campaign.conftest import PLAN
from tests.lab_page.test_app import EVENTS, HOSTILE, journal
from tests.lab_page.test_serve import serving
from tests.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PROJECT = Path(__file__).resolve().parents[2]
SHORT = PLAN.replace("seeds = [1, 2, 3]", "seeds = [1]").replace("duration_ms = 100", "duration_ms = 300")
_PATIENCE_S = 600  # seconds; a guest on a busy host is slow


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with open_browser(tmp_path_factory.mktemp("profile")) as chrome:
        yield chrome


def width(browser: webdriver.Chrome, pixels: int) -> None:
    metrics = {"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": pixels < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def wait_for(browser: webdriver.Chrome, what: str, fulfilled: Callable[[], bool]) -> None:
    WebDriverWait(browser, _PATIENCE_S, 0.3).until(lambda _: fulfilled(), what)


def text_of(browser: webdriver.Chrome, selector: str) -> str:
    """Read in one step, since the page may replace the element at any time."""
    told: str = browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
    return told


def shown(browser: webdriver.Chrome, selector: str, words: str) -> None:
    wait_for(browser, f"{words!r} in {selector}", lambda: words in text_of(browser, selector))


def keep(browser: webdriver.Chrome) -> None:
    browser.execute_script("window.kept = true")


def is_kept(browser: webdriver.Chrome) -> bool:
    """Whether the page is the one that was loaded at first."""
    return browser.execute_script("return window.kept === true") is True


def follow(
    browser: webdriver.Chrome, store: Path, begin: Callable[[], subprocess.Popen[bytes]], *, jobs: int, report: str
) -> None:
    """One campaign from its first job to its report, on one page that is never loaded again."""
    width(browser, 1160)
    with serving(store, free_port()) as (_, address):  # it is served there again
        browser.get("about:blank")
        browser.get_log("browser")
        browser.get(address)
        shown(browser, "#live", "live")
        assert "No campaign yet" in text_of(browser, "#campaigns")
        keep(browser)
        process = begin()
        try:
            shown(browser, "#campaigns", "RUNNING")
            assert is_kept(browser)
            # Keys go to whatever has the focus, as a person's do: the page may replace the element at any time.
            ActionChains(browser).send_keys("j").perform()
            assert browser.execute_script("return document.activeElement.className") == "name walk"
            ActionChains(browser).send_keys(Keys.ENTER).perform()
            shown(browser, "#live", "live")
            keep(browser)
            shown(browser, "#campaign", f"of {jobs} jobs")
            assert browser.get_log("browser") == [], "no error, nothing that the page's policy refused"
            campaign = browser.current_url
        except BaseException:
            process.kill()
            raise
    port = int(address.rstrip("/").rpartition(":")[2])
    try:
        shown(browser, "#live", "not connected")
        with serving(store, port):
            shown(browser, "#live", "live")
            shown(browser, "#reports", report)
            process.wait(_PATIENCE_S)
            wait_for(browser, "the end", lambda: "RUNNING" not in text_of(browser, "#campaign"))
            assert f"{jobs} of {jobs} jobs" in text_of(browser, "#campaign")
            assert is_kept(browser), "the page was loaded again"
            assert browser.title.startswith(f"{jobs}/{jobs} ")
            width(browser, 420)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 420
            width(browser, 1160)
            look_at_files(browser, campaign, report)
            browser.get(f"{address}history")
            assert "HISTORY" in text_of(browser, "main").upper()
            assert {url.split("/")[2] for url in requests_of(browser)} == {f"127.0.0.1:{port}"}
    finally:
        process.kill()
        process.wait()


def look_at_files(browser: webdriver.Chrome, campaign: str, report: str) -> None:
    browser.execute_script("document.querySelector('#reports a').click()")
    wait_for(browser, "the report", lambda: browser.current_url.endswith(f"/{report}"))
    browser.get(campaign)
    shown(browser, "#live", "live")
    if "None so far" not in text_of(browser, "#campaign"):
        assert "LabError" in text_of(browser, "#failures")
        browser.execute_script("document.querySelector('#failures a').click()")
        wait_for(browser, "the evidence", lambda: "/file/failed/" in browser.current_url)
        assert "manifest.json" in text_of(browser, "#entries")


def requests_of(browser: webdriver.Chrome) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if url.startswith("http")]


def test_a_campaign_with_a_lost_device(browser: webdriver.Chrome, tmp_path: Path) -> None:
    """The real qualify with scripted devices, one of which is lost once."""
    plan, store, faults = tmp_path / "plan.toml", tmp_path / "store", tmp_path / "faults"
    plan.write_text(PLAN)
    faults.mkdir()
    store.mkdir()
    (faults / "lab-after-seed2").touch()
    argv = [sys.executable, "-m", "tests.campaign.drive", str(plan), str(store / "nightly"), str(faults), "2.0"]
    follow(browser, store, lambda: subprocess.Popen(argv, cwd=PROJECT), jobs=6, report="report.md")


@pytest.mark.vdev
def test_a_campaign_on_virtual_devices(browser: webdriver.Chrome, tmp_path: Path) -> None:
    """Two real kernels, one boot each."""
    plan, store = tmp_path / "plan.toml", tmp_path / "store"
    plan.write_text(SHORT)
    store.mkdir()
    argv = [sys.executable, "-m", "android_suite.cli.main", "qualify", str(plan), "-o", str(store / "nightly")]
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with (tmp_path / "qualify.log").open("wb") as log:

        def begin() -> subprocess.Popen[bytes]:
            return subprocess.Popen(argv, cwd=tmp_path, env=env, stdout=log, stderr=log)

        follow(browser, store, begin, jobs=2, report="report.html")


def test_hostile_names_are_shown_and_run_nothing(browser: webdriver.Chrome, tmp_path: Path) -> None:
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    folder.mkdir()
    (folder / "journal.jsonl").write_text(journal(*EVENTS))
    (folder / "report.html").write_text("<script>document.title='owned'</script><p>forged</p>")
    width(browser, 420)
    with serving(tmp_path) as (_, address):
        browser.get("about:blank")
        browser.get_log("browser")
        browser.get(address)
        shown(browser, "#live", "live")
        assert HOSTILE[:25] in text_of(browser, "#campaigns")
        browser.execute_script("document.querySelector('a.walk').click()")
        shown(browser, "#campaign", "DeviceLost")
        assert browser.find_elements(By.CSS_SELECTOR, "img, iframe, script:not([src='/static/lab.js'])") == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 420
        assert browser.get_log("browser") == []
        browser.execute_script("document.querySelector('#reports a').click()")
        shown(browser, "p", "forged")
        assert "owned" not in browser.title
