"""Where this copy of prpgate was installed from: it may be in no index, so its own address is named."""

from __future__ import annotations

import json
import sys
from shlex import quote
from typing import Any
from urllib.parse import unquote


def command(extra: str = "", *, how: str = "") -> str:
    """The pip command that installs this copy for this Python, once more: from a path, a repository, or an index."""
    options = f" {how}" if how else ""
    return f"{quote(sys.executable or 'python3')} -m pip install{options} {requirement(extra)}"


def requirement(extra: str = "") -> str:
    """What pip is given, quoted for a shell."""
    extras = f"[{extra}]" if extra else ""
    told = noted()
    url = str(told.get("url", ""))
    if url.startswith("file://"):
        editable = "-e " if told.get("dir_info", {}).get("editable") else ""
        return editable + quote(unquote(url.removeprefix("file://")) + extras)
    vcs = told.get("vcs_info", {}).get("vcs")
    if url:
        return quote(f"prpgate{extras} @ {vcs}+{url}" if vcs else f"prpgate{extras} @ {url}")
    return f'"prpgate{extras}"' if extras else "prpgate"


def noted() -> dict[str, Any]:
    """What pip noted when it installed this (direct_url.json); nothing for a copy from an index, or of no pip."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        found = json.loads(distribution("prpgate").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
