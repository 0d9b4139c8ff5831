"""Branches that meet: on real git, with the merge driver and without it, in both forms of the ledger.

With the driver everything that can be merged is, and everything else is a conflict. Without it (hosted merges, clones
that never ran `prp join`) git merges lines: then the result is right, or a conflict, or refused by hook or push.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from prpgate import config as settings
from prpgate import driver_setup, install, lane, ledger, ledger_edit, seal
from prpgate.gitrepo import Repo
from prpgate.merge_driver import GROUP
from tests.e2e.conftest import LEDGER as UNTIDY
from tests.e2e.conftest import Project
from tests.world import Clone, Result, World, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from prpgate.config import Config
    from prpgate.model import Finding

IDS = ("P1-001", "P1-002", "P1-003", "P1-004")
STEPS = {"validated": "validated_at", "in_progress": "started_at", "complete": "completed_at"}


class Book:
    """A clone's ledger in one of the two forms, edited as prpgate's own commands do."""

    def __init__(self, clone: Clone, form: str) -> None:
        self.clone, self.form = clone, form
        self.config: Config = settings.parse(toml(form), "prp.toml")
        self.repo = Repo(str(clone.path))

    def file(self, prp_id: str) -> str:
        return f"prps/{prp_id}.yaml" if self.form == "folder" else "plans/prps.yaml"

    def load(self, rev: str | None = None) -> ledger.Ledger:
        return ledger.load(self.repo, self.config, rev)

    def fields(self, prp_id: str) -> dict[str, Any]:
        return self.load().prps[prp_id].fields

    def add(self, prp_id: str, title: str = "Work", **more: Any) -> None:
        path = self.clone.path / self.file(prp_id)
        path.parent.mkdir(exist_ok=True)
        old = path.read_bytes() if path.exists() else None
        fields = {"title": title, "status": "new", **more, "stable_id": "PRP-1", "depends_on": [], "notes": "none"}
        path.write_bytes(ledger_edit.add(old, self.file(prp_id), prp_id, fields))

    def edit(self, prp_id: str, **fields: Any) -> None:
        file = self.file(prp_id)
        data = (self.clone.path / file).read_bytes()
        (self.clone.path / file).write_bytes(ledger_edit.change(data, file, prp_id, fields))

    def milestone(self, prp_id: str, status: str, **more: Any) -> None:
        """Write one sealed line."""
        now = self.load().prps[prp_id]
        fields = {"status": status, "owner": self.clone.agent, STEPS[status]: "2025-08-01T08:00:00Z", **more}
        rev = seal.compute(prp_id, now.number + 1, {**now.fields, **fields})
        self.edit(prp_id, rev=rev, **fields)

    def remove(self, prp_id: str) -> None:
        path = self.clone.path / self.file(prp_id)
        if self.form == "folder":
            path.unlink()
            return
        lines, out, inside = path.read_text().splitlines(keepends=True), [], False
        for line in lines:
            inside = line == f"  {prp_id}:\n" or (inside and line.startswith("    "))
            out += [] if inside else [line]
        path.write_text("".join(out))

    def judged(self, base: str) -> list[Finding]:
        """Errors for which a push of base..HEAD to the lane is refused: pre-push, land and pre-receive ask this."""
        return [f for f in lane.judge_range(self.repo, self.config, base, "HEAD") if f.severity == "error"]


def toml(form: str) -> str:
    path = "prps/" if form == "folder" else "plans/prps.yaml"
    return f'project = "example/app"\n[store]\nid = "0c8f7f0e-0a52-4a5b-9d59-2a3c7f1f9c11"\n[ledger]\npath = "{path}"\n'


def fill(book: Book) -> None:
    """Entries that look alike line by line, but for their ids."""
    for prp_id in IDS:
        book.add(prp_id, status="validated", validated_at="2025-07-16T08:00:00Z")


@pytest.fixture(params=["tracking", "folder"])
def book(request: pytest.FixtureRequest, repo: Path) -> Book:
    """A repository with the ledger on main, and the hooks."""
    clone = Clone(repo, "ann")
    book = Book(clone, request.param)
    clone.write("prp.toml", toml(request.param))
    fill(book)
    clone.commit_files("the ledger", {})
    install.install(book.repo, book.config)
    return book


@pytest.fixture(params=["driver", "plain git"])
def team(request: pytest.FixtureRequest, book: Book) -> Team:
    if request.param == "driver":
        driver_setup.install(book.repo, book.config)
    return Team(book, request.param == "driver")


class Outcome(NamedTuple):
    """How the two branches met."""

    code: int
    conflict: bool
    findings: list[str]  # codes that stop it, at the merge or at the push
    said: str


HOW = {
    "merge": ["merge", "--no-edit", "theirs"],
    "merge -X ours": ["merge", "--no-edit", "-X", "ours", "theirs"],
    "merge -X theirs": ["merge", "--no-edit", "-X", "theirs", "theirs"],
    "rebase": ["rebase", "theirs"],
    "rebase -X ours": ["rebase", "-X", "ours", "theirs"],
    "rebase -X theirs": ["rebase", "-X", "theirs", "theirs"],
    "cherry-pick": ["cherry-pick", "theirs"],
}


class Team:
    """Two branches from one base, `main` (ours) and `theirs`."""

    def __init__(self, book: Book, driver: bool) -> None:
        self.book, self.driver, self.clone = book, driver, book.clone

    def both(self, ours: Callable[[Book], None], theirs: Callable[[Book], None]) -> None:
        self.clone.git("checkout", "-q", "-b", "theirs")
        self.clone.agent = "ben"
        theirs(self.book)
        self.clone.git("add", "-A")
        self.clone.git("commit", "-q", "--no-verify", "-m", "theirs")
        self.clone.git("checkout", "-q", "main")
        self.clone.agent = "ann"
        ours(self.book)
        self.clone.git("add", "-A")
        self.clone.git("commit", "-q", "--no-verify", "-m", "ours")
        self.base = self.clone.git("merge-base", "main", "theirs").out.strip()
        self.ours, self.theirs = self.book.load("main"), self.book.load("theirs")
        self.was = self.book.load(self.base)

    def meet(self, how: str) -> Outcome:
        done: Result = self.clone.git(*HOW[how], ok=False)
        unmerged = bool(self.clone.git("ls-files", "-u").out)
        codes = [word for word in done.text.split() if word.startswith("PRP1") and len(word) == 6]
        if done.code == 0:
            lane_tip = "theirs" if how.startswith("rebase") else self.base
            codes = [f.code for f in self.book.judged(lane_tip)]
        return Outcome(done.code, unmerged, codes, done.text)

    def right(self, *, unsealed: bool = True) -> bool:
        """Whether the ledger here says, field by field, what both sides did to the base."""
        merged = self.book.load()
        if merged.errors:
            return False
        for prp_id in {*self.ours.prps, *self.theirs.prps}:
            sides = [side.prps.get(prp_id) for side in (self.was, self.ours, self.theirs)]
            here = merged.prps.get(prp_id)
            names = {name for p in (*sides, here) if p for name in p.fields}
            for name in names if unsealed else names & GROUP:
                base, ours, theirs = (p.fields.get(name) if p else None for p in sides)
                want = ours if theirs == base or ours == theirs else theirs
                if (here.fields.get(name) if here else None) != want:
                    return False
            if here is None and all(sides):
                return False
        return True

    def check(self, how: str, want: str) -> Outcome:
        """`want` (merged or conflict) with the driver; without it, never anything that is wrong and goes through."""
        met = self.meet(how)
        if self.driver and want == "merged":
            assert met.code == 0 and met.findings == [] and self.right(), met
        elif self.driver:
            assert met.code and met.conflict, met
            assert not self.driver or "both sides changed" in met.said, met
        elif met.code == 0 and not met.findings:
            asked = "-X" in how  # who asks for one side's lines gets them: of single fields, not of sealed groups
            assert self.right(unsealed=not asked) or (want == "conflict" and self.whole()), met
            assert want == "merged" or asked, met
        else:
            assert met.conflict or met.findings, met
        return met

    def whole(self) -> bool:
        """Whether every sealed group is one side's."""

        def group(side: ledger.Ledger, prp_id: str) -> dict[str, Any] | None:
            found = side.prps.get(prp_id)
            return {n: found.fields.get(n) for n in GROUP} if found else None

        merged = self.book.load()
        return all(group(merged, i) in (group(self.ours, i), group(self.theirs, i)) for i in merged.prps)


EVERY_WAY = pytest.mark.parametrize("how", HOW)


@EVERY_WAY
def test_different_prps_merge(team: Team, how: str) -> None:
    team.both(lambda b: b.milestone("P1-002", "in_progress"), lambda b: b.milestone("P1-003", "in_progress"))
    met = team.check(how, "merged")
    assert met.code == 0 and team.right(), "neighbours, and no driver: the layout alone must do"


@EVERY_WAY
def test_different_fields_of_one_prp_merge(team: Team, how: str) -> None:
    team.both(lambda b: b.edit("P1-002", title="Better"), lambda b: b.edit("P1-002", notes="seen"))
    met = team.check(how, "merged")
    assert met.code == 0 and team.right()


@EVERY_WAY
@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
def test_a_group_on_one_side_and_a_title_on_the_other_merge(team: Team, how: str, turned: bool) -> None:
    sides = [lambda b: b.milestone("P1-002", "in_progress"), lambda b: b.edit("P1-002", title="Better")]
    team.both(*(reversed(sides) if turned else sides))
    team.check(how, "merged")


@EVERY_WAY
def test_groups_on_both_sides_are_a_conflict(team: Team, how: str) -> None:
    team.both(lambda b: b.milestone("P1-002", "in_progress"), lambda b: b.milestone("P1-002", "in_progress"))
    met = team.check(how, "conflict")
    if team.driver:
        text = team.clone.read(team.book.file("P1-002"))
        assert text.count("<<<<<<<") == 1 and "owner: ann" in text and "owner: ben" in text
        assert "P1-002: both sides changed the lines from status to evidence" in met.said


@EVERY_WAY
def test_a_completion_and_a_new_owner_are_a_conflict(team: Team, how: str) -> None:
    """Without the seal real git was seen to merge `complete` from one side and the owner from the other."""
    team.book.milestone("P1-002", "in_progress")
    team.clone.commit_files("begun", {})
    proof = {"github_commit": "abcdef1", "ci_run_url": "https://ci.example.org/1"}
    team.both(
        lambda b: b.milestone("P1-002", "complete", **proof), lambda b: b.milestone("P1-002", "in_progress", owner="cy")
    )
    team.check(how, "conflict")


@EVERY_WAY
def test_look_alike_entries_are_not_mistaken_for_each_other(team: Team, how: str) -> None:
    """One side moves on in one of several entries that read alike, the other takes an entry before it away."""

    def fewer(book: Book) -> None:
        book.remove("P1-001")
        book.remove("P1-002")
        book.add("P1-007")

    team.both(lambda b: b.milestone("P1-003", "in_progress"), fewer)
    met = team.meet(how)
    here = team.book.load()
    if met.code == 0 and not [c for c in met.findings if c != "PRP124"]:
        assert team.right(), met
    elif team.driver:
        assert not met.conflict, met
    assert met.code or seal.check(here.prps["P1-003"]) is not False


@EVERY_WAY
def test_a_milestone_on_a_look_alike_that_the_other_side_took_away(team: Team, how: str) -> None:
    """In the folder git may take the new look-alike for the old file renamed, and would put the milestone there."""

    def another(book: Book) -> None:
        book.remove("P1-002")
        book.add("P1-007")

    team.both(lambda b: b.milestone("P1-002", "in_progress"), another)
    met = team.meet(how)
    assert met.code or met.findings or ("-X" in how and team.whole()), met


def test_two_additions_at_the_end(team: Team) -> None:
    """They conflict in one file without the driver, which is why new repositories are given one file per PRP."""
    team.both(lambda b: b.add("P1-005", "ann's"), lambda b: b.add("P1-006", "ben's"))
    met = team.meet("merge")
    if team.driver or team.book.form == "folder":
        assert met.code == 0 and team.right() and met.findings == []
    else:
        assert met.conflict


def test_one_id_given_twice_is_a_conflict(team: Team) -> None:
    team.both(lambda b: b.add("P1-005", "ann's"), lambda b: b.add("P1-005", "ben's"))
    met = team.meet("merge")
    assert met.conflict and "<<<<<<<" in team.clone.read(team.book.file("P1-005"))


def test_labels_name_the_sides_in_a_rebase_and_a_merge(book: Book) -> None:
    driver_setup.install(book.repo, book.config)
    team = Team(book, True)
    team.both(lambda b: b.milestone("P1-002", "in_progress"), lambda b: b.milestone("P1-002", "in_progress"))
    team.meet("merge")
    text = book.clone.read(book.file("P1-002"))
    assert "<<<<<<< ours" in text and ">>>>>>> theirs: theirs" in text
    book.clone.git("merge", "--abort")
    assert team.meet("rebase").conflict
    text = book.clone.read(book.file("P1-002"))
    ours, theirs = text.split("=======")
    assert "owner: ben" in ours and "owner: ann" in theirs  # what it is put on comes first
    assert f"<<<<<<< ours: {book.clone.git('rev-parse', 'theirs').out[:10]}" in text
    assert ">>>>>>> theirs: " in text and text.split(">>>>>>> theirs: ")[1].splitlines()[0].endswith(" ours")


def test_a_conflict_resolved_to_one_side_passes_and_a_mixture_is_refused(book: Book) -> None:
    driver_setup.install(book.repo, book.config)
    team = Team(book, True)
    team.both(lambda b: b.milestone("P1-002", "in_progress"), lambda b: b.milestone("P1-002", "in_progress"))
    assert team.meet("merge").conflict
    file = book.file("P1-002")
    text = book.clone.read(file)
    head, rest = text.split("<<<<<<< ours\n")
    ours, rest = rest.split("=======\n")
    theirs, tail = rest.split(">>>>>>> theirs: theirs\n")
    book.clone.write(file, head + ours.replace("owner: ann", "owner: ben") + tail)
    book.clone.git("add", "-A")
    assert book.clone.git("commit", "--no-edit", ok=False).code
    book.clone.write(file, head + theirs + tail)
    book.clone.git("add", "-A")
    book.clone.git("commit", "--no-edit")
    assert book.judged(team.base) == []


def test_stash_and_revert_go_through_the_driver(book: Book) -> None:
    driver_setup.install(book.repo, book.config)
    clone = book.clone
    book.edit("P1-002", title="Better")
    clone.git("stash", "-q")
    book.milestone("P1-002", "in_progress")
    clone.commit_files("begun", {})
    clone.git("stash", "pop", "-q")
    assert book.fields("P1-002")["title"] == "Better" and book.fields("P1-002")["owner"] == "ann"
    clone.commit_files("better", {})
    clone.git("revert", "--no-edit", "HEAD~1")
    assert book.fields("P1-002") == {**book.load("HEAD~2~1").prps["P1-002"].fields, "title": "Better"}


def test_a_folder_that_was_renamed_merges_by_its_ids(repo: Path) -> None:
    clone = Clone(repo, "ann")
    book = Book(clone, "folder")
    clone.write("prp.toml", toml("folder"))
    fill(book)
    clone.commit_files("the ledger", {})
    driver_setup.install(book.repo, book.config)
    clone.git("checkout", "-q", "-b", "theirs")
    book.milestone("P1-002", "in_progress")
    clone.commit_files("begun", {})
    clone.git("checkout", "-q", "main")
    book.edit("P1-002", title="Better")
    clone.git("mv", "prps", "plans")
    moved = toml("folder").replace("prps/", "plans/")
    clone.commit_files("moved", {"prp.toml": moved})
    driver_setup.install(book.repo, settings.parse(moved, "prp.toml"))
    clone.git("merge", "--no-edit", "theirs", ok=False)
    text = clone.read("plans/P1-002.yaml")
    assert "rev: 1-" in text and "title: Better" in text and "<<<<" not in text


@pytest.mark.parametrize("gone", ["base", "ours", "theirs"])
def test_a_version_that_is_not_there_is_said_and_nothing_is_written(tmp_path: Path, gone: str) -> None:
    names = ["base", "ours", "theirs"]
    for name in names:
        if name != gone:
            (tmp_path / name).write_text(f"it is {name}\n")
    command = [sys.executable, "-m", "prpgate", "merge-driver", *names, "prps.yaml"]
    done = run(command, tmp_path, ok=False, env={"HOME": str(tmp_path)})
    assert done.code == 1 and done.out == ""
    assert f"{gone} cannot be read (No such file or directory)" in done.err and "Nothing was written" in done.err
    assert {p.name for p in tmp_path.iterdir()} == {*names} - {gone}
    assert all((tmp_path / n).read_text() == f"it is {n}\n" for n in names if n != gone)


def test_a_side_that_cannot_be_read_is_merged_as_text(team: Team) -> None:
    def broken(book: Book) -> None:
        path = book.clone.path / book.file("P1-002")
        path.write_text(path.read_text() + "x: &anchor 1\n")

    team.both(broken, lambda b: b.edit("P1-002", title="Better"))
    met = team.meet("merge")
    assert "title: Better" in team.clone.read(team.book.file("P1-002")) and met.code, met
    assert not team.driver or "git's text merge was used" in met.said


def test_several_merge_bases(book: Book) -> None:
    """Criss-cross: git merges the bases first, with the driver, and may give it a base that is in conflict itself."""
    driver_setup.install(book.repo, book.config)
    clone, team = book.clone, Team(book, True)
    team.both(lambda b: b.milestone("P1-002", "in_progress"), lambda b: b.milestone("P1-002", "in_progress"))
    clone.git("branch", "first-ours", "main")
    clone.git("merge", "-q", "theirs", ok=False)
    clone.git("checkout", "-q", "--ours", book.file("P1-002"))
    clone.git("add", "-A")
    clone.git("commit", "-q", "--no-verify", "-m", "ours it is")
    clone.git("checkout", "-q", "theirs")
    clone.git("merge", "-q", "first-ours", ok=False)
    clone.git("checkout", "-q", "--theirs", book.file("P1-002"))
    clone.git("add", "-A")
    clone.git("commit", "-q", "--no-verify", "-m", "theirs it is")
    book.edit("P1-002", title="Better")
    clone.git("commit", "-qam", "title", "--no-verify")
    clone.git("checkout", "-q", "main")
    clone.git("merge", "--no-edit", "theirs")
    assert book.fields("P1-002")["owner"] == "ann" and book.fields("P1-002")["title"] == "Better"


@pytest.mark.parametrize("form", ["tracking", "folder"])
def test_two_clones_and_their_remote(world: World, form: str) -> None:
    """The acceptance line, one after the other, over a remote."""
    first = world.clone("ann", first=True)
    first.write("prp.toml", toml(form))
    fill(Book(first, form))
    first.commit_files("the ledger", {})
    first.git("push", "-q")
    books = [Book(c, form) for c in (first, world.clone("ben"))]
    ann, ben = books
    for one in books:
        driver_setup.install(one.repo, one.config)

    def round_trip(hers: Callable[[Book], None], his: Callable[[Book], None]) -> Result:
        for one, act in ((ann, hers), (ben, his)):
            one.clone.git("pull", "-q", "--rebase")
            act(one)
            one.clone.commit_files(f"{one.clone.agent}'s", {})
        ann.clone.git("push", "-q")
        return ben.clone.git("pull", "--no-rebase", "--no-edit", ok=False)

    done = round_trip(lambda b: b.milestone("P1-001", "in_progress"), lambda b: b.edit("P1-002", title="x"))
    assert done.code == 0
    ben.clone.git("push", "-q")
    done = round_trip(lambda b: b.edit("P1-002", title="y"), lambda b: b.edit("P1-002", notes="z"))
    assert done.code == 0 and (ben.fields("P1-002")["title"], ben.fields("P1-002")["notes"]) == ("y", "z")
    ben.clone.git("push", "-q")
    done = round_trip(lambda b: b.milestone("P1-003", "in_progress"), lambda b: b.edit("P1-003", title="t"))
    assert done.code == 0 and (ben.fields("P1-003")["title"], ben.fields("P1-003")["owner"]) == ("t", "ann")
    ben.clone.git("push", "-q")
    done = round_trip(lambda b: b.milestone("P1-004", "in_progress"), lambda b: b.milestone("P1-004", "complete"))
    assert done.code == 1 and "P1-004: both sides changed the lines from status to evidence" in done.err
    assert run(["git", "log", "--format=%s", "main"], world.remote).out.startswith("ann's")


def test_the_verbs_their_hooks_and_a_push(tmp_path: Path) -> None:
    """Ana starts a PRP and lands it; Ben, who named it better meanwhile, pulls and pushes. A mixture is not pushed."""
    project = Project(tmp_path)
    ana, ben = project.ana, project.join("ben")
    ana.prp("start", "P2-040")
    ana.commit_files("feat(P2-040): begin", {"a.txt": "a"})
    ana.git("push", "-q")
    project.settle()
    title = "title: Report editor\n"
    assert title in ben.read(UNTIDY)
    ben.commit_files("A better title", {UNTIDY: ben.read(UNTIDY).replace(title, "title: Editor of reports\n")})
    ben.git("pull", "-q", "--no-rebase", "--no-edit")
    text = ben.read(UNTIDY)
    assert "title: Editor of reports\n    status: in_progress\n    rev: 1-" in text and "owner: ana\n" in text
    mixed = text.replace("    owner: ana\n", "    owner: ben\n")
    ben.write(UNTIDY, mixed)
    ben.git("commit", "-q", "--amend", "--no-edit", "--no-verify", "-a")
    refused = ben.git("push", ok=False)
    assert refused.code and "PRP126" in refused.err and "P2-040" in refused.err
    ben.write(UNTIDY, text)
    ben.git("commit", "-q", "--amend", "--no-edit", "-a")
    ben.git("push", "-q")
