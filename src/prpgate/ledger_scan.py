"""Which ids a ledger knows, by a look at its lines. For the commit-msg hook, which cannot afford to import YAML.

It errs on the side of knowing too many: an unknown id in a message is a refusal, and this is no place for a false one.
"""

from __future__ import annotations

import re

DRAFT = "DRAFT-"  # and 8 hex digits, by chance: no two clones ask each other for it

_KEY = rb"""(?m)^([ ]*)(?:"([^"\n]+)"|'([^'\n]+)'|([^\s"'#{\[?&*!|>%@`-][^\s:{]*))[ ]*:(?=\s|$)"""
_VALUE = rb"""(?m)^[ \t]*["']?(?:id|stable_id|legacy_id)["']?[ ]*:[ ]*["']?([^\s"'#,}]+)"""
_WORD = rb"[A-Za-z0-9][A-Za-z0-9_.-]*"


def is_id(text: str) -> bool:
    """Whether a text can be an id at all: it is also a file name, a key in the store and a word in a subject."""
    inner = text.translate({ord(c): "a" for c in "._-"})
    return 0 < len(text) <= 64 and text.isascii() and inner.isalnum() and text[0].isalnum()


def is_draft(prp_id: str) -> bool:
    """Whether this is the temporary id of a PRP that was written without a store."""
    digits = prp_id.removeprefix(DRAFT)
    return prp_id.startswith(DRAFT) and len(digits) == 8 and not digits.strip("0123456789abcdef")


def known_ids_scan(data: bytes) -> set[str]:
    """Every id, stable_id and legacy_id in a ledger file of either form. Never raises; imports nothing heavy."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    found = {m[1] for m in re.finditer(_VALUE, data)}
    depth: int | None = None
    inside = False
    for m in re.finditer(_KEY, data):
        indent, name = len(m[1]), m[2] or m[3] or m[4]
        if indent == 0:
            inside, depth = name == b"prp_tracking", None
        elif inside:
            depth = indent if depth is None else depth
            if indent <= depth:
                found.add(name)
    if b"{" in data:  # entries in braces: every word may be an id
        found.update(re.findall(_WORD, data))
    return {name.decode("utf-8", "replace") for name in found}
