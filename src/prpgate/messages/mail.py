"""What people read about agents and the messages between them."""

from __future__ import annotations

from difflib import get_close_matches
from shlex import quote
from typing import TYPE_CHECKING

from ..errors import StoreDown, UsageError, UserError
from ..output import inert
from .lane import PHASES, clock, nth, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..mail import Message
    from ..registry import Entry, Held

NOBODY = "Nobody has been seen in the last 30 days but you."
NO_ROLE = "a role is up to 64 letters, digits, dots, - and _, and not `all`."
SHOWN = 200  # characters of a detail on one line


def cut(text: object, most: int = SHOWN) -> str:
    safe = inert(text)
    return safe if len(safe) <= most else safe[:most] + "…"


# --- sending ---------------------------------------------------------------------------------------------------------


def empty() -> UsageError:
    return UsageError("a message needs a text.", code="usage", next_action='prp send NAME "text"')


def bad_recipient() -> UsageError:
    return UsageError(
        "a message goes to a name, to @role or to @all.",
        code="usage",
        hint="Names: prp agents",
        next_action="prp agents",
    )


def bad_id(option: str) -> UsageError:
    return UsageError(
        f"{option} is no id: letters, digits, . _ and -, at most 100 of them.", code="usage", next_action="prp inbox"
    )


def name_too_long(name: str, source: str, most: int) -> UsageError:
    return UsageError(
        f"the agent's name ({source}) has {len(name)} characters, more than {most}: {name[:40]}...",
        code="agent-name",
        hint="Everybody reads it, and types it to send a message.",
        next_action="prp whoami --help",
    )


def no_box(given: str, known: Sequence[str]) -> UsageError:
    return UsageError(f"{inert(given)} is no box ({', '.join(known)}).", code="usage", next_action="prp inbox")


def bad_priority(given: str, known: Sequence[str]) -> UsageError:
    from difflib import get_close_matches

    near = (get_close_matches(given.lower(), known, 1) or ["urgent" if "urgent" in known else known[-1]])[0]
    return UsageError(
        f"{inert(given)} is no priority ({', '.join(known)}).",
        code="usage",
        hint="The same command with one of these, such as",
        next_action=f"prp send NAME TEXT --priority {near}",
    )


def too_long(size: int, most: int) -> UserError:
    return UserError(
        f"the message has {size} bytes, and {most} is the most. Nothing was sent.",
        code="too-long",
        hint="Put it where others can read it (a commit, a file of the repository), and send where it is.",
    )


def full(to: str) -> UserError:
    whose = (
        "there are 200 broadcasts that somebody has not" if to.startswith("@") else f"{inert(to)} has 500 messages not"
    )
    return UserError(
        f"{whose} acknowledged yet, so this one was not taken: nothing that is unread is thrown away for it.",
        code="mailbox-full",
        hint="Who has unread ones, and was last seen when:",
        next_action="prp agents",
    )


def full_of_strangers(to: str, close: Sequence[str]) -> UserError:
    meant = f" Did you mean {' or '.join(map(inert, close))}?" if close else ""
    return UserError(
        f"nobody called {inert(to)} has been seen yet, and there is no room for more messages to names like that "
        f"(20 to one name, 100 such names): this one was not taken.{meant}",
        code="mailbox-full",
        hint="Once somebody of that name was there, its mailbox holds 500. Who is there:",
        next_action="prp agents",
    )


def id_taken(own: str) -> UserError:
    return UserError(f"another message has the id {inert(own)}. Nothing was sent.", code="id-taken")


def unsure(e: StoreDown, own: str) -> StoreDown:
    return StoreDown(
        f"{e.message} Whether the message was taken is not known.",
        code=e.code,
        hint=f"The same command with --id {inert(own)} sends it if it was not, and never twice.",
        next_action=e.next_action,
    )


def near(to: str, names: Sequence[str]) -> tuple[str, ...]:
    by_fold = {n.casefold(): n for n in names}
    return tuple(by_fold[n] for n in get_close_matches(to.casefold(), by_fold, n=3, cutoff=0.6))


def unknown_recipient(to: str, close: Sequence[str]) -> str:
    meant = f" Did you mean {' or '.join(map(inert, close))}?" if close else ""
    if to == "@all":
        return "Nobody else has been seen; who comes within a day will read it."
    if to.startswith("@"):
        return f"Nobody has the role {inert(to[1:])} yet; who takes it within a day will read it.{meant}"
    return f"Nobody called {inert(to)} has been seen yet; the message waits for them.{meant}"


def sent(to: str, own: str, due: int, already: bool) -> str:
    whom = inert(to) + (f" ({due} {'agent' if due == 1 else 'agents'})" if to.startswith("@") else "")
    return f"{'It was already sent' if already else 'Sent'} to {whom}: {own}"


# --- reading ---------------------------------------------------------------------------------------------------------


def unread(count: int) -> str:
    return f"{count} unread {'message' if count == 1 else 'messages'}: prp inbox"


def no_mail() -> str:
    return "Nothing unread. To wait for something: prp listen"


def nothing_came(seconds: float) -> str:
    return f"Nothing came in {span(seconds)}."


def store_away(e: StoreDown) -> str:
    return f"{e.message} Waiting for it to come back; nothing is lost meanwhile."


def told(m: Message) -> str:
    """The text of a message: what somebody wrote, or what prpgate has to say."""
    prp = inert(m.prp or "")
    if m.cause == "lapsed":
        return (
            f"Your claim on {prp} ended: it was not renewed in time. Anybody may take it now. "
            f"If you still work on it: prp start {prp}"
        )
    if m.cause == "taken-over":
        return (
            f"{inert(m.detail)} took over {prp}, which you had in progress. "
            f"Do not push your line of it: prp status {prp}"
        )
    if m.cause == "handed-over":
        said = f": {inert(m.text)}" if m.text else "."
        return f"{inert(m.detail)} handed {prp} over to you{said}\nTo take it up, where you work: prp start {prp}"
    if m.cause == "taken-back":
        return f"{inert(m.detail)} took {prp} back before you had started it."
    if m.cause == "orphaned":
        return (
            f"The lane went on with {prp} without your line {inert(m.detail)}, which has no effect now. "
            f"Where it stands: prp status {prp}"
        )
    if m.cause == "landed-without-line":
        return (
            f"{inert(m.detail[:10])} landed and names {prp}, but not the line that says it is complete. "
            f"That landing is evidence by itself: prp complete {prp} --undo && prp complete {prp}"
        )
    return m.text or inert(m.cause or "")


def header(m: Message, now_s: float) -> str:
    """`ben  urgent  P1-003  12s ago  m-3f…`"""
    parts = [inert(m.sender)]
    if m.to.startswith("@"):
        parts[0] += f" to {inert(m.to)}"
    if m.priority != "normal":
        parts.append(m.priority)
    if m.prp:
        parts.append(inert(m.prp))
    parts.append(clock(m.at_ms / 1000 - now_s))
    if m.reply_to:
        parts.append(f"in reply to {inert(m.reply_to)}")
    return "  ".join([*parts, inert(m.id)])


def body(m: Message) -> str:
    """The text, each line behind a mark of ours: what somebody wrote can never look like a line of prp's."""
    return "\n".join("  | " + inert(line) for line in told(m).split("\n"))


def receipt(m: Message, now_s: float) -> str:
    """Who has acknowledged a message that was sent, and who has not."""
    got = [f"{inert(a)} {clock(ms / 1000 - now_s)}" for a, ms in sorted(m.acked.items(), key=lambda x: x[1])]
    open_ = [inert(a) for a in m.due if a not in m.acked]
    said = [f"acknowledged by {_few(got)}"] if got else []
    said += [f"not yet by {_few(open_)}"] if open_ else []
    return "; ".join(said) or "nobody else was there"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def not_yours(ids: Sequence[str]) -> str:
    return f"no message to you: {', '.join(map(cut, ids[:10]))}"


# --- who is there ----------------------------------------------------------------------------------------------------


def seen(a: Entry, now_s: float) -> str:
    ago_s = now_s - a.seen_ms / 1000
    if not a.silent:
        return f"{span(ago_s)} ago"
    return f"{'suspect: ' if a.suspect else ''}silent since {clock(-ago_s)}"


def held(one: Held) -> str:
    if one.what == "claim":
        return f"{inert(one.name)} ({span(one.left_s or 0)} left)"
    if one.what == "lane":
        return f"{inert(one.name)} ({inert(PHASES.get(one.detail, one.detail))})"
    return f"{nth(int(one.detail))} in line of {inert(one.name)}"


def role_set(name: str, role: str | None) -> str:
    return f"{inert(name)} has the role {inert(role)}." if role else f"{inert(name)} has no role now."


def write_to(name: str) -> str:
    return f"prp send {quote(name)} …"


LISTENING = "Listening; Ctrl-C ends it."
WATCHING = "Watching; Ctrl-C ends it."
STORE_BACK = "The store is back."
