"""A small team's repository, the real `prp dashboard` of it, and what the tests ask of its page."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from prpgate import events
from prpgate.ops import Session
from tests.world import Clone, World

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

LEDGER = "prp/ledger.yaml"
TITLES = {
    "P0-010": ("validated", "Log in with a passkey"),
    "P0-020": ("validated", "Rotate signing keys every 90 days"),
    "P1-010": ("complete", "Remember this device"),
    "P1-020": ("validated", "Rate-limit the public API"),
    "P1-030": ("validated", "Retry webhooks with backoff"),
    "P1-040": ("validated", "Search across projects"),
    "P2-010": ("validated", "Export as CSV"),
    "P2-020": ("new", "Import from a spreadsheet, with a preview of what would change"),
    "P2-030": ("complete", "Paginate the audit log"),
    "P2-040": ("validated", "Dark mode for reports"),
    "P3-010": ("new", "Keyboard shortcuts"),
}
DONE = "\n    started_at: '2026-10-06T09:00:00Z'\n    completed_at: '2026-10-07T15:30:00Z'\n    github_commit: 4f1c2d9"
PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1440, "height": 900}


def ledger(titles: dict[str, tuple[str, str]] = TITLES) -> str:
    lines = ["prp_tracking:"]
    for n, (prp_id, (status, title)) in enumerate(titles.items()):
        lines += [f"  {prp_id}:", f"    title: {json.dumps(title, ensure_ascii=False)}", f"    status: {status}"]
        if status != "new":
            lines.append("    validated_at: '2026-10-05T09:00:00Z'" + (DONE if status == "complete" else ""))
        if prp_id == "P2-040":
            lines.append("    depends_on: [P1-040]")
        lines.append(f"    stable_id: PRP-{1001 + n}")
    return "\n".join(lines) + "\n"


class Shop(World):
    """A world whose first clone, ana's, has run `prp init` and pushed."""

    def __init__(
        self, folder: Path, text: str | None = None, *, project: str = "", files: dict[str, str] | None = None
    ) -> None:
        super().__init__(folder)
        self.ana = self.clone("ana", first=True)
        self.ana.commit_files("Ledger", {LEDGER: ledger() if text is None else text, **(files or {})})
        self.ana.git("push", "-q")
        self.ana.prp("init", "--yes", *(("--project", project) if project else ()))
        toml = self.ana.read("prp.toml") + '\n[[smoke]]\nname = "quick"\nrun = "test -f README"\n'
        self.ana.commit_files("Use prpgate", {"prp.toml": toml})
        self.ana.git("push", "-q")

    def join(self, name: str) -> Clone:
        clone = self.clone(name)
        clone.prp("join")
        return clone

    def slow_remote(self, seconds: float) -> None:
        """From now on every push takes so long, as it does over a network."""
        self.remote_hook("pre-receive", f"#!/bin/sh\nsleep {seconds}\n")

    def newest(self, event: str, lane: str | None = None) -> events.Event:
        """The newest event of that name, of PRPs or of a lane."""
        session = Session(str(self.ana.path), agent="ana")
        try:
            return next(e for e in reversed(events.tail(session.store(), 50, lane=lane)) if e.event == event)
        finally:
            session.close()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Dashboard:
    """A running `prp dashboard`."""

    def __init__(self, clone: Clone, port: int | None = None) -> None:
        self.clone, self.port = clone, port or free_port()
        self.process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "prpgate", "dashboard", "--json", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command,
            cwd=self.clone.path,
            env={**_environment(), **self.clone.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.link: str | None = json.loads(self.process.stdout.readline())["url"]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(15)
            finally:
                self.process.kill()
                self.process.wait()
                assert self.process.stdout is not None
                self.process.stdout.close()
                self.process = None

    def log_in(self, context: BrowserContext) -> Page:
        """Take a one-time link, as the person would who reads it in the terminal."""
        page = context.new_page()
        page.goto(self.link or str(json.loads(self.clone.prp("dashboard", "--json").out)["url"]))
        self.link = None
        return page


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "the tests in screen/ need Chromium: apt-get install -y --no-install-recommends chromium"
    return found


class Visit:
    """A browser that is logged in, and notes whatever should not be: errors, and requests to anybody else."""

    def __init__(self, browser: Browser, dashboard: Dashboard, *, width: ViewportSize = DESK, **more: Any) -> None:
        self.dashboard = dashboard
        self.context = browser.new_context(viewport=width, **more)
        self.context.set_default_timeout(15_000)
        self.wrong: list[str] = []
        self.page = self._noted(dashboard.log_in(self.context))

    def _noted(self, page: Page) -> Page:
        page.on("pageerror", lambda e: self.wrong.append(f"error: {e}"))
        page.on("dialog", lambda d: self.wrong.append(f"dialog: {d.message}"))
        page.on("request", lambda r: self._check(r.url))
        page.on("console", lambda m: self.wrong.append(m.text) if "Content Security Policy" in m.text else None)
        return page

    def _check(self, url: str) -> None:
        if not url.startswith(f"{self.dashboard.address}/"):
            self.wrong.append(f"asked another: {url}")

    def go(self, route: str, page: Page | None = None) -> Page:
        """Open a view, and wait until it is live."""
        page = page or self.page
        page.goto(f"{self.dashboard.address}/#{route}")
        page.locator("#link[data-link=live]").wait_for()
        return page

    def another(self, route: str) -> Page:
        return self.go(route, self._noted(self.context.new_page()))

    def close(self) -> None:
        self.context.close()
