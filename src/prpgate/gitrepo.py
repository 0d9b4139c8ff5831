"""The only module that talks to git.

Plumbing by subprocess: this is the hooks' hot path, and GitPython's import alone costs eight Python starts.
What can afford it (`prp demo` today) uses GitPython, see `Repo.python`.
"""

from __future__ import annotations

import os
import subprocess
from fnmatch import fnmatchcase
from functools import cached_property
from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

from .errors import CouldNotTell, UsageError
from .model import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import git

    from .config import Config

# Set by git around a hook. They must not leak into commands about other repositories, nor into what outlives the hook.
OUTSIDE = "Go to a clone of the project (cd). A new project begins with git init and prp init."
LOCAL_ENV = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_INTERNAL_SUPER_PREFIX",
)


def clean_env() -> dict[str, str]:
    """The environment without what binds git to one repository."""
    return {k: v for k, v in os.environ.items() if k not in LOCAL_ENV}


def quiet_env() -> dict[str, str]:
    """An environment in which git asks nobody for anything: for what runs without a person in front of it."""
    env = clean_env()
    ssh = env.get("GIT_SSH_COMMAND") or env.get("GIT_SSH") or "ssh"
    env.update(
        GIT_TERMINAL_PROMPT="0",
        GIT_SSH_COMMAND=f"{ssh} -oBatchMode=yes -oConnectTimeout=5",
        GIT_ASKPASS="true",
        SSH_ASKPASS="true",
        SSH_ASKPASS_REQUIRE="never",
        GCM_INTERACTIVE="never",
    )
    return env


class GitError(CouldNotTell):
    """git said no. `stderr` is what it said."""

    def __init__(self, args: Iterable[str], code: int, stderr: str) -> None:
        lines = stderr.strip().splitlines() or ["no message"]  # advice may follow the one that says why
        why = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[-1])
        super().__init__(f"git {_verb(args)} ended with {code}: {why}", code="git")
        self.stderr = stderr


def _verb(args: Iterable[str]) -> str:
    """The git command among its arguments, without the options before it."""
    words = list(args)
    return words[2] if words[0] == "--git-dir" else words[0]


class Tip(NamedTuple):
    """What a look at the remote found: the branch's tip, or None for a branch that is not there."""

    sha: str | None


class Repo:
    """One git repository, seen from one working tree (or from a bare repository)."""

    def __init__(self, path: str = ".") -> None:
        self.path = path
        # What was read of objects that can never change (named by full ids): a push asks for some of it repeatedly.
        self._messages: dict[tuple[str | None, str], list[tuple[str, str]]] = {}
        self._changed: dict[tuple[str | None, str], list[str]] = {}
        self._here: set[str] = set()
        self._blobs: dict[str, bytes] = {}
        # ... and of settings that nobody changes under a running command.
        self._settings: dict[str, str] = {}
        self._push_urls: dict[str, str] = {}

    @classmethod
    def found(cls, path: str = ".") -> Repo:
        """The repository around a folder, seen from its top: paths given to git mean the same wherever one stands."""
        here = cls(path)
        repo = cls(here.root)
        if "_where" in here.__dict__:  # the same seen from the top
            repo._where, repo.root = here._where, here.root
        return repo

    # --- running git -------------------------------------------------------------------------------------------------
    def run(
        self,
        *args: str,
        check: bool = True,
        stdin: bytes | None = None,
        env: dict[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git here. Raises GitError when `check` and it fails, CouldNotTell when it takes too long."""
        try:
            done = subprocess.run(
                ["git", "-c", "log.showSignature=false", *args],  # else signatures stand between what is read
                cwd=self.path,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                env=env,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise CouldNotTell(f"git {_verb(args)} did not end within {timeout_s:g} s", code="git-timeout") from None
        except FileNotFoundError:
            raise UsageError("git is not installed, or not on PATH.", code="no-git") from None
        if check and done.returncode:
            raise GitError(args, done.returncode, done.stderr.decode("utf-8", "replace"))
        return done

    def text(self, *args: str, **more: object) -> str:
        """Standard output of a git command, without its last newline."""
        return self.run(*args, **more).stdout.decode("utf-8", "surrogateescape").rstrip("\n")  # type: ignore[arg-type]

    def maybe(self, *args: str) -> str | None:
        """Standard output, or None when git ends with an error."""
        done = self.run(*args, check=False)
        return None if done.returncode else done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    # --- where we are ------------------------------------------------------------------------------------------------
    @cached_property
    def _where(self) -> tuple[str, str, bool]:
        out = self.maybe("rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir", "--is-bare-repository")
        if out is None:
            here = os.path.abspath(self.path)
            raise UsageError(f"{here} is not in a git repository.", code="no-repository", hint=OUTSIDE)
        if out.count("\n") != 2:
            raise UsageError(
                "the path of this repository has a line break in it: prpgate cannot work there.", code="path"
            )
        git_dir, common, bare = out.split("\n")
        return git_dir, common, bare == "true"

    @property
    def git_dir(self) -> str:
        """Absolute path of this worktree's own git dir."""
        return self._where[0]

    @property
    def common_dir(self) -> str:
        """Absolute path of the git dir that all worktrees of the repository share."""
        return self._where[1]

    @property
    def bare(self) -> bool:
        return self._where[2]

    @cached_property
    def top(self) -> str:
        """Absolute path of the working tree's top. Raises UsageError in a bare repository."""
        if self.bare:
            raise UsageError(
                f"{self.common_dir} is a bare repository: it has no working tree to work in. A clone has.",
                code="bare",
                next_action=f"git clone {quote(self.common_dir)}",
            )
        return self.text("rev-parse", "--show-toplevel")

    @cached_property
    def root(self) -> str:
        """The working tree's top; the git dir itself where there is none (a bare repository, inside .git)."""
        return (None if self.bare else self.maybe("rev-parse", "--show-toplevel")) or self.common_dir

    @property
    def shallow(self) -> bool:
        """Whether history is cut off here: then "not an ancestor" may only mean "not here"."""
        return os.path.exists(os.path.join(self.common_dir, "shallow"))

    @property
    def own_dir(self) -> str:
        """Folder for what prpgate keeps in this repository (shared by its worktrees)."""
        return os.path.join(self.common_dir, "prpgate")

    def config(self, name: str) -> str | None:
        return self.maybe("config", "--get", name)

    def setting(self, name: str) -> str | None:
        """`config`, read once where it is set."""
        if name not in self._settings and (value := self.config(name)):
            self._settings[name] = value
        return self._settings.get(name)

    def configure(self, name: str, value: str | None) -> None:
        """Set a setting of this repository, or take it away."""
        self._settings.pop(name, None)
        self.run("config", *(("--unset", name) if value is None else (name, value)), check=value is not None)

    @cached_property
    def python(self) -> git.Repo:
        """GitPython's view, where its import can be afforded."""
        import git

        return git.Repo(self.common_dir if self.bare else self.top)

    # --- objects -----------------------------------------------------------------------------------------------------
    def sha(self, rev: str) -> str | None:
        """Object id of a revision, None when there is no such thing here."""
        return self.maybe("rev-parse", "--verify", "--quiet", "--end-of-options", rev)

    @property
    def head(self) -> str | None:
        """The commit checked out; None before the first commit."""
        return self.sha("HEAD^{commit}")

    @property
    def branch(self) -> str | None:
        """Short name of the branch checked out, None when HEAD is detached."""
        return self.maybe("symbolic-ref", "--quiet", "--short", "HEAD")

    def has(self, sha: str) -> bool:
        """Whether the commit and what stands behind its name are here."""
        if sha not in self._here and self.run("cat-file", "-e", f"{sha}^{{commit}}", check=False).returncode == 0:
            self._here.add(sha)
        return sha in self._here

    def blob(self, spec: str) -> bytes | None:
        """Content of `commit:path` or `:path` (the index). None when there is no such file."""
        if spec in self._blobs:
            return self._blobs[spec]
        found = self.blobs([spec])[0]
        if found is not None and len(spec.partition(":")[0]) >= 40:
            self._blobs[spec] = found
        return found

    def blobs(self, specs: list[str]) -> list[bytes | None]:
        """Contents of many blobs by one git process (a process each costs thirty times as much)."""
        if not specs:
            return []
        if any("\n" in s for s in specs):
            raise CouldNotTell("a path with a line break in it cannot be read", code="path")
        out = self.run("cat-file", "--batch", stdin="".join(s + "\n" for s in specs).encode("utf-8", "surrogateescape"))
        found: list[bytes | None] = []
        at, data = 0, out.stdout
        for _ in specs:
            end = data.index(b"\n", at)
            words = data[at:end].rsplit(b" ", 2)
            at = end + 1
            if len(words) == 3 and words[1] in (b"blob", b"commit", b"tree", b"tag") and words[2].isdigit():
                size = int(words[2])
                found.append(data[at : at + size] if words[1] == b"blob" else None)
                at += size + 1
            else:
                found.append(None)
        return found

    def paths_in(self, rev: str, folder: str) -> list[str]:
        """Paths of the files right in a folder of a tree (`rev`), or of the index for rev ""."""
        if rev:
            out = self.run("ls-tree", "--full-tree", "-z", "--name-only", rev, "--", folder, check=False).stdout
        else:
            out = self.run("ls-files", "--full-name", "-z", "--", f":/{folder}", check=False).stdout
        return [p.decode("utf-8", "surrogateescape") for p in out.split(b"\0") if p]

    def is_ancestor(self, old: str, new: str) -> bool | None:
        """True, False, or None when one of the two is not here (shallow, not fetched)."""
        if old == new:
            return True
        code = self.run("merge-base", "--is-ancestor", old, new, check=False).returncode
        return {0: True, 1: False}.get(code)

    def commits(self, old: str | None, new: str, *more: str) -> list[str]:
        """Commits in old..new (all of new's without old), oldest first."""
        span = [new] if old in (None, ZERO) else [f"{old}..{new}"]
        out = self.text("rev-list", "--reverse", "--topo-order", *more, *span, "--")
        return out.split()

    def tree(self, rev: str) -> str | None:
        return self.sha(f"{rev}^{{tree}}")

    def changed_paths(self, old: str | None, new: str) -> list[str]:
        """Paths that differ between two trees; all paths of `new` when there is no old one."""
        if (old, new) not in self._changed:
            if old in (None, ZERO):
                out = self.run("ls-tree", "--full-tree", "-r", "-z", "--name-only", new).stdout
            else:
                out = self.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", str(old), new).stdout
            found = [p.decode("utf-8", "surrogateescape") for p in out.split(b"\0") if p]
            if len(new) < 40:  # a name, which may mean something else next time
                return found
            self._changed[old, new] = found
        return self._changed[old, new]

    def message(self, sha: str) -> str:
        return self.text("show", "--no-patch", "--format=%B", sha)

    def messages(self, old: str | None, new: str) -> list[tuple[str, str]]:
        """(sha, message) of each commit in old..new (full ids), newest first."""
        if (old, new) not in self._messages:
            self._messages[old, new] = list(self._read_messages(old, new))
        return self._messages[old, new]

    def _read_messages(self, old: str | None, new: str) -> Iterator[tuple[str, str]]:
        span = [new] if old in (None, ZERO) else [f"{old}..{new}"]
        out = self.text("log", "-z", "--format=%H%n%B", *span, "--")
        for chunk in out.split("\0"):
            if chunk.strip():
                sha, _, body = chunk.partition("\n")
                yield sha, body

    # --- remotes -----------------------------------------------------------------------------------------------------
    def tracking(self, remote: str, branch: str) -> str:
        """Name of the remote-tracking ref, as a plain fetch keeps it."""
        return f"refs/remotes/{remote}/{branch}"

    def own_ref(self, remote: str, branch: str) -> str:
        """Where our own looks at the remote are kept, so that nobody's tracking refs move behind their back."""
        return f"refs/prpgate/{remote}/{branch}"

    def known_tip(self, remote: str, branch: str) -> str | None:
        """The newest tip of the lane that this clone has seen, by a fetch or by our own look."""
        a, b = self._tips(self.tracking(remote, branch), self.own_ref(remote, branch))
        if a and b and a != b and self.is_ancestor(a, b):
            return b
        return a or b

    def _tips(self, tracking: str, own: str) -> tuple[str | None, str | None]:
        """Both by one process."""
        listed = self.maybe("for-each-ref", "--format=%(refname) %(objectname)", tracking, own) or ""
        found = dict(line.split(" ") for line in listed.splitlines())
        return found.get(tracking), found.get(own)

    def remote_tip(self, remote: str, branch: str, timeout_s: float = 8.0) -> Tip:
        """Ask the remote for a branch's tip. Raises CouldNotTell when it does not answer."""
        out = self.text(
            "--git-dir",
            self.git_dir,
            "ls-remote",
            "--refs",
            "--",
            self.push_url(remote),
            f"refs/heads/{branch}",
            env=quiet_env(),
            timeout_s=timeout_s,
        )
        for line in out.split("\n"):
            sha, _, name = line.partition("\t")
            if name == f"refs/heads/{branch}":
                return Tip(sha)
        return Tip(None)

    def fetch_tip(self, remote: str, branch: str, timeout_s: float = 30.0) -> None:
        """Bring the branch's commits here, into a ref of our own. No tracking ref and no FETCH_HEAD is touched."""
        self.run(
            "--git-dir",
            self.git_dir,
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--no-recurse-submodules",
            "--refmap=",
            "--",
            self.push_url(remote),
            f"+refs/heads/{branch}:{self.own_ref(remote, branch)}",
            env=quiet_env(),
            timeout_s=timeout_s,
        )

    def push_url(self, remote: str) -> str:
        """Where a push to this remote goes; that is the place to ask, and it may be another than fetches come from."""
        if remote not in self._push_urls:
            self._push_urls[remote] = (self.maybe("remote", "get-url", "--push", remote) or remote).split("\n")[0]
        return self._push_urls[remote]

    def remote_url(self, remote: str) -> str | None:
        return self.maybe("remote", "get-url", remote)


def lane_of(config: Config, remote: str, ref: str) -> str | None:
    """Name of the lane that a push of `ref` to `remote` would land on, None when it is no lane."""
    if remote != config.remote or not ref.startswith("refs/heads/") or config.fence_of(ref) is not None:
        return None  # a candidate's branch is no lane, whatever a glob says
    branch = ref.removeprefix("refs/heads/")
    return branch if any(fnmatchcase(branch, pattern) for pattern in config.lanes) else None
