"""`prp land --pr`, end to end: clones, a bare remote, the host's API, and what is on record afterwards."""

from __future__ import annotations

import json
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from prpgate import policy
from prpgate.config import Times
from prpgate.gitrepo import Repo
from prpgate.lock import Apart, Granted, MergeLock, Who
from prpgate.model import Intent
from prpgate.store.client import connect
from tests.ci.fake_github import CUT, CUT_AFTER, FakeGithub
from tests.e2e.conftest import LEDGER, Project
from tests.e2e.test_observed import Started, until
from tests.world import Clone, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VIA = 'gate = "none"\nvia = "pr"\nci.repository = "team/app"\n'


class Setup:
    """A project whose lane takes pull requests, and its host."""

    def __init__(self, project: Project, fake: FakeGithub) -> None:
        self.project, self.fake, self.ana = project, fake, project.ana

    def join(self, name: str) -> Clone:
        clone = self.project.join(name)
        clone.env |= self.fake.env
        return clone

    def pull(self, clone: Clone, branch: str, files: dict[str, str], **more: Any) -> int:
        """A branch off the lane with one commit, pushed, and a pull request of it."""
        clone.git("fetch", "-q")
        clone.git("checkout", "-q", "-b", branch, "origin/main")
        clone.commit_files(more.pop("message", f"work on {branch}"), files)
        clone.git("push", "-q", "-u", "origin", branch)
        return self.fake.add_pull(branch, "main", more.pop("title", f"Title of {branch}"), **more)

    def tip(self) -> str:
        return self.project.tip()

    def parents(self, sha: str) -> list[str]:
        return run(["git", "rev-list", "--parents", "-n", "1", sha], self.project.remote).out.split()[1:]

    def tree(self, sha: str) -> str:
        return run(["git", "rev-parse", f"{sha}^{{tree}}"], self.project.remote).out.strip()

    def message(self, sha: str) -> str:
        return run(["git", "log", "-1", "--format=%B", sha], self.project.remote).out


def lane(clone: Clone) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(clone.prp("lock", "status", "main", "--json").out)["lanes"][0]
    return found


def landings(clone: Clone) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(clone.prp("lane", "log", "--json").out)["landings"]
    return found


def start(tmp_path: Path, settings: str, lease_s: int = 30) -> tuple[Project, FakeGithub]:
    project = Project(tmp_path)
    fake = FakeGithub(project.remote)
    toml = project.ana.read("prp.toml")
    toml = toml.replace('gate = "none"', settings, 1).replace("[lane]\n", f"[lane]\nlease = {lease_s}\n", 1)
    project.ana.commit_files("Pull requests", {"prp.toml": toml})
    project.ana.git("push", "-q")
    project.ana.git("fetch", "-q")
    project.settle()
    return project, fake


@pytest.fixture
def via_pr(tmp_path: Path, home: Path) -> Iterator[Setup]:
    project, fake = start(tmp_path, VIA)
    with fake:
        project.ana.env |= fake.env
        yield Setup(project, fake)


@pytest.fixture
def observed(tmp_path: Path, home: Path) -> Iterator[Setup]:
    project, fake = start(tmp_path, VIA.replace("none", "ci") + 'ci.observe = "status"\nci.poll = 1\n')
    with fake:
        project.ana.env |= fake.env
        fake.add_check(project.tip(), conclusion="success")
        project.ana.prp("ci", "reconcile")
        yield Setup(project, fake)


def record(clone: Clone, sha: str) -> dict[str, Any]:
    """What the store has of a commit on the lane."""
    policy_now = policy.require(Repo(str(clone.path)))
    with connect(policy_now, str(clone.path), start=False) as store:
        client: Any = store.redis
        return dict(json.loads(client.hget(store.keys.lane("main").rec, sha) or "{}"))


def prp(clone: Clone, prp_id: str = "P2-040") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(clone.prp("status", prp_id, "--json").out)["prp"]
    return found


def sign(fake: FakeGithub, sha: str) -> tuple[str, str]:
    """The newest prp/lane of a commit."""
    mine = [s for s in fake.statuses if s["sha"] == sha and s["context"] == "prp/lane"]
    return (mine[-1]["state"], mine[-1]["description"]) if mine else ("", "")


def green(setup: Setup, clone: Clone, number: int) -> str:
    """Land a pull request, and let CI say that it is sound; what it landed as."""
    clone.prp("land", "--pr", str(number))
    landed = setup.tip()
    setup.fake.add_check(landed, conclusion="success")
    clone.prp("ci", "reconcile")
    return landed


@pytest.mark.parametrize("way", ["merge", "squash", "rebase"])
def test_each_way_lands_and_is_on_record(via_pr: Setup, way: str) -> None:
    ana, fake = via_pr.ana, via_pr.fake
    fake.settings |= {"allow_merge_commit": way == "merge", "allow_squash_merge": way == "squash"}
    fake.settings["allow_rebase_merge"] = way == "rebase"
    number = via_pr.pull(ana, "topic", {"one": "1\n"}, message="feat(P2-040): one")
    head, base = ana.head, via_pr.tip()
    other = via_pr.join("ben")
    other.git("checkout", "-q", "main")
    done = ana.prp("land", "--pr", str(number), "--json")
    answer = json.loads(done.out)
    landed = via_pr.tip()
    assert answer["landed"] and answer["sha"] == landed and answer["base"] == base, done
    assert fake.asked("PUT")[0].body["sha"] == head
    assert fake.asked("PUT")[0].body["merge_method"] == way
    assert via_pr.tree(landed) == ana.git("rev-parse", f"{head}^{{tree}}").out.strip()
    assert via_pr.parents(landed)[0] == base
    row = landings(ana)[-1]
    assert (row["sha"], row["agent"], row["claimed"], row["found"]) == (landed, "ana", True, "landed"), row
    assert lane(ana)["state"] == "free"
    if way != "rebase":
        assert "Prp: P2-040" in via_pr.message(landed)


def test_a_squash_proves_its_prp_once_it_is_green(observed: Setup) -> None:
    """The landed commit is another than the head, on a lane that went on meanwhile: evidence is the landed one."""
    ana, fake = observed.ana, observed.fake
    fake.settings |= {"allow_merge_commit": False, "allow_rebase_merge": False}
    ben = observed.join("ben")
    ana.git("checkout", "-q", "-b", "topic", "origin/main")
    ana.prp("start", "P2-040")
    ana.commit_files("feat(P2-040): the designer", {"designer.py": "x = 1\n"})
    ana.commit_files("feat(P2-040): more of it", {"more.py": "y = 1\n"})
    ana.git("push", "-q", "-u", "origin", "topic")
    number = fake.add_pull("topic", "main", "The designer")
    other = observed.pull(ben, "other", {"other": "1\n"})
    green(observed, ben, other)
    base = observed.tip()
    assert "CI has it now" in ana.prp("land").text
    landed = observed.tip()
    assert observed.parents(landed) == [base]
    assert observed.message(landed).startswith(f"The designer (#{number})\n")
    assert "\nPrp: P2-040\n" in observed.message(landed)
    assert lane(ana)["holder"]["sha"] == landed
    early = ana.prp("complete", "P2-040", ok=False)
    assert landed[:10] in early.err, early
    fake.add_check(landed, conclusion="success")
    assert ben.prp("ci", "reconcile").code == 0
    assert lane(ana)["state"] == "free"
    ana.prp("complete", "P2-040")
    one = prp(ben)
    assert one["status"] == "complete", one
    assert landed.startswith(one["github_commit"])
    assert record(ana, landed)["pulled"] == ana.head
    assert record(ana, ana.head) == {}


def test_a_head_that_moved_is_refused_with_both(via_pr: Setup) -> None:
    ana, fake = via_pr.ana, via_pr.fake
    number = via_pr.pull(ana, "topic", {"one": "1\n"})
    old, base = ana.head, via_pr.tip()
    new = ana.commit_files("one more", {"two": "2\n"})

    def push(asked: str) -> None:
        if asked.startswith("PUT"):
            fake.on_request = None
            run(["git", "push", "-q", "origin", "topic"], ana.path)

    fake.on_request = push
    done = ana.prp("land", "--pr", str(number), "--json", ok=False)
    assert json.loads(done.out)["error"]["code"] == "head-moved", done
    assert old in done.err
    assert new in done.err
    assert f"prp land --pr {number}" in done.err
    assert [r.status for r in fake.asked("PUT")] == [409]
    assert via_pr.tip() == base
    assert record(ana, old)["record"] == "not-landed"
    assert lane(ana)["state"] == "free"
    assert ana.prp("land", "--pr", str(number)).code == 0
    assert record(ana, via_pr.tip())["pulled"] == new


def test_what_the_api_merged_without_saying_so_has_landed_once(via_pr: Setup) -> None:
    ana, fake = via_pr.ana, via_pr.fake
    number = via_pr.pull(ana, "topic", {"one": "1\n"})
    fake.settings["allow_merge_commit"] = False
    fake.fail(CUT_AFTER, match="PUT .*merge")
    done = json.loads(ana.prp("land", "--pr", str(number), "--json").out)
    landed = via_pr.tip()
    assert (done["landed"], done["sha"]) == (True, landed)
    assert record(ana, landed)["record"] == "landed"
    again = ana.prp("land", "--pr", str(number), "--json", ok=False)
    assert json.loads(again.out)["error"]["code"] == "merged"
    assert len(fake.asked("PUT")) == 1
    assert via_pr.tip() == landed


def test_an_api_cut_before_merging_is_not_seen_and_lands_the_next_time(via_pr: Setup) -> None:
    ana, fake = via_pr.ana, via_pr.fake
    number, base = via_pr.pull(ana, "topic", {"one": "1\n"}), via_pr.tip()
    fake.fail(CUT, match="PUT .*merge")
    done = ana.prp("land", "--pr", str(number), "--json", ok=False)
    assert done.code == 5
    assert json.loads(done.out)["state"] == "unseen"
    assert via_pr.tip() == base
    assert record(ana, ana.head)["record"] == "unseen"
    assert lane(ana)["state"] == "free"
    assert ana.prp("land", "--pr", str(number)).code == 0
    assert record(ana, via_pr.tip())["record"] == "landed"


def test_what_arrives_late_is_found_by_whoever_looks(via_pr: Setup) -> None:
    """The merge was not seen; the host does it later. Anybody's next look knows whose it is, without the API."""
    ana, fake, ben = via_pr.ana, via_pr.fake, via_pr.join("ben")
    number = via_pr.pull(ana, "topic", {"one": "1\n"}, message="feat(P2-040): one")
    head = ana.head
    fake.fail(CUT, match="PUT .*merge")
    ana.prp("land", "--pr", str(number), ok=False)
    landed = fake.merge(number, "squash")
    other = via_pr.pull(ben, "other", {"two": "2\n"})
    ben.prp("land", "--pr", str(other))
    late = record(ben, landed)
    assert (late["record"], late["agent"], late["pulled"], late["prps"]) == ("late", "ana", head, ["P2-040"])


def test_it_may_arrive_late_on_another_tip(via_pr: Setup) -> None:
    """A host merges onto whatever tip there is, so a tip that went on does not mean that it never landed."""
    ana, fake, ben = via_pr.ana, via_pr.fake, via_pr.join("ben")
    number = via_pr.pull(ana, "topic", {"one": "1\n"})
    head = ana.head
    fake.fail(CUT, match="PUT .*merge")
    ana.prp("land", "--pr", str(number), ok=False)
    ben.prp("land", "--pr", str(via_pr.pull(ben, "other", {"two": "2\n"})))
    assert record(ben, head)["record"] == "unseen"
    landed = fake.merge(number, "squash")
    third = via_pr.pull(ben, "third", {"three": "3\n"})
    ben.prp("land", "--pr", str(third))
    late = record(ben, landed)
    assert (late["record"], late["agent"], late["pulled"]) == ("late", "ana", head)
    assert late["tree"] == via_pr.tree(landed)


@pytest.mark.parametrize("way", ["merge", "squash", "rebase"])
def test_somebody_pushes_past_the_lock_while_it_is_merged(via_pr: Setup, way: str) -> None:
    ana, fake, ben = via_pr.ana, via_pr.fake, via_pr.join("ben")
    number = via_pr.pull(ana, "topic", {"one": "1\n"})
    ana.commit_files("one more", {"more": "1\n"})
    ana.git("push", "-q")
    ben.commit_files("past the lock", {"two": "2\n"})
    names = {"merge": "allow_merge_commit", "squash": "allow_squash_merge", "rebase": "allow_rebase_merge"}
    fake.settings |= {name: one == way for one, name in names.items()}

    def push(asked: str) -> None:
        if asked.startswith("PUT"):
            fake.on_request = None
            run(["git", "push", "-q", "--no-verify", "origin", "HEAD:main"], ben.path, env=ben.env)

    fake.on_request = push
    done = json.loads(ana.prp("land", "--pr", str(number), "--json").out)
    landed = via_pr.tip()
    assert (done["sha"], done["base"]) == (landed, ben.head)
    assert record(ana, landed)["base"] == ben.head
    assert record(ana, ben.head)["record"] == "foreign"


def test_cut_while_somebody_pushes_past_the_lock_it_may_still_arrive(via_pr: Setup) -> None:
    ana, fake, ben = via_pr.ana, via_pr.fake, via_pr.join("ben")
    number = via_pr.pull(ana, "topic", {"one": "1\n"})
    ben.commit_files("past the lock", {"two": "2\n"})

    def push(asked: str) -> None:
        if asked.startswith("PUT"):
            fake.on_request = None
            run(["git", "push", "-q", "--no-verify", "origin", "HEAD:main"], ben.path, env=ben.env)

    fake.on_request = push
    fake.fail(CUT, match="PUT .*merge")
    assert json.loads(ana.prp("land", "--pr", str(number), "--json", ok=False).out)["state"] == "unseen"
    assert record(ana, ana.head)["record"] == "unseen"
    landed = fake.merge(number, "rebase")
    ben.prp("land", "--pr", str(via_pr.pull(ben, "other", {"three": "3\n"})))
    late = record(ben, landed)
    assert (late["record"], late["agent"], late["pulled"]) == ("late", "ana", ana.head)


@pytest.mark.parametrize("moment", ["before", "meanwhile"])
def test_a_pull_request_that_the_button_merged_is_not_merged_twice(via_pr: Setup, moment: str) -> None:
    ana, fake = via_pr.ana, via_pr.fake
    number = via_pr.pull(ana, "topic", {"one": "1\n"})

    def press(asked: str) -> None:
        if asked.startswith("PUT"):
            fake.on_request = None
            fake.merge(number, "squash")

    if moment == "before":
        fake.merge(number, "squash")
    fake.on_request = press
    done = ana.prp("land", "--pr", str(number), "--json", ok=False)
    assert via_pr.project.subjects().count(f"Title of topic (#{number})") == 1
    if moment == "before":
        assert json.loads(done.out)["error"]["code"] == "merged"
        assert not fake.asked("PUT")
    else:
        assert json.loads(done.out)["sha"] == via_pr.tip()
        assert record(ana, via_pr.tip())["record"] == "landed"
    assert lane(ana)["state"] == "free"


def test_what_cannot_land_is_refused_before_the_line(via_pr: Setup) -> None:
    ana, fake = via_pr.ana, via_pr.fake
    number, base = via_pr.pull(ana, "topic", {"one": "1\n"}), via_pr.tip()

    def code() -> str:
        done = ana.prp("land", "--pr", str(number), "--json", ok=False)
        assert done.code in (1, 2), done
        return str(json.loads(done.out)["error"]["code"])

    fake.pulls[number]["draft"] = True
    assert code() == "draft"
    fake.pulls[number] |= {"draft": False, "state": "closed"}
    assert code() == "pull-closed"
    fake.pulls[number]["state"] = "open"
    fake.rules["main"] = [{"type": "merge_queue", "parameters": {}}]
    assert code() == "merge-queue"
    fake.rules["main"] = [
        {"type": "required_status_checks", "parameters": {"strict_required_status_checks_policy": True}}
    ]
    ana.git("checkout", "-q", "main")
    ana.commit_files("by hand", {"hand": "1\n"})
    ana.git("push", "-q", "origin", "main")
    via_pr.project.settle()
    assert code() == "behind"
    fake.rules.clear()
    fake.required["main"] = ["review"]
    assert code() == "not-mergeable"
    fake.required.clear()
    ana.commit_files("the same file", {"one": "other\n"})
    ana.git("push", "-q", "origin", "main")
    via_pr.project.settle()
    assert code() == "conflict"
    assert "work on topic" not in via_pr.project.subjects()
    assert base != via_pr.tip()
    assert lane(ana)["state"] == "free"
    assert not lane(ana)["queue"]


def test_a_way_of_merging_that_is_not_allowed_names_what_to_change(via_pr: Setup) -> None:
    ana, fake = via_pr.ana, via_pr.fake
    toml = ana.read("prp.toml")
    ana.commit_files("squash", {"prp.toml": toml + '\n[land]\nmethod = "squash"\n'})
    ana.git("push", "-q", "origin", "main")
    via_pr.project.settle()
    number = via_pr.pull(ana, "topic", {"one": "1\n"})
    fake.settings["allow_squash_merge"] = False
    said = json.loads(ana.prp("land", "--pr", str(number), "--json", ok=False).out)
    assert (said["error"]["code"], said["next_action"]) == ("method", None)
    assert "[land] method in prp.toml" in said["error"]["hint"]


def test_what_the_hooks_would_refuse_is_refused_here(via_pr: Setup) -> None:
    ana, fake = via_pr.ana, via_pr.fake
    base = via_pr.tip()
    ana.git("fetch", "-q")
    ana.git("checkout", "-q", "-b", "topic", "origin/main")
    ana.write(LEDGER, ana.read(LEDGER).replace("status: validated", "status: nonsense", 1))
    ana.git("commit", "-q", "-n", "-a", "-m", "breaks the ledger")
    ana.git("push", "-q", "-u", "origin", "topic")
    number = fake.add_pull("topic")
    done = ana.prp("land", "--pr", str(number), ok=False)
    assert done.code == 1
    assert LEDGER in done.text
    assert not fake.asked("PUT")
    assert via_pr.tip() == base
    assert lane(ana)["state"] == "free"


def test_a_closed_lane_takes_only_fixes_here_too(via_pr: Setup) -> None:
    ana, fake = via_pr.ana, via_pr.fake
    number, base = via_pr.pull(ana, "topic", {"one": "1\n"}), via_pr.tip()
    ana.prp("lane", "close", "--reason", "the store room burns")
    assert sign(fake, ana.head)[0] == "failure"
    assert "the store room burns" in sign(fake, ana.head)[1]
    done = ana.prp("land", "--pr", str(number), "--json", ok=False)
    assert json.loads(done.out)["error"]["code"] == "closed", done
    assert via_pr.tip() == base
    ana.prp("lane", "open", "--reason", "it is out")
    assert sign(fake, ana.head)[0] == "success"
    ana.prp("land", "--pr", str(number))
    assert via_pr.tip() != base


def test_waiting_ones_land_in_the_order_of_their_tickets(observed: Setup) -> None:
    ana, fake = observed.ana, observed.fake
    ben, eve = observed.join("ben"), observed.join("eve")
    pulls = [observed.pull(c, c.agent, {c.agent: "x\n"}) for c in (ana, ben, eve)]
    ana.prp("land")
    with Started(ben, "land", "--pr", str(pulls[1])) as second:
        until(ana, phase="landed", waiting=1)
        with Started(eve, "land") as third:
            until(ana, waiting=2)
            assert sign(fake, ben.head)[0] == "failure"
            fake.add_check(observed.tip(), conclusion="success")
            assert second.ended().code == 0
            fake.add_check(observed.tip(), conclusion="success")
            assert third.ended().code == 0
    assert [s for s in observed.project.subjects() if s.startswith("Merge pull request")] == [
        f"Merge pull request #{n}: Title of {name}" for n, name in ((3, "eve"), (2, "ben"), (1, "ana"))
    ]


def test_with_ci_first_too_those_who_wait_read_the_host(tmp_path: Path, home: Path) -> None:
    """The host makes the commit, so it waits for CI on the lane; nobody else may be looking."""
    project, fake = start(tmp_path, VIA.replace("none", "ci-first") + 'ci.observe = "status"\nci.poll = 1\n')
    with fake:
        project.ana.env |= fake.env
        setup = Setup(project, fake)
        ana, ben = setup.ana, setup.join("ben")
        pulls = [setup.pull(c, c.agent, {c.agent: "x\n"}) for c in (ana, ben)]
        ana.prp("land")
        first = setup.tip()
        with Started(ben, "land", "--pr", str(pulls[1])) as second:
            until(ana, phase="landed", waiting=1)
            fake.add_check(first, conclusion="success")
            done = second.ended()
        assert (done.code, setup.parents(setup.tip())[0]) == (0, first), done


def test_a_fork_runs_nothing_here_and_its_words_are_inert(via_pr: Setup) -> None:
    ana, fake, project = via_pr.ana, via_pr.fake, via_pr.project
    lines = [f"{n}\n" for n in range(9)]
    ana.commit_files("both change it", {"x.dat": "".join(lines)})
    ana.git("push", "-q", "origin", "HEAD:main")
    project.settle()
    ana.git("checkout", "-q", "-b", "from-fork", "HEAD")
    filters = "*.txt filter=evil\n*.dat merge=evil\n"
    files = {"a.txt": "a\n", ".gitattributes": filters, "x.dat": "".join(["first\n", *lines[1:]])}
    ana.commit_files("$(touch pwned)\x1b[31m", files)
    ana.git("push", "-q", "origin", "HEAD:refs/heads/x$(touch${IFS}pwned)")
    ana.git("checkout", "-q", "main")
    ana.commit_files("both changed it", {"x.dat": "".join([*lines[:-1], "last\n"])})
    ana.git("push", "-q", "origin", "HEAD:main")
    project.settle()
    number = fake.add_pull("x$(touch${IFS}pwned)", "main", "`touch pwned`\x1b]0;x\x07\nPrp: P9-999", fork="evil/app")
    ben = via_pr.join("ben")
    for name in ("clean", "smudge"):
        ben.git("config", f"filter.evil.{name}", f"touch {project.folder}/pwned; cat")
    ben.git("config", "merge.evil.driver", f"touch {project.folder}/pwned")
    ben.write(".git/info/attributes", filters)
    done = ben.prp("land", "--pr", str(number))
    assert "\x1b" not in done.text
    assert not (project.folder / "pwned").exists()
    assert "\x1b" not in via_pr.message(via_pr.tip())
    assert "\nPrp: P9-999" not in via_pr.message(via_pr.tip())
    assert not list(project.folder.rglob("pwned"))


def test_the_status_turns_by_itself_and_the_button_is_answered(observed: Setup) -> None:
    ana, fake, ben = observed.ana, observed.fake, observed.join("ben")
    first, second = observed.pull(ana, "one", {"one": "1\n"}), observed.pull(ben, "two", {"two": "2\n"})
    ana.prp("land", "--pr", str(first))
    held = sign(fake, ben.head)
    assert held[0] == "failure"
    assert "ana" in held[1]
    assert "until about" in held[1]
    fake.add_check(observed.tip(), conclusion="success")
    ben.prp("ci", "reconcile")
    assert sign(fake, ben.head)[0] == "success"
    count = len(fake.statuses)
    ben.prp("ci", "reconcile")
    assert len(fake.statuses) == count, "nothing changed, so nothing is written"
    outside = fake.merge(second, "squash")
    ben.prp("ci", "reconcile")
    assert not fake.comments
    fake.add_check(outside, conclusion="success")
    ben.prp("ci", "reconcile")
    ben.prp("ci", "reconcile")
    assert [c["number"] for c in fake.comments] == [second]
    assert "smoke is green; nothing to do." in fake.comments[0]["body"]


def test_merged_outside_while_somebody_holds_the_lane(observed: Setup) -> None:
    ana, fake, ben = observed.ana, observed.fake, observed.join("ben")
    first, second = observed.pull(ana, "one", {"one": "1\n"}), observed.pull(ben, "two", {"two": "2\n"})
    ana.prp("land", "--pr", str(first))
    landed = observed.tip()
    outside = fake.merge(second, "merge")
    fake.add_check(landed, conclusion="success")
    ben.prp("ci", "reconcile")
    fake.add_check(outside, conclusion="failure")
    ben.prp("ci", "reconcile")
    ben.prp("ci", "reconcile")
    assert record(ana, landed)["verdict"] == "green"
    assert record(ana, outside)["verdict"] == "red"
    assert len(fake.comments) == 1
    assert fake.comments[0]["body"].startswith("<!-- prpgate: merged outside -->\nMerged while `ana` held `main`; ")
    assert f"prp land --revert {outside}" in fake.comments[0]["body"]


def test_killed_while_the_host_merges_the_next_one_finds_it(tmp_path: Path, home: Path) -> None:
    project, fake = start(tmp_path, VIA, lease_s=3)
    with fake:
        project.ana.env |= fake.env
        setup = Setup(project, fake)
        ana, ben = setup.ana, setup.join("ben")
        other = setup.pull(ben, "other", {"two": "2\n"})
        number = setup.pull(ana, "topic", {"one": "1\n"}, message="feat(P2-040): one")
        merged, over = threading.Event(), threading.Event()

        def merge(asked: str) -> None:
            if asked.startswith("PUT"):
                fake.on_request = None
                fake.merge(number, "squash")
                merged.set()
                over.wait(30)

        fake.on_request = merge
        with Started(ana, "land", "--pr", str(number)) as one:
            assert merged.wait(30)
            landed = setup.tip()
            one.stop(signal.SIGKILL)
            over.set()
        for ref in ("refs/heads/topic", f"refs/pull/{number}/head"):  # the announced tree is enough to know it
            run(["git", "update-ref", "-d", ref], project.remote)
        ben.prp("land", "--pr", str(other))
        mine = record(ben, landed)
        assert (mine["record"], mine["agent"], mine["pulled"]) == ("landed", "ana", ana.head)
        assert mine["prps"] == ["P2-040"]
        assert setup.parents(setup.tip())[0] == landed


def test_a_hold_that_is_broken_while_the_host_merges_still_says_what_landed(via_pr: Setup) -> None:
    ana, fake = via_pr.ana, via_pr.fake
    number = via_pr.pull(ana, "topic", {"one": "1\n"})
    with connect(policy.require(Repo(str(ana.path))), str(ana.path), start=False) as store:
        lock = MergeLock(store, "main", Times())

        def break_it(asked: str) -> None:
            if asked.startswith("PUT"):
                fake.on_request = None
                lock.break_(lock.state().fence, "carol", "it hangs")

        fake.on_request = break_it
        assert ana.prp("land", "--pr", str(number)).code == 0
        assert lock.state().kept == ()
    mine = record(ana, via_pr.tip())
    assert (mine["record"], mine["agent"], mine["pulled"]) == ("late", "ana", ana.head)


def test_a_run_that_starts_before_the_landing_is_told_has_the_lane(via_pr: Setup) -> None:
    """CI may be quicker than the answer of the host: the tree says that it is the landing."""
    ana = via_pr.ana
    with connect(policy.require(Repo(str(ana.path))), str(ana.path), start=False) as store:
        lock = MergeLock(store, "main", Times())
        who = Who("t1", "t1:1", "ana", "here", 1, "land", None, None)
        granted = lock.acquire(who, plain=False)
        assert isinstance(granted, Granted)
        info = {"agent": "ana", "tree": "7" * 40, "steps": "s", "pull": 3}
        lock.intent(granted.lease, Intent("a" * 40, "b" * 40), info)
        assert [p.number for p in lock.state().pulls] == [3]
        run_ = Who("run", "run", "ci", "there", 1, "ci", None, "c" * 40)
        assert isinstance(lock.adopt("d" * 40, run_, tree="8" * 40, steps="s"), Apart)
        assert isinstance(lock.adopt("c" * 40, run_, tree="7" * 40, steps="s"), Granted)
        state = lock.state()
        assert (state.phase, state.intent, state.pulls) == ("smoking", Intent("c" * 40, "b" * 40), ())
        lock.verdict("c" * 40, "7" * 40, "s", "ci", "green", state.fence)
    assert record(ana, "c" * 40)["verdict"] == "green"


def test_gate_local_runs_on_what_merging_makes_and_never_for_a_fork(tmp_path: Path, home: Path) -> None:
    project, fake = start(tmp_path, VIA.replace("none", "local"))
    with fake:
        project.ana.env |= fake.env
        setup = Setup(project, fake)
        ana = setup.ana
        number = setup.pull(ana, "topic", {"one": "1\n"})
        fake.pulls[number]["head"]["repo"]["full_name"] = "evil/app"
        done = ana.prp("land", "--pr", str(number), "--json", ok=False)
        assert json.loads(done.out)["error"]["code"] == "fork"
        fake.pulls[number]["head"]["repo"]["full_name"] = "team/app"
        bad = setup.pull(ana, "bad", {"README": "x"})
        ana.git("rm", "-q", "README")
        ana.git("commit", "-q", "-m", "no readme")
        ana.git("push", "-q")
        done = ana.prp("land", "--pr", str(bad), "--json", ok=False)
        assert json.loads(done.out)["error"]["code"] == "red", done
        assert not fake.asked("PUT")
        assert ana.prp("land", "--pr", str(number)).code == 0
        assert fake.pulls[number]["merged"]


def test_a_branch_finds_its_own_pull_request(via_pr: Setup) -> None:
    ana, fake = via_pr.ana, via_pr.fake

    def code(*args: str) -> str:
        return str(json.loads(ana.prp("land", *args, "--json", ok=False).out)["error"]["code"])

    number = via_pr.pull(ana, "topic", {"one": "1\n"})
    ana.commit_files("not pushed", {"two": "2\n"})
    assert code() == "not-pushed"
    ana.git("push", "-q")
    second = fake.add_pull("topic")
    assert code() == "which-pull"
    fake.pulls[second]["state"] = "closed"
    assert code("--pr", str(number), "--revert") == "usage"
    ana.git("checkout", "-q", "-b", "other")
    assert code() == "no-pull"
    fake.pulls[number]["base"]["ref"] = "release"
    assert code("--pr", str(number)) == "no-lane"
    fake.pulls[number]["base"]["ref"] = "main"
    assert ana.prp("land", "--from", "topic").code == 0
    assert fake.pulls[number]["merged"]
    assert ana.prp("doctor", ok=False).text.count("prp land merges pull requests there") == 1


def test_an_api_that_goes_away_in_its_turn_leaves_the_lane_free(via_pr: Setup) -> None:
    ana, fake = via_pr.ana, via_pr.fake
    number = via_pr.pull(ana, "topic", {"one": "1\n"})
    asked: list[str] = []

    def count(what: str) -> None:
        asked.append(what)
        if asked.count(f"GET /repos/team/app/pulls/{number}") == 3 and "pulls" in what:  # the third is in its turn
            fake.on_request = None
            fake.fail(503)

    fake.on_request = count
    done = ana.prp("land", "--pr", str(number), "--json", ok=False)
    assert done.code == 5, done
    assert json.loads(done.out)["error"]["code"] == "host-down"
    assert (lane(ana)["state"], lane(ana)["queue"]) == ("free", [])
    assert not fake.asked("PUT")
    fake.fail(503, match="PUT")
    done = ana.prp("land", "--pr", str(number), "--json", ok=False)
    assert json.loads(done.out)["state"] == "unseen", "it may have been done all the same"
    fake.fail("rate-limit", match="PUT")
    done = ana.prp("land", "--pr", str(number), "--json", ok=False)
    assert json.loads(done.out)["error"]["code"] == "host-busy", "that was surely not done"
    assert record(ana, ana.head)["record"] == "not-landed"
    assert ana.prp("land", "--pr", str(number)).code == 0
    assert not ana.git("for-each-ref", "refs/prpgate/origin/pull").out
