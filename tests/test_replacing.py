"""Files that others write too: what they wrote since is left; the ledger's own tests have the rest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from prpgate import replacing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("new", [b"ours", None])
@pytest.mark.parametrize(("old", "there"), [(b"read", b"theirs"), (None, b"theirs"), (b"read", None)])
def test_what_is_not_as_it_was_read_is_left(
    tmp_path: Path, old: bytes | None, there: bytes | None, new: bytes | None
) -> None:
    path = tmp_path / "folder/file"
    path.parent.mkdir()
    if there is not None:
        path.write_bytes(there)
    assert not replacing.replace(str(path), old, new)
    assert replacing.current(str(path)) == there
    assert os.listdir(path.parent) == (["file"] if there is not None else [])


def test_it_comes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "folder/file"
    assert replacing.replace(str(path), None, None)
    assert not path.parent.exists()
    assert replacing.replace(str(path), None, b"ours")
    path.chmod(0o640)
    assert replacing.replace(str(path), b"ours", b"more")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"more", 0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    assert replacing.replace(str(link), b"more", b"most")
    assert link.is_symlink() and path.read_bytes() == b"most"
    assert replacing.replace(str(path), b"most", None)
    assert not path.exists()
