"""Where embedded stores live on this machine, and what stands in their folders.

$XDG_STATE_HOME/prpgate/<hash of the project>/            data, lock, log, address of one store
$XDG_STATE_HOME/prpgate/<hash of the project>.elsewhere   the project's store is another server: which
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import TYPE_CHECKING

from ..errors import StoreDown
from ..messages import store as say

if TYPE_CHECKING:
    from collections.abc import Sequence


def state_folder() -> str:
    """Where embedded stores live. Raises StoreDown when there is no home to put them in."""
    chosen = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(chosen):  # the XDG rules: a relative path is as good as none
        home = os.environ.get("HOME", "")
        if not os.path.isabs(home):
            raise StoreDown(say.no_home(), code="no-home", hint=say.NO_HOME_HINT)
        chosen = os.path.join(home, ".local", "state")
    return os.path.join(chosen, "prpgate")


def folder_of(project: str) -> str:
    """Data folder of a project's embedded store."""
    return os.path.join(state_folder(), short_hash(project))


def elsewhere(project: str) -> tuple[str, str] | None:
    """The other store (address without password, where it came from) that this user last used for the project."""
    try:
        url, _, source = (text(folder_of(project) + ".elsewhere") or "").partition("\n")
    except StoreDown:
        return None
    return (url, source) if url else None


def note_elsewhere(project: str, url: str, source: str) -> None:
    """Remember that the project's store is another server.

    Without the note, the day when REDIS_URL is missing from a shell or the compose server is not up, a second store
    would be started beside the first, and two people would hold one lock.
    """
    if elsewhere(project) == (url, source):
        return
    # A home that cannot be written to can hold no embedded store either: nothing to remember.
    with contextlib.suppress(StoreDown, OSError):
        os.makedirs(state_folder(), 0o700, exist_ok=True)
        write(folder_of(project) + ".elsewhere", f"{url}\n{source}")


def forget_elsewhere(project: str) -> None:
    with contextlib.suppress(StoreDown, FileNotFoundError):
        os.unlink(folder_of(project) + ".elsewhere")


def short_hash(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def why_not_private(folder: str) -> str | None:
    """What is wrong with a folder that only we may enter; None when nothing is."""
    try:
        found = os.lstat(folder)
    except OSError as e:
        return e.strerror or str(e)
    if not stat.S_ISDIR(found.st_mode):
        return "it is no folder"
    if found.st_uid != os.geteuid():
        return f"it belongs to user {found.st_uid}, you are user {os.geteuid()}"
    if found.st_mode & 0o077:
        return f"others may enter it (mode {stat.S_IMODE(found.st_mode):o})"
    return None


def make_private(folder: str) -> None:
    """Make the folder (and, where missing, those above it), for us alone. Raises StoreDown when it is not ours."""
    try:
        os.makedirs(os.path.dirname(folder), 0o700, exist_ok=True)
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except OSError as e:
        raise StoreDown(say.no_folder(folder, e.strerror or str(e)), code="store-folder") from None
    why = why_not_private(folder)
    if why is not None:
        raise StoreDown(say.not_private(folder, why), code="store-folder", hint=say.NOT_PRIVATE_HINT)


def text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return None


def write(path: str, content: str) -> None:
    """Write a whole file at once, for us alone to read: who reads meanwhile sees the old or the new."""
    part = f"{path}.{os.getpid()}"
    with open(part, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as f:
        f.write(content)
    os.replace(part, path)


def is_utf8(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def size(folder: str) -> int:
    sizes: Sequence[int] = [
        os.lstat(os.path.join(at, name)).st_size for at, _, names in os.walk(folder) for name in names
    ]
    return sum(sizes)
