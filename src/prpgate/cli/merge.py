"""merge-driver: git's contract with a merge driver. docs/prps.md, "Merging", has the rules."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .. import merge_driver
from ..errors import OK, REFUSED
from ..gitrepo import GitError, Repo
from ..messages import merging as say

if TYPE_CHECKING:
    import argparse

    from ..output import Output


def driver(args: argparse.Namespace, out: Output) -> int:
    """Merge what `theirs` did since `base` into the file `ours`. Exit 0: merged; 1: git is told of a conflict."""
    texts = [_version(path) for path in (args.base, args.ours, args.theirs)]
    base, ours, theirs = texts
    labels = _labels(args)
    try:
        merged = merge_driver.merge(base, ours, theirs, args.path, labels, args.marker_size)
    except merge_driver.UnmergeableError as e:
        out.note(say.unreadable(args.path, str(e)))
        return _by_text(args, labels, texts, out)
    _put(args.ours, merged.data)
    for line in say.conflicts(args.path, merged.conflicts):
        out.note(line)
    return REFUSED if merged.conflicts else OK


def _by_text(args: argparse.Namespace, labels: tuple[str, str], texts: list[bytes], out: Output) -> int:
    """git's own merge of three texts; what comes out readable must still have every sealed group whole."""
    names = ("-L", labels[0], "-L", "base", "-L", labels[1])
    options = ("--marker-size", str(args.marker_size)) if args.marker_size != merge_driver.MARK else ()
    command = ["merge-file", "-p", *options, *names, args.ours, args.base, args.theirs]
    done = Repo().run(*command, check=False)
    if done.returncode > 127:
        raise GitError(command, done.returncode, done.stderr.decode("utf-8", "replace"))
    if done.returncode == 0 and not merge_driver.agrees(done.stdout, texts[1], texts[2], args.path):
        whole = merge_driver.as_conflict(texts[1], texts[2], args.path, labels, args.marker_size)
        _put(args.ours, whole.data)
        out.note(say.conflict(args.path, "", say.FILE))
        return REFUSED
    _put(args.ours, done.stdout)
    return REFUSED if done.returncode else OK


def _version(path: str) -> bytes:
    try:
        return _content(path)
    except OSError as e:
        raise say.no_version(path, e.strerror or str(e)) from None


def _content(path: str) -> bytes:
    with open(path, "rb") as f:
        return f.read()


def _put(path: str, data: bytes) -> None:
    with open(path, "wb") as f:
        f.write(data)


def _labels(args: argparse.Namespace) -> tuple[str, str]:
    """What to call the two sides: what git says (from 2.44 on), else what its own files tell of a rebase or a merge.

    In a rebase, "ours" is what the commits are put on, and "theirs" the commit that is put there.
    """
    told = [name for name in (args.ours_label, args.theirs_label) if name and not name.startswith("%")]
    if len(told) == 2:
        return told[0], told[1]
    git_dir = Repo().maybe("rev-parse", "--absolute-git-dir")
    folder = os.path.join(git_dir or "", "rebase-merge")
    if git_dir and os.path.isdir(folder):
        commit = _last_line(os.path.join(folder, "done")).partition(" ")[2].strip()
        return f"{say.OURS}: {_last_line(os.path.join(folder, 'onto'))[:10]}", f"{say.THEIRS}: {commit[:60]}"
    heads = [name for key, name in os.environ.items() if key.startswith("GITHEAD_")]
    return say.OURS, f"{say.THEIRS}: {heads[0]}" if len(heads) == 1 else say.THEIRS


def _last_line(path: str) -> str:
    try:
        lines = _content(path).decode("utf-8", "replace").split("\n")
    except FileNotFoundError:
        return ""
    return next((line for line in reversed(lines) if line.strip()), "")
