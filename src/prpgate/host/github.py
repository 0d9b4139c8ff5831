"""GitHub's REST API (and an enterprise server's), as a `Host`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from ..errors import HostRefused
from ..messages import host as say
from . import (
    HEAD_MOVED,
    NOT_MERGEABLE,
    Branch,
    CheckRun,
    Comment,
    Comparison,
    Pull,
    PullCommit,
    PullFile,
    Rule,
    Settings,
    WorkflowJob,
)
from .transport import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .transport import Reply, Transport

PAGE, MOST_PAGES = 100, 30
MOST_SAID = 300  # letters of a refusal that are passed on
SLOW_DOWN_S = 60.0  # when the host says "slow down" and not for how long
LONGEST_TEXT, LONGEST_STATUS = 65_000, 140  # of a comment or a check's text; of a status


class Github:
    """One repository on GitHub."""

    def __init__(self, transport: Transport, address: str, repository: str) -> None:
        self.transport, self.address, self.repository = transport, address, repository
        self._repo = f"/repos/{repository}"

    # --- asking ------------------------------------------------------------------------------------------------------
    def ask(self, method: str, path: str, body: Mapping[str, Any] | Sequence[Any] | None = None) -> Any:
        return as_json(self._send(method, path, body).body)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | Sequence[Any] | None = None) -> Reply:
        reply = self.transport.send(method, path, None if body is None else json.dumps(body).encode())
        if reply.status < 300:
            return reply
        if (retry_s := _retry_s(reply)) is not None:
            raise say.busy(self.address, retry_s)
        said = as_json(reply.body)
        why = " ".join(str(said.get("message", "")).split())[:MOST_SAID] if isinstance(said, dict) else ""
        if reply.status >= 500:
            raise say.down(self.address, f"status {reply.status} {why}".strip())
        raise say.refused(self.address, f"{method} {path.partition('?')[0]}", reply.status, why)

    def _pages(self, path: str, field: str | None = None, **query: str | None) -> Iterator[dict[str, Any]]:
        """All items of a list, page by page; `field` where the list is inside an object."""
        asked = {name: value for name, value in query.items() if value is not None}
        for page in range(1, MOST_PAGES + 1):
            reply = self._send("GET", f"{path}?{urlencode({**asked, 'per_page': PAGE, 'page': page})}")
            found = as_json(reply.body)
            items = found.get(field) if field and isinstance(found, dict) else found
            if not isinstance(items, list):
                raise say.down(self.address, "its answer is not what its documentation says")
            yield from (item for item in items if isinstance(item, dict))
            if 'rel="next"' not in reply.headers.get("link", ""):
                return

    def _object(self, path: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        found = self.ask(method, path, body)
        if not isinstance(found, dict):
            raise say.down(self.address, "its answer is not what its documentation says")
        return found

    # --- checks and workflows ----------------------------------------------------------------------------------------
    def check_runs(self, sha: str, name: str | None = None) -> list[CheckRun]:
        path = f"{self._repo}/commits/{quote(sha, safe='')}/check-runs"
        return [_check_run(one) for one in self._pages(path, "check_runs", filter="latest", check_name=name)]

    def workflow_job(self, check_id: int) -> WorkflowJob:
        job = self._object(f"{self._repo}/actions/jobs/{check_id}")
        run = self._object(f"{self._repo}/actions/runs/{_number(job, 'run_id')}")
        path = _text(run, "path").partition("@")[0]  # ".github/workflows/smoke.yml@main"
        steps = [one for one in job.get("steps") or () if isinstance(one, dict)]
        return WorkflowJob(
            path.rpartition("/")[2],
            _text(run, "event"),
            {_text(one, "name"): _text(one, "conclusion") for one in steps},
        )

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        path = f"{self._repo}/actions/workflows/{quote(workflow, safe='')}/dispatches"
        self.ask("POST", path, {"ref": ref, "inputs": dict(inputs)})

    def rerun(self, run_id: int) -> None:
        self.ask("POST", f"{self._repo}/actions/runs/{run_id}/rerun-failed-jobs")

    def set_status(self, sha: str, context: str, state: str, text: str, url: str = "") -> None:
        body = {"state": state, "context": context, "description": text[:LONGEST_STATUS]}
        self.ask("POST", f"{self._repo}/statuses/{sha}", {**body, **({"target_url": url} if url else {})})

    def create_check(
        self, sha: str, name: str, *, status: str, conclusion: str = "", title: str = "", text: str = "", url: str = ""
    ) -> int:
        body = {"name": name, "head_sha": sha, **_check_body(status, conclusion, title or name, text)}
        made = self._object(f"{self._repo}/check-runs", "POST", {**body, **({"details_url": url} if url else {})})
        return _number(made, "id")

    def update_check(
        self, check_id: int, *, status: str, conclusion: str = "", title: str = "", text: str = ""
    ) -> None:
        self.ask("PATCH", f"{self._repo}/check-runs/{check_id}", _check_body(status, conclusion, title, text))

    # --- pull requests -----------------------------------------------------------------------------------------------
    def pull(self, number: int) -> Pull:
        return _pull(self._object(f"{self._repo}/pulls/{number}"))

    def pulls(self, *, head: str | None = None, base: str | None = None, state: str = "open") -> list[Pull]:
        return [_pull(one) for one in self._pages(f"{self._repo}/pulls", head=head, base=base, state=state)]

    def pull_files(self, number: int) -> list[PullFile]:
        found = self._pages(f"{self._repo}/pulls/{number}/files")
        return [PullFile(_text(f, "filename"), _text(f, "status"), _text(f, "previous_filename")) for f in found]

    def pull_commits(self, number: int) -> list[PullCommit]:
        return [_commit(one) for one in self._pages(f"{self._repo}/pulls/{number}/commits")]

    def merge_pull(self, number: int, head_sha: str, method: str, title: str = "", message: str = "") -> str:
        body = {"sha": head_sha, "merge_method": method}
        body |= {"commit_title": title} if title else {}
        body |= {"commit_message": message} if message else {}
        try:
            return _text(self._object(f"{self._repo}/pulls/{number}/merge", "PUT", body), "sha")
        except HostRefused as e:
            e.code = {409: HEAD_MOVED, 405: NOT_MERGEABLE}.get(e.status, e.code)
            raise

    def commit_pulls(self, sha: str) -> list[Pull]:
        return [_pull(one) for one in self._pages(f"{self._repo}/commits/{sha}/pulls")]

    def comment(self, number: int, text: str) -> int:
        path = f"{self._repo}/issues/{number}/comments"
        return _number(self._object(path, "POST", {"body": text[:LONGEST_TEXT]}), "id")

    def comments(self, number: int) -> list[Comment]:
        found = self._pages(f"{self._repo}/issues/{number}/comments")
        return [
            Comment(_number(c, "id"), _text(_part(c, "user"), "login"), _text(c, "body"), _text(c, "html_url"))
            for c in found
        ]

    def edit_comment(self, comment_id: int, text: str) -> None:
        self.ask("PATCH", f"{self._repo}/issues/comments/{comment_id}", {"body": text[:LONGEST_TEXT]})

    # --- the repository ----------------------------------------------------------------------------------------------
    def branch(self, name: str) -> Branch | None:
        try:
            found = self._object(f"{self._repo}/branches/{quote(name, safe='')}")
        except HostRefused as e:
            if e.status == 404:
                return None
            raise
        required = _part(_part(found, "protection"), "required_status_checks")
        return Branch(
            _text(_part(found, "commit"), "sha"),
            bool(found.get("protected")),
            tuple(str(one) for one in required.get("contexts") or ()),
        )

    def branch_rules(self, name: str) -> list[Rule]:
        found = self._pages(f"{self._repo}/rules/branches/{quote(name, safe='')}")
        return [Rule(_text(one, "type"), _part(one, "parameters")) for one in found]

    def settings(self) -> Settings:
        found = self._object(self._repo)
        return Settings(
            _text(found, "default_branch"),
            found.get("allow_merge_commit") is not False,  # left out of what a token without rights is told
            found.get("allow_squash_merge") is not False,
            found.get("allow_rebase_merge") is not False,
            bool(found.get("private")),
        )

    def compare(self, base: str, head: str) -> Comparison:
        found = self._object(f"{self._repo}/compare/{quote(base, safe='')}...{quote(head, safe='')}")
        return Comparison(
            *(_text(found, "status"), _number(found, "ahead_by"), _number(found, "behind_by")),
            tuple(_commit(one) for one in found.get("commits") or ()),
        )


def _retry_s(reply: Reply) -> float | None:
    """How long a rate limit wants us to wait; None when this is no rate limit.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
    """
    if reply.status not in (403, 429):
        return None
    after = reply.headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    if reply.headers.get("x-ratelimit-remaining") == "0":
        reset = reply.headers.get("x-ratelimit-reset", "")
        return max(1.0, float(reset) - time.time()) if reset.isdigit() else SLOW_DOWN_S
    return SLOW_DOWN_S if reply.status == 429 or b"secondary rate limit" in reply.body else None


# --- answers as values: what is missing is empty, what is of another kind is text ------------------------------------


def _part(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return "" if value is None else str(value)


def _number(found: Mapping[str, Any], name: str) -> int:
    value = found.get(name)
    return value if isinstance(value, int) else 0


def _check_run(one: Mapping[str, Any]) -> CheckRun:
    url = _text(one, "html_url") or _text(one, "details_url")
    return CheckRun(
        *(_number(one, "id"), _text(one, "name"), _text(_part(one, "app"), "slug"), _text(one, "head_sha")),
        *(_text(one, "status"), _text(one, "conclusion"), url),
        *(_text(one, "started_at"), _text(one, "completed_at")),
    )


def _check_body(status: str, conclusion: str, title: str, text: str) -> dict[str, Any]:
    body: dict[str, Any] = {"status": status, **({"conclusion": conclusion} if conclusion else {})}
    if title or text:
        body["output"] = {"title": title or text.partition("\n")[0][:255], "summary": text[:LONGEST_TEXT]}
    return body


def _pull(one: Mapping[str, Any]) -> Pull:
    head, base = _part(one, "head"), _part(one, "base")
    mergeable = one.get("mergeable")
    return Pull(
        *(_number(one, "number"), _text(one, "title"), _text(one, "body"), _text(_part(one, "user"), "login")),
        *(_text(one, "state"), bool(one.get("draft")), bool(one.get("merged") or one.get("merged_at"))),
        *(_text(one, "merge_commit_sha"), mergeable if isinstance(mergeable, bool) else None),
        *(_text(head, "sha"), _text(head, "ref"), _text(_part(head, "repo"), "full_name")),
        *(_text(base, "ref"), _text(base, "sha"), _text(one, "html_url")),
    )


def _commit(one: Mapping[str, Any]) -> PullCommit:
    parents = one.get("parents") or ()
    return PullCommit(
        _text(one, "sha"), _text(_part(one, "commit"), "message"), tuple(str(p.get("sha", "")) for p in parents)
    )
