"""One `git push` of one commit to one lane, with the old value that the remote must still have, and what git said."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, NamedTuple

from . import identity
from .gitrepo import quiet_env
from .interrupts import held_back
from .model import ZERO
from .vouching import VOUCHER, Voucher, question

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gitrepo import Repo
    from .model import Intent
    from .outcomes import Lease

TOOK, REFUSED, NOT_SENT, UNKNOWN, STOPPED = "took", "refused", "not-sent", "unknown", "stopped"
FENCE, HOLD = "PRP_LAND_FENCE", "PRP_LAND_HOLD"  # how our own pre-push hook knows the landing that it belongs to
PREFIX = "push-"  # of the folder that keeps what git says of a push
END_S = 5.0
LOOK_S = 0.5  # how often to look whether the lane is still ours
TICK_S = 0.02  # ... and whether git has ended, where the kernel cannot tell


class Pushed(NamedTuple):
    """What git said. Only the remote itself says whether the commit landed."""

    said: str  # TOOK, REFUSED (by the remote), NOT_SENT (a hook here said no), UNKNOWN, STOPPED (an interrupt)
    text: str  # what git and the hooks wrote for people


def is_plain(repo: Repo, remote: str, lane: str) -> bool:
    """Whether a bare `git push` of what is checked out goes to this lane: an upstream, of the same name."""
    upstream = repo.maybe("rev-parse", "--abbrev-ref", "@{upstream}") if repo.branch == lane else None
    return upstream == f"{remote}/{lane}"


def again(repo: Repo, remote: str, lane: str) -> str:
    """The command that pushes once more, on top of what is new on the lane."""
    from .messages import lane as say

    return say.AGAIN if is_plain(repo, remote, lane) else say.again(remote, lane)


def push(
    repo: Repo,
    remote: str,
    lease: Lease,
    intent: Intent,
    voucher: Voucher,
    *,
    lost: Callable[[], bool],
    candidate: str | None = None,
) -> Pushed:
    """Push `intent.head` to the lease's lane, which must still be at `intent.base`. Never forced, never a prompt.
    With `candidate`, to that branch instead, which is no lane: nobody has to vouch for it.

    The voucher tells our own hook that the lane is held, until the push has ended. An interrupt, or `lost()`, ends the
    push; it may still arrive.
    """
    ref = f"refs/heads/{candidate or lease.lane}"
    expected = "" if intent.base == ZERO else intent.base
    command = ["git", "push", "--porcelain", "--no-follow-tags", f"--force-with-lease={ref}:{expected}"]
    os.makedirs(repo.own_dir, exist_ok=True)
    mine = identity.owned(PREFIX, identity.process(os.getpid()))
    with tempfile.TemporaryDirectory(prefix=mine, dir=repo.own_dir) as folder:
        trace = os.path.join(folder, "trace")
        where = os.path.join(folder, "s")
        env = quiet_env()
        if candidate is None:
            voucher.listen(where, question(intent.head, intent.base, ref))
            env |= {FENCE: str(lease.fence), HOLD: lease.hold, VOUCHER: where}
        env["GIT_TRACE2_EVENT"] = trace
        env.pop("PRP_BREAK_GLASS", None)  # this push does have the lock
        # Files, not pipes: what a hook leaves running would keep a pipe open. A session of its own: Ctrl-C is for us.
        with open(os.path.join(folder, "out"), "w+b") as out, open(os.path.join(folder, "err"), "w+b") as err:
            process = subprocess.Popen(
                [*command, remote, f"{intent.head}:{ref}"],
                cwd=repo.path,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            ended = _wait(process, lost, voucher)
            voucher.stop_listening()
            out.seek(0)
            err.seek(0)
            told, text = out.read().decode("utf-8", "replace"), err.read().decode("utf-8", "replace").strip()
        flags = [line[0] for line in told.splitlines() if line.count("\t") >= 2]
        if ended:
            said = ended
        elif process.returncode == 0 and "!" not in flags:
            said = TOOK
        elif "!" in flags:
            said = REFUSED
            text = "\n".join([text, *(line for line in told.splitlines() if line.startswith("!"))])
        else:
            said = NOT_SENT if _hook_refused(trace) else UNKNOWN
        return Pushed(said, text)


def sweep(repo: Repo) -> None:
    """Remove what pushes of processes that were killed left behind."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(repo.own_dir):
            owner = identity.owner(PREFIX, name)
            if owner and not identity.alive(owner):
                shutil.rmtree(os.path.join(repo.own_dir, name), ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], lost: Callable[[], bool], voucher: Voucher) -> str:
    """Until the push ends, vouching for it meanwhile: "". When it was made to end: STOPPED by an interrupt, UNKNOWN
    because the lock was lost."""
    why = UNKNOWN
    try:
        with contextlib.ExitStack() as at_the_end:
            poll = select.poll()
            every_s = TICK_S
            if hasattr(os, "pidfd_open"):
                pidfd = os.pidfd_open(process.pid)
                at_the_end.callback(os.close, pidfd)
                poll.register(pidfd, select.POLLIN)
                every_s = LOOK_S
            if voucher.listener is not None:
                poll.register(voucher.listener, select.POLLIN)
            while process.poll() is None:
                ready = {fd for fd, _ in poll.poll(every_s * 1000)}
                if lost() and process.poll() is None:
                    break
                if voucher.listener is not None and voucher.listener.fileno() in ready:
                    voucher.answer(not lost())
            else:
                return ""
    except KeyboardInterrupt:
        why = STOPPED
    with held_back():
        end_group(process)
    return why


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and everything in its group."""
    until = time.monotonic() + END_S
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(max(0.1, until - time.monotonic()))
            break
        except subprocess.TimeoutExpired:
            continue


def _hook_refused(trace: str) -> bool:
    """Did a pre-push hook end the push? Git's own trace says so, and nothing else does for certain."""
    ours: set[int] = set()
    try:
        with open(trace, encoding="utf-8", errors="replace") as f:
            events = [json.loads(line) for line in f if line.startswith("{") and line.rstrip().endswith("}")]
    except FileNotFoundError:
        return False
    for event in events:
        if "/" in event.get("sid", ""):  # a git below this one
            continue
        if event.get("event") == "child_start" and event.get("hook_name") == "pre-push":
            ours.add(event["child_id"])
        if event.get("event") == "child_exit" and event.get("child_id") in ours and event.get("code") != 0:
            return True
    return False
