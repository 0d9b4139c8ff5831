"""R(tip): what the lane records, from git alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from prpgate import record, seal
from prpgate.errors import CouldNotTell
from tests.prps import LEDGER, OLD, Desk, office
from tests.world import Clone, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Server, World


def test_an_old_ledger_is_recorded_as_it_is(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    found = ann.record()
    assert found.conflicts == [] and not found.missing
    assert {e.number for e in found.entries.values()} == {0}
    assert found.entries["P1-005"].status == "deprecated"
    one = found.entries["P1-003"]
    assert one.seal == seal.compute("P1-003", 0, one.fields) and record.parse("P1-003", record.dump(one)) == one


def test_it_depends_on_the_tip_alone(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.land("begin")
    ben.pull()
    ben.edit("P1-003", "status: in_progress", "status: complete")  # in the working tree
    ann.clone.git("checkout", "-q", "--detach", "HEAD~1")
    tip = world.tip()
    assert record.at(ann.repo, ann.config, tip) == record.at(ben.repo, ben.config, tip)


def test_the_last_valid_entry_stands_with_the_tips_title(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    started = ann.start("P1-003").prp
    ann.land("begin")
    ann.edit("P1-003", "owner: ann", "owner: eve")
    ann.edit("P1-003", "title: The work of P1-003", "title: Another title")
    ann.land("by hand")
    ann.land("on it goes")
    found = ann.record()
    one = found.entries["P1-003"]
    assert (one.seal, one.fields["owner"], one.fields["title"]) == (started.rev, "ann", "Another title")
    assert [i for i, _ in found.conflicts] == ["P1-003"]


def test_a_lost_seal_is_invalid_unless_it_was_so_before(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    started = ann.start("P1-003").prp
    head = ann.land("begin")
    rev = f"    rev: {started.rev}\n"
    ann.clone.write(LEDGER, ann.ledger().replace(rev, ""))
    ann.land("the seal is gone")
    assert ann.record().entries["P1-003"].seal == started.rev
    ann.clone.git("checkout", "-q", f"{head}~1", "--", LEDGER)
    ann.land("as it was before there was a seal")
    found = ann.record()
    assert (found.entries["P1-003"].number, found.entries["P1-003"].status, found.conflicts) == (0, "validated", [])


def test_a_seal_that_never_was_valid(world: World, server: Server) -> None:
    text = OLD.replace("    status: new\n", "    status: new\n    rev: 9-00000000\n")
    (ann,) = office(world, server, "ann", ledger=text)
    found = ann.record()
    assert found.entries["P1-004"].number == 0  # what it says is all there is, and it is told
    assert [i for i, _ in found.conflicts] == ["P1-004"]
    assert ann.prp("P1-004").maxrev == 0


def test_an_unreadable_ledger_leaves_the_last_readable_one(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    before = ann.record().entries
    ann.clone.write(LEDGER, OLD + "  - [\n")
    ann.land("broken")
    found = ann.record()
    assert found.entries == before
    assert [i for i, _ in found.conflicts] == [""]
    assert "last readable" in found.conflicts[0][1]


def test_no_ledger(world: World, server: Server) -> None:
    clone = world.clone("ann", first=True)
    assert Desk(clone, server).record() == record.Record({}, [], missing=True)


def test_history_that_was_cut_off_is_could_not_tell(world: World, server: Server, tmp_path: Path) -> None:
    (ann,) = office(world, server, "ann")
    ann.start("P1-003")
    ann.land("begin")
    ann.edit("P1-003", "owner: ann", "owner: eve")
    ann.land("by hand")
    run(["git", "clone", "-q", "--depth", "1", f"file://{world.remote}", tmp_path / "cut"], tmp_path)
    with pytest.raises(CouldNotTell) as e:
        Desk(Clone(tmp_path / "cut", "cut"), server).record()
    assert e.value.next_action == "git fetch --unshallow"


# --- seals in a range ------------------------------------------------------------------------------------------------


def seals(desk: Desk, base: str | None, tip: str = "HEAD") -> list[tuple[str | None, str, str | None]]:
    found = record.seals(desk.repo, desk.config, base and desk.repo.sha(base), desk.repo.sha(tip) or "")
    return [(s.id, s.seal, s.status) for s in found]


def test_seals_are_found_on_all_parents_with_their_ids(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    base = ann.clone.head
    ann.clone.git("checkout", "-q", "-b", "side")
    one = ann.start("P1-003").prp.rev
    ann.commit("begin")
    two = ann.complete("P1-003").prp.rev
    ann.commit("end")
    ann.clone.git("checkout", "-q", "main")
    three = ann.validate("P1-004").prp.rev
    ann.commit("plan")
    ann.clone.git("merge", "-q", "--no-edit", "side")
    expected = {
        ("P1-003", one, "in_progress"),
        ("P1-003", two, "complete"),
        ("P1-004", three, "validated"),
    }
    assert set(seals(ann, base)) == expected
    assert set(seals(ann, None)) == expected
    assert seals(ann, "HEAD") == []
    assert set(seals(ann, base, "HEAD~1")) == {("P1-004", three, "validated")}


def test_a_root_commit_and_one_file_per_prp(world: World, server: Server) -> None:
    toml = 'project = "example/app"\n[ledger]\npath = "prps/"\n'
    clone = world.clone("ann")
    clone.git("checkout", "-q", "-b", "main")
    desk = Desk(clone, server, config=toml)
    rev = desk.new("A title", None, "P2-001").prp.rev
    clone.commit_files("first", {"prp.toml": toml})
    assert seals(desk, None) == [("P2-001", rev, "new")]


@pytest.mark.parametrize("how", ["crlf", "attributes", "config"])
def test_nothing_hides_a_seal(world: World, server: Server, how: str) -> None:
    text = OLD.replace("\n", "\r\n") if how == "crlf" else OLD
    (ann,) = office(world, server, "ann", ledger=text)
    base = ann.clone.head
    if how == "attributes":
        ann.clone.write(".gitattributes", f"{LEDGER} -diff binary\n")
    if how == "config":
        for name, value in (
            ("diff.noprefix", "true"),
            ("color.ui", "always"),
            ("diff.external", "false"),
            ("log.showSignature", "true"),
            ("diff.context", "0"),
            ("diff.suppressBlankEmpty", "true"),
            ("log.diffMerges", "off"),
        ):
            ann.clone.git("config", name, value)
    rev = ann.start("P1-003").prp.rev
    ann.commit("begin")
    assert seals(ann, base) == [("P1-003", rev, "in_progress")]


def test_text_that_looks_like_a_diff_or_a_seal(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    base = ann.clone.head
    last = "    stable_id: PRP-1003\n"
    note = "    notes: |\n      x\n      rev: 7-deadbeef\n      @@ -1 +1 @@\n"
    ann.clone.write(LEDGER, "# one\n++ b/other.yaml: '@@ -1 +1 @@'\n" + ann.ledger().replace(last, note + last))
    ann.land("a note")
    rev = ann.start("P1-006").prp.rev
    ann.land("begin")
    found = seals(ann, base)
    assert ("P1-006", rev, "in_progress") in found and {s for _, s, _ in found} == {rev, "7-deadbeef"}
    ann.sync()
    assert ann.prp("P1-003").maxrev == 0  # it is checked before it is relied on


# --- landings in a range ---------------------------------------------------------------------------------------------


def test_landings_are_split_where_they_are_known(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    base = ann.clone.head
    one = ann.start("P1-003").prp.rev
    first = ann.land("only the line", code=False)
    ann.commit("foreign 1", a="a")
    foreign = ann.commit("foreign 2", b="b")
    ann.push()
    two = ann.start("P1-006").prp.rev
    last = ann.land("the rest")
    brought = record.seals(ann.repo, ann.config, base, last)

    def split(heads: dict[str, str]) -> list[tuple[str, bool, frozenset[str]]]:
        return [(x.head, x.code, x.seals) for x in record.landings(ann.repo, ann.config, base, last, heads, brought)]

    assert one is not None and two is not None
    assert split({}) == [(last, True, frozenset({one, two}))]
    assert split({first: base}) == [(first, False, frozenset({one})), (last, True, frozenset({two}))]
    assert split({first: base, last: foreign}) == [
        (first, False, frozenset({one})),
        (foreign, True, frozenset()),
        (last, True, frozenset({two})),
    ]
    assert record.landings(ann.repo, ann.config, None, last, {}, brought)[0].code


def test_without_a_history_of_seals_nothing_is_walked(world: World, server: Server) -> None:
    """The hint saves the walk: with the history taken away there is nothing that could be walked."""
    (ann,) = office(world, server, "ann")
    ann.land("more")
    tip = ann.clone.head
    parent = ann.repo.sha(f"{tip}~1") or ""
    (ann.clone.path / ".git" / "objects" / parent[:2] / parent[2:]).unlink()
    found = record.at(ann.repo, ann.config, tip, lambda _: True)
    assert len(found.entries) == 6
    with pytest.raises(CouldNotTell):
        record.at(ann.repo, ann.config, tip)
