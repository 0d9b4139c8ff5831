"""What an agent reads that asks through MCP: the same facts, and the call (not only the command) that goes on."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, UserError
from ..origin import command
from ..output import inert, inert_lines

if TYPE_CHECKING:
    from collections.abc import Sequence


def call(tool: str, **arguments: Any) -> str:
    """A call as it is shown: `claim {"id": "P2-040"}`."""
    return f"{tool} {json.dumps(arguments, ensure_ascii=False)}"


INSTRUCTIONS = (
    "prpgate keeps many agents out of each other's way in one git repository. PRPs are its work items. "
    "next says what to do; claim before you edit; name the PRP in each commit's subject (feat(ID): ...); when the work "
    "is done call complete, and commit the ledger lines that claim and complete wrote together with it; land pushes "
    "in your turn (do not git push to a lane), and a green gate makes it complete. "
    "A refusal says who, why, until when and the next call."
)
WORK = call("land")
BY_HAND = (
    "This speaks to a coding agent on standard input and output; Ctrl-C ends it. Its host starts it by itself:\n"
    "  prp mcp install --claude-code"
)

# What a command line's verb is as a call. `{0}` is its first argument; without one the pair is left out.
CALLS: dict[str, tuple[str, dict[str, str]]] = {
    "next": ("next", {}),
    "list": ("next", {}),
    "start": ("claim", {"id": "{0}"}),
    "claim": ("claim", {"id": "{0}"}),
    "complete": ("complete", {"id": "{0}"}),
    "validate": ("update", {"id": "{0}", "action": "validate"}),
    "release": ("update", {"id": "{0}", "action": "release"}),
    "unblock": ("update", {"id": "{0}", "action": "unblock"}),
    "reopen": ("update", {"id": "{0}", "action": "reopen", "text": "why"}),
    "note": ("update", {"id": "{0}", "action": "note", "text": "a word"}),
    "phase": ("update", {"id": "{0}", "action": "phase", "text": "{1}"}),
    "handover": ("update", {"id": "{0}", "action": "handover", "to": "{1}"}),
    "land": ("land", {}),
    "lock status": ("lane", {"name": "{0}"}),
    "redis-merge-status": ("lane", {"name": "{0}"}),
    "lock log": ("log", {"lane": "{0}"}),
    "lane log": ("log", {"lane": "{0}"}),
    "why": ("log", {"id": "{0}"}),
    "status": ("log", {"id": "{0}"}),
    "history": ("log", {"id": "{0}"}),
    "send": ("send", {"to": "{0}", "text": "..."}),
    "inbox": ("inbox", {}),
    "check": ("check", {}),
}


def as_call(command: str) -> str | None:
    """The call that does what a command line does; None where only a shell can."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:1] != ["prp"] or any(w in ("&&", "||", ";", "|") for w in words):
        return None
    for n in (2, 1):
        if found := CALLS.get(" ".join(words[1 : 1 + n])):
            tool, shape = found
            given = words[1 + n :]
            options = [w for w in given if w.startswith("-") and w != "--claim"]
            if "--undo" in options and tool == "complete":
                return call("complete", id=given[0], undo=True)
            if "--revert" in options and tool == "land":
                last = given[-1]
                return call("land", revert="last" if last == "--revert" else last)
            if "--claim" in given and tool == "next":
                return call("claim")
            plain = [w for w in given if not w.startswith("-")]
            filled = {k: plain[int(v[1])] if v[0] == "{" else v for k, v in shape.items() if _there(v, plain)}
            return None if "--pr" in options or "--help" in options else call(tool, **filled)
    return None


def _there(value: str, plain: list[str]) -> bool:
    return value[0] != "{" or int(value[1]) < len(plain)


def then(command: str | None, *, again: bool = False) -> str | None:
    """What to do next, as an agent does it: a call where there is one, else a line for its shell."""
    if not command:
        return None
    found = as_call(command)
    if found:
        return inert(found)
    shell = f"in a shell: {inert_lines(command)}"
    return f"{shell}; then the same call again" if again else shell


def refusal(error: UserError) -> str:
    """A refusal: the fact, the reason, when it ends, the next call, and the same for a shell."""
    lines = [inert_lines(error.message)]
    if error.hint:
        lines.append(inert_lines(error.hint))
    command = error.next_action
    if command:
        when = f"{inert(error.when)}: " if error.when else ""
        lines.append(f"Next: {when}{then(command, again=True)}")
        if as_call(command):
            lines.append(f"In a shell: {inert(command)}")
    else:
        lines.append(f"Next: {call('next')}")
    if error.otherwise:
        what, other = error.otherwise
        lines.append(f"{inert(what)}: {then(other)}")
    lines.append(f"Code: {error.code}")
    return "\n".join(lines)


def shell_is_another(shell: str, own: str) -> str:
    return (
        f"Commits and pushes of your shell go out as {inert(shell)}, not as {inert(own)}: land with the land tool, "
        f"or say who works here: prp whoami --set {shlex.quote(inert(own))}"
    )


def needs(action: str, what: str, id: str) -> UsageError:
    command = "prp agents" if what == "to" else f"prp why {shlex.quote(id)}"
    return UsageError(f"{action} needs `{what}`.", code="usage", next_action=command)


def one_of(id: str) -> UsageError:
    return UsageError("log takes an id or a lane, not both.", code="usage", next_action=f"prp why {shlex.quote(id)}")


def commit(prp_id: str, root: str, file: str, then: str) -> str:
    """What follows a verb that wrote to the ledger."""
    return f'commit {inert(file)} with your work, in {inert(root)}: git commit -m "feat({prp_id}): ..."; then {then}'


def no_resource(uri: str) -> str:
    return f"{inert(uri)} is no resource: prp://prp/ID or prp://lane/NAME."


def not_yet() -> str:
    return f"The host cannot start it yet: prp mcp needs the extra `mcp`, and this Python has none.\n  {command('mcp')}"


def extra_missing() -> UsageError:
    return UsageError("prp mcp needs the extra `mcp`.", code="extra-missing", next_action=command("mcp"))


def which_host(names: Sequence[str]) -> UsageError:
    options = ", ".join(f"--{name}" for name in names)
    return UsageError(f"which host? {options}.", code="usage", next_action=f"prp mcp install --{names[1]}")


def host_file(path: str, why: str) -> UserError:
    return UserError(
        f"{inert(path)}: {inert(why)}. Nothing was changed.",
        code="host-file",
        hint="--print shows what belongs there.",
        next_action="prp mcp install --help",
    )


def not_plain(path: str, why: str, block: str, *, remove: bool) -> UserError:
    """Comments would be lost, and what cannot be read cannot be kept."""
    what = "Take this out of it" if remove else "Put this into it"
    return UserError(
        f"{inert(path)} is no plain JSON ({inert(why)}). Nothing was changed.",
        code="not-plain-json",
        hint=f"{what} by hand:\n{block.rstrip()}",
        next_action=None,
    )


def written(path: str, host: str, *, removed: bool, gone: bool) -> str:
    if gone:
        return f"{inert(path)} held nothing else, and is gone. Restart {host}."
    if removed:
        return f"Taken out of {inert(path)}. Restart {host}."
    return f"Written to {inert(path)}. Restart {host}, and ask it: what is next?"


def nothing_to_do(path: str, *, removed: bool) -> str:
    return f"Nothing to do: {inert(path)} {'does not name prp mcp' if removed else 'is as it should be'}."


def after_install(files: Sequence[str]) -> list[str]:
    found = [
        f"{inert(path)} names this machine's Python and folder: keep it out of commits (.git/info/exclude)."
        for path in files
    ]
    for name in ("PRP_REDIS_URL", "REDIS_URL"):
        if os.environ.get(name):
            found.append(f"{name} is set here, and hosts do not pass it on: put it into .env at the top of the clone.")
    return found


def no_folder(path: str) -> UsageError:
    return UsageError(f"{inert(path)} is no folder.", code="usage", next_action="prp mcp --help")


# --- prompts ---------------------------------------------------------------------------------------------------------


def take_next(domain: str) -> str:
    pick = call("claim", domain=domain) if domain else call("claim")
    return f"""Take the next PRP of this repository and bring it to its end.
1. Call next {{}}. If something is yours already, go on with that; if `unread` is not 0, call inbox {{}} first.
2. Call {pick}. Read its notes, and its document if it has one. If it is refused, do what the refusal says.
3. Do the work, and only that. Commit it with the ledger line that claim wrote; the subject names the PRP: feat(ID): ...
4. Call complete with its id, and commit the line that this writes.
5. Call land {{}}. If it says queued, call it again; if it is refused, mend what it names.
6. Call log with its id: it is complete when its status says so, and else its reasons say what is missing.
Do not push to a protected branch by git push, and do not touch what others have claimed."""


def hand_over(id: str, to: str) -> str:
    given = call("update", id=inert(id), action="handover", to=inert(to), text="...")
    return f"""Hand {inert(id)} over to {inert(to)}.
1. Commit what there is of it, and push its branch if {inert(to)} works in another clone.
2. Call {given}. The text says what is done, what is not, on which branch, and what to beware of.
3. Commit the ledger line that this writes, and call land {{}}.
4. Call {call("send", to=inert(to), prp=inert(id), text="...")}, with the same in a sentence.
If it is refused, tell me who has it and until when."""


def fix_closed_lane(lane: str) -> str:
    look, told = (
        (call("lane", name=inert(lane)), call("log", lane=inert(lane))) if lane else (call("lane"), call("log"))
    )
    return f"""A lane is closed: it takes only fixes until it is green again. Mend it.
1. Call {look}: who or what closed it, since when, and why. A person's closing is theirs to open: stop, and tell me.
2. Call {told} for the landing that did it, and see what the failing step says.
3. If the mend is small, make it on top of the lane, commit it under the PRP that did it, and call land {{}}.
   If not, take the landing back: land {{"revert": "last", "reason": "..."}}.
4. Call {look} again: it is open once a green verdict is there. Tell me what was wrong, and whose PRP it was."""
