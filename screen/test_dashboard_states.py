"""What a lane, an agent and a store can be in, and what the page says of each."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from prpgate.config import Times
from prpgate.lock import Granted, Look, MergeLock
from prpgate.model import Intent
from prpgate.ops import Session
from screen.shop import Shop, ledger
from tests.lock.clocked import pusher, runner, waiter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Locator

    from screen.shop import Dashboard, Visit

FIRST, SECOND = "a1" * 20, "b2" * 20
RUN = "https://ci.example.org/runs/17"


def test_every_phase_of_a_landing_and_every_place_in_the_line(
    shop: Shop, open_dashboard: Callable[[Shop], Dashboard], visit: Callable[..., Visit]
) -> None:
    session = Session(str(shop.ana.path), agent="ana")
    lock = MergeLock(session.store(), "main", Times())
    page = visit(open_dashboard(shop)).go("lane")
    who, phase = page.locator(".holder .who"), page.locator(".holder .phase")
    expect(page.locator(".holder.free")).to_contain_text("Free")

    got = lock.acquire(waiter("ann"), plain=False)
    assert isinstance(got, Granted)
    expect(who).to_contain_text("ann@example.org")
    expect(phase).to_have_text("about to push")
    lock.acquire(waiter("ben"), plain=False)
    lock.acquire(pusher("cyd"), plain=True)
    lock.acquire(waiter("dora")._replace(hotfix="nobody can log in"), plain=False, fixer=True)
    line = page.locator(".queue li")
    expect(line).to_have_count(3)
    expect(line.nth(0)).to_contain_text("dora@example.org")
    expect(line.nth(0).locator(".chip")).to_have_text("hotfix")
    expect(line.nth(0)).to_contain_text("nobody can log in")
    expect(line.nth(1).locator(".chip")).to_have_text("waiting")
    expect(line.nth(2).locator(".chip")).to_have_text("place kept")
    expect(line.nth(1).locator(".eta")).to_contain_text("turn")

    seen = got.state.seen or ""
    lock.intent(got.lease, Intent(FIRST, seen))
    expect(phase).to_have_text("pushing")
    lock.report(got.lease, "in", Look(FIRST, seen, [FIRST], [], []), gate="ci")
    expect(phase).to_have_text("waiting for CI")
    expect(page.locator(".clockwork")).to_contain_text("left")
    run = lock.adopt(FIRST, runner(), RUN)
    assert isinstance(run, Granted)
    expect(phase).to_have_text("smoking")
    expect(page.locator(".holder a", has_text="CI run")).to_have_attribute("href", RUN)
    expect(page.locator(".tile").last).to_have_attribute("data-verdict", "pending")

    lock.verdict(FIRST, "t1", "s", "ci", "red", run.lease.fence, in_branch=True, reason="tests: 3 of 412 failed")
    sign = page.locator(".sign")
    expect(sign).to_contain_text("tests: 3 of 412 failed")
    expect(sign.locator(".broke")).to_contain_text(f"Broken by {FIRST[:7]} of ann@example.org")
    expect(sign.locator(".type code")).to_have_text(
        ["prp land", "prp land --revert", 'prp land --hotfix "why"', 'prp lane open main --reason "why"']
    )
    expect(page.locator(".tile").last).to_have_attribute("data-verdict", "red")
    expect(page.locator("#say")).to_contain_text("closed by")  # for who listens instead of looking
    assert page.title().startswith("closed – main")
    lock.open("ana", "mended")
    expect(sign).to_be_hidden()
    session.close()


def test_a_push_that_was_not_heard_of_again(
    shop: Shop, open_dashboard: Callable[[Shop], Dashboard], visit: Callable[..., Visit]
) -> None:
    session = Session(str(shop.ana.path), agent="ana")
    lock = MergeLock(session.store(), "main", Times(lease_ms=700))
    page = visit(open_dashboard(shop)).go("lane")
    got = lock.acquire(waiter("ann"), plain=False)
    assert isinstance(got, Granted)
    lock.intent(got.lease, Intent(SECOND, got.state.seen or ""))
    expect(page.locator(".holder .phase")).to_have_text("pushing")
    expect(page.locator(".holder .phase")).to_have_text("reconciling")  # by the clock alone: nobody wrote anything
    fence = lock.state().fence
    expect(page.locator(".holder .type code")).to_have_text(f'prp lock break main --fence {fence} --reason "why"')
    session.close()


def test_a_card_says_all_of_a_prp_and_filters_choose(
    tmp_path: Path, home: Path, open_dashboard: Callable[[Shop], Dashboard], visit: Callable[..., Visit]
) -> None:
    text = ledger().replace("  P0-010:\n", "  P0-010:\n    doc: plan.md\n")
    shop = Shop(tmp_path, text, files={"plan.md": "# The plan\n<b>one</b> \u202etwo\n"})
    settings = shop.ana.read("prp.toml") + '\n[domains]\nben = ["P1-*"]\n[phases]\nnames = ["design", "build"]\n'
    shop.ana.commit_files("Domains", {"prp.toml": settings})
    shop.ana.git("push", "-q")
    ben = shop.join("ben")
    ben.prp("start", "P1-040")
    ben.prp("phase", "P1-040", "design")
    shop.ana.prp("start", "P0-010")
    shop.ana.prp("block", "P1-020", "--reason", "the old queue is full", "--by", "P1-030")
    one = visit(open_dashboard(shop))
    page = one.go("board")

    def card(prp_id: str) -> Locator:
        return page.locator(f"#view-board li[data-key='{prp_id}']")

    for words in ("Search across projects", "P1", "ben", "design", "lease", "left"):
        expect(card("P1-040")).to_contain_text(words)
    expect(card("P1-040").locator(".age time")).to_have_attribute("data-mode", "for")
    expect(card("P1-040").locator(".lease")).to_have_text(re.compile(r"^lease \d+ s, \d[\w ]* left$"))
    expect(card("P2-040")).to_contain_text("waits for P1-040")
    expect(card("P1-020")).to_contain_text("blocked: the old queue is full")
    expect(card("P1-020")).to_contain_text("waits for P1-030")
    expect(card("P1-010").locator(".proof")).to_have_text("4f1c2d9")
    times = page.evaluate("() => [...document.querySelectorAll('#view-board time')].map((t) => [t.title, t.dateTime])")
    assert times and all(iso in title and iso.endswith("Z") for title, iso in times), "the exact time is on hover"

    shown = page.locator("#view-board li")
    for field, value, ids in (
        ("Owner", "ben", ["P1-040"]),
        ("Priority", "P0", ["P0-010", "P0-020"]),
        ("Domain", "ben", ["P1-010", "P1-020", "P1-030", "P1-040"]),
    ):
        page.get_by_label(field, exact=True).select_option(value)
        expect(shown).to_have_count(len(ids))
        assert sorted(li.get_attribute("data-key") or "" for li in shown.all()) == ids
        assert f"{field.lower()}={value}" in page.url
        page.get_by_role("button", name="Clear").click()
    expect(shown).to_have_count(11)

    card("P0-010").locator(".go").click()
    expect(page.locator("#view-prp h2")).to_contain_text("P0-010")
    expect(page.locator("section[data-key=document] pre")).to_have_text("# The plan\n<b>one</b> ‹U+202E›two\n")
    expect(page.locator("section[data-key=history]")).to_contain_text("started by ana")
    shop.ana.git("commit", "-qam", "feat(P0-010): begun")
    shop.ana.prp("note", "P0-010", "told while the page is open")
    expect(page.locator("section[data-key=history]")).to_contain_text("told while the page is open")
    expect(page.locator("section[data-key=history]")).to_contain_text("validated → in_progress; owner nobody → ana")


def test_suspect_agents_come_first(
    shop: Shop, open_dashboard: Callable[[Shop], Dashboard], visit: Callable[..., Visit]
) -> None:
    for name, prp_id in (("ben", "P0-010"), ("zoe", "P1-020")):
        shop.join(name).prp("start", prp_id)
    session = Session(str(shop.ana.path), agent="ana")
    store: Any = session.store()
    told = json.loads(store.redis.hget(store.keys.agents, "zoe"))
    told["at"] -= 10 * 60_000  # ten minutes without a sign of life
    store.redis.hset(store.keys.agents, "zoe", json.dumps(told))
    session.close()
    shop.ana.prp("whoami", "--role", "reviewer")
    page = visit(open_dashboard(shop)).go("agents")
    rows = page.locator(".agent")
    expect(rows.filter(has_text="ana").locator(".role")).to_contain_text("reviewer")
    expect(rows.first).to_contain_text("zoe")
    expect(rows.first.locator(".chip.warn")).to_have_text("suspect")
    expect(rows.first.locator(".holds")).to_have_text("P1-020")
    expect(rows.filter(has_text="ben").locator(".alive")).to_have_class("alive live")
    page.keyboard.press("1")
    expect(page.locator(".people li").first).to_contain_text("zoe")


def test_a_store_that_lost_everything_is_read_anew(
    shop: Shop, open_dashboard: Callable[[Shop], Dashboard], visit: Callable[..., Visit]
) -> None:
    one = visit(open_dashboard(shop))
    page = one.go("board")
    shop.ana.prp("start", "P0-010")
    progress = page.locator("section[data-status=in_progress]")
    expect(progress).to_contain_text("P0-010")
    page.evaluate("() => { window.sameDocument = true; }")
    session = Session(str(shop.ana.path), agent="ana")
    session.store().redis.flushall()
    session.close()
    expect(page.locator("#banner")).to_contain_text("The store does not answer")
    shop.ana.git("checkout", "-q", "--", ".")
    shop.ana.prp("rebuild", "--yes")
    expect(page.locator("#banner")).to_be_hidden()
    expect(progress.locator("li")).to_have_count(0)  # that claim was never committed: git does not know of it
    expect(page.locator("section[data-status=validated]")).to_contain_text("P0-010")
    assert page.evaluate("() => window.sameDocument") is True


def test_what_happens_takes_nobodys_place(
    shop: Shop, open_dashboard: Callable[[Shop], Dashboard], visit: Callable[..., Visit]
) -> None:
    """Focus, scroll position and selection stay where the reader has them while the page goes on."""
    shop.ana.prp("start", "P0-010")
    session = Session(str(shop.ana.path), agent="ana")
    store: Any = session.store()
    for n in range(200):
        store.redis.xadd(store.keys.events, {"event": "note", "prp": "P0-010", "agent": "ana", "detail": f"old {n}"})
    page = visit(open_dashboard(shop)).go("feed")
    rows = page.locator("#view-feed .event")
    expect(rows.first).to_contain_text("old 199")
    page.locator("#view-feed .window").evaluate("(box) => { box.scrollTop = 2000; }")
    expect(rows.filter(has_text="old 145")).to_be_in_viewport()
    top = rows.filter(has_text="old 145").evaluate("(row) => row.getBoundingClientRect().top")
    before = int(page.locator("#view-feed .count").inner_text().split()[0])
    for n in range(30):
        store.redis.xadd(store.keys.events, {"event": "note", "prp": "P0-010", "agent": "ana", "detail": f"new {n}"})
    expect(page.locator("#view-feed .count")).to_have_text(f"{before + 30} events")
    assert abs(rows.filter(has_text="old 145").evaluate("(row) => row.getBoundingClientRect().top") - top) < 2
    page.locator("#view-feed .window").evaluate("(box) => { box.scrollTop = 0; }")
    expect(rows.first).to_contain_text("new 29")
    rows.nth(1).locator(".go").focus()
    key = page.evaluate("() => document.activeElement.dataset.event")
    shop.ana.prp("note", "P0-010", "the newest of all")
    expect(rows.first).to_contain_text("the newest of all")
    assert page.evaluate("() => document.activeElement.dataset.event") == key

    page.keyboard.press("1")
    page.locator(".holder .copy").first.focus()
    page.evaluate("() => getSelection().selectAllChildren(document.querySelector('.just h2'))")
    shop.ana.prp("note", "P0-010", "one more")
    expect(page.locator(".happened li").first).to_contain_text("one more")
    assert page.evaluate("() => [document.activeElement.className, getSelection().toString()]") == [
        "copy",
        "Just happened",
    ]
    session.close()
