"""The host of a repository (GitHub and what speaks like it), as far as a lane has business with it.

`Host` is what the rest of prpgate knows; `github.py` is the one implementation. `choose.of(repo, config)` gives the
host of a clone's remote. Every call may raise HostDown (no answer: nothing is known) or HostRefused (it said no).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEAD_MOVED, NOT_MERGEABLE = "head-moved", "not-mergeable"  # HostRefused.code of merge_pull
MERGE, SQUASH, REBASE = "merge", "squash", "rebase"


class CheckRun(NamedTuple):
    """One check run on one commit. Times are the host's, ISO 8601; "" for none."""

    id: int
    name: str
    app: str  # the slug of the app that made it ("github-actions"); nobody else can make one in its name
    head: str
    status: str  # queued, in_progress, completed, waiting, requested, pending
    conclusion: str  # of a completed one: success, failure, cancelled, timed_out, neutral, skipped, stale, …
    url: str
    started: str
    completed: str


class WorkflowJob(NamedTuple):
    """The job of a workflow run that a check run stands for."""

    workflow: str  # its file's name, "smoke.yml"
    event: str  # why it ran: "push", "pull_request", …
    steps: Mapping[str, str]  # name -> conclusion: success, failure, cancelled, skipped; "" for one that never ended


class Pull(NamedTuple):
    """One pull request."""

    number: int
    title: str
    body: str
    author: str
    state: str  # "open" or "closed"
    draft: bool
    merged: bool
    merge_sha: str  # of a merged one: the commit that is in the base; else a trial merge, or ""
    mergeable: bool | None  # None: the host has not found out yet; ask again
    head_sha: str
    head_ref: str
    head_repo: str  # "owner/name"; "" when the fork is gone
    base_ref: str
    base_sha: str
    url: str


class PullFile(NamedTuple):
    path: str
    status: str  # added, modified, removed, renamed, …
    previous: str  # of a renamed one: its old path


class PullCommit(NamedTuple):
    sha: str
    message: str
    parents: tuple[str, ...]


class Comment(NamedTuple):
    id: int
    author: str
    text: str
    url: str


class Rule(NamedTuple):
    """One rule that binds a branch ("pull_request", "required_status_checks", "merge_queue", …)."""

    kind: str
    parameters: Mapping[str, Any]


class Branch(NamedTuple):
    sha: str
    protected: bool  # by classic branch protection
    required_checks: tuple[str, ...]  # of classic branch protection


class Settings(NamedTuple):
    """How a repository lets pull requests be merged."""

    default_branch: str
    allow_merge: bool
    allow_squash: bool
    allow_rebase: bool
    private: bool


class Comparison(NamedTuple):
    status: str  # identical, ahead, behind, diverged: of the head, seen from the base
    ahead: int
    behind: int
    commits: tuple[PullCommit, ...]  # on the head and not on the base, oldest first


class Host(Protocol):
    """What a lane asks of a host. `repository` is "owner/name", `address` where its API is."""

    repository: str
    address: str

    def check_runs(self, sha: str, name: str | None = None) -> list[CheckRun]:
        """The latest check runs of a commit, of every app; with `name` only those of that name."""

    def workflow_job(self, check_id: int) -> WorkflowJob:
        """The job that a check run of GitHub Actions stands for: its id is the check run's. HostRefused (404): none."""

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start a workflow (its file's name) by hand, on a branch."""

    def rerun(self, run_id: int) -> None:
        """Run the failed jobs of a workflow run again."""

    def pull(self, number: int) -> Pull: ...

    def pulls(self, *, head: str | None = None, base: str | None = None, state: str = "open") -> list[Pull]:
        """`head` as "owner:branch", `base` a branch."""

    def pull_files(self, number: int) -> list[PullFile]: ...

    def pull_commits(self, number: int) -> list[PullCommit]:
        """Oldest first; the host lists 250 at most."""

    def merge_pull(self, number: int, head_sha: str, method: str, title: str = "", message: str = "") -> str:
        """Merge at exactly this head; the sha that the base is at now. HostRefused with code HEAD_MOVED when the head
        is another, NOT_MERGEABLE when it cannot be merged (conflict, missing check, method not allowed)."""

    def commit_pulls(self, sha: str) -> list[Pull]:
        """Pull requests that have this commit, or whose merge made it."""

    def set_status(self, sha: str, context: str, state: str, text: str, url: str = "") -> None:
        """`state`: error, failure, pending, success. The newest of a context counts."""

    def create_check(
        self, sha: str, name: str, *, status: str, conclusion: str = "", title: str = "", text: str = "", url: str = ""
    ) -> int:
        """Needs the token of an app (GITHUB_TOKEN in a workflow is one). The check run's id."""

    def update_check(
        self, check_id: int, *, status: str, conclusion: str = "", title: str = "", text: str = ""
    ) -> None: ...

    def comment(self, number: int, text: str) -> int:
        """Comment on a pull request or issue; the comment's id."""

    def comments(self, number: int) -> list[Comment]: ...

    def edit_comment(self, comment_id: int, text: str) -> None: ...

    def branch(self, name: str) -> Branch | None:
        """None: there is none of this name."""

    def branch_rules(self, name: str) -> list[Rule]:
        """Rules of rulesets that bind a branch, active ones only."""

    def settings(self) -> Settings: ...

    def compare(self, base: str, head: str) -> Comparison: ...

    def ask(self, method: str, path: str, body: Mapping[str, Any] | Sequence[Any] | None = None) -> Any:
        """Any other call of the host's API; `path` begins with "/". What it answered, None for nothing."""
