"""A resent conversation is written once: each request says how much of an earlier one it repeats, and what is new."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from peaky_peek import encoding
from peaky_peek.events import LLMRequest
from peaky_peek.store import records

_ROLE, _CONTENT = itemgetter("role"), itemgetter("content")


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
        return records.history(former.event_id, keep, messages[keep:]), Sent(
            request.id, segment, messages, former, keep
        )

    def remember(self, request: LLMRequest, sent: Sent | None) -> None:
        """Let later requests refer to this one."""
        if sent is not None:
            self._latest[request.session_id, request.agent] = sent

    def forget(self, session_id: str) -> None:
        """Drop what is remembered of a session."""
        for key in [key for key in self._latest if key[0] == session_id]:
            self._latest.pop(key, None)


class Sent:
    """What tells later whether messages changed: the text of plain ones, which cannot change, the encoding of others.

    Comparing runs over whole lists in C, where text that is the very same object is not looked at again.
    """

    def __init__(
        self, event_id: str, segment: str | None, messages: list[Any], former: Sent | None = None, keep: int = 0
    ) -> None:
        self.event_id, self.segment = event_id, segment
        self.roles: list[Any] = [] if former is None else former.roles[:keep]
        self.contents: list[Any] = [] if former is None else former.contents[:keep]
        self.others: dict[int, bytes] = (
            {} if former is None else {at: known for at, known in former.others.items() if at < keep}
        )
        for at in range(keep, len(messages)):
            message = messages[at]
            plain = type(message) is dict and len(message) == 2 and type(message.get("content")) is str
            self.roles.append(message.get("role") if plain else None)
            self.contents.append(message["content"] if plain else None)
            if not plain:
                self.others[at] = encoding.encode(message)

    def common(self, messages: list[Any]) -> int:
        """Return with how many of the known messages `messages` begin."""
        if not self.others and len(messages) >= len(self.roles):
            begin = messages[: len(self.roles)]
            try:
                if (
                    [*map(_CONTENT, begin)] == self.contents
                    and [*map(_ROLE, begin)] == self.roles
                    and {*map(len, begin)} == {2}
                ):
                    return len(begin)
            except (KeyError, TypeError):
                pass
        count = 0
        for at, message in enumerate(messages[: len(self.roles)]):
            if not self._same(at, message):
                break
            count += 1
        return count

    def _same(self, at: int, message: Any) -> bool:
        if at in self.others:
            return encoding.encode(message) == self.others[at]
        if type(message) is not dict or len(message) != 2:
            return False
        return bool(message.get("content") == self.contents[at] and message.get("role") == self.roles[at])
