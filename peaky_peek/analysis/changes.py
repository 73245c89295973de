"""What changed between two JSON values, place by place, and what lies at a place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from peaky_peek.encoding import Repr
from peaky_peek.errors import QueryError

Key = str | int
Place = tuple[()] | tuple[Any, Any]
"""Where something lies: its key, and the place that this is a key of; nothing for the whole."""
_PART = re.compile(r"""\.?([^.\[\]"']+)|\[(-?\d+)\]|\[("(?:[^"\\]|\\.)*"|'[^']*')\]""")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_PLAIN = re.compile(r"""[^.\[\]"'\s]+""")


class _Absent:
    """Stands for what is not there, where None would be a value."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


class Change(NamedTuple):
    """One place that changed; `before` is None where it was added, `after` where it was removed."""

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Any
    after: Any


def changes(before: Any, after: Any) -> list[Change]:
    """Return where two JSON values differ, in the order of the second, however deep they are.

    What lists have in common at their beginning and at their end is the same; what is between is compared in pairs.

    Example:
        >>> for change in changes({"cart": ["lamp"], "paid": False}, {"cart": ["lamp", "rug"], "paid": True}):
        ...     print(change.path, change.kind, change.after)
        cart[1] added rug
        paid changed True
    """
    return list(_changes(before, after))


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two JSON values say the same; True is not 1, and NaN is itself."""
    return one is other or next(_changes(one, other), None) is None


def _changes(before: Any, after: Any) -> Iterator[Change]:
    stack: list[tuple[Place, Any, Any]] = [((), before, after)]
    while stack:
        place, one, other = stack.pop()
        if one is ABSENT:
            yield Change(path_of(place), "added", None, other)
        elif other is ABSENT:
            yield Change(path_of(place), "removed", one, None)
        elif isinstance(one, dict) and isinstance(other, dict):
            stack += [
                ((key, place), one.get(key, ABSENT), other.get(key, ABSENT))
                for key in reversed(dict.fromkeys([*other, *one]))
            ]
        elif isinstance(one, list) and isinstance(other, list):
            stack += reversed([((at, place), was, now) for at, was, now in _between(one, other)])
        elif not _is_equal(one, other):
            yield Change(path_of(place), "changed", one, other)


def keys_of(path: str) -> list[Key]:
    """Return the keys and indexes that a path is made of.

    Raises:
        QueryError: when it cannot be read.

    Example:
        >>> keys_of('state.cart[0]["unit price"]')
        ['state', 'cart', 0, 'unit price']
    """
    keys: list[Key] = []
    at = 0
    while at < len(path):
        part = _PART.match(path, at)
        if part is None:
            raise QueryError(f'The path {path!r} cannot be read at {path[at:]!r}: write it like cart[0]["a key"].')
        name, index, quoted = part.groups()
        if quoted:
            name = json.loads(quoted) if quoted[0] == '"' else quoted[1:-1]
        keys.append(int(index) if index else name)
        at = part.end()
    return keys


def value_at(value: Any, keys: Sequence[Key]) -> Any:
    """Return what lies at a place of a JSON value, `ABSENT` where nothing does."""
    for key in keys:
        if isinstance(value, dict) and (key in value or str(key) in value):
            value = value[key] if key in value else value[str(key)]
        elif isinstance(value, list) and isinstance(key, int) and -len(value) <= key < len(value):
            value = value[key]
        else:
            return ABSENT
    return value


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Repr) and isinstance(other, Repr):  # the same object lies elsewhere in each run
        return one.type == other.type and _ADDRESS.sub("", one) == _ADDRESS.sub("", other)
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124 - NaN


def _between(one: list[Any], other: list[Any]) -> Iterator[tuple[int, Any, Any]]:
    """Yield the pairs of items between the common beginning and the common end; where one list is over, `ABSENT`."""
    if len(one) == len(other):
        yield from ((at, *pair) for at, pair in enumerate(zip(one, other, strict=True)))
        return
    shorter = min(len(one), len(other))
    start = 0
    while start < shorter and is_same(one[start], other[start]):
        start += 1
    end = 0
    while end < shorter - start and is_same(one[-1 - end], other[-1 - end]):
        end += 1
    for at in range(start, max(len(one), len(other)) - end):
        was = one[at] if at < len(one) - end else ABSENT
        now = other[at] if at < len(other) - end else ABSENT
        yield at, was, now


def path_of(place: Place) -> str:
    """Return the text of a place."""
    parts = []
    while place:
        key, place = place
        if isinstance(key, int):
            parts.append(f"[{key}]")
        elif isinstance(key, str) and _PLAIN.fullmatch(key):
            parts.append(f".{key}")
        else:
            parts.append(f"[{json.dumps(str(key), ensure_ascii=False)}]")
    return "".join(reversed(parts)).removeprefix(".")
