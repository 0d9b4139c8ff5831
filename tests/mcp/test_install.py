"""`prp mcp install`: an entry in somebody else's file, and not a byte more."""

from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prpgate.mcp import hosts, jsontext
from tests.mcp.conftest import ask
from tests.world import Clone, run

if TYPE_CHECKING:
    from pathlib import Path

POLICY = 'project = "example.org/team/app"\n[store]\nid = "5f0d63a2-6f0c-4f9a-8a53-d1a2b6c0e9f7"\nscope = "machine"\n'
OPTIONS = {
    "--claude-code": (".mcp.json", "mcpServers"),
    "--cursor": (".cursor/mcp.json", "mcpServers"),
    "--vscode": (".vscode/mcp.json", "servers"),
}


@pytest.fixture
def clone(repo: Path) -> Clone:
    """A repository with a prp.toml and nothing else: installing asks no store."""
    (repo / "prp.toml").write_text(POLICY)
    return Clone(repo, "ana")


def entry(clone: Clone, **more: str) -> dict[str, Any]:
    return {**more, "command": sys.executable, "args": ["-P", "-m", "prpgate", "mcp", "--path", str(clone.path)]}


@pytest.mark.parametrize("option", OPTIONS)
def test_a_file_that_was_not_there(clone: Clone, option: str) -> None:
    name, group = OPTIONS[option]
    said = clone.prp("mcp", "install", option)
    assert f"+++ {clone.path / name}" in said.out
    wanted = entry(clone, **({"type": "stdio"} if option == "--vscode" else {}))
    assert json.loads(clone.read(name)) == {group: {"prpgate": wanted}}
    assert f"{name} names this machine's Python and folder: keep it out of commits" in said.err
    written = clone.read(name)
    assert clone.prp("mcp", "install", option).out == f"Nothing to do: {clone.path / name} is as it should be.\n"
    assert clone.read(name) == written


def test_what_is_written_starts_the_server(clone: Clone) -> None:
    clone.prp("mcp", "install", "--claude-code")
    one = json.loads(clone.read(".mcp.json"))["mcpServers"]["prpgate"]
    tools = ask([one["command"], *one["args"]], "tools/list")["tools"]
    assert [t["name"] for t in tools][:2] == ["next", "claim"]


def test_claude_desktop_has_one_file_for_all_projects(clone: Clone, home: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "app"
    run(["git", "init", "-q", "-b", "main", other], tmp_path)
    (other / "prp.toml").write_text(POLICY)
    clone.prp("mcp", "install", "--claude-desktop")
    clone.prp("mcp", "install", "--claude-desktop", "--path", str(other))
    folder = "Library/Application Support" if sys.platform == "darwin" else ".config"
    servers = json.loads((home / folder / "Claude" / "claude_desktop_config.json").read_text())["mcpServers"]
    assert sorted(s["args"][-1] for s in servers.values()) == sorted([str(clone.path), str(other)])
    assert all(name.startswith("prpgate-app-") for name in servers)


BEFORE = (
    '{\r\n\t"z": 1.50,  "mcpServers" : {\r\n\t\t"other": {"command": "x", "env": {"é": "\\u00e9"}}\r\n\t},\r\n'
    '\t"a": [1,2 ,3], "unknown": null\r\n}'
)


def test_other_servers_unknown_keys_order_and_every_byte_stay(clone: Clone) -> None:
    path = clone.write(".mcp.json", "\ufeff" + BEFORE)
    path.chmod(0o640)
    clone.prp("mcp", "install", "--claude-code")
    after = path.read_bytes()
    assert after.startswith(b"\xef\xbb\xbf")
    found = json.loads(after.decode("utf-8-sig"))
    assert list(found) == ["z", "mcpServers", "a", "unknown"]
    assert list(found["mcpServers"].items()) == [
        ("other", {"command": "x", "env": {"é": "é"}}),
        ("prpgate", entry(clone)),
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert b"\n" not in after.replace(b"\r\n", b"")
    clone.prp("mcp", "install", "--claude-code", "--remove")
    assert path.read_bytes() == ("\ufeff" + BEFORE).encode()
    said = clone.prp("mcp", "install", "--claude-code", "--remove")
    assert "Nothing to do" in said.out


def test_without_the_extra_it_says_that_the_host_cannot_start_it_yet(clone: Clone) -> None:
    without = "import sys; sys.modules['mcp'] = None; from prpgate.cli.main import run; sys.exit(run())"
    said = run([sys.executable, "-c", without, "mcp", "install", "--claude-code"], clone.path, env=clone.env)
    assert "needs the extra `mcp`" in said.err
    assert "pip install" in said.err
    assert "needs the extra" not in clone.prp("mcp", "install", "--claude-code").err


@pytest.mark.parametrize("option", OPTIONS)
def test_a_file_of_nothing_else_goes(clone: Clone, option: str) -> None:
    name, group = OPTIONS[option]
    clone.prp("mcp", "install", option)
    stale = clone.read(name).replace(json.dumps(sys.executable), '"/gone/python"')
    clone.write(name, stale)
    said = clone.prp("mcp", "install", option, "--remove")
    assert not (clone.path / name).exists()
    assert f"{clone.path / name} held nothing else, and is gone." in said.out
    assert "Nothing to do" in clone.prp("mcp", "install", option, "--remove").out
    theirs = clone.write(name, "{}")
    clone.prp("mcp", "install", option)
    clone.prp("mcp", "install", option, "--remove")
    assert json.loads(theirs.read_text()) == {group: {}}, "somebody else's file stays"


def test_what_a_host_writes_in_between_is_not_lost(clone: Clone) -> None:
    """As if the host wrote its file between our look at it and our writing."""
    host = next(h for h in hosts.HOSTS if h.name == "claude-code")
    root, project = str(clone.path), "example.org/team/app"
    judged = hosts.plan(host, root, project)
    path = clone.write(".mcp.json", '{"mcpServers": {"other": {"command": "x"}}, "theirs": 1}')
    done = hosts.carry_out(judged, root, project)
    wanted = {"mcpServers": {"other": {"command": "x"}, "prpgate": entry(clone)}, "theirs": 1}
    assert json.loads(path.read_text()) == wanted
    assert done.before != judged.before, "what is told is what was done"
    assert os.listdir(clone.path).count(".mcp.json") == 1 and not list(clone.path.glob(".*.new"))

    alone = clone.write(".mcp.json", hosts.block(host, "prpgate", entry(clone)))
    judged = hosts.plan(host, root, project, remove=True)
    assert judged.after is None
    path.write_text(json.dumps(wanted))
    hosts.carry_out(judged, root, project, remove=True)
    assert json.loads(alone.read_text()) == {"mcpServers": {"other": {"command": "x"}}, "theirs": 1}


def test_a_stale_entry_is_brought_up_to_date(clone: Clone) -> None:
    clone.write(".mcp.json", '{"mcpServers": {"prpgate": {"command": "/gone/python"}, "b": {}}}')
    clone.prp("mcp", "install", "--claude-code")
    assert json.loads(clone.read(".mcp.json")) == {"mcpServers": {"prpgate": entry(clone), "b": {}}}


def test_a_symbolic_link_stays_one(clone: Clone, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.json"
    real.write_text("{}\n")
    (clone.path / ".mcp.json").symlink_to(real)
    clone.prp("mcp", "install", "--claude-code")
    assert (clone.path / ".mcp.json").is_symlink()
    assert "prpgate" in json.loads(real.read_text())["mcpServers"]


def test_a_link_out_that_a_branch_brought_is_refused(clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text("{}")
    (clone.path / ".cursor").symlink_to(tmp_path)
    clone.git("add", ".cursor")
    said = clone.prp("mcp", "install", "--cursor", ok=False)
    assert said.code == 1 and "leads out of this repository" in said.err
    assert (tmp_path / "mcp.json").read_text() == "{}"


@pytest.mark.parametrize(
    "text",
    [
        '{"servers": {} /* mine */}',
        '// mine\n{"servers": {}}',
        '{"servers": {"a": {},}}',
        '{"servers": {}, "servers": {}}',
        '{"servers": {"prpgate": {}, "prpgate": {}}}',
        '{"servers": []}',
        '{"n": NaN}',
        "[]",
        "{",
        "\udcff",
        "[" * 100_000,
    ],
)
def test_what_would_be_lost_is_not_touched(clone: Clone, text: str) -> None:
    path = clone.path / ".vscode" / "mcp.json"
    path.parent.mkdir()
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    said = clone.prp("mcp", "install", "--vscode", "--claude-code", ok=False)
    assert said.code == 1
    assert "is no plain JSON" in said.err
    assert "Nothing was changed" in said.err
    pasted = said.err[said.err.index("{\n") :]
    assert json.loads(pasted) == {"servers": {"prpgate": entry(clone, type="stdio")}}
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")
    assert not (clone.path / ".mcp.json").exists(), "all files are judged before one is written"
    assert os.listdir(path.parent) == ["mcp.json"]


def test_print_writes_nothing(clone: Clone) -> None:
    said = clone.prp("mcp", "install", "--vscode", "--print")
    assert json.loads(said.out) == {"servers": {"prpgate": entry(clone, type="stdio")}}
    told = json.loads(clone.prp("mcp", "install", "--cursor", "--print", "--json").out)
    assert told["hosts"] == [
        {"host": "cursor", "path": str(clone.path / ".cursor/mcp.json"), "name": "prpgate", "entry": entry(clone)}
    ]
    assert sorted(os.listdir(clone.path)) == [".git", "prp.toml"]


def test_no_host_no_policy_no_right(clone: Clone, tmp_path: Path) -> None:
    said = clone.prp("mcp", "install", ok=False)
    assert said.code == 2
    assert "which host? --claude-desktop, --claude-code, --cursor, --vscode." in said.err
    assert clone.prp("mcp", "install", "--cursor", "--print", "--remove", ok=False).code == 2
    (clone.path / ".cursor").write_text("a file")
    said = clone.prp("mcp", "install", "--cursor", ok=False)
    assert (said.code, "Nothing was changed" in said.err) == (1, True)
    (clone.path / "prp.toml").unlink()
    assert "prp init" in clone.prp("mcp", "install", "--claude-code", ok=False).err


def test_a_store_that_only_the_shell_knows_is_named(clone: Clone) -> None:
    said = clone.prp("mcp", "install", "--claude-code", env={"REDIS_URL": "redis://:secret@127.0.0.1/0"})
    assert "REDIS_URL is set here, and hosts do not pass it on" in said.err
    assert "secret" not in said.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=8), JSON, max_size=4),
    st.dictionaries(st.text(max_size=8), JSON, max_size=4),
    st.sampled_from([None, 0, 1, 2, "\t"]),
    st.booleans(),
    JSON,
)
def test_put_and_cut_on_any_object(
    root: dict[str, Any], servers: dict[str, Any], indent: int | None, ascii_only: bool, value: Any
) -> None:
    before = {**root, "servers": {k: v for k, v in servers.items() if k != "own"}, "last": 1}
    text = json.dumps(before, indent=indent, ensure_ascii=ascii_only)
    after = jsontext.put(text, "servers", "own", value)
    assert json.loads(after) == {**before, "servers": {**before["servers"], "own": value}}
    assert list(json.loads(after)) == list(before)
    again = jsontext.put(after, "servers", "own", [value])
    assert json.loads(again)["servers"] == {**before["servers"], "own": [value]}
    if before["servers"]:
        assert jsontext.cut(after, "servers", "own") == text
    else:
        assert json.loads(jsontext.cut(after, "servers", "own")) == before
