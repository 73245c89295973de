"""Typed objects out of the store: events with their payloads, and sessions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peaky_peek.encoding import decode
from peaky_peek.errors import EventNotFound, SessionNotFound, StoreUnreadable
from peaky_peek.events import Event, LLMRequest
from peaky_peek.store.bulk import without_collection
from peaky_peek.store.connection import many
from peaky_peek.store.exchanges import answer_to
from peaky_peek.store.html import event_html, session_html
from peaky_peek.store.records import event_from_row, is_history, unfolded
from peaky_peek.store.schema import EVENT_COLUMNS

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

_EVENT = f"SELECT {', '.join(f'e.{name}' for name in EVENT_COLUMNS)} FROM events e"  # noqa: S608
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

# An event reads as a table wherever it is shown; the vocabulary itself knows nothing of HTML.
Event._repr_html_ = event_html  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Session:
    """One complete run of an agent. What is unknown is None."""

    session_id: str
    name: str | None
    framework: str | None
    status: str
    """running, completed, failed or interrupted."""
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    duration: dt.timedelta | None
    events: int
    llm_calls: int
    tool_calls: int
    errors: int
    """Events that failed."""
    suspects: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    """Of the calls whose price is known; the others are counted in `unpriced`."""
    unpriced: int
    agents: list[str]
    task: str | None
    version: str | None
    tags: list[str]
    input: Any
    output: Any
    outcome: str | None
    score: float | None
    note: str | None
    parent_session_id: str | None
    root_session_id: str | None
    thread: str | None
    notebook: str | None
    cell: str | None
    code_hash: str | None
    git_commit: str | None
    forked_from: str | None
    replay_value: float | None

    def __str__(self) -> str:
        return self.session_id

    def __repr__(self) -> str:
        failed = f", {self.errors} failed" if self.errors else ""
        return f"Session({self.name!r}, {self.status}, {self.events} event{'s' * (self.events != 1)}{failed})"

    def _repr_html_(self) -> str:
        return session_html(self)


_STORED = [name for name in Session.__dataclass_fields__ if name != "duration"]
_SESSION = f"SELECT {', '.join(_STORED)} FROM sessions"  # noqa: S608


def read_session(db: Database, session_id: str) -> Session:
    """Return a session by its id.

    Raises:
        SessionNotFound: when it is not in the store.
    """
    for session in read_sessions(db, [session_id]):
        return session
    raise SessionNotFound(f"No recorded session has the id {session_id!r}: `pp.sessions()` lists them.")


def read_sessions(db: Database, session_ids: Iterable[str]) -> Iterator[Session]:
    """Yield the sessions with these ids that are in the store, in the order asked."""
    sql = f"{_SESSION} JOIN json_each(?) wanted ON wanted.value = session_id ORDER BY wanted.key"
    for row in db.connection().execute(sql, (many(session_ids),)):
        values = dict(zip(_STORED, row, strict=True))
        start, end = values["started_at"], values["ended_at"]
        values["started_at"], values["ended_at"] = _time(start), _time(end)
        values["duration"] = None
        if start is not None and end is not None and end >= start:  # or the clock was set back, and nobody knows
            values["duration"] = dt.timedelta(microseconds=end - start)
        try:
            for name in ("agents", "tags", "input", "output"):
                values[name] = None if values[name] is None else decode(values[name])
        except ValueError as error:
            raise damaged_at(f"session {values['session_id']}", db, error) from None
        yield Session(**values)


def read_event(db: Database, event_id: str) -> Event:
    """Return an event by its id, typed.

    Raises:
        EventNotFound: when it is not in the store.
    """
    for event in events_by_id(db, [event_id]):
        return event
    raise EventNotFound(f"No recorded event has the id {event_id!r}: `pp.events()` lists them.")


def events_by_id(db: Database, event_ids: Iterable[str], *, whole: bool = True) -> list[Event]:
    """Return the events with these ids that are in the store, typed, in the order asked; `whole`: see `read_events`."""
    sql = f"{_EVENT} JOIN json_each(?) wanted ON wanted.value = e.event_id ORDER BY wanted.key"
    return _typed(db, db.connection().execute(sql, (many(event_ids),)), Messages(db, whole=whole))


def read_events(
    db: Database, session_id: str, types: Iterable[str] | None = None, *, whole: bool = True
) -> list[Event]:
    """Return the events of a session in order, typed.

    Args:
        db: the store.
        session_id: the session.
        types: only events of these types; None for all.
        whole: whether requests hold the whole conversation that was sent, or only what was new in it.
    """
    of_types = "" if types is None else "AND e.event_type IN (SELECT value FROM json_each(:types))"
    sql = f"{_EVENT} WHERE e.session_id = :session_id {of_types} ORDER BY e.position, e.rowid"
    parameters = {"session_id": session_id, "types": many(types or ())}
    rows = db.connection().execute(sql, parameters)
    return _typed(db, rows, Messages(db, whole=whole))


def damaged_at(what: str, db: Database, error: Exception) -> StoreUnreadable:
    """Return the sentence for a part of the store that cannot be what was written."""
    return StoreUnreadable(f"{db.path} is damaged at {what} ({error}): see docs/durability.md for what to do.")


def _typed(db: Database, rows: Iterable[Sequence[Any]], messages: Messages | None = None) -> list[Event]:
    messages = messages or Messages(db)
    with without_collection():
        return [messages.typed(row) for row in rows]


class Messages:
    """The messages of requests by event id: one that resends a conversation names the earlier request it repeats.

    Args:
        db: the store.
        whole: whether requests hold the whole conversation that was sent, or only what was new in it.
    """

    def __init__(self, db: Database, *, whole: bool = True) -> None:
        self._db = db
        self._whole = whole
        self._known: dict[str, list[Any]] = {}

    def typed(self, row: Sequence[Any]) -> Event:
        """Return the typed event of a row; of a request, its messages are known from here on.

        Raises:
            StoreUnreadable: if no event can have been written like this.
        """
        try:
            event = event_from_row(row, self)
        except (ValueError, TypeError, LookupError, AttributeError) as error:  # a bit is flipped; SQLite cannot know
            raise damaged_at(f"event {row[0]}", self._db, error) from None
        if isinstance(event, LLMRequest):
            self._known[event.id] = event.messages if self._whole and isinstance(event.messages, list) else []
        return event

    def messages(self, event_id: str) -> list[Any]:
        """Return the messages of a request; each payload on the way back to the first is read once."""
        if not self._whole:
            return []
        repeats: dict[str, dict[str, Any]] = {}
        current = event_id
        while current not in self._known:
            messages = self._stored(current)
            if current in repeats or not is_history(messages):
                self._known[current] = messages if isinstance(messages, list) else []
                break
            repeats[current] = messages
            current = messages["event"]
        for later, form in reversed(repeats.items()):
            self._known.setdefault(later, unfolded(form, self))
        return self._known[event_id]

    def answer(self, event_id: str) -> Any:
        """Return the content of the response to a request."""
        return answer_to(self._db.connection(), event_id)

    def _stored(self, event_id: str) -> Any:
        row = self._db.connection().execute("SELECT payload FROM events WHERE event_id = ?", (event_id,)).fetchone()
        return decode(row[0]).get("messages") if row else None


def _time(microseconds: int | None) -> dt.datetime | None:
    return None if microseconds is None else _EPOCH + dt.timedelta(microseconds=microseconds)
