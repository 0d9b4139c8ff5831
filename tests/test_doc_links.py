"""Documents that PRPs name: there or not, named once or twice, by nobody; and `prp new --doc`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from prpgate import config as settings
from prpgate import doc_links, ops
from prpgate.errors import UsageError
from prpgate.gitrepo import Repo
from tests.e2e.conftest import Project
from tests.ledgers import read
from tests.world import Clone

if TYPE_CHECKING:
    from pathlib import Path

LEDGER = "prps.yaml"
TOML = f'project = "example/app"\n[ledger]\npath = "{LEDGER}"\ndocs = "PRPs/**/*.md"\n'


def ledger(*docs: str) -> str:
    entries = (f"  P2-00{n}:\n    title: t\n    status: new\n    doc: {doc}\n" for n, doc in enumerate(docs))
    return "prp_tracking:\n" + "".join(entries)


def codes(text: str, documents: list[str]) -> list[tuple[str, str | None]]:
    found = doc_links.remarks(read(text), documents, documents.__contains__)
    return [(f.code, f.id) for f in found]


def test_documents_that_are_there_and_named_once_are_fine() -> None:
    assert codes(ledger("a.md", "null", "''", "./b.md", "https://example.org/c"), ["a.md", "b.md"]) == []


def test_each_remark_names_its_place() -> None:
    text = ledger("gone.md", "a.md", "a.md", "[b.md, b.md]", "../out.md")
    found = list(doc_links.remarks(read(text), ["a.md", "b.md", "alone.md"], ["a.md", "b.md", "alone.md"].__contains__))
    assert [(f.code, f.id, f.line) for f in found] == [
        ("PRP145", "P2-000", 5),
        ("PRP146", "P2-002", 13),
        ("PRP148", "P2-003", 17),
        ("PRP145", "P2-004", 21),
        ("PRP147", None, 1),
    ]
    assert "leads out of the repository" in found[3].message and "P2-001" in found[1].message
    assert found[4].file == "alone.md" and found[4].fix == 'prp new "title" --doc alone.md'
    assert {f.severity for f in found} == {"warning"}


def test_check_all_looks_where_documents_are(repo: Path) -> None:
    clone = Clone(repo, "ann")
    clone.write("prp.toml", TOML)
    clone.write(LEDGER, ledger("PRPs/deep/er/a.md", "docs/b.md", "PRPs/removed.md"))
    for name in ("PRPs/deep/er/a.md", "PRPs/c.md", "PRPs/new ü.md", "PRPs/c.txt", "docs/b.md", "docs/other.md"):
        clone.write(name, "text")
    clone.write("PRPs/removed.md", "text")
    clone.write(".gitignore", "PRPs/ignored.md\n")
    clone.write("PRPs/ignored.md", "text")
    clone.git("add", "PRPs/c.md", "PRPs/removed.md")
    (repo / "PRPs/removed.md").unlink()
    conf = settings.parse(TOML, "prp.toml")
    found = ops.check_all(Repo(str(repo)), conf)
    assert [(f.code, f.file) for f in found if f.code.startswith("PRP14")] == [
        ("PRP145", LEDGER),
        ("PRP147", "PRPs/c.md"),
        ("PRP147", "PRPs/new ü.md"),
    ]
    without = ops.check_all(Repo(str(repo)), conf._replace(ledger_docs=""))
    assert [f.code for f in without] == ["PRP145"]
    assert clone.prp("check", "--all").code == 0


@pytest.mark.parametrize("value", ["/etc/*.md", "../*.md", ":(exclude)x"])
def test_a_glob_that_leads_out_is_no_setting(value: str) -> None:
    with pytest.raises(UsageError):
        settings.parse(TOML.replace("PRPs/**/*.md", value), "prp.toml")


def test_new_takes_a_document_of_this_repository(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ana = project.ana
    ana.write("docs/the first.md", "text")
    said = ana.prp("new", "With a document", "--doc", "docs/../docs/the first.md", "--json")
    prp = json.loads(said.out)["prp"]
    assert prp["doc"] == "docs/the first.md" and "doc: docs/the first.md\n" in ana.read(
        ".claude/prp_tracking/prp_status.yaml"
    )
    inner = Clone(ana.path / "docs", "ana")
    assert (
        json.loads(inner.prp("new", "Again", "--doc", "the first.md", "--json").out)["prp"]["doc"]
        == "docs/the first.md"
    )
    (project.folder / "outside.md").write_text("text")
    for path, words in (
        ("docs/gone.md", "there is no file"),
        ("docs", "there is no file"),
        ("../outside.md", "is not inside this repository"),
        (".git/config", "is not inside this repository"),
        (str(project.folder / "outside.md"), "is not inside this repository"),
    ):
        done = ana.prp("new", "Not this one", "--doc", path, ok=False)
        assert done.code == 1 and words in done.err, path
    assert "Not this one" not in ana.prp("list").out
    assert "PRP146" in ana.prp("check", "--all", ok=False).text
