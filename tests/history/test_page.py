"""The page of a history in Chromium: it stands alone, fits a phone, and shows what changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from android_suite.report.history import render_history_html
from tests.history.test_examine import KERNELS, bimodal, traced
from tests.made_stores import MadeBoot, series_of
from tests.report.test_report_browser import browser, open_page, requests_of, unfold

__all__ = ["browser"]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(5)
    boots: list[MadeBoot] = series_of([f"{k}+deb13-cloud-arm64" for k in KERNELS], [50, 50, 50, 8, 8, 8], 4, rng)
    modes = [b for k in KERNELS[:3] for b in bimodal(10.0, 0.25, 10.0, k, rng)]
    modes += [b for k in KERNELS[3:] for b in bimodal(5.0, 0.25, 15.0, k, rng)]
    boots += [MadeBoot(kernel=b.kernel, boot=b.boot, at=b.at, scenario="app_launch", values=b.values) for b in modes]
    boots += [MadeBoot(kernel="6.17.1", boot="x", scenario="A" * 300, values={"invertedMs": [None]})]
    file = tmp_path_factory.mktemp("history") / "history.html"
    file.write_text(render_history_html(traced(boots)), encoding="utf-8")
    return file


def test_it_stands_alone_and_tells_what_changed(browser: webdriver.Chrome, page: Path) -> None:
    browser.get("about:blank")
    browser.get_log("browser")
    requests_of(browser)
    open_page(browser, page, 1160)
    assert browser.get_log("browser") == []
    assert [url for url in requests_of(browser) if not url.startswith("data:")] == [page.as_uri()]
    rows = [row.text for row in browser.find_elements(By.CSS_SELECTOR, "#changes-table tbody tr")]
    assert len(rows) == 2
    assert "MODES" in rows[0]
    assert "the median stands still" in rows[0]
    assert "BETTER" in rows[1]
    assert "6.14.1 to 6.15.1" in rows[1]
    assert len(browser.find_elements(By.CSS_SELECTOR, "figure svg")) == 2, "what is unknown has no chart"


@pytest.mark.parametrize("pixels", [360, 420, 1160])
def test_nothing_is_wider_than_the_screen(browser: webdriver.Chrome, page: Path, pixels: int) -> None:
    open_page(browser, page, pixels)
    unfold(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= pixels
