"""Finds what was recorded of the same request: exactly the same, or the same but for ids and times in it.

What is asked twice was recorded twice, and is answered in that order; calls that run side by side may come in any.
"""

from __future__ import annotations

import difflib
import json
import re
import threading
from collections import defaultdict, deque
from collections.abc import Hashable
from itertools import takewhile
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")
_LINES = 40  # of a difference that are shown
_WIDTH = 160


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
    """Return text with the ids and times in it masked: frameworks draw new ones for every run.

    >>> without_ids("at 2026-11-27T10:00:00Z")
    'at <time>'
    """
    return _TIME.sub("<time>", _UUID.sub("<id>", text))


class Recorded(Generic[T]):
    """Recorded answers by what was asked; each is taken once, the earliest first.

    Example:
        >>> recorded = Recorded[str]()
        >>> recorded.add("/chat", canonical(b'{"q": 1}'), "first")
        >>> recorded.take("/chat", canonical(b'{ "q":1 }')), recorded.take("/chat", canonical(b'{"q": 1}'))
        (('first',), None)
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
        """How many were taken."""
        return len(self._items) - len(self._free)

    def add(self, kind: Hashable, asked: str, item: T) -> None:
        """Add an answer to what was asked, of a kind: a path, or the name of a tool."""
        number = len(self._items)
        self._items.append((kind, asked, item))
        self._free.add(number)
        self._exact[kind, asked].append(number)
        self._alike[kind, without_ids(asked)].append(number)

    def take(self, kind: Hashable, asked: str) -> tuple[T] | None:
        """Take the first answer to the same that was not taken yet, else to the same but for ids and times.

        Returns:
            The answer in a tuple; None if there is none left.
        """
        with self._lock:
            for numbers in (self._exact.get((kind, asked)), self._alike.get((kind, without_ids(asked)))):
                while numbers:
                    number = numbers.popleft()
                    if number in self._free:
                        self._free.remove(number)
                        return (self._items[number][2],)
        return None

    def closest(self, kind: Hashable, asked: str) -> str | None:
        """Return what was asked of the same kind that is closest, rather of what was not taken; None without any."""
        asked_before = [(number, known) for number, (other, known, _) in enumerate(self._items) if other == kind]

        def closeness(candidate: tuple[int, str]) -> tuple[int, bool]:
            number, known = candidate
            return _shared(known, asked) + _shared(known[::-1], asked[::-1]), number in self._free

        return max(asked_before, key=closeness)[1] if asked_before else None


def difference(recorded: str, asked: str) -> str:
    """Return what differs between two requests in canonical form, line by line, as a unified diff."""
    lines = list(difflib.unified_diff(_lines(recorded), _lines(asked), "recorded", "asked now", lineterm="", n=2))
    shown = [line if len(line) <= _WIDTH else f"{line[:_WIDTH]}… ({len(line):,} characters)" for line in lines[:_LINES]]
    return "\n".join(shown + [f"… {len(lines) - _LINES} more lines"] * (len(lines) > _LINES))


def _shared(one: str, other: str) -> int:
    """Return how many characters two texts have in common from the beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _lines(text: str) -> list[str]:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return text.splitlines()
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
