"""Whether the documents that a ledger names are there, and whether every document is named: remarks, no errors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .messages import documents as say
from .model import WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .config import Config
    from .gitrepo import Repo
    from .ledger import Ledger
    from .messages.ledger import Said
    from .model import Prp


def check(repo: Repo, config: Config, ledger: Ledger) -> list[Finding]:
    """Remarks on the working tree's documents. `ledger.docs` in prp.toml says where there may be some without entry."""
    found: list[str] = []
    if config.ledger_docs:
        where = f":(top,glob){config.ledger_docs}"
        listed = repo.run("ls-files", "-z", "--full-name", "--cached", "--others", "--exclude-standard", "--", where)
        found = sorted({p.decode("utf-8", "surrogateescape") for p in listed.stdout.split(b"\0") if p})
    here = [path for path in found if there(repo.top, path)]
    return [*remarks(ledger, here, lambda path: there(repo.top, path))]


def from_here(repo: Repo, path: str | None) -> str | None:
    """The path of a document that somebody named, as the ledger has it: from the top. Raises UserError."""
    if path is None:
        return None
    top, full = os.path.realpath(repo.top), os.path.realpath(path)
    if not _below(full, top) or _below(full, repo.common_dir):
        raise say.outside(path)
    if not os.path.isfile(full):
        raise say.not_here(path)
    return os.path.relpath(full, top)


def _below(path: str, folder: str) -> bool:
    return os.path.commonpath([path, os.path.realpath(folder)]) == os.path.realpath(folder)


def there(top: str, path: str) -> bool:
    """Whether a path, counted from the top, is a file of the working tree."""
    return inside(path) and os.path.isfile(os.path.join(top, path))


def inside(path: str) -> bool:
    """Whether a path, counted from the top, stays below it."""
    return bool(path) and not os.path.isabs(path) and ".." not in path.split("/")


def named(prp: Prp) -> list[str]:
    """The documents of an entry. Addresses elsewhere (https://...) are not ours to check."""
    value = prp.fields.get("doc")
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str) and item and "://" not in item]


def remarks(ledger: Ledger, documents: Iterable[str], is_there: Callable[[str], bool]) -> Iterator[Finding]:
    """PRP145 to PRP148 over a ledger and the documents found where documents are."""
    users: dict[str, Prp] = {}
    for prp in ledger.prps.values():
        paths = named(prp)
        if len(paths) > 1:
            yield _remark(ledger, prp, "PRP148", say.several(len(paths)))
        for path in dict.fromkeys(os.path.normpath(p) for p in paths):
            if not is_there(path):
                yield _remark(ledger, prp, "PRP145", say.missing(path, is_inside=inside(path)))
            first = users.setdefault(path, prp)
            if first is not prp:
                yield _remark(ledger, prp, "PRP146", say.shared(path, first.id))
    for path in documents:
        if path not in users:
            said = say.no_entry(path)
            yield Finding("PRP147", WARNING, path, 1, 1, None, said.message, said.fix)


def _remark(ledger: Ledger, prp: Prp, code: str, said: Said) -> Finding:
    return Finding(code, WARNING, prp.file, *ledger.at(prp.id, "doc"), prp.id, said.message, said.fix)
