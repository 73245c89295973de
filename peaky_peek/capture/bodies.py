"""Request bodies: a conversation resends its history with every turn, and only what is new is journalled.

A body is `base[:prefix] + middle + base[len(base) - suffix:]`, where the base is an earlier body of the same session
and journal segment. An agent that takes turns with others finds its own last body among the few that are kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

_CONVERSATIONS = 8  # that one session leads at a time
_SESSIONS = 64
_WORTHWHILE = 256  # a reference costs some bytes of its own
_MARGIN = 4096  # bytes around what is new that are cleaned with it: a credential may have begun before


class Part(NamedTuple):
    """What is new in a body, and the exchange whose body the rest is in; without `base_id` it is the whole body."""

    base_id: str | None
    prefix: int
    suffix: int
    middle: bytes


class Body(NamedTuple):
    """A body that later ones may refer to, as journalled. `as_sent` tells that nothing had to be redacted in it."""

    exchange_id: str
    segment: object
    content: bytes
    as_sent: bool


class Bodies:
    """The last body of each conversation, by session.

    Example:
        >>> bodies = Bodies()
        >>> first, body = bodies.shorten("s", "e1", 0, b'{"messages":["' + b"long " * 99 + b'"]}', bytes)
        >>> bodies.remember("s", first, body)
        >>> bodies.shorten("s", "e2", 0, b'{"messages":["' + b"long " * 99 + b'","new"]}', bytes)[0]
        Part(base_id='e1', prefix=510, suffix=2, middle=b',"new"')
    """

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, tuple[Body, ...]] = OrderedDict()

    def shorten(
        self, session_id: str, exchange_id: str, segment: object, body: bytes, clean: Callable[[bytes], bytes],
        *, clean_part: Callable[[bytes], bytes] | None = None,
    ) -> tuple[Part, Body]:  # fmt: skip
        """Return what to journal of a body, and the body itself for `remember`.

        Args:
            session_id: Whose conversation it is.
            exchange_id: By which later bodies refer to this one.
            segment: The journal segment; bodies of another one are not referred to.
            body: As it is sent.
            clean: Replaces secrets. Of a body that continues a clean one, only what is new goes through it.
            clean_part: Does so for what is new, where `clean` must see bodies whole.
        """
        known = [each for each in self._sessions.get(session_id, ()) if each.segment == segment]
        part = _shortest([each for each in known if each.as_sent], body)
        around = slice(max(0, part.prefix - _MARGIN), len(body) - part.suffix + _MARGIN)
        nearby = body if clean_part else body[around]
        if as_sent := clean(nearby) == nearby:
            content = body
        else:
            content = clean(body)
            part = _shortest(known, content)
        # Out of its place a part can look like a secret, and is cleaned again.
        if (clean_part or clean)(part.middle) != part.middle:
            part = Part(None, 0, 0, content)
        return part, Body(exchange_id, segment, content, as_sent)

    def forget(self, session_id: str) -> None:
        """Let no later body refer to those of a session."""
        self._sessions.pop(session_id, None)

    def remember(self, session_id: str, part: Part, body: Body) -> None:
        """Let later bodies refer to this one: it is journalled. It takes the place of the one that it continues."""
        others = [each for each in self._sessions.get(session_id, ()) if each.exchange_id != part.base_id]
        self._sessions[session_id] = (*others[1 - _CONVERSATIONS :], body)
        self._sessions.move_to_end(session_id)
        while len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)


def _shortest(known: list[Body], content: bytes) -> Part:
    """Return the part of `content` that is left beside the best of the known bodies, or all of it."""
    whole = Part(None, 0, 0, content)
    if len(content) <= _WORTHWHILE:
        return whole
    parts = [part for body in known if len((part := _beside(body, content)).middle) + _WORTHWHILE < len(content)]
    return min(parts, key=lambda part: len(part.middle), default=whole)


def _beside(body: Body, content: bytes) -> Part:
    base = body.content
    base_end, end = len(base), len(content)
    shared = min(base_end, end)
    prefix = _common(shared, _beginning(base, content), lambda i, j: base[i:j] == content[i:j])
    suffix = _common(shared - prefix, 0, lambda i, j: base[base_end - j : base_end - i] == content[end - j : end - i])
    return Part(body.exchange_id, prefix, suffix, content[prefix : end - suffix])


def _beginning(base: bytes, content: bytes) -> int:
    """Return a common beginning: a conversation grows at its end, so it is looked for from there, and compared once."""
    size, back = min(len(base), len(content)), 16
    while (at := size - back) > 0:
        if base[at - 16 : at] == content[at - 16 : at]:
            return at if base[:at] == content[:at] else 0
        back *= 4
    return 0


def _common(size: int, low: int, same: Callable[[int, int], bool]) -> int:
    """Return how many of the first `size` bytes are the same, `low` at least: in growing steps, then halving."""
    step = 256
    while low < size and same(low, min(low + step, size)):
        low = min(low + step, size)
        step *= 2
    high = min(low + step, size)
    while low < high:
        middle = (low + high + 1) // 2
        if same(low, middle):
            low = middle
        else:
            high = middle - 1
    return low
