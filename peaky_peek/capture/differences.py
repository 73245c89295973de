"""Says where two requests differ, to be read at a glance: the places in their JSON, of long texts what is around."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from peaky_peek.capture.matching import shared

_PLACES = 8  # that are shown
_WIDTH = 100  # characters of a text
_BEFORE = 30  # of them before what differs
_ALIGNED = 300  # items of lists that are searched for what was put in or left out
_ABSENT = object()


class Difference(NamedTuple):
    """A place at which two JSON values differ."""

    place: str
    recorded: Any
    asked: Any


def difference(recorded: str, asked: str) -> str:
    """Return where two requests differ, each in canonical JSON: the place, what was recorded (-), what is asked (+).

    >>> print(difference('{"messages":[{"content":"Paris?"}]}', '{"messages":[{"content":"Rome?"}],"n":2}'))
    messages[0].content
    - "Paris?"
    + "Rome?"
    n
    + 2
    """
    try:
        found = list(_differences("", _parsed(recorded), _parsed(asked)))
    except RecursionError:
        found = [Difference("", recorded, asked)]
    lines = [line for each in found[:_PLACES] for line in _shown(each)]
    left = len(found) - _PLACES
    return "\n".join(lines + [f"… and {left:,} more place{'s' * (left > 1)}"] * (left > 0))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _differences(place: str, one: Any, other: Any) -> Iterator[Difference]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            inside = f"{place}.{key}" if place else str(key)
            yield from _differences(inside, one.get(key, _ABSENT), other.get(key, _ABSENT))
    elif isinstance(one, list) and isinstance(other, list):
        yield from _in_lists(place, one, other)
    elif one is _ABSENT or other is _ABSENT or type(one) is not type(other) or one != other:
        yield Difference(place, one, other)


def _in_lists(place: str, one: list[Any], other: list[Any]) -> Iterator[Difference]:
    """Yield what differs between lists of which some items may have been put in or left out."""
    for i, i_end, j, j_end in _unequal(one, other):
        for step in range(max(i_end - i, j_end - j)):
            was = one[i + step] if i + step < i_end else _ABSENT
            now = other[j + step] if j + step < j_end else _ABSENT
            yield from _differences(f"{place}[{i + step if now is _ABSENT else j + step}]", was, now)


def _unequal(one: list[Any], other: list[Any]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the stretches of two lists that are not the same."""
    if len(one) == len(other) or max(len(one), len(other)) > _ALIGNED:
        yield 0, len(one), 0, len(other)
        return
    recorded, asked = ([_written(item) for item in each] for each in (one, other))
    for kind, i, i_end, j, j_end in SequenceMatcher(None, recorded, asked, autojunk=False).get_opcodes():
        if kind != "equal":
            yield i, i_end, j, j_end


def _shown(each: Difference) -> list[str]:
    recorded, asked = (None if value is _ABSENT else _written(value) for value in (each.recorded, each.asked))
    parting = shared(recorded, asked) if recorded is not None and asked is not None else 0
    lines = [each.place] * bool(each.place)
    lines += [f"{sign} {_around(text, parting)}" for sign, text in (("-", recorded), ("+", asked)) if text is not None]
    return lines


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _around(text: str, parting: int) -> str:
    """Return a text as it is, or of a long one, what is around a place in it, with its length."""
    if len(text) <= _WIDTH:
        return text
    start = max(0, min(parting - _BEFORE, len(text) - _WIDTH))
    end = start + _WIDTH
    before, after = "…" * (start > 0), "…" * (end < len(text))
    return f"{before}{text[start:end]}{after} ({len(text):,} characters)"
