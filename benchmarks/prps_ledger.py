"""Ledgers made to measure, for benchmarks/prps.py: one file per PRP, as prpgate writes them, with valid seals."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

from prpgate import seal
from prpgate.yaml_scalar import scalar

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PROJECT, STORE_ID = "example.org/bench/app", "5f0d63a2-6f0c-4f9a-8a53-d1a2b6c0e9f7"
FOLDER, FILE = "prps/", "tracking/prp_status.yaml"
COMMITS = 20


class Entry(NamedTuple):
    id: str
    fields: dict[str, Any]

    @property
    def text(self) -> bytes:
        lines = [f"id: {self.id}", *(f"{name}: {scalar(value)}" for name, value in self.fields.items())]
        return ("\n".join(lines) + "\n").encode()


def policy(path: str = FOLDER) -> str:
    return f'project = "{PROJECT}"\n[store]\nid = "{STORE_ID}"\n[ledger]\npath = "{path}"\n'


def file_of(one: Entry) -> str:
    return f"{FOLDER}{one.id}.yaml"


def _sealed(n: int, number: int, **fields: Any) -> Entry:
    prp_id = f"P{n % 4}-{n:05d}"
    shape = {"title": f"Task number {n}: make {'it' if n % 2 else 'that'} work in the {n % 17}th part", **fields}
    return Entry(prp_id, {**shape, "rev": seal.compute(prp_id, number, shape)})


def new_entry(n: int) -> Entry:
    return _sealed(n, 1, status="new")


def ready_entry(n: int) -> Entry:
    return _sealed(n, 2, status="validated", validated_at="2026-02-10T10:00:00Z")


def complete_entry(n: int) -> Entry:
    """As most are after a while: with evidence, and one in three with something that it waited for."""
    return _sealed(
        n,
        4,
        status="complete",
        owner=f"agent{n % 100:02d}",
        validated_at="2026-02-10T10:00:00Z",
        started_at="2026-02-10T11:00:00Z",
        completed_at="2026-02-11T16:00:00Z",
        github_commit=f"{n * 2654435761 % 16**12:012x}",
        verdict=f"ci green of {n * 40503 % 16**12:012x}",
        **({"depends_on": [f"P{(n - 4) % 4}-{n - 4:05d}"]} if n % 3 == 0 and n > 4 else {}),
    )


def entries(ready: int, new: int, complete: int) -> list[Entry]:
    """That many of each; those that are ready wait for complete ones that are done."""
    made = [complete_entry(n) for n in range(complete)]
    made += [new_entry(n) for n in range(complete, complete + new)]
    for n in range(complete + new, complete + new + ready):
        one = ready_entry(n)
        made.append(
            one._replace(fields={**one.fields, **({"depends_on": [made[n % complete].id]} if complete else {})})
        )
    return made


def one_file(made: Iterable[Entry]) -> bytes:
    lines = ["prp_tracking:"]
    for one in made:
        lines += [f"  {one.id}:", *(f"    {name}: {scalar(value)}" for name, value in one.fields.items())]
    return ("\n".join(lines) + "\n").encode()


def make_remote(folder: Path, made: list[Entry], *, single_file: bool = False) -> Path:
    """A bare repository whose main has the ledger, brought there by twenty commits."""
    folder.mkdir()
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", "."], cwd=folder, check=True)
    toml = policy(FILE if single_file else FOLDER).encode()
    step = -(-len(made) // COMMITS)
    stream = []
    for n in range(0, len(made), step):
        stream.append(
            b"commit refs/heads/main\ncommitter bench <bench@example.org> %d +0000\ndata 4\nmore\n" % (1770000000 + n)
        )
        files = {} if n else {"prp.toml": toml}
        if single_file:
            files[FILE] = one_file(made[: n + step])
        else:
            files |= {file_of(one): one.text for one in made[n : n + step]}
        stream += [b"M 100644 inline %b\ndata %d\n%b\n" % (p.encode(), len(t), t) for p, t in files.items()]
    subprocess.run(["git", "fast-import", "--quiet"], cwd=folder, check=True, input=b"".join(stream))
    return folder
