"""Claude Code's hooks: what a session hears, whose paths are kept, that nothing blocks, what stays in settings."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from prpgate import agent_hooks, glance
from prpgate.errors import UserError
from prpgate.gitrepo import Repo
from tests.e2e.conftest import LEDGER, Project
from tests.world import Clone, run

if TYPE_CHECKING:
    from collections.abc import Iterator

PATHS = "    paths:\n      exclusive: ['src/**']\n"


class Said:
    """What the agent makes of one run of a hook."""

    def __init__(self, done: subprocess.CompletedProcess[str], took_s: float) -> None:
        self.code, self.err, self.took_s = done.returncode, done.stderr, took_s
        self.out: dict[str, Any] = json.loads(done.stdout)["hookSpecificOutput"] if done.stdout else {}

    @property
    def decision(self) -> str | None:
        return self.out.get("permissionDecision")

    @property
    def reason(self) -> str:
        return str(self.out.get("permissionDecisionReason", ""))

    @property
    def context(self) -> str:
        return str(self.out.get("additionalContext", ""))


def installed(clone: Clone, event: str) -> str:
    """The command that is in the settings."""
    settings = json.loads(clone.read(agent_hooks.LOCAL))
    (group,) = settings["hooks"][event]
    return str(group["hooks"][0]["command"])


def ask(clone: Clone, event: str, told: object, command: str = "") -> Said:
    begun = time.monotonic()
    done = subprocess.run(
        ["sh", "-c", command or installed(clone, event)],
        cwd="/",
        env={**os.environ, **clone.env},
        input=told if isinstance(told, str) else json.dumps(told),
        capture_output=True,
        text=True,
        timeout=30,
    )
    return Said(done, time.monotonic() - begun)


def edit(clone: Clone, path: str, **more: Any) -> Said:
    tool = {"file_path": path if os.path.isabs(path) else str(clone.path / path)}
    return ask(clone, "PreToolUse", {"cwd": str(clone.path), "tool_name": "Edit", "tool_input": tool}, **more)


def session(clone: Clone, **more: Any) -> str:
    return ask(clone, "SessionStart", {"cwd": str(clone.path), "source": "startup"}, **more).context


def held(tmp_path: Path, scopes: str) -> tuple[Project, Clone]:
    """ana has P2-040, and src/** with it; ben's agent has the hooks."""
    settings = {'gate = "none"': f'gate = "none"\nscopes.policy = "{scopes}"'}
    project = Project(tmp_path, settings=settings)
    ana = project.ana
    ledger = ana.read(LEDGER)
    at = ledger.index("  P2-040:\n") + len("  P2-040:\n")
    end = ledger.index("\n", ledger.index("title:", at)) + 1
    ana.commit_files("Paths", {LEDGER: ledger[:end] + PATHS + ledger[end:]})
    ana.git("push", "-q")
    project.settle()
    ana.prp("start", "P2-040")
    ben = project.join("ben")
    ben.prp("agent-hooks", "install", "--claude-code")
    return project, ben


@pytest.fixture
def refusing(tmp_path: Path, home: Path) -> Iterator[tuple[Project, Clone]]:
    yield held(tmp_path, "refuse")


# --- before an edit --------------------------------------------------------------------------------------------------


def test_an_edit_in_anothers_paths_is_denied_with_holder_time_and_way_out(refusing: tuple[Project, Clone]) -> None:
    project, ben = refusing
    said = edit(ben, "src/new/file.py")
    assert (said.code, said.decision, said.out["hookEventName"]) == (0, "deny", "PreToolUse")
    for words in ("src/new/file.py lies in src/**", "ana has for P2-040 alone until", "left)", "Not edited."):
        assert words in said.reason, said.reason
    assert said.reason.endswith("prp status P2-040")
    for mine in ("docs/x.md", "srcs/x", "README", LEDGER, "prp.toml", "/tmp/elsewhere.txt"):
        assert edit(ben, mine).out == {}, mine
    book = ask(ben, "PreToolUse", {"cwd": str(ben.path), "tool_input": {"notebook_path": "src/a.ipynb"}})
    assert book.decision == "deny", "relative to the session's folder"
    assert edit(project.ana, str(project.ana.path / "src/x"), command=installed(ben, "PreToolUse")).out == {}

    project.ana.prp("release", "P2-040")
    assert edit(ben, "src/new/file.py").out == {}, "asked of the store, not remembered"


def test_policy_warn_asks_and_off_says_nothing(tmp_path: Path) -> None:
    project, ben = held(tmp_path, "warn")
    said = edit(ben, "src/a.py")
    assert said.decision == "ask" and "a commit there will warn" in said.reason
    project.ana.write("prp.toml", project.ana.read("prp.toml").replace('"warn"', '"off"'))
    project.ana.git("commit", "-qm", "off", "prp.toml")
    project.ana.git("push", "-q")
    project.settle()
    ben.git("fetch", "-q")
    ben.prp("status")
    assert edit(ben, "src/a.py").out == {}


def test_a_way_round_by_a_link_or_dots_is_none(refusing: tuple[Project, Clone], tmp_path: Path) -> None:
    _, ben = refusing
    (ben.path / "src").mkdir()
    os.symlink("src", ben.path / "innocent")
    os.symlink(ben.path, tmp_path / "elsewhere")
    for path in ("innocent/a.py", "docs/../src/a.py", str(tmp_path / "elsewhere/src/a.py")):
        assert edit(ben, path).decision == "deny", path


def test_a_path_that_nobody_can_open_takes_no_time(refusing: tuple[Project, Clone]) -> None:
    _, ben = refusing
    usual = min(edit(ben, "README").took_s for _ in range(3))
    for path in ("src/" + "a/" * 100_000 + "x", "a" * 200_000, "src/*" * 40_000):
        said = edit(ben, path)
        assert (said.code, said.out) == (0, {})
        assert said.took_s < usual + 0.5, path[:10]
    assert edit(ben, "src/../" * 30_000 + "src/x").decision == "deny", "tools that tidy a path get to src/x"


def test_a_linked_worktree_is_the_same_repository(refusing: tuple[Project, Clone]) -> None:
    project, ben = refusing
    ben.git("worktree", "add", "-q", "../side", "-b", "side")
    assert edit(ben, str(project.folder / "side/src/a.py")).decision == "deny"
    ana = Clone(project.folder / "side", "ana")
    ana.env.pop("PRP_AGENT")
    ana.prp("whoami", "--set", "ana")
    assert edit(ana, "src/a.py", command=installed(ben, "PreToolUse")).out == {}, "the worktree's own name"


def test_a_store_that_is_away_lets_what_is_remembered_count(refusing: tuple[Project, Clone]) -> None:
    _, ben = refusing
    ben.prp("status")
    ben.prp("store", "stop")
    assert edit(ben, "src/a.py").decision == "deny", "as for a commit"
    (ben.path / ".git/prp-scopes").unlink()
    said = edit(ben, "src/a.py")
    assert (said.out, said.code, said.err) == ({}, 0, "")
    assert "the store does not answer" in session(ben)


def test_another_projects_store_is_not_believed(refusing: tuple[Project, Clone]) -> None:
    _, ben = refusing
    note = ben.path / ".git/prpgate" / glance.FILE
    note.write_text(note.read_text().replace('"store_id": "', '"store_id": "x'))
    assert edit(ben, "src/a.py").out == {}
    assert "the store does not answer" in session(ben)


def test_a_store_that_hangs_costs_half_a_second(refusing: tuple[Project, Clone]) -> None:
    _, ben = refusing
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        ben.env["PRP_REDIS_URL"] = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        said = edit(ben, "src/a.py")
    assert (said.out, said.code) == ({}, 0)
    assert said.took_s < 3


def test_what_answers_nonsense_is_no_store(refusing: tuple[Project, Clone]) -> None:
    _, ben = refusing
    with socket.socket() as odd:
        odd.bind(("127.0.0.1", 0))
        odd.listen()

        def serve() -> None:
            for answer in (b"HTTP/1.1 400\r\n\r\n", b"$99999999\r\nx", b"$-1\r\n", b"$5\r\n[1,2]\r\n", b"$x\r\n", b""):
                peer, _ = odd.accept()
                with peer:
                    peer.recv(100_000)
                    peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        ben.env["PRP_REDIS_URL"] = f"redis://127.0.0.1:{odd.getsockname()[1]}/0"
        for _ in range(6):
            said = edit(ben, "src/a.py")
            assert (said.out, said.code, said.err) == ({}, 0, "")
        thread.join()


@contextlib.contextmanager
def tcp(path: str) -> Iterator[int]:
    """A port of loopback that leads to a Unix socket."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        """One exchange after the other; each is one request and one reply here."""
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with peer, socket.socket(socket.AF_UNIX) as behind:
                    behind.connect(path)
                    behind.settimeout(0.3)
                    behind.sendall(peer.recv(1_000_000))
                    with contextlib.suppress(TimeoutError):
                        while data := behind.recv(65536):
                            peer.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_password_is_sent_and_never_written_down(refusing: tuple[Project, Clone]) -> None:
    """The server of the clone wants a password from now on; it stands in the environment alone."""
    _, ben = refusing
    note = json.loads((ben.path / ".git/prpgate" / glance.FILE).read_text())
    path = note["url"].removeprefix("unix://")
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(b"CONFIG SET requirepass secret7\r\n")
        assert s.recv(100) == b"+OK\r\n"
        (ben.path / ".git/prp-scopes").unlink(missing_ok=True)
        assert edit(ben, "src/a.py").out == {}, "closed to us"
        ben.env["PRP_REDIS_URL"] = f"unix://:secret7@{path}"
        assert edit(ben, "src/a.py").decision == "deny"
        with tcp(path) as port:
            ben.env["PRP_REDIS_URL"] = f"redis://default:secret7@127.0.0.1:{port}/0?timeout=1"
            assert edit(ben, "src/a.py").decision == "deny", "over TCP, as the usual user"
            ben.env["PRP_REDIS_URL"] = f"redis://:secret7@127.0.0.1:{port}/1"
            assert edit(ben, "src/a.py").out == {}, "another database is empty"
            ben.env["PRP_REDIS_URL"] = f"redis://:wrong@127.0.0.1:{port}/0"
            assert edit(ben, "src/a.py").out == {}
        ben.env["PRP_REDIS_URL"] = f"unix://:secret7@{path}"
        ben.prp("status")
        assert "secret7" not in (ben.path / ".git/prpgate" / glance.FILE).read_text()
        s.sendall(b"AUTH secret7\r\nCONFIG SET requirepass ''\r\n")


NONSENSE = (
    *("", "x", "[]", "{}", '"x"', "null", '{"tool_input": null}', '{"tool_input": {"file_path": 7}}', "\x00" * 99),
    *("[" * 9999, json.dumps({"cwd": "/nowhere", "tool_input": {"file_path": "a" * 5000}})),
)


def test_what_makes_no_sense_blocks_nothing(refusing: tuple[Project, Clone]) -> None:
    _, ben = refusing
    for told in NONSENSE:
        for event in ("PreToolUse", "SessionStart"):
            said = ask(ben, event, told)
            assert (said.code, said.decision) == (0, None)


def test_an_installation_that_is_gone_blocks_nothing(refusing: tuple[Project, Clone]) -> None:
    """Python ends with 2 where there is no script, and 2 is what would block."""
    _, ben = refusing
    command = installed(ben, "PreToolUse")
    assert command.endswith("|| exit 0 # prpgate")
    script = next(w for w in command.split() if w.endswith("/claude-code"))
    for gone in (command.replace(script, script + "-gone"), command.replace(sys.executable, "/nowhere/python")):
        assert edit(ben, "src/a.py", command=gone).code == 0


def test_a_bug_blocks_nothing_and_a_session_says_where_to_look(refusing: tuple[Project, Clone], tmp_path: Path) -> None:
    _, ben = refusing
    script = next(w for w in installed(ben, "PreToolUse").split() if w.endswith("/claude-code"))
    copy = tmp_path / "copy"
    shutil.copytree(Path(script).parent, copy / "hooks")
    shutil.copytree(
        Path(glance.__file__).parent, copy / "src" / "prpgate", ignore=shutil.ignore_patterns("__pycache__")
    )
    with (copy / "src/prpgate/glance.py").open("a") as f:
        f.write("\ndef place(path): raise ZeroDivisionError\n")
    broken = str(copy / "hooks" / "claude-code")
    said = edit(ben, "src/a.py", command=installed(ben, "PreToolUse").replace(script, broken))
    assert (said.code, said.out) == (0, {})
    told = session(ben, command=installed(ben, "SessionStart").replace(script, broken))
    assert "its hook failed (ZeroDivisionError)" in told
    assert "ZeroDivisionError" in Path(told.rpartition("Details: ")[2]).read_text()


def test_hooks_change_nothing(refusing: tuple[Project, Clone]) -> None:
    project, ben = refusing

    def everything() -> dict[str, bytes]:
        files = [p for p in ben.path.rglob("*") if p.is_file()]
        return {str(p): p.read_bytes() for p in files}

    def agents() -> list[str]:
        return [a["name"] for a in json.loads(project.ana.prp("agents", "--json").out)["agents"]]

    before, known = everything(), agents()
    ben.env["PRP_AGENT"] = "never-seen"
    assert edit(ben, "src/a.py").decision == "deny"
    assert "you are never-seen" in session(ben)
    assert everything() == before
    assert agents() == known, "nobody is registered"


# --- a session's start -----------------------------------------------------------------------------------------------


def test_a_session_hears_what_it_holds_what_is_unread_and_the_lane(refusing: tuple[Project, Clone]) -> None:
    project, ben = refusing
    ana = project.ana
    assert session(ben).splitlines() == [
        "prpgate: you are ben here (PRP_AGENT).",
        "You hold no PRP. To take one: prp next --claim",
        "main: free.",
        "How to work here: prp prime",
    ]
    ana.prp("send", "ben", "look at P2-040", "--priority", "urgent")
    ana.prp("send", "@all", "lunch")
    ana.prp("lane", "close", "--reason", "the \x1b[31mrelease\x1b[0m is cut")
    ben.prp("start", "P5-000")
    told = session(ben)
    assert 'You hold P5-000 "Work on P5-000" on branch main, until ' in told
    assert "2 unread messages, 1 urgent: prp inbox" in told
    assert "main: closed by ana (the \\x1b[31mrelease\\x1b[0m is cut); only fixes land; free." in told
    assert "lunch" not in told, "what others write is read with prp inbox, as theirs"
    assert len(told) < 1_500
    made = json.loads(ben.prp("new", "Not on the lane yet", "--json").out)["prp"]["id"]
    ben.prp("validate", made)
    ben.prp("start", made)
    assert f'You hold {made} "Not on the lane yet"' in session(ben)


def test_a_session_under_a_persons_name_is_told_to_take_its_own(refusing: tuple[Project, Clone]) -> None:
    _, ben = refusing
    del ben.env["PRP_AGENT"]
    assert "Take one of your own: prp whoami --set NAME" in session(ben)


def test_elsewhere_a_session_hears_nothing(refusing: tuple[Project, Clone], repo: Path, tmp_path: Path) -> None:
    _, ben = refusing
    for cwd in (repo, tmp_path, Path("/nowhere")):
        said = ask(ben, "SessionStart", {"cwd": str(cwd)})
        assert (said.out, said.code) == ({}, 0)


# --- settings --------------------------------------------------------------------------------------------------------

THEIRS: dict[str, Any] = {
    "permissions": {"allow": ["Bash(ls:*)"], "deny": []},
    "hooks": {
        "PreToolUse": [
            {"matcher": "Bash", "hooks": [{"type": "command", "command": "check.sh", "timeout": 9, "x": None}]},
            {"matcher": "Edit", "hooks": []},
        ],
        "Stop": [{"hooks": [{"type": "command", "command": "bell 'ä'"}]}],
        "Unknown": {"of": ["another", "version"]},
    },
    "env": {"A": "1"},
    "ünknown": [1.5, True, None, "\u2028"],
}


def put(folder: Path, text: str) -> Path:
    path = folder / agent_hooks.LOCAL
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("indent", [None, 2, 4, "\t"])
@pytest.mark.parametrize("eol", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_nothing_of_theirs_is_lost(repo: Path, indent: Any, eol: str, end: str) -> None:
    text = (json.dumps(THEIRS, indent=indent, ensure_ascii=False) + end).replace("\n", eol)
    path, one = put(repo, text), Repo(str(repo))
    assert agent_hooks.install(one, agent_hooks.LOCAL) is True
    value = json.loads(path.read_bytes())
    assert list(value) == list(THEIRS)
    assert list(value["hooks"]) == [*THEIRS["hooks"], "SessionStart"]
    assert value["hooks"]["PreToolUse"][:2] == THEIRS["hooks"]["PreToolUse"]
    assert value["hooks"]["PreToolUse"][2:] == agent_hooks.wanted()["PreToolUse"]
    first = path.read_bytes()
    assert agent_hooks.install(one, agent_hooks.LOCAL) is False
    assert path.read_bytes() == first
    assert agent_hooks.remove(one, agent_hooks.LOCAL) is True
    assert path.read_bytes() == text.encode(), "byte for byte, where it was written as JSON usually is"
    assert agent_hooks.remove(one, agent_hooks.LOCAL) is False


def test_another_installations_are_replaced(repo: Path) -> None:
    one = Repo(str(repo))
    old = json.dumps({"hooks": agent_hooks.wanted()}).replace(sys.executable, "/old/python")
    path = put(repo, old)
    assert agent_hooks.state(agent_hooks.read(one, agent_hooks.LOCAL)) == "stale"
    assert agent_hooks.install(one, agent_hooks.LOCAL) is True
    assert json.loads(path.read_text()) == {"hooks": agent_hooks.wanted()}
    assert agent_hooks.remove(one, agent_hooks.LOCAL) is True
    assert not path.exists(), "nothing else was in it"


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", "null", "// comment\n{}", '{"a": 1,}', '{"a": 1, "a": 2}', '{"hooks": []}', "[" * 100_000),
        *(
            '{"hooks": {"PreToolUse": {}}}',
            '{"hooks": {"PreToolUse": [1]}}',
            '{"hooks": {"PreToolUse": [{"hooks": 1}]}}',
        ),
        *('{"hooks": {"SessionStart": [{"hooks": ["x"]}]}}',),
    ],
)
def test_what_cannot_be_kept_whole_is_refused_and_left(repo: Path, text: str) -> None:
    path = put(repo, text)
    for do in (agent_hooks.install, agent_hooks.remove):
        with pytest.raises(UserError, match="Nothing was written") as refused:
            do(Repo(str(repo)), agent_hooks.LOCAL)
        assert refused.value.next_action == "prp agent-hooks install --claude-code --print"
    assert path.read_text() == text
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_the_agent_writes_in_between_is_not_lost(repo: Path) -> None:
    """As if it wrote its settings between our look at them and our writing."""
    one, path = Repo(str(repo)), put(repo, json.dumps(THEIRS))
    judged = agent_hooks.read(one, agent_hooks.LOCAL)
    path.write_text('{"permissions": {"allow": ["Bash(make)"]}}')
    assert agent_hooks._write(judged, {"hooks": agent_hooks.wanted()}) is False
    assert agent_hooks._write(judged, {}) is False
    assert path.read_text() == '{"permissions": {"allow": ["Bash(make)"]}}'
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert agent_hooks.install(one, agent_hooks.LOCAL) is True
    assert json.loads(path.read_text())["permissions"] == {"allow": ["Bash(make)"]}


def test_an_empty_file_and_a_link_are_fine(repo: Path, tmp_path: Path) -> None:
    one = Repo(str(repo))
    path = put(repo, "")
    assert agent_hooks.install(one, agent_hooks.LOCAL)
    path.unlink()
    other = tmp_path / "settings.json"
    other.write_text('{"a": 1}\n')
    os.symlink(other, path)
    assert agent_hooks.install(one, agent_hooks.LOCAL)
    assert path.is_symlink() and "prpgate" in other.read_text()
    agent_hooks.remove(one, agent_hooks.LOCAL)
    assert other.read_text() == '{"a": 1}\n'


def test_a_link_out_that_a_branch_brought_is_refused(repo: Path, tmp_path: Path) -> None:
    other = tmp_path / "settings.json"
    other.write_text("{}")
    (repo / ".claude").mkdir()
    (repo / agent_hooks.LOCAL).symlink_to(other)
    run(["git", "add", "-f", agent_hooks.LOCAL], repo)
    for what in (agent_hooks.install, agent_hooks.remove):
        with pytest.raises(UserError, match="leads out of this repository"):
            what(Repo(str(repo)), agent_hooks.LOCAL)
    assert other.read_text() == "{}"


def test_the_verbs(project: Project) -> None:
    ana = project.ana
    assert ana.prp("agent-hooks", "install", ok=False).code == 2
    printed = json.loads(ana.prp("agent-hooks", "install", "--claude-code", "--print").out)
    assert printed == {"hooks": agent_hooks.wanted()} and not (ana.path / ".claude/settings.local.json").exists()
    shown = json.loads(ana.prp("agent-hooks", "show", "--json").out)
    assert {f["state"] for f in shown["files"]} == {"none"} and shown["next_action"]
    assert json.loads(ana.prp("agent-hooks", "install", "--claude-code", "--json").out)["did"] == "written"
    assert json.loads(ana.prp("agent-hooks", "install", "--claude-code", "--json").out)["did"] == "unchanged"
    assert json.loads(ana.prp("agent-hooks", "show", "--json").out)["next_action"] is None
    assert "our hooks are in it" in ana.prp("doctor").out
    settings = ana.path / agent_hooks.LOCAL
    settings.write_text(settings.read_text().replace(sys.executable, "/old/python"))
    assert "from another installation" in ana.prp("doctor").out
    ana.prp("agent-hooks", "install", "--claude-code", "--shared")
    assert (ana.path / ".claude/settings.json").exists()
    assert json.loads(ana.prp("agent-hooks", "remove", "--shared", "--json").out)["did"] == "removed"
    assert json.loads(ana.prp("agent-hooks", "remove", "--json").out)["did"] == "removed"
    assert json.loads(ana.prp("agent-hooks", "remove", "--json").out)["did"] == "nothing"
    ana.prp("uninstall")
    assert not (ana.path / ".git/prpgate" / glance.FILE).exists()


def test_without_a_store_the_hooks_wait_for_one(project: Project) -> None:
    ana = project.ana
    ana.prp("store", "stop")
    done = ana.prp("agent-hooks", "install", "--claude-code")
    assert "say nothing until" in done.out
    assert "nothing is known here yet" in session(ana)
    assert edit(ana, "README").out == {}
    ana.prp("store", "start")
    ana.prp("status")
    assert "you are ana" in session(ana)


def test_they_import_neither_redis_nor_yaml_nor_git(refusing: tuple[Project, Clone]) -> None:
    _, ben = refusing
    script = next(w for w in installed(ben, "PreToolUse").split() if w.endswith("/claude-code"))
    code = (
        f"import sys, os, io, runpy\nsys.argv = [{script!r}, 'before-edit']\n"
        f"sys.stdin = io.StringIO({json.dumps({'tool_input': {'file_path': str(ben.path / 'src/a.py')}})!r})\n"
        "os._exit = sys.exit\n"
        f"try: runpy.run_path({script!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(*[n for n in ('redis', 'yaml', 'git', 'asyncio', 'subprocess', 'ssl', 'hashlib') if n in sys.modules], "
        "file=sys.stderr)"
    )
    done = run([sys.executable, "-I", "-S", "-c", code], ben.path, env=ben.env)
    assert '"deny"' in done.out
    assert done.err.strip() == ""
