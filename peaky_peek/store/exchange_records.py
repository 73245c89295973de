"""Model calls on their way from the journal into the tables: exchanges, and the events that they mean.

There are two kinds of records. `Q`, a request was sent: `Q_FIELDS`, and what is new in its body. `R`, its response came
or will not come: `R_FIELDS`, and the body. What the bytes mean is known to the module that `MEANING` names.

Some of it is known only later: whether a failed request is sent again, whether the agent explains its choice itself.
Until then the exchange is pending. It is settled when the context that sent it sends its next request (`previous`),
when a later request shows its answer, or when its session ends.
"""

from __future__ import annotations

import sqlite3
import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import orjson

from peaky_peek.events import Event, LLMRequest
from peaky_peek.store import exchanges, records, schema
from peaky_peek.store.batch import ENDINGS, INGESTERS

if TYPE_CHECKING:
    from peaky_peek.store.batch import Batch
    from peaky_peek.store.exchanges import Exchange

MEANING = ""
"""The dotted name of a module that is a `Meaning`."""

Q_FIELDS = (
    "exchange_id", "event_id", "session_id", "position", "parent_id", "agent", "inferred", "started_at", "attempt",
    "method", "url", "request_headers", "previous", "base_id", "prefix", "suffix",
)  # fmt: skip
R_FIELDS = (
    "exchange_id", "pending", "status", "response_headers", "duration_ms", "first_byte_ms", "chunk_sizes",
    "chunk_times_us", "complete", "error",
)  # fmt: skip
_PENDING = "SELECT exchange_id FROM exchanges WHERE pending IS NOT NULL AND"


class Earlier(NamedTuple):
    """The request whose conversation another one resends."""

    event_id: str
    body: bytes


class Sent(NamedTuple):
    """Where in the agent a request was sent, whether that is only guessed, and what it may repeat."""

    parent_id: str | None
    agent: str | None
    inferred: bool
    earlier: Earlier | None


class Request(NamedTuple):
    """What a request means.

    Attributes:
        events: The last is the `llm_request`.
        keep: How many of its messages are those of the earlier request.
        shows: The `llm_request`s whose answers it shows.
    """

    events: list[Event]
    keep: int
    shows: list[str]


class Response(NamedTuple):
    """What a response means so far; whether the answer is whole; whether more is known later."""

    events: list[Event]
    complete: bool
    pending: bool


class Meaning(Protocol):
    """Turns exchanges into events. Bodies come from the network: any shape must be survived."""

    def request(self, exchange: Exchange, sent: Sent, past: Past) -> Request | None:
        """Return what a request means; None when it is no model call after all."""

    def response(self, exchange: Exchange, past: Past) -> Response:
        """Return what a response means as soon as it came."""

    def outcome(self, exchange: Exchange, past: Past) -> list[Event]:
        """Return what a pending response means now that the agent has moved on."""


class Past:
    """The events of a session so far, typed.

    Args:
        batch: the ingestion under way.
        session_id: the session.
        before: the position at which it looks back; None sees all.
    """

    def __init__(self, batch: Batch, session_id: str, before: int | None = None) -> None:
        batch.flush()
        self._connection = batch.connection
        self._session_id = session_id
        self._before = (1 << 63) - 1 if before is None else before

    def event(self, event_id: str) -> Event | None:
        """Return one event by its id, or None."""
        return next(iter(self._select("event_id = ?", event_id)), None)

    def events(self, *types: str, after: int = 0, limit: int = -1) -> list[Event]:
        """Return the events of these types after a position, newest first."""
        where = "position > ? AND position < ? AND event_type IN (SELECT value FROM json_each(?))"
        order = "ORDER BY position DESC, rowid DESC LIMIT ?"
        return self._select(f"{where} {order}", after, self._before, orjson.dumps(types).decode(), limit)

    def _select(self, where: str, *values: Any) -> list[Event]:
        sql = f"SELECT {', '.join(schema.EVENT_COLUMNS)} FROM events WHERE session_id = ? AND {where}"  # noqa: S608
        return [records.event_from_row(row) for row in self._connection.execute(sql, (self._session_id, *values))]


def settle(batch: Batch, session_id: str) -> None:
    """Settle what is pending in a session that has ended."""
    _settle(batch, Past(batch, session_id), f"{_PENDING} session_id = ? ORDER BY pending", session_id)


def _settle(batch: Batch, past: Past, sql: str, *values: Any) -> None:
    for (exchange_id,) in batch.connection.execute(sql, values).fetchall():
        exchange = _load(batch.connection, exchange_id)
        batch.connection.execute("UPDATE exchanges SET pending = NULL WHERE exchange_id = ?", (exchange_id,))
        _add(batch, _meaning().outcome(exchange, past))


def _request(batch: Batch, header: list[Any], payload: bytes) -> None:
    """Take in a request: store it, and unless it is a further attempt, insert what it means."""
    sent = dict(zip(Q_FIELDS, header, strict=True))
    exchange_id, event_id, session_id = header[:3]
    connection = batch.connection
    past = Past(batch, session_id, before=sent["position"])
    _settle(batch, past, f"{_PENDING} exchange_id = ? AND event_id != ?", sent.pop("previous"), event_id)
    place = sent.pop("parent_id"), sent.pop("agent"), sent.pop("inferred")
    connection.execute("UPDATE exchanges SET pending = NULL WHERE event_id = ?", (event_id,))  # it is sent again
    sent |= {"request_headers": orjson.dumps(sent["request_headers"]).decode(), "request": zlib.compress(payload)}
    sql = f"INSERT INTO exchanges ({', '.join(sent)}) VALUES ({', '.join('?' * len(sent))})"  # noqa: S608
    connection.execute(sql, tuple(sent.values()))
    if past.event(event_id):
        return
    earlier = _earlier(connection, sent["base_id"])
    request = _meaning().request(_load(connection, exchange_id), Sent(*place, earlier), past)
    if request is None:
        connection.execute("DELETE FROM exchanges WHERE exchange_id = ?", (exchange_id,))
        return
    for shown in request.shows:
        _settle(batch, past, f"{_PENDING} event_id = ?", shown)
    _add(batch, request.events, earlier, request.keep)


def _response(batch: Batch, header: list[Any], payload: bytes) -> None:
    """Take in a response: store it, and insert what it means so far."""
    came = dict(zip(R_FIELDS, header, strict=True))
    came |= {name: orjson.dumps(came[name]).decode() for name in exchanges.JSON_COLUMNS if name in came}
    came["response"] = zlib.compress(payload)
    connection = batch.connection
    sql = f"UPDATE exchanges SET {', '.join(f'{name} = ?' for name in came)} WHERE exchange_id = ?"  # noqa: S608
    if not connection.execute(sql, (*came.values(), came["exchange_id"])).rowcount:
        return  # its request was no model call after all
    exchange = _load(connection, came["exchange_id"])
    response = _meaning().response(exchange, Past(batch, exchange.session_id))
    newer = "SELECT 1 FROM exchanges WHERE event_id = ? AND attempt > ?"
    is_last = connection.execute(newer, (exchange.event_id, exchange.attempt)).fetchone() is None
    connection.execute(
        "UPDATE exchanges SET complete = ?, pending = ? WHERE exchange_id = ?",
        (response.complete, exchange.pending if response.pending and is_last else None, exchange.exchange_id),
    )
    _add(batch, response.events)
    running = connection.execute(
        "SELECT 1 FROM sessions WHERE session_id = ? AND status = 'running'", (exchange.session_id,)
    )
    if not running.fetchone():
        settle(batch, exchange.session_id)


def _load(connection: sqlite3.Connection, exchange_id: str) -> Exchange:
    return cast("Exchange", exchanges.load(connection, exchange_id))


def _earlier(connection: sqlite3.Connection, base_id: str | None) -> Earlier | None:
    if base_id is None:
        return None
    (event_id,) = connection.execute("SELECT event_id FROM exchanges WHERE exchange_id = ?", (base_id,)).fetchone()
    return Earlier(event_id, exchanges.request_body(connection, base_id))


def _add(batch: Batch, events: list[Event], earlier: Earlier | None = None, keep: int = 0) -> None:
    """Insert events. Of the messages of a request that resends another's, only the new ones are written."""
    for event in events:
        if earlier and keep and isinstance(event, LLMRequest) and event.messages:
            event.messages = cast("list[Any]", records.history(earlier.event_id, keep, event.messages[keep:]))
        batch.insert(event)


def _meaning() -> Meaning:
    return cast("Meaning", import_module(MEANING))


INGESTERS |= {"Q": _request, "R": _response}
ENDINGS.append(settle)
