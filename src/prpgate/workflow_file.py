"""The workflow that `prp init --ci github` writes: one `uses:` line where it is known where prpgate's own is, and the
same steps written out where it is not. Nothing here writes anything.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from . import __version__
from .errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .gitrepo import Repo

PATH = ".github/workflows/smoke.yml"  # what [ci] workflow means when it is not said
OWN = ".github/workflows/gate.yml"
CHECKOUT = "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2"
SETUP_PYTHON = "actions/setup-python@a309ff8b426b58ec0e2a45f0f869d46889d02405 # v6.2.0"
GATE = re.compile(r"([A-Za-z0-9][\w.-]*/[\w.-]+)@([0-9a-f]{40})")
HOSTED = re.compile(r"(?:https://github\.com/|ssh://git@github\.com/|git@github\.com:)([\w.-]+/[\w.-]+?)(?:\.git)?/?")


JOB = "smoke"  # here, and in the workflow that is called


class Gate(NamedTuple):
    """Where prpgate's own workflow is: `owner/name` at a full sha; both empty in its own repository."""

    repository: str
    sha: str


def gate(given: str | None, repo: Repo) -> Gate | None:
    """The gate that was named, or the one this copy of prpgate came from; None when that is not known.

    Raises UsageError when what was named is no OWNER/REPO@FULL_SHA.
    """
    if given is not None:
        match = GATE.fullmatch(given)
        if not match:
            raise UsageError(
                f"{given!r} is no OWNER/REPO@FULL_SHA.",
                code="usage",
                hint="A tag or branch can be moved by others later; the 40 digits of a commit cannot.",
                next_action="prp init --ci github --gate OWNER/REPO@FULL_SHA",
            )
        return Gate(*match.groups())
    if all(os.path.isfile(os.path.join(repo.top, p)) for p in (OWN, "ci/action.yml", "ci/smoke.py")):
        return Gate("", "")
    return _came_from()


def _came_from() -> Gate | None:
    """Where pip says that this copy was installed from: a repository at a commit, or a checkout of one."""
    from .origin import noted

    told = noted()
    url = str(told.get("url", ""))
    if url.startswith("file://"):
        return _of_checkout(unquote(url.removeprefix("file://")))
    sha = str(told.get("vcs_info", {}).get("commit_id", ""))
    match = HOSTED.fullmatch(url)
    return Gate(match.group(1), sha) if match and re.fullmatch(r"[0-9a-f]{40}", sha) else None


def _of_checkout(path: str) -> Gate | None:
    """A checkout's own remote, when that has the commit."""

    def git(*args: str) -> str:
        done = subprocess.run(["git", "-C", path, *args], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    match = HOSTED.fullmatch(git("remote", "get-url", "origin"))
    sha = git("rev-parse", "HEAD")
    return Gate(match.group(1), sha) if match and git("branch", "--remotes", "--contains", sha) else None


def check(where: Gate | None) -> str:
    """The name of the check run: the job's, and where it calls a workflow "caller job / called job"."""
    return JOB if where is None else f"{JOB} / {JOB}"


# --- the text ---------------------------------------------------------------------------------------------------------
HEAD = """\
# Written by `prp init --ci github`, and yours from now on. What is run is declared in prp.toml ([[smoke]]).
name: smoke

on: # with no filter: a landing that gets no run waits for one until its deadline
  push:
  pull_request:
  merge_group:
  workflow_dispatch: # asks again for a run that never came
    inputs:
      sha:
        description: the landed commit that waits for a run
        type: string
      fence:
        description: the fence under which it waits; the run says nothing when it is another one by then
        type: string

permissions: {}

# One run for each commit of a branch: in one group a third run cancels the second while the first is under way.
concurrency:
  group: smoke-${{ github.event_name }}-${{ github.ref }}-${{ inputs.sha || github.sha }}
  cancel-in-progress: false

jobs:
  smoke:
"""
SECRET = (
    """${{ contains(fromJSON('["push", "merge_group", "workflow_dispatch"]'), github.event_name) """
    "&& secrets.PRP_REDIS_URL || '' }}"
)
CALL = """\
    permissions:
      contents: read
    uses: {uses}
    with:
      timeout-minutes: {minutes}
{setup}    secrets:
      # The store's address, with user and password. Without it the run checks and smokes, and no lane hears of it.
      redis-url: ${{{{ secrets.PRP_REDIS_URL }}}}
"""
WHOLE = """\
    runs-on: ubuntu-latest
    timeout-minutes: {minutes}
    permissions:
      contents: read
    steps:
      - uses: {checkout}
        with:
          ref: ${{{{ inputs.sha }}}} # of a dispatch; nothing for every other event: then the event's own
          fetch-depth: 0 # the pushed range is judged, not only its last commit
          persist-credentials: false
      - id: python
        uses: {python}
        with:
          python-version: "3.13"
      - name: install the gate
        env:
          # A repository variable: git+https://github.com/OWNER/REPO@FULL_SHA of prpgate. With
          # `prp init --ci github --gate OWNER/REPO@FULL_SHA` this file is one line instead.
          PRP_GATE: ${{{{ vars.PRP_GATE }}}}
          PYTHON: ${{{{ steps.python.outputs.python-path }}}}
        run: |
          : "${{PRP_GATE:?set this repository variable: git+https://github.com/OWNER/REPO@FULL_SHA of prpgate}}"
          "$PYTHON" -m venv "$RUNNER_TEMP/prpgate"
          "$RUNNER_TEMP/prpgate/bin/python" -m pip install --quiet --disable-pip-version-check "prpgate @ $PRP_GATE"
{setup}      - name: smoke gate
        env:
          # Only what has landed, or is about to by the host's queue, may speak to the store.
          PRP_REDIS_URL: {secret}
        run: |
          gate=$("$RUNNER_TEMP/prpgate/bin/python" -c 'from prpgate.data import folder; print(folder("ci"))')
          exec "$RUNNER_TEMP/prpgate/bin/python" "$gate/smoke.py"
"""


def text(where: Gate | None, setup: Sequence[str], budget_s: int, retries: int = 1) -> str:
    """The whole file. `setup`: shell lines that prepare a fresh checkout for the declared steps."""
    minutes = -(-budget_s * (1 + retries) // 60) + 4  # what comes before the steps takes time too
    if where is None:
        lines = "".join(f"          {line}\n" for line in setup)
        before = f"      - name: set up\n        run: |\n{lines}" if setup else ""
        return HEAD + WHOLE.format(minutes=minutes, checkout=CHECKOUT, python=SETUP_PYTHON, setup=before, secret=SECRET)
    lines = "".join(f"        {line}\n" for line in setup)
    uses = f"{where.repository}/{OWN}@{where.sha} # prpgate {__version__}" if where.repository else f"./{OWN}"
    return HEAD + CALL.format(uses=uses, minutes=minutes, setup=f"      setup: |\n{lines}" if setup else "")
