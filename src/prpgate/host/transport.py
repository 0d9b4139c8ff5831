"""Bringing one request to a host's API: with a token over HTTP, or through `gh`, which has a login of its own.

One deadline over all of a call, a bounded answer, no redirect to another host. What was read is asked for again with
its ETag: an answer "not modified" costs none of the hourly allowance.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urljoin, urlsplit

from .. import __version__
from ..messages import host as say
from .address import HERE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .address import Place

TIMEOUT_S = 10.0  # for one call, all of it
MOST_BYTES = 16 * 1024 * 1024
MOST_KEPT = 50  # answers that are kept for their ETag
REDIRECTS = 3
TOKENS = ("PRP_HOST_TOKEN", "GH_TOKEN", "GITHUB_TOKEN")
GITHUBS = TOKENS[1:]
HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": f"prpgate/{__version__}",
}


class Reply(NamedTuple):
    """What came back. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    def send(self, method: str, path: str, body: bytes | None = None) -> Reply:
        """Any status is a Reply. Raises HostDown when there is none."""


class Kept:
    """Answers to GET by path, the newest ones, for their ETag."""

    def __init__(self) -> None:
        self._replies: dict[str, Reply] = {}

    def etag(self, method: str, path: str) -> dict[str, str]:
        known = self._replies.get(path) if method == "GET" else None
        return {"If-None-Match": known.headers["etag"]} if known else {}

    def settle(self, method: str, path: str, reply: Reply) -> Reply:
        if method != "GET":
            return reply
        if reply.status == http.HTTPStatus.NOT_MODIFIED and path in self._replies:
            return self._replies[path]
        self._replies.pop(path, None)
        if reply.status == http.HTTPStatus.OK and reply.headers.get("etag"):
            self._replies[path] = reply
            while len(self._replies) > MOST_KEPT:
                del self._replies[next(iter(self._replies))]
        return reply


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class OverHttp:
    """With a token. It goes to `api`'s host and to no other."""

    def __init__(self, api: str, token: str, timeout_s: float) -> None:
        self.api, self.timeout_s = api, timeout_s
        self._token = token
        self._kept = Kept()
        here = urlsplit(api).hostname in HERE
        handlers = [_NoRedirect(), *([urllib.request.ProxyHandler({})] if here else [])]
        self._opener = urllib.request.build_opener(*handlers)

    def send(self, method: str, path: str, body: bytes | None = None) -> Reply:
        until = time.monotonic() + self.timeout_s
        url = self.api + path
        for _ in range(REDIRECTS + 1):
            reply = self._once(method, url, path, body, until)
            target = urljoin(url, reply.headers.get("location", ""))
            if reply.status not in (301, 302, 307, 308) or not reply.headers.get("location"):
                return self._kept.settle(method, path, reply)
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                raise say.sent_elsewhere(self.api, urlsplit(target).netloc)
            if method != "GET" and reply.status in (301, 302):
                return reply  # these two turn a POST into a GET
            url = target
        raise say.down(self.api, "it redirects in a circle")

    def _once(self, method: str, url: str, path: str, body: bytes | None, until: float) -> Reply:
        headers = {**HEADERS, "Authorization": f"Bearer {self._token}", **self._kept.etag(method, path)}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(url, body, headers, method=method)
        left_s = until - time.monotonic()
        try:
            if left_s <= 0:
                raise TimeoutError
            try:
                with self._opener.open(request, timeout=left_s) as answer:
                    return Reply(answer.status, _small(answer.headers), self._read(answer, until))
            except urllib.error.HTTPError as e:
                with e:
                    return Reply(e.code, _small(e.headers), self._read(e, until))
        except TimeoutError:
            raise say.down(self.api, f"no whole answer within {self.timeout_s:g} s") from None
        except urllib.error.URLError as e:
            late = isinstance(e.reason, TimeoutError)
            unsent = isinstance(e.reason, ConnectionRefusedError | socket.gaierror)
            why = f"no answer within {self.timeout_s:g} s" if late else str(e.reason)
            raise say.down(self.api, why, unsent=unsent) from None
        except (OSError, http.client.HTTPException) as e:
            raise say.down(self.api, str(e) or type(e).__name__) from None

    def _read(self, answer: Any, until: float) -> bytes:
        """The body, within the deadline: a time-out on a socket starts anew with each byte."""
        parts, size = [], 0
        while True:
            part: bytes = answer.read1(65536)
            if not part:
                break
            parts.append(part)
            size += len(part)
            if time.monotonic() > until:
                raise TimeoutError
            if size > MOST_BYTES:
                raise say.down(self.api, f"its answer is longer than {MOST_BYTES // 1024 // 1024} MB")
        wanted = answer.headers.get("Content-Length", "")
        if wanted.isdigit() and size < int(wanted):
            raise say.down(self.api, "the connection was cut in the middle of its answer")
        return b"".join(parts)


class OverGh:
    """Through `gh api`, with the login that gh has for this host."""

    def __init__(self, api: str, timeout_s: float, program: str) -> None:
        self.api, self.timeout_s, self.program = api, timeout_s, program
        self._kept = Kept()
        host = urlsplit(api).hostname or ""
        self.login = host.removeprefix("api.") if host == "api.github.com" or host.endswith(".ghe.com") else host

    def send(self, method: str, path: str, body: bytes | None = None) -> Reply:
        command = [self.program, "api", "--hostname", self.login, "--method", method, "--include"]
        for name, value in {**HEADERS, **self._kept.etag(method, path)}.items():
            if name != "User-Agent":
                command += ["--header", f"{name}: {value}"]
        command += [*(["--input", "-"] if body is not None else []), path]
        quiet = {"GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1", "NO_COLOR": "1", "GH_PAGER": "cat"}
        try:
            done = subprocess.run(
                command,
                input=body,
                stdin=subprocess.DEVNULL if body is None else None,
                capture_output=True,
                env={**os.environ, **quiet},
                timeout=self.timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise say.down(self.api, f"gh did not end within {self.timeout_s:g} s") from None
        except OSError as e:
            raise say.down(self.api, f"gh could not be started: {e.strerror}") from None
        reply = _said_by_gh(done.stdout)
        if reply is None:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            if any("gh auth login" in line for line in said):
                raise say.no_login(self.login)
            raise say.down(self.api, said[-1] if said else f"gh ended with {done.returncode}")
        return self._kept.settle(method, path, reply)


def _said_by_gh(out: bytes) -> Reply | None:
    """`gh api --include` prints the status line, the headers, an empty line and the body."""
    head, _, body = out.replace(b"\r\n", b"\n").partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    words = first.split(" ")
    if not first.startswith("HTTP/") or len(words) < 2 or not words[1].isdigit():
        return None
    pairs = (line.partition(":") for line in lines)
    return Reply(int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}, body)


def _small(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def transport(place: Place, timeout_s: float) -> Transport:
    """A token of the environment, else `gh`. Raises HostRefused for neither, or when none of them may go there."""
    token = next((t for n in TOKENS if (t := os.environ.get(n, "").strip()) and (place.github or n not in GITHUBS)), "")
    gh = None if token else shutil.which("gh")
    if not token and not gh:
        kept = "" if place.github else next((n for n in GITHUBS if os.environ.get(n, "").strip()), "")
        raise say.no_token(place.api, kept)
    if not place.trusted:
        raise say.not_trusted(place.api)
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise say.no_token(place.api)
    return OverHttp(place.api, token, timeout_s) if token else OverGh(place.api, timeout_s, gh or "gh")


def as_json(body: bytes) -> Any:
    """None for an empty body, or for one that is no JSON."""
    with contextlib.suppress(ValueError):
        return json.loads(body)
    return None
