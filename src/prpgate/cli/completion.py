"""completion: the scripts for bash, zsh and fish, and what they ask: which words may stand where the cursor is.

The scripts know nothing: the table of verbs, of which argparse's parsers are made too, is asked each time. An answer
is one line a word, `word<TAB>description`; a first line `:files` asks the shell for names of files instead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ..errors import OK
from ..known_names import Names
from .verbs import GROUPS, JSON, STORE, VERBS, flag

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from ..output import Output
    from .verbs import Arg, Verb

SHELLS = ("bash", "zsh", "fish")
FILES = ":files"
HELP = flag("--help", "show what it takes")
DONE = ("complete", "deprecated")
OPEN_ONLY = (
    *("validate", "start", "claim", "release", "handover", "block", "unblock", "assign", "phase", "complete"),
    "deprecate",
)
DESCRIBED = 100  # letters of a description


class Word(NamedTuple):
    """One word that may stand there."""

    text: str
    about: str = ""


def completion(args: argparse.Namespace, out: Output) -> int:
    """Print the script of a shell."""
    out.say(script(args.shell).rstrip("\n"))
    return OK


def script(shell: str) -> str:
    from importlib.resources import files

    return (files("prpgate") / "shell" / f"prp.{shell}").read_text("utf-8")


def answer(given: Sequence[str], out: Output) -> int:
    """What a script asks: the shell, and the words of the line up to the cursor, the last one unfinished.

    bash gives the line as it is typed instead, and the characters that end a word for it.
    """
    shell, *words = given or [""]
    if shell not in SHELLS or not words or (shell == "bash" and len(words) != 2):
        return OK  # a script of another version
    if shell == "bash":
        words, prefix, quoted = _split(words[0], words[1])
        found = candidates(words)
        if found is None:
            out.say(FILES)
            return OK
        for one in found:
            text = one.text[len(prefix) :] if one.text.startswith(prefix) else None
            escaped = text if quoted else text and UNSAFE.sub(r"\\\1", text)
            if escaped is not None and (not quoted or not UNSAFE.search(escaped)):
                out.say(escaped)
        return OK
    words[-1] = words[-1].lstrip("'\"")  # an open quote is the shell's business
    found = candidates(words)
    if found is None:
        out.say(FILES)
    for one in found or ():
        out.pair(one.text, one.about[:DESCRIBED])
    return OK


# --- which words ------------------------------------------------------------------------------------------------------
def candidates(words: Sequence[str]) -> list[Word] | None:
    """What the last word may become, given those before it; None: a file."""
    *before, last = words or [""]
    names = Names.here()
    if before[:1] == ["help"]:
        before = before[1:]
        return _fitting(_verbs(before), last)
    found = _find(before)
    if found is None:
        more = [Word("--help", "every command"), Word("--version")] if not before and last.startswith("-") else []
        return _fitting([*_verbs(before), *more], last)
    name, rest = found
    further = _verbs(before) if not rest else []
    kind = _expected(VERBS[name], name, rest, last)
    if kind is _a_file:
        return None
    prefix = ""
    if last.startswith("--") and "=" in last:
        prefix = last.partition("=")[0] + "="
    return _fitting([*further, *(w._replace(text=prefix + w.text) for w in kind(names, last[len(prefix) :]))], last)


def _fitting(found: Iterable[Word], last: str) -> list[Word]:
    """Those that begin so; where none does, those that do with other capitals. What is no plain word is left out."""
    plain = [w for w in found if w.text and w.text.isprintable()]
    exact = [w for w in plain if w.text.startswith(last)]
    return exact or [w for w in plain if w.text.casefold().startswith(last.casefold())]


def _verbs(before: Sequence[str]) -> list[Word]:
    """Words of commands that begin with these."""
    found: dict[str, Word] = {}
    for group, verbs in GROUPS.items():
        for name, verb in verbs.items():
            parts = name.split(" ")
            if parts[: len(before)] == list(before) and len(parts) > len(before):
                word = parts[len(before)]
                whole = len(parts) == len(before) + 1
                if whole or word not in found:
                    found[word] = Word(word, verb.help if whole else group)
    if not before:
        found["help"] = Word("help", "what a command takes")
    return list(found.values())


def _find(before: Sequence[str]) -> tuple[str, list[str]] | None:
    for count in (2, 1):
        name = " ".join(before[:count])
        if len(before) >= count and name in VERBS:
            return name, list(before[count:])
    return None


def options(verb: Verb) -> list[Arg]:
    """Every option that a command takes."""
    return [*(a for a in verb.args if a.names[0].startswith("-")), *([JSON] if verb.json else []), STORE, HELP]


def _expected(verb: Verb, name: str, rest: Sequence[str], last: str) -> Callable[[Names, str], Iterable[Word]]:
    """What the last word is there for."""
    by_name = {n: a for a in options(verb) for n in a.names}
    places = [a for a in verb.args if not a.names[0].startswith("-")]
    given: set[str] = set()
    open_: Arg | None = None  # an option whose value may come next
    must = False
    only_places = False
    at = 0
    for word in rest:
        option = None if only_places else by_name.get(word.partition("=")[0])
        if word == "--" and not only_places:
            only_places, open_, must = True, None, False
        elif must or (open_ is not None and option is None):
            must = False
            open_ = open_ if open_ is not None and open_.more.get("nargs") in ("+", "*") else None
        elif option is not None:
            given.update(option.names)
            takes = option.more.get("action") != "store_true" and "=" not in word
            open_ = option if takes else None
            must = takes and option.more.get("nargs") not in ("?", "*")
        else:
            at += 1
    if last.startswith("--") and "=" in last and not only_places:
        option = by_name.get(last.partition("=")[0])
        return _values(name, option) if option is not None else _nothing
    if must and open_ is not None:
        return _values(name, open_)
    if last.startswith("-") and not only_places:
        again = {n for a in options(verb) if a.more.get("action") in ("append", "extend") for n in a.names}
        shown = [a for a in options(verb) if not set(a.names) & given or set(a.names) & again]
        return lambda _, __: [Word(n, _about(a)) for a in shown for n in a.names if n.startswith("--") or last == n]
    if open_ is not None:
        return _values(name, open_)
    if at < len(places):
        return _values(name, places[at])
    if places and places[-1].more.get("nargs") in ("*", "+"):
        return _values(name, places[-1])
    left = [a for a in options(verb) if not set(a.names) & given]
    return lambda _, __: [Word(a.names[-1], _about(a)) for a in left]


def _about(a: Arg) -> str:
    return str(a.more.get("help", "")).replace("%%", "%")


# --- what a value may be ---------------------------------------------------------------------------------------------
def _nothing(_: Names, __: str) -> list[Word]:
    return []


def _a_file(_: Names, __: str) -> list[Word]:
    """Stands for the shell's own completion of files."""
    return []


def _ids(names: Names, prefix: str) -> list[Word]:
    return [Word(k.id, f"{k.title} ({k.status})" if k.status else k.title) for k in names.prps(prefix)]


def _open_ids(names: Names, prefix: str) -> list[Word]:
    found = names.prps(prefix)
    still = [k for k in found if k.status not in DONE] or found
    return [Word(k.id, f"{k.title} ({k.status})" if k.status else k.title) for k in still]


def _agents(names: Names, _: str) -> list[Word]:
    return [Word(name) for name in names.agents()]


def _recipients(names: Names, _: str) -> list[Word]:
    return [
        *_agents(names, ""),
        *(Word(f"@{r}", "who has this role") for r in names.roles()),
        Word("@all", "everybody"),
    ]


def _statuses(_: Names, given: str) -> list[Word]:
    from ..model import STATUSES

    before = given.rpartition(",")[0]
    return [Word(f"{before},{s}" if before else s) for s in STATUSES]


def _events(_: Names, given: str) -> list[Word]:
    from ..messages.feed import KNOWN

    before = given.rpartition(",")[0]
    return [Word(f"{before},{e}" if before else e) for e in KNOWN]


def _priorities(_: Names, __: str) -> list[Word]:
    return [Word(p) for p in ("low", "normal", "high", "urgent")]


KINDS: dict[str, Callable[[Names, str], Iterable[Word]]] = {
    "ID": _ids,
    "LANE": lambda names, _: [Word(b) for b in names.lanes()],
    "BRANCH": lambda names, _: [Word(b) for b in names.branches()],
    "AGENT": _agents,
    "TO": _recipients,
    "ROLE": lambda names, _: [Word(r) for r in names.roles()],
    "PHASE": lambda names, _: [Word(p) for p in names.phases()],
    "STATUS": _statuses,
    "EVENT": _events,
    "P": _priorities,
    "PATH": _a_file,
    "FILE": _a_file,
}
# What nobody here can know; every other metavar is a kind, or a test fails.
FREE = (
    *("TITLE", "TEXT", "WHY", "N", "SECONDS", "MSGID", "SHA", "URL", "NAME", "1h|EVENT_ID", "OWNER/REPO@SHA"),
    *("BASE", "OURS", "THEIRS", "HOST", "TOKEN"),
)
SPECIAL: dict[tuple[str, str], Callable[[Names, str], Iterable[Word]]] = {
    ("init", "--project"): _nothing,
    ("new", "--id"): _nothing,
    ("list", "--domain"): lambda names, _: [Word(d) for d in names.domains()],
    ("next", "--domain"): lambda names, _: [Word(d) for d in names.domains()],
    ("whoami", "--set"): _agents,
    ("hook", "args"): _a_file,
    **{(verb, "id"): _open_ids for verb in OPEN_ONLY},
}


def _values(verb: str, of: Arg) -> Callable[[Names, str], Iterable[Word]]:
    if "choices" in of.more:
        return lambda _, __: [Word(str(c)) for c in of.more["choices"]]
    special = next((SPECIAL[verb, n] for n in of.names if (verb, n) in SPECIAL), None)
    return special or KINDS.get(str(of.more.get("metavar")), _nothing)


# --- bash -------------------------------------------------------------------------------------------------------------
UNSAFE = re.compile(r"([^\w@%+=:,./-])", re.ASCII)


def _split(line: str, breaks: str) -> tuple[list[str], str, bool]:
    """The words of a bash line behind the command's name, the last one unfinished; the part of that one that stands
    before what bash calls the word; and whether it is inside quotes."""
    words, word, raw_from, quote, n = list[str](), "", 0, "", 0
    started = False
    while n < len(line):
        c = line[n]
        if quote:
            if c == quote:
                quote = ""
            elif c == "\\" and quote == '"' and line[n + 1 : n + 2] in ('"', "\\", "$", "`"):
                n += 1
                word += line[n]
            else:
                word += c
        elif c in "'\"":
            quote, started = c, True
            raw_from = n + 1
        elif c == "\\":
            n += 1
            word, started = word + line[n : n + 1], True
        elif c.isspace():
            if started or word:
                words.append(word)
            word, started, raw_from = "", False, n + 1
        else:
            word += c
        n += 1
    words.append(word)
    if quote:
        return words[1:], word[: len(word) - len(line[raw_from:])] if word.endswith(line[raw_from:]) else "", True
    cut = max((word.rfind(b) for b in breaks if not b.isspace() and b not in "'\""), default=-1)
    if cut >= 0 and word[cut] not in "@$":  # these two belong to the word that follows, for readline
        cut += 1
    return words[1:], word[: max(cut, 0)], False
