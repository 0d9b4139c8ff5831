"""What is known of a tree without running anything: a verdict that stands for it, or one that it inherits.

Two ways to be spared a run of the smoke gate, and one to be spared some of its steps. All three ask for a green verdict
under the same steps hash, in a class that counts for whoever asks (CI believes CI only), and never overrule a red one:

* cached: it stands for this very tree, and the run that proved it is not older than `smoke_gate.max_age`.
* inherited: it stands so for a commit below, on the line of first parents, and all that changed since is
  entries of the ledger, in order (docs/design.md, "The smoke gate"). Never where a step says that it reads the ledger.
* a step with `changed` is left out where none of its paths differs from a tree that has a green verdict: that verdict
  says how the step would end. So what is proven is the tree, whatever it was compared with.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from . import evidence, gate_runs, smoke
from .errors import CouldNotTell
from .messages import smoke as say
from .model import ERROR, Verdict
from .scopes import covers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from typing import TypeAlias

    from .config import Config
    from .evidence import Recorded
    from .gitrepo import Repo
    from .lock import MergeLock, Standing
    from .model import Finding
    from .smoke import SmokeReport
    from .store.client import Store

    Judge: TypeAlias = Callable[[Repo, Config, str, str], list[Finding]]

CACHED, INHERITED = "cached", "inherited"
LOCAL, CI = ("local", "ci"), ("ci",)  # the classes that count for a run here, and for one in CI
FAR = 20  # commits below that are asked for a verdict to inherit
OURS = re.compile(r"\bprp(gate)?\b")  # a step that runs our own commands reads the ledger
PLAIN_MODES = {b"000000", b"100644"}  # not there, and a file that is no program and no link


class Known(NamedTuple):
    """A green verdict that spares a run."""

    how: str  # CACHED or INHERITED
    tree: str
    steps: str
    klass: str
    proven_ms: int  # when the run ended that proved it, by the store's clock
    age_s: float
    by: str
    run_url: str | None
    head: str | None  # the commit that it was given for; of an inherited one, the one below


class Scope(NamedTuple):
    """What the steps that say `changed` are compared with."""

    paths: Collection[str] | None  # what changed; None: all steps are needed
    base: str | None = None  # the commit that it was compared with
    note: str = ""  # why all steps are needed, although some say when they are


def find(
    repo: Repo, config: Config, lock: MergeLock, head: str, classes: Collection[str], judge: Judge
) -> Known | None:
    """The verdict that spares a commit a run of the gate that `config` declares; None: run it. Raises StoreDown."""
    tree, steps = repo.tree(head), smoke.hash_of(config)
    if not config.smoke or not config.smoke_max_age_s or tree is None:
        return None
    known = _Known(config, lock, steps, classes)
    here, red = known.of(tree)
    if red or here:
        return here
    return inherited(repo, config, known.of, head, tree, judge)


def take(store: Store, known: Known, *, agent: str, sha: str) -> list[str]:
    """Note what was found for a commit here, as class local: nothing was run in CI. The PRPs that are complete by it.

    Raises StoreDown.
    """
    gate_runs.note_spared(store, known, klass="local", sha=sha, by=agent)
    if known.how == CACHED and known.klass != "local":
        return []
    verdict = Verdict(known.tree, known.steps, "local", smoke.GREEN)
    return evidence.note_verdict(store, verdict, agent=agent, sha=sha, proven_ms=known.proven_ms).proven


def record(store: Store, report: SmokeReport, *, agent: str, sha: str) -> Recorded | None:
    """Note a run that was made here, and its verdict. None: it says nothing of a committed tree. Raises StoreDown."""
    if report.tree is None or report.interrupted:
        return None
    gate_runs.note(store, report, klass="local", sha=sha, by=agent)
    if report.result == smoke.UNKNOWN:
        return None
    return evidence.note_verdict(
        store, Verdict(report.tree, report.steps_hash, "local", report.result), agent=agent, sha=sha
    )


def green(repo: Repo, config: Config, lock: MergeLock, head: str, classes: Collection[str], judge: Judge) -> bool:
    """Whether a commit may pass for green, however old its verdict is: it stands for its tree, or is inherited."""
    tree = repo.tree(head)
    if tree is None:
        return False
    known = _Known(config, lock, smoke.hash_of(config), classes, aged=False)
    found = known.standing(tree)
    if any(v.result == smoke.GREEN for _, v in found):
        return True
    red = any(v.result == smoke.RED for _, v in found)
    return not red and inherited(repo, config, known.of, head, tree, judge) is not None


def scope(
    repo: Repo,
    config: Config,
    lock: MergeLock | None,
    base: str | None,
    head: str,
    classes: Collection[str],
    more: Collection[str] = (),
) -> Scope:
    """Which paths to hold against `changed`: those that differ, and `more`. Without a lock no verdict is recorded, and
    the base need not be green. Where no step would be needed all are: a run of nothing proves nothing, and a landing
    would wait for it, or a pull request's required check fail, for ever."""
    if not any(s.changed for s in config.smoke):
        return Scope(None)
    if base is None or not repo.has(base):
        return Scope(None, None, say.NO_BASE)
    if lock is not None:
        tree = repo.tree(base)
        found = _Known(config, lock, smoke.hash_of(config), classes, aged=False).standing(tree or "")
        results = {v.result for _, v in found}
        if smoke.GREEN not in results or smoke.RED in results:
            return Scope(None, base, say.not_green_before(base))
    paths = {*repo.changed_paths(base, head), *more}
    if len(smoke.not_needed(config.smoke, paths)) == len(config.smoke):
        return Scope(None, base, say.NONE_NEEDED)
    return Scope(paths, base)


class _Known:
    """Reads verdicts of one steps hash."""

    def __init__(
        self, config: Config, lock: MergeLock, steps: str, classes: Collection[str], *, aged: bool = True
    ) -> None:
        self.lock, self.steps, self.classes = lock, steps, classes
        self.max_age_s = config.smoke_max_age_s if aged else float("inf")
        client: Any = lock.store.redis
        with lock.store.faults():
            seconds, micros = client.time()
        self.now_ms = seconds * 1000 + micros // 1000

    def standing(self, tree: str) -> list[tuple[str, Standing]]:
        found = ((klass, self.lock.standing(tree, self.steps, klass)) for klass in self.classes)
        return [(klass, v) for klass, v in found if v]

    def of(self, tree: str) -> tuple[Known | None, bool]:
        """The newest green verdict that is not too old, and whether there is a red one: then nothing is believed."""
        found = self.standing(tree)
        if any(v.result == smoke.RED for _, v in found):
            return None, True
        fresh = []
        for klass, v in found:
            age_s = max(0.0, (self.now_ms - v.proven_ms) / 1000)
            if v.result == smoke.GREEN and age_s <= self.max_age_s:
                fresh.append(Known(CACHED, tree, self.steps, klass, v.proven_ms, age_s, v.by, v.run_url, v.head))
        return max(fresh, key=lambda k: k.proven_ms, default=None), False


def inherited(
    repo: Repo,
    config: Config,
    known: Callable[[str], tuple[Known | None, bool]],
    head: str,
    tree: str,
    judge: Judge,
) -> Known | None:
    """The verdict of the nearest commit below that has one, where only entries of the ledger changed since."""
    if not config.smoke_inherit or any(_reads_ledger(config, s.run) for s in config.smoke):
        return None
    for older, paths in _ledger_only(repo, config, head):
        if any(covers(glob, path) for s in config.smoke for glob in s.changed for path in paths):
            return None
        found, red = known(repo.tree(older) or "")
        if red:
            return None
        if found is None:
            continue
        try:
            errors = [f for f in judge(repo, config, older, head) if f.severity == ERROR]
        except CouldNotTell:
            return None
        return None if errors else found._replace(how=INHERITED, tree=tree, head=older)
    return None


def _reads_ledger(config: Config, run: str) -> bool:
    return config.ledger_path.rstrip("/") in run or OURS.search(run) is not None


def _ledger_only(repo: Repo, config: Config, head: str) -> Iterator[tuple[str, list[str]]]:
    """Commits below on the line of first parents, nearest first, while nothing but entries of the ledger differs."""
    for older in repo.text("rev-list", "--first-parent", f"--max-count={FAR + 1}", head).split()[1:]:
        paths = ledger_entries(repo, config, older, head)
        if paths is None:
            return
        yield older, paths


def ledger_entries(repo: Repo, config: Config, older: str, newer: str) -> list[str] | None:
    """The paths that differ between two commits if each is an entry of the ledger, as a plain file; else None."""
    out = repo.run("diff-tree", "-r", "-z", "--raw", "--no-renames", older, newer).stdout
    words = out.split(b"\0")
    paths = []
    for about, raw in zip(words[::2], words[1::2], strict=False):
        before, after, *_ = about.removeprefix(b":").split(b" ")
        path = raw.decode("utf-8", "surrogateescape")
        if not {before, after} <= PLAIN_MODES or not _is_entry(config, path):
            return None
        paths.append(path)
    return paths


def _is_entry(config: Config, path: str) -> bool:
    if not config.one_file_per_prp:
        return path == config.ledger_path
    name = path.removeprefix(config.ledger_path)
    return name != path and "/" not in name and not name.startswith(".") and name.endswith((".yaml", ".yml"))
