"""People and programs of the process level: real git, real `prp`, each in a clone of its own, one thing at a time."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from tests.chaos.stage import BAD, SMOKE
from tests.chaos.story import LANDED, PUSHED, Claim

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.stage import Stage
    from tests.world import Clone

LONGEST_S = 40.0  # for one command; a fault may hold it up


class Ended(Exception):
    """The scene is over."""


class Actor:
    """One thread that does one thing in one clone. Its newest process can be killed or stopped by others."""

    def __init__(
        self, stage: Stage, clone: Clone, kind: str, number: int, dice: float, tell: Callable[[str], None]
    ) -> None:
        self.stage, self.clone, self.kind, self.number, self.dice, self.tell = stage, clone, kind, number, dice, tell
        self.claims: list[Claim] = []
        self.forced: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.over = False
        self.thread = threading.Thread(target=self._run, name=f"{clone.agent}-{kind}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with contextlib.suppress(Ended):
            getattr(self, self.kind.replace(" ", "_"))()

    def kill(self, number: int, *, whole: bool) -> None:
        process = self.process
        if process is not None:
            self.stage.signal(process, number, whole=whole)

    # --- commands ----------------------------------------------------------------------------------------------------
    def command(self, *words: str, longest_s: float = LONGEST_S, env: dict[str, str] | None = None) -> tuple[int, str]:
        """Run it to its end, whatever that is. Files, not pipes: what is left running would keep a pipe open."""
        if self.over:
            raise Ended
        given = {**os.environ, **self.stage.env, "PRP_AGENT": self.clone.agent, **(env or {})}
        path = self.clone.path.parent / f"out-{self.clone.agent}-{self.number}"  # CI may run twice at once
        with open(path, "w+b") as out:
            self.process = subprocess.Popen(
                words,
                cwd=self.clone.path,
                env=given,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.DEVNULL if "--json" in words else out,
                start_new_session=True,
            )
            try:
                self.process.wait(longest_s)
            except subprocess.TimeoutExpired:
                self.stage.signal(self.process, 9, whole=True)
                self.process.wait()
            out.seek(0)
            text = out.read().decode("utf-8", "replace")
        code = self.process.returncode
        if words[0] != "git" or words[1] == "push":
            last = (text.strip().splitlines() or [""])[-1][:120]
            self.tell(f"{self.clone.agent}: {' '.join(words[:4])[-40:]} -> {code}; {last}")
        return code, text

    def git(self, *words: str, longest_s: float = LONGEST_S) -> tuple[int, str]:
        return self.command("git", *words, longest_s=longest_s)

    def prp(self, *words: str) -> tuple[int, str]:
        return self.command(sys.executable, "-m", "prpgate", *words)

    # --- what they do ------------------------------------------------------------------------------------------------
    def tidy(self) -> None:
        """What a killed git left behind; then, mostly, the branch as it is now."""
        folder = self.clone.path / ".git"
        for lock in [*folder.glob("*.lock"), *folder.glob("refs/**/*.lock")]:
            lock.unlink(missing_ok=True)
        for left in ("rebase-merge", "rebase-apply"):
            if (folder / left).exists():
                self.git("rebase", "--abort")
                shutil.rmtree(folder / left, ignore_errors=True)
        self.git("checkout", "-q", "-f", "main")
        if self.dice < 0.7:
            self.git("fetch", "-q", "origin")
            self.git("reset", "-q", "--hard", "origin/main")

    def work(self) -> str:
        bad = f" {BAD}" if self.stage.gate == "ci" and self.number % 9 == 0 else ""
        name = f"{self.clone.agent}-{self.number}.txt"
        with contextlib.suppress(OSError):
            (self.clone.path / name).write_text(f"{self.number}\n")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", f"work {self.number} of {self.clone.agent}{bad}")
        return self.head()

    def head(self) -> str:
        return self.git("rev-parse", "HEAD")[1].strip()

    def claim(self, sha: str, said: str) -> None:
        self.claims.append(Claim(self.clone.agent, sha, said))

    def push(self, *options: str, tries: int = 3) -> None:
        self.tidy()
        self.work()
        for n in range(tries):
            head = self.head()
            if "--force" in options:
                self.forced.append(head)
            code, _ = self.git("push", "-q", *options, "origin", "HEAD:main")
            if code == 0:
                self.claim(head, PUSHED)
                return
            if n + 1 < tries:
                time.sleep(0.2 + self.dice)
                self.git("pull", "-q", "--rebase", "origin", "main")

    def push_once(self) -> None:
        self.push(tries=1)

    def land(self) -> None:
        self.tidy()
        self.work()
        self._land("--wait", "8")

    def land_at_once(self) -> None:
        self.tidy()
        self.work()
        self._land("--no-wait")

    def _land(self, *how: str) -> None:
        code, text = self.prp("land", "--json", *how)
        with contextlib.suppress(ValueError):
            answer = json.loads(text)
            if code == 0 and answer.get("landed"):
                self.claim(answer["sha"], LANDED)

    def past_the_hook(self) -> None:
        self.push("--no-verify", tries=1)

    def force(self) -> None:
        """With the hooks on: they refuse what is not on top of the tip; a lease is left to them as well."""
        self.push("--force", tries=1)

    def rewind(self) -> None:
        """Round the hooks, from an older base: the branch loses what landed last, but never the set-up itself."""
        self.tidy()
        if self.head() != self.stage.first:
            self.git("reset", "-q", "--hard", "HEAD~1")
        self.work()
        head = self.head()
        self.forced.append(head)
        if self.git("push", "-q", "--force", "--no-verify", "origin", "HEAD:main")[0] == 0:
            self.claim(head, PUSHED)

    def break_hold(self) -> None:
        with contextlib.suppress(ValueError, KeyError, IndexError):
            fence = json.loads(self.prp("lock", "status", "main", "--json")[1])["lanes"][0]["fence"]
            self.prp("lock", "break", "main", "--fence", str(fence), "--reason", "chaos")

    def close(self) -> None:
        self.prp("lane", "close", "main", "--reason", "chaos")

    def open(self) -> None:
        """As a person: what a person closed, no program opens."""
        self.command(
            *(sys.executable, "-m", "prpgate", "lane", "open", "main", "--reason", "chaos"), env={"PRP_AGENT": ""}
        )

    def ci(self) -> None:
        """A run on the tip, as a runner starts it."""
        folder = self.clone.path.parent / f"run-{self.number}"
        if self.git("clone", "-q", str(self.stage.remote), str(folder))[0] != 0:
            return
        sha = self.git("-C", str(folder), "rev-parse", "HEAD")[1].strip()
        event = folder.with_suffix(".json")
        event.write_text(json.dumps({"before": self.stage.first, "after": sha, "deleted": False}))
        given = {
            "GITHUB_ACTOR": "ana",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_OUTPUT": str(folder.with_suffix(".output")),
            "GITHUB_STEP_SUMMARY": str(folder.with_suffix(".summary")),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_RUN_ID": str(self.number),
            "GITHUB_SHA": sha,
            "GITHUB_WORKSPACE": str(folder),
        }
        self.command(sys.executable, str(SMOKE), env=given)
        shutil.rmtree(folder, ignore_errors=True)
