"""`prp demo`: real git, real hooks and a real store in a throw-away folder, told as it happens."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from .errors import UserError
from .gitrepo import LOCAL_ENV, Repo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEDGER = """\
prp_tracking:
  P1-010:
    title: Log in with a passkey
    status: complete
    validated_at: '2026-10-05T09:00:00Z'
    started_at: '2026-10-06T09:00:00Z'
    completed_at: '2026-10-07T15:30:00Z'
    github_commit: 4f1c2d9
    stable_id: PRP-1001
  P1-020:
    title: Log out everywhere
    status: validated
    validated_at: '2026-10-08T09:00:00Z'
    started_at: null
    stable_id: PRP-1002
  P1-030:
    title: Remember this device
    status: validated
    validated_at: '2026-10-08T09:30:00Z'
    started_at: null
    depends_on: [P1-010]
    stable_id: PRP-1003
  P2-010:
    title: Export as CSV
    status: new
    stable_id: PRP-1004
"""
# The pause stands for the time that a remote and its checks take; without it the race is over before it is seen.
REMOTE_HOOK = "#!/bin/sh\nsleep 1\n"
SMOKE = '\n[[smoke]]\nname = "tests"\nrun = "test -f README.md"\ntimeout = 10\n'


class Stage:
    """The folder, the environment in which everything in it runs, and the voice that tells."""

    def __init__(self, folder: str, tell: Callable[[str], None]) -> None:
        self.folder, self.tell = folder, tell
        dropped = {*LOCAL_ENV, "PRP_REDIS_URL", "REDIS_URL", "PRP_AGENT", "PRP_BREAK_GLASS", "XDG_RUNTIME_DIR"}
        self.env = {k: v for k, v in os.environ.items() if k not in dropped}
        self.env.update(
            XDG_STATE_HOME=os.path.join(folder, "state"),
            GIT_CONFIG_GLOBAL=os.path.join(folder, "gitconfig"),
            GIT_CONFIG_NOSYSTEM="1",
            NO_COLOR="1",
        )
        with open(self.env["GIT_CONFIG_GLOBAL"], "w", encoding="utf-8") as f:
            f.write("[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n[pull]\n\trebase = true\n")

    def start(self, who: str, *args: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "prpgate", *args[1:]] if args[0] == "prp" else list(args)
        return subprocess.Popen(
            command,
            cwd=os.path.join(self.folder, who),
            env={**self.env, "PRP_AGENT": who},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def quiet(self, who: str, *args: str) -> str:
        """Run what is not part of the story; it has to work."""
        done = self.start(who, *args)
        out, _ = done.communicate()
        if done.returncode:
            raise UserError(f"the demo could not go on: {' '.join(args)} said:\n{out.strip()}", code="demo")
        return out

    def show(self, who: str, *args: str, fails: bool = False, only: str | None = None) -> str:
        """Run a command and show it with what it said, as the person `who` would see it."""
        self.tell(f"{who} $ {_typed(args)}")
        done = self.start(who, *args)
        out, _ = done.communicate()
        self.shown(out, only)
        if bool(done.returncode) is not fails:
            raise UserError(f"the demo went another way than it should: exit {done.returncode}", code="demo")
        return out

    def shown(self, out: str, only: str | None = None) -> None:
        for line in out.rstrip().splitlines():
            if only is None or only in line:
                self.tell("    " + line)

    def write(self, who: str, name: str, text: str) -> None:
        with open(os.path.join(self.folder, who, name), "w", encoding="utf-8") as f:
            f.write(text)


def _typed(args: tuple[str, ...]) -> str:
    return " ".join(f'"{a}"' if " " in a else a for a in args)


@contextlib.contextmanager
def stage(tell: Callable[[str], None], *, keep: bool) -> Iterator[Stage]:
    """A folder and a store that are gone afterwards, also after Ctrl-C."""
    from .store.embedded import stop_all

    folder = tempfile.mkdtemp(prefix="prp-demo-")
    try:
        yield Stage(folder, tell)
    finally:
        stop_all(os.path.join(folder, "state", "prpgate"))
        if keep:
            tell(f"Kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def play(tell: Callable[[str], None], *, keep: bool = False) -> float:
    """Tell the whole story; seconds it took. Raises UserError when any step goes another way than it should."""
    began = time.monotonic()
    with stage(tell, keep=keep) as s:
        _set_up(s)
        _commits(s)
        _race(s)
        _after(s)
    return time.monotonic() - began


def _set_up(s: Stage) -> None:
    s.tell("1. A repository with a ledger of four PRPs, a remote, and two people: ana and ben.")
    subprocess.run(["git", "init", "-q", "--bare", os.path.join(s.folder, "remote.git")], env=s.env, check=True)
    os.mkdir(os.path.join(s.folder, "ana"))
    s.quiet("ana", "git", "clone", "-q", "../remote.git", ".")
    _name(s, "ana")
    os.mkdir(os.path.join(s.folder, "ana", "prp"))
    s.write("ana", "prp/ledger.yaml", LEDGER)
    s.write("ana", "README.md", "demo\n")
    index = Repo(os.path.join(s.folder, "ana")).python.index
    index.add(["prp/ledger.yaml", "README.md"])
    index.commit("first", skip_hooks=True)
    s.quiet("ana", "git", "push", "-q", "-u", "origin", "HEAD:main")
    s.show("ana", "prp", "init", "--yes")
    with open(os.path.join(s.folder, "ana", "prp.toml"), "a", encoding="utf-8") as f:
        f.write(SMOKE)
    s.quiet("ana", "git", "add", "prp.toml")
    s.show("ana", "git", "commit", "-q", "-m", "Use prpgate")
    s.show("ana", "git", "push", "-q")
    s.quiet("ana", "git", "clone", "-q", "../remote.git", "../ben")
    _name(s, "ben")
    s.show("ben", "prp", "join", only="Synced")
    s.tell("")
    s.show("ana", "prp", "list")


def _name(s: Stage, who: str) -> None:
    with Repo(os.path.join(s.folder, who)).python.config_writer() as settings:
        settings.set_value("user", "name", who)
        settings.set_value("user", "email", f"{who}@example.org")


def _commits(s: Stage) -> None:
    s.tell("\n2. A commit that breaks a PRP is refused; one claimed the right way goes through.")
    path = os.path.join(s.folder, "ana", "prp/ledger.yaml")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    s.write("ana", "prp/ledger.yaml", text.replace("status: validated", "status: done", 1))
    s.quiet("ana", "git", "add", "-A")
    s.show("ana", "git", "commit", "-q", "-m", "P1-020 is done", fails=True)
    s.quiet("ana", "git", "checkout", "-q", "HEAD", "--", "prp/ledger.yaml")
    s.show("ana", "prp", "start", "P1-020")
    s.show("ben", "prp", "start", "P1-020", fails=True)
    s.show("ben", "prp", "start", "P1-030", only="yours")
    for who, prp in (("ana", "P1-020"), ("ben", "P1-030")):
        s.write(who, f"{who}.txt", f"{prp}\n")
        s.quiet(who, "git", "add", "-A")
        s.show(who, "git", "commit", "-q", "-m", f"feat({prp}): the work")


def _race(s: Stage) -> None:
    s.tell("\n3. Both push to main at the same moment. One lands, one is told who, until when, and what to type.")
    hook = os.path.join(s.folder, "remote.git", "hooks", "pre-receive")
    with open(hook, "w", encoding="utf-8") as f:
        f.write(REMOTE_HOOK)
    os.chmod(hook, 0o755)
    both = {who: s.start(who, "git", "push", "-q") for who in ("ana", "ben")}
    lost = []
    for who, push in both.items():
        out, _ = push.communicate()
        s.tell(f"{who} $ git push")
        s.shown(out if push.returncode else "landed")
        if push.returncode:
            lost.append(who)
    if len(lost) != 1:
        raise UserError(f"the demo went another way than it should: {len(lost)} pushes were refused", code="demo")
    s.show("ana", "prp", "lock", "status")
    until = time.monotonic() + 20
    while True:  # the refused one does what was said, and does it again should it be a moment too early
        s.show(lost[0], "git", "pull", "-q", "--rebase", "--autostash")
        s.tell(f"{lost[0]} $ git push")
        push = s.start(lost[0], "git", "push", "-q")
        out, _ = push.communicate()
        s.shown(out if push.returncode else "landed")
        if push.returncode == 0:
            break
        if time.monotonic() > until:
            raise UserError("the demo went another way than it should: the second push did not land", code="demo")
        time.sleep(0.5)


def _after(s: Stage) -> None:
    s.tell("\n4. What landed is smoked, completed with evidence, and everybody sees it.")
    s.show("ana", "git", "pull", "-q", "--rebase", "--autostash")
    s.show("ana", "prp", "smoke", only="smoke gate")
    s.show("ana", "prp", "complete", "P1-020")
    s.show("ana", "git", "diff", "--stat")
    s.show("ben", "prp", "list")
    s.show("ben", "prp", "lock", "log", "-n", "8")
