"""The instruction block for coding agents (AGENTS.md, CLAUDE.md): what is so under one prp.toml, in few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UserError
from ..output import inert

if TYPE_CHECKING:
    from ..config import Config

LANES = 3  # named one by one
MARKER_HINT = "Nothing was written. There must be one begin and, below it, one end, each on a line of its own:"
HEAD = "## prpgate: working beside others"
NAME = "Your name: `prp whoami --set NAME` once in each worktree (or the variable PRP_AGENT). One worktree per agent."


class Text:
    """The block for one prp.toml. Names out of it are shown with at most `most` characters."""

    def __init__(self, config: Config, most: int) -> None:
        self.config, self.most = config, most

    def __str__(self) -> str:
        """The whole text, without markers; ends with a line break."""
        return "\n\n".join([HEAD, self._items(), NAME, self._steps(), self._end()]) + "\n"

    def _shown(self, value: str) -> str:
        """As code in one line, whatever it holds: it cannot end the code, the line or an HTML comment."""
        safe = inert(value).replace("`", "'").replace("-->", "--\\>")
        return f"`{safe if len(safe) <= self.most else safe[: self.most - 1] + '…'}`"

    def _items(self) -> str:
        where = f"in {self._shown(self.config.ledger_path)}" + (
            ", one file each" if self.config.one_file_per_prp else ""
        )
        whom = (
            "one store for the whole team"
            if self.config.store_scope == "team"
            else "a store of this machine, for all its clones"
        )
        return (
            "People and agents share this repository; git hooks and `prp` keep them apart. Work items are PRPs (ids: "
            f"{self._shown(self.config.id_pattern)}), recorded {where}. Who does what is in {whom}."
        )

    def _steps(self) -> str:
        steps = [
            "Take work: `prp next --claim` starts the best PRP that is ready, `prp start ID` a certain one. Refused: "
            "somebody has it; take another.",
            "Messages: `prp inbox`, then `prp inbox --ack-all`. Tell others: `prp send NAME TEXT`, to everybody "
            "`prp send @all TEXT`.",
            "Commit as `feat(ID): what`. `prp` writes lines into the ledger: commit them with the work. Never edit "
            "status, owner or rev by hand.",
            f"Land on {self._lanes()}: {self._landing()}",
            "Done: `prp complete ID`; it fetches the evidence and says what is missing. Stopping early: "
            "`prp release ID --note TEXT`.",
        ]
        return "\n".join(f"{n}. {text}" for n, text in enumerate(steps, 1))

    def _lanes(self) -> str:
        names = ", ".join(self._shown(b) for b in self.config.lanes[:LANES])
        more = f" and {len(self.config.lanes) - LANES} more" if len(self.config.lanes) > LANES else ""
        return f"{names}{more} of {self._shown(self.config.remote)}"

    def _landing(self) -> str:
        if self.config.via == "pr":
            how = (
                "nobody pushes there. Push your branch, open a pull request, then `prp land` merges it in its turn "
                "(`prp land --pr N`: that one)."
            )
        else:
            how = (
                "`prp land` waits for its turn, rebases, pushes and asks the remote. A plain `git push` is refused "
                "while another lands."
            )
        return f"{how} {self._gate()}"

    def _gate(self) -> str:
        check = (
            f" (the check {self._shown(self.config.ci_check)} at the host)"
            if self.config.ci_observe == "status"
            else ""
        )
        if self.config.gate == "local":
            return f"The smoke gate runs first, {self.config.smoke_budget_s} s at most; try it with `prp smoke`."
        if self.config.gate == "ci":
            return (
                f"CI then smokes what landed{check}. Red closes the branch for all but fixes: see `prp lock status`, "
                "mend it at once, or take it back with `prp land --revert`."
            )
        if self.config.gate == "ci-first":
            return (
                f"CI smokes your commit on a branch of its own first{check}; red costs you your turn, nobody else "
                "anything."
            )
        return "No gate runs before it: run the tests, and after it `prp smoke`, which proves the work."

    def _end(self) -> str:
        paths = {
            "refuse": "Commits in paths that somebody's PRP has for itself are refused. ",
            "warn": "Keep out of paths that somebody's PRP has for itself; a commit there warns. ",
            "off": "",
        }[self.config.scopes_policy]
        return (
            f"{paths}A refusal's last lines name the command to type; `prp why` shows it again. Overview: "
            "`prp status`. Never use --no-verify, never force a push, never end another's hold."
        )


# --- writing it ------------------------------------------------------------------------------------------------------


def damaged(path: str, why: str, begin: str, end: str) -> UserError:
    return UserError(
        f"{inert(path)}: {why}, so it is not sure what is ours.",
        code="markers",
        hint=f"{MARKER_HINT}\n  {begin}\n  {end}\nTake all of them out (the text between them is ours), then:",
        next_action="prp prime --write",
    )


def leads_out(path: str) -> UserError:
    return UserError(
        f"{inert(path)} leads out of this repository, so nothing was written.",
        code="symlink",
        hint="Put the block where it leads yourself, or replace the link by a file:",
        next_action="prp prime",
    )


def not_text(path: str, why: str) -> UserError:
    return UserError(f"{inert(path)} cannot be read as text ({why}); nothing was written.", code="no-text")


def changed(path: str) -> UserError:
    return UserError(
        f"{inert(path)} was changed by somebody else while its block was written. That stands; ours was not written.",
        code="changed-underneath",
        hint="Run the command again.",
    )


def stale(names: list[str]) -> str:
    verb = "does" if len(names) == 1 else "do"
    return f"{' and '.join(map(inert, names))} {verb} not say what prp.toml says now"


def missing(names: list[str]) -> str:
    return f"{' and '.join(map(inert, names))}: no block of prpgate in it"


def outdated(text: str) -> UserError:
    return UserError(f"{text}.", code="stale", next_action="prp prime --write")


def current(names: list[str]) -> str:
    return f"{' and '.join(map(inert, names))}: the block is what prp.toml says."


def did(name: str, what: str) -> str:
    return {
        "written": f"Wrote the block into {inert(name)}.",
        "unchanged": f"{inert(name)}: unchanged.",
        "imports": f"{inert(name)} takes in AGENTS.md; nothing to write.",
        "link": f"{inert(name)} leads to AGENTS.md; nothing to write.",
        "removed": f"Took the block out of {inert(name)}.",
    }[what]


NOTHING_TO_REMOVE = "There is no block of prpgate in AGENTS.md or CLAUDE.md."
