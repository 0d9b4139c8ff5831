"""The pictures of docs/: `python -m screen.pictures [FOLDER]`, default docs/pictures. Needs Chromium.

A real store, real clones and pushes, the real `prp dashboard`. Only the past is made up: what such a team leaves
in the streams within a day is written there before anybody works, for a picture of a day would take a day.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prpgate import gate_runs
from prpgate.ops import Session
from prpgate.store.embedded import stop_all
from screen.shop import PHONE, TITLES, Dashboard, Shop, Visit, chromium, ledger

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.world import Clone

DAY_MS, MINUTE_MS = 86_400_000, 60_000
TEAM = ("ana", "ben", "cyd", "dora", "api-agent", "web-agent")
MORE = (
    "Webhooks for refunds", "Trial that ends by itself", "Invoices in two currencies", "Undo for bulk edits",
    "Two-factor for admins", "Faster cold start", "Address book import", "Weekly digest", "Audit trail for exports",
    "Saved filters", "Sandbox keys", "Usage alerts", "Passwordless invitations", "Plan comparison", "Status page",
    "Signed downloads", "Column presets", "Team avatars", "Offline drafts", "Bulk invite",
)  # fmt: skip
DOCUMENT = """\
# Log in with a passkey

## Goal
Somebody who has registered a passkey logs in without a password, on any of their devices.

## Done when
- registration and login work in the three browsers we support
- a lost device can be taken off the list
- the password stays as a way back, behind a second factor
"""
PLAN = "prp/P0-010.md"


def titles() -> dict[str, tuple[str, str]]:
    more = {f"P{1 + n % 3}-{110 + n}": ("complete" if n % 5 < 3 else "validated", t) for n, t in enumerate(MORE)}
    return {**TITLES, **more}


def text() -> str:
    return ledger(titles()).replace("  P0-010:\n", f"  P0-010:\n    doc: {PLAN}\n")


def write_the_past(shop: Shop) -> None:
    """A day of landings, gate runs and notes."""
    dice = random.Random(6)
    session = Session(str(shop.ana.path), agent="ana")
    store: Any = session.store()
    keys, client = store.keys, store.redis
    lane = keys.lane("main")
    client.delete(lane.log, keys.events, keys.gate_runs)
    now = int(time.time() * 1000)
    ids = [i for i, (status, _) in titles().items() if status == "complete"]

    def log(at: int, event: str, agent: str, sha: str = "", detail: str = "") -> None:
        fields = {"lane": "main", "event": event, "fence": "1", "agent": agent, "sha": sha, "detail": detail}
        client.xadd(lane.log, fields, id=f"{at}-*")

    at, last = now - DAY_MS + 40 * MINUTE_MS, now - 25 * MINUTE_MS
    while at < last:
        agent, sha = dice.choice(TEAM), f"{dice.getrandbits(160):040x}"
        result = dice.choices(("green", "red", "unknown"), (16, 1.4, 1))[0]
        took_s = min(176.0, max(31.0, dice.gauss(84, 26))) if result != "unknown" else 188.0
        log(at, "acquire", agent)
        log(at + 400, "intent", agent, sha)
        log(at + 2600, "landed", agent, sha)
        log(at + 2600 + int(took_s * 1000), "verdict", agent, sha, result)
        log(at + 2700 + int(took_s * 1000), "release", agent)
        record = {"record": "landed", "at": at + 2600, "agent": agent, "prps": [dice.choice(ids)], "base": ""}
        client.hset(lane.rec, sha, json.dumps(record))
        run = gate_runs.Run(
            0, gate_runs.RAN, result, "local", sha, "", "s", agent, "", round(took_s, 1), 180, 1, ()
        )._asdict()
        run.pop("at_ms")
        client.xadd(keys.gate_runs, {"run": json.dumps(run)}, id=f"{at + int(took_s * 1000)}-*")
        at += int(dice.uniform(12, 70) * MINUTE_MS)
    for minutes, event, prp, agent, detail in (
        (190, "validated", "P1-020", "ana", ""),
        (95, "note", "P1-030", "cyd", "the queue of the old webhooks must be empty first"),
        (52, "complete", "P1-010", "ben", ""),
        (31, "handed-over", "P1-040", "dora", "the index is built; ranking is left"),
    ):
        fields = {"event": event, "prp": prp, "agent": agent, "fence": "", "detail": detail}
        client.xadd(keys.events, fields, id=f"{now - minutes * MINUTE_MS}-0")
    session.close()


def age(shop: Shop) -> None:
    """Claims and signs of life as they are in the middle of a day, one agent silent for long."""
    minutes = {"ben": 64, "cyd": 47, "dora": 96, "api-agent": 21, "web-agent": 12}
    session = Session(str(shop.ana.path), agent="ana")
    store: Any = session.store()
    for prp_id, raw in store.redis.hgetall(store.keys.claims).items():
        claim = json.loads(raw)
        ago = minutes.get(claim["agent"], 5) * MINUTE_MS
        claim["deadline"] -= ago
        store.redis.hset(store.keys.claims, prp_id, json.dumps(claim))
    for name, ago in (("dora", 17), ("api-agent", 1)):
        raw = store.redis.hget(store.keys.agents, name)
        told = json.loads(raw)
        told["at"] -= ago * MINUTE_MS
        store.redis.hset(store.keys.agents, name, json.dumps(told))
    session.close()


def begin(clone: Clone, *command: str) -> subprocess.Popen[bytes]:
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=clone.path, env={**os.environ, **clone.env}, **quiet)  # type: ignore[call-overload, no-any-return]


def set_the_scene(shop: Shop) -> dict[str, Clone]:
    people = {"ana": shop.ana, **{name: shop.join(name) for name in TEAM[1:]}}
    write_the_past(shop)
    for name, prp_id in (("ana", "P0-010"), ("ben", "P1-020"), ("cyd", "P2-010"), ("dora", "P1-040"),
                         ("api-agent", "P1-113"), ("web-agent", "P0-020")):  # fmt: skip
        people[name].prp("start", prp_id)
    people["ana"].prp("block", "P1-030", "--reason", "the old queue is not empty")
    people["web-agent"].prp("whoami", "--role", "reviewer")
    for name in ("ana", "ben", "cyd"):
        people[name].git("pull", "-q", "--rebase", "--autostash")
        people[name].commit(f"feat({prp_of(name)}): the work", **{f"{name}.txt": "work"})
    age(shop)
    return people


def prp_of(name: str) -> str:
    return {"ana": "P0-010", "ben": "P1-020", "cyd": "P2-010"}[name]


def take(page: Page, folder: Path, name: str) -> None:
    page.evaluate("() => document.fonts.ready")
    page.wait_for_timeout(700)  # what came last fades in for half a second
    page.screenshot(path=folder / f"{name}.png")
    size = (folder / f"{name}.png").stat().st_size
    assert size < 200_000, f"{name}.png has {size} bytes"


def take_all(browser: Browser, shop: Shop, folder: Path) -> None:
    people = set_the_scene(shop)
    shop.slow_remote(30)
    dashboard = Dashboard(shop.ana)
    with ExitStack() as stack:
        stack.callback(dashboard.stop)
        light = Visit(browser, dashboard, color_scheme="light")
        dark = Visit(browser, dashboard, color_scheme="dark")
        phone = Visit(browser, dashboard, width=PHONE, color_scheme="light", device_scale_factor=2)
        for one in (light, dark, phone):
            stack.callback(one.close)
        light.go("lane")
        pushing = begin(people["ana"], "git", "push", "-q")
        stack.callback(pushing.wait)
        light.page.locator(".holder .who").filter(has_text="pushing").wait_for()
        people["cyd"].git("push", "-q", ok=False)  # refused, with a place that is kept
        waiting = begin(people["ben"], sys.executable, "-m", "prpgate", "land")
        stack.callback(waiting.wait)
        stack.callback(waiting.terminate)
        light.page.locator(".queue li.waiting").wait_for()
        time.sleep(4)
        take(light.page, folder, "lane-light")
        take(dark.go("lane"), folder, "lane-dark")
        take(phone.go("lane"), folder, "lane-phone")
        for view in ("board", "feed"):
            take(light.go(view), folder, view)
        take(dark.go("prp/P0-010"), folder, "prp-dark")
        take(phone.go("board"), folder, "board-phone")
        pushing.wait()
        waiting.terminate()
        waiting.wait()
        people["ana"].prp("lane", "close", "--reason", "the payment migration runs until noon")
        page = light.go("lane")
        page.locator(".sign").wait_for()
        take(page, folder, "lane-closed")
        wrong = [*light.wrong, *dark.wrong, *phone.wrong]
        assert wrong == [], wrong


def main() -> None:
    from playwright.sync_api import sync_playwright

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs" / "pictures").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="shop-backend-") as home, sync_playwright() as playwright:
        for name in [n for n in os.environ if n.startswith(("PRP_", "GIT_", "XDG_", "REDIS_", "GITHUB_"))]:
            del os.environ[name]
        os.environ |= {"HOME": home, "XDG_STATE_HOME": f"{home}/state", "GIT_CONFIG_NOSYSTEM": "1", "NO_COLOR": "1"}
        (Path(home) / ".gitconfig").write_text("[init]\n\tdefaultBranch = main\n", "utf-8")
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            work = Path(home) / "shop"
            work.mkdir()
            take_all(browser, Shop(work, text(), project="example.org/shop", files={PLAN: DOCUMENT}), folder)
        finally:
            browser.close()
            stop_all(f"{home}/state/prpgate")
    for made in sorted(folder.glob("*.png")):
        sys.stdout.write(f"{made.name} {made.stat().st_size // 1000} kB\n")


if __name__ == "__main__":
    main()
