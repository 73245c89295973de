"""When two calls are the same work, and when two results say the same: what tells a loop from honest labour."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from peaky_peek import encoding

_LONG = 1 << 16
"""Bytes of a result from which on it is compared as it is."""
_VOLATILE = re.compile(
    rb'"(?:[a-z]+_)*(?:request|trace|span|correlation)_?id":"[^"]*"'
    rb'|"(?:[a-z]+_)*(?:elapsed|duration|latency|took|timestamp)(?:_[a-z]+)*":[^,}\]]*'
    rb"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b(?=\d*[a-f])[0-9a-f]{16,}\b"
    rb"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d[0-9:.Z+-]*",
    re.IGNORECASE,
)
"""What differs between two answers that say the same."""
_BARE = re.compile(
    rb'null|true|""|"(?:ok|okay|done|success|succeeded|sent|saved|clicked|scrolled)[.!]?"'
    rb'|\{"(?:ok|success|done)":true\}|\{"status":"(?:ok|success|done)"\}',
    re.IGNORECASE,
)
"""An acknowledgement, which says nothing of the world."""
_WAITING = re.compile(
    rb"pending|queued|in[ _-]?progress|processing|not ready|\brunning\b|waiting|try again|rate.?limit", re.IGNORECASE
)
_SHORT = 500


class Outcome(NamedTuple):
    """What came of a call."""

    key: int
    """The same for results that say the same."""
    is_error: bool
    is_bare: bool
    """Only that it was done, or nothing: doing it again may be what is wanted."""
    is_waiting: bool
    """That it is not ready: asking again is what is wanted."""


def outcome(result: Any, error: str | None = None) -> Outcome:
    """Return what came of a call, with what is different in every answer left out.

    >>> one, other = ({"items": [], "request_id": name} for name in "ab")
    >>> outcome(one) == outcome(other)
    True
    """
    said = encoding.encode(result if error is None else error)
    is_short = len(said) < _SHORT
    is_bare = error is None and is_short and _BARE.fullmatch(said) is not None
    is_waiting = is_short and _WAITING.search(said) is not None
    is_text = error is None and isinstance(result, str)  # all that it says may be the time
    if (not is_text or len(said) > _SHORT) and len(said) < _LONG:
        said = _VOLATILE.sub(b"", said)
    return Outcome(hash((said, error is None)), error is not None, is_bare, is_waiting)


class Work(NamedTuple):
    """What a call asks for."""

    exact: int
    """Of all of it."""
    rest: int
    """Of all but the sentences."""
    words: str
    """The sentences."""


def work(arguments: Any) -> Work:
    """Return what a call asks for."""
    said: list[str] = []
    rest = {"": arguments} if not isinstance(arguments, dict) else arguments
    rest = {name: value for name, value in rest.items() if not _is_sentence(value, said)}
    return Work(hash(encoding.encode(arguments)), hash(encoding.encode(rest)), " ".join(said))


def _is_sentence(value: Any, said: list[str]) -> bool:
    is_one = isinstance(value, str) and " " in value.strip() and len(value) < _SHORT
    if is_one:
        said.append(value)
    return is_one


def alike(one: Work, other: Work) -> bool:
    """Tell whether two calls ask for the same in other words: words moved, added or bent, but no other thing named.

    >>> alike(work({"q": "weather in Paris today"}), work({"q": "today weather Paris"}))
    True
    >>> alike(work({"q": "weather in Paris today"}), work({"q": "weather in London today"}))
    False
    """
    if one.exact == other.exact:
        return True
    if one.rest != other.rest or not one.words or not other.words:
        return False
    from rapidfuzz import fuzz, utils

    first, second = utils.default_process(one.words), utils.default_process(other.words)
    if fuzz.token_set_ratio(first, second) < 90:
        return False
    missing, added = set(first.split()) - set(second.split()), set(second.split()) - set(first.split())
    if any(any(map(str.isdigit, word)) for word in missing | added):
        return False
    fewer, more = sorted((missing, added), key=len)
    return all(any(fuzz.ratio(word, like) >= 75 for like in more) for word in fewer)
