"""What goes in comes out: the tagged encoding."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
from typing import Any, ClassVar

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peaky_peek.encoding import TAG, Cut, Repr, cut, decode, encode

TEXT = st.text(st.characters(exclude_categories=[]))  # lone surrogates too
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.binary() | st.dates() | st.timedeltas()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.times()
)  # fmt: skip
KEYS = TEXT | st.integers() | st.just(TAG) | st.none() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20)


def same(left: Any, right: Any) -> bool:
    """Equality that tells types apart and takes NaN for itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return repr(left) == repr(right)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return all(map(same, left, right)) and all(map(same, left.values(), right.values()))
    if isinstance(left, tuple):
        return left == right
    return left == right


@given(VALUES)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    encoded = encode(value)
    assert b"\n" not in encoded
    assert same(decode(encoded), value)
    json.loads(encoded)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(), st.lists, max_leaves=10))
def test_plain_json_stays_plain_json(value: Any) -> None:
    assert json.loads(encode(value)) == value


def test_tuples_and_sets_come_back_as_lists() -> None:
    assert decode(encode({"point": (1, (2, 3)), "seen": {4}})) == {"point": [1, [2, 3]], "seen": [4]}


def test_a_dict_that_looks_like_a_tag_is_no_tag() -> None:
    trap = {TAG: "int", "value": "0x10", "inner": {TAG: "float", "value": "nan"}}
    assert decode(encode(trap)) == trap


def test_models_become_their_fields() -> None:
    @dataclasses.dataclass
    class Point:
        x: float
        y: float

    class Person(pydantic.BaseModel):
        name: str
        where: Any

    assert decode(encode({"who": Person(name="Ann", where=Point(1.0, math.inf))})) == {
        "who": {"name": "Ann", "where": {"x": 1.0, "y": math.inf}}
    }


def test_what_a_data_class_only_says_of_all_or_needs_to_begin_is_no_field() -> None:
    @dataclasses.dataclass
    class Note:
        text: str
        kind: ClassVar[str] = "note"
        at: dataclasses.InitVar[int]

    assert decode(encode(Note("remember", 5))) == {"text": "remember"}


def test_other_objects_come_back_as_their_repr_marked_with_their_type() -> None:
    back = decode(encode([object()]))[0]
    assert isinstance(back, Repr)
    assert back.startswith("<object object at")
    assert back.type == "builtins.object"


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("not today")

    __str__ = __eq__ = __hash__ = __iter__ = __bool__ = __len__ = __repr__  # type: ignore[assignment]


@pytest.mark.parametrize("value", [Hostile(), [Hostile()], {"a": (Hostile(), float("nan"))}])
def test_a_hostile_object_is_recorded_as_such(value: Any) -> None:
    assert b"RuntimeError while it was recorded" in encode(value)


def test_cycles_end() -> None:
    cycle: dict[str, Any] = {"name": "a"}
    cycle["self"] = [cycle]
    assert decode(encode(cycle)) == {"name": "a", "self": ["<cycle>"]}


def test_deep_nesting_comes_back_whole() -> None:
    deep: list[Any] = [float("nan")]
    for _ in range(300):
        deep = [deep]
    assert repr(decode(encode(deep))) == repr(deep)


def test_a_cut_value_keeps_its_beginning_and_says_how_long_it_was() -> None:
    encoded = encode("x" * 1000)
    back = decode(cut(encoded, 10))
    assert isinstance(back, Cut)
    assert back == '"xxxxxxxxx'
    assert back.bytes == 1002
    assert cut(encoded, 2000) is encoded
