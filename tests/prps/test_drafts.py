"""PRPs written without a store, numbered later."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from prpgate import drafts, lane, ledger, ledger_edit, rules
from prpgate.errors import UserError
from tests.e2e.conftest import Project
from tests.ledgers import read
from tests.prps import TOML, Desk, office

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Server, World

FOLDER = 'project = "example/app"\n[ledger]\npath = "prps/"\n'
FORMS = pytest.mark.parametrize("config", [TOML, FOLDER], ids=["one file", "folder"])


def tree(desk: Desk) -> ledger.Ledger:
    found = ledger.load(desk.repo, desk.config, None)
    assert not found.errors, found.errors
    return found


@FORMS
def test_a_draft_is_written_without_a_store_and_numbered_with_one(world: World, server: Server, config: str) -> None:
    (ann,) = office(world, server, "ann", config=config)
    asked = server.redis().info("commandstats")
    first, _ = drafts.new(ann.repo, ann.config, " The  first ", "docs/first.md")
    second, _ = drafts.new(ann.repo, ann.config, "The second")
    assert server.redis().info("commandstats").keys() <= asked.keys() | {"cmdstat_info"}
    path = ann.clone.path / tree(ann).prps[second].file
    path.write_text(path.read_text().replace("title: The second\n", "title: 'The second'  # mine\n"))
    more = {"depends_on": [first, "P1-001"], "notes": "soon"}
    path.write_bytes(ledger_edit.change(path.read_bytes(), tree(ann).prps[second].file, second, more))
    before = tree(ann).files
    done = drafts.number(ann.ctx)
    done.sort(key=lambda d: d.draft != first)
    assert [d.draft for d in done] == [first, second]
    after = tree(ann)
    one, two = (after.prps[d.id] for d in done)
    assert (one.title, one.fields["doc"], one.status, two.depends_on) == (
        "The first",
        "docs/first.md",
        "new",
        (one.id, "P1-001"),
    )
    assert first not in after.prps and ann.prp(one.id).status == "new"
    assert len(after.files) == len(before) and drafts.number(ann.ctx) == []
    text = after.files[two.file].decode()
    assert "title: 'The second'  # mine\n" in text and "notes: soon" in text
    assert ann.validate(two.id).prp.status == "validated"


@FORMS
def test_a_lane_takes_no_draft_and_a_branch_does(world: World, server: Server, config: str) -> None:
    (ann,) = office(world, server, "ann", config=config)
    draft, _ = drafts.new(ann.repo, ann.config, "A draft")
    base = world.tip()
    before, after = ledger.load(ann.repo, ann.config, base), tree(ann)
    assert rules.check_change(before, after, id_pattern=ann.config.id_pattern) == []
    ann.commit("a draft")
    found = lane.judge_range(ann.repo, ann.config, base, ann.clone.head)
    assert [(f.code, f.severity, f.id) for f in found] == [("PRP114", "error", draft)]
    assert found[0].fix is not None and "prp number" in found[0].fix
    drafts.number(ann.ctx)
    head = ann.commit("numbered")
    assert lane.judge_range(ann.repo, ann.config, base, head) == []
    assert lane.judge_range(ann.repo, ann.config, f"{head}~1", head) == []  # the draft goes, and that is no loss


def test_a_draft_that_was_moved_on_by_hand_is_not_numbered(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    draft, _ = drafts.new(ann.repo, ann.config, "A draft")
    ann.edit(draft, "status: new", "status: validated")
    with pytest.raises(UserError) as e:
        drafts.number(ann.ctx)
    assert e.value.code == "no-draft" and draft in tree(ann).prps


def test_a_number_that_cannot_be_written_is_taken_back(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann", config=FOLDER)
    _, file = drafts.new(ann.repo, ann.config, "A draft")
    ann.clone.write("prps/P2-001.yaml", "id: DRAFT-00000000\n")  # stands in the way, and is nobody's
    with pytest.raises(UserError):
        drafts.number(ann.ctx)
    assert (ann.clone.path / file).exists() and ann.store.redis.hgetall(ann.store.keys.pending) == {}


@pytest.mark.parametrize(
    ("prp_id", "is_one"),
    [
        ("DRAFT-0123abcd", True),
        ("DRAFT-0123ABCD", False),
        ("DRAFT-0123abc", False),
        ("DRAFT-0123abcdx", False),
        ("P2-001", False),
    ],
)
def test_what_is_a_draft(prp_id: str, is_one: bool) -> None:
    found = rules.check_change(
        read("prp_tracking:\n  A-1: {title: t, status: new}\n"),
        read(f"prp_tracking:\n  A-1: {{title: t, status: new}}\n  {prp_id}:\n    title: t\n    status: new\n"),
        id_pattern="(A|P2)-[0-9]+",
    )
    assert ("PRP106" not in [f.code for f in found]) == (is_one or prp_id == "P2-001")


def test_the_commands(tmp_path: Path) -> None:
    ann = Project(tmp_path).ana
    said = json.loads(ann.prp("new", "An idea", "--draft", "--json", "--redis-url", "unix:///nowhere").out)
    assert said["draft"].startswith("DRAFT-") and said["next_action"] == "prp number"
    assert ann.prp("new", "An idea", "--draft", "--id", "P2-001", ok=False).code == 2
    assert ann.prp("number", "--redis-url", "unix:///nowhere", ok=False).code == 4
    done = json.loads(ann.prp("number", "--json").out)
    assert [one["draft"] for one in done["numbered"]] == [said["draft"]]
    assert json.loads(ann.prp("status", done["numbered"][0]["id"], "--json").out)["prp"]["title"] == "An idea"
    assert "No drafts here." in ann.prp("number").text


# --- killed in between -----------------------------------------------------------------------------------------------
def test_a_new_prp_whose_line_was_never_written_is_the_same_one_again(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    first = ann.new("The work").prp.id
    ann.clone.git("checkout", "-q", ".")
    assert first not in tree(ann).prps
    assert ann.new("Other work").prp.id != first and ben.new("The work").prp.id != first
    again = ann.new("The  work")
    assert (again.prp.id, again.already) == (first, True)
    assert ann.validate(first).prp.status == "validated"
    ann.clone.git("checkout", "-q", ".")
    assert ann.new("The work").prp.id != first  # that one has moved on


@FORMS
@pytest.mark.parametrize("written", [False, True], ids=["not written", "half written"])
@pytest.mark.parametrize("turned", [False, True], ids=["in order", "the one that depends first"])
def test_numbering_that_was_killed_goes_on(
    world: World, server: Server, config: str, written: bool, turned: bool
) -> None:
    (ann,) = office(world, server, "ann", config=config)
    ids = [drafts.new(ann.repo, ann.config, "The first")[0] for _ in range(2)]
    first, second = sorted(ids, key=list(tree(ann).prps).index, reverse=turned)  # as they are numbered
    file = tree(ann).prps[second].file
    path = ann.clone.path / file
    path.write_bytes(ledger_edit.change(path.read_bytes(), file, second, {"depends_on": [first]}))
    before = tree(ann)
    done = {d.draft: d.id for d in drafts.number(ann.ctx)}
    for name in {*before.files, *tree(ann).files}:
        there = ann.clone.path / name
        if name in before.files:
            there.write_bytes(before.files[name])
        elif not written:
            there.unlink()
    assert {d.draft: d.id for d in drafts.number(ann.ctx)} == done
    after = tree(ann)
    assert len(after.prps) == len(before.prps) and len(after.files) == len(before.files)
    assert after.prps[done[second]].depends_on == (done[first],)
