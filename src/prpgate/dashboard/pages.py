"""The few pages that are shown to whoever is not let in. Fixed texts: nothing that was sent here is repeated."""

from __future__ import annotations

from html import escape

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>prpgate</title></head>
<body><main><h1>{title}</h1>{paragraphs}</main></body>
</html>
"""
NEW_LINK = "In the repository, type <code>prp dashboard</code>: it prints a new link."


def _page(title: str, *paragraphs: str) -> str:
    return _PAGE.format(title=escape(title), paragraphs="".join(f"<p>{p}</p>" for p in paragraphs))


USED_UP = _page(
    "This link is used up",
    "A link opens the dashboard once, within ten minutes, for the dashboard that made it.",
    NEW_LINK,
)
NOT_LOGGED_IN = _page("Not logged in", NEW_LINK)


def refused(status: int, message: str, hint: str | None) -> str:
    if status == 401:
        return NOT_LOGGED_IN
    return _page(f"{status}: {message}", *([escape(hint)] if hint else []))
