"""What `prp init` proposes for a repository, read from what is there. Nothing here changes anything."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from typing import TYPE_CHECKING, NamedTuple

from .config import DEFAULT_ID_PATTERN, PROJECT
from .host import address
from .messages.ci_setup import STATUS_FIRST, TEAM_FIRST
from .messages.lane import counted

if TYPE_CHECKING:
    from .gitrepo import Repo

ANCESTOR_LEDGER = ".claude/prp_tracking/prp_status.yaml"
NEW_LEDGER = "prps/"  # one file per PRP: two people who add one never touch the same file
TRACKING = re.compile(rb"^(?:\xef\xbb\xbf)?prp_tracking[ \t]*:", re.MULTILINE)
SINGLE = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:[ \t]*#[^\n]*\n|\s*\n)*id[ \t]*:[^\n]*\n", re.MULTILINE)
LOOK_AT_MOST = 2_000  # YAML files looked into; a repository with more is asked for --ledger
HEAD_BYTES = 65_536


class Proposal(NamedTuple):
    """What prp.toml would say, and why."""

    project: str
    ledger: str
    scope: str
    remote: str
    branch: str
    id_pattern: str
    store_id: str
    notes: tuple[str, ...]


def propose(
    repo: Repo,
    *,
    ledger: str | None = None,
    project: str | None = None,
    scope: str | None = None,
    lane: str | None = None,
) -> Proposal:
    """Read the repository and propose settings; what the caller names is taken as it is."""
    notes: list[str] = []
    remote = _remote(repo)
    url = repo.remote_url(remote)
    if url is None:
        notes.append(f"No remote named {remote} yet: pushes to it are coordinated once there is one.")
    path, said = (ledger, None) if ledger else find_ledger(repo)
    notes += [said] if said else []
    elsewhere = on_another_host(url)
    if scope is None:
        scope = "machine"
        if elsewhere:
            notes.append(
                "The remote is on another host. Scope machine coordinates the people and agents of this machine "
                "only; teammates on other machines are not seen. With them: prp init --scope team, and one "
                "REDIS_URL for everybody."
            )
    if scope == "team":  # one address for everybody is one that CI can have too
        notes.append(TEAM_FIRST)
    elif url and elsewhere and address.has_api(url):
        notes.append(STATUS_FIRST)
    return Proposal(
        project=project or project_id(repo, url),
        ledger=path or NEW_LEDGER,
        scope=scope,
        remote=remote,
        branch=lane or default_branch(repo, remote),
        id_pattern=id_pattern(repo, path or NEW_LEDGER),
        store_id=str(uuid.uuid4()),
        notes=tuple(notes),
    )


def _remote(repo: Repo) -> str:
    names = (repo.maybe("remote") or "").split()
    return "origin" if "origin" in names or not names else names[0]


def on_another_host(url: str | None) -> bool:
    """Whether a remote's address leads off this machine."""
    if not url or url.startswith(("/", ".", "file:")) or os.path.exists(url):
        return False
    return "://" in url or bool(re.match(r"^[^/]+:", url))


def project_id(repo: Repo, url: str | None) -> str:
    """host/owner/name of a hosted remote; for a local one its name and a hash of where it really is."""
    if url and on_another_host(url):
        bare = re.sub(r"^[a-z+]+://", "", url)
        bare = re.sub(r"^[^@/]*@", "", bare)
        host, _, path = bare.replace(":", "/", 1).partition("/")
        parts = [p for p in path.split("/") if p not in ("", ".", "..")]
        name = "/".join([host.lower(), *[p for p in parts if not (p.isdigit() and p == parts[0])]])
        name = re.sub(r"[^A-Za-z0-9._/-]", "-", name.removesuffix(".git")).strip("-./")
        if PROJECT.fullmatch(name) and ".." not in name:
            return name
    place = os.path.realpath(url.removeprefix("file://") if url else repo.top)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", os.path.basename(place).removesuffix(".git")).strip("-._") or "project"
    return f"local/{name}-{hashlib.sha256(place.encode('utf-8', 'surrogateescape')).hexdigest()[:6]}"


def default_branch(repo: Repo, remote: str) -> str:
    """The remote's default branch, else main or master, else the one checked out."""
    head = repo.maybe("symbolic-ref", "--quiet", "--short", f"refs/remotes/{remote}/HEAD")
    if head:
        return head.removeprefix(f"{remote}/")
    for name in ("main", "master"):
        if repo.sha(repo.tracking(remote, name)) or repo.sha(f"refs/heads/{name}"):
            return name
    return repo.branch or "main"


def find_ledger(repo: Repo) -> tuple[str | None, str | None]:
    """(path, what to say). A tracking file wins; else a folder whose YAML files start with `id:`."""
    listed = repo.run("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.yaml", "*.yml").stdout
    paths = [p.decode("utf-8", "surrogateescape") for p in listed.split(b"\0") if p][:LOOK_AT_MOST]
    tracking, folders = [], dict[str, int]()
    for path in sorted(paths, key=lambda p: p != ANCESTOR_LEDGER):
        try:
            with open(os.path.join(repo.top, path), "rb") as f:
                head = f.read(HEAD_BYTES)
        except OSError:
            continue
        if TRACKING.search(head):
            tracking.append(path)
        elif SINGLE.match(head) and b"status:" in head:
            folders[os.path.dirname(path)] = folders.get(os.path.dirname(path), 0) + 1
    if tracking:
        more = f"; also found, not used: {', '.join(tracking[1:])}" if len(tracking) > 1 else ""
        return tracking[0], (
            f"Found the ledger {tracking[0]}{more}. It stays one file. Two PRPs added at its end at once conflict "
            "wherever the merge is made without prpgate's merge driver (a host's merge button)."
        )
    if folders:
        best = max(folders, key=lambda d: folders[d])
        if best:
            return best + "/", f"Found the ledger {best}/ ({counted(folders[best], 'PRP')}, one file each)."
    return None, (
        f"No ledger found: new PRPs go to {NEW_LEDGER}, one file each. Two people who add PRPs at once never touch the "
        "same file then; in one common file their additions conflict wherever the merge is made without prpgate's "
        "merge driver, such as by a host's merge button."
    )


def id_pattern(repo: Repo, path: str) -> str:
    """A pattern for the ids that the ledger has, so that no other word of a commit message looks like one."""
    from . import ledger_scan

    ids: set[str] = set()
    full = os.path.join(repo.top, path)
    if path.endswith("/"):
        if os.path.isdir(full):
            ids = {os.path.splitext(f)[0] for f in os.listdir(full) if f.endswith((".yaml", ".yml"))}
    elif os.path.isfile(full):
        with open(full, "rb") as f:
            ids = ledger_scan.known_ids_scan(f.read())
    prefixes = sorted({m.group(1) for i in ids if (m := re.fullmatch(r"([A-Za-z][A-Za-z0-9]*)-[0-9]+", i))})
    if not prefixes:
        return DEFAULT_ID_PATTERN
    if all(re.fullmatch(r"P[0-9]|PRP", p) for p in prefixes):
        return DEFAULT_ID_PATTERN
    return f"({'|'.join(prefixes)})-[0-9]+"


def toml(p: Proposal) -> str:
    """The text of a new prp.toml."""
    return f"""\
# prpgate: who works on what, and who lands when. Commit this file.
project = {quoted(p.project)}
gate = "none"             # none: pushes land one by one; local: what lands was smoked first; ci: CI smokes each landing
#                         ci-first: CI smokes each commit on a branch of its own, and only then the lane moves to it
id_pattern = {quoted(p.id_pattern)}

[store]
id = "{p.store_id}"
scope = "{p.scope}"       # machine: this machine's people and agents; team: one shared server, set REDIS_URL

[ledger]
path = {quoted(p.ledger)}
lane = {quoted(p.branch)}           # the branch that is the record
# docs = "PRPs/**/*.md"   # where documents of PRPs are: prp check --all names those that no PRP has

[lane]
remote = {quoted(p.remote)}
branches = [{quoted(p.branch)}]     # each of these has its own merge lock; globs are fine

[smoke_gate]
budget = 180              # seconds, for all steps together

# The steps of the smoke gate, side by side unless they say `needs = ["..."]`. Example:
# [[smoke]]
# name = "tests"
# run = "pytest -q -x tests/smoke"
# timeout = 120
"""


def quoted(text: str) -> str:
    """A TOML basic string."""
    out = "".join("\\" + c if c in '"\\' else f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c for c in text)
    return f'"{out}"'
