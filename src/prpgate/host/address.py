"""Where a host's API is, which repository is meant, and whether a token may go there.

An address in prp.toml is the lane's word: whoever can land can change it. A person's token goes only to the host that
their own remote is on, to where their own environment points, or to this machine. One that is GitHub's by its name
goes to GitHub: a remote may be on any other host.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ..messages import host as say

if TYPE_CHECKING:
    from ..config import Config
    from ..gitrepo import Repo

GITHUB = "github.com"
OVER_443 = "ssh.github.com"  # the same by ssh on the port of https, where port 22 is shut
HERE = ("127.0.0.1", "localhost", "::1")
SLUG = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9_.-]{1,100}/(?!\.{1,2}$)[A-Za-z0-9_.-]{1,100}")
SCP = re.compile(r"(?:[^@/\s]+@)?([A-Za-z0-9.-]+):(?!//)/?(.+)")  # git@host:owner/name.git


class Place(NamedTuple):
    """Where to ask about which repository."""

    api: str  # without a "/" at its end
    repository: str  # "owner/name"
    trusted: bool  # a token may go there
    github: bool  # also one that is GitHub's by its name: GH_TOKEN, GITHUB_TOKEN


def remote_place(url: str) -> tuple[str, str] | None:
    """(host, "owner/name") of a remote's address; None for a path, or where there is no such thing."""
    if "://" in url:
        parts = urlsplit(url)
        host, path = (parts.hostname or "").lower(), parts.path
        if parts.scheme not in ("https", "http", "ssh", "git"):
            return None
    else:
        found = SCP.fullmatch(url)
        if not found:
            return None
        host, path = found[1].lower(), found[2]
    host = GITHUB if host == OVER_443 else host
    slug = path.strip("/").removesuffix(".git")
    return (host, slug) if host and SLUG.fullmatch(slug) else None


def api_of(host: str) -> str:
    """GitHub's own API has a host of its own, an enterprise server's is below its address."""
    if host == GITHUB:
        return f"https://api.{GITHUB}"
    if host.endswith(".ghe.com"):
        return f"https://api.{host}"
    return f"https://{host}/api/v3"


def has_api(url: str) -> bool:
    """Is a remote's address one on a host that is known to have this API? Of any other it has to be said (`ci.api`)."""
    known = remote_place(url)
    return known is not None and (known[0] == GITHUB or known[0].endswith(".ghe.com"))


def find(repo: Repo, config: Config) -> Place:
    """Raises HostRefused when address or repository cannot be told, or when the address cannot be asked in safety."""
    url = repo.push_url(config.remote)
    known = remote_place(url)
    mine = [os.environ.get(name, "").strip() for name in ("PRP_HOST_API", "GITHUB_API_URL")]
    api = (mine[0] or config.ci_api or mine[1] or (api_of(known[0]) if known else "")).rstrip("/")
    repository = config.ci_repository or (known[1] if known else "") or os.environ.get("GITHUB_REPOSITORY", "")
    if not api or not SLUG.fullmatch(repository):
        raise say.no_host(config.remote, url)
    parts = urlsplit(api)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and host in HERE):
        raise say.not_safe(api)
    if parts.username or parts.query or parts.fragment:
        raise say.not_safe(parts._replace(netloc=host, query="", fragment="").geturl())
    named = api in [one.rstrip("/") for one in mine] or host in HERE
    trusted = named or bool(known and host in (known[0], f"api.{known[0]}"))
    return Place(api, repository, trusted, named or host == f"api.{GITHUB}" or host.endswith(".ghe.com"))
