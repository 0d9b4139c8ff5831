"""land, lane close|open|log."""

from __future__ import annotations

import importlib
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
    from typing import Any, Self

    from ..host import Host
    from ..land import Outcome, Stage
    from ..output import Output

QUIET_S = 0.4  # a landing that takes no longer says only how it ended
REDRAW_S = 1.0


class Live:
    """What is going on, once it takes long enough: a line on each change, on a terminal one line that is rewritten."""

    def __init__(self, lane: str, out: Output) -> None:
        self.lane, self.out = lane, out
        self.terminal = sys.stderr.isatty()
        self.now: Stage | None = None
        self.shown: Stage | None = None
        self.since = time.monotonic()
        self._changed = threading.Condition()
        self._done = False
        self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)

    def __enter__(self) -> Self:
        with held_back():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._done = True
            self._changed.notify()
        self._thread.join()

    def stage(self, now: Stage) -> None:
        with self._changed:
            self.now, self.since = now, time.monotonic()
            self._changed.notify()

    def line(self, step: str, text: str) -> None:
        with self._changed:
            self.out.note(f"{step} | {text}")

    def _draw(self) -> None:
        with self._changed:
            every_s = REDRAW_S if self.terminal else None
            self._changed.wait_for(lambda: self._done, QUIET_S)
            while not self._done:
                if self.now and self.terminal:  # a longer line would wrap, and could not be taken back
                    line = say.stage(self.lane, self.now, time.monotonic() - self.since)
                    self.out.progress(line[: shutil.get_terminal_size().columns - 1])
                elif self.now and self.now != self.shown:
                    self.out.note(say.stage(self.lane, self.now))
                self.shown = self.now
                self._changed.wait_for(lambda: self._done or self.now is not self.shown, every_s)


def land(args: argparse.Namespace, out: Output) -> int:
    # Importing redis-py takes as long as what git is asked meanwhile; done side by side they cost one of them.
    threading.Thread(target=importlib.import_module, args=("prpgate.store.client",), daemon=True).start()
    session = ops.Session(url=args.redis_url)
    job, host = None, None
    try:
        wait_s = landing.check(args.wait, args.no_wait)
        if args.pr is not None or (session.config.via == "pr" and args.revert is None):
            host, job = _pull(session, args)
        else:
            job = landing.job(
                *(session.repo, session.config, args.from_branch, _prp(session, args.prp)),
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
