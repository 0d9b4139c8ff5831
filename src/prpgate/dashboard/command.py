"""The command `prp dashboard`. Starlette and its friends are an extra: they are imported when the server starts."""

from __future__ import annotations

import importlib.util
import os
import secrets
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote

from .. import ops
from ..errors import OK
from ..interrupts import alike
from ..messages import dashboard as say
from . import address
from .login import LINK_S, Key, secret

if TYPE_CHECKING:
    import argparse

    from ..output import Output
    from .address import Address, Running

EXTRA = ("starlette", "sse_starlette", "uvicorn")


def dashboard(args: argparse.Namespace, out: Output) -> int:
    """Serves until it is stopped; prints a new link when this project's dashboard runs already."""
    for name in EXTRA:
        if importlib.util.find_spec(name) is None:
            raise say.no_extra(name)
    if args.port is not None and args.port != 0 and not 1024 <= args.port <= 65535:
        raise say.bad_port(args.port)
    token = args.token or os.environ.get("PRP_DASHBOARD_TOKEN") or None
    if token is not None and len(token) < say.LEAST_TOKEN:
        raise say.short_token(args.host, len(token))
    if address.is_public(args.host)[2] and token is None:
        raise say.public_without_token(args.host)
    session = ops.Session(url=args.redis_url, command=False)
    project = session.config.project
    first = address.running(project)
    if first is not None and args.port in (None, first.port) and args.host == first.host and args.token is None:
        _print(first, Key(secret(project), first.instance, first.port), args, out)
        return OK
    ops.greet(session)
    with alike():
        return _serve(session, token, args, out)


def _serve(session: ops.Session, token: str | None, args: argparse.Namespace, out: Output) -> int:
    from .feed import Feed
    from .login import Login
    from .server import serve

    feed = Feed(session)
    bound = address.listen(args.host, args.port)
    one = address.Running(os.getpid(), args.host, bound.port, secrets.token_hex(8))
    key = Key(secret(session.config.project), one.instance, one.port)
    with address.note(session.config.project, one):
        serve(feed, Login(key, token), bound, lambda: _print(one, key, args, out, bound, token))
    return OK


def _print(
    one: Running,
    key: Key,
    args: argparse.Namespace,
    out: Output,
    new: Address | None = None,
    token: str | None = None,
) -> None:
    base = address.url(one.host, one.port)
    link = f"{base}/login?t={key.link_token()}"
    if new is None:
        out.say(say.already(one.pid))
    out.say(say.running(link, LINK_S // 60))
    if new is not None and token is not None:
        out.say(say.with_token(f"{new.for_others if new.public else base}/login?t={quote(token, safe='')}"))
    if new is not None and new.public:
        out.note(say.UNENCRYPTED, colour="yellow")
    if new is not None:
        out.say(say.STOP, colour="dim")
    out.answer(
        url=link, address=f"{base}/", host=one.host, port=one.port, pid=one.pid, link_s=LINK_S, already=new is None
    )
    if args.open:  # some browsers come back only when they are closed
        threading.Thread(target=_open, args=(link, out), daemon=new is not None).start()


def _open(link: str, out: Output) -> None:
    import webbrowser

    if not webbrowser.open(link):
        out.note(say.NO_BROWSER)
