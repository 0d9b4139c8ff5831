"""Ledger text -> Prp values. Two forms are read: one tracking file (`prp_tracking: {ID: {...}}`), or one file per PRP.

Reading never raises on content: what is wrong with a file is in `findings`, with its line, and what could be read is
there all the same. A ledger with `errors` is not to be written to, and not to be taken for the truth.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from . import seal
from .errors import CouldNotTell, UserError
from .ledger_scan import is_id
from .ledger_text import MAX_BYTES, read
from .messages import ledger as say
from .model import ERROR, WARNING, ZERO, Finding, Prp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .config import Config
    from .gitrepo import Repo
    from .ledger_text import Node, Text, Twice

TRACKING, SINGLE, EMPTY, NEITHER = "tracking", "single", "empty", "neither"

# Always text, as written: the commit 3320525 is no number, nor is the title 2024.
TEXTS = frozenset({"title", "rev", *seal.SEALED, "stable_id", "legacy_id", "notes", "doc", "depends_on", "reason"})


class Ledger(NamedTuple):
    """What ledger text records. Two entries with one id: the first stands, and there is a finding."""

    prps: dict[str, Prp]  # by own id, in the order of the file
    findings: tuple[Finding, ...]  # of strict reading; remarks among them are WARNING
    files: dict[str, bytes]
    aliases: dict[str, str | None]  # stable_id, legacy_id -> own id; None where several claim it
    places: dict[tuple[str, str], tuple[int, int]]  # (id, field) -> line and column of the value; "id" is the id's own
    extra: dict[str, Any]  # what stands beside the entries: metadata, stats; places under the id ""
    form: str
    missing: bool = False  # there is no such file or folder

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Why this ledger is not fully readable; empty when it is."""
        return tuple(f for f in self.findings if f.severity == ERROR)

    def resolve(self, any_id: str) -> Prp | None:
        """The PRP that answers to this id, stable_id or legacy_id; an own id wins. None: nobody, or several."""
        found = self.prps.get(any_id)
        if found is None and (own := self.aliases.get(any_id)) is not None:
            found = self.prps.get(own)
        return found

    def at(self, prp_id: str, field: str) -> tuple[int, int]:
        """Line and column of a field's value, else of the entry."""
        place = self.places.get((prp_id, field)) or self.places.get((prp_id, "id"))
        return place or (1, 1)


def empty(missing: bool = False) -> Ledger:
    return Ledger({}, (), {}, {}, {}, {}, EMPTY, missing)


def _what(node: Node) -> str:
    if node.value is None:
        return "nothing"
    return {"{": "a mapping", "map": "a mapping", "[": "a list", "seq": "a list"}.get(node.style, "a text")


class _Builder:
    def __init__(self, file: str) -> None:
        self.file = file
        self.prps: dict[str, Prp] = {}
        self.places: dict[tuple[str, str], tuple[int, int]] = {}
        self.findings: list[Finding] = []
        self.extra: dict[str, Any] = {}

    def note(self, code: str, said: say.Said, line: int, column: int, prp_id: str | None = None) -> None:
        self.findings.append(Finding(code, ERROR, self.file, line, column, prp_id, said.message, said.fix))

    def entry(self, prp_id: str, line: int, column: int, node: Node) -> None:
        if node.style not in ("map", "{"):
            self.note("PRP109", say.no_entry(_what(node)), node.line, node.column, prp_id)
            return
        fields: dict[str, Any] = {}
        for name, field in node.fields.items():
            value = field.node
            fields[name] = value.raw if name in TEXTS and value.raw and value.value is not None else value.value
            self.places[prp_id, name] = value.line, value.column
        self.places[prp_id, "id"] = line, column
        title, rev, owner = fields.get("title"), fields.get("rev"), fields.get("owner")
        if rev is not None and not seal.well_formed(rev):
            rev = "?" + str(rev)[:40]  # a seal that nothing can match; `fields` keeps what is written
        self.prps[prp_id] = Prp(
            id=prp_id,
            title="" if title is None else str(title),
            status=seal.status(fields),
            rev=rev,
            owner=None if owner is None else str(owner),
            fields=fields,
            file=self.file,
            line=line,
        )

    def beside(self, prefix: str, node: Node) -> None:
        self.places["", prefix] = node.line, node.column
        for name, field in node.fields.items():
            self.beside(f"{prefix}.{name}", field.node)

    def doubled(self, twice: Iterable[Twice], form: str) -> None:
        starts = sorted((p.line, p.id) for p in self.prps.values())
        for name, first_line, again, depth in twice:
            if form == TRACKING and depth == 2 and name in self.prps and self.prps[name].line == first_line:
                self.note("PRP110", say.id_twice(f"line {first_line}"), again.line, again.column, name)
                continue
            above = [prp_id for line, prp_id in starts if line <= again.line]
            owner = above[-1] if above and (depth > 2 or form == SINGLE) else None
            self.note("PRP103", say.key_twice(name, first_line), again.line, again.column, owner)

    def tracking(self, root: Node) -> None:
        for name, field in root.fields.items():
            if name != "prp_tracking":
                self.extra[name] = field.node.value
                self.beside(name, field.node)
        entries = root.fields["prp_tracking"].node
        if entries.style not in ("map", "{"):
            if entries.value is not None:
                self.note("PRP109", say.no_form(f"prp_tracking is {_what(entries)}"), entries.line, entries.column)
            return
        for prp_id, field in entries.fields.items():
            self.entry(prp_id, field.line, field.column, field.node)

    def single(self, root: Node) -> None:
        key = root.fields["id"]
        if not isinstance(key.node.raw, str) or key.node.value is None:
            self.note("PRP109", say.no_form(f"the id is {_what(key.node)}"), key.node.line, key.node.column)
            return
        rest = {name: field for name, field in root.fields.items() if name != "id"}
        self.entry(key.node.raw, key.line, key.node.column, root._replace(fields=rest))


def _aliases(prps: dict[str, Prp]) -> tuple[dict[str, str | None], list[Finding]]:
    """Which own id each further id stands for. An entry's own id is never another one's alias."""
    claims: dict[str, list[Prp]] = {}
    for prp in prps.values():
        for alias in prp.ids[1:]:
            if alias not in prps:
                claims.setdefault(alias, []).append(prp)
    aliases: dict[str, str | None] = {}
    findings = []
    for alias, claimants in claims.items():
        aliases[alias] = claimants[0].id if len(claimants) == 1 else None
        if len(claimants) > 1:
            last, said = claimants[-1], say.alias_twice(alias, [p.id for p in claimants])
            findings.append(Finding("PRP112", WARNING, last.file, last.line, 1, last.id, said.message, said.fix))
    return aliases, findings


def parse(data: bytes, file: str) -> Ledger:
    """Read one file, whichever form it has. `file` names it in findings. Never raises on its content."""
    return of_text(read(data, file), data, file)


def of_text(text: Text, data: bytes, file: str) -> Ledger:
    """The same for a text that was read already."""
    built = _Builder(file)
    form = EMPTY
    root = text.root
    if root is not None and root.value is not None:
        form = TRACKING if "prp_tracking" in root.fields else SINGLE if "id" in root.fields else NEITHER
        if form == TRACKING:
            built.tracking(root)
        elif form == SINGLE:
            built.single(root)
        else:
            keys = ", ".join(say.quoted(name) for name in list(root.fields)[:5])
            found = f"the file has the keys {keys}" if keys else f"the file is {_what(root)}"
            built.note("PRP109", say.no_form(found), root.line, root.column)
    elif not text.findings:
        said = say.empty_file()
        built.findings.append(Finding("PRP113", WARNING, file, 1, 1, None, said.message, said.fix))
    aliases, unclear = _aliases(built.prps)
    built.doubled(text.twice, form)
    findings = (*text.findings, *built.findings, *unclear)
    return Ledger(built.prps, findings, {file: data}, aliases, built.places, built.extra, form)


def join(ledgers: Iterable[Ledger]) -> Ledger:
    """One ledger of a folder's files. An id in two files, and a file not named by its PRP's id, are findings."""
    prps: dict[str, Prp] = {}
    findings: list[Finding] = []
    files: dict[str, bytes] = {}
    places: dict[tuple[str, str], tuple[int, int]] = {}
    extra: dict[str, Any] = {}
    form = EMPTY
    for one in ledgers:
        form = one.form if form == EMPTY else form
        findings += [f for f in one.findings if f.code != "PRP112"]
        files.update(one.files)
        extra.update(one.extra)
        doubled = set()
        for prp in one.prps.values():
            first = prps.get(prp.id)
            if first is not None:
                doubled.add(prp.id)
                said = say.id_twice(f"{first.file}:{first.line}")
                at = one.at(prp.id, "id")
                findings.append(Finding("PRP110", ERROR, prp.file, *at, prp.id, said.message, said.fix))
                continue
            prps[prp.id] = prp
            folder, _, name = prp.file.rpartition("/")
            if one.form == SINGLE and name != f"{prp.id}.yaml":
                said = say.file_name(f"{folder}/{prp.id}.yaml" if folder else f"{prp.id}.yaml", prp.file)
                at = one.at(prp.id, "id")
                findings.append(Finding("PRP111", ERROR, prp.file, *at, prp.id, said.message, said.fix))
        places.update({key: at for key, at in one.places.items() if key[0] not in doubled})
    aliases, unclear = _aliases(prps)
    return Ledger(prps, (*findings, *unclear), files, aliases, places, extra, form)


# --- where it comes from ---------------------------------------------------------------------------------------------
def _in_folder(folder: str, paths: Iterable[str]) -> list[str]:
    """The PRP files right in a folder, in order of their names."""
    direct = (p for p in paths if p.startswith(folder) and "/" not in p[len(folder) :])
    return sorted(p for p in direct if p.endswith((".yaml", ".yml")) and not p[len(folder) :].startswith("."))


def _on_disk(top: str, path: str) -> bytes | None:
    """A file of the working tree, None when there is none. Reads no more than the limit allows, and only files."""
    full = os.path.join(top, path)
    try:
        if not stat.S_ISREG(os.stat(full).st_mode):
            raise UserError(
                f"{path} is not a file.",
                code="ledger",
                hint=f'A folder with one file per PRP is written with a slash in prp.toml: ledger.path = "{path}/".',
            )
        with open(full, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        raise UserError(f"{path} cannot be read: {e.strerror}.", code="ledger") from None


def _folder_on_disk(top: str, folder: str) -> list[str]:
    try:
        return [folder + name for name in os.listdir(os.path.join(top, folder))]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as e:
        raise UserError(f"{folder} cannot be read: {e.strerror}.", code="ledger") from None


def _folder_in_git(repo: Repo, folder: str, rev: str) -> dict[str, str]:
    """Blob ids of what is below a folder, by path: reading a thousand `commit:path` walks the tree a thousand times."""
    if rev:
        out = repo.run("ls-tree", "-z", "--full-tree", rev, "--", folder, check=False).stdout
    else:
        out = repo.run("ls-files", "-s", "-z", "--full-name", "--", f":(top,literal){folder}").stdout
    rows = (row.partition(b"\t") for row in out.split(b"\0") if row)
    found: dict[str, str] = {}
    for about, _, path in rows:
        found.setdefault(path.decode("utf-8", "surrogateescape"), about.split(b" ")[2 if rev else 1].decode("ascii"))
    return found


def _misnamed(name: str) -> Ledger:
    said = say.no_form("the file's name has a line break in it")
    return empty()._replace(findings=(Finding("PRP109", ERROR, name, 1, 1, None, said.message, said.fix),))


def load(repo: Repo, config: Config, rev: str | None) -> Ledger:
    """The ledger of the working tree (None), of the index (""), or of a commit.

    No such file or folder there: an empty Ledger with `missing`. An unborn HEAD has none either. Raises CouldNotTell
    when the commit is not here, UserError when a file of the working tree cannot be read.
    """
    path = config.ledger_path
    if rev == ZERO:
        return empty(missing=True)
    if rev is None:
        names = _in_folder(path, _folder_on_disk(repo.top, path)) if config.one_file_per_prp else [path]
        found = [_on_disk(repo.top, name) for name in names]
    else:
        specs = _folder_in_git(repo, path, rev) if config.one_file_per_prp else {path: f"{rev}:{path}"}
        names = _in_folder(path, specs) if config.one_file_per_prp else [path]
        found = repo.blobs([specs[name] for name in names])
    parsed = [
        parse(data, name) if "\n" not in name else _misnamed(name)
        for name, data in zip(names, found, strict=True)
        if data is not None
    ]
    if parsed:
        return join(parsed) if config.one_file_per_prp else parsed[0]
    if rev and rev != "HEAD" and repo.sha(f"{rev}^{{tree}}") is None:
        raise CouldNotTell(f"{rev} is not in this clone.", code="missing-commit", next_action="git fetch")
    return empty(missing=True)


def load_some(repo: Repo, config: Config, ids: Iterable[str]) -> Ledger:
    """The working tree's ledger as far as it has to be read for these PRPs; the whole where that cannot be told.

    With one file per PRP these are the files that are named by them, and the others' findings are not looked for.
    """
    if config.one_file_per_prp:
        files = [(i, f"{config.ledger_path}{i}.yaml") for i in ids if is_id(i)]
        found = [(i, name, _on_disk(repo.top, name)) for i, name in files]
        parsed = [(i, parse(data, name)) for i, name, data in found if data is not None]
        if parsed and len(parsed) == len(files) and all(i in one.prps for i, one in parsed):
            return join(one for _, one in parsed)
    return load(repo, config, None)
