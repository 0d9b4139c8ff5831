"""What people read about the dashboard."""

from __future__ import annotations

from ..errors import UsageError, UserError
from ..origin import command
from ..output import inert

BACK = "The store is back."
READABLE = "Everything in the store can be read again."
PAGES_FULL = "too many pages are open on this dashboard."
LEAST_TOKEN = 24  # characters
MAKE_TOKEN = "python3 -c 'import secrets; print(secrets.token_hex(32))'"


def unreadable(e: Exception) -> str:
    return f"something in the store cannot be read ({type(e).__name__}: {inert(e)[:200]})."


def no_extra(missing: str) -> UserError:
    return UserError(
        f"the dashboard needs {missing}, which is not installed here.",
        code="extra-missing",
        hint="It is an extra, so that hooks and CI do without it.",
        next_action=command("dashboard"),
    )


def port_taken(host: str, port: int, free: int | None) -> UserError:
    return UserError(
        f"port {port} on {host} is taken.",
        code="port-taken",
        hint="Another program listens there; a dashboard of this project that runs already would have been named.",
        next_action=f"prp dashboard --port {free}" if free else "prp dashboard",
    )


def no_port(host: str, first: int, last: int) -> UserError:
    return UserError(
        f"ports {first} to {last} on {host} are all taken.",
        code="port-taken",
        next_action=f"prp dashboard --port {last + 1000}",
    )


def bad_port(port: int) -> UsageError:
    return UsageError(f"{port} is no port: 1024 to 65535.", code="usage", next_action="prp dashboard --port 8137")


def bad_host(host: str, why: str) -> UsageError:
    return UsageError(
        f"{host!r} is no address of this machine: {why}.", code="usage", next_action="prp dashboard --host 127.0.0.1"
    )


def public_without_token(host: str) -> UsageError:
    return UsageError(
        f"{host} can be reached by others, and no token is set.",
        code="token-needed",
        hint="Whoever opens the dashboard sees every PRP, branch, host name and path. From another machine, better: "
        "ssh -L 8137:127.0.0.1:8137 THIS-MACHINE, and prp dashboard here.",
        next_action=f'prp dashboard --host {host} --token "$({MAKE_TOKEN})"',
    )


def short_token(host: str, length: int) -> UsageError:
    return UsageError(
        f"the token has {length} characters; {LEAST_TOKEN} is the least.",
        code="token-short",
        hint="It is all that stands between others and this project.",
        next_action=f'prp dashboard --host {host} --token "$({MAKE_TOKEN})"',
    )


def running(url: str, minutes: int) -> str:
    return f"Open this once, within {minutes} minutes (another one: prp dashboard):\n  {url}"


def with_token(url: str) -> str:
    return f"Whoever has the token may look, as often as they like:\n  {url}"


def already(pid: int) -> str:
    return f"This project's dashboard runs already (process {pid}): a new link for it."


UNENCRYPTED = "Others reach this over plain HTTP: what they see, and the token, is not encrypted on the way."
STOP = "Ctrl-C ends it."
NO_BROWSER = "No browser could be opened here: open the link yourself."
