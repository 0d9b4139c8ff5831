"""One value -> the YAML that stands for it and for nothing else, whatever the text holds."""

from __future__ import annotations

import re
from typing import Any

# What some YAML reader, of 1.1 or of 1.2, takes for something else than text. 27e7220 is a commit, and a number.
_WORDS = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])
_NUMBER = re.compile(
    r"[-+]?(\.[0-9_]+|[0-9][0-9_,:]*\.?[0-9_]*)([eE][-+]?[0-9]+)?|[-+]?0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|[-+]?0[bB][01_]+"
    r"|[-+]?\.(inf|Inf|INF|nan|NaN|NAN)",
    re.ASCII,
)
_TIME = re.compile(r"[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?([Tt\s].*)?", re.ASCII | re.DOTALL)
_PLAIN = re.compile(r"[^\W_]([^:#]|:(?=\S)|(?<!\s)#)*")
_NOT_IN_FLOW = frozenset(",:[]{}")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _is_plain(text: str, flow: bool) -> bool:
    if not text or text[-1].isspace() or text.lower() in _WORDS:
        return False
    if _NUMBER.fullmatch(text) or _TIME.fullmatch(text) or not _PLAIN.fullmatch(text):
        return False
    return not (flow and _NOT_IN_FLOW.intersection(text))


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def text(value: str, quote: str = "", flow: bool = False) -> str:
    """A text, on one line. Quoted with `quote` when given, else only if it must be.

    Characters that a reader of the file would not see (controls, line breaks, direction marks) are escaped.
    Raises ValueError for a NUL and for what UTF-8 cannot hold.
    """
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("it holds a NUL or half a character")
    if not value.isprintable():
        return f'"{"".join(map(_escaped, value))}"'
    if not quote and _is_plain(value, flow):
        return value
    if quote == '"':
        return f'"{"".join(map(_escaped, value))}"'
    doubled = value.replace("'", "''")
    return f"'{doubled}'"


def scalar(value: Any, quote: str = "", flow: bool = False) -> str:
    """A value as YAML on one line: null, true, false, a whole number, a text, or a list of these in brackets.

    Raises ValueError for anything else.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return text(value, quote, flow)
    if isinstance(value, list | tuple):
        return f"[{', '.join(scalar(v, '', flow=True) for v in value)}]"
    raise ValueError(f"it is of the type {type(value).__name__}")
