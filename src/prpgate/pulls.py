"""A pull request before it lands: which one is meant, whether it may, and how its commit will read."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from . import merged
from .gitrepo import lane_of
from .host import MERGE, REBASE, SQUASH
from .messages import pulls as say
from .reverts import REVERTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .config import Config
    from .gitrepo import Repo
    from .host import Host, Pull, Rule

ASK_S = 10.0  # for one answer of the host; a merge takes it a second or two
TRIES, AGAIN_S = 6, 0.5  # for the host to find out whether a pull request can be merged
MOST_COMMITS = 100  # named in a squash's message
LONGEST_LINE = 200
QUEUE, STRICT = "merge_queue", "strict_required_status_checks_policy"


class Ways(NamedTuple):
    """How pull requests get into a branch, as the host has it."""

    methods: tuple[str, ...]  # allowed ones, in the order in which they are taken
    queue: bool  # the host's own merge queue lands
    strict: bool  # a pull request has to be on top of the branch


class Words(NamedTuple):
    """How the landed commit will read. Empty for a rebase: its commits keep their own."""

    title: str
    body: str


def ways(host: Host, branch: str) -> Ways:
    """Raises HostDown, HostRefused."""
    settings, rules = host.settings(), host.branch_rules(branch)
    allowed = {MERGE: settings.allow_merge, SQUASH: settings.allow_squash, REBASE: settings.allow_rebase}
    if any(r.kind == "required_linear_history" for r in rules):
        allowed[MERGE] = False
    for named in (r.parameters.get("allowed_merge_methods") for r in rules if r.kind == "pull_request"):
        if isinstance(named, list) and named:
            allowed = {way: ok and way in named for way, ok in allowed.items()}
    return Ways(tuple(way for way, ok in allowed.items() if ok), has_queue(rules), _strict(rules))


def has_queue(rules: Sequence[Rule]) -> bool:
    return any(r.kind == QUEUE for r in rules)


def _strict(rules: Sequence[Rule]) -> bool:
    return any(r.kind == "required_status_checks" and r.parameters.get(STRICT) is True for r in rules)


def method(found: Ways, config: Config) -> str:
    """The way to merge: what prp.toml names, else the first that the repository allows."""
    if config.land_method and config.land_method not in found.methods:
        raise say.method_not_allowed(config.land_method, found.methods)
    if not found.methods:
        raise say.method_not_allowed("", ())
    return config.land_method or found.methods[0]


def number_of(repo: Repo, host: Host, config: Config, branch: str | None) -> int:
    """The one open pull request of a branch, to a lane."""
    name = branch or repo.branch
    if not name:
        raise say.no_branch()
    owner = host.repository.partition("/")[0]
    open_ones = [p for p in host.pulls(head=f"{owner}:{name}") if lane_of(config, config.remote, _ref(p.base_ref))]
    if len(open_ones) != 1:
        raise say.not_one(name, config.ledger_lane, [p.number for p in open_ones])
    one, here = open_ones[0], repo.sha(f"refs/heads/{name}")
    if here and here != one.head_sha:
        raise say.not_pushed(one, name, here, config.remote)
    return one.number


def _ref(branch: str) -> str:
    return f"refs/heads/{branch}"


def read(host: Host, number: int) -> Pull:
    """A pull request, once the host knows whether it can be merged; after three seconds as it is then."""
    for n in range(TRIES):
        pull = host.pull(number)
        if pull.mergeable is not None or pull.state != "open" or n + 1 == TRIES:
            return pull
        time.sleep(AGAIN_S)
    raise AssertionError


def check(pull: Pull, config: Config) -> str:
    """The lane that an open pull request lands on. Refuses what cannot land as it is."""
    lane = lane_of(config, config.remote, _ref(pull.base_ref))
    if pull.merged:
        raise say.merged_already(pull)
    if pull.state != "open":
        raise say.not_open(pull)
    if lane is None:
        raise say.no_lane(pull, config.lanes)
    if pull.draft:
        raise say.draft(pull)
    return lane


def from_fork(pull: Pull, host: Host) -> bool:
    return pull.head_repo.lower() != host.repository.lower()


def words(repo: Repo, pull: Pull, base: str, way: str, ids: Sequence[str]) -> Words:
    """Title and body of the commit that lands. They name the PRPs, the commits and who wrote them, because a squash
    leaves none of these in the branch."""
    if way == REBASE:
        return Words("", "")
    title = _line(pull.title) or f"Pull request {pull.number}"
    trailers = [*(f"Prp: {one}" for one in ids), f"Pull-Head: {pull.head_sha}"]  # never empty: a host would put the
    # pull request's title there, and a title can look like a trailer
    if way == MERGE:
        return Words(f"Merge pull request #{pull.number}: {title}", "\n".join(trailers))
    messages = repo.messages(repo.maybe("merge-base", base, pull.head_sha), pull.head_sha)
    named = [f"* {sha[:10]} {_line(text.partition(chr(10))[0])}" for sha, text in reversed(messages)]
    more = [f"* and {len(named) - MOST_COMMITS} more"] if len(named) > MOST_COMMITS else []
    back = [f"This reverts commit {sha}." for _, text in messages for sha in REVERTS.findall(text)]
    people = repo.text("log", "--format=%an <%ae>", f"{base}..{pull.head_sha}", "--").splitlines()
    others = list(dict.fromkeys(people))
    trailers += [f"Co-authored-by: {who}" for one in others if len(others) > 1 and (who := _line(one))]
    parts = ["\n".join([*named[:MOST_COMMITS], *more]), *back, "\n".join(trailers)]
    tail = "" if re.search(rf"\(#{pull.number}\)\s*$", title) else f" (#{pull.number})"
    return Words(title + tail, "\n\n".join(p for p in parts if p))


def _line(text: str) -> str:
    """Somebody else's words as one line, with nothing in it that steers."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.split())[:LONGEST_LINE]


def candidate(repo: Repo, pull: Pull, base: str, text: Words) -> str | merged.Conflicts:
    """A commit, on no branch, of what merging makes: what is judged instead of the one that the host will make."""
    tree = merged.merge_tree(repo, base, pull.head_sha)
    if isinstance(tree, merged.Conflicts):
        return tree
    message = f"{text.title or _line(pull.title)}\n\n{text.body}\n"
    return merged.commit(repo, tree, base, pull.head_sha, message)


def as_json(pull: Pull) -> dict[str, Any]:
    return {"number": pull.number, "url": pull.url, "head": pull.head_sha}
