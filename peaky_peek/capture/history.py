"""A resent conversation is written once: each request says how much of an earlier one it repeats, and what is new."""

from __future__ import annotations

from typing import Any

from peaky_peek import encoding
from peaky_peek.events import LLMRequest
from peaky_peek.store import records

_Key = tuple[str, str | None]


class Histories:
    """Remembers the latest messages of each agent of each session, as far as comparing needs them."""

    def __init__(self) -> None:
        self._latest: dict[_Key, tuple[str, str | None, list[Any]]] = {}

    def compact(self, request: LLMRequest, segment: str | None) -> Any:
        """Return the request's messages, or the history form if they begin like those of its agent's request before.

        The cost follows what is new: text that is the very same object is not looked at again.
        """
        messages = request.messages
        if not isinstance(messages, list):
            return messages
        key = (request.session_id, request.agent)
        base, base_segment, known = self._latest.get(key, ("", None, []))
        keep = 0
        if base and base_segment == segment:
            for message, former in zip(messages, known, strict=False):
                if not _same(message, former):
                    break
                keep += 1
        self._latest[key] = (request.id, segment, known[:keep] + [_snapshot(message) for message in messages[keep:]])
        return records.history(base, keep, messages[keep:]) if keep else messages

    def forget(self, session_id: str) -> None:
        """Drop what is remembered of a session."""
        for key in [key for key in self._latest if key[0] == session_id]:
            self._latest.pop(key, None)


def _snapshot(message: Any) -> Any:
    """Return what tells whether a message changed: its immutable text, or its encoding."""
    if type(message) is dict and len(message) == 2:
        role, content = message.get("role"), message.get("content")
        if type(role) is str and type(content) is str:
            return role, content
    return encoding.encode(message)


def _same(message: Any, snapshot: Any) -> bool:
    if type(snapshot) is tuple:
        return (
            type(message) is dict
            and len(message) == 2
            and message.get("content") == snapshot[1]
            and message.get("role") == snapshot[0]
        )
    return bool(encoding.encode(message) == snapshot)
