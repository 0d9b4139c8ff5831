"""The remote itself, seen from inside: a bare repository that guards itself with hooks of its own."""

from __future__ import annotations

from functools import cached_property

from .gitrepo import Repo, Tip


class Served(Repo):
    """A bare repository that others push to. It is the remote itself: what a clone would ask for stands in its refs."""

    @cached_property
    def top(self) -> str:
        """The repository's own folder, where a .env for its hooks may stand."""
        return self.common_dir

    def tracking(self, remote: str, branch: str) -> str:
        return f"refs/heads/{branch}"

    def own_ref(self, remote: str, branch: str) -> str:
        return f"refs/heads/{branch}"

    def remote_tip(self, remote: str, branch: str, timeout_s: float = 8.0) -> Tip:
        return Tip(self.sha(f"refs/heads/{branch}^{{commit}}"))

    def fetch_tip(self, remote: str, branch: str, timeout_s: float = 30.0) -> None:
        """Nothing: all that its branches have is here."""

    def remote_url(self, remote: str) -> str | None:
        """None: a mirror may have an `origin`, which is not what people push to."""
        return None
