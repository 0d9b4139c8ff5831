"""Globs, names, ids and marker files of somebody who means harm, or typed carelessly."""

from __future__ import annotations

import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prpgate import claimfile, globs, identity, mail, merge_driver, registry, scopes
from prpgate.config import parse as config
from prpgate.errors import UsageError, UserError
from prpgate.gitrepo import Repo
from prpgate.store.client import Store
from tests.prps import entry, office

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Server, World

PROJECT = 'project = "example.org/app"\n'


def cpu_s(act: Any) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


# --- paths -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("glob", ["**a" * 60 + "b", "*a" * 90 + "b", "**/" * 60 + "b", "[a]" * 60 + "b", "*?" * 90])
def test_no_glob_of_a_ledger_holds_up_a_commit(glob: str) -> None:
    path = "a" * 2_000 + "/c"
    assert cpu_s(lambda: scopes.covers(glob, path)) < 3


PIECES = st.lists(st.sampled_from(["*", "**", "**/", "?", "a", "b", "/", "ab", "a/", "."]), max_size=9).map("".join)


@given(PIECES, st.text("ab/.", max_size=10))
@settings(max_examples=300, deadline=None)
def test_many_stars_mean_what_few_do(glob: str, path: str) -> None:
    parts = globs._parts(glob)
    assert globs._walk(parts, path) == (re.fullmatch("".join(parts) + "(?:/.*)?", path, re.DOTALL) is not None)


def test_garbage_in_what_a_worktree_knows_of_scopes(tmp_path: Path) -> None:
    later = int(time.time()) + 600
    rows = [
        "\u00b2\tP1-001\teve\tsrc",
        "9" * 5_000 + "\tP1-001\teve\tsrc",
        "x",
        "",
        "\0\t\t\t",
        f"{later}\tP1-2\teve\tsrc",
    ]
    (tmp_path / scopes.FILE).write_text("\n".join(rows) + "\n")
    assert [h.id for h in scopes.known(str(tmp_path), time.time())] == ["P1-2"]


def test_hostile_paths_do_not_hold_up_the_store(world: World, server: Server) -> None:
    """Every glob of one PRP against every one of another: what takes too long overlaps."""
    globs = {n: [f"{'*a' * 80}{c}{i}" for i in range(50)] for n, c in ((3, "b"), (6, "c"))}
    ledger = "prp_tracking:\n" + "".join(
        entry(f"P1-00{n}", "validated", 1000 + n) + f"    paths: {json.dumps({'exclusive': globs[n]})}\n"
        for n in (3, 6)
    )
    ann, eve = office(world, server, "ann", "eve", ledger=ledger)
    ann.start("P1-003")
    began = time.monotonic()
    with pytest.raises(UserError) as e:
        eve.claim_next()
    assert time.monotonic() - began < 10
    assert "P1-006: " in (e.value.hint or "")


# --- agents ----------------------------------------------------------------------------------------------------------
GLOBS = [
    "a*",
    "*",
    "?",
    "ann-[0-9]",
    "ann-[!0-9]",
    "[ab]*",
    "*[",
    "a.b",
    "%a",
    "a%",
    "^a$",
    "(a)",
    "a-b",
    "\u00e9?",
    "[\u00e0-\u00ff]x",
    "**",
    "",
]
NAMES = [
    "a",
    "ann",
    "ann-1",
    "ann-x",
    "b",
    "*[",
    "[",
    "a.b",
    "axb",
    "%a",
    "a%",
    "^a$",
    "(a)",
    "a-b",
    "\u00e9\u00e9",
    "\u00e9",
    "\u00e9x",
    "ax",
    "x\u4e2d",
]


def test_the_store_reads_a_role_glob_as_python_does(server: Server) -> None:
    store = _store(server)
    for name in NAMES:
        registry.beat(store, _me(name))
    for glob in filter(None, GLOBS):
        toml = config(PROJECT + f"[roles]\nsome = [{json.dumps(glob)}]\n", "prp.toml")
        sent = mail.send(store, toml, _me("boss"), "@some", "hello")
        box = mail.inbox(store, _me("boss"), "sent").messages[0]
        assert sorted(box.due) == sorted(n for n in NAMES if fnmatchcase(n, glob)), glob
        assert sent.due == len(box.due)


def test_a_role_glob_of_many_stars_does_not_hold_up_the_store(server: Server) -> None:
    store = _store(server)
    registry.beat(store, _me("a" * 190))
    toml = config(PROJECT + f'[roles]\nsome = ["{"*a" * 90}b"]\n', "prp.toml")
    began = time.monotonic()
    assert mail.send(store, toml, _me("boss"), "@some", "hello").due == 0
    assert time.monotonic() - began < 5


def test_settings_that_would_hold_up_the_store_are_refused() -> None:
    for text in (
        f'[roles]\na = ["{"x" * 201}"]\n',
        f"[domains]\na = {json.dumps(['P*'] * 101)}\n",
        f'[wip.per_area]\n"{"*" * 201}" = 1\n',
    ):
        with pytest.raises(UsageError) as e:
            config(PROJECT + text, "prp.toml")
        assert "at most 100" in e.value.message and len(e.value.message) < 300


def test_a_name_that_nobody_could_type_is_refused(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRP_AGENT", "x" * 10_000)
    with pytest.raises(UsageError) as e:
        identity.agent(Repo(str(repo)))
    assert e.value.code == "agent-name" and len(e.value.message) < 200
    monkeypatch.setenv("PRP_AGENT", " \u202eann\x1b ")
    assert identity.agent(Repo(str(repo))).name == "\\u202eann\\x1b"


# --- claims and messages ---------------------------------------------------------------------------------------------
def test_garbage_in_the_file_of_claims(tmp_path: Path) -> None:
    path = tmp_path / claimfile.FILE
    path.write_bytes(b"P1-1 abc ann\nP1-2 \xc2\xb2 ann\n\xff\xfe\0\nP1-3 17 ann\n" + b"x" * 100_000)
    assert [k.id for k in claimfile.mine(str(tmp_path), "ann")] == ["P1-3"]
    path.unlink()
    path.mkdir()
    assert claimfile.mine(str(tmp_path), "ann") == []


def test_claims_that_are_written_down_at_once_are_all_kept(tmp_path: Path) -> None:
    """Of two writers that had read the same rows one's claim would be forgotten, and no commit would renew it."""
    folder = str(tmp_path)

    def write(who: str) -> None:
        for n in range(50):
            claimfile.keep(folder, f"{who}-{n}", n + 1, "ann")
            claimfile.drop(folder, f"{who}-{n - 25}", "ann")

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write, who) for who in "ABCD"]:
            done.result()
    assert {k.id for k in claimfile.mine(folder, "ann")} == {f"{who}-{n}" for who in "ABCD" for n in range(25, 50)}
    assert os.listdir(folder) == [claimfile.FILE]


def test_nobody_sends_under_an_id_of_prpgates_own(server: Server) -> None:
    """A message that a claim lapsed is sent once: under an id that somebody took before, it would never come."""
    store, toml = _store(server), config(PROJECT, "prp.toml")
    for more in ({"id": "lapsed:P1-001:17"}, {"id": "x" * 101}, {"reply_to": "x" * 201}, {"prp": "x" * 201}):
        with pytest.raises(UsageError):
            mail.send(store, toml, _me("eve"), "ann", "hello", **more)
    assert mail.send(store, toml, _me("eve"), "ann", "hello", id="m-1", reply_to="lapsed:P1-001:17").due == 1


# --- merging ---------------------------------------------------------------------------------------------------------
def test_a_base_full_of_markers_is_merged_at_once() -> None:
    base = b"<<<<<<< x\n" * 200_000
    assert cpu_s(lambda: merge_driver._settled(base)) < 3
    assert merge_driver._settled(base) == base
    whole = b"a: b\n<<<<<<< x\nc\n||||||| y\n=======\nd\n>>>>>>> z\ne: f\n"
    assert merge_driver._settled(whole) == b"a: b\ne: f\n"


def test_two_sides_with_many_new_keys_each() -> None:
    ours, theirs = ([f"{side}{n}" for n in range(30_000)] for side in "ot")
    found: list[str] = []
    assert cpu_s(lambda: found.extend(merge_driver._order([], ours, theirs))) < 3
    assert found == [*ours, *theirs]
    assert merge_driver._order("abc", "axbc", "abyc") == list("axbyc")
    assert merge_driver._order("ab", "oab", "tab") == list("otab")


def _store(server: Server) -> Store:
    return Store.over(server.redis(), "example.org/app")


def _me(name: str) -> registry.Me:
    return registry.Me(name, "host", "/g", "/w", registry.PROGRAM)
