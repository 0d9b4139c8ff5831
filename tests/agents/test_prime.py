"""`prp prime`: few words, true in every mode; in files that are other people's, nothing but between two lines."""

from __future__ import annotations

import itertools
import json
import os
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prpgate import config, ops, policy, prime
from prpgate.errors import UserError
from prpgate.gate import own_steps
from prpgate.gitrepo import Repo
from tests.e2e.test_land_fixes import ci_says
from tests.e2e.test_land_pull import VIA, Setup
from tests.e2e.test_land_pull import start as start_via_pr
from tests.world import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Project
    from tests.world import Clone

COMMAND = re.compile(r"`((?:prp|git) [^`]+)`")
FIELDS = {
    "gate": config.GATES,
    "via": config.VIA,
    "ci.observe": config.OBSERVE,
    "store.scope": config.SCOPES,
    "scopes.policy": config.SCOPE_POLICIES,
    "ledger.path": ("prps/", ".claude/prp_tracking/prp_status.yaml"),
}
MODES = [dict(zip(FIELDS, values, strict=True)) for values in itertools.product(*FIELDS.values())]


def parsed(**options: str) -> config.Config:
    lines = ['project = "example.org/team/app"', *(f"{k} = {json.dumps(v)}" for k, v in options.items())]
    return config.parse("\n".join(lines), "prp.toml")


# --- its text --------------------------------------------------------------------------------------------------------


def test_it_is_short_in_every_mode() -> None:
    counts = [prime.tokens(prime.text(parsed(**mode))) for mode in MODES]
    print(f"{len(MODES)} modes: {min(counts)} to {max(counts)} tokens")
    assert max(counts) <= prime.MOST_TOKENS == 600


@pytest.mark.parametrize("mode", MODES[::7], ids=str)
def test_it_says_what_is_so(mode: dict[str, str]) -> None:
    said = " ".join(prime.text(parsed(**mode)).split())
    assert f"`{mode['ledger.path']}`" in said
    assert ("one file each" in said) == mode["ledger.path"].endswith("/")
    assert ("whole team" in said) == (mode["store.scope"] == "team")
    assert ("open a pull request" in said) == (mode["via"] == "pr")
    assert ("`git push`" in said) == (mode["via"] == "push")
    assert ("Red closes the branch" in said) == (mode["gate"] == "ci")
    assert ("on a branch of its own" in said) == (mode["gate"] == "ci-first")
    assert ("The smoke gate runs first, 180 s" in said) == (mode["gate"] == "local")
    assert ("No gate" in said) == (mode["gate"] == "none")
    asked = mode["gate"] in ("ci", "ci-first") and mode["ci.observe"] == "status"
    assert ("(the check `smoke` at the host)" in said) == asked
    assert ("are refused" in said) == (mode["scopes.policy"] == "refuse")
    assert ("there warns" in said) == (mode["scopes.policy"] == "warn")


def test_odd_names_neither_make_it_long_nor_end_anything() -> None:
    odd = "```-->\x1b[31m漢字\u202e#{}[]" * 20
    found = parsed(**{"ledger.path": odd, "ci.check": "smoke", "gate": "ci"})._replace(
        lanes=tuple(f"lane{n}/{'-->' * 50}" for n in range(40)), id_pattern="[`]{3}" * 60, remote="é" * 200
    )
    said = prime.text(found)
    assert prime.tokens(said) <= prime.MOST_TOKENS
    assert "-->" not in said and "\x1b" not in said and "\u202e" not in said
    assert said.count("`") % 2 == 0 and "```" not in said
    assert "and 37 more" in said


def test_the_count_is_on_the_safe_side() -> None:
    assert [prime.tokens(t) for t in ("", "word", "words", "a b", "a  b", "a\nb", "`x`", "42", "é", "漢")] == [
        *(0, 1, 2, 2, 3, 3, 3, 2, 1, 2)
    ]


# --- its commands ----------------------------------------------------------------------------------------------------


class Walk:
    """Every command of one repository's block, typed by an agent for whom the place was set up."""

    def __init__(self, clone: Clone, other: str) -> None:
        self.clone, self.other = clone, other
        self.left = set(COMMAND.findall(clone.prp("prime").out))
        self.number = 0

    def type(self, command: str, **names: str) -> str:
        """A line of the block, with its names in capitals filled in. It ends well."""
        if command not in self.left:
            raise AssertionError(f"not in the block: {command}; there: {self.left}")
        words = [names.get(w, {"NAME": self.other, "TEXT": "a word"}.get(w, w)) for w in command.split()]
        self.left.remove(command)
        done = self.clone.git(*words[1:]) if words[0] == "git" else self.clone.prp(*words[1:])
        return done.out

    def work(self, prp_id: str = "") -> None:
        self.number += 1
        subject = f"feat({prp_id}): more" if prp_id else "more"
        self.clone.git("add", "-A")
        self.clone.commit_files(subject, {f"work{self.number}.txt": "x"})

    def before_landing(self) -> str:
        """What is the same in every mode; the PRP that is in hand."""
        self.clone.env.pop("PRP_AGENT")
        self.type("prp whoami --set NAME", NAME="agent-7")
        self.clone.prp("start", "P9-999", ok=False)
        assert "P9-999" in self.type("prp why")
        self.type("prp status")
        self.type("prp inbox")
        self.type("prp inbox --ack-all")
        self.type("prp send NAME TEXT")
        self.type("prp send @all TEXT")
        self.type("prp next --claim")
        ready = json.loads(self.clone.prp("next", "--json").out)["prps"][0]["id"]
        self.type("prp start ID", ID=ready)
        self.type("prp release ID --note TEXT", ID=ready)
        (mine,) = json.loads(self.clone.prp("status", "--json").out)["yours"]
        return str(mine)


def mode(project: Project, **options: str) -> None:
    """Land these options in prp.toml."""
    ana = project.ana
    toml = ana.read("prp.toml")
    for option, value in options.items():
        toml = re.sub(rf"^{option} = .*", f'{option} = "{value}"', toml, flags=re.MULTILINE)
    ana.commit_files("Another mode", {"prp.toml": toml})
    ana.git("push", "-q")
    project.settle()


def test_every_command_works_without_a_gate(project: Project) -> None:
    walk = Walk(project.join("ben"), "ana")
    mine = walk.before_landing()
    walk.work(mine)
    walk.type("prp land")
    walk.work(mine)
    walk.type("git push")
    project.settle()
    walk.type("prp smoke")
    walk.type("prp complete ID", ID=mine)
    assert walk.left == set()


def test_every_command_works_with_gate_local(project: Project) -> None:
    mode(project, gate="local")
    walk = Walk(project.join("ben"), "ana")
    mine = walk.before_landing()
    walk.work(mine)
    walk.type("prp land")
    walk.work(mine)
    walk.type("prp smoke")
    walk.type("git push")
    project.settle()
    walk.type("prp complete ID", ID=mine)
    assert walk.left == set()


def test_every_command_works_with_gate_ci(project: Project) -> None:
    mode(project, gate="ci")
    ben = project.join("ben")
    ci_says(project, ben, project.tip(), "green")
    walk = Walk(ben, "ana")
    mine = walk.before_landing()
    walk.work(mine)
    walk.type("prp complete ID", ID=mine)
    walk.work(mine)
    walk.type("git push")
    until_landed(project, ben)
    ci_says(project, ben, project.tip(), "green")
    walk.work()
    walk.type("prp land")
    ci_says(project, ben, project.tip(), "red")
    assert "closed" in walk.type("prp lock status")
    walk.type("prp land --revert")
    assert walk.left == set()


def until_landed(project: Project, clone: Clone) -> None:
    from tests.notify import until

    def landed() -> bool:
        lane = json.loads(clone.prp("lock", "status", "main", "--json").out)["lanes"][0]
        return bool((lane["holder"] or {}).get("phase") == "landed")

    until(landed, "the watcher saw it land")


def proven(clone: Clone) -> None:
    """CI has seen this very tree, and it is green."""
    session = ops.Session(str(clone.path))
    repo, head = session.repo, clone.head
    tree, steps = repo.tree(head) or "", own_steps(repo, session.config, head)
    session.lock("main").verdict(head, tree, steps, "ci", "green", None)
    session.close()


def test_every_command_works_with_gate_ci_first(project: Project) -> None:
    mode(project, gate="ci-first")
    walk = Walk(project.join("ben"), "ana")
    mine = walk.before_landing()
    walk.work(mine)
    proven(walk.clone)
    walk.type("prp land")
    walk.work(mine)
    proven(walk.clone)
    walk.type("git push")
    project.settle()
    walk.type("prp complete ID", ID=mine)
    assert walk.left == set()


def test_every_command_works_with_pull_requests(tmp_path: Path, home: Path) -> None:
    project, fake = start_via_pr(tmp_path, VIA)
    with fake:
        project.ana.env |= fake.env
        setup = Setup(project, fake)
        ben = setup.join("ben")
        walk = Walk(ben, "ana")
        mine = walk.before_landing()
        ben.git("add", "-A")
        ben.git("stash", "-q")
        first = setup.pull(ben, "one", {"one.txt": "1"}, message=f"feat({mine}): one")
        walk.type("prp land --pr N", N=str(first))
        ben.git("fetch", "-q")
        setup.pull(ben, "two", {"two.txt": "2"}, message="two")
        walk.type("prp land")
        ben.git("checkout", "-q", "-B", "main", "origin/main")
        ben.git("pull", "-q")
        ben.git("stash", "pop", "-q")
        walk.type("prp smoke")
        walk.type("prp complete ID", ID=mine)
        assert walk.left == set()


# --- in files --------------------------------------------------------------------------------------------------------


@pytest.fixture
def here(repo: Path) -> Path:
    (repo / "prp.toml").write_text('project = "example.org/team/app"\n')
    return repo


def write(folder: Path) -> dict[str, str]:
    repo = Repo(str(folder))
    return dict(prime.write(repo, policy.require(repo)))


def states(folder: Path) -> dict[str, str]:
    repo = Repo(str(folder))
    return {p.name: p.state for p in prime.look(repo, policy.require(repo))}


def remove(folder: Path) -> list[str]:
    repo = Repo(str(folder))
    return prime.remove(repo, policy.require(repo))


def test_a_new_file_comes_and_goes(here: Path) -> None:
    assert states(here) == {"AGENTS.md": "missing"}
    assert write(here) == {"AGENTS.md": "written"}
    text = (here / "AGENTS.md").read_text()
    assert text.startswith(prime.BEGIN + "\n## prpgate") and text.endswith(prime.END + "\n")
    assert write(here) == {"AGENTS.md": "unchanged"}
    assert remove(here) == ["AGENTS.md"]
    assert not (here / "AGENTS.md").exists()
    assert remove(here) == []


def test_a_changed_mode_is_stale_until_it_is_written(here: Path) -> None:
    (here / "AGENTS.md").write_text("# Ours\n\nText.\n")
    write(here)
    before = (here / "AGENTS.md").read_text()
    (here / "prp.toml").write_text('project = "example.org/team/app"\ngate = "ci"\n')
    assert states(here) == {"AGENTS.md": "stale"}
    assert write(here) == {"AGENTS.md": "written"}
    after = (here / "AGENTS.md").read_text()
    assert after != before and "Red closes the branch" in after
    assert after.partition(prime.BEGIN)[0] == before.partition(prime.BEGIN)[0] == "# Ours\n\nText.\n\n"


OTHERS = st.binary(max_size=60).filter(lambda b: b"prpgate" not in b) | st.sampled_from(
    [b"", b"x", b"x\n", b"x\r\n", b"x\n\n", b"a\r\nb", b"a\rb\r", "\ufeffé\n".encode(), b"\n", b"\r\n\r\n", b"```\nx"]
)


@given(OTHERS, OTHERS)
def test_what_is_outside_stays_byte_for_byte(before: bytes, after: bytes) -> None:
    for data in (before, before + b"\n" + after):
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            continue
        one = prime.with_block("AGENTS.md", data, "the first\ntext\n")
        assert one.startswith(data)
        two = prime.with_block("AGENTS.md", one + after, "another\n") if _is_text(after) else one
        assert two.startswith(data)
        assert prime.without_block("AGENTS.md", one) == data
        assert (b"\r\n" in data) == (b"the first\r\n" in one)
        assert prime.with_block("AGENTS.md", one, "the first\ntext\n") == one


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not data or data[:1] == b"\n"


def test_a_block_that_was_moved_stays_where_it_is(here: Path) -> None:
    path = here / "AGENTS.md"
    write(here)
    block = path.read_text()
    path.write_text(f"above\n{block}below\n")
    (here / "prp.toml").write_text('project = "example.org/team/app"\ngate = "local"\n')
    assert write(here) == {"AGENTS.md": "written"}
    assert path.read_text().startswith("above\n<!--") and path.read_text().endswith("-->\nbelow\n")
    remove(here)
    assert path.read_text() == "above\nbelow\n"


def test_mode_bits_stay(here: Path) -> None:
    path = here / "AGENTS.md"
    path.write_text("x\n")
    path.chmod(0o640)
    write(here)
    assert path.stat().st_mode & 0o777 == 0o640


def test_claude_md_gets_one_of_its_own(here: Path) -> None:
    (here / "CLAUDE.md").write_text("# Claude\n")
    assert write(here) == {"AGENTS.md": "written", "CLAUDE.md": "written"}
    assert prime.BEGIN in (here / "CLAUDE.md").read_text()


@pytest.mark.parametrize(("link", "target"), [("CLAUDE.md", "AGENTS.md"), ("AGENTS.md", "CLAUDE.md")])
def test_a_link_between_the_two_is_one_file(here: Path, link: str, target: str) -> None:
    (here / target).write_text("# Both\n")
    os.symlink(target, here / link)
    assert write(here) == {"AGENTS.md": "written", "CLAUDE.md": "link"}
    assert (here / link).is_symlink()
    assert (here / target).read_text().count(prime.BEGIN) == 1
    assert write(here) == {"AGENTS.md": "unchanged", "CLAUDE.md": "link"}


def test_a_claude_md_that_takes_in_the_other_needs_none(here: Path) -> None:
    (here / "CLAUDE.md").write_text("@AGENTS.md\n\nMore.\n")
    assert write(here) == {"AGENTS.md": "written", "CLAUDE.md": "imports"}
    assert (here / "CLAUDE.md").read_text() == "@AGENTS.md\n\nMore.\n"


@pytest.mark.parametrize(
    "text",
    [
        f"{prime.BEGIN}\nx\n",
        f"x\n{prime.END}\n",
        f"{prime.END}\n{prime.BEGIN}\n",
        f"{prime.BEGIN}\n{prime.END}\n{prime.BEGIN}\n{prime.END}\n",
        f"{prime.BEGIN}\n{prime.BEGIN}\n{prime.END}\n",
        "<!-- prpgate:begin -->\nx\n",
    ],
)
def test_damaged_markers_are_refused_and_nothing_is_written(here: Path, text: str) -> None:
    (here / "CLAUDE.md").write_text(text)
    with pytest.raises(UserError, match=r"CLAUDE\.md: .*not sure what is ours") as refused:
        write(here)
    assert prime.BEGIN in str(refused.value.hint) and refused.value.next_action == "prp prime --write"
    assert (here / "CLAUDE.md").read_text() == text
    assert not (here / "AGENTS.md").exists()


def test_a_link_out_of_the_repository_and_binary_are_refused(here: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.md"
    outside.write_text("mine\n")
    os.symlink(outside, here / "AGENTS.md")
    with pytest.raises(UserError, match="leads out of this repository"):
        write(here)
    assert outside.read_text() == "mine\n"
    (here / "AGENTS.md").unlink()
    (here / "AGENTS.md").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot be read as text"):
        write(here)


# --- the verbs -------------------------------------------------------------------------------------------------------


def test_init_agents_check_and_doctor(project: Project) -> None:
    ana = project.ana
    assert ana.prp("prime", "--check", ok=False).code == 1
    assert "AGENTS.md" not in ana.prp("doctor").out, "a repository without a block needs none"
    first = json.loads(ana.prp("init", "--agents", "--json").out)
    assert first["wrote"] == ["AGENTS.md"] and "git add :/AGENTS.md" in first["next_action"]
    assert json.loads(ana.prp("init", "--agents", "--json").out)["wrote"] == []
    assert json.loads(ana.prp("prime", "--check", "--json").out)["files"] == [{"file": "AGENTS.md", "state": "current"}]
    shown = ana.prp("prime").out
    assert shown in ana.read("AGENTS.md")
    assert json.loads(ana.prp("prime", "--json").out) == {
        "schema": 1,
        "ok": True,
        "text": shown,
        "tokens": prime.tokens(shown),
    }
    assert "the block is what prp.toml says" in ana.prp("doctor").out

    ana.write("prp.toml", ana.read("prp.toml").replace('gate = "none"', 'gate = "local"'))
    refused = ana.prp("prime", "--check", ok=False)
    assert refused.code == 1 and refused.err.rstrip().endswith("prp prime --write")
    assert "does not say what prp.toml says now" in ana.prp("doctor").out
    ana.prp("doctor", "--fix", "--yes")
    assert ana.prp("prime", "--check").code == 0
    assert ana.prp("prime", "--remove").out == "Took the block out of AGENTS.md.\n"
    assert ana.prp("prime", "--write", "--check", ok=False).code == 2


def test_check_needs_no_store(project: Project) -> None:
    project.ana.prp("prime", "--write")
    project.ana.prp("store", "stop")
    assert project.ana.prp("prime", "--check").code == 0
    assert run(["git", "status", "--porcelain"], project.ana.path).out == "?? AGENTS.md\n"
