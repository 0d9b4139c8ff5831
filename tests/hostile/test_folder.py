"""One file per PRP, in a folder where somebody left more than files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from prpgate import ledger, record
from prpgate.config import parse as config
from prpgate.errors import UserError
from prpgate.gitrepo import Repo
from tests.hostile import corpus

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

FOLDER = config('project = "example.org/app"\n[ledger]\npath = "plans/"\n', "prp.toml")


def test_what_git_can_hold_in_the_folder_hides_no_prp(world: World) -> None:
    ann = world.clone("ann", first=True)
    plans = ann.path / "plans"
    plans.mkdir()
    for prp_id in ("P1-001", "p1-001", "P1-002"):  # two differ only in case
        (plans / f"{prp_id}.yaml").write_text(corpus.alone(prp_id))
    (plans / "P1-003.yaml").symlink_to("/etc/hostname")
    (plans / "P1-004.yaml").symlink_to("nowhere")
    (plans / "P1-005.yaml").symlink_to("P1-005.yaml")
    (plans / "P1-006.yaml").mkdir()
    (plans / "P1-006.yaml" / "x.yaml").write_text("id: X\n")
    (plans / "a\nb.yaml").write_text(corpus.alone("P1-007"))
    (plans / "c\x1b\u202e.yaml").write_text(corpus.alone("P1-008"))
    (plans / os.fsdecode(b"d\xff.yaml")).write_text(corpus.alone("P1-009"))
    repo = Repo(str(ann.path))
    sha = ann.commit_files("all of it", {})
    for found in (ledger.load(repo, FOLDER, sha), ledger.load(repo, FOLDER, "")):
        assert {"P1-001", "p1-001", "P1-002", "P1-008", "P1-009"} == set(found.prps)
        assert "plans/a\nb.yaml" in {f.file for f in found.errors}
        assert all(f.line == 1 for f in found.errors)
    entries = record.at(repo, FOLDER, sha).entries
    assert {"P1-001", "p1-001", "P1-002"} <= set(entries)


@pytest.mark.parametrize("kind", ["folder", "fifo", "loop"])
def test_what_is_no_file_is_named_and_not_waited_for(repo: Path, kind: str) -> None:
    (repo / "plans").mkdir()
    path = repo / "plans" / "P1-001.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(path.name)
    with pytest.raises(UserError) as e:
        ledger.load(Repo(str(repo)), FOLDER, None)
    assert "plans/P1-001.yaml" in e.value.message
