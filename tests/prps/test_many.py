"""What is done otherwise because there may be ten thousand PRPs: it says the same as the plain way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from prpgate import ledger, live, record
from prpgate.model import STATUSES
from prpgate.store import client
from prpgate.store.discover import Place
from tests.prps import Desk, office

if TYPE_CHECKING:
    from tests.world import Server, World

STORE_ID = "55555555-6f0c-4f9a-8a53-d1a2b6c0e9f7"
FOLDER = 'project = "example/app"\n[ledger]\npath = "prps/"\n'


def folder_of(world: World, server: Server, count: int = 6) -> Desk:
    (ann,) = office(world, server, "ann", config=FOLDER)
    for n in range(count):
        ann.new(f"title {n}", None, f"P1-00{n}")
    ann.land("all of them")
    ann.sync()
    return ann


def test_open_ones_are_found_by_their_status_in_the_index(world: World, server: Server) -> None:
    ann, _ = office(world, server, "ann", "ben")
    ann.start("P1-003")
    ann.complete("P1-003")  # completing: in progress to everybody
    ann.validate("P1-004")
    ann.new("one more", None, "P1-007")
    state = live.read(ann.store, ann.config)
    for wanted in (["new"], ["validated"], ["in_progress"], ["in_progress", "new", "validated"]):
        found = live.open_ids(ann.store, wanted)
        assert found == [p.id for p in state.prps.values() if p.status in wanted]
        assert live.read_some(ann.store, found).prps == {i: state.prps[i] for i in found}
    assert live.open_ids(ann.store, ["new", "complete"]) is None
    assert live.open_ids(ann.store, []) is None
    ann.store.redis.hdel(ann.store.keys.meta, "index")
    assert live.open_ids(ann.store, ["new"]) is None


def test_a_list_by_status_shows_what_the_whole_list_shows(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    ann.commit("a store", **{"prp.toml": f'{ann.clone.read("prp.toml")}[store]\nid = "{STORE_ID}"\n'})
    ann.push()
    url = f"unix://{server.socket}"
    client.adopt(client.open_store(Place(url, "given", "test"), "example/app"), STORE_ID)
    ann.new("one more", None, "P1-007")
    whole = json.loads(ann.clone.prp("list", "--json", "--redis-url", url).out)["prps"]
    assert len(whole) == 7
    for status in STATUSES:
        some = json.loads(ann.clone.prp("list", "--status", status, "--json", "--redis-url", url).out)["prps"]
        assert some == [p for p in whole if p["status"] == status]
    shown = ann.clone.prp("list", "--status", "new,validated", "--redis-url", url).out.splitlines()
    assert [line.split()[0] for line in shown] == ["ID", "P1-003", "P1-004", "P1-006", "P1-007"]


def test_only_the_files_that_matter_are_read(world: World, server: Server) -> None:
    ann = folder_of(world, server)
    ann.clone.write("prps/P1-005.yaml", "id: [\n")
    some = ledger.load_some(ann.repo, ann.config, ["P1-001", "P1-002"])
    whole = ledger.load(ann.repo, ann.config, None)
    assert some.errors == () and whole.errors
    assert some.prps == {i: whole.prps[i] for i in ("P1-001", "P1-002")}
    for odd in (["P1-009"], ["../prps/P1-001"], [], ["P1-001", "P1-009"], ["P1-005"]):
        assert ledger.load_some(ann.repo, ann.config, odd) == whole
    ann.clone.write("prps/P1-001.yaml", "id: P1-077\ntitle: x\n")  # another one's file
    assert "P1-077" in ledger.load_some(ann.repo, ann.config, ["P1-001"]).prps


def test_the_index_holds_the_very_blobs_of_a_folder(world: World, server: Server) -> None:
    ann = folder_of(world, server)
    ann.clone.write("prps/P1-001.yaml", ann.clone.read("prps/P1-001.yaml").replace("title 1", "staged"))
    ann.clone.git("add", "-A")
    ann.clone.write("prps/P1-001.yaml", ann.clone.read("prps/P1-001.yaml").replace("staged", "not staged"))
    titles = [ledger.load(ann.repo, ann.config, rev).prps["P1-001"].title for rev in ("HEAD", "", None)]
    assert titles == ["title 1", "staged", "not staged"]


@pytest.mark.parametrize("first_parent", [False, True])
def test_seals_of_one_file_per_prp_are_those_that_a_version_brought(
    world: World, server: Server, first_parent: bool
) -> None:
    ann = folder_of(world, server, 2)
    base = ann.repo.sha("HEAD")
    one = ann.validate("P1-000").prp.rev
    made = ann.commit("validate")
    ann.revert(made)
    ann.revert("HEAD")
    text = ann.clone.read("prps/P1-001.yaml")
    ann.commit("a note", **{"prps/P1-001.yaml": text + f"notes: |\n  rev: 7-{'a' * 8}\n  is no seal of ours\n"})
    ann.commit("only a title", **{"prps/P1-000.yaml": ann.clone.read("prps/P1-000.yaml").replace("title 0", "other")})
    found = record.seals(ann.repo, ann.config, base, ann.repo.sha("HEAD") or "", first_parent=first_parent)
    before = ledger.load(ann.repo, ann.config, base).prps["P1-000"].rev
    assert [(s.id, s.seal, s.status) for s in found] == [
        ("P1-001", f"7-{'a' * 8}", "new"),
        ("P1-000", one, "validated"),
        ("P1-000", before, "new"),
        ("P1-000", one, "validated"),
    ]
    assert found[-1].commit == made


def test_a_store_filled_at_once_is_as_one_filled_bit_by_bit(world: World, server: Server) -> None:
    ann = folder_of(world, server)
    ann.validate("P1-002")
    ann.land("validated")
    ann.sync()
    ann.start("P1-002")
    names = ("recorded", "about", "briefs", "maxrev", "names")
    keys = ann.store.keys
    bit_by_bit = {n: ann.store.redis.hgetall(getattr(keys, n)) for n in names if n != "briefs"}
    ann.store.redis.flushall()
    ann.sync()
    at_once = {n: ann.store.redis.hgetall(getattr(keys, n)) for n in names if n != "briefs"}
    bit_by_bit["maxrev"]["P1-002"] = at_once["maxrev"]["P1-002"]  # a start that never landed is forgotten
    assert at_once == bit_by_bit
    assert live.open_ids(ann.store, ["validated"]) == ["P1-002"]
