"""What people read when the host's API does not answer, says no, or cannot be asked."""

from __future__ import annotations

from ..errors import HostDown, HostRefused

TOKEN = "export PRP_HOST_TOKEN=…"  # it wins over the others, whatever host it is
LATER = "Nothing was changed, and nothing is red for it."


def down(api: str, why: str, *, unsent: bool = False) -> HostDown:
    error = HostDown(f"the host's API at {api} did not answer: {why}.", code="host-down", hint=LATER)
    error.unsent = unsent
    return error


def busy(api: str, retry_s: float) -> HostDown:
    error = HostDown(
        f"the host's API at {api} wants to be left alone for {retry_s:.0f} s: its rate limit is used up.",
        code="host-busy",
        hint=LATER,
    )
    error.retry_s, error.unsent = retry_s, True
    return error


def refused(api: str, what: str, status: int, why: str, code: str = "host-refused") -> HostRefused:
    hint, then = None, None
    if status == 401:
        hint, then = "The token is not valid there (any more).", TOKEN
    elif status in (403, 404):
        hint = "The token may not do this, or there is no such thing: the host says 404 for both."
    error = HostRefused(
        f"the host at {api} refused ({status}) {what}: {why or 'no reason given'}",
        code=code,
        hint=hint,
        next_action=then,
    )
    error.status = status
    return error


def no_token(api: str, kept: str = "") -> HostRefused:
    """`kept`: the variable whose token does not go to this host."""
    hint = "PRP_HOST_TOKEN, GH_TOKEN or GITHUB_TOKEN is taken; without one gh and its login are."
    if kept:
        hint = f"{kept} is GitHub's: it goes to no other host. If it is this one's, call it PRP_HOST_TOKEN."
    return HostRefused(
        f"there is no way to ask the host's API at {api}: no token for it in the environment, and no gh on PATH.",
        code="no-token",
        hint=hint,
        next_action=TOKEN if kept else "gh auth login",
        otherwise=("or", f"gh auth login --hostname {api.split('/')[2]}" if kept else TOKEN),
    )


def no_login(host: str) -> HostRefused:
    return HostRefused(
        f"gh is not logged in to {host}.",
        code="no-token",
        next_action="gh auth login" if host == "github.com" else f"gh auth login --hostname {host}",
    )


def no_host(remote: str, url: str) -> HostRefused:
    return HostRefused(
        f"which repository of which host this is cannot be told from the address of {remote}.",
        code="no-host",
        hint=f'{url} is no address of a host with an API. Say it in prp.toml: [ci] api = "https://…", '
        'repository = "owner/name".',
        next_action=f"git remote get-url --push {remote}",
    )


def not_safe(api: str) -> HostRefused:
    return HostRefused(
        f"the host's API at {api} is not asked: a token would travel in the clear, or the address says too much.",
        code="not-safe",
        hint="[ci] api wants https:// and a host, such as https://ghe.example/api/v3.",
        next_action="git diff HEAD -- :/prp.toml",
    )


def not_trusted(api: str) -> HostRefused:
    return HostRefused(
        f"prp.toml sends to {api}, which is not the host that your remote is on: your token does not go there.",
        code="not-trusted",
        hint="Whoever can land can change prp.toml. If you know this address to be right:",
        next_action=f"export PRP_HOST_API={api}",
    )


def sent_elsewhere(api: str, where: str) -> HostRefused:
    return HostRefused(
        f"the host's API at {api} redirects to {where}: your token does not follow.",
        code="not-trusted",
        hint="If the repository or the host has moved, correct the remote's address.",
        next_action="git remote -v",
    )
