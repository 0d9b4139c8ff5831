"""The merge driver in a clone: git config `merge.prp`, and the ledger's paths in `info/attributes`.

Both belong to the repository, so all its worktrees share them. Our lines stand first in the attributes file: whatever
the team or this person says there counts over ours, and taking them out again leaves every other byte as it was.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

from .gitrepo import Repo, clean_env
from .install import Fact, writable, write_file
from .messages import merging as say

if TYPE_CHECKING:
    from .config import Config

NAME, SECTION = "prp", "merge.prp"
BEGIN = "# prpgate: the ledger merges entry by entry; `prp uninstall` takes these lines out"
END = "# prpgate: end\n"
MADE_FILE, MADE_FOLDER = " (new file)", " (new folder)"
OURS = "-I -m prpgate merge-driver "  # by this a driver's command is known as ours


class Setup(NamedTuple):
    """What was done about the driver."""

    did: str  # installed, unchanged, left (somebody's own stands there), removed, nothing
    detail: str


def command(python: str) -> str:
    """What git runs. If prpgate cannot be started, or leaves no result, git's own text merge takes its place: an
    interpreter that is gone must not look like a conflict in which one side was dropped."""
    python = quote(python).replace("%", "%%")
    labels = "--marker-size=%L --ours-label=%X --theirs-label=%Y --"  # before 2.44 git leaves %X and %Y as they are
    return (
        f"{python} {OURS}{labels} %O %A %B %P; c=$?; "
        "test $c = 0 || grep -q '^<<<<<<<' %A || { git merge-file --marker-size=%L %A %O %B; c=$?; }; exit $c"
    )


def patterns(ledger_path: str) -> list[str]:
    """The ledger's paths, as an attributes file takes them."""
    names = [f"{ledger_path}*.yaml", f"{ledger_path}*.yml"] if ledger_path.endswith("/") else [ledger_path]
    return [_pattern(name, folder=ledger_path.endswith("/")) for name in names]


def _pattern(name: str, *, folder: bool) -> str:
    head, star, end = name.rpartition("*") if folder else (name, "", "")
    plain = "".join(f"\\{c}" if c in "*?[]\\!#" else c for c in head)
    said = f"/{plain}{star}{end}"
    if any(c in ' "\t' or ord(c) < 32 for c in said):
        return '"' + said.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t") + '"'
    return said


# --- install and uninstall -------------------------------------------------------------------------------------------


def install(repo: Repo, config: Config) -> Setup:
    """Set the driver up for the ledger. Can be repeated. Somebody's own driver or attribute is left as it is."""
    path = config.ledger_path
    with writable(os.path.join(repo.common_dir, "info")):
        if foreign := _foreign(repo, path):
            _take_out(repo)
            return Setup("left", foreign)
        before = _read(repo), repo.config(f"{SECTION}.driver")
        wanted = command(sys.executable)
        if before[1] != wanted:
            repo.run("config", f"{SECTION}.name", say.NAME)
            repo.run("config", f"{SECTION}.driver", wanted)
        _put_in(repo, patterns(path))
    same = before == (_read(repo), wanted)
    return Setup("unchanged" if same else "installed", say.unchanged(path) if same else say.installed(path))


def uninstall(repo: Repo) -> Setup:
    """Take the driver out: git's config and the attributes file are as they were."""
    with writable(os.path.join(repo.common_dir, "info")):
        return Setup("removed", say.removed()) if _take_out(repo) else Setup("nothing", "")


def _foreign(repo: Repo, path: str) -> str | None:
    """What stands in the driver's way, None when nothing does."""
    driver = repo.config(f"{SECTION}.driver")
    if driver is not None and OURS not in driver:
        return say.foreign_driver(driver)
    value = _attribute(repo, path)
    return say.foreign_attribute(path, value) if value not in ("unspecified", NAME) else None


def _attribute(repo: Repo, path: str) -> str:
    """The ledger's merge attribute as it would be without our lines.

    git cannot be told to leave a repository's attributes file out: it is asked in an empty one, over this working tree.
    """
    if repo.bare:
        return "unspecified"
    sample = f"{path}P0-000.yaml" if path.endswith("/") else path
    with tempfile.TemporaryDirectory() as folder:
        for name in ("objects", "refs", "info"):
            os.mkdir(os.path.join(folder, name))
        write_file(os.path.join(folder, "HEAD"), b"ref: refs/heads/main\n")
        write_file(os.path.join(folder, "info", "attributes"), _apart(_read(repo) or b"")[1])
        env = {**clean_env(), "GIT_DIR": folder, "GIT_WORK_TREE": repo.top}
        out = Repo(repo.top).run("check-attr", "-z", "merge", "--", sample, env=env).stdout
    return out.split(b"\0")[2].decode("utf-8", "replace")


def _file(repo: Repo) -> str:
    return os.path.join(repo.common_dir, "info", "attributes")


def _read(repo: Repo) -> bytes | None:
    try:
        with open(_file(repo), "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


def _apart(data: bytes) -> tuple[bytes, bytes]:
    """(our lines, everything else)."""
    end = END.encode()
    if not data.startswith(BEGIN.encode()) or end not in data:
        return b"", data
    stop = data.index(end) + len(end)
    return data[:stop], data[stop:]


def _put_in(repo: Repo, paths: list[str]) -> None:
    data, path = _read(repo), _file(repo)
    ours, rest = _apart(data or b"")
    first = ours.partition(b"\n")[0].decode()
    if not ours:
        first = BEGIN
        if data is None:
            first += MADE_FILE
            if not os.path.isdir(os.path.dirname(path)):
                os.mkdir(os.path.dirname(path))
                first += MADE_FOLDER
    lines = f"{first}\n" + "".join(f"{name} merge={NAME}\n" for name in paths) + END
    if ours != lines.encode():
        write_file(path, lines.encode() + rest)


def _take_out(repo: Repo) -> bool:
    """Whether there was something of ours to take out."""
    data, path = _read(repo), _file(repo)
    ours, rest = _apart(data or b"")
    if ours:
        first = ours.partition(b"\n")[0]
        if rest or MADE_FILE.encode() not in first:
            write_file(path, rest)
        else:
            os.unlink(path)
            if MADE_FOLDER.encode() in first:
                with contextlib.suppress(OSError):  # somebody put something there since
                    os.rmdir(os.path.dirname(path))
    driver = repo.config(f"{SECTION}.driver")
    if driver is None or OURS not in driver:
        return bool(ours)
    repo.run("config", "--remove-section", SECTION, check=False)
    return True


# --- how things stand ------------------------------------------------------------------------------------------------


def inspect(repo: Repo, config: Config) -> list[Fact]:
    """How the driver stands in this clone, for `prp doctor`. Changes nothing."""
    path, driver = config.ledger_path, repo.config(f"{SECTION}.driver")
    if repo.bare:
        return []
    if foreign := _foreign(repo, path):
        return [Fact("warning", foreign, None)]
    lines = _apart(_read(repo) or b"")[0].decode()
    if driver is None or not lines:
        return [Fact("warning", say.missing(path), say.INSTALL)]
    python = _python(driver)
    if python and not os.access(python, os.X_OK):
        return [Fact("warning", say.gone(python), say.INSTALL)]
    if driver != command(python) or not all(f"{name} merge={NAME}\n" in lines for name in patterns(path)):
        return [Fact("warning", say.stale(path), say.INSTALL)]
    return [Fact("ok", say.there(path), None)]


def _python(driver: str) -> str:
    """The interpreter that a command of ours starts; "" when it does not say."""
    import shlex

    words = shlex.split(driver.partition(OURS)[0])
    return words[0].replace("%%", "%") if len(words) == 1 else ""
