"""What can go wrong, as types. Exceptions are for faults and refusals that end a command; outcomes are values.

Exit codes: 0 ok, 1 refused, 2 usage, 3 a bug (with a log file), 4 store down, 5 could not tell, 75 still in line, or
nothing came (sysexits.h calls it EX_TEMPFAIL: try again later), 130 interrupted.
"""

from __future__ import annotations

OK, REFUSED, USAGE, BUG, STORE_DOWN, COULD_NOT_TELL, QUEUED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 75, 130


class UserError(Exception):
    """A command cannot go on, and the person can do something about it.

    `code` is a short stable word for programs, `hint` says why or what else is possible, and `next_action` is
    the exact command to type next, or None. `when` says from when on it helps ("after 14:24"), and `otherwise` is
    another way: what it is, and its command.
    """

    exit_code = REFUSED

    def __init__(
        self,
        message: str,
        *,
        code: str = "refused",
        hint: str | None = None,
        next_action: str | None = None,
        when: str | None = None,
        otherwise: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.next_action = next_action
        self.when = when
        self.otherwise = otherwise


class UsageError(UserError):
    """The command line or a file the person wrote does not say something that can be done."""

    exit_code = USAGE


class StoreDown(UserError):
    """The store did not answer, refused us, or is not the store of this project."""

    exit_code = STORE_DOWN


class CouldNotTell(UserError):
    """A check could be neither passed nor failed (missing objects, an unreachable remote)."""

    exit_code = COULD_NOT_TELL


class LaneClosed(UserError):
    """The lane takes only fixes. The place in its line is kept."""


class LockLost(UserError):
    """The merge lock was held and is not any more; `message` says who has it now or who broke it."""


class HostDown(CouldNotTell):
    """The host's API did not answer, or asked to be left alone for a while. Nothing is known; try again later.

    `retry_s`: how long the host wants to be left alone, where it said so. `unsent`: what was asked was surely not done.
    """

    retry_s: float | None = None
    unsent: bool = False


class HostRefused(UserError):
    """The host's API answered, and said no. `status` is its HTTP status; 0 when it was not even asked."""

    status: int = 0
