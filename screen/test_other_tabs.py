"""Another local web app's page, in the browser that is logged in: what it may try, and that nothing of it reads."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext

    from screen.shop import Dashboard, Shop, Visit

import pytest

TRY = """async (target) => {
  const said = {}, url = target + "/api/state";
  const fetched = async (name, options) => {
    try {
      const answer = await fetch(url, options);
      said[name] = [answer.type, answer.status, await answer.text()];
    } catch (e) { said[name] = ["error", 0, ""]; }
  };
  await fetched("plain", {});
  await fetched("with the cookie", { credentials: "include" });
  await fetched("opaque", { credentials: "include", mode: "no-cors" });
  await fetched("a post", { credentials: "include", method: "POST", body: "x", mode: "no-cors" });
  said.stream = await new Promise((done) => {
    const source = new EventSource(target + "/events", { withCredentials: true });
    source.onmessage = source.onopen = () => done("open");
    for (const name of ["change", "store", "reset", "beat"]) source.addEventListener(name, () => done("heard"));
    source.onerror = () => { source.close(); done("error"); };
  });
  const loaded = (node, give) => new Promise((done) => {
    node.onload = () => done(give());
    node.onerror = () => done("error");
    document.body.append(node);
    setTimeout(() => done("nothing"), 3000);
  });
  said.script = await loaded(Object.assign(document.createElement("script"), { src: url }), () => "ran");
  said.image = await loaded(Object.assign(new Image(), { src: target + "/static/favicon.svg" }), () => "shown");
  const frame = Object.assign(document.createElement("iframe"), { src: target + "/" });
  said.frame = await loaded(frame, () => {
    try { return frame.contentWindow.document.body.textContent; } catch (e) { return "error"; }
  });
  return said;
}"""


@pytest.fixture
def other_app() -> Iterator[str]:
    """The address of an app that has nothing to do with us, on this machine too."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>other</title><body>other</body>")

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_tab_of_another_local_app_cannot_read(
    shop: Shop, open_dashboard: Callable[[Shop], Dashboard], visit: Callable[..., Visit], other_app: str
) -> None:
    """Cookies know no ports: the browser has ours for this page too, and would send it to the same host."""
    shop.ana.prp("start", "P0-010")
    dashboard = open_dashboard(shop)
    one = visit(dashboard)
    expect(one.go("board").locator("#view-board")).to_contain_text("P0-010")
    context: BrowserContext = one.context
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    stranger = context.new_page()
    stranger.goto(other_app)
    assert stranger.evaluate("() => document.cookie") == "", "not even that there is one"
    said: dict[str, Any] = stranger.evaluate(TRY, dashboard.address)
    text = json.dumps(said)
    assert "P0-010" not in text and "prp_tracking" not in text
    assert [said[n][0] for n in ("plain", "with the cookie")] == ["error", "error"], said
    assert [said[n][2] for n in ("opaque", "a post")] == ["", ""], said
    assert [said[n] for n in ("stream", "script", "image")] == ["error", "error", "error"], said
    assert said["frame"] in ("error", "nothing"), said
    opened = stranger.evaluate(
        """async (target) => {
          const tab = window.open(target + "/");
          await new Promise((done) => setTimeout(done, 1500));
          try { return tab.document.body.textContent; } catch (e) { return "error"; }
        }""",
        dashboard.address,
    )
    assert opened == "error" or "P0-010" not in str(opened), opened
    stranger.close()
    expect(one.page.locator("#link")).to_have_text("Live")  # and it has kept nobody out
