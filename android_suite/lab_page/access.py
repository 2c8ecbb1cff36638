"""Who may read the page: on loopback everybody there, beyond it who has the token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from android_suite.errors import UsageError

COOKIE: Final = "android_suite_lab"
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SHORTEST = 20  # characters of a token
_LARGEST_FORM = 4096
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_LOGIN = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Lab</title>
<link rel="stylesheet" href="/static/lab.css"></head><body><main><h1>Lab</h1>
<form method="post" action="/login"><p><label>Token <input name="token" type="password" autocomplete="current-password"
autofocus required></label> <button>Open</button></p></form>{wrong}</main></body></html>"""


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this host only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(file: Path) -> str:
    """The token in a file that only its owner may read; made with a new one if there is no such file.

    Raises:
        UsageError: others may read it, it is too short, or it cannot be read or made.
    """
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(secrets.token_urlsafe(32) + "\n")
        if file.stat().st_mode & 0o077:
            raise UsageError(f"others may read the token in {file}; run `chmod 600 {file}` and change the token.")
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the token file {file} cannot be read or made ({error}); name another.") from error
    if len(token) < _SHORTEST:
        raise UsageError(f"the token in {file} is shorter than {_SHORTEST} characters; remove the file for a new one.")
    return token


class Gate:
    """Lets requests through that may be answered, and gives every answer the headers that keep it harmless.

    Without a token, only requests that name this host are answered: a page elsewhere whose name was made to lead here
    (DNS rebinding) has another ``Host``. With a token, a request needs it as a bearer, or the cookie that ``/login``
    gave for it. The cookie is derived from the token, so it holds across restarts and is not the token.

    Args:
        app: the page.
        token: None: loopback only.
        secure: whether the page is served over TLS, so that the cookie must be, too.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, secure: bool = False) -> None:
        self._app, self._token, self._secure = app, token, secure
        self._session = None if token is None else hmac.new(token.encode(), b"session", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        answer = await self._refuse(request)

        async def harmless(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in given),
                ]
            await send(message)

        await (answer or self._app)(scope, receive, harmless)

    async def _refuse(self, request: Request) -> Response | None:
        """An answer instead of the page's; None lets the request through."""
        if self._token is None or self._session is None:
            host = request.headers.get("host", "").rsplit(":", 1)[0].strip("[]").lower()
            if host not in _LOOPBACK_NAMES:
                return PlainTextResponse("This page answers to the name localhost only.\n", 421)
            return _only_get(request)
        if request.url.path == "/login":
            return await self._log_in(request)
        if request.url.path.startswith("/static/"):
            return _only_get(request)
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        known = _same(given, self._token) | _same(request.cookies.get(COOKIE, ""), self._session)
        if known:
            return _only_get(request)
        if request.url.path == "/":
            return HTMLResponse(_LOGIN.format(wrong=""), 401)
        return PlainTextResponse("A token is needed; open / to enter it.\n", 401)

    async def _log_in(self, request: Request) -> Response:
        if request.method == "POST":
            body = b""
            async for part in request.stream():
                body += part
                if len(body) > _LARGEST_FORM:
                    return PlainTextResponse("Too large.\n", 413)
            given = parse_qs(body.decode(errors="replace")).get("token", [""])[0]
        else:
            given = request.query_params.get("token", "")
        if not _same(given.strip(), self._token or ""):
            return HTMLResponse(_LOGIN.format(wrong="<p>That is not the token.</p>" if given else ""), 401)
        answer = RedirectResponse("/", 303)  # so that the token is in no address that stays
        answer.set_cookie(
            COOKIE, self._session or "", httponly=True, samesite="strict", secure=self._secure, max_age=30 * 86400
        )
        return answer


def _only_get(request: Request) -> Response | None:
    return None if request.method in ("GET", "HEAD") else PlainTextResponse("The page only shows.\n", 405)


def _same(given: str, wanted: str) -> bool:
    """Compared in a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())
