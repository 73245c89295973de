"""Changes: where two JSON values differ, and paths that lead there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peaky_peek.analysis.changes import ABSENT, changes, is_same, keys_of, value_at
from peaky_peek.errors import QueryError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(["", "a", "lamp"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["a", "b c", "d.e", 'f"'],
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_every_change_is_found_where_its_path_says(before: Any, after: Any) -> None:
    for change in changes(before, after):
        keys = keys_of(change.path)
        if change.kind != "added":
            assert is_same(change.before, value_at(before, keys)) or "[" in change.path
        if change.kind != "removed":
            assert is_same(change.after, value_at(after, keys))


@settings(deadline=None)
@given(VALUES)
def test_a_value_is_the_same_as_itself(value: Any) -> None:
    import copy

    assert changes(value, copy.deepcopy(value)) == []


@settings(deadline=None)
@given(st.lists(VALUES, max_size=4), VALUES, st.integers(0, 4))
def test_one_item_put_in_is_one_item_added(items: list[Any], item: Any, at: int) -> None:
    [change] = changes(items, [*items[:at], item, *items[at:]])
    assert (change.kind, is_same(change.after, item)) == ("added", True)


def test_true_is_not_one_and_what_is_deep_is_still_compared() -> None:
    assert [change.path for change in changes({"a": True}, {"a": 1})] == ["a"]
    deep: Any = 0
    other: Any = 1
    for _ in range(50_000):
        deep, other = {"d": deep}, {"d": other}
    [change] = changes(deep, other)
    assert (change.before, change.after) == (0, 1)


def test_paths_name_keys_and_places_in_lists() -> None:
    state = {"state": {"cart": [{"unit price": 3}], "a.b": 1, "7": "seven"}}
    assert value_at(state, keys_of('state.cart[-1]["unit price"]')) == 3
    assert value_at(state, keys_of("state['a.b']")) == 1
    assert value_at(state, keys_of("state[7]")) == "seven"
    assert value_at(state, keys_of("state.cart.price")) is ABSENT
    with pytest.raises(QueryError, match="cannot be read at"):
        keys_of("state.cart[")


def test_the_same_object_in_another_place_in_memory_is_no_change() -> None:
    from peaky_peek.encoding import decode, encode

    one, other = (decode(encode({"client": object()})) for _ in range(2))
    assert changes(one, other) == []
    assert [change.path for change in changes(one, decode(encode({"client": type})))] == ["client"]
