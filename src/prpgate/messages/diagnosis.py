"""What `prp doctor` says of a lane, a store and a working tree that do not agree."""

from __future__ import annotations

from ..output import inert
from .lane import counted


def damaged(lane: str, prp_id: str, text: str, count: int) -> str:
    what = f"{inert(prp_id)}: {inert(text)}" if prp_id else inert(text)
    return f"the ledger of {inert(lane)}: {what} ({counted(count, 'conflict')})"


def store_behind(lane: str, cursor: str | None, tip: str | None) -> str:
    return f"the store has seen {(cursor or 'nothing')[:10]}; {inert(lane)} is at {(tip or 'nothing')[:10]} here"


def clone_behind(remote: str, lane: str, known: str, tip: str) -> str:
    return f"this clone knows {inert(remote)}/{inert(lane)} at {known[:10]}, and it is at {tip[:10]}"


def branch_behind(remote: str, lane: str, count: int) -> str:
    return f"{inert(lane)} here is {counted(count, 'commit')} behind {inert(remote)}/{inert(lane)}"
