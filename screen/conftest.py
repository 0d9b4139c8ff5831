"""Fixtures of tests/, and a browser for those that need one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from screen.shop import Dashboard, Shop, Visit, chromium
from tests.conftest import home, server, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

__all__ = ["home", "server", "world"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture
def shop(tmp_path: Path, home: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def open_dashboard() -> Iterator[Callable[..., Dashboard]]:
    """Starts dashboards that end with the test."""
    running: list[Dashboard] = []

    def start(shop: Shop) -> Dashboard:
        running.append(Dashboard(shop.ana))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens visits that end with the test, which fails if anything was wrong in one: an error of the page, a dialog,
    something that the security policy refused, a request to another origin."""
    visits: list[Visit] = []

    def begin(dashboard: Dashboard, **more: object) -> Visit:
        visits.append(Visit(browser, dashboard, **more))  # type: ignore[arg-type]
        return visits[-1]

    yield begin
    for one in visits:
        one.close()
    assert [w for one in visits for w in one.wrong] == []
