"""The door: which requests are let in, and what every answer says to the browser. Pure ASGI, around everything.

A browser on this machine also runs other people's pages. What keeps those out: the name in Host (a page whose own name
was pointed at this address), Origin and Sec-Fetch-Site (a page of another site, and of another port here), a cookie
that is not sent across sites, no CORS header ever, and nothing here that a request could change.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from . import pages
from .login import COOKIE_S
from .shapes import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .login import Login

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.IGNORECASE)
LONGEST_PATH = 2000
LET_IN = "prpgate.let-in"  # in a request's scope: it may look


class Refusal(NamedTuple):
    """Why a request is not let in."""

    status: int
    code: str
    message: str
    hint: str | None = None


class Guard:
    """Lets in what asks under one of our names, from no other page, for a path that is one, and may look."""

    def __init__(self, app: ASGIApp, login: Login, *, names: Collection[str], public: bool) -> None:
        """`names`: what this is called besides loopback. `public`: others can reach this, by any address of it too."""
        self.app, self.login, self.public = app, login, public
        self.names = {*LOOPBACK, *(n.strip("[]").lower() for n in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                had = {name.lower() for name, _ in message["headers"]}
                more = [*HEADERS, (b"cache-control", b"no-store")]
                message["headers"] = [*message["headers"], *(h for h in more if h[0] not in had)]
            await send(message)

        answer = self._answer(scope)
        scope[LET_IN] = answer is None
        await (self.app if answer is None else answer)(scope, receive, marked)

    def _answer(self, scope: Scope) -> Response | None:
        """What is said at the door; None: come in."""
        refusal = self._stranger(scope) or _odd_path(scope)
        if refusal is not None:
            return _refuse(scope, refusal)
        if scope["path"] == "/login":
            return self._log_in(scope)
        if not self._may_look(scope):
            return _refuse(scope, Refusal(401, "not-logged-in", "not logged in.", "prp dashboard"))
        return None

    def _stranger(self, scope: Scope) -> Refusal | None:
        if scope["method"] not in ("GET", "HEAD"):
            return Refusal(405, "method", "only GET and HEAD.")
        hosts = _values(scope, b"host")
        host = HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if host is None or not self._ours(host[1].lower()):
            return Refusal(
                403, "host", "this is not a name of this dashboard.", "Use the link that prp dashboard printed."
            )
        origins = _values(scope, b"origin")
        if any(o != f"{scope['scheme']}://{hosts[0]}" for o in origins):
            return Refusal(403, "origin", "another site's page may not ask here.")
        if any(v not in ("same-origin", "none") for v in _values(scope, b"sec-fetch-site")):
            hint = "Type the address, or paste the link, into the browser yourself."
            return Refusal(403, "cross-site", "another site's page may not ask or lead here.", hint)
        return None

    def _ours(self, host: str) -> bool:
        if host in self.names or host.strip("[]") in self.names:
            return True
        if not self.public:
            return False
        try:  # a name can be pointed here by anybody; an address cannot
            ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return False
        return True

    def _may_look(self, scope: Scope) -> bool:
        for value in _values(scope, b"authorization"):
            scheme, _, token = value.partition(" ")
            if scheme.lower() == "bearer" and self.login.is_token(token.strip()):
                return True
        return any(self.login.key.is_cookie(c) for c in _cookies(scope, self.login.cookie_name))

    def _log_in(self, scope: Scope) -> Response:
        token = parse_qs(scope["query_string"].decode("latin-1")).get("t", [""])[-1]
        if scope["method"] == "HEAD":  # what looks ahead for a preview must not use the link up
            return Response(status_code=204)
        if not self.login.use(token):
            if self._may_look(scope):  # the link again, in a browser that is in already
                return RedirectResponse("/", 303)
            return HTMLResponse(pages.USED_UP, 403)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            self.login.cookie_name, self.login.key.cookie(), COOKIE_S, path="/", httponly=True, samesite="strict"
        )
        return answer


def _odd_path(scope: Scope) -> Refusal | None:
    """Paths that no page of ours asks for: they only ever try to get out of somewhere."""
    raw = scope.get("raw_path") or b""
    path = scope["path"]
    parts = path.split("/")
    odd = (
        not raw.startswith(b"/")
        or len(raw) > LONGEST_PATH
        or "\\" in path
        or any(p in (".", "..") for p in parts)
        or any(not p for p in parts[1:-1])
        or any(ord(c) < 32 or ord(c) == 127 for c in path)
        or (b"%2f" in raw.lower() and not raw.startswith(b"/api/prp/"))
    )
    return Refusal(404, "not-found", "there is nothing here.") if odd else None


def _refuse(scope: Scope, why: Refusal) -> Response:
    path = scope["path"]
    if path.startswith("/api/") or path == "/events":
        error = {"code": why.code, "message": why.message, "hint": why.hint}
        return JSONResponse({"schema": SCHEMA, "error": error}, why.status)
    return HTMLResponse(pages.refused(why.status, why.message, why.hint), why.status)


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _cookies(scope: Scope, name: str) -> list[str]:
    found = []
    for value in _values(scope, b"cookie"):
        for part in value.split(";"):
            key, _, text = part.strip().partition("=")
            if key == name:
                found.append(text)
    return found
