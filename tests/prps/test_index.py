"""The store's index against a plain reading of everything: after every step of a random walk both say the same."""

from __future__ import annotations

import itertools
import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from prpgate import live, prps, record, scopes
from prpgate.errors import CouldNotTell, UserError
from prpgate.store import scripts
from tests.prps import TOML, Desk, office
from tests.world import Clone

if TYPE_CHECKING:
    from tests.world import Server, World

RANKS = {"V": "1", "I": "2", "N": "3", "C": "4", "L": "5"}
AREA = "src/auth/**"
WIP = f'[wip]\nper_agent = 3\n[wip.per_area]\n"{AREA}" = 1\n'
PATHS = (
    *("{exclusive: [src/auth]}", "{exclusive: ['docs/**']}", "{shared: [docs/a.md, lib]}"),
    *("{shared: [src/auth/*.py]}", "{shared: [src/auth/a.py]}", "{shared: [src/auth]}"),
)


def ledger(rng: random.Random, count: int = 14) -> str:
    text = "prp_tracking:\n"
    for n in range(count):
        status = rng.choice(["new", "validated", "validated", "validated", "in_progress", "complete"])
        text += f"  P{n % 3}-{n:03d}:\n    title: Work {n}\n    status: {status}\n    stable_id: PRP-{n}\n"
        if rng.random() < 0.5:
            others = [rng.choice([f"P{m % 3}-{m:03d}", f"PRP-{m}"]) for m in rng.sample(range(count), 2)]
            text += f"    depends_on: [{', '.join(others)}]\n"
        if rng.random() < 0.4:
            text += f"    corrected_priority: P{rng.randrange(3)}\n"
        if rng.random() < 0.5:
            text += f"    paths: {rng.choice(PATHS)}\n"
        text += "    notes: none\n"
    return text


# --- the plain reading -----------------------------------------------------------------------------------------------


def letter(p: prps.PrpState) -> str:
    return {"completing": "C", "landed": "L"}.get(p.phase or "", {"new": "N", "validated": "V"}.get(p.status, "I"))


def done(state: prps.State, name: str) -> bool:
    named = [p for p in state.prps.values() if p.id == name] or [p for p in state.prps.values() if name in p.ids]
    return len(named) == 1 and named[0].status in ("complete", "deprecated")


def overlap(globs: list[str], others: list[str]) -> bool:
    """By trying: paths that could tell these globs apart."""
    names = ("src", "auth", "a.py", "docs", "a.md", "lib", "x")
    paths = ["/".join(p) for n in (1, 2, 3) for p in itertools.product(names, repeat=n)]
    return any(scopes.covers(g, p) and scopes.covers(o, p) for p in paths for g in globs for o in others)


def paths_of(fields: dict[str, Any]) -> tuple[list[str], list[str]]:
    found = scopes.declared(fields)
    return found.get("exclusive", []), found.get("shared", [])


def expected(state: prps.State, agent: str) -> list[str]:
    """Ids that can be had, best first, by looking at everything."""
    open_ones = [p for p in state.prps.values() if p.status not in ("complete", "deprecated")]
    working = [p for p in open_ones if p.claim and letter(p) in "IC"]
    found = []
    for p in open_ones:
        if letter(p) not in "VI" or (p.claim and p.claim.live) or "blocked" in p.marks:
            continue
        if p.marks.get("assigned", {}).get("agent", agent) != agent or not all(done(state, d) for d in p.depends_on):
            continue
        mine, ours = paths_of(p.fields)
        theirs = [json.loads(o.claim.raw) for o in working if o.claim]
        if any(
            overlap([*mine, *ours], c.get("exclusive") or []) or overlap(mine, c.get("shared") or []) for c in theirs
        ):
            continue
        there = [c for c in theirs if overlap([*(c.get("exclusive") or []), *(c.get("shared") or [])], [AREA])]
        if overlap([*mine, *ours], [AREA]) and there:
            continue
        found.append(p)
    return [p.id for p in sorted(found, key=lambda p: (RANKS[letter(p)], p.priority, p.id))]


def check(desk: Desk) -> None:
    keys, client = desk.store.keys, desk.store.redis
    listed = [p.id for p in desk.choice().ready]
    state = prps.read(desk.store, desk.config)
    assert listed == expected(state, desk.name)
    open_ones = [p for p in state.prps.values() if p.status not in ("complete", "deprecated")]
    assert client.zrange(keys.open, 0, -1) == sorted(f"{RANKS[letter(p)]}{p.priority}\0{p.id}" for p in open_ones)
    briefs = {i: json.loads(text) for i, text in client.hgetall(keys.briefs).items()}
    assert {i: (b["letter"], b["seal"]) for i, b in briefs.items()} == {p.id: (letter(p), p.seal) for p in open_ones}
    recorded = live.fetch(desk.store).recorded
    assert client.hgetall(keys.about) == {i: record.about(record.parse(i, t)) for i, t in recorded.items()}
    claimants: dict[str, set[str]] = {}
    for i, text in recorded.items():
        for name in record.parse(i, text).fields.get("stable_id", "").split():
            claimants.setdefault(name, set()).add(i)
    assert {n: set(json.loads(t)) for n, t in client.hgetall(keys.names).items()} == claimants


# --- the walk --------------------------------------------------------------------------------------------------------


def step(rng: random.Random, desk: Desk, other: Desk) -> str:
    prp_id = rng.choice(sorted(prps.read(desk.store, desk.config).prps))
    verb = rng.choice(
        ["start"] * 4 + ["validate", "complete", "complete", "complete_undo", "release", "handover", "block", "unblock"]
        + ["assign", "deprecate", "reopen", "new", "claim_next", "claim_next", "lapse", "suspect", "lapse_marker"]
        + ["land", "land", "smoke", "revert", "rebuild", "rename", "finish", "finish", "finish"]
    )  # fmt: skip
    more = {"handover": (other.name,), "block": ("no",), "assign": (rng.choice([None, desk.name, other.name]),)}
    more |= {"deprecate": (rng.choice(["P0-000", "P1-001"]),), "reopen": ("again",)}
    if verb == "new":
        desk.code("new", "more")
    elif verb == "claim_next":
        desk.code("claim_next")
    elif verb in ("lapse", "suspect"):
        if desk.store.redis.hexists(desk.store.keys.claims, prp_id):
            getattr(desk, verb)(prp_id)
    elif verb == "lapse_marker":
        if desk.store.redis.hexists(desk.store.keys.completing, prp_id):
            desk.lapse_marker(prp_id)
    elif verb == "land":
        desk.land(f"{prp_id}: work", code=rng.random() < 0.7)
        desk.sync()
    elif verb == "finish":
        for p in prps.read(desk.store, desk.config).prps.values():
            if p.claim and p.claim.agent == desk.name:
                desk.code("complete", p.id)
        desk.land("all of it")
        desk.sync()
        if rng.random() < 0.7:
            desk.smoke()
    elif verb == "smoke":
        desk.smoke(desk.repo.known_tip("origin", "main") or "HEAD")
    elif verb == "revert":
        desk.commit("what is here")
        desk.clone.git("revert", "--no-edit", "HEAD", ok=False)
        desk.clone.git("revert", "--abort", ok=False)
        desk.land("reverted")
        desk.sync()
    elif verb == "rebuild":  # as an older prpgate left it
        keys = desk.store.keys
        desk.store.redis.delete(keys.open, keys.briefs, keys.about, keys.names)
        desk.store.redis.hdel(keys.meta, "index")
    elif verb == "rename":
        desk.clone.write(desk.config.ledger_path, desk.ledger().replace("stable_id: PRP-1\n", "stable_id: PRP-2\n"))
    else:
        desk.code(verb, prp_id, *more.get(verb, ()))
    return f"{desk.name} {verb} {prp_id}"


@pytest.mark.parametrize("seed", range(4))
def test_a_random_walk(world: World, server: Server, seed: int) -> None:
    rng = random.Random(seed)
    (ann,) = office(world, server, "ann", ledger=ledger(rng), config=TOML + WIP)
    eve = Desk(Clone(ann.clone.path, "eve"), server, config=TOML + WIP)  # in one working tree: every line is current
    walked = []
    check(ann)
    for _ in range(45):
        desk, other = rng.sample([ann, eve], 2)
        try:
            walked.append(step(rng, desk, other))
        except (CouldNotTell, UserError) as e:
            walked.append(e.code)
        try:
            check(ann)
        except AssertionError as e:
            raise AssertionError(f"after {walked}") from e


def test_globs_meet_as_paths_do(server: Server) -> None:
    """The script's glob against glob, and Python's glob against path: whenever a path is in both, they meet."""
    source = scripts.text("prp_next")
    body = source[source.index("local STAR") : source.index("local function touch")]
    function = server.redis().register_script(f"{body}\nreturn overlap(ARGV[1], ARGV[2]) and 1 or 0")
    rng, parts = random.Random(7), ("a", "b", "*", "**", "a*", "?", "*b", "[ab]")
    paths = ["/".join(p) for n in (1, 2, 3) for p in itertools.product(("a", "b", "ab"), repeat=n)]
    apart = 0
    for _ in range(400):
        one, other = ("/".join(rng.choice(parts) for _ in range(rng.randint(1, 3))) for _ in range(2))
        shared = [p for p in paths if scopes.covers(one, p) and scopes.covers(other, p)]
        met = function(args=[one, other]) == 1
        assert met or not shared, (one, other, shared[:3])
        apart += not met
    assert apart > 20
    assert [function(args=pair) for pair in (("src/*.py", "src/*.md"), ("src", "src/a"), ("src", "srcs/a"))] == [
        0,
        1,
        0,
    ]
