"""What findings about ledgers and commit messages say: the fact in one line, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import Finding

STAGED = "Not committed; your staging is unchanged."
STATUS_LIST = "new, validated, in_progress, complete, deprecated"


class Said(NamedTuple):
    """A finding's two sentences."""

    message: str
    fix: str | None = None


def quoted(value: object) -> str:
    """A value as it is shown inside a sentence: on one line, and never longer than the sentence."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(value)[:80])
    return f'"{text}"' if len(str(value)) <= 80 else f'"{text}..."'


def _word(path: str) -> str:
    """A path as a shell takes it."""
    import shlex

    return shlex.quote(path)


def place(finding: Finding) -> str:
    """A finding's first line: code, place, PRP, fact."""
    subject = ("" if finding.severity == "error" else "warning: ") + (f"{finding.id}: " if finding.id else "")
    return f"{finding.code} {finding.file}:{finding.line}:{finding.column}  {subject}{finding.message}"


def refusal(findings: Sequence[Finding], outcome: str = STAGED) -> str:
    """Findings as a refused commit shows them: each with its place and fix; the outcome, and a fix, said once."""
    lines: list[str] = []
    told = {None, ""}
    for n, finding in enumerate(findings):
        lines.append(place(finding))
        next_line = [outcome] if n == 0 and outcome else []
        if finding.fix not in told:
            told.add(finding.fix)
            next_line.append(str(finding.fix))
        if next_line:
            lines.append(" ".join(next_line))
    return "\n".join(lines)


def command_in(fix: str | None) -> str | None:
    """The command that a fix names, for programs; None where somebody has to decide first."""
    lines = (fix or "").splitlines()
    named = [line.strip() for line in lines[1:] if line.startswith("  ")]
    if named:
        return named[-1]
    return lines[0] if len(lines) == 1 and lines[0].startswith(("prp ", "git ")) and "TITLE" not in lines[0] else None


def and_more(shown: Sequence[str], total: int) -> str:
    more = total - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


# --- reading ---------------------------------------------------------------------------------------------------------
def not_utf8(byte: int, utf16: bool) -> Said:
    if utf16:
        return Said("the file is UTF-16, a ledger is UTF-8", "Save it as UTF-8, then git add.")
    return Said(f"byte 0x{byte:02x} is no UTF-8", "Save the file as UTF-8, then git add.")


def unseen_character(char: str) -> Said:
    name = {"\0": "a NUL", "\r": "a lone carriage return", "\ufeff": "a byte order mark inside the text"}.get(
        char, "a line break or control character that editors do not show"
    )
    return Said(
        f"{name} (U+{ord(char):04X})",
        'Take it out, or write it in double quotes as an escape ("\\u2028"), then git add.',
    )


def conflict_marker(mark: str) -> Said:
    return Said(
        f"a conflict marker ({mark}) was left in the ledger",
        "Keep one side's whole entry (status to evidence), take the markers out, then git add.",
    )


def not_yaml(problem: str, context: str, since_line: int | None) -> Said:
    fact = "not YAML: " + (problem or "cannot be read") + (f" ({context}" if context else "")
    if context:
        fact += f" that began on line {since_line})" if since_line else ")"
    if "mapping values are not allowed" in problem:
        fix = "Put quotes around a text that holds a colon and a space, or mend the indentation."
    elif "cannot start any token" in problem:
        fix = "Indent with spaces, not tabs; put quotes around a text that begins with @, ` or %."
    elif "quoted scalar" in context:
        fix = "Close the quote."
    elif "block" in context or "expected ':'" in problem:
        fix = 'Every line is "key: value", indented like the lines beside it.'
    else:
        fix = "Mend the line, then git add."
    return Said(fact, fix)


def not_taken(what: str) -> Said:
    return Said(f"{what} has no place in a ledger", "Write the value out where it is meant, then git add.")


def key_twice(name: str, first_line: int) -> Said:
    return Said(
        f"the key {quoted(name)} is there twice, first on line {first_line}", "Keep one of the two, then git add."
    )


def too_big(limit: int) -> Said:
    return Said(
        f"the file is larger than {limit // (1024 * 1024)} MB, more than a ledger can be",
        "Take out what is no PRP record, or keep one file per PRP.",
    )


def too_deep(limit: int) -> Said:
    return Said(f"nested deeper than {limit} levels", "A ledger needs three levels. Take the nested value out.")


def too_many(limit: int) -> Said:
    return Said(f"more than {limit} values in one file", "Take out what is no PRP record, or keep one file per PRP.")


def no_form(found: str) -> Said:
    return Said(
        f'no ledger: {found}, but a tracking file has the key "prp_tracking", and a PRP\'s own file begins with "id"',
        "Check ledger.path in prp.toml, or put the entries under prp_tracking.",
    )


def empty_file() -> Said:
    return Said("the ledger is empty", "prp new TITLE")


def no_entry(found: str) -> Said:
    return Said(f"an entry is made of fields, this is {found}", 'Give it at least "title" and "status: new".')


def id_twice(where: str) -> Said:
    return Said(
        f"this id is there twice, first at {where}", "Keep one entry, or give the other a new id, then git add."
    )


def file_name(wanted: str, file: str) -> Said:
    return Said(
        f'the file is named otherwise; a PRP\'s own file is named by its id, "{wanted}"',
        f"git mv {_word(file)} {_word(wanted)}",
    )


def alias_twice(alias: str, ids: Sequence[str]) -> Said:
    return Said(
        f"{quoted(alias)} stands for {and_more(ids[:3], len(ids))}, so it names none of them",
        "Correct stable_id or legacy_id in all but one, then git add.",
    )


# --- schema ----------------------------------------------------------------------------------------------------------
def no_status(value: object, was: str | None, verb: str | None, wanted: str | None) -> Said:
    fact = "there is no status" if value is None else f"{quoted(value)} is no status"
    fix = restore("status", was, verb) if was else f"Set status: {wanted or 'new'}, then git add."
    return Said(f"{fact} ({STATUS_LIST})", fix)


def no_title(value: object) -> Said:
    fact = "there is no title" if value in (None, "") else f"the title is no text but {quoted(value)}"
    return Said(fact, 'Give it a title of one line, such as "title: Fix login cache", then git add.')


def id_shape(prp_id: str, pattern: str | None) -> Said:
    wanted = f"the id_pattern {pattern} of prp.toml" if pattern else "letters, digits, . _ and -, at most 64"
    return Said(
        f"{quoted(prp_id)} is no PRP id ({wanted})", "prp new TITLE finds a free id; use that one, then git add."
    )


def restore(field: str, was: object, verb: str | None) -> str:
    """How to take a hand edit back, and the verb that does it right."""
    text = f"Restore {quoted(was)}" if field == "status" else f"Restore {field} to {quoted(was)}"
    return f"{text}, git add, then:\n  {verb}" if verb else f"{text}, then git add."


def back(field: str, was: object) -> str:
    to = "null" if was is None else quoted(was)
    return to if field == "status" and was is not None else f"{field} to {to}"


def by_hand(fields: Sequence[str], rev: str, undo: Sequence[str], verb: str | None, owner: str | None) -> Said:
    then = (f", then, if you are {quoted(owner)}: " if owner else ", then:\n  ") + verb if verb else "."
    what = f"{and_more(fields[:4], len(fields))} edited by hand under seal {rev}; only prp commands write what it seals"
    return Said(what, f"Restore {and_more(undo[:4], len(undo))}, git add{then}")


def seal_wrong(rev: str) -> Said:
    return Said(
        f"the seal {rev} is not this entry's: it was edited by hand, or a merge mixed two sides",
        "Take the whole entry from one side (git log -p shows them), then git add.",
    )


def seal_malformed(rev: object) -> Said:
    return Said(f'{quoted(rev)} is no seal, which looks like "4-3fa9c1b2"', "Restore the line as it was, then git add.")


def seal_lost(was: str) -> Said:
    return Said(f"the line rev: {was} is gone", f'Put "rev: {was}" back under status, then git add.')


def status_by_hand(was: str, now: str, verb: str | None) -> Said:
    return Said(f"the status went from {quoted(was)} to {quoted(now)} by hand", restore("status", was, verb))


def deprecated_by_hand() -> Said:
    return Said("deprecated by hand; the store is told when it lands", None)


def old_field_by_hand(fields: Sequence[str]) -> Said:
    return Said(f"{and_more(fields[:4], len(fields))} edited by hand; nothing proves it", None)


def half_a_milestone(field: str, status: str) -> Said:
    return Said(
        f"{field} came to an entry that is {quoted(status)}: half of a milestone, without its status and rev",
        f"Take the whole group of that milestone, or remove {field}, then git add.",
    )


def no_way(was: str, now: str, steps: int, rise: int, verb: str | None) -> Said:
    if steps < 0:
        fact = f"no way leads from {quoted(was)} to {quoted(now)}"
    else:
        fact = f"from {quoted(was)} to {quoted(now)} takes {steps} milestones, but the seal rose by {rise}"
    return Said(fact, restore("status", was, verb))


def went_back(was: str, now: str) -> Said:
    return Said(
        f"the entry goes back from {was} to {now}", "If this takes nothing back, keep the newer entry, then git add."
    )


def forked(was: str, now: str) -> Said:
    return Said(
        f"{now} stands where {was} stood: two milestones with one number, only one will count", "prp redis-sync"
    )


def removed() -> Said:
    return Said(
        "the entry is gone; a PRP that is not wanted is deprecated, never removed", "Put it back:\n  git diff HEAD"
    )


def ledger_removed(count: int, file: str) -> Said:
    return Said(
        f"the ledger with its {count} PRP{'' if count == 1 else 's'} is gone",
        f"Take it back:\n  git checkout HEAD -- {_word(':/' + file)}",
    )


def new_with_status(value: str, verb: str) -> Said:
    return Said(
        f"a PRP begins as new, this one is written as {quoted(value)}", f"Set status: new, git add, then:\n  {verb}"
    )


def new_with_rev(rev: str) -> Said:
    return Said(
        f"a new entry carries the seal {rev}, which is not its own",
        "Take the rev line out and set status: new, then git add.",
    )


# --- merges ----------------------------------------------------------------------------------------------------------
def merge_mixed(revs: Sequence[str]) -> Said:
    return Said(
        f"the merge wrote an entry that neither parent has ({' and '.join(revs)})",
        "Take status to evidence whole from one side, then git add; new milestones come after the merge.",
    )


def merge_older(now: str | None, newer: str) -> Said:
    return Said(
        f"the merge keeps {now or 'the entry without a seal'}, a parent has the newer {newer}",
        f"Take status to evidence from the side with rev {newer}, then git add.",
    )


def merge_lost(newest: str) -> Said:
    return Said(
        f"the merge dropped the entry (a parent has it as {newest})", "Take it back from that parent, then git add."
    )


def bare_complete(rev: str, prp_id: str) -> Said:
    return Said(
        f"complete ({rev}), but only the ledger changes and there is no evidence",
        f"Let it travel in the commit that carries the work, or take it back:\n  prp complete {prp_id} --undo",
    )


# --- dependencies ----------------------------------------------------------------------------------------------------
def unknown_dependency(name: str, nearest: Sequence[str]) -> Said:
    return Said(
        f"depends on {quoted(name)}, which is in no ledger{_did_you_mean(nearest)}", "Correct depends_on, then git add."
    )


def ambiguous_dependency(name: str) -> Said:
    return Said(f"depends on {quoted(name)}, which several PRPs answer to", "Name one by its own id, then git add.")


def dependency_shape(value: object) -> Said:
    return Said(f"depends_on is {quoted(value)}, not ids", "Write it as [P2-020, P2-030], then git add.")


def cycle(ids: Sequence[str]) -> Said:
    shown = [*ids[:10], f"... {len(ids) - 12} more ...", *ids[-2:]] if len(ids) > 20 else ids
    return Said(f"waits for itself: {' -> '.join(shown)}", "Take one of these out of depends_on, then git add.")


def unknown_successor(name: str) -> Said:
    return Said(f"superseded_by names {quoted(name)}, which is in no ledger", "Correct superseded_by.")


# --- remarks ---------------------------------------------------------------------------------------------------------
def stale_stats(differences: Sequence[str], total: int) -> Said:
    return Said(f"stats are stale: {and_more(differences, total)}", "prp ledger tidy")


def shared_url(url: str, ids: Sequence[str]) -> Said:
    return Said(
        f"{quoted(url)} is the run of {len(ids)} PRPs ({and_more(ids[:3], len(ids))}): a placeholder proves nothing"
    )


def shared_commit(commit: str, ids: Sequence[str]) -> Said:
    return Said(f"commit {quoted(commit)} stands for {len(ids)} PRPs ({and_more(ids[:3], len(ids))})")


def no_evidence() -> Said:
    return Said("complete, with no commit, run or verdict to show for it")


def times_backwards(first: str, second: str) -> Said:
    return Said(f"{second} lies before {first}")


# --- commit messages -------------------------------------------------------------------------------------------------
def _did_you_mean(nearest: Sequence[str]) -> str:
    return f" (did you mean {' or '.join(nearest)}?)" if nearest else ""


def unknown_claim(nearest: Sequence[str], everything: bool = False) -> Said:
    """`everything`: it was a `git commit -a`, of which nothing is staged once it was refused."""
    return Said(
        f"the message claims a PRP that is in no ledger{_did_you_mean(nearest)}",
        "Correct it (prp list shows all ids; another project's is written Prp: other-repo#ID):\n"
        f'  git commit {"-a " if everything else ""}-e -F "$(git rev-parse --git-path COMMIT_EDITMSG)"',
    )


def unknown_mention(nearest: Sequence[str]) -> Said:
    return Said(f"the message mentions a PRP that is in no ledger{_did_you_mean(nearest)}")


# --- writing ---------------------------------------------------------------------------------------------------------
def changed_underneath(path: str) -> str:
    return f"{path} was changed by somebody else in this moment. Nothing was written."


def cannot_edit(file: str, prp_id: str, why: str) -> str:
    return f"{file}: the entry of {prp_id} cannot be changed: {why}. Nothing was written."


def unreadable(file: str, first: Finding, total: int) -> str:
    more = f" (and {total - 1} more)" if total > 1 else ""
    return f"{file} cannot be read as a ledger: line {first.line}, {first.message}{more}. Nothing was written."


def cannot_write(path: str, why: Any) -> str:
    return f"{path} could not be written: {why}. It is as it was."
