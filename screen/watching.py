"""How long the page takes to show something, measured in the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

BAR_MS = 200  # from an event in the store, by the id that its server gave it, until it stands in the page

# Notes, in the page itself, when something first stands there: a look from outside would cost what is measured.
WATCH = """([name, selector, text]) => {
  window.waits ??= {};
  window.waits[name] = { selector, text, at: null };
  const look = () => {
    for (const one of Object.values(window.waits)) {
      if (one.at === null && [...document.querySelectorAll(one.selector)].some((n) => n.textContent.includes(one.text)))
        one.at = Date.now();
    }
  };
  window.watcher ??= new MutationObserver(look);
  window.watcher.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  look();
}"""
SEEN = """async (name) => {
  for (let n = 0; n < 500 && window.waits[name].at === null; n++) await new Promise((done) => setTimeout(done, 20));
  return window.waits[name].at;
}"""


def watch(page: Page, name: str, selector: str, text: str) -> None:
    page.evaluate(WATCH, [name, selector, text])
    assert page.evaluate("(name) => window.waits[name].at", name) is None, f"{text!r} was there before"


def seen(page: Page, name: str) -> float:
    at = page.evaluate(SEEN, name)
    assert at is not None, f"{name} did not come within 10 s"
    return float(at)
