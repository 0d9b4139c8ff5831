"""Many processes at once: one winner, nobody's line lost."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from prpgate import prps
from tests.prps import LEDGER, OLD, Desk, entry, office

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.world import Server, World

RACER = """
import json, redis, sys
from pathlib import Path
from tests.prps import Desk
from tests.world import Clone
socket, path, name, verb, *args = sys.argv[1:]
class Given:
    def redis(self): return redis.Redis(unix_socket_path=socket, decode_responses=True)
desk = Desk(Clone(Path(path), name), Given())
from prpgate.errors import UserError
r = desk.store.redis
r.incr("ready"); r.blpop("go", 30)
try:
    done = getattr(desk, verb)(*args)
    print(json.dumps({"won": True, "id": done.prp.id, "already": done.already}))
except UserError as e:
    print(json.dumps({"won": False, "code": e.code, "said": e.message, "next": e.next_action}))
"""


def race(server: Server, racers: Sequence[tuple[Desk, str, str, list[str]]]) -> list[dict[str, Any]]:
    """(desk, name, verb, arguments) each in a process of its own, let go at one moment."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, server.socket, str(desk.clone.path), name, verb, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for desk, name, verb, args in racers
    ]
    client = server.redis()
    while int(client.get("ready") or 0) < len(processes):
        assert all(p.poll() is None for p in processes), [p.communicate() for p in processes if p.poll() is not None]
    client.rpush("go", *range(len(processes)))
    said = [p.communicate(timeout=60) for p in processes]
    assert all(out for out, _ in said), said
    return [json.loads(out) for out, _ in said]


def test_eight_clones_start_one_prp_and_one_wins(world: World, server: Server) -> None:
    desks = office(world, server, *(f"a{n}" for n in range(8)))
    found = race(server, [(d, d.name, "start", ["P1-003"]) for d in desks])
    winners = [d for d, f in zip(desks, found, strict=True) if f["won"]]
    assert len(winners) == 1
    winner = winners[0].name
    assert desks[0].prp("P1-003").owner == winner
    assert len(desks[0].prp("P1-003").chain) == 1
    for desk, f in zip(desks, found, strict=True):
        if desk.name == winner:
            assert "status: in_progress\n    rev: 1-" in desk.ledger()
            continue
        assert (f["code"], f["next"]) == ("claimed", "prp next")
        assert f["said"].startswith(f"P1-003 is claimed by {winner} since ")
        assert desk.ledger() == OLD


def test_eight_agents_in_one_working_tree_start_one_prp_and_one_wins(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    found = race(server, [(ann, f"a{n}", "start", ["P1-003"]) for n in range(8)])
    assert [f["won"] for f in found].count(True) == 1
    assert {f["code"] for f in found if not f["won"]} == {"claimed"}


def test_one_agent_twice_at_once_is_one_claim(world: World, server: Server) -> None:
    (ann,) = office(world, server, "ann")
    found = race(server, [(ann, "ann", "start", ["P1-003"]) for _ in range(4)])
    assert all(f["won"] for f in found)
    assert [f["already"] for f in found].count(False) == 1
    p = ann.prp("P1-003")
    assert len(p.chain) == 1 and f"    rev: {p.rev}\n" in ann.ledger()


def test_milestones_of_many_prps_in_one_file_all_get_written(world: World, server: Server) -> None:
    ids = [f"P1-1{n:02d}" for n in range(8)]
    text = "prp_tracking:\n" + "".join(entry(i, "validated", 3000 + n) for n, i in enumerate(ids))
    (ann,) = office(world, server, "ann", ledger=text)
    found = race(server, [(ann, f"a{n}", "start", [i]) for n, i in enumerate(ids)])
    assert all(f["won"] for f in found), found
    state = prps.read(ann.store, ann.config)
    for i in ids:
        assert f"    rev: {state.prps[i].rev}\n" in ann.ledger()
    diff = ann.clone.git("diff", "--numstat", LEDGER).out.split()
    assert diff[:2] == [str(8 * 4), str(8 * 2)]


def test_new_prps_at_once_get_ids_of_their_own(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    found = race(server, [(d, d.name, "new", [f"title {d.name} {n}"]) for n in range(3) for d in (ann, ben)])
    assert all(f["won"] for f in found), found
    ids = sorted(f["id"] for f in found)
    assert ids == [f"P1-00{n}" for n in (7, 8, 9)] + [f"P1-01{n}" for n in (0, 1, 2)]
    assert sorted(i for i in ids if f"  {i}:\n" in ann.ledger() or f"  {i}:\n" in ben.ledger()) == ids


def test_syncs_and_verbs_at_once_lose_nothing(world: World, server: Server) -> None:
    ann, ben = office(world, server, "ann", "ben")
    ann.start("P1-003")
    head = ann.land("begin")
    ben.clone.git("fetch", "-q")
    found = race(
        server,
        [
            (ann, "ann", "validate", ["P1-004"]),
            (ben, "ben", "start", ["P1-006"]),
            (ann, "ann", "start", ["P1-002"]),
            (ben, "ben", "validate", ["P1-004"]),
        ],
    )
    assert [f["won"] for f in found].count(False) == 1  # one of the two validates
    state = prps.read(ann.store, ann.config)
    assert state.cursor == head
    assert state.prps["P1-003"].recorded == "in_progress" and state.prps["P1-003"].chain == []
    assert [len(state.prps[i].chain) for i in ("P1-002", "P1-004", "P1-006")] == [1, 1, 1]
