"""PRPs written without a store: an entry under a temporary id, that gets a number once there is one to ask.

A draft is an ordinary hand-written entry (status new, no seal). It may be committed and pushed to any branch; a lane
refuses it (PRP114), so that a temporary id is never recorded.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from . import ledger, ledger_edit, milestones
from .errors import UserError
from .ledger import SINGLE
from .ledger_scan import DRAFT, is_draft
from .ledger_text import BOM, read
from .messages import drafts as say
from .messages import prps as refusals
from .model import NEW

if TYPE_CHECKING:
    from .config import Config
    from .gitrepo import Repo
    from .ledger import Ledger
    from .milestone import Context
    from .model import Prp

TRIES = 20  # other writers of the same file that may be first


class Numbered(NamedTuple):
    """A draft and the number that it got."""

    draft: str
    id: str
    file: str


def new(repo: Repo, config: Config, title: str, doc: str | None = None) -> tuple[str, str]:
    """(temporary id, file). Asks no store. Raises UserError when the ledger cannot be read or written."""
    title = " ".join(title.split())
    if not title:
        raise refusals.no_title()
    prp_id = f"{DRAFT}{os.urandom(4).hex()}"
    file = f"{config.ledger_path}{prp_id}.yaml" if config.one_file_per_prp else config.ledger_path
    fields = {"title": title, "status": NEW, **({"doc": doc} if doc else {})}
    for n in range(TRIES):
        old = _tree(repo, config).files.get(file)
        try:
            ledger_edit.write(os.path.join(repo.top, file), old, ledger_edit.add(old, file, prp_id, fields))
            break
        except UserError as e:
            if e.code != "changed-underneath" or n == TRIES - 1:
                raise
    return prp_id, file


def number(ctx: Context) -> list[Numbered]:
    """Give every draft of the working tree an id that nobody else gets, and name it so wherever it is depended on.

    Each becomes a new PRP in the store as `prp new` makes one. Raises StoreDown, UserError.
    """
    done = []
    for draft in [p for p in _tree(ctx.repo, ctx.config).prps.values() if is_draft(p.id)]:
        if draft.status != NEW or draft.rev is not None:
            raise say.no_draft(draft)

        def place(file: str, prp_id: str, fields: dict[str, Any], draft: Prp = draft) -> None:
            _rename(ctx, draft, file, prp_id, fields)

        half = _half_done(ctx, draft)
        if half is not None:
            _end(ctx, draft, half.id)
            done.append(Numbered(draft.id, half.id, half.file))
            continue
        doc = draft.fields.get("doc")
        made = milestones.new(ctx, draft.title, doc if isinstance(doc, str) else None, place=place)
        done.append(Numbered(draft.id, made.prp.id, made.changed_file or ""))
    return done


def _tree(repo: Repo, config: Config) -> Ledger:
    tree = ledger.load(repo, config, None)
    if tree.errors:
        raise refusals.unreadable(tree.errors[0])
    return tree


def _rename(ctx: Context, draft: Prp, file: str, prp_id: str, fields: dict[str, Any]) -> None:
    """Bring the draft's entry under its number, with its seal; and every entry that depends on it."""
    for n in range(TRIES):
        tree = _tree(ctx.repo, ctx.config)
        if draft.id not in tree.prps:
            raise say.gone(draft.id)
        old = tree.files[draft.file]
        text = _numbered(old, draft, file, prp_id, fields["rev"])
        if file == draft.file:
            text = _depending(text, file, draft.id, prp_id)
        try:
            ledger_edit.write(os.path.join(ctx.repo.top, file), old if file == draft.file else None, text)
            break
        except UserError as e:
            if e.code != "changed-underneath" or n == TRIES - 1:
                raise
    if file != draft.file:
        _end(ctx, draft, prp_id)


def _end(ctx: Context, draft: Prp, prp_id: str) -> None:
    """Of one file per PRP: the draft's own goes last, so that who is killed before that can go on (`_half_done`)."""
    for other, old in _tree(ctx.repo, ctx.config).files.items():
        text = _depending(old, other, draft.id, prp_id) if other != draft.file else old
        if text != old:
            ledger_edit.write(os.path.join(ctx.repo.top, other), old, text)
    os.unlink(os.path.join(ctx.repo.top, draft.file))


def _half_done(ctx: Context, draft: Prp) -> Prp | None:
    """What this draft was made by somebody who was killed before the draft's own file was gone."""
    tree = _tree(ctx.repo, ctx.config)
    for p in tree.prps.values():
        if p.title == draft.title and p.rev is not None and p.file != draft.file:
            text = _numbered(tree.files[draft.file], draft, p.file, p.id, p.rev)
            for was, now in zip(draft.depends_on, p.depends_on, strict=False):
                if is_draft(was) and not is_draft(now):  # it depends on a draft that was numbered since
                    text = _depending(text, p.file, was, now)
            if _depending(text, p.file, draft.id, p.id) == tree.files[p.file]:
                return p
    return None


def _numbered(data: bytes, draft: Prp, file: str, prp_id: str, rev: str) -> bytes:
    """The draft's file with its entry under a number."""
    return ledger_edit.change(renamed(data, draft.file, draft.id, prp_id), file, prp_id, {"rev": rev})


def renamed(data: bytes, file: str, old: str, new: str) -> bytes:
    """The file with one entry's id changed, and no other byte."""
    source = read(data, file)
    assert source.root is not None
    if ledger.of_text(source, data, file).form == SINGLE:
        node = source.root.fields["id"].node
        start, end = node.start, node.end
    else:
        key = source.root.fields["prp_tracking"].node.fields[old]
        start, end = key.start, key.end
    text = source.text[:start] + new + source.text[end:]
    return (BOM if source.bom else b"") + text.encode()


def _depending(data: bytes, file: str, old: str, new: str) -> bytes:
    for prp in ledger.parse(data, file).prps.values():
        if old in prp.depends_on:
            now = [new if d == old else d for d in prp.depends_on]
            one = not isinstance(prp.fields["depends_on"], list)
            data = ledger_edit.change(data, file, prp.id, {"depends_on": now[0] if one else now})
    return data
