"""Which PRPs a commit message claims to work on, and which it only mentions. Offline, and without YAML.

Claimed: ids in a subject's scope or before its colon (`feat(P2-040): x`, `P2-040: x`), and in `Prp:` trailers, which
may stand anywhere (a squash keeps the trailers of what it squashed). Merges and reverts claim nothing by their subject.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from .id_pattern import MOST, inside
from .messages import ledger as say
from .model import ERROR, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class Named(NamedTuple):
    """An id in a message. Line and column count from 1, in the file as git gives it."""

    id: str
    line: int
    column: int
    claimed: bool


def _lines(message: str) -> list[tuple[int, str]]:
    """The lines that git will keep, with their numbers."""
    cut = re.search(r"(?m)^# -{8,} >8 -{8,}", message)
    kept = message[: cut.start()] if cut else message
    return [(n, line) for n, line in enumerate(kept.split("\n"), 1) if not line.startswith("#") and line.strip()]


def named(message: str, id_pattern: str) -> list[Named]:
    """Every id in a message, in order. A `Prp:` trailer claims all it holds; `other-repo#ID` is another project's."""
    bare = re.compile(rf"(?<![\w#-]){inside(id_pattern)}(?![\w-])")
    exact = re.compile(id_pattern)

    def whole(word: str) -> bool:
        return "#" in word or (len(word) <= MOST and exact.fullmatch(word) is not None)

    found: list[Named] = []
    for count, (number, line) in enumerate(_lines(message)):
        if (start := _trailer(line, whole, subject=not count)) is not None:
            for word in re.finditer(r"[^\s,;]+", line[start:]):
                if "#" not in word[0]:
                    found.append(Named(word[0], number, start + word.start() + 1, True))
            continue
        first, last = (0, 0) if count else _claimed_part(line, whole)
        for word in re.finditer(r"[\w.#-]+", line):
            if word.end() - word.start() > MOST:
                continue  # no id, and a pattern may take long over it (`id_pattern`)
            for m in bare.finditer(line, word.start(), word.end()):
                if m[0]:
                    found.append(Named(m[0], number, m.start() + 1, first <= m.start() and m.end() <= last))
    return found


def _trailer(line: str, whole: Callable[[str], bool], subject: bool) -> int | None:
    """Where the value of a `Prp:` line begins. Prose after it ("PRP: a prompt that ...") makes it none."""
    start = re.match(r"(?i)prp[ \t]*:", line)
    if not start:
        return None
    value = line[start.end() :]
    ids = all(whole(word) for word in re.split(r"[\s,;]+", value.strip(" ,;\t\r")))
    one_word_each = not any(len(item.split()) > 1 for item in re.split("[,;]", value))
    return start.end() if ids or (one_word_each and not subject) else None


def _claimed_part(subject: str, whole: Callable[[str], bool]) -> tuple[int, int]:
    """Where in a subject an id is a claim: in the scope, or in what is nothing but ids before the colon."""
    again = re.match(r"((fixup|squash|amend)! *)+", subject)
    start = again.end() if again else 0
    if re.match(r"(Merge|Revert|Reapply)\b", subject[start:]):
        return 0, 0
    if scope := re.match(r"[A-Za-z][\w-]*\(([^()]*)\)!?:", subject[start:]):
        return start + scope.start(1), start + scope.end(1)
    head, colon, _ = subject[start:].partition(":")
    only_ids = bool(colon) and all(whole(word) for word in re.split(r"[\s,;]+", head.rstrip("!").strip()))
    return (start, start + len(head)) if only_ids else (0, 0)


def message_ids(message: str, id_pattern: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(claimed, only mentioned) ids of a message, each once, in order."""
    ids = named(message, id_pattern)
    claimed = dict.fromkeys(n.id for n in ids if n.claimed)
    return tuple(claimed), tuple(dict.fromkeys(n.id for n in ids if n.id not in claimed))


def check_message(
    message: str,
    known: Callable[[str], bool],
    id_pattern: str,
    *,
    ids: Collection[str] = (),
    file: str = "commit message",
    everything: bool = False,
) -> list[Finding]:
    """A claim of an unknown PRP is an error, a mention a warning. `ids` are what may have been meant instead;
    `everything`: the message is of a `git commit -a`."""
    found: list[Finding] = []
    told: set[str] = set()
    for one in sorted(named(message, id_pattern), key=lambda n: not n.claimed):
        if one.id in told or known(one.id):
            continue
        told.add(one.id)
        close: list[str] = []
        if ids:
            from difflib import get_close_matches

            close = get_close_matches(one.id, ids, 2, 0.75)
        said = say.unknown_claim(close, everything) if one.claimed else say.unknown_mention(close)
        severity, code = (ERROR, "PRP150") if one.claimed else (WARNING, "PRP151")
        found.append(Finding(code, severity, file, one.line, one.column, one.id, said.message, said.fix))
    return found
