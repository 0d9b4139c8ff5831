"""The client of the host's API against a real HTTP server: what it reads, what it writes, and what can go wrong."""

from __future__ import annotations

import os
import stat
import sys
import time
from typing import TYPE_CHECKING

import pytest

from prpgate import host as hosts
from prpgate.config import parse
from prpgate.errors import HostDown, HostRefused
from prpgate.gitrepo import Repo
from prpgate.host import address, choose
from tests.ci.fake_github import CUT, RATE_LIMIT, SLOW, FakeGithub
from tests.world import Clone, World, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prpgate.config import Config
    from prpgate.host import Host

TOML = 'project = "example.org/team/app"\n'


@pytest.fixture
def ana(world: World) -> Clone:
    return world.clone("ana", first=True)


@pytest.fixture
def fake(world: World, ana: Clone, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGithub]:
    with FakeGithub(world.remote) as one:
        for name, value in one.env.items():
            monkeypatch.setenv(name, value)
        yield one


def open_host(ana: Clone, more: str = "", timeout_s: float = 10) -> Host:
    return choose.of(Repo(str(ana.path)), config(more), timeout_s=timeout_s)


def config(more: str = "") -> Config:
    return parse(TOML + more, "prp.toml")


def branch(ana: Clone, name: str, *files: str) -> str:
    ana.git("checkout", "-q", "-B", name, "origin/main")
    for one in files:
        ana.commit_files(f"add {one}", {one: f"{one}\n"})
    ana.git("push", "-q", "-f", "origin", f"HEAD:{name}")
    return ana.head


# --- what it reads and writes ----------------------------------------------------------------------------------------


def test_check_runs_come_with_their_app_page_by_page(ana: Clone, fake: FakeGithub) -> None:
    fake.page = 2
    for n in range(5):
        fake.add_check(ana.head, f"job {n}", "success", app="github-actions" if n else "somebody-else")
    found = open_host(ana).check_runs(ana.head)
    assert [(c.name, c.app) for c in found][:2] == [("job 0", "somebody-else"), ("job 1", "github-actions")]
    assert len(found) == 5
    assert {(c.status, c.conclusion, c.head) for c in found} == {("completed", "success", ana.head)}
    assert len(fake.asked("check-runs")) == 3


def test_of_one_name_only_those_are_asked_for(ana: Clone, fake: FakeGithub) -> None:
    fake.add_check(ana.head, "smoke")
    fake.add_check(ana.head, "other", "failure")
    (one,) = open_host(ana).check_runs(ana.head, "smoke")
    assert (one.name, one.status, one.conclusion, one.completed) == ("smoke", "in_progress", "", "")


def test_what_has_not_changed_is_not_sent_again(ana: Clone, fake: FakeGithub) -> None:
    fake.add_check(ana.head)
    host = open_host(ana)
    first, second = host.check_runs(ana.head), host.check_runs(ana.head)
    assert first == second
    assert [r.status for r in fake.asked("check-runs")] == [200, 304]
    fake.add_check(ana.head, conclusion="failure")
    assert [c.conclusion for c in host.check_runs(ana.head)] == ["failure"]


@pytest.mark.parametrize("path", [".github/workflows/smoke.yml", ".github/workflows/smoke.yml@refs/heads/main"])
def test_the_job_behind_a_check_run(ana: Clone, fake: FakeGithub, path: str) -> None:
    host, check = open_host(ana), fake.add_check(ana.head, conclusion="failure")
    with pytest.raises(HostRefused) as e:
        host.workflow_job(check)
    assert e.value.status == 404
    fake.add_job(check, {"set up": "failure", "smoke gate": "skipped", "last": None}, path=path)
    steps = {"set up": "failure", "smoke gate": "skipped", "last": ""}
    assert host.workflow_job(check) == ("smoke.yml", "push", steps)


def test_a_workflow_is_started_with_its_inputs(ana: Clone, fake: FakeGithub) -> None:
    open_host(ana).dispatch("smoke.yml", "main", {"sha": ana.head, "fence": "7"})
    assert fake.dispatches == [{"workflow": "smoke.yml", "ref": "main", "inputs": {"sha": ana.head, "fence": "7"}}]
    with pytest.raises(HostRefused) as e:
        open_host(ana).dispatch("other.yml", "main", {})
    assert e.value.status == 404


@pytest.mark.parametrize(("method", "parents"), [("merge", 2), ("squash", 1), ("rebase", 1)])
def test_a_pull_request_is_merged_for_real(
    ana: Clone, fake: FakeGithub, world: World, method: str, parents: int
) -> None:
    head = branch(ana, "topic", "one", "two")
    number = fake.add_pull("topic", title="A topic")
    host = open_host(ana)
    one = host.pull(number)
    assert (one.head_sha, one.base_ref, one.mergeable, one.merged) == (head, "main", True, False)
    assert [f.path for f in host.pull_files(number)] == ["one", "two"]
    assert [c.message.strip() for c in host.pull_commits(number)] == ["add one", "add two"]
    made = host.merge_pull(number, head, method, "The title", "The text")
    assert made == world.tip()
    assert host.pull(number).merged
    assert host.pull(number).merge_sha == made
    assert [p.number for p in host.commit_pulls(made)] == [number]
    assert len(run(["git", "rev-list", "--parents", "-n", "1", made], world.remote).out.split()) == 1 + parents
    assert run(["git", "ls-tree", "--name-only", made], world.remote).out.split() == ["README", "one", "two"]
    assert world.subjects()[0] == ("add two" if method == "rebase" else "The title")


def test_a_head_that_moved_is_not_merged(ana: Clone, fake: FakeGithub, world: World) -> None:
    old = branch(ana, "topic", "one")
    number = fake.add_pull("topic")
    branch(ana, "topic", "one", "two")
    before = world.tip()
    with pytest.raises(HostRefused) as e:
        open_host(ana).merge_pull(number, old, "merge")
    assert (e.value.code, e.value.status, world.tip()) == (hosts.HEAD_MOVED, 409, before)


@pytest.mark.parametrize("why", ["conflict", "method", "check"])
def test_what_cannot_be_merged_is_not(ana: Clone, fake: FakeGithub, world: World, why: str) -> None:
    head = branch(ana, "topic", "one")
    number = fake.add_pull("topic")
    if why == "conflict":
        ana.git("checkout", "-q", "main")
        ana.commit_files("another", {"one": "something else\n"})
        ana.git("push", "-q", "-f", "origin", "HEAD:main")
    fake.settings["allow_squash_merge"] = why != "method"
    fake.required = {"main": ["prp/lane"]} if why == "check" else {}
    before = world.tip()
    with pytest.raises(HostRefused) as e:
        open_host(ana).merge_pull(number, head, "squash")
    assert (e.value.code, world.tip()) == (hosts.NOT_MERGEABLE, before)


def test_statuses_checks_and_comments(ana: Clone, fake: FakeGithub) -> None:
    host = open_host(ana)
    host.set_status(ana.head, "prp/lane", "failure", "x" * 500, "https://host.example/why")
    assert fake.statuses[0]["target_url"] == "https://host.example/why"
    assert not fake.green(ana.head, "prp/lane")
    host.set_status(ana.head, "prp/lane", "success", "open")
    assert fake.green(ana.head, "prp/lane")
    check = host.create_check(ana.head, "prp/lane", status="in_progress", title="waiting", text="for ana")
    host.update_check(check, status="completed", conclusion="success", title="open")
    assert [(c.id, c.status, c.conclusion) for c in host.check_runs(ana.head)] == [(check, "completed", "success")]
    made = host.comment(1, "hello")
    host.edit_comment(made, "hello again")
    assert [(c.id, c.text) for c in host.comments(1)] == [(made, "hello again")]


def test_rules_and_settings(ana: Clone, fake: FakeGithub) -> None:
    fake.rules["main"] = [{"type": "merge_queue", "parameters": {"merge_method": "SQUASH"}}, {"type": "deletion"}]
    fake.settings["allow_rebase_merge"] = False
    fake.protected["main"] = ["smoke"]
    host = open_host(ana)
    assert [(r.kind, dict(r.parameters)) for r in host.branch_rules("main")] == [
        ("merge_queue", {"merge_method": "SQUASH"}),
        ("deletion", {}),
    ]
    settings = host.settings()
    assert (settings.allow_merge, settings.allow_squash, settings.allow_rebase) == (True, True, False)
    assert host.branch("nothing/here") is None
    found = host.branch("main")
    assert found is not None
    assert (found.sha, found.protected, found.required_checks) == (ana.head, True, ("smoke",))
    head = branch(ana, "topic/one", "one")
    assert host.compare("main", head)[:3] == ("ahead", 1, 0)


# --- what can go wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [500, 502, CUT])
def test_no_answer_is_no_answer_and_nothing_else(ana: Clone, fake: FakeGithub, kind: str | int) -> None:
    fake.fail(kind)
    with pytest.raises(HostDown) as e:
        open_host(ana).check_runs(ana.head)
    assert "did not answer" in e.value.message
    assert open_host(ana).check_runs(ana.head) == []


def test_a_slow_host_is_not_waited_for(ana: Clone, fake: FakeGithub) -> None:
    fake.fail(SLOW, seconds=3)
    begun = time.monotonic()
    with pytest.raises(HostDown):
        open_host(ana, timeout_s=0.3).check_runs(ana.head)
    assert time.monotonic() - begun < 2


def test_a_rate_limit_says_how_long(ana: Clone, fake: FakeGithub) -> None:
    fake.fail(RATE_LIMIT, seconds=42)
    with pytest.raises(HostDown) as e:
        open_host(ana).check_runs(ana.head)
    assert (e.value.code, e.value.retry_s) == ("host-busy", 42)


def test_a_host_that_is_not_there(ana: Clone, fake: FakeGithub) -> None:
    fake.stop()
    with pytest.raises(HostDown):
        open_host(ana).settings()


def test_a_token_that_is_not_valid(ana: Clone, fake: FakeGithub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRP_HOST_TOKEN", "another")
    with pytest.raises(HostRefused) as e:
        open_host(ana).settings()
    assert e.value.status == 401
    assert "another" not in str(e.value.message) + str(e.value.hint)


# --- where a token goes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://github.com/team/app.git", ("github.com", "team/app")),
        ("https://user:secret@github.com/team/app", ("github.com", "team/app")),
        ("git@github.com:team/app.git", ("github.com", "team/app")),
        ("ssh://git@GHE.example:2222/team/app.git", ("ghe.example", "team/app")),
        ("ssh://git@ssh.github.com:443/team/app.git", ("github.com", "team/app")),
        ("/srv/git/app.git", None),
        ("../app.git", None),
        ("file:///srv/git/team/app.git", None),
        ("https://github.com/one", None),
        ("https://github.com/team/..", None),
        ("https://github.com/../app", None),
    ],
)
def test_host_and_repository_of_a_remote(url: str, found: tuple[str, str] | None) -> None:
    assert address.remote_place(url) == found


def test_the_api_of_a_host() -> None:
    assert address.api_of("github.com") == "https://api.github.com"
    assert address.api_of("ghe.example") == "https://ghe.example/api/v3"
    assert address.api_of("team.ghe.com") == "https://api.team.ghe.com"


@pytest.mark.parametrize(
    ("toml", "mine", "code"),
    [
        ('ci.api = "https://evil.example/api/v3"', None, "not-trusted"),
        ('ci.api = "http://ghe.example/api/v3"', None, "not-safe"),
        ('ci.api = "https://me@ghe.example/api"', None, "not-safe"),
        ('ci.api = "https://other.example/api/v3"', "https://other.example/api/v3", None),
        ('ci.api = "https://ghe.example/github"', None, None),
        ("", None, None),
    ],
)
def test_a_token_goes_nowhere_that_only_prp_toml_names(
    ana: Clone, monkeypatch: pytest.MonkeyPatch, toml: str, mine: str | None, code: str | None
) -> None:
    ana.git("remote", "set-url", "origin", "https://ghe.example/team/app.git")
    monkeypatch.setenv("PRP_HOST_TOKEN", "secret")
    if mine:
        monkeypatch.setenv("PRP_HOST_API", mine)
    if code is None:
        assert open_host(ana, toml).repository == "team/app"
        return
    with pytest.raises(HostRefused) as e:
        open_host(ana, toml)
    assert e.value.code == code


@pytest.mark.usefixtures("only_git")
@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GH_TOKEN"])
def test_a_token_of_github_goes_to_no_other_host(ana: Clone, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The remote of a clone may be on any host, and `prp init` asks it."""
    monkeypatch.setenv(name, "secret")
    ana.git("remote", "set-url", "origin", "https://elsewhere.example/team/app.git")
    with pytest.raises(HostRefused) as e:
        open_host(ana)
    assert e.value.code == "no-token"
    assert name in str(e.value.hint)
    for own in ("https://github.com/team/app.git", "git@team.ghe.com:team/app.git"):
        ana.git("remote", "set-url", "origin", own)
        assert open_host(ana).repository == "team/app"
    ana.git("remote", "set-url", "origin", "https://elsewhere.example/team/app.git")
    monkeypatch.setenv("PRP_HOST_API", "https://elsewhere.example/api/v3")  # in so many words
    assert open_host(ana).repository == "team/app"


def test_a_token_follows_no_redirect_to_another_host(ana: Clone, fake: FakeGithub, world: World) -> None:
    with FakeGithub(world.remote) as other:
        fake.redirect = f"{other.url}/repos/team/app"
        with pytest.raises(HostRefused) as e:
            open_host(ana).settings()
        assert e.value.code == "not-trusted"
        assert other.requests == []
    fake.redirect = f"{fake.url}/repos/{fake.slug}"  # renamed: within the host it follows
    assert open_host(ana).settings().default_branch == "main"


def test_a_path_as_remote_needs_to_be_told_the_repository(ana: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    with pytest.raises(HostRefused) as e:
        open_host(ana)
    assert e.value.code == "no-host"


# --- gh --------------------------------------------------------------------------------------------------------------

GH = """#!{python}
import os, sys, urllib.request, urllib.error
args = sys.argv[1:]
assert args[0] == "api" and "--include" in args, args
def after(name): return [args[n + 1] for n, a in enumerate(args) if a == name]
headers = dict(h.split(": ", 1) for h in after("--header"))
headers["Authorization"] = "Bearer " + os.environ["FAKE_TOKEN"]
body = sys.stdin.buffer.read() if "--input" in args else None
request = urllib.request.Request(os.environ["FAKE_API"] + args[-1], body, headers, method=after("--method")[0])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
try:
    answer, code = opener.open(request), 0
except urllib.error.HTTPError as e:
    answer, code = e, 1
except urllib.error.URLError:
    sys.exit("error connecting to " + after("--hostname")[0])
print(f"HTTP/2.0 {{answer.status}} {{answer.reason}}\\r")
for name, value in answer.headers.items(): print(f"{{name}}: {{value}}\\r")
print("\\r", flush=True)
sys.stdout.buffer.write(answer.read())
sys.exit(code)
"""


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gh that speaks as `gh api --include` does, with a login of its own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "gh"
    program.write_text(GH.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return program


def test_without_a_token_gh_is_asked(ana: Clone, world: World, gh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ana.git("remote", "set-url", "origin", "git@github.com:team/app.git")
    with FakeGithub(world.remote) as fake:
        monkeypatch.setenv("FAKE_API", fake.url)
        monkeypatch.setenv("FAKE_TOKEN", fake.token)
        fake.add_check(ana.head, conclusion="success")
        host = open_host(ana)
        assert [c.conclusion for c in host.check_runs(ana.head)] == ["success"]
        assert [c.conclusion for c in host.check_runs(ana.head)] == ["success"]
        assert [r.status for r in fake.asked("check-runs")] == [200, 304]
        host.dispatch("smoke.yml", "main", {"sha": ana.head})
        assert fake.dispatches[0]["inputs"] == {"sha": ana.head}
        with pytest.raises(HostRefused) as e:
            host.pull(7)
        assert e.value.status == 404
        fake.stop()
        with pytest.raises(HostDown, match=r"error connecting to github\.com"):
            host.settings()


@pytest.fixture
def only_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No gh on PATH."""
    folder = tmp_path / "only-git"
    folder.mkdir()
    (folder / "git").symlink_to(run(["sh", "-c", "command -v git"], tmp_path).out.strip())
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.usefixtures("only_git")
def test_neither_token_nor_gh(ana: Clone) -> None:
    ana.git("remote", "set-url", "origin", "git@github.com:team/app.git")
    with pytest.raises(HostRefused) as e:
        open_host(ana)
    assert e.value.code == "no-token"
