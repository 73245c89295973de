"""The debugger: tree, failure card and replay in one view, which moves as one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import peaky_peek as pp
from peaky_peek.errors import PeekError
from tests.bridge import Bridged, show_widget, until
from tests.refunds import Refund

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from peaky_peek.store import Database

FOURTH = "() => [...document.querySelectorAll('.pp-pane .pp-root')].find((one) => one.dataset.view === 'tree')?.__peek"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_it_has_what_its_parts_have(store: Database) -> None:
    debugger = pp.debugger(Refund("refund").save(store))
    assert debugger.frame.loc[0, "rank"] == 1
    assert debugger.next("failure").failed
    assert debugger.state.messages
    assert debugger.event.failed
    debugger.filter = "failed"
    assert debugger._mask.sum() == 2


def test_a_click_in_the_tree_moves_the_other_panes_in_the_page_itself(
    page: Page, tmp_path: Path, store: Database
) -> None:
    with Bridged():
        debugger = pp.debugger(Refund("refund").save(store))
    said: list[str] = []
    hear = debugger.comm.hear
    debugger.comm.hear = lambda data: said.append(data) or hear(data)
    show_widget(page, debugger, tmp_path, width=1400)
    page.wait_for_function(f"({FOURTH})()?.rowRect(4)")
    assert [name for name in ("tree", "why", "replay") if page.locator(f"[data-pane={name}]").is_visible()] == [
        "tree", "why", "replay",
    ]  # fmt: skip
    assert sum('"hello"' in one for one in said) == 1
    rect = page.evaluate(f"({FOURTH})().rowRect(4).toJSON()")
    page.mouse.click(rect["x"] + 120, rect["y"] + 9)
    until(page, lambda: debugger.event and debugger.event.name == "find_customer")
    page.evaluate("close_view()")
    until(page, lambda: not debugger._views)
    assert page.evaluate("handlers()") == 0


def test_it_fills_the_window_and_gives_it_back(page: Page, tmp_path: Path, store: Database) -> None:
    with Bridged():
        debugger = pp.debugger(Refund("refund").save(store))
    show_widget(page, debugger, tmp_path, width=1400)
    page.wait_for_function(f"({FOURTH})()?.rowRect(4)")
    page.get_by_role("button", name="Fill the window").click()
    page.wait_for_function("document.fullscreenElement?.id === 'view'")
    page.locator("[role=tree]").focus()
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement === null")


@pytest.mark.parametrize("width", [400, 1000])
def test_no_button_lies_on_another(width: int, page: Page, tmp_path: Path, store: Database) -> None:
    with Bridged():
        debugger = pp.debugger(Refund("refund").save(store))
    show_widget(page, debugger, tmp_path, width=width)
    page.locator(".pp-pane[data-pane=why] .pp-root").wait_for()
    fill = page.locator(".pp-fill").bounding_box()
    bad = page.get_by_role("button", name="This run was bad").first.bounding_box()
    assert fill
    assert bad
    assert bad["x"] + bad["width"] <= fill["x"] or bad["y"] >= fill["y"] + fill["height"]


def test_the_exported_page_brings_the_scripts_of_all_panes(page: Page, tmp_path: Path, store: Database) -> None:
    path = pp.debugger(Refund("refund").save(store)).to_html(tmp_path / "page.html")
    page.goto(path.as_uri())
    # The page's policy forbids the eval with which Playwright waits.
    until(page, lambda: page.evaluate(f"({FOURTH})()?.rowRect(4)"))
    page.get_by_text("policy bypass").first.wait_for()
    page.get_by_role("button", name="Play").first.wait_for()


def test_only_its_own_scripts_are_given_out(store: Database) -> None:
    debugger = pp.debugger(Refund("refund").save(store))
    with pytest.raises(PeekError):
        debugger._answer({"type": "script", "name": "../debugger"})
