"""Hostile ledgers, read, checked and staged: an error with its place, soon and small, never a fault."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from prpgate import ledger, record, rules, seal
from prpgate.cli.main import run as prp_here
from prpgate.config import parse as config
from prpgate.errors import OK, REFUSED
from prpgate.gitrepo import Repo
from prpgate.ledger_scan import known_ids_scan
from prpgate.staged import judge
from tests.hostile import corpus, measured
from tests.hostile.corpus import FILE, SINGLE, TRACKING, Case
from tests.world import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hostile.measured import Cost

PATHS = {TRACKING: FILE, SINGLE: "plans/"}
TOML = {form: f'project = "example.org/app"\n[ledger]\npath = "{path}"\n' for form, path in PATHS.items()}
CASES = corpus.cases()
SMALL = [c for c in CASES if not c.big]


def name(case: Case) -> str:
    return f"{case.name}, {case.form}"


def file_of(case: Case) -> str:
    return FILE if case.form == TRACKING else "plans/P1-001.yaml"


def visible(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A repository of each form, with a good ledger committed."""
    found = {}
    for form in (TRACKING, SINGLE):
        path = tmp_path_factory.mktemp(form) / "repo"
        run(["git", "init", "-q", "-b", "main", path], path.parent)
        (path / "prp.toml").write_text(TOML[form])
        (path / "plans").mkdir()
        first = corpus.good() if form == TRACKING else corpus.alone("P1-001").encode()
        (path / (FILE if form == TRACKING else "plans/P1-001.yaml")).write_bytes(first)
        run(["git", "add", "-A"], path)
        run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "first"], path)
        found[form] = path
    return found


def test_the_corpus_is_the_same_each_time_and_large() -> None:
    assert [c for c in corpus.cases() if not c.big] == SMALL
    assert len({name(c) for c in CASES}) == len(CASES) >= 150
    assert list(corpus.mutations(5)) == list(corpus.mutations(5))


@pytest.mark.parametrize("case", SMALL, ids=name)
def test_reading_gives_findings_with_a_place(case: Case) -> None:
    found = ledger.parse(case.data, file_of(case))
    if case.refused is not None:
        assert [f.line for f in found.errors][:1] == [case.refused], found.findings
    lines = case.data.count(b"\n") + 1
    for f in rules.check_all(
        ledger.join([found]) if case.form == SINGLE else found, config(TOML[TRACKING], "").id_pattern
    ):
        assert f.file == file_of(case) and 1 <= f.line <= lines and f.column >= 1, f
        assert f.message and len(f.message) < 1_500
    for prp in found.prps.values():
        assert seal.check(prp) in (None, True, False)
        entry = record.Entry(prp.id, "1-01234567", prp.status, prp.fields)
        assert record.parse(prp.id, record.dump(entry)).fields.keys() == prp.fields.keys()
        record.about(entry)
    known_ids_scan(case.data)


@pytest.mark.parametrize("case", SMALL, ids=name)
def test_check_and_the_staged_judgement(
    case: Case, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folders[case.form]
    monkeypatch.chdir(folder)
    (folder / file_of(case)).write_bytes(case.data)
    for args in (["check", "--all"], ["check", "--all", "--json"], ["check", "--all", "--github"]):
        code = prp_here(args)
        said = capsys.readouterr()
        assert code == (REFUSED if case.refused is not None else code) and code in (OK, REFUSED), said
        assert visible(said.out + said.err)
        if case.refused is not None:
            assert (
                f"{file_of(case)}:{case.refused}:" in said.out
                or f"line={case.refused}," in said.out
                or "--json" in args
            )
    run(["git", "add", "-A"], folder)
    change = judge(Repo(str(folder)), config(TOML[case.form], "prp.toml"))
    if case.refused is not None:
        assert any(f.severity == "error" and f.file == file_of(case) for f in change.findings)


BIG = [c for c in CASES if c.big]


@pytest.fixture(scope="module")
def usual(folders: dict[str, Path]) -> dict[str, Cost]:
    """What `prp check --all` costs for a good ledger."""
    found = {}
    for form, folder in folders.items():
        run(["git", "checkout", "-q", "HEAD", "--", "."], folder)
        found[form] = measured.prp(folder, "check", "--all")
        assert found[form].code in (OK, REFUSED)
    return found


@pytest.mark.parametrize("case", BIG, ids=name)
def test_big_ones_cost_little(case: Case, folders: dict[str, Path], usual: dict[str, Cost], slower: float) -> None:
    folder = folders[case.form]
    base = usual[case.form]
    (folder / file_of(case)).write_bytes(case.data)
    done = measured.prp(folder, "check", "--all")
    assert done.code in (OK, REFUSED), (done.code, done.err[-2_000:])
    if case.refused is not None:
        assert done.code == REFUSED and f"{file_of(case)}:{case.refused}:" in done.out, done.out[:2_000]
    assert done.cpu_s - base.cpu_s < measured.SECONDS * slower, done._replace(out="", err="")
    assert done.peak_mb - base.peak_mb < measured.MEGABYTES, done._replace(out="", err="")


@pytest.fixture(scope="module")
def slower() -> float:
    return measured.factor()


@pytest.mark.parametrize("case", BIG, ids=name)
def test_the_look_for_ids_costs_little(case: Case, slower: float) -> None:
    began = os.times()
    known_ids_scan(case.data[: 4 << 20])
    ended = os.times()
    assert ended.user - began.user < measured.SECONDS * slower


@pytest.mark.parametrize("escape", ['"\\U00110000"', '"\\ud800"', '"\\q"', "%YAML 1." + "9" * 5_000])
def test_without_libyaml_too(escape: str) -> None:
    """PyYAML's own parser takes its place where it was built without."""
    text = f"{escape}\n---\nid: x\n" if escape[0] == "%" else f"id: P1-001\ntitle: {escape}\nstatus: new\n"
    code = (
        "import sys, yaml; yaml.__with_libyaml__ = False\n"
        "from prpgate.ledger import parse\n"
        "found = parse(sys.stdin.buffer.read(), 'x.yaml')\n"
        "import json; print(json.dumps([(f.code, f.line) for f in found.errors]))"
    )
    done: Any = subprocess.run([sys.executable, "-c", code], input=text.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"PRP10" in done.stdout


@pytest.mark.parametrize("part", range(4))
def test_damaged_good_ledgers(part: int) -> None:
    """300 in all. None is a fault, and what can still be read strictly is judged without one."""
    good = ledger.parse(corpus.good(), FILE)
    for data in corpus.mutations(25, seed=corpus.SEED + part):
        found = ledger.parse(data, FILE)
        for f in (*rules.check_change(good, found), *rules.check_all(found), *rules.check_change(found, good)):
            assert f.line >= 1 and f.column >= 1 and f.message
        known_ids_scan(data)
        for prp in found.prps.values():
            record.about(record.Entry(prp.id, "1-01234567", prp.status, prp.fields))
