"""The ASGI application: what each address answers. It reads and renders; it has no way to change anything."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from android_suite.lab_page.access import Gate
from android_suite.lab_page.campaigns import CampaignReader
from android_suite.lab_page.files import Refused, open_member
from android_suite.model.lab_page import Campaign, LabDevice, LabState
from android_suite.report.lab import render_campaign, render_folder, render_lab, render_parts, style_of_lab

Devices = Callable[[], tuple[tuple[LabDevice, ...], str]]  # the devices, and why there is no list
HistoryPage = Callable[[str], str]  # order of the kernels -> a page

READ_S: Final = 1.0  # the store is read at most this often
DEVICES_S: Final = 5.0
_HEARTBEAT_S = 15.0
_CHUNK = 1 << 16
# A report or a log of the store may be made by anyone: no script, no form, an origin of its own.
_FOREIGN: Final = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"}
_OWN_STYLE: Final = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:"}
_TEXTS = (".txt", ".log", ".json", ".jsonl", ".xml", ".md", ".toml", ".csv")


@dataclass(slots=True)
class Hub:
    """What is known of the lab, read again when it is asked for and older than a moment.

    Args:
        store: the folder with campaigns and runs.
        devices: lists the devices; called in a thread.
        history: renders the history page; called in a thread, one at a time.
    """

    store: Path
    devices: Devices
    history: HistoryPage
    clock: Callable[[], float] = time.monotonic
    _reader: CampaignReader = field(init=False)
    _state: LabState | None = None
    _read_at: float = 0.0
    _listed: tuple[tuple[LabDevice, ...], str] = ((), "")
    _listed_at: float | None = None
    _reading: anyio.Lock = field(default_factory=anyio.Lock)
    _rendering: anyio.Lock = field(default_factory=anyio.Lock)

    def __post_init__(self) -> None:
        self._reader = CampaignReader(self.store)

    async def state(self) -> LabState:
        """The lab now."""
        async with self._reading:
            if self._state is None or self.clock() - self._read_at >= READ_S:
                self._state = await anyio.to_thread.run_sync(self._read)
                self._read_at = self.clock()
            return self._state

    def _read(self) -> LabState:
        if self._listed_at is None or self.clock() - self._listed_at >= DEVICES_S:
            self._listed = self.devices()
            self._listed_at = self.clock()
        devices, trouble = self._listed
        return LabState(devices=devices, devices_trouble=trouble, campaigns=tuple(self._reader.read()))

    async def campaign(self, key: str) -> Campaign | None:
        """One campaign by its key."""
        return next((c for c in (await self.state()).campaigns if c.key == key), None)

    async def render_history(self, order: str) -> str:
        """The history page; one at a time, because it takes a core."""
        async with self._rendering:
            return await anyio.to_thread.run_sync(self.history, order)


def make_app(hub: Hub, *, token: str | None, secure: bool = False) -> ASGIApp:
    """The page.

    Args:
        hub: what it shows.
        token: what readers need; None: they must be on this host.
        secure: whether it is served over TLS.
    """
    pages = _Pages(hub)
    app = Starlette(
        routes=[
            Route("/", pages.lab),
            Route("/campaign/{key}", pages.campaign),
            Route("/campaign/{key}/file/{name:path}", pages.file),
            Route("/history", pages.history),
            Route("/events", pages.events),
            Route("/api/state", pages.state),
            Route("/static/{name}", pages.static),
        ]
    )
    return Gate(app, token=token, secure=secure)


class _Pages:
    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    async def lab(self, request: Request) -> Response:
        return HTMLResponse(render_lab(await self.hub.state(), store=str(self.hub.store)))

    async def campaign(self, request: Request) -> Response:
        found = await self.hub.campaign(request.path_params["key"])
        return _absent() if found is None else HTMLResponse(render_campaign(found))

    async def state(self, request: Request) -> Response:
        # In ASCII, since a name of a file may be no Unicode text, which UTF-8 could not say.
        text = json.dumps((await self.hub.state()).to_json(), allow_nan=False)
        return Response(text, media_type="application/json")

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name == "lab.css":
            return Response(style_of_lab(), media_type="text/css")
        if name == "lab.js":
            script = resources.files("android_suite.lab_page") / "static" / "lab.js"
            return Response(script.read_text(encoding="utf-8"), media_type="text/javascript")
        return _absent()

    async def history(self, request: Request) -> Response:
        order = "date" if request.query_params.get("by") == "date" else "kernel"
        return HTMLResponse(await self.hub.render_history(order), headers=_OWN_STYLE)

    async def file(self, request: Request) -> Response:
        """A file of a campaign, or the list of a folder."""
        found = await self.hub.campaign(request.path_params["key"])
        name = request.path_params["name"].rstrip("/")
        if found is None:
            return _absent()
        path = "/".join(part for part in (found.folder, name) if part not in ("", "."))
        try:
            file, entries = await anyio.to_thread.run_sync(open_member, self.hub.store, path)
        except Refused:
            return _absent()
        if file is None:
            return HTMLResponse(render_folder(found, name, entries))
        size = os.fstat(file.fileno()).st_size

        async def content() -> AsyncIterator[bytes]:
            left = size  # a log that grows while it is sent ends where it was
            with file:
                while left > 0 and (part := await anyio.to_thread.run_sync(file.read, min(_CHUNK, left))):
                    left -= len(part)
                    yield part

        kind = "text/html" if path.endswith(".html") else "text/plain" if path.endswith(_TEXTS) else None
        headers = {**_FOREIGN, "content-length": str(size)}
        if kind is None:
            headers["content-disposition"] = "attachment"
        return StreamingResponse(content(), media_type=kind or "application/octet-stream", headers=headers)

    async def events(self, request: Request) -> Response:
        """What changed, as server-sent events. The first one has everything, so a reader may come back at any time."""
        key = request.query_params.get("campaign")

        async def stream() -> AsyncIterator[str]:
            yield "retry: 1000\n\n"
            sent: dict[str, str] = {}
            quiet = 0.0
            while True:
                parts = render_parts(await self.hub.state(), key)
                fresh = {name: text for name, text in parts.items() if sent.get(name) != text}
                if fresh:
                    data = json.dumps(fresh)
                    yield f"id: {hashlib.sha256(data.encode()).hexdigest()[:12]}\ndata: {data}\n\n"
                    sent, quiet = parts, 0.0
                elif quiet >= _HEARTBEAT_S:
                    yield ": still here\n\n"
                    quiet = 0.0
                await anyio.sleep(READ_S)
                quiet += READ_S

        return StreamingResponse(stream(), media_type="text/event-stream")


def _absent() -> Response:
    return PlainTextResponse("There is no such page.\n", 404)
