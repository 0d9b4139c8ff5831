"""GitHub's REST API over a bare repository: a real HTTP server on 127.0.0.1, in threads of the test's own process.

    with FakeGithub(world.remote) as host:
        clone.env.update(host.env)                       # where the API is, and a token
        host.add_check(sha, conclusion="success")        # a check run of github-actions, named smoke
        number = host.add_pull("topic", "main", "Title")

Pull requests are between real branches, and merging one merges for real. What was asked is in `requests`; what was
written in `dispatches`, `statuses`, `checks`, `comments`. `fail(...)` makes the next answers go wrong.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TOKEN = "fake-token-for-tests"
CUT, SLOW, RATE_LIMIT = "cut", "slow", "rate-limit"
CUT_AFTER = "cut-after"  # what was asked is done, and the answer is lost
WHO = {"GIT_AUTHOR_NAME": "host", "GIT_AUTHOR_EMAIL": "host@example.org"}
WHO |= {"GIT_COMMITTER_NAME": "host", "GIT_COMMITTER_EMAIL": "host@example.org"}
NOW = "%Y-%m-%dT%H:%M:%SZ"


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str  # without the query
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    status: int  # of the answer; 0 when the connection was cut


class Fault(NamedTuple):
    """What goes wrong with the next answers to requests whose "METHOD path" matches."""

    kind: str | int  # CUT, SLOW, RATE_LIMIT or a status
    match: re.Pattern[str]
    seconds: float


class _Refuse(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _stacks() -> str:
    """Where each thread of this process is."""
    names = {t.ident: t.name for t in threading.enumerate()}
    found = sys._current_frames().items()
    return "\n".join(f"{names.get(i)}\n{''.join(traceback.format_stack(frame))}" for i, frame in found)


class FakeGithub:
    """One repository, owner/name = `slug`, over a bare git repository."""

    def __init__(self, bare: Path, slug: str = "team/app", *, token: str = TOKEN) -> None:
        self.bare, self.slug, self.token = bare, slug, token
        self.page = 100  # items of a list that are answered at once, at most
        self.settings: dict[str, Any] = {
            "allow_merge_commit": True,
            "allow_squash_merge": True,
            "allow_rebase_merge": True,
            "default_branch": "main",
            "private": True,
        }
        self.rules: dict[str, list[dict[str, Any]]] = {}  # branch -> [{"type": …, "parameters": …}]
        self.protected: dict[str, list[str]] = {}  # branch -> names of required checks (classic protection)
        self.required: dict[str, list[str]] = {}  # branch -> contexts that must be green before a merge (else 405)
        self.rulesets: list[dict[str, Any]] = []  # made through the API; their rules bind
        self.parents_rulesets: list[dict[str, Any]] = []  # of its organisation
        self.workflows: set[str] = {"smoke.yml"}
        self.inputs: set[str] = {"sha", "fence"}  # that the workflows declare
        self.redirect = ""  # where the next request is sent instead
        self.on_request: Callable[[str], None] | None = None  # called with "METHOD path" before it is answered
        self.on_dispatch: Callable[[dict[str, Any]], None] | None = None
        self.requests: list[Asked] = []
        self.dispatches: list[dict[str, Any]] = []  # {"workflow", "ref", "inputs"}
        self.reruns: list[int] = []
        self.jobs: dict[int, dict[str, Any]] = {}  # check run -> {"path", "event", "steps"}: what stands behind it
        self.checks: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []  # {"sha", "context", "state", "description", "target_url"}
        self.comments: list[dict[str, Any]] = []  # {"id", "number", "body", "user"}
        self.pulls: dict[int, dict[str, Any]] = {}
        self.lock = threading.RLock()
        self._faults: list[Fault] = []
        self._next_id = 1000
        self._http: ThreadingHTTPServer | None = None

    # --- the server --------------------------------------------------------------------------------------------------
    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"host": self})
        self._http = _Server(("127.0.0.1", 0), handler)
        self._http.socket.settimeout(1)  # a connection that is gone again must not keep it from the next one
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """The API goes away. Whoever asks is refused by the kernel."""
        if self._http:
            ends = threading.Thread(target=self._http.shutdown, daemon=True)
            ends.start()
            ends.join(20)
            self._http.server_close()
            self._http = None
            assert not ends.is_alive(), f"it does not end:\n{_stacks()}"
            self._thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """For a clone: where the API is, whose repository, and a token."""
        return {"GITHUB_API_URL": self.url, "GITHUB_REPOSITORY": self.slug, "GITHUB_TOKEN": self.token}

    def fail(self, kind: str | int, times: int = 1, match: str = "", seconds: float = 30) -> None:
        """The next `times` answers to what matches (a regex over "GET /repos/…") go wrong: a status, CUT, SLOW (by so
        many seconds) or RATE_LIMIT (with a retry-after of so many)."""
        with self.lock:
            self._faults += [Fault(kind, re.compile(match), seconds)] * times

    def heal(self) -> None:
        with self.lock:
            self._faults.clear()

    def asked(self, match: str) -> list[Asked]:
        """Requests so far whose "METHOD path" matches."""
        with self.lock:
            return [r for r in self.requests if re.search(match, f"{r.method} {r.path}")]

    # --- what a test arranges ----------------------------------------------------------------------------------------
    def add_check(
        self,
        sha: str,
        name: str = "smoke",
        conclusion: str | None = None,
        *,
        app: str = "github-actions",
        status: str | None = None,
        url: str | None = None,
    ) -> int:
        """A check run; one without a conclusion is in progress. A newer one of the same app and name replaces the
        older, as the host shows only the latest."""
        with self.lock:
            one_id = self._id()
            now = time.strftime(NOW, time.gmtime())
            self.checks.append(
                {
                    "id": one_id,
                    "name": name,
                    "head_sha": sha,
                    "app": {"slug": app},
                    "status": status or ("completed" if conclusion else "in_progress"),
                    "conclusion": conclusion,
                    "html_url": url or f"https://host.example/{self.slug}/runs/{one_id}",
                    "details_url": f"https://host.example/{self.slug}/details/{one_id}",
                    "started_at": now,
                    "completed_at": now if conclusion else None,
                }
            )
            return one_id

    def add_job(
        self,
        check_id: int,
        steps: Mapping[str, str | None] | None = None,
        *,
        event: str = "push",
        path: str = ".github/workflows/smoke.yml@refs/heads/main",
    ) -> None:
        """The job of a workflow that a check run stands for; `steps`: name -> conclusion."""
        with self.lock:
            self.jobs[check_id] = {"path": path, "event": event, "steps": dict(steps or {})}

    def conclude(self, check_id: int, conclusion: str) -> None:
        with self.lock:
            one = next(c for c in self.checks if c["id"] == check_id)
            one |= {"status": "completed", "conclusion": conclusion, "completed_at": time.strftime(NOW, time.gmtime())}

    def add_pull(
        self,
        head: str,
        base: str = "main",
        title: str = "A change",
        *,
        body: str = "",
        author: str = "ana",
        fork: str = "",
    ) -> int:
        """A pull request between two branches of the repository. With `fork` its head repository is another."""
        with self.lock:
            number = len(self.pulls) + 1
            self.pulls[number] = {
                "number": number,
                "title": title,
                "body": body,
                "user": {"login": author},
                "state": "open",
                "draft": False,
                "merged": False,
                "merged_at": None,
                "merge_commit_sha": None,
                "head": {"ref": head, "sha": self.sha(head), "repo": {"full_name": fork or self.slug}},
                "base": {"ref": base, "sha": self.sha(base), "repo": {"full_name": self.slug}},
                "html_url": f"https://host.example/{self.slug}/pull/{number}",
            }
            self.git("update-ref", f"refs/pull/{number}/head", self.sha(head))
            return number

    # --- git ---------------------------------------------------------------------------------------------------------
    def git(self, *args: str, cwd: str | None = None, ok: bool = True) -> str:
        done = subprocess.run(
            ["git", *args],
            cwd=cwd or self.bare,
            env={"PATH": os.environ["PATH"], "HOME": str(self.bare), "GIT_CONFIG_NOSYSTEM": "1", **WHO},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if ok and done.returncode:
            raise _Refuse(405, done.stderr.strip() or "git failed")
        return done.stdout.strip() if done.returncode == 0 else ""

    def sha(self, rev: str) -> str:
        return self.git("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}", ok=False)

    def commits(self, span: str) -> list[dict[str, Any]]:
        found = []
        for sha in self.git("rev-list", "--reverse", "--topo-order", span).split():
            message = self.git("log", "-1", "--format=%B", sha)
            parents = self.git("rev-list", "--parents", "-n", "1", sha).split()[1:]
            found.append({"sha": sha, "commit": {"message": message}, "parents": [{"sha": p} for p in parents]})
        return found

    def merge(self, number: int, method: str, title: str = "", message: str = "") -> str:
        """What the button does: merge, squash or rebase into the base, which must not have moved meanwhile."""
        with self.lock:
            one = self._fresh(number)
            base, head = one["base"]["sha"], one["head"]["sha"]
            title = title or (f"{one['title']} (#{number})" if method == "squash" else f"Merge pull request #{number}")
            with tempfile.TemporaryDirectory(prefix="pg-merge-") as folder:
                tree = f"{folder}/tree"
                self.git("worktree", "add", "-q", "--detach", tree, head if method == "rebase" else base)
                try:
                    if method == "rebase":
                        self.git("rebase", "-q", base, cwd=tree)
                    else:
                        how = ["--squash"] if method == "squash" else ["--no-ff", "--no-commit"]
                        self.git("merge", "-q", *how, head, cwd=tree)
                        text = message or (one["body"] if method == "squash" else one["title"])
                        self.git("commit", "-q", "--allow-empty", "-m", title, "-m", text or "-", cwd=tree)
                    made = self.git("rev-parse", "HEAD", cwd=tree)
                finally:
                    self.git("worktree", "remove", "--force", tree, ok=False)
                    self.git("worktree", "prune")
            self.git("update-ref", f"refs/heads/{one['base']['ref']}", made, base)
            one |= {"merged": True, "state": "closed", "merge_commit_sha": made, "merged_at": time.strftime(NOW)}
            return made

    def _fresh(self, number: int) -> dict[str, Any]:
        """A pull request as it is now: an open one follows its branches."""
        if number not in self.pulls:
            raise _Refuse(404, "Not Found")
        one = self.pulls[number]
        if one["state"] == "open":
            one["head"]["sha"] = self.sha(f"refs/heads/{one['head']['ref']}") or one["head"]["sha"]
            one["base"]["sha"] = self.sha(f"refs/heads/{one['base']['ref']}")
            self.git("update-ref", f"refs/pull/{number}/head", one["head"]["sha"])
            done = subprocess.run(
                ["git", "merge-tree", "--write-tree", one["base"]["sha"], one["head"]["sha"]],
                cwd=self.bare,
                capture_output=True,
                check=False,
            )
            one["mergeable"] = done.returncode == 0
        return one

    def _id(self) -> int:
        self._next_id += 1
        return self._next_id

    # --- the API -----------------------------------------------------------------------------------------------------
    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """(status, body) of one call. Lists are cut into pages by the handler."""
        prefix = f"/repos/{self.slug}"
        if not path.startswith(prefix):
            raise _Refuse(404, "Not Found")
        for verb, pattern, call in ROUTES:
            found = re.fullmatch(pattern, path.removeprefix(prefix))
            if verb == method and found:
                with self.lock:
                    done: tuple[int, Any] = call(self, [unquote(g) for g in found.groups()], query, body or {})
                    return done
        raise _Refuse(404, "Not Found")

    def _repository(self, _: list[str], __: dict[str, str], ___: Any) -> tuple[int, Any]:
        return 200, {"full_name": self.slug, **self.settings}

    def _check_runs(self, args: list[str], query: dict[str, str], _: Any) -> tuple[int, Any]:
        sha = self.sha(args[0])
        if not sha:
            raise _Refuse(422, f"No commit found for SHA: {args[0]}")
        latest = {(c["app"]["slug"], c["name"]): c for c in self.checks if c["head_sha"] == sha}
        found = [c for c in latest.values() if query.get("check_name") in (None, c["name"])]
        return 200, {"total_count": len(found), "check_runs": found}

    def _create_check(self, _: list[str], __: dict[str, str], body: Any) -> tuple[int, Any]:
        one = self.add_check(body["head_sha"], body["name"], body.get("conclusion"), status=body.get("status"))
        made = next(c for c in self.checks if c["id"] == one)
        made["output"] = body.get("output")
        return 201, made

    def _update_check(self, args: list[str], _: dict[str, str], body: Any) -> tuple[int, Any]:
        one = next((c for c in self.checks if c["id"] == int(args[0])), None)
        if one is None:
            raise _Refuse(404, "Not Found")
        one |= {k: body[k] for k in ("status", "conclusion", "output") if k in body}
        if body.get("conclusion"):
            one["status"] = "completed"
        return 200, one

    def _status(self, args: list[str], _: dict[str, str], body: Any) -> tuple[int, Any]:
        if body.get("state") not in ("error", "failure", "pending", "success") or len(body["description"]) > 140:
            raise _Refuse(422, "Validation Failed")
        self.statuses.append({"sha": args[0], **body})
        return 201, body

    def _dispatch(self, args: list[str], _: dict[str, str], body: Any) -> tuple[int, Any]:
        if args[0] not in self.workflows:
            raise _Refuse(404, "Not Found")
        if not self.sha(f"refs/heads/{body.get('ref', '')}"):
            raise _Refuse(422, f"No ref found for: {body.get('ref')}")
        if extra := sorted(set(body.get("inputs") or {}) - self.inputs):
            raise _Refuse(422, f"Unexpected inputs provided: {json.dumps(extra)}")
        one = {"workflow": args[0], "ref": body["ref"], "inputs": body.get("inputs") or {}}
        self.dispatches.append(one)
        if self.on_dispatch:
            self.on_dispatch(one)
        return 204, None

    def _rerun(self, args: list[str], _: dict[str, str], __: Any) -> tuple[int, Any]:
        self.reruns.append(int(args[0]))
        return 201, {}

    def _list_pulls(self, _: list[str], query: dict[str, str], __: Any) -> tuple[int, Any]:
        found = [self._fresh(n) for n in self.pulls]
        found = [p for p in found if query.get("state", "open") in ("all", p["state"])]
        found = [p for p in found if query.get("base") in (None, p["base"]["ref"])]
        owner = self.slug.split("/")[0]
        return 200, [p for p in found if query.get("head") in (None, f"{owner}:{p['head']['ref']}")]

    def _pull(self, args: list[str], _: dict[str, str], __: Any) -> tuple[int, Any]:
        return 200, self._fresh(int(args[0]))

    def _pull_files(self, args: list[str], _: dict[str, str], __: Any) -> tuple[int, Any]:
        one = self._fresh(int(args[0]))
        words = {"A": "added", "M": "modified", "D": "removed"}
        found = self.git("diff", "--name-status", "--no-renames", f"{one['base']['sha']}...{one['head']['sha']}")
        rows = [line.split("\t") for line in found.splitlines()]
        return 200, [{"filename": path, "status": words.get(kind[0], "changed")} for kind, path in rows]

    def _pull_commits(self, args: list[str], _: dict[str, str], __: Any) -> tuple[int, Any]:
        one = self._fresh(int(args[0]))
        return 200, self.commits(f"{one['base']['sha']}..{one['head']['sha']}")

    def _merge(self, args: list[str], _: dict[str, str], body: Any) -> tuple[int, Any]:
        number, method = int(args[0]), body.get("merge_method", "merge")
        one = self._fresh(number)
        allowed = {"merge": "allow_merge_commit", "squash": "allow_squash_merge", "rebase": "allow_rebase_merge"}
        if one["merged"] or one["state"] != "open" or one["draft"] or not one["mergeable"]:
            raise _Refuse(405, "Pull Request is not mergeable")
        if not self.settings.get(allowed[method]):
            raise _Refuse(405, f"{method.capitalize()} merges are not allowed on this repository.")
        if body.get("sha") not in (None, one["head"]["sha"]):
            raise _Refuse(409, "Head branch was modified. Review and try the merge again.")
        if missing := [c for c in self.required.get(one["base"]["ref"], []) if not self.green(one["head"]["sha"], c)]:
            raise _Refuse(405, f'Required status check "{missing[0]}" is expected.')
        made = self.merge(number, method, body.get("commit_title", ""), body.get("commit_message", ""))
        return 200, {"sha": made, "merged": True, "message": "Pull Request successfully merged"}

    def green(self, sha: str, context: str) -> bool:
        """Is the newest status or check run of this name on a commit a success?"""
        states = [s["state"] for s in self.statuses if s["sha"] == sha and s["context"] == context]
        runs = [c["conclusion"] for c in self.checks if c["head_sha"] == sha and c["name"] == context]
        return [*runs, *states][-1:] == ["success"]

    def _commit_pulls(self, args: list[str], _: dict[str, str], __: Any) -> tuple[int, Any]:
        found = []
        for number in self.pulls:
            one = self._fresh(number)
            inside = self.git("rev-list", f"{one['base']['sha']}..{one['head']['sha']}").split()
            if args[0] in (*inside, one["merge_commit_sha"], one["head"]["sha"]):
                found.append(one)
        return 200, found

    def _job(self, args: list[str], _: dict[str, str], __: Any) -> tuple[int, Any]:
        one = self.jobs.get(int(args[0]))
        if one is None:
            raise _Refuse(404, "Not Found")
        steps = [
            {"name": name, "status": "completed" if said else "queued", "conclusion": said, "number": n}
            for n, (name, said) in enumerate(one["steps"].items(), 1)
        ]
        return 200, {"id": int(args[0]), "run_id": int(args[0]) + 500_000, "steps": steps}

    def _run(self, args: list[str], _: dict[str, str], __: Any) -> tuple[int, Any]:
        one = self.jobs[int(args[0]) - 500_000]
        return 200, {"id": int(args[0]), "path": one["path"], "event": one["event"]}

    def _comment(self, args: list[str], _: dict[str, str], body: Any) -> tuple[int, Any]:
        one = {"id": self._id(), "number": int(args[0]), "body": body["body"], "user": {"login": "prp[bot]"}}
        self.comments.append(one)
        return 201, one

    def _comments(self, args: list[str], _: dict[str, str], __: Any) -> tuple[int, Any]:
        return 200, [c for c in self.comments if c["number"] == int(args[0])]

    def _edit_comment(self, args: list[str], _: dict[str, str], body: Any) -> tuple[int, Any]:
        one = next((c for c in self.comments if c["id"] == int(args[0])), None)
        if one is None:
            raise _Refuse(404, "Not Found")
        one["body"] = body["body"]
        return 200, one

    def _branch(self, args: list[str], _: dict[str, str], __: Any) -> tuple[int, Any]:
        sha = self.sha(f"refs/heads/{args[0]}")
        if not sha:
            raise _Refuse(404, "Branch not found")
        required = self.protected.get(args[0])
        protection = {"enabled": required is not None, "required_status_checks": {"contexts": required or []}}
        shape = {"name": args[0], "commit": {"sha": sha}, "protected": required is not None}
        return 200, {**shape, "protection": protection}

    def _branch_rules(self, args: list[str], _: dict[str, str], __: Any) -> tuple[int, Any]:
        return 200, self.rules.get(args[0], [])

    def _list_rulesets(self, _: list[str], query: dict[str, str], __: Any) -> tuple[int, Any]:
        parents = [] if query.get("includes_parents") == "false" else self.parents_rulesets
        return 200, [*parents, *self.rulesets]

    def _put_ruleset(self, args: list[str], _: dict[str, str], body: Any) -> tuple[int, Any]:
        one = next((r for r in self.rulesets if args and r["id"] == int(args[0])), None)
        if args and one is None:
            raise _Refuse(404, "Not Found")
        if one is None:
            one = {"id": self._id()}
            self.rulesets.append(one)
        one |= body
        for ref in body["conditions"]["ref_name"]["include"]:
            self.rules[ref.removeprefix("refs/heads/")] = body["rules"]
            checks = [c for r in body["rules"] for c in r["parameters"].get("required_status_checks", ())]
            self.required[ref.removeprefix("refs/heads/")] = [c["context"] for c in checks]
        return 200 if args else 201, one

    def _add_contexts(self, args: list[str], _: dict[str, str], body: Any) -> tuple[int, Any]:
        if args[0] not in self.protected:
            raise _Refuse(404, "Branch not protected")
        self.protected[args[0]] += body["contexts"]
        self.required[args[0]] = self.protected[args[0]]
        return 200, self.protected[args[0]]

    def _compare(self, args: list[str], _: dict[str, str], __: Any) -> tuple[int, Any]:
        base, head = self.sha(args[0]), self.sha(args[1])
        if not base or not head:
            raise _Refuse(404, "Not Found")
        ahead, behind = self.commits(f"{base}..{head}"), self.commits(f"{head}..{base}")
        words = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}
        status = words.get((bool(ahead), bool(behind)), "diverged")
        return 200, {"status": status, "ahead_by": len(ahead), "behind_by": len(behind), "commits": ahead}


ROUTES: tuple[tuple[str, str, Callable[..., tuple[int, Any]]], ...] = (
    ("GET", "", FakeGithub._repository),
    ("GET", "/commits/([^/]+)/check-runs", FakeGithub._check_runs),
    ("GET", "/commits/([^/]+)/pulls", FakeGithub._commit_pulls),
    ("POST", "/check-runs", FakeGithub._create_check),
    ("PATCH", "/check-runs/([0-9]+)", FakeGithub._update_check),
    ("POST", "/statuses/([^/]+)", FakeGithub._status),
    ("POST", "/actions/workflows/([^/]+)/dispatches", FakeGithub._dispatch),
    ("POST", "/actions/runs/([0-9]+)/rerun-failed-jobs", FakeGithub._rerun),
    ("GET", "/actions/jobs/([0-9]+)", FakeGithub._job),
    ("GET", "/actions/runs/([0-9]+)", FakeGithub._run),
    ("GET", "/pulls", FakeGithub._list_pulls),
    ("GET", "/pulls/([0-9]+)", FakeGithub._pull),
    ("GET", "/pulls/([0-9]+)/files", FakeGithub._pull_files),
    ("GET", "/pulls/([0-9]+)/commits", FakeGithub._pull_commits),
    ("PUT", "/pulls/([0-9]+)/merge", FakeGithub._merge),
    ("POST", "/issues/([0-9]+)/comments", FakeGithub._comment),
    ("GET", "/issues/([0-9]+)/comments", FakeGithub._comments),
    ("PATCH", "/issues/comments/([0-9]+)", FakeGithub._edit_comment),
    ("GET", "/branches/([^/]+)", FakeGithub._branch),
    ("GET", "/rules/branches/([^/]+)", FakeGithub._branch_rules),
    ("GET", "/rulesets", FakeGithub._list_rulesets),
    ("POST", "/rulesets", FakeGithub._put_ruleset),
    ("PUT", "/rulesets/([0-9]+)", FakeGithub._put_ruleset),
    ("POST", "/branches/([^/]+)/protection/required_status_checks/contexts", FakeGithub._add_contexts),
    ("GET", "/compare/(.+)\\.\\.\\.(.+)", FakeGithub._compare),
)
LISTS = ("check_runs",)  # where a list is inside an object


class _Handler(BaseHTTPRequestHandler):
    host: FakeGithub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        return

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        status, answer, headers = self._decide(parts.path, query, body)
        seen = {name.lower(): value for name, value in self.headers.items()}
        with self.host.lock:
            self.host.requests.append(Asked(self.command, parts.path, query, seen, body, status))
        if status == 0:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        data = b"" if answer is None or status == 304 else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _decide(self, path: str, query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
        if self.host.on_request:
            self.host.on_request(f"{self.command} {path}")
        with self.host.lock:
            fault = next((f for f in self.host._faults if f.match.search(f"{self.command} {path}")), None)
            if fault:
                self.host._faults.remove(fault)
        if fault and fault.kind == CUT:
            return 0, None, {}
        if fault and fault.kind == CUT_AFTER:
            with contextlib.suppress(_Refuse):
                self.host.answer(self.command, path, query, body)
            return 0, None, {}
        if fault and fault.kind == SLOW:
            time.sleep(fault.seconds)
        elif fault and fault.kind == RATE_LIMIT:
            return 403, {"message": "API rate limit exceeded"}, {"Retry-After": f"{fault.seconds:.0f}"}
        elif fault:
            return int(fault.kind), {"message": "as the test wanted it"}, {}
        if self.headers.get("Authorization") != f"Bearer {self.host.token}":
            return 401, {"message": "Bad credentials"}, {}
        if self.host.redirect:
            target, self.host.redirect = self.host.redirect, ""
            return 301, {"message": "Moved Permanently"}, {"Location": target}
        try:
            status, answer = self.host.answer(self.command, path, query, body)
        except _Refuse as e:
            return e.status, {"message": e.message}, {}
        if self.command != "GET":
            return status, answer, {}
        answer, headers = self._cut(answer, query, path)
        etag = '"' + hashlib.sha256(json.dumps(answer).encode()).hexdigest()[:32] + '"'
        headers["ETag"] = etag
        return (304, None, headers) if self.headers.get("If-None-Match") == etag else (status, answer, headers)

    def _cut(self, answer: Any, query: dict[str, str], path: str) -> tuple[Any, dict[str, str]]:
        """One page of a list, and the link to the next."""
        field = next((f for f in LISTS if isinstance(answer, dict) and f in answer), None)
        items = answer[field] if field else answer
        if not isinstance(items, list):
            return answer, {}
        size = min(int(query.get("per_page", "30")), self.host.page)
        page = int(query.get("page", "1"))
        part = items[(page - 1) * size : page * size]
        more = len(items) > page * size
        link = {"Link": f'<{self.host.url}{path}?per_page={size}&page={page + 1}>; rel="next"'} if more else {}
        return ({**answer, field: part} if field else part), link
