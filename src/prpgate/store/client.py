"""Talking to the store: connect within one deadline, know whose store it is, and call scripts.

redis-py's defaults are unsafe for a lock: ten silent retries (a retried write whose first reply was lost denies its
own owner) and a socket time-out shorter than a blocking call. So: no retries anywhere, and a connection of its own
for every blocking caller.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from ..errors import StoreDown, UsageError, UserError
from ..interrupts import held_back
from ..messages import store as say
from . import discover, embedded, folders, scripts
from .discover import Place, redact
from .keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

    from ..config import Config

T = TypeVar("T")

CONNECT_S = 1.0
BLOCK_S = 8.0  # a waiter sleeps no longer; shorter than Times.alive_ms, with room for the reply
BLOCK_MARGIN_S = 5.0
GIVEN = "given"  # the rule of a store made over a client that was there already
CONNECTIONS = 32
# What an address may say besides where the server is. Time-outs, retries and protocol are ours to choose.
OPTIONS = (
    *("host", "port", "db", "username", "password", "path", "connection_class"),
    *("ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"),
    *("ssl_password", "ssl_min_version", "ssl_ciphers"),
)
CLOSED_TO_US = (redis.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError)
# What reading a value raises that no version of ours has written; the last: what a script that reads it does.
UNREADABLE = (ValueError, LookupError, TypeError, exceptions.ResponseError)
# The server is there but takes no writes: full, a replica, a failing disk, a cluster or failover under way.
NOT_WRITABLE = (redis.ReadOnlyError, exceptions.OutOfMemoryError)
NOT_NOW = ("MISCONF", "NOREPLICAS", "OOM", "READONLY", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "LOADING")


class Store:
    """A connection to the store of one project. Use as a context manager, or close it."""

    def __init__(self, client: redis.Redis, project: str, place: Place, store_id: str = "") -> None:
        self.redis = client
        self.project = project
        self.keys = Keys(project)
        self.rule = place.rule
        self.source = place.source
        self.url = redact(place.url) if place.url else "an address of its own"
        self.store_id = store_id
        self._sleepers: redis.Redis | None = None

    @classmethod
    def over(cls, client: redis.Redis, project: str, store_id: str = "") -> Self:
        """A store over a client that is there already. The caller's client is closed with it."""
        return cls(client, project, Place("", GIVEN, "given by the program"), store_id)

    def __repr__(self) -> str:
        return f"Store({self.project}, {self.url}, {self.rule})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection. Threads that are inside a call get a StoreDown."""
        for client in (self.redis, self._sleepers):
            if client is not None:
                client.close()
                client.connection_pool.disconnect()

    def run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """Run a script of prpgate/lua, once, and decode its answer. Raises StoreDown when the server cannot.

        After a StoreDown nobody knows whether it ran: scripts are idempotent, so run it again with the same
        arguments.
        """
        with self.faults():
            return scripts.run(self.redis, script, keys, args)

    def blocking(self, block_s: float, *, connections: int = 1) -> redis.Redis:
        """A client of its own for blocking calls of up to `block_s` seconds. The caller closes it."""
        pool = self.redis.connection_pool
        given = {k: v for k, v in pool.connection_kwargs.items() if k in (*OPTIONS, "socket_connect_timeout")}
        options = {**given, "connection_class": pool.connection_class}
        return _client(options, block_s + BLOCK_MARGIN_S, connections=connections)

    def pop(self, key: str, seconds: float) -> str | None:
        """Sleep until there is a word in a list, and take it; None after `seconds`, at most BLOCK_S.

        The connection stays open until the store is closed: whoever is woken has more urgent things to do.
        """
        with self.faults():
            if self._sleepers is None:
                self._sleepers = self.blocking(BLOCK_S, connections=CONNECTIONS)
            word = scripts.exchange(self._sleepers, scripts.command("BLPOP", key, f"{max(seconds, 0.01):.3f}"))
        return str(word[1]) if word else None

    def check_still_ours(self) -> None:
        """Raise StoreDown unless the server that answers now is the store that it was when this was connected."""
        with self.faults():
            now = _text(self.redis.hget(self.keys.meta, "store_id"))
        if now != self.store_id:
            code = "store-other" if now else "store-empty"
            raise StoreDown(say.changed_meanwhile(self.url), code=code, next_action=say.STATUS)

    def quiet_s(self) -> float:
        """Seconds in which no lane may be granted yet, after an emptied store was adopted anew."""
        with self.faults():
            left: Any = self.redis.pttl(self.keys.quiet)
        return float(max(0, left)) / 1000

    def be_quiet(self, ms: int) -> None:
        """Let nobody land for so long: holds that the server forgot may still be pushing."""
        with self.faults():
            self.redis.set(self.keys.quiet, "adopted", px=ms)

    def ping_ms(self) -> float:
        """Time of one round trip in milliseconds, on a connection that stands."""
        with self.faults():
            self.redis.ping()
            begun = time.perf_counter()
            self.redis.ping()
        return (time.perf_counter() - begun) * 1000

    def server(self) -> str:
        """Name and version of the server, such as "valkey 9.1.2"; "unknown" when it will not say (a strict ACL)."""
        with self.faults():
            try:
                info = self.redis.info("server")
            except redis.ResponseError:
                return "unknown"
        name = info.get("server_name", "redis")
        return f"{name} {info.get(f'{name}_version', info.get('redis_version', 'unknown'))}"

    def inert(self, e: Exception) -> str:
        """The first line of an error's text, without the password, should a server or a library repeat it."""
        text = (str(e).splitlines() or [type(e).__name__])[0][:300].rstrip(". ")
        secret = self.redis.connection_pool.connection_kwargs.get("password")
        return text.replace(secret, "...") if secret else text

    @contextlib.contextmanager
    def faults(self) -> Iterator[None]:
        """Turn what redis-py raises when the server is away, closed to us or not writable into StoreDown."""
        begun = time.monotonic()
        try:
            yield
        except redis.RedisError as e:
            down = _down(self, e, time.monotonic() - begun)
            if down is None:
                raise
            raise down from None


def connect(
    config: Config,
    root: str,
    *,
    url: str | None = None,
    timeout_s: float = CONNECT_S,
    start: bool = True,
    adopt_check: bool = True,
) -> Store:
    """The store of this project, found, connected and recognised by its id.

    One deadline of `timeout_s` seconds covers name look-up, connecting, TLS, authentication and the first reply; it is
    each later call's time-out too. Starting this machine's own server may take 2 s. With `start=False` it is not
    started; with `adopt_check=False` any server will do, and `Store.store_id` is what it holds ("" for nothing).

    Raises StoreDown: no answer, refused, not the store of this project, or empty. UsageError: a bad address.
    """
    if adopt_check and not config.store_id:
        raise UsageError(
            say.no_store_id(config.where.get("project", "prp.toml")), code="config", next_action="prp init"
        )
    place = discover.find(config, root, url)
    new = False
    if place.rule == discover.EMBEDDED:
        if adopt_check:
            _nowhere_else(config.project)
        place, timeout_s, new = _own_place(config.project, place, timeout_s, start)
    store = open_store(place, config.project, timeout_s=timeout_s)
    if not adopt_check:
        return store
    try:
        if new and not store.store_id:
            adopt(store, config.store_id)
        _recognise(store, config)
    except UserError:
        store.close()
        raise
    _remember(store)
    return store


def open_store(place: Place, project: str, *, timeout_s: float = CONNECT_S) -> Store:
    """Connect to a place, whoever's store it is; `store_id` is what the server holds for the project ("": nothing).

    Raises StoreDown within `timeout_s` seconds.
    """
    store = Store(_client(_options(place), timeout_s, connections=CONNECTIONS), project, place)
    begun = time.monotonic()
    try:
        store.store_id = _within(timeout_s, lambda: _text(store.redis.hget(store.keys.meta, "store_id")))
    except (TimeoutError, redis.RedisError, ValueError) as e:
        down = _down(store, e, time.monotonic() - begun)
        store.close()  # this also wakes the thread, unless it is still looking up a name
        # Something answers there, but not as a Redis does; or the address has an option with an odd value.
        text = say.unreachable(store.url, store.inert(e), place.source)
        raise (down or StoreDown(text, code="store-unreachable", next_action=say.STATUS)) from None
    return store


def adopt(store: Store, store_id: str, *, replace: bool = False) -> str:
    """Make the connected server the store `store_id` of its project; the id that stood there before, "" for none.

    Doing it again changes nothing. Raises UserError when another id stands there and `replace` is not set.
    """
    answer = store.run("adopt", [store.keys.meta], [store_id, int(replace)])
    if not answer["adopted"]:
        raise UserError(
            say.another_id_stands(store.url, answer["before"]),
            code="store-other",
            hint=say.ANOTHER_ID_HINT,
            next_action=say.REPLACE,
        )
    store.store_id = store_id
    _remember(store)
    return str(answer["before"])


def _remember(store: Store) -> None:
    """Note on this machine which server the project's store is."""
    if store.rule == discover.EMBEDDED or _is_own_socket(store):
        folders.forget_elsewhere(store.project)
        embedded.Embedded(store.project).settled()
    elif store.rule != GIVEN:
        folders.note_elsewhere(store.project, store.url, store.source)


def _is_own_socket(store: Store) -> bool:
    """Whether an address that somebody set is this machine's own server: a runner beside the clones has to name it."""
    scheme, _, path = store.url.partition("://")
    if scheme != "unix":
        return False
    try:
        own = embedded.Embedded(store.project).socket
    except StoreDown:  # no home: none of its own either
        return False
    return os.path.realpath(unquote(path)) == os.path.realpath(own)


def _recognise(store: Store, config: Config) -> None:
    if store.store_id == config.store_id:
        return
    if not store.store_id:
        raise StoreDown(
            say.empty_store(store.url, store.source, config.project),
            code="store-empty",
            hint=say.EMPTY_STORE_HINT,
            next_action=say.REBUILD,
        )
    raise StoreDown(
        say.wrong_store(store.url, store.source, config.project, store.store_id, config.store_id),
        code="store-other",
        next_action=say.REPLACE,
    )


def _nowhere_else(project: str) -> None:
    other = folders.elsewhere(project)
    if other is not None:
        raise StoreDown(
            say.store_is_elsewhere(project, *other),
            code="store-elsewhere",
            hint=say.ELSEWHERE_HINT,
            next_action=say.STATUS,
        )


def _own_place(project: str, place: Place, timeout_s: float, start: bool) -> tuple[Place, float, bool]:
    """The place of a server that answers, the seconds that are left for talking to it, and whether it is new.

    Whether it is new must be known before the server is asked for its id: the other way round, another first user
    may adopt it in between, and an adopted store would look like a wiped one.
    """
    begun = time.monotonic()
    own = embedded.Embedded(project)
    if start:
        most_s = max(timeout_s, embedded.START_S)
        url, new = own.ensure(most_s)
        return place._replace(url=url), min(timeout_s, max(most_s - (time.monotonic() - begun), 0.3)), new
    new = own.is_new
    if not own.answers(timeout_s):
        raise StoreDown(say.not_running(project), code="store-not-running", next_action=say.START)
    return place, timeout_s, new


def _options(place: Place) -> dict[str, Any]:
    try:
        given = redis.connection.parse_url(place.url)  # type: ignore[no-untyped-call]
    except ValueError:
        raise UsageError(
            say.bad_url(redact(place.url), place.source), code="store-url", hint=say.BAD_URL_HINT
        ) from None
    options = {"connection_class": redis.Connection, **{k: v for k, v in given.items() if k in OPTIONS}}
    if options.get("ssl_cert_reqs") == "none":
        options["ssl_check_hostname"] = False  # redis-py 6.0 fails when only one of the two is off
    return options


def _client(options: dict[str, Any], timeout_s: float, *, connections: int) -> redis.Redis:
    kwargs: dict[str, Any] = {
        # RESP2: reply shapes differ between protocols, and redis-py's default changed from 2 to 3 with version 8.
        "protocol": 2,
        "decode_responses": True,
        # Whatever bytes some other program wrote: one name that nobody can read must not end those who read the rest.
        "encoding_errors": "replace",
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": timeout_s,
        "socket_connect_timeout": min(CONNECT_S, timeout_s),
        **_unnamed(),
        **options,
    }
    pool = redis.BlockingConnectionPool(connections, timeout=timeout_s, **kwargs)  # type: ignore[no-untyped-call]
    return redis.Redis.from_pool(pool)


def _unnamed() -> dict[str, Any]:
    """Options that keep redis-py from naming itself to the server: two round trips for nothing."""
    try:
        import redis.driver_info  # noqa: F401
    except ImportError:
        return {"lib_name": None, "lib_version": None}
    return {"driver_info": None}


def _within(timeout_s: float, do: Callable[[], T]) -> T:
    """Do it in a thread and wait no longer than that; raises TimeoutError.

    Sockets have a time-out for each step, and name look-up has none at all; only a clock beside them gives one
    deadline for everything. The thread is a daemon, so that it keeps nobody from leaving.
    """
    result: Future[T] = Future()

    def work() -> None:
        try:
            result.set_result(do())
        except BaseException as e:  # noqa: BLE001 - carried to the caller, whatever it is
            result.set_exception(e)

    with held_back():  # interrupts are for the thread that can clean up
        threading.Thread(target=work, name="prp-connect", daemon=True).start()
    return result.result(timeout_s)


def _down(store: Store, e: Exception, waited_s: float) -> StoreDown | None:
    """What an error means to a person; None for a command that the server found wrong: a bug of ours."""
    why = store.inert(e)
    hint = say.OTHER_ADDRESS_HINT if store.rule in ("REDIS_URL", discover.DOTENV) else None
    if isinstance(e, redis.TimeoutError | TimeoutError):
        code, text = "store-silent", say.silent(store.url, waited_s, store.source)
    elif isinstance(e, CLOSED_TO_US):
        code, text = "store-refused", say.refused(store.url, why, store.source)
    elif isinstance(e, redis.ConnectionError):
        code, text = "store-unreachable", say.unreachable(store.url, why, store.source)
        if store.rule == discover.EMBEDDED:  # it ended: of a full disk, say
            hint = embedded.Embedded(store.project).last_words()
    elif isinstance(e, NOT_WRITABLE) or why.startswith(NOT_NOW):
        code, text = "store-not-writable", say.cannot_write(store.url, why, store.source)
    else:
        return None
    return StoreDown(text, code=code, hint=hint, next_action=say.STATUS)


def _text(value: Any) -> str:
    return value[:200] if isinstance(value, str) else ""
