"""The table, the chart and the page of a survey, from made numbers."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest

from android_suite.errors import SchemaError, UsageError
from android_suite.model.document import to_plain
from android_suite.model.survey import read_survey
from android_suite.report.survey import BEGIN, END, render_page_part, render_survey, replace_part
from android_suite.report.survey_chart import PANELS, draw_survey
from android_suite.survey.page import read_page, update_page, write_survey
from tests.survey.made import NEW, made_row, made_survey

SVG = "{http://www.w3.org/2000/svg}"


def cells(page: str, heading: str, kernel: str) -> dict[str, str]:
    """One row of a Markdown table, by the titles of its columns."""
    lines = page.split(f"### {heading}\n")[1].split("\n###")[0].splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    row = next(line for line in table if line[0].replace("\\", "") == kernel)
    return dict(zip(table[0], row, strict=True))


def test_a_row_per_kernel_and_unknown_where_it_cannot_be_seen() -> None:
    page = render_page_part(made_survey(), "survey.svg")
    old = cells(page, "Freeing and locks", "6.1.0-50")
    assert (old["madvise on mmap_lock"], old["madvise per VMA"], old["UI waits for mmap_lock (ms)"]) == (
        "5\N{NARROW NO-BREAK SPACE}000", "0", "55.50",
    )  # fmt: skip
    assert old["UI waits for a VMA (ms)"] == "unknown"
    assert set(cells(page, "A reader of maps and smaps", "7.0.13").values()) == {"7.0.13", "unknown"}
    assert cells(page, "A reader of maps and smaps", "7.3.4")["UI behind the reader, VMA lock (ms)"] == "3"
    seen = cells(page, "What each kernel can show", "6.1.0-50")
    assert (seen["recordings"], seen["page fault events"], seen["probe of `__vma_start_write`"]) == (
        "4 of 4",
        "no",
        "no",
    )
    assert "did not boot within 120 s" in page
    assert "UI waits for a VMA: no function of that name can be probed" in page
    assert max(len(line) for line in page.splitlines() if not line.startswith("|")) <= 120


def test_a_change_of_level_is_told_between_neighbours_that_are_known() -> None:
    text = render_survey(made_survey())
    assert "- UI waits for mmap_lock (gc_stress): 55.50" in text
    assert "up to 6.1.0-50" in text
    assert "from 7.3.4 on" in text
    assert not re.search(r"- cold launch", text)
    assert "note: 7.0.13: gc_stress, seed 1" in text


def test_a_chart_has_every_kernel_in_every_panel_and_fits_a_phone() -> None:
    root = ET.fromstring(draw_survey(made_survey()))
    assert int(root.get("width", "")) <= 360
    panels = root.findall(f"{SVG}svg")
    assert len(panels) == len(PANELS)
    bottom = 0.0
    for panel in panels:
        words = [text.text or "" for text in panel.iter(f"{SVG}text")]
        assert {"6.1.0-50", "7.0.13", "7.3.4"} <= set(words)
        assert "unknown" in words  # the one that did not boot
        assert float(panel.get("y", "")) >= bottom, "panels overlap"
        bottom = float(panel.get("y", "")) + float(panel.get("height", ""))
    assert bottom <= float(root.get("height", ""))


def bar_lengths(panel: ET.Element) -> dict[str, float]:
    """Total length of the bars of one panel by color, of the last kernel."""
    bars = [bar for bar in panel.iter(f"{SVG}rect") if float(bar.get("height", "0")) > 9.5]
    last = max(float(bar.get("y", "")) for bar in bars)
    return {bar.get("fill", ""): float(bar.get("width", "")) for bar in bars if float(bar.get("y", "")) == last}


def test_bars_are_as_long_as_their_numbers() -> None:
    values = {**NEW, "behindReaderMmapLock": 10.0, "behindReaderVmaLock": 30.0}
    root = ET.fromstring(draw_survey(made_survey(made_row("7.3.4", values))))
    panel = root.findall(f"{SVG}svg")[[p.title for p in PANELS].index("The UI thread waits behind a weak reader")]
    mmap_lock, vma_lock = bar_lengths(panel).values()
    assert vma_lock / mmap_lock == pytest.approx(3.0, rel=0.02)


def test_a_panel_whose_scenario_did_not_run_is_left_out() -> None:
    values = {key: value for key, value in NEW.items() if key in ("coldLaunch", "warmLaunch")}
    root = ET.fromstring(draw_survey(made_survey(made_row("7.3.4", values))))
    assert [each.text for each in root.findall(f"{SVG}text")] == ["Cold launch"]


def test_hostile_names_stay_text() -> None:
    row = made_row("<script>|x", NEW)
    ET.fromstring(draw_survey(made_survey(row)))
    assert "<script>" not in render_page_part(made_survey(row), "c.svg").replace("\\<script\\>", "")


def test_a_page_keeps_what_is_written_by_hand(tmp_path: Path) -> None:
    page = tmp_path / "kernels.md"
    page.write_text("# Kernels\n\nby hand, above\n")
    update_page(page, made_survey())
    once = page.read_text()
    page.write_text(once + "\nby hand, below\n")
    update_page(page, made_survey(made_row("7.3.4", NEW)))
    twice = page.read_text()
    assert twice.startswith("# Kernels\n\nby hand, above\n\n" + BEGIN)
    assert twice.endswith(f"{END}\n\nby hand, below\n")
    assert "6.1.0" in once
    assert "6.1.0" not in twice
    assert (tmp_path / "images" / "survey.svg").read_text().startswith("<svg xmlns=")
    assert read_survey(json.loads((tmp_path / "survey.json").read_text())) == made_survey(made_row("7.3.4", NEW))


def test_a_page_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.md"
    damaged.write_text(f"# Kernels\n{BEGIN}\n")
    with pytest.raises(UsageError, match="only one of the marks"):
        read_page(damaged)
    with pytest.raises(UsageError, match="no folder"):
        read_page(tmp_path / "none" / "page.md")
    with pytest.raises(UsageError, match="cannot read the page"):
        read_page(tmp_path)
    with pytest.raises(UsageError, match="only one of the marks"):
        replace_part(f"{END} {BEGIN}", "", "x")


def test_the_files_of_a_survey(tmp_path: Path, project_root: Path) -> None:
    write_survey(made_survey(), tmp_path)
    data = json.loads((tmp_path / "survey.json").read_text())
    jsonschema.validate(data, json.loads((project_root / "docs/schema/survey.json").read_text()))
    assert read_survey(data) == made_survey()
    assert "![The kernels side by side](survey.svg)" in (tmp_path / "survey.md").read_text()
    with pytest.raises(SchemaError):
        read_survey({**to_plain(made_survey()), "version": 2})
