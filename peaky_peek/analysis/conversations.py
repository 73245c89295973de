"""How much each model request sent: its whole conversation, measured without unfolding what requests repeat."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from peaky_peek.analysis.restorable import Lost, lost
from peaky_peek.encoding import encode
from peaky_peek.events import LLMRequest
from peaky_peek.store import reader

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

_REPEATS = """SELECT event_id, payload ->> '$.messages.event', payload ->> '$.messages.keep' FROM events
    WHERE session_id = ? AND event_type = 'llm_request' AND json_type(payload, '$.messages') = 'object'"""
_NAMED = 20  # of what is lost


class Conversation:
    """What one request sent.

    Args:
        new: the messages that were not in the request before.
        before: the conversation that it repeats.
        keep: how many messages of it.
    """

    def __init__(self, request: LLMRequest, new: list[Any], before: Conversation | None, keep: int) -> None:
        self.request = request
        self._before = before
        self._keep: int = min(keep, before.messages) if before is not None else 0
        self._sizes = [0, *accumulate(len(encode(message)) for message in new)]
        self._bytes_kept = before.bytes_of(self._keep) if before is not None else 0
        self.messages: int = self._keep + len(new)
        kept = [one for one in before.lost if one[0] < self._keep] if before is not None else []
        found = ((at, one) for at, message in enumerate(new, self._keep) for one in lost(message, "messages", at))
        self.lost: list[tuple[int, Lost]] = kept
        for each in found:
            if len(kept) < _NAMED:
                kept.append(each)

    @property
    def bytes(self) -> int:
        """The size of all messages, encoded."""
        return self.bytes_of(self.messages)

    def bytes_of(self, count: int) -> int:
        """Return the size of the first messages."""
        one: Conversation = self
        while one._before is not None and count < one._keep:
            one = one._before
        return one._bytes_kept + one._sizes[count - one._keep]


def conversations(db: Database, session_id: str) -> dict[str, Conversation]:
    """Return what each request of a session sent, by its id, in order."""
    repeats = {row[0]: row[1:] for row in db.connection().execute(_REPEATS, (session_id,))}
    found: dict[str, Conversation] = {}
    for request in reader.read_events(db, session_id, ["llm_request"], whole=False):
        if isinstance(request, LLMRequest):
            earlier, keep = repeats.get(request.id, (None, 0))
            new = request.messages if isinstance(request.messages, list) else []
            before = found.get(earlier)
            found[request.id] = Conversation(request, new, before, keep if isinstance(keep, int) else 0)
    return found
