"""land, lane close|open|log."""

from __future__ import annotations

import contextlib
import importlib
import queue
import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING

from .. import land as landing
from .. import land_pull, ops
from ..errors import COULD_NOT_TELL, INTERRUPTED, OK, QUEUED, UserError
from ..interrupts import alike, held_back, no_more
from ..messages import land as say
from ..messages import pulls as pulls_say
from ..messages.prps import unknown
from ..output import error_text
from ..refusal import save_refusal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any, Self

    from ..host import Host
    from ..land import Outcome, Stage
    from ..output import Output

QUIET_S = 0.4  # a landing that takes no longer says only how it ended
REDRAW_S = 1.0


class Live:
    """What is going on, once it takes long enough: a line on each change, on a terminal one line that is rewritten.

    A thread writes all of it. What it is told goes through a queue that C keeps: a lock of Python's can stay locked
    when Ctrl-C strikes, and the end would be waited for in vain.
    """

    def __init__(self, lane: str, out: Output) -> None:
        self.lane, self.out = lane, out
        self.terminal = sys.stderr.isatty()
        self._told: queue.SimpleQueue[tuple[Stage, float] | str | None] = queue.SimpleQueue()
        self._over = False
        self._thread = threading.Thread(target=self._write, name="progress", daemon=True)

    def __enter__(self) -> Self:
        with held_back():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._told.put(None)
        self._thread.join()
        self._over = True
        self._say_the_rest()

    def stage(self, now: Stage) -> None:
        self._told.put((now, time.monotonic()))

    def line(self, step: str, text: str) -> None:
        self._told.put(f"{step} | {text}")
        if self._over:  # a look at the host that goes on beside the end of the landing
            self._say_the_rest()

    def _say_the_rest(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                told = self._told.get_nowait()
                if isinstance(told, str):
                    self.out.note(told)

    def _write(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more: what is under way goes on
            self._write_until_over()

    def _write_until_over(self) -> None:
        now: tuple[Stage, float] | None = None
        shown: tuple[Stage, float] | None = None
        quiet_until = time.monotonic() + QUIET_S
        while True:
            quiet_s = quiet_until - time.monotonic()
            if now and quiet_s <= 0:
                if self.terminal:  # a longer line would wrap, and could not be taken back
                    line = say.stage(self.lane, now[0], time.monotonic() - now[1])
                    self.out.progress(line[: shutil.get_terminal_size().columns - 1])
                elif shown is None or now[0] != shown[0]:
                    self.out.note(say.stage(self.lane, now[0]))
                shown = now
            wait_s = quiet_s if quiet_s > 0 else REDRAW_S
            with contextlib.suppress(queue.Empty):
                told = self._told.get(timeout=wait_s)
                while True:  # of what came meanwhile, every line and the last stage
                    if told is None:
                        return
                    if isinstance(told, str):
                        self.out.note(told)
                    else:
                        now = told
                    told = self._told.get_nowait()


def land(args: argparse.Namespace, out: Output) -> int:
    # Importing redis-py takes as long as what git is asked meanwhile; done side by side they cost one of them.
    session = ops.Session(url=args.redis_url)
    job, host = None, None
    try:
        wait_s = landing.check(args.wait, args.no_wait)
        if args.pr is not None or (session.config.via == "pr" and args.revert is None):
            host, job = _pull(session, args)
        else:
            prp = _prp(session, args.prp)
            with _loading():
                job = landing.job(
                    *(session.repo, session.config, args.from_branch, prp),
                    revert=args.revert,
                    hotfix=args.hotfix,
                    reason=args.reason,
                )
        remote = session.config.remote
        if session.repo.remote_url(remote) is None and "/" not in remote:  # a path can be fetched from as it is
            raise say.no_remote(remote)
        with alike(), Live(job.lane, out) as live:
            ears = landing.Ears(
                live.stage,
                live.line,
                lambda event: live.stage(landing.Stage(landing.GATE, detail=event.name)),
                no_more,
            )
            what = (session.repo, session.config, session.store(), session.agent, job, ears)
            if host:
                done = land_pull.land_pull(*what, host=host, wait_s=wait_s, url=args.redis_url)
            else:
                done = landing.land(*what, wait_s=wait_s, url=args.redis_url)
    except UserError as e:
        if job and e.next_action == say.LAND:  # the landing that was asked for, not what is checked out
            e.next_action = say.again(job._replace(hotfix=job.hotfix and e.code != "no-hotfix"))
        save_refusal(session.repo.git_dir, error_text(e))
        if not out.json:
            raise
        known: dict[str, Any] = {"lane": job.lane, "sha": None, "base": None} if job else {}
        shape = {**known, "landed": False, "state": e.code, "position": None}
        out.refused_with(e.message, e.code, e.next_action, hint=e.hint, **shape)
        out.note(error_text(e))
        return e.exit_code
    except KeyboardInterrupt:
        out.note(say.STOPPED)
        return INTERRUPTED
    finally:
        session.close()
    return _say(done, out)


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """Importing redis-py takes as long as what git is asked meanwhile; done side by side they cost one of them.

    Interrupts wait until both are done: one that strikes while two threads import leaves Python's import lock locked,
    and the other thread, and who waits for it, stand still for ever.
    """
    with held_back():
        thread = threading.Thread(target=importlib.import_module, args=("prpgate.store.client",), daemon=True)
        thread.start()
        try:
            yield
        finally:
            thread.join()


def _pull(session: ops.Session, args: argparse.Namespace) -> tuple[Host, landing.Job]:
    """The host, and the pull request that is to land: the one named, or the one of the branch."""
    for option, given in (("--revert", args.revert), ("--from", args.pr is not None and args.from_branch)):
        if given not in (None, False):
            raise pulls_say.not_together(option)
    return land_pull.job(
        *(session.repo, session.config, args.pr, args.from_branch, _prp(session, args.prp)),
        hotfix=args.hotfix,
        reason=args.reason,
    )


def _prp(session: ops.Session, any_id: str | None) -> str | None:
    if any_id is None:
        return None
    state = ops.read_state(session)
    found = state.resolve(any_id)
    if found is None:
        raise unknown(any_id, state)
    return found.id


def _say(done: Outcome, out: Output) -> int:
    text = pulls_say.outcome(done) or say.outcome(done)
    action = say.next_action(done)
    shape: dict[str, Any] = {
        "lane": done.job.lane,
        "landed": done.state in (landing.LANDED, landing.IN_CI, landing.NOTHING),
        "sha": done.sha,
        "base": done.base,
        "state": done.state,
        "position": done.queued.position if done.queued else None,
        "run_url": done.run_url,
    }
    if shape["landed"]:
        out.say(text, colour="green")
        out.answer(**shape, next_action=action)
        return OK
    out.say(text, colour="yellow")
    out.say(f"  {action}")
    if out.json:
        out.refused_with(text, done.state, action, **shape)
    return QUEUED if done.state == landing.QUEUED else COULD_NOT_TELL
