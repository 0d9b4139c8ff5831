"""`prp land` in a process of its own, for programs that must be able to cancel it.

Told to stop as by Ctrl-C, it gives up its ticket and its hold, and only then is it over.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import UserError
from .output import inert

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    OnLine = Callable[[str], Awaitable[None]]

ENDED = ("landed", "ci", "up-to-date", "queued", "unseen")
LAST_WORDS_S = 1.0
LONGEST_LINE = 1 << 16  # of what is told while it runs; the rest of a longer line is another one


class Landed(NamedTuple):
    """How a landing ended, when it did not end with a refusal. The fields are those of `prp land --json`."""

    state: str  # one of ENDED
    lane: str
    landed: bool
    sha: str | None
    base: str | None
    position: int | None
    next_action: str | None
    run_url: str | None = None  # of the CI run that proved it before (gate ci-first)


def options(
    branch: str | None = None,
    prp: str | None = None,
    wait_s: float | None = None,
    revert: str | None = None,
    reason: str = "",
    url: str | None = None,
) -> list[str]:
    """The command line's options; a value that begins with a dash stays a value. `revert` "": what closed the lane."""
    given = {"--from": branch, "--for": prp, "--reason": reason or None, "--redis-url": url}
    found = [f"{name}={value}" for name, value in given.items() if value is not None]
    found += [f"--wait={wait_s}"] if wait_s is not None else []
    return found + ([] if revert is None else [f"--revert={revert}" if revert else "--revert"])


async def run(path: str, given: Sequence[str], *, agent: str | None = None, on_line: OnLine | None = None) -> Landed:
    """Land what is checked out at `path`. `on_line` is awaited with each line that tells how it goes.

    Cancelled, the landing is stopped and its end awaited, then CancelledError is raised; one that was cancelled too
    late has landed, and the lane's log tells. Raises UserError when it is refused.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            # -P: a folder `redis` in somebody's repository is no package of ours.
            *(sys.executable, "-P", "-m", "prpgate", "land", "--json", *given),
            cwd=path,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **({"PRP_AGENT": agent} if agent else {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the caller's terminal is the caller's
        )
    except (OSError, ValueError) as e:  # a text that no command line takes, or a folder that is gone
        raise UserError(f"prp land could not be started: {inert(e)}.", code="usage") from None
    assert process.stdout is not None
    assert process.stderr is not None
    telling = asyncio.ensure_future(_tell(process.stderr, on_line))
    ending = asyncio.ensure_future(process.stdout.read())
    try:
        out = await asyncio.shield(ending)
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        await settled(ending)
        raise
    finally:
        await settled(asyncio.ensure_future(process.wait()))
        await settled(asyncio.ensure_future(asyncio.wait([telling], timeout=LAST_WORDS_S)))
        telling.cancel()  # something that outlives the landing has its pipe
    told = json.loads(out) if out.strip() else {}
    if told.get("state") in ENDED:
        fields: dict[str, Any] = {field: told.get(field) for field in Landed._fields}
        return Landed(**fields)
    wrong = told.get("error") or {}
    raise UserError(
        wrong.get("message") or f"prp land ended with {process.returncode}.",
        code=wrong.get("code") or "bug",
        hint=wrong.get("hint"),
        next_action=told.get("next_action") or "prp lock status",
    )


async def _tell(stream: asyncio.StreamReader, on_line: OnLine | None) -> None:
    """Read to the end, whether or not somebody still listens: a full pipe would stop the landing."""
    rest = b""
    try:
        while chunk := await stream.read(4096):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines if on_line else ():
                if on_line and line.strip():
                    await on_line(line.decode("utf-8", "replace").strip())
    finally:
        while await stream.read(1 << 16):
            pass


async def settled(doing: asyncio.Future[Any]) -> None:
    """Until it is done, however often this task is cancelled meanwhile; what it raises is nobody's business now."""
    while not doing.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([doing])
    if not doing.cancelled():
        doing.exception()
