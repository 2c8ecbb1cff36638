"""Renders the page of a lab: whole pages, and the parts of them that are sent again when they change."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import jinja2

from android_suite.model.lab_page import Campaign, LabState
from android_suite.report.pages import make_environment, read_template
from android_suite.report.phrases import show_foreign


def render_lab(state: LabState, *, store: str) -> str:
    """The first page: devices and campaigns."""
    return _environment().get_template("lab.html.j2").render(state=state, store=store, parts=render_parts(state, None))


def render_campaign(campaign: Campaign) -> str:
    """The page of one campaign."""
    parts = {"campaign": _campaign(campaign)}
    return _environment().get_template("lab_campaign.html.j2").render(campaign=campaign, parts=parts)


def render_parts(state: LabState, key: str | None) -> dict[str, str]:
    """The parts that change, by the id of their element: of the first page, or of the campaign ``key``."""
    if key is not None:
        campaign = next((c for c in state.campaigns if c.key == key), None)
        return {} if campaign is None else {"campaign": _campaign(campaign)}
    macros = _macros()
    return {"devices": str(macros.devices(state)), "campaigns": str(macros.campaigns(state))}


def render_folder(campaign: Campaign, name: str, entries: Sequence[tuple[str, bool]]) -> str:
    """The list of a folder of evidence: names, and whether each is a folder."""
    page = _environment().get_template("lab_folder.html.j2")
    return page.render(campaign=campaign, name=name, entries=entries)


def style_of_lab() -> str:
    """The style sheet of all these pages."""
    return read_template("report.css") + read_template("lab.css")


def describe_left(seconds: float | None) -> str:
    """An estimate in words; empty if there is none."""
    if seconds is None or seconds < 0:
        return ""
    if seconds < 90:
        return f"about {round(seconds)} s left"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"


def _campaign(campaign: Campaign) -> str:
    return str(_macros().campaign(campaign))


def _macros() -> Any:
    return _environment().get_template("lab_parts.html.j2").module


def _file(name: str, campaign: Campaign) -> str:
    return f"/campaign/{campaign.key}/file/{quote(name, safe='/', errors='surrogateescape')}"


def _end(campaign: Campaign) -> str:
    """What came out, in one word for the chip."""
    if campaign.status != "finished":
        return campaign.status
    words = {0: "done", 1: "worse or failed gate", None: "finished"}
    return words.get(campaign.exit_code, f"exit code {campaign.exit_code}")


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = make_environment()
    environment.filters |= {"left": describe_left, "file_of": _file, "end": _end, "shown": show_foreign}
    return environment
