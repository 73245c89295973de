"""Model calls on their way from the journal into the tables: exchanges, and the events that they mean.

There are two kinds of records. `Q`, a request was sent: `Q_FIELDS`, and what is new in its body. `R`, its response came
or will not come: `R_FIELDS`, and the body. What the bytes mean is known to the module that `MEANING` names.

Some of it is known only later: whether a failed request is sent again, whether the agent explains its choice itself.
Until then the exchange is pending. It is settled when the context that sent it sends its next request (`previous`),
when a later request shows its answer, or when its session ends.
"""

from __future__ import annotations

import sqlite3
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import orjson

from peaky_peek.events import Event, LLMRequest
from peaky_peek.store import exchanges, records, schema
from peaky_peek.store.batch import ENDINGS, INGESTERS
from peaky_peek.store.connection import many
from peaky_peek.store.exchanges import Exchange

if TYPE_CHECKING:
    from peaky_peek.store.batch import Batch

MEANING = ""
"""The dotted name of a module that is a `Meaning`."""

Q_FIELDS = (
    "exchange_id", "event_id", "session_id", "position", "parent_id", "agent", "misplaced", "started_at", "attempt",
    "method", "url", "request_headers", "previous", "base_id", "prefix", "suffix",
    "played_from",
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
    """Where in the agent a request was sent, what its metadata says if that is in doubt, and what it may repeat."""

    parent_id: str | None
    agent: str | None
    misplaced: dict[str, str] | None
    earlier: Earlier | None


class Request(NamedTuple):
    """What a request means.

    Attributes:
        events: The last is the `llm_request`.
        keep: How many of its messages are those of the earlier request.
        shows: The `llm_request`s whose answers it shows.
        task: What the run is asked to do, as far as the request shows it.
    """

    events: list[Event]
    keep: int
    shows: list[str]
    task: str | None


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
        return self._select(f"{where} {order}", after, self._before, many(types), limit)

    def _select(self, where: str, *values: Any) -> list[Event]:
        sql = f"SELECT {', '.join(schema.EVENT_COLUMNS)} FROM events WHERE session_id = ? AND {where}"  # noqa: S608
        return [records.event_from_row(row) for row in self._connection.execute(sql, (self._session_id, *values))]


def settle(batch: Batch, session_id: str) -> None:
    """Settle what is pending in a session that has ended."""
    _settle(batch, Past(batch, session_id), f"{_PENDING} session_id = ? ORDER BY pending", session_id)


def _settle(batch: Batch, past: Past, sql: str, *values: Any) -> None:
    for (exchange_id,) in batch.connection.execute(sql, values).fetchall():
        exchange = cast("Exchange", exchanges.load(batch.connection, exchange_id))
        batch.connection.execute("UPDATE exchanges SET pending = NULL WHERE exchange_id = ?", (exchange_id,))
        _add(batch, _meaning().outcome(exchange, past))


def _request(batch: Batch, header: list[Any], payload: bytes) -> None:
    """Take in a request; unless it is a further attempt of one, insert what it means."""
    sent = dict(zip(Q_FIELDS, header, strict=False))  # an older record says less
    connection = batch.connection
    event_id, base_id = sent["event_id"], sent["base_id"]
    past = Past(batch, sent["session_id"], before=sent["position"])
    _settle(batch, past, f"{_PENDING} exchange_id = ? AND event_id != ?", sent.pop("previous"), event_id)
    connection.execute("UPDATE exchanges SET pending = NULL WHERE event_id = ?", (event_id,))  # it is sent again
    place = sent.pop("parent_id"), sent.pop("agent"), sent.pop("misplaced")
    if not past.event(event_id):
        base = exchanges.request_body(connection, base_id) if base_id else b""
        body = exchanges.put_together(base, sent["prefix"], sent["suffix"], payload)
        exchanges.keep_at_hand(sent["exchange_id"], body)
        facts = {name: value for name, value in sent.items() if name not in ("base_id", "prefix", "suffix")}
        earlier = Earlier(_event_of(connection, base_id), base) if base_id else None
        request = _meaning().request(Exchange(**facts, request=body), Sent(*place, earlier), past)
        if request is None:
            return
        for shown in request.shows:
            _settle(batch, past, f"{_PENDING} event_id = ?", shown)
        _add(batch, request.events, earlier, request.keep)
        if request.task is not None:
            named = "UPDATE sessions SET task = ? WHERE session_id = ? AND task IS NULL"
            connection.execute(named, (request.task, sent["session_id"]))
    sent["request_headers"] = orjson.dumps(sent["request_headers"]).decode()
    sent["request"] = exchanges.packed(connection, payload, event_id, "llm_request")
    sql = f"INSERT INTO exchanges ({', '.join(sent)}) VALUES ({', '.join('?' * len(sent))})"  # noqa: S608
    connection.execute(sql, tuple(sent.values()))


def _response(batch: Batch, header: list[Any], payload: bytes) -> None:
    """Take in a response, and insert what it means so far."""
    came = dict(zip(R_FIELDS, header, strict=True))
    connection = batch.connection
    exchange = exchanges.load(connection, came["exchange_id"])
    if exchange is None:  # its request was no model call after all
        return
    for name, value in came.items():
        setattr(exchange, name, value)
    exchange.response = payload
    response = _meaning().response(exchange, Past(batch, exchange.session_id))
    _add(batch, response.events)
    came |= {name: orjson.dumps(came[name]).decode() for name in exchanges.JSON_COLUMNS if name in came}
    came["response"] = exchanges.packed(connection, payload, exchange.event_id, "llm_response")
    came["complete"] = response.complete
    newer = "SELECT 1 FROM exchanges WHERE event_id = ? AND attempt > ?"
    if not response.pending or connection.execute(newer, (exchange.event_id, exchange.attempt)).fetchone():
        came["pending"] = None
    sql = f"UPDATE exchanges SET {', '.join(f'{name} = ?' for name in came)} WHERE exchange_id = ?"  # noqa: S608
    connection.execute(sql, (*came.values(), exchange.exchange_id))
    running = "SELECT 1 FROM sessions WHERE session_id = ? AND status = 'running'"
    if not connection.execute(running, (exchange.session_id,)).fetchone():
        settle(batch, exchange.session_id)


def _event_of(connection: sqlite3.Connection, exchange_id: str) -> str:
    (event_id,) = connection.execute("SELECT event_id FROM exchanges WHERE exchange_id = ?", (exchange_id,)).fetchone()
    return str(event_id)


def _add(batch: Batch, events: list[Event], earlier: Earlier | None = None, keep: int = 0) -> None:
    """Insert events. Of the messages of a request that resends another's, only the new ones are written."""
    for event in events:
        if earlier and keep and isinstance(event, LLMRequest) and event.messages:
            answer = exchanges.answer_to(batch.connection, earlier.event_id)
            event.messages = cast("list[Any]", records.history(earlier.event_id, keep, event.messages[keep:], answer))
        batch.insert(event)
    batch.flush()


def _meaning() -> Meaning:
    return cast("Meaning", import_module(MEANING))


INGESTERS |= {"Q": _request, "R": _response}
ENDINGS.append(settle)
