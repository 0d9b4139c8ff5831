"""Text measured in the cells of a terminal: made inert, and cut or filled to a width.

What terminals disagree about (variation selectors, skin tones, flags, stacks of combining marks, loose parts of Hangul
syllables) is left out or shown as something that all of them draw alike, so that a column stays a column.
"""

from __future__ import annotations

import unicodedata

from .output import inert, width

MARKS = 2  # combining marks on one letter that are shown
MORE = "…"


def plain(text: object) -> str:
    """Inert, on one line, and of a width that every terminal agrees about."""
    safe = inert(text)
    if safe.isascii():
        return safe
    found: list[str] = []
    marks = 0
    for c in unicodedata.normalize("NFC", safe):
        marks = marks + 1 if unicodedata.category(c) in ("Mn", "Me") else 0
        if marks > MARKS or (marks and not found) or _selects(c):
            continue
        found.append(_shown(c))
    return "".join(found)


def _selects(c: str) -> bool:
    """A variation selector or a skin tone: it only changes how the character before it looks."""
    return "\ufe00" <= c <= "\ufe0f" or "\U000e0100" <= c <= "\U000e01ef" or "\U0001f3fb" <= c <= "\U0001f3ff"


def _shown(c: str) -> str:
    if "\U0001f1e6" <= c <= "\U0001f1ff":  # half a flag
        return chr(ord(c) - 0x1F1E6 + ord("A"))
    if "\u1160" <= c <= "\u11ff" or "\ud7b0" <= c <= "\ud7fb":  # a part of a syllable, without its beginning
        return "?"
    return c


def cut(text: str, most: int) -> str:
    """At most so many cells of a plain text; what is left out is shown by an ellipsis."""
    if len(text) <= most and text.isascii():
        return text
    if width(text) <= most:
        return text
    kept, room = [], most - 1
    for c in text:
        room -= width(c)
        if room < 0:
            break
        kept.append(c)
    return "".join(kept).rstrip() + MORE if most > 0 else ""


def fill(text: str, cells: int) -> str:
    """Exactly so many cells: cut, or with spaces behind it."""
    short = cut(text, cells)
    return short + " " * (cells - width(short))
