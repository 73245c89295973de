"""Searching all sessions: a frame of events, and the list that opens them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

import peaky_peek as pp
from peaky_peek.errors import QueryError
from tests.bridge import Bridged, show_widget, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(autouse=True)
def runs() -> None:
    for name, message in (("first", "the gateway gave no answer"), ("second", "Gateway   closed\nat night")):
        with pp.trace_session(name) as ctx:
            ctx.record_tool_call("refund", {"order": name})
            ctx.record_error("ToolTimeout", message, id=f"{name}-error")


def test_events_of_all_sessions_are_found_newest_first_with_the_words_around() -> None:
    found = pp.search("gateway")
    assert found["session"].tolist() == ["second", "first"]
    assert found["snippet"].tolist() == ["Gateway closed at night", "the gateway gave no answer"]
    assert found["failed"].all()
    assert type(found[found["failed"]]) is pd.DataFrame
    assert len(pp.search("gateway", limit=1)) == 1
    assert "the newest 1 event" in repr(pp.search("gateway", limit=1).view)


def test_a_query_without_words_has_no_snippets_and_keeps_the_columns() -> None:
    assert pp.search("type:error -tool:x")["snippet"].isna().tolist() == [False, False]
    empty = pp.search("nowhere")
    assert empty.columns.tolist() == list(pp.SCHEMA["search"])
    assert {name: str(dtype) for name, dtype in empty.dtypes.items()}["timestamp"] == "datetime64[us, UTC]"
    with pytest.raises(QueryError, match="there is no key"):
        pp.search("tol:refund")


def test_the_list_stands_under_its_sessions_and_leads_the_widgets_on_them() -> None:
    tree, view = pp.tree("first"), pp.search("gateway").view
    assert view._recording.steps["name"].tolist() == ["second", "ToolTimeout", "first", "ToolTimeout"]
    assert view._recording.previews([1]) == ["Gateway closed at night"]
    view.selected = "first-error"
    assert tree.selected == ["first-error"]
    assert (view.session and view.session.name, view.event and view.event.id) == ("first", "first-error")
    tree.selected = []
    assert view.selected == ["first-error"]
    view.filter = "order"
    assert view.frame["event_type"].unique().tolist() == ["tool_call"]
    with pytest.raises(QueryError, match="is a text"):
        view.filter = [True]


def test_what_is_typed_in_the_box_is_searched_for(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    with Bridged():
        view = pp.search("").view
    show_widget(page, view, tmp_path)
    box = page.get_by_placeholder("Search")
    box.fill("gateway")
    page.wait_for_function("view.__peek.visibleRows === 4")
    rect = page.evaluate("view.__peek.rowRect(3).toJSON()")
    page.mouse.click(rect["x"] + 90, rect["y"] + 9)
    assert until(page, lambda: view.selected) == ["first-error"]
    page.get_by_text("the gateway gave no answer").first.wait_for()
    box.fill("tol:x")
    page.get_by_text("there is no key 'tol:'").wait_for()
    box.fill("nowhere")
    page.get_by_role("status").get_by_text("Nothing was found for 'nowhere'.").wait_for()
    page.close()
