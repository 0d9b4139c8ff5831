"""Who may look: one-time links, the cookie that they give, and the token of a dashboard that others can reach.

Links and cookies are signed with a key that lies in this user's state folder, for nobody else to read. A cookie
outlives a restart of the dashboard, so that an open page goes on; a link does not, and is good for one use.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import time
from typing import NamedTuple

from ..errors import StoreDown
from ..store import folders

LINK_S = 600
COOKIE_S = 86_400
BYTES = 32  # of every secret: 256 bits


class Key(NamedTuple):
    """What is signed with, and for which running dashboard links are made."""

    secret: bytes
    instance: str
    port: int

    def link_token(self) -> str:
        """A new one; nothing has to be told to the dashboard that will take it."""
        return self._signed("link", self.instance, LINK_S)

    def cookie(self) -> str:
        return self._signed("cookie", "", COOKIE_S)

    def is_cookie(self, text: str) -> bool:
        return self._expires("cookie", "", text) is not None

    def link_expires(self, text: str) -> int | None:
        """Until when a link's token is good (seconds since 1970); None for one that is not, or not any more."""
        return self._expires("link", self.instance, text)

    def _signed(self, what: str, of: str, lasts_s: int) -> str:
        body = f"{int(time.time()) + lasts_s:x}.{secrets.token_hex(BYTES)}"
        return f"{body}.{self._mac(what, of, body)}"

    def _expires(self, what: str, of: str, text: str) -> int | None:
        body, _, mac = text.rpartition(".")
        if not text.isascii() or not hmac.compare_digest(mac, self._mac(what, of, body)):
            return None
        until = int(body.partition(".")[0], 16)
        return until if until > time.time() else None

    def _mac(self, what: str, of: str, body: str) -> str:
        told = "\0".join((what, str(self.port), of, body)).encode()
        return hmac.new(self.secret, told, hashlib.sha256).hexdigest()


class Login:
    """What a running dashboard knows of who may look."""

    def __init__(self, key: Key, token: str | None) -> None:
        self.key = key
        self.cookie_name = f"prp_dashboard_{key.port}"  # browsers send a cookie to every port of a host
        self._token = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest() if token else None
        self._used: dict[str, int] = {}  # link tokens -> when they would have ended

    def is_token(self, text: str) -> bool:
        """Whether it is the token of --token, which may be used again and again."""
        given = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
        return self._token is not None and hmac.compare_digest(given, self._token)

    def use(self, text: str) -> bool:
        """Log in: with a one-time link's token, which is used up by that, or with the token."""
        if self.is_token(text):
            return True
        until = self.key.link_expires(text)
        if until is None or text in self._used:
            return False
        self._used = {t: end for t, end in self._used.items() if end > time.time()}
        self._used[text] = until
        return True


def secret(project: str) -> bytes:
    """The key of this user and project, made where there is none; one of this process where it cannot be kept."""
    fresh = secrets.token_bytes(BYTES)
    with contextlib.suppress(OSError, StoreDown):
        path = folders.folder_of(project) + ".dashboard-key"
        os.makedirs(folders.state_folder(), 0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            part = f"{path}.{os.getpid()}"
            with open(part, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as f:
                f.write(fresh)
            try:
                os.link(part, path)  # whole or not at all; the first of two keeps
            finally:
                os.unlink(part)
        found = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with open(found, "rb") as kept:
            ours = os.fstat(found)
            text = kept.read(BYTES + 1)
        if ours.st_uid == os.geteuid() and not ours.st_mode & 0o077 and len(text) == BYTES:
            return text
    return fresh
