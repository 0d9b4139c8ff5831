"""status, list, new, validate, start, complete, reopen, check."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

from .. import ops
from ..errors import OK, REFUSED, UsageError
from ..gitrepo import lane_of
from ..messages import lane as words
from ..messages.ledger import command_in
from ..model import STATUSES
from ..output import inert
from .mail import unread_note

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from ..output import Output
    from ..prps import Context, Done, PrpState

# -a: the milestone was just written to the ledger; a file that git does not know is added first (`_as_it_works_here`).
COMMIT = 'git commit -a -m "feat({id}): what you did" && git push'
COMMIT_DONE = 'git commit -a -m "{id}: complete" && git push'


NO_SMOKE = "No [[smoke]] step is declared in prp.toml, so nothing can become green: declare one, and land that."


def _claim_words(p: PrpState) -> str:
    if p.claim and p.claim.live and p.claim.suspect:
        return f"{p.claim.agent}, suspect, anybody's in {words.span(p.claim.over_s)}"
    if p.claim and p.claim.live:
        return f"{p.claim.agent}, {words.span(p.claim.deadline_s)} left"
    return p.owner or ""


def _status_words(p: PrpState) -> str:
    more = [x for x in (p.phase or p.stage, "blocked" if "blocked" in p.marks else None) if x]
    return f"{p.status} ({', '.join(more)})" if more else p.status


def status(args: argparse.Namespace, out: Output) -> int:
    from .. import gates
    from ..messages import gates as said
    from ..messages.prps import unknown

    session = ops.Session(url=args.redis_url)
    state = ops.read_state(session)
    if args.id:
        p = state.resolve(args.id)
        if p is None:
            raise unknown(args.id, state)
        _show(p, out)
        left = notes_of(session, p, out)
        gate_runs = gates.last(session.repo.git_dir, p.id)
        for run in gate_runs:
            out.say("  " + said.last_run(run), colour="red" if run.result == "red" else None)
        out.answer(prp=ops.prp_json(p, whole=True), notes=left, gates=[run._asdict() for run in gate_runs])
        return OK
    counts = {s: sum(p.status == s for p in state.prps.values()) for s in STATUSES}
    out.say(f"{session.config.project}: {words.counted(len(state.prps), 'PRP')}", colour="bold")
    if state.prps:
        out.say("  " + ", ".join(f"{n} {s}" for s, n in counts.items() if n))
    mine = [p for p in state.prps.values() if p.claim and p.claim.live and p.claim.agent == session.agent.name]
    for p in mine:
        out.say(f"  yours: {p.id}  {inert(p.title)}  ({words.span(p.claim.deadline_s if p.claim else 0)} left)")
    for name in session.lanes():
        out.say("  " + words.lane_line(session.lock(name).state()))
    if not state.prps:
        out.say('The ledger is empty. prp new "title" adds the first PRP.')
    out.answer(
        project=session.config.project,
        agent=session.agent.name,
        counts=counts,
        yours=[p.id for p in mine],
        lanes=[ops.lane_json(session.lock(name).state()) for name in session.lanes()] if out.json else [],
    )
    unread_note(session, out)
    return OK


def _show(p: PrpState, out: Output) -> None:
    from ..messages.claims import leftover

    out.say(f"{p.id}  {inert(p.title)}", colour="bold")
    rows: list[tuple[str, object]] = [("status", _status_words(p)), ("recorded", p.recorded or "not yet")]
    if p.claim:
        place = (
            f"{p.claim.branch or 'no branch'} on {p.claim.host}" if p.claim.host else "handed over, not taken up yet"
        )
        where = f"fence {p.claim.fence}, {place}"
        rows.append(("claim", f"{_claim_words(p) if p.claim.live else leftover(p.claim.agent, p.status)} ({where})"))
    said = p.marks.get("blocked"), p.marks.get("assigned")
    rows += [("blocked", f"{said[0]['reason']} (by {said[0]['by']})")] if said[0] else []
    rows += [("assigned", f"{said[1]['agent']} (by {said[1]['by']})")] if said[1] else []
    shown = {"title", "status", "id"}
    rows += [(k, _plain(v)) for k, v in p.fields.items() if k not in shown and v not in (None, "", [])]
    out.table([("  " + k, v) for k, v in rows])
    for line in p.orphaned:
        out.say(f"  without effect: {line.verb} {line.seal} (the lane went on without it)", colour="yellow")


def _plain(value: Any) -> str:
    """A field as people read it: lists with commas, `exclusive: src/auth/**; shared: docs/*.md`."""
    if isinstance(value, dict):
        return "; ".join(f"{k}: {_plain(v)}" for k, v in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)


def notes_of(session: ops.Session, p: PrpState, out: Output) -> list[dict[str, str]]:
    from .. import prps

    left = prps.notes(session.store(), p.id)
    for n in left:
        first, *rest = n.text.splitlines() or [""]  # a line of its own would pass for one of ours
        out.say(f"  note of {n.agent}, {n.at}: {first}")
        for line in rest:
            out.say(f"  | {line}")
    return [n._asdict() for n in left]


def list_(args: argparse.Namespace, out: Output) -> int:
    wanted = [s.strip().replace("-", "_") for s in (args.status or "").split(",") if s.strip()]
    if bad := [s for s in wanted if s not in STATUSES]:
        raise UsageError(f"{bad[0]!r} is no status ({', '.join(STATUSES)}).", code="usage", next_action="prp list")
    session = ops.Session(url=args.redis_url)
    globs: tuple[str, ...] = ()
    if args.domain:
        from ..prps import domain_of

        globs = domain_of(session.context(), args.domain)
    found: list[PrpState] = []
    widths: list[int] = []
    for page in ops.in_pages(session, wanted, globs):
        if page and not out.json:
            out.table(
                [(p.id, p.priority, _status_words(p), _claim_words(p), p.title) for p in page],
                head=() if found else ("ID", "PRIO", "STATUS", "WHO", "TITLE"),
                widths=widths,
            )
        found += page
    out.answer(prps=[ops.prp_json(p) for p in found])
    if not found:
        out.note(_nothing(session, wanted))
    return OK


def _nothing(session: ops.Session, wanted: list[str]) -> str:
    from ..prps import is_empty

    if is_empty(session.store()):
        return 'The ledger is empty. prp new "title" adds the first PRP.'
    return f"No PRP is {' or '.join(wanted) or 'in that domain'}. prp list shows all."


def verb(
    args: argparse.Namespace,
    out: Output,
    act: Callable[[Context], Done],
    said: Callable[[PrpState], str],
    then: str,
    *,
    whole: bool = True,
) -> int:
    session = ops.Session(url=args.redis_url)
    if whole:
        ops.read_state(session)
    else:
        ops.greet(session)
    try:
        done = act(session.context())
    except KeyboardInterrupt:
        out.note("It may have been done before it was stopped. The same command again tells, and finishes it.")
        raise
    out.say(said(done.prp) + (" (it was already so)" if done.already else "."), colour="green")
    for note in done.notes:
        out.say(note)
    if done.changed_file:
        out.say(f"Written to {done.changed_file}; commit it with the work.")
    then = then if done.then is None else done.then.replace("{", "{{").replace("}", "}}")
    if then.startswith("git commit -a") and not done.changed_file:
        then = "prp status {id}"
    action = _as_it_works_here(session, done.changed_file, then.format(id=done.prp.id))
    out.say(f"  {action}")
    claim = done.prp.claim
    out.answer(
        prp=ops.prp_json(done.prp, whole=True),
        already=done.already,
        changed_file=done.changed_file,
        notes=list(done.notes),
        fence=claim.fence if claim else None,
        lease_s=claim.deadline_s if claim else None,
        next_action=action,
    )
    return OK


def _as_it_works_here(session: ops.Session, file: str | None, command: str) -> str:
    """A `git commit -a && git push` that also takes a ledger file which git does not know yet, and from a branch that
    is no lane lands: such a branch often has no upstream to push to."""
    if not file or not command.startswith("git commit -a"):
        return command
    repo, config = session.repo, session.config
    if lane_of(config, config.remote, f"refs/heads/{repo.branch}") is None:
        command = command.replace("&& git push", "&& prp land")
    known = repo.maybe("ls-files", "--", f":/{file}")
    return command if known else f"git add {quote(':/' + file)} && {command}"


def new(args: argparse.Namespace, out: Output) -> int:
    from .. import doc_links, prps

    if not args.title.strip() and args.fix_for is None:
        raise UsageError("a PRP needs a title.", code="usage", next_action='prp new "title"')
    if args.draft and args.fix_for is not None:
        raise UsageError(
            "the store knows what is red: --draft or --fix-for.", code="usage", next_action="prp new --help"
        )
    if args.draft:
        from .drafts import new as draft

        return draft(args, out)

    def made(ctx: Context) -> Done:
        doc = doc_links.from_here(ctx.repo, args.doc)
        if args.fix_for is not None:
            return prps.new_fix(ctx, args.fix_for, args.title, id=args.new_id, doc=doc)
        return prps.new(ctx, args.title, id=args.new_id, doc=doc)

    return verb(
        args,
        out,
        made,
        lambda p: f"{p.id} is new: {inert(p.title)}",
        "prp validate {id}",
    )


def validate(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    return verb(
        args,
        out,
        lambda ctx: prps.validate(ctx, args.id, on_line=lambda step, line: out.note(f"{step} | {line}")),
        lambda p: f"{p.id} is validated",
        "prp start {id}",
    )


def start(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    def said(p: PrpState) -> str:
        left = f" for {words.span(p.claim.deadline_s)} (any prp command renews it)" if p.claim else ""
        return f"{p.id} is yours{left}: {inert(p.title)}"

    act = prps.start_on_branch if args.branch else prps.start
    return verb(args, out, lambda ctx: act(ctx, args.id), said, COMMIT)


def complete(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    if args.undo:
        return verb(
            args,
            out,
            lambda ctx: prps.complete_undo(ctx, args.id),
            lambda p: f"{p.id} is in progress again",
            "prp status {id}",
        )

    from .. import policy
    from ..gitrepo import Repo

    provable = bool(policy.require(Repo.found()).smoke)

    def said(p: PrpState) -> str:
        if p.status == "complete":
            return f"{p.id} is complete: {p.fields.get('verdict') or p.fields.get('github_commit') or 'recorded'}"
        return f"{p.id} is completing: it is complete once this line has landed and the smoke gate is green on it"

    def act(ctx: Context) -> Done:
        done = prps.complete(ctx, args.id, on_line=lambda step, line: out.note(f"{step} | {line}"))
        # A refusal says it itself.
        return done if provable else done._replace(notes=[*done.notes, NO_SMOKE])

    return verb(args, out, act, said, COMMIT_DONE)


def reopen(args: argparse.Namespace, out: Output) -> int:
    from .. import prps

    return verb(
        args,
        out,
        lambda ctx: prps.reopen(ctx, args.id, args.reason),
        lambda p: f"{p.id} is in progress again, and yours",
        COMMIT,
    )


def check(args: argparse.Namespace, out: Output) -> int:
    if sum((args.all, args.staged, bool(args.paths))) > 1:
        raise UsageError("--all, --staged and paths: one at a time.", code="usage", next_action="prp check --help")
    if args.paths:
        found = ops.check_paths(args.paths)
        judged = ", ".join(args.paths)
    else:
        session = ops.Session(url=args.redis_url)
        if args.all:
            found, judged = ops.check_all(session.repo, session.config), session.config.ledger_path
        else:
            found, judged = ops.check_staged(session.repo, session.config), "what is staged"
    errors = [f for f in found if f.severity == "error"]
    if out.json:
        shape: dict[str, Any] = {"findings": [ops.finding_json(f) for f in found]}
        if errors:
            fix = errors[0].fix
            said = f"{words.counted(len(errors), 'error')} in {judged}"
            out.refused_with(said, "findings", command_in(fix), hint=fix, **shape)
        else:
            out.answer(**shape)
        return REFUSED if errors else OK
    out.findings(found, github=args.github)
    if not args.github:
        for fix in dict.fromkeys(f.fix for f in errors if f.fix):
            out.say(f"  {fix}")
        rest = words.counted(len(found) - len(errors), "remark")
        said = "no findings" if not found else f"{words.counted(len(errors), 'error')}, {rest}"
        out.note(f"{judged}: {said}")
    return REFUSED if errors else OK
