"""Finds what was recorded of the same request: exactly the same, or the same but for ids and times in it.

What is asked twice was recorded twice, and is answered in that order; calls that run side by side may come in any.
Nothing here knows of HTTP, tools or stores: an answer is anything, and what was asked is text.
"""

from __future__ import annotations

import json
import re
import threading
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

_ID = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}(?![0-9a-f])", re.IGNORECASE
)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+", re.IGNORECASE)


def canonical(body: bytes) -> str:
    """Return JSON in the one form that all ways to write it share; what is no JSON stays as it is.

    >>> canonical(b'{"b": 1, "a": [2]}')
    '{"a":[2],"b":1}'
    """
    try:
        return json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def without_ids(text: str) -> str:
    """Return text with the ids, times and addresses in it masked: they are new in every run.

    >>> without_ids("<Shop at 0x7f3a> at 2026-11-27T10:00:00Z")
    '<Shop at <address>> at <time>'
    """
    return _ADDRESS.sub(" at <address>", _TIME.sub("<time>", _ID.sub("<id>", text)))


class Taken(NamedTuple, Generic[T]):
    """An answer that was found, and the number that it was added under."""

    number: int
    item: T


class Recorded(Generic[T]):
    """Recorded answers by what was asked; each is taken once, the earliest first. Threads may share it.

    Example:
        >>> recorded = Recorded[str]()
        >>> recorded.add("/chat", canonical(b'{"q": 1}'), "first")
        0
        >>> recorded.take("/chat", canonical(b'{ "q":1 }')), recorded.take("/chat", canonical(b'{"q": 1}'))
        (Taken(number=0, item='first'), None)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: list[tuple[Hashable, str, T]] = []
        self._free: set[int] = set()
        self._exact: defaultdict[tuple[Hashable, str], deque[int]] = defaultdict(deque)
        self._alike: defaultdict[tuple[Hashable, str], deque[int]] = defaultdict(deque)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def taken(self) -> int:
        """How many are no longer there."""
        return len(self._items) - len(self._free)

    @property
    def kinds(self) -> set[Hashable]:
        """The kinds of what was asked."""
        return {kind for kind, _, _ in self._items}

    def add(self, kind: Hashable, asked: str, item: T) -> int:
        """Add an answer to what was asked, of a kind: a path, or the name of a tool. Return its number."""
        number = len(self._items)
        self._items.append((kind, asked, item))
        self._free.add(number)
        self._exact[kind, asked].append(number)
        self._alike[kind, without_ids(asked)].append(number)
        return number

    def take(self, kind: Hashable, asked: str) -> Taken[T] | None:
        """Take the first answer to the same that is still there, else to the same but for ids, times and addresses."""
        with self._lock:
            number = self._first(self._exact.get((kind, asked)))
            if number is None:
                number = self._first(self._alike.get((kind, without_ids(asked))))
            return None if number is None else Taken(number, self._items[number][2])

    def drop(self, numbers: Iterable[int]) -> None:
        """Let nobody take these any more."""
        with self._lock:
            self._free.difference_update(numbers)

    def closest(self, kind: Hashable, asked: str) -> str | None:
        """Return what was asked of the same kind that is closest, rather of what is still there; None without any."""
        asked_before = [(number, known) for number, (other, known, _) in enumerate(self._items) if other == kind]

        def closeness(candidate: tuple[int, str]) -> tuple[int, bool]:
            number, known = candidate
            return shared(known, asked) + shared(known[::-1], asked[::-1]), number in self._free

        return max(asked_before, key=closeness)[1] if asked_before else None

    def _first(self, numbers: deque[int] | None) -> int | None:
        while numbers:
            number = numbers.popleft()
            if number in self._free:
                self._free.remove(number)
                return number
        return None


def shared(one: str, other: str) -> int:
    """Return how many characters two texts have in common from the beginning.

    >>> shared("rain today", "rain tomorrow")
    7
    """
    sizes = range(1, min(len(one), len(other)) + 1)
    return bisect_left(sizes, True, key=lambda size: not one.startswith(other[:size]))
