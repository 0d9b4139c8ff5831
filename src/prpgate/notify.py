"""[notify]: telling people outside of prpgate, from whichever clone may.

Who may is not for prp.toml to say, since anybody can change that. A webhook is sent only where this user has a secret
for exactly its host; a command runs only where this clone has allowed exactly that command, out of the lane's own
prp.toml.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from . import events, identity, tellings, webhook
from .config import FILE
from .detaching import detach
from .errors import StoreDown, UserError
from .messages import notify as say
from .output import inert

if TYPE_CHECKING:
    from collections.abc import Callable

    from .config import Config
    from .gitrepo import Repo
    from .store.client import Store
    from .tellings import Telling

SECRETS = "PRP_NOTIFY_SECRET"
ALLOWED = "notify-allowed"  # below prpgate/ in the clone's git dir: the command that may run
STAMP = "notify-started"  # there too; its time is when a command last started a deliverer
STAY_S = 30.0  # how long such a one stays to see what that command does
COMMAND_S = 10.0
SCHEMA = 1
REAP_S = 30.0  # how often `run` lets the store end what is overdue: a claim is suspect only once somebody looks
BLOCK_S = 8.0
HIDDEN = (SECRETS, "PRP_DASHBOARD_TOKEN", "PRP_REDIS_URL", "REDIS_URL", "PRP_HOST_TOKEN", "GH_TOKEN", "GITHUB_TOKEN")


class Sink(NamedTuple):
    """Where this clone delivers to. Its text form has no secret in it."""

    webhook: str
    secret: str
    command: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Sink({self.how})"

    @property
    def how(self) -> str:
        return f"webhook {webhook.address(self.webhook)}" if self.webhook else f"command {self.command[0]}"

    def tell(self, event: str, cause: str, body: bytes) -> str | None:
        """Deliver once; None when it was taken, else why not."""
        if self.webhook:
            return webhook.post(self.webhook, self.secret, event, cause, body).why_not
        return run(self.command, body)


def sink(repo: Repo, config: Config) -> Sink | str:
    """Where to deliver from here, or why nowhere. Asks nobody but git and the file system."""
    if not config.notifies:
        return say.NOT_SET
    option = "notify.webhook" if config.notify_webhook else "notify.command"
    if config.where[option] == FILE:  # the working tree's: any branch's
        return say.NOT_LANDED
    if config.notify_webhook:
        host = webhook.address(config.notify_webhook) or ""
        secret = _secret(repo, host) if host else None
        return Sink(config.notify_webhook, secret, ()) if secret else say.no_secret(host, webhook.LEAST_SECRET)
    if _allowed(repo) != fingerprint(config):
        return say.not_allowed(config.notify_command)
    program = _program(config.notify_command[0])
    if program is None:
        return say.no_program(config.notify_command[0])
    return Sink("", "", (program, *config.notify_command[1:]))


def _secret(repo: Repo, host: str) -> str | None:
    from .store.discover import dotenv

    if found := webhook.secret_in(os.environ.get(SECRETS, ""), host):
        return found
    kept = webhook.secret_in(dotenv(repo.root).get(SECRETS, ""), host)
    tracked = kept and repo.maybe("ls-files", "--error-unmatch", "--", ":/.env") is not None
    return None if tracked else kept  # a .env that came with a branch is not this user's word


def _program(name: str) -> str | None:
    """The absolute path of a program; what PATH finds relative to some folder is none."""
    import shutil

    found = shutil.which(name)
    return found if found and os.path.isabs(found) else None


# --- permission for a command ----------------------------------------------------------------------------------------


def fingerprint(config: Config) -> str:
    """Changes with every word of the command."""
    text = json.dumps([config.project, *config.notify_command])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def allow(repo: Repo, config: Config) -> bool:
    """Let this clone run exactly this command; whether that is new."""
    if _allowed(repo) == fingerprint(config):
        return False
    os.makedirs(repo.own_dir, exist_ok=True)
    spare = os.path.join(repo.own_dir, f"{ALLOWED}.{os.getpid()}")
    with open(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
        f.write(fingerprint(config) + "\n")
    os.replace(spare, os.path.join(repo.own_dir, ALLOWED))
    # What runs now, if anything, began without the permission: the next command starts another.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(repo.own_dir, STAMP))
    return True


def _allowed(repo: Repo) -> str:
    try:
        with open(os.path.join(repo.own_dir, ALLOWED), encoding="ascii", errors="replace") as f:
            return f.readline().strip()
    except OSError:
        return ""


def run(command: tuple[str, ...], body: bytes) -> str | None:
    """Run a program without a shell, from the root folder, with the JSON on its standard input; None when it ended
    with 0, else why not. What it started ends with it, after COMMAND_S at the latest."""
    import tempfile

    env = {k: v for k, v in os.environ.items() if k not in HIDDEN}
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as said:  # no pipe, which its children could keep
        told.write(body)
        told.seek(0)
        try:
            child = subprocess.Popen(
                command, stdin=told, stdout=said, stderr=subprocess.STDOUT, cwd="/", env=env, start_new_session=True
            )
        except OSError as e:
            return say.not_started(e.strerror or str(e))
        try:
            code = child.wait(COMMAND_S)
        except subprocess.TimeoutExpired:
            return say.late(COMMAND_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        said.seek(max(0, said.seek(0, os.SEEK_END) - 1000))
        return say.ended_with(code, said.read().decode("utf-8", "replace")) if code else None


# --- delivering ------------------------------------------------------------------------------------------------------


def body(config: Config, t: Telling) -> bytes:
    """What is posted, or given to the command: one JSON object, with `schema`; all text is plain and inert."""
    shape: dict[str, Any] = {
        "schema": SCHEMA,
        "id": t.id,
        "event": t.event,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t.at_ms / 1000)),
        "project": config.project,
        "lane": t.lane,
        "prp": t.prp,
        "agent": t.agent,
        "sha": t.sha,
        "detail": t.detail,
        "text": say.sentence(t),
        "next_action": say.next_action(t),
        "try": t.tries,
    }
    shown = {k: inert(v) if isinstance(v, str) else v for k, v in shape.items()}
    return json.dumps(shown).encode()


def test(config: Config, to: Sink, agent: str) -> str | None:
    """Deliver a telling of the event "test" now; None when it was taken, else why not."""
    now_ms = int(time.time() * 1000)
    one = tellings.Telling(f"test:{now_ms}-0:test", "test", now_ms, None, None, agent, None, say.TEST, 1)
    return to.tell("test", one.id, body(config, one))


def deliver(
    config: Config,
    store: Store,
    to: Sink,
    agent: str,
    *,
    for_s: float = 0.0,
    most_s: float | None = None,
    on_done: Callable[[Telling, str, str | None], None] | None = None,
    on_look: Callable[[], object] | None = None,
    reap: bool = False,
) -> int:
    """Tell what is due, then what comes within `for_s`; how many were told. No new one is begun after `most_s`.

    Raises StoreDown; what was taken then is another's after a while.
    """
    begun = time.monotonic()
    told, reaped = 0, -REAP_S
    while True:
        if reap and time.monotonic() - reaped >= REAP_S:
            _reap(config, store)
            reaped = time.monotonic()
        if on_look:
            on_look()
        found = tellings.look(store, config.notify_events, events.lanes(store), agent, identity.host())
        next_s = found.next_s
        while next_s is not None and next_s <= 0 and (most_s is None or time.monotonic() - begun < most_s):
            taken = tellings.take(store, agent)
            next_s = taken.next_s
            if taken.one is None:
                break
            next_s = 0.0
            why_not = to.tell(taken.one.event, taken.one.id, body(config, taken.one))
            outcome = tellings.done(store, taken, why_not)
            told += outcome == "told"
            if on_done:
                on_done(taken.one, outcome, why_not)
        left_s = for_s - (time.monotonic() - begun)
        if left_s <= 0:
            return told
        _wait(store, found.after, min(left_s, BLOCK_S, *([max(next_s, 0.05)] if next_s is not None else [])))


def _wait(store: Store, after: dict[str, str], seconds: float) -> None:
    """Until something happens in one of these streams, at most so long."""
    client: Any = store.blocking(BLOCK_S)
    try:
        with store.faults():
            client.xread(after, count=1, block=max(1, int(seconds * 1000)))
    finally:
        client.close()
        client.connection_pool.disconnect()


def _reap(config: Config, store: Store) -> None:
    """Let the store end what is overdue: nothing is told of what nobody has noticed."""
    from .lock import MergeLock
    from .store.keys import script_keys

    store.run("prp_reap", script_keys(store.keys), [])
    for name in events.lanes(store):
        MergeLock(store, name, config.times).state()


def once(repo: Repo, config: Config, store: Store, *, most_s: float = 15.0) -> None:
    """For processes that are nobody's to wait for (a push's watcher, a CI run that is done): tell what is due, if this
    clone may. Says nothing."""
    to = sink(repo, config) if config.notifies else say.NOT_SET
    if isinstance(to, str):
        return
    try:
        deliver(config, store, to, identity.agent(repo).name, most_s=most_s)
    except UserError:
        return


def there(repo: Repo) -> bool:
    """Note that a deliverer of this clone runs, so that commands start none beside it; whether that could be noted."""
    try:
        os.makedirs(repo.own_dir, exist_ok=True)
        with open(os.path.join(repo.own_dir, STAMP), "w", encoding="ascii"):
            return True
    except OSError:
        return False


def start(repo: Repo, config: Config, url: str | None = None) -> bool:
    """Start a deliverer beside a command, unless one of this clone runs: it sees what this command does too. Costs the
    command two forks, and nothing where this clone does not deliver."""
    if not config.notifies or threading.active_count() > 1 or isinstance(sink(repo, config), str):
        return False  # a process with threads is not to be forked
    try:
        if 0 <= time.time() - os.stat(os.path.join(repo.own_dir, STAMP)).st_mtime < STAY_S - 5:
            return False
    except OSError:
        pass
    if not there(repo):
        return False
    import sys

    words = [sys.executable, "-I", "-m", "prpgate", "notify", "run", "--for", str(int(STAY_S))]
    env = {**os.environ, **({"PRP_REDIS_URL": url} if url else {})}
    place = repo.root
    if detach():
        try:
            os.chdir(place)
            os.execve(words[0], words, env)
        finally:
            os._exit(1)
    return True


def examine(config: Config, store: Store) -> tuple[str, str, str | None] | None:
    """(level, text, command) for `prp doctor`; None where nothing is to be told."""
    if not config.notifies:
        return None
    try:
        s = tellings.summary(store)
    except StoreDown:
        return None
    now, last = s.now_ms, s.deliverer["at"] if s.deliverer else 0
    waits = bool(s.due) and now - s.due[0].at_ms > 300_000 and now - last > 300_000
    if not last or waits or now - last > 86_400_000:
        return "warning", say.nobody(s), "prp notify run"
    if s.dead and now - (s.dead[0].ended_ms or 0) < 86_400_000:
        return "warning", say.given_up(len(s.dead)), "prp notify status"
    return "ok", say.well(s), None
