"""Which server is the store: the first rule that names one wins, and the answer says which rule that was.

Rules, in order: --redis-url; PRP_REDIS_URL, then REDIS_URL; store.url in prp.toml; .env in the repository root; a
server on localhost:6379 that holds the store id; this machine's own (embedded), for scope `machine` only.

Nothing is started and nothing is written here, and redis-py is not imported. A password stays in `Place.url`; every
text made from it goes through `redact`.
"""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ..errors import StoreDown, UsageError, UserError
from ..messages import store as say
from . import embedded, folders, wire
from .keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..config import Config

ARGUMENT, CONFIG, DOTENV, LOCALHOST, EMBEDDED = "--redis-url", "store.url", ".env", "localhost:6379", "embedded"
VARIABLES = ("PRP_REDIS_URL", "REDIS_URL")
PROBE_S = 0.2
PORT = 6379

# Everything up to the last "@" before the path is user and password, as redis-py (urllib) reads it.
URL = re.compile(
    r"(?P<scheme>rediss?|unix)://"
    r"(?:(?P<user>[^/?#:]*)(?::(?P<password>[^/?#]*))?@)?"
    r"(?P<host>[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
)
VALUE = re.compile(r"\s*(?:export\s+)?(PRP_REDIS_URL|REDIS_URL|PRP_NOTIFY_SECRET)\s*=\s*(.*)")
QUOTED = re.compile(r"(['\"])(.*?)\1\s*(?:#.*)?")


class Place(NamedTuple):
    """Where the store is. Its text form has no password in it."""

    url: str  # with the password, if there is one
    rule: str  # which rule won
    source: str  # the same for a sentence: "set by REDIS_URL"

    def __repr__(self) -> str:
        return f"Place({redact(self.url)}, {self.rule})"


class Tried(NamedTuple):
    """What one rule said."""

    rule: str
    said: str
    place: Place | None

    def __str__(self) -> str:
        return f"{self.rule}: {self.said}"


def find(config: Config, root: str, url: str | None = None, *, port: int = PORT) -> Place:
    """The store of this project. `root` is the repository's top folder, `url` what --redis-url said.

    Raises UsageError for an address that is none, StoreDown when no rule names a server. Takes no longer than the
    probe of localhost (0.2 s), and nothing measurable when nobody listens there.
    """
    for _, look in _rules(config, root, url, port):
        place = look().place
        if place is not None:
            return place
    raise StoreDown(say.no_shared_store(config.project), code="no-store", hint=say.NO_SHARED_STORE_HINT)


def tried(config: Config, root: str, url: str | None = None, *, port: int = PORT) -> list[Tried]:
    """What each rule said, up to the one that won or refused, for `prp redis-status`."""
    seen: list[Tried] = []
    for rule, look in _rules(config, root, url, port):
        try:
            seen.append(look())
        except UserError as e:
            seen.append(Tried(rule, e.message, None))
            break
        if seen[-1].place is not None:
            break
    return seen


def _rules(config: Config, root: str, url: str | None, port: int) -> Iterator[tuple[str, Callable[[], Tried]]]:
    yield ARGUMENT, lambda: _named(ARGUMENT, url, "set by --redis-url")
    for name in VARIABLES:
        yield name, partial(_named, name, os.environ.get(name), f"set by {name}")
    yield CONFIG, lambda: _configured(config)
    yield DOTENV, lambda: _dotenv(root)
    yield LOCALHOST, lambda: probe(config, port)
    yield EMBEDDED, lambda: _own(config)


def _named(rule: str, url: str | None, source: str) -> Tried:
    url = (url or "").strip()  # secrets often come with a newline at their end
    if not url:
        return Tried(rule, "not set", None)
    check(url, source)
    return Tried(rule, redact(url), Place(url, rule, source))


def _configured(config: Config) -> Tried:
    where = config.where.get(CONFIG, "prp.toml")
    one = _named(CONFIG, config.store_url, f"set by {where}")
    if one.place is not None and has_password(one.place.url):
        raise UsageError(say.password_in_config(where, redact(one.place.url)), code="store-url", hint=say.PASSWORD_HINT)
    return one


def _dotenv(root: str) -> Tried:
    values = dotenv(root)
    name = next((n for n in VARIABLES if values.get(n)), "")
    return _named(DOTENV, values.get(name), f"set by {name} in .env")


def dotenv(root: str) -> dict[str, str]:
    """The variables of ours that .env may set; quotes and `export` are understood, nothing is expanded or run.

    The last line for a name counts. A file that is not there, or that we may not read, sets nothing.
    """
    path = os.path.join(root, ".env")
    if not os.path.isfile(path):  # a pipe would be waited for
        return {}
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as f:
            lines = f.read(1 << 20).splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        if m := VALUE.fullmatch(line):
            quoted = QUOTED.fullmatch(m[2])
            # Whatever else stands on the line stays in the value, and is refused as no address: a slip must not
            # pass for "not set", or a second store is started.
            found[m[1]] = quoted[2] if quoted else re.split(r"(?:^|\s)#", m[2], maxsplit=1)[0].strip()
    return found


def probe(config: Config, port: int = PORT, *, timeout_s: float = PROBE_S) -> Tried:
    """Whether a server on this machine's usual port holds the id. One that wants a password is none for us."""
    if not config.store_id:
        return Tried(LOCALHOST, "not asked: prp.toml has no store.id", None)
    meta = Keys(config.project).meta
    reply = wire.ask(("127.0.0.1", port), "HGET", meta, "store_id", timeout_s=timeout_s)
    if reply is not None and reply.kind == "$" and reply.text == config.store_id:
        url = f"redis://localhost:{port}/0"
        return Tried(LOCALHOST, url, Place(url, LOCALHOST, f"found on localhost:{port}"))
    return Tried(LOCALHOST, "no server there that holds this project's store id", None)


def _own(config: Config) -> Tried:
    if config.store_scope == "team":
        return Tried(EMBEDDED, "not for store.scope = team", None)
    url = embedded.Embedded(config.project).url
    other = folders.elsewhere(config.project)
    return Tried(EMBEDDED, say.noted_elsewhere(*other) if other else url, Place(url, EMBEDDED, "this machine's own"))


def check(url: str, source: str) -> None:
    """Raise UsageError, without the password, unless the text is an address that we can use."""
    if _parts(url) is None:
        raise UsageError(say.bad_url(redact(url), source), code="store-url", hint=say.BAD_URL_HINT)


def has_password(url: str) -> bool:
    """Whether an address carries a secret, before the host or among its options."""
    m = _parts(url)
    return m is not None and bool(m["password"] or "password" in (m["query"] or "").lower())


def redact(url: str) -> str:
    """The address without password and options. Of a text that is no address only the scheme is shown, if that."""
    m = _parts(url)
    if m is None:
        scheme = re.match(r"rediss?://|unix://", url)
        return f"{scheme[0] if scheme else ''}..."
    user = f"{m['user']}@" if m["user"] and m["password"] else ""  # alone it may be a token
    port = f":{m['port']}" if m["port"] else ""
    return f"{m['scheme']}://{user}{m['host']}{port}{m['path'] or ''}"


def _parts(url: str) -> re.Match[str] | None:
    """The parts of an address, None when it is none that we can use."""
    m = URL.fullmatch(url)
    if m is None or not url.isprintable() or int(m["port"] or 0) > 65535:
        return None
    if m["scheme"] == "unix":
        return m if m["path"] and not m["host"] and not m["port"] else None
    return m if re.fullmatch(r"/?[0-9]{0,4}", m["path"] or "") else None
