"""What of a recorded value cannot be given back as it was, and where in it that is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from peaky_peek.analysis.changes import Key, Place, path_of
from peaky_peek.encoding import Cut, Repr

_REDACTED = re.compile(r"\[redacted:([a-z-]+):")


class Lost(NamedTuple):
    """A part that was recorded as something else than it was."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path} ({self.why})"


def lost(value: Any, *root: Key) -> Iterator[Lost]:
    """Yield the parts of a value that are only the `repr` of an object, were cut, or had a secret in them.

    Args:
        value: as it was recorded.
        *root: the keys that paths begin with.

    Example:
        >>> from peaky_peek.encoding import decode, encode
        >>> [str(each) for each in lost(decode(encode({"db": object, "n": 1})), "state")]
        ['state.db (type: only its repr was recorded)']
    """
    start: Place = ()
    for key in root:
        start = key, start
    stack: list[tuple[Place, Any]] = [(start, value)]
    while stack:
        place, one = stack.pop()
        if isinstance(one, dict):
            stack += [((key, place), inside) for key, inside in reversed(one.items())]
        elif isinstance(one, list):
            stack += [((at, place), one[at]) for at in reversed(range(len(one)))]
        elif isinstance(one, str) and (why := _why(one)) is not None:
            yield Lost(path_of(place), why)


def _why(text: str) -> str | None:
    if isinstance(text, Repr):
        return f"{text.type.removeprefix('builtins.')}: only its repr was recorded"
    if isinstance(text, Cut):
        return f"cut: {len(text.encode('utf-8', 'replace')):,} of {text.bytes:,} bytes were recorded"
    redacted = _REDACTED.search(text) if "[redacted:" in text else None
    return f"redacted: {redacted[1]}" if redacted else None
