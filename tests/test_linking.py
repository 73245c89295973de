"""Widgets on one session move together, unless they are told otherwise."""

from __future__ import annotations

import numpy as np
import pytest

import peaky_peek as pp
from peaky_peek.errors import EventNotFound, PeekError


@pytest.fixture(autouse=True)
def runs() -> None:
    for name in ("one", "two"):
        with pp.trace_session(name) as ctx:
            ctx.record_tool_call("search", {"q": name}, id=f"{name}-call")
            ctx.record_error("ValueError", "no", id=f"{name}-error")


def test_selection_position_and_filter_move_between_widgets_on_one_session_and_no_further() -> None:
    tree, other, stranger = pp.tree("one"), pp.tree("one"), pp.tree("two")
    tree.selected = "one-call"
    tree.position = "one-error"
    tree.filter = "failed"
    assert (other.selected, other.position, other.filter) == (["one-call"], tree.position, "failed")
    assert (stranger.selected, stranger.position, stranger.filter) == ([], None, "")
    other.filter = np.ones(len(other._recording), bool)
    assert tree._query == "[set in Python]"


def test_a_function_of_columns_that_another_view_does_not_have_filters_where_it_can() -> None:
    tree, other, differences = pp.tree("one"), pp.tree("one"), pp.diff("one", "two")
    tree.filter = function = lambda steps: steps["failed"]
    assert (tree.filter, other.filter, differences.filter) == (function, function, "")


def test_what_a_page_does_moves_the_others_too() -> None:
    tree, other = pp.tree("one"), pp.tree("one")
    tree.set_state({"_rows": [1]})
    tree.set_state({"_position": 2})
    tree.set_state({"_query": "search"})
    assert (other.selected, other.position, other.filter) == (["one-call"], 2, "search")
    tree.set_state({"_position": -1})
    assert other.position is None


def test_a_widget_that_is_made_with_a_filter_changes_no_other() -> None:
    tree = pp.tree("one")
    pp.tree("one", filter="failed")
    assert tree.filter == ""


def test_a_widget_that_is_not_linked_goes_alone_until_it_is() -> None:
    tree, alone = pp.tree("one"), pp.tree("one", linked=False)
    tree.filter = "failed"
    assert alone.filter == ""
    alone.linked = True
    tree.filter = "search"
    assert alone.filter == "search"


def test_a_link_moves_different_sessions_as_far_as_they_have_the_same() -> None:
    one, two = pp.tree("one"), pp.tree("two")
    both = pp.link(one, two)
    one.filter, one.position, one.selected = "failed", 1, "one-call"
    assert (two.filter, two.position, two.selected) == ("failed", 1, [])
    both.unlink()
    one.filter = ""
    assert two.filter == "failed"
    with pytest.raises(TypeError, match="two or more widgets"):
        pp.link(one)


def test_a_view_that_nobody_looks_at_any_more_stops_following_and_a_new_one_starts_again() -> None:
    tree, other = pp.tree("one"), pp.tree("one")
    other._receive(other, {"type": "hello", "version": 1, "view": "a"}, [])
    other._receive(other, {"type": "bye", "view": "a"}, [])
    tree.selected = "one-call"
    assert other.selected == []
    other._receive(other, {"type": "hello", "version": 1, "view": "b"}, [])
    tree.selected = "one-error"
    assert other.selected == ["one-error"]
    other.close()
    tree.selected = []
    assert other.selected == ["one-error"]


def test_a_position_is_an_index_an_event_or_nothing() -> None:
    tree = pp.tree("one")
    events = pp.events("one")["event_id"].tolist()
    tree.position = -1
    assert tree.position == len(events) - 1
    assert str(tree.event) == events[-1]
    tree.position = None
    assert tree.event is None
    with pytest.raises(PeekError, match="4 events"):
        tree.position = 4
    with pytest.raises(EventNotFound, match="two-call"):
        tree.position = "two-call"
