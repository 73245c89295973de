"""Widgets on one session move together, in Python and in the pages that show them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import peaky_peek as pp
from tests.bridge import Bridged, deliver, show_widget, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_a_click_in_one_tree_selects_in_the_other(page: Page, tmp_path: Path) -> None:
    with pp.trace_session("agent") as ctx:
        first = ctx.record_tool_call("search", {"q": 1})
    with Bridged():
        tree, other = pp.tree("agent"), pp.tree("agent")
    show_widget(page, tree, tmp_path)
    page.wait_for_function("view.__peek.rowRect(1)")
    rect = page.evaluate("view.__peek.rowRect(1).toJSON()")
    page.mouse.click(rect["x"] + 100, rect["y"] + 8)
    assert until(page, lambda: other.selected) == [first.id]
    other.filter = "search"
    deliver(page, tree)
    page.wait_for_function("view.querySelector('.pp-filter').value === 'search'")
    page.evaluate("close_view()")
    until(page, lambda: not tree._views)
    assert page.evaluate("handlers()") == 0
