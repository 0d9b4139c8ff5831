"""Who is let in: another name, another page, another port, no cookie, a wrong one, odd paths. Over raw sockets."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from prpgate.dashboard.address import Address
from prpgate.dashboard.guard import Guard
from prpgate.dashboard.login import Key, Login
from tests.dashboard import Dashboard, Small

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path

TOKEN = "a-token-of-more-than-twenty-four-letters"
EVERYWHERE = ("/", "/static/index.html", "/api/state", "/api/events", "/api/prp/P1-000", "/events")
SECRETS = (b"P1-000", b"Work 0", b"example/app")


def asked(board: Dashboard, path: str, *headers: str, method: str = "GET", host: str | None = "") -> tuple[int, bytes]:
    """Status and whole answer of a request that is written by hand."""
    named = [] if host is None else [f"Host: {host or f'127.0.0.1:{board.port}'}"]
    lines = [f"{method} {path} HTTP/1.1", *named, *headers, "Connection: close"]
    answer = board.raw("\r\n".join([*lines, "", ""]).encode("latin-1"))
    return int(answer.split(b" ")[1]), answer


def test_without_a_cookie_nothing_is_shown(board: Dashboard) -> None:
    for path in EVERYWHERE:
        status, answer = asked(board, path)
        assert status == 401, path
        assert not any(s in answer for s in SECRETS)
        assert b"prp dashboard" in answer


def test_every_name_but_ours_is_refused(board: Dashboard) -> None:
    board.log_in()
    cookie = f"Cookie: {board.cookie}"
    for ours in ("localhost", "127.0.0.1", "[::1]", f"LOCALHOST:{board.port}", "localhost:9000"):  # ssh -L 9000:...
        assert asked(board, "/api/state", cookie, host=ours)[0] == 200, ours
    port = board.port
    foreign = ["evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example"]
    odd = ["localhost@evil.example", "localhost:80:80", "localhost/", "", "[::2]", "local host"]
    for name in foreign + odd:
        for path in (*EVERYWHERE, "/login?t=x"):
            status, answer = asked(board, path, cookie, host=name or " ")
            assert status == 403, (name, path)
            assert not any(s in answer for s in SECRETS)
    assert asked(board, "/api/state", cookie, host=None)[0] in (400, 403)
    assert asked(board, "/api/state", cookie, "Host: evil.example")[0] in (400, 403)  # two of them


def test_the_page_of_another_app_on_this_machine_reads_nothing(board: Dashboard) -> None:
    """It sends our cookie along, for browsers share cookies between ports. Everything else gives it away."""
    board.log_in()
    cookie = f"Cookie: {board.cookie}"
    same = f"Origin: http://127.0.0.1:{board.port}"
    assert asked(board, "/api/state", cookie, same, "Sec-Fetch-Site: same-origin")[0] == 200
    assert asked(board, "/", cookie, "Sec-Fetch-Site: none")[0] == 200
    origins = ["http://127.0.0.1:3000", "http://localhost:3000", "http://evil.example", "null", "", "file://"]
    origins += [f"https://127.0.0.1:{board.port}", f"http://localhost:{board.port}", f"{same[8:]}.evil.example"]
    strangers: list[tuple[str, ...]] = [(f"Origin: {o}",) for o in origins]
    strangers += [("Sec-Fetch-Site: cross-site",), ("Sec-Fetch-Site: same-site",)]
    strangers += [(same, "Sec-Fetch-Site: cross-site"), (same, "Origin: http://evil.example"), ("Sec-Fetch-Site: ?",)]
    for headers in strangers:
        for path in (*EVERYWHERE, "/login?t=x"):
            status, answer = asked(board, path, cookie, *headers)
            assert status == 403, (headers, path)
            assert not any(s in answer for s in SECRETS)
            assert b"access-control" not in answer.lower()


def test_no_answer_lets_another_origin_read_it(board: Dashboard) -> None:
    board.log_in()
    for path in ("/", "/api/state", "/api/nothing", "/static/nothing.js", "/login?t=wrong"):
        status, headers, _ = board.ask(path)
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        for part in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "connect-src 'self'"):
            assert part in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert not [h for h in headers if h.startswith("access-control")], status
    assert board.ask("/api/state")[1]["cache-control"] == "no-store"
    assert "no-store" in board.ask("/")[1]["cache-control"]


def test_only_reading(board: Dashboard) -> None:
    board.log_in()
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
        for path in EVERYWHERE:
            assert board.ask(path, method)[0] == 405, (method, path)
        status, headers, _ = board.ask(board.link.partition(f":{board.port}")[2], method, Cookie="")
        assert (status, "set-cookie" in headers) == (405, False)
    assert board.ask("/api/state", "HEAD")[0] == 200
    assert board.ask("/events", "HEAD")[0] == 200


def test_odd_paths_lead_nowhere(board: Dashboard, small: Small) -> None:
    board.log_in()
    cookie = f"Cookie: {board.cookie}"
    up = [
        "/static/../app.py",
        "/static/../../prp.toml",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2fapp.py",
    ]
    up += [
        "/static/..%5capp.py",
        "/static/..\\app.py",
        "/static//etc/passwd",
        "//etc/passwd",
        "/static/%2fetc/passwd",
        "/../",
    ]
    odd = ["/static/index.html%00.js", "/%00", "/static/./index.html", "/api/../api/state", "/static/%252e%252e/app.py"]
    odd += [
        "/static/",
        "/static",
        "/api/prp/",
        "/api/prp/../state",
        "/api/prp/..%2f..%2fprp.toml",
        "/api/state/",
        "/api",
    ]
    odd += [
        f"http://127.0.0.1:{board.port}/api/state",
        "/" + "a" * 5000,
        "/app.py",
        "/prp.toml",
        "/.git/config",
        "/%ff%fe",
    ]
    for path in up + odd:
        status, answer = asked(board, path, cookie)
        assert status in (400, 404), path
        assert not any(s in answer for s in (*SECRETS, b"root:", b"import ", b"[store]")), path
    assert board.ask("/api/prp/P1-000")[0] == 200


def test_a_link_is_good_once(board: Dashboard) -> None:
    path = board.link.partition(f":{board.port}")[2]
    assert len(re.findall(r"[0-9a-f]{64}", path)) == 2  # 256 bits of chance, and a signature over them
    assert board.ask(path, "HEAD")[0] == 204  # a preview does not use it up
    status, headers, _ = board.ask(path)
    assert (status, headers["location"]) == (303, "/")
    name, _, rest = headers["set-cookie"].partition("=")
    assert name == f"prp_dashboard_{board.port}"  # else two dashboards on one machine log each other out
    assert {p.strip().lower() for p in rest.split(";")[1:]} >= {"httponly", "samesite=strict", "path=/"}
    status, headers, body = board.ask(path)
    assert status == 403
    assert "set-cookie" not in headers
    assert b"used up" in body
    board.cookie = f"{name}={rest.partition(';')[0]}"
    assert board.ask(path)[0] == 303  # the same browser again: it is in already
    assert board.ask("/api/state")[0] == 200


def test_wrong_links_and_cookies(board: Dashboard) -> None:
    path = board.link.partition(f":{board.port}")[2]
    for wrong in ("/login", "/login?t=", "/login?t=x", path[:-1] + ("0" if path[-1] != "0" else "1"), path + "0"):
        status, headers, _ = board.ask(wrong)
        assert (status, "set-cookie" in headers) == (403, False), wrong
    until, chance, mac = path.partition("t=")[2].split(".")
    longer = f"{int(until, 16) + 86400:x}.{chance}.{mac}"
    assert board.ask(f"/login?t={longer}")[0] == 403
    name = f"prp_dashboard_{board.port}"
    assert board.ask("/api/state", Cookie=f"{name}={path.partition('t=')[2]}")[0] == 401  # a link is no cookie
    board.log_in()
    good = board.cookie.partition("=")[2]
    other = [
        f"{name}=",
        f"{name}={good[:-1]}",
        f"{name}={good}0",
        f"prp_dashboard_1={good}",
        f"{name}=\u00e9",
        "=;=; ;",
    ]
    for cookie in other:
        assert board.ask("/api/state", Cookie=cookie)[0] == 401, cookie
    assert board.ask("/api/state", Cookie=f"other=1; {board.cookie}; more=2")[0] == 200
    for given in (f"Bearer {good}", "Bearer ", "Bearer None", f"Basic {good}"):
        assert board.ask("/api/state", Cookie="", Authorization=given)[0] == 401, given


def test_another_user_cannot_read_what_links_are_signed_with(board: Dashboard, home: Path) -> None:
    keys = list((home / "state" / "prpgate").glob("*.dashboard-key"))
    assert [k.stat().st_mode & 0o777 for k in keys] == [0o600]
    notes = list((home / "state" / "prpgate").glob("*.dashboard"))
    assert [k.stat().st_mode & 0o777 for k in notes] == [0o600]


def test_with_a_token(small: Small) -> None:
    with Dashboard(small.clone, "--port", "0", "--token", TOKEN) as board:
        for wrong in ("", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\u00e9" * 30):
            assert board.ask("/api/state", Authorization=f"Bearer {wrong}")[0] == 401, wrong
            assert board.ask("/api/state", Authorization=wrong)[0] == 401, wrong
        assert board.ask("/api/state", Authorization=f"Bearer {TOKEN}")[0] == 200
        assert board.ask(f"/login?t={TOKEN}")[0] == 303
        assert board.ask(f"/login?t={TOKEN}")[0] == 303  # it is for several people
        assert board.ask("/login?t=" + TOKEN[:-1])[0] == 403


def test_an_address_that_others_reach_wants_a_token(small: Small) -> None:
    for host in ("0.0.0.0", "::"):
        refused = small.clone.prp("dashboard", "--host", host, "--json", ok=False)
        assert (refused.code, '"token-needed"' in refused.out) == (2, True), refused
        assert f"prp dashboard --host {host} --token" in refused.err
    short = small.clone.prp("dashboard", "--host", "0.0.0.0", "--token", "too-short", ok=False)
    assert (short.code, "24" in short.err) == (2, True)
    assert "prp dashboard --host 0.0.0.0 --token" in short.err  # the command to type keeps the address


def test_an_address_that_others_reach_is_no_name_for_strangers() -> None:
    """Bound to all addresses it has as many; the names that a stranger can point at one are none of it. Asked without
    a socket: tests listen on loopback alone."""
    login = Login(Key(b"k" * 32, "instance", 8137), TOKEN)
    at = Address(socket.socket(), "0.0.0.0", 8137, True)
    at.socket.close()
    names = {"127.0.0.1": 200, "localhost": 200, "[::1]": 200, socket.gethostname(): 200, "evil.example": 403}
    for public in (True, False):
        guard = Guard(Response("in"), login, names=at.names if public else ["localhost"], public=public)
        for host, status in {**names, "[::2]": 200 if public else 403}.items():
            if not public and host == socket.gethostname() != "localhost":
                status = 403
            assert through(guard, f"{host}:8137") == status, (public, host)
    assert at.for_others == f"http://{socket.gethostname()}:8137"


def through(guard: Guard, host: str) -> int:
    """The status that a request with the token gets."""
    headers = [(b"host", host.encode()), (b"authorization", f"Bearer {TOKEN}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "scheme": "http"}
    told: list[int] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            told.append(message["status"])

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    asyncio.run(guard({**scope, "headers": headers}, receive, send))
    return told[0]
