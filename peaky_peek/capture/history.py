"""A resent conversation is written once: each request says how much of an earlier one it repeats, and what is new."""

from __future__ import annotations

from typing import Any

from peaky_peek import encoding
from peaky_peek.events import LLMRequest
from peaky_peek.store import records


class Histories:
    """Remembers the latest messages of each agent of each session, as far as comparing needs them."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str | None], Sent] = {}

    def compact(self, request: LLMRequest, segment: str | None) -> tuple[Any, Sent | None]:
        """Return the request's messages, or the history form if they begin like those of its agent's request before.

        The other is for `remember`, once the request is journalled: none may refer to one that was lost.
        """
        messages = request.messages
        if not isinstance(messages, list):
            return messages, None
        former = self._latest.get((request.session_id, request.agent))
        keep = former.common(messages) if former is not None and former.segment == segment else 0
        if former is None or keep == 0:
            return messages, Sent(request.id, segment, messages)
        form = records.history(former.event_id, keep, messages[keep:])
        return form, Sent(request.id, segment, messages, former, keep)

    def remember(self, request: LLMRequest, sent: Sent | None) -> None:
        """Let later requests refer to this one."""
        if sent is not None:
            self._latest[request.session_id, request.agent] = sent

    def forget(self, session_id: str) -> None:
        """Drop what is remembered of a session."""
        for key in [key for key in self._latest if key[0] == session_id]:
            self._latest.pop(key, None)


class Sent:
    """What tells later whether messages changed: copies of those that are nothing but text, the encoding of others.

    Copies are compared in C, which does not look at text again that is the very same object.
    """

    def __init__(
        self, event_id: str, segment: str | None, messages: list[Any], former: Sent | None = None, keep: int = 0
    ) -> None:
        self.event_id, self.segment = event_id, segment
        self._known: list[Any] = [] if former is None else former._known[:keep]
        self._known += map(_kept, messages[keep:])

    def common(self, messages: list[Any]) -> int:
        """Return with how many of the known messages `messages` begin."""
        known = self._known
        try:
            if messages[: len(known)] == known:
                return len(known)
            both = zip(known, messages, strict=False)
            return next(
                (at for at, (one, other) in enumerate(both) if not _same(one, other)), min(len(known), len(messages))
            )
        except Exception:  # noqa: BLE001 - a message that cannot be compared is a new one
            return 0


class _Encoded(bytes):
    """A message that is more than text."""


def _kept(message: Any) -> Any:
    try:
        return _copy(message)
    except (TypeError, RecursionError):
        return _Encoded(encoding.encode(message))


def _copy(value: Any) -> Any:
    """Return a copy of what is nothing but text. Numbers are more: 1 is equal to True."""
    kind = type(value)
    if kind is str or value is None:
        return value
    if kind is dict:
        return {_copy(key): _copy(item) for key, item in value.items()}
    if kind is list:
        return [_copy(item) for item in value]
    raise TypeError(kind)


def _same(known: Any, message: Any) -> bool:
    return bool(encoding.encode(message) == known if type(known) is _Encoded else message == known)
