"""Exchanges: requests to model providers and their responses, as bytes.

Of a request that resends a conversation only the new part is stored: its body is
`base[:prefix] + part + base[len(base) - suffix:]`, the base being the body of the exchange `base_id`. Bodies are zlib
streams. What they say stands in the payload of their `llm_request` or `llm_response` too, so that payload is the preset
dictionary of the stream: it halves what a model call takes on disk.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import orjson

from peaky_peek import encoding

_STORED = (
    "exchange_id", "event_id", "session_id", "position", "attempt", "method", "url", "request_headers", "started_at",
    "status", "response_headers", "response", "chunk_sizes", "chunk_times_us", "duration_ms", "first_byte_ms",
    "complete", "error", "pending", "played_from",
)  # fmt: skip
JSON_COLUMNS = ("request_headers", "response_headers", "chunk_sizes", "chunk_times_us")
_RECENT = 16
_DICTIONARY = 32_000  # bytes; zlib looks no further back


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request and its response, with whole bodies.

    Attributes:
        event_id: The `llm_request` that it belongs to; `attempt` counts its exchanges from 1.
        position: The first of the positions reserved for what the request means.
        started_at: Microseconds since the epoch, UTC.
        status: The HTTP status; None when no response came.
        response: The body with its content encoding undone.
        chunk_sizes: Bytes of `response` that came at a time.
        chunk_times_us: Microseconds from each chunk to the next; the first from the sending of the request.
        complete: Whether the answer came whole.
        error: The exception that ended it in the application: type and message.
        played_from: The exchange that it was played from, by a tape.
        pending: The first of the positions reserved for what its outcome means, while that is not known.
    """

    exchange_id: str
    event_id: str
    session_id: str
    position: int
    attempt: int
    method: str
    url: str
    request_headers: list[tuple[str, str]]
    request: bytes
    started_at: int
    status: int | None = None
    response_headers: list[tuple[str, str]] = field(default_factory=list)
    response: bytes = b""
    chunk_sizes: list[int] = field(default_factory=list)
    chunk_times_us: list[int] = field(default_factory=list)
    duration_ms: float | None = None
    first_byte_ms: float | None = None
    complete: bool | None = None
    error: str | None = None
    pending: int | None = None
    played_from: str | None = None


def load(connection: sqlite3.Connection, exchange_id: str) -> Exchange | None:
    """Return an exchange, or None when the store has none with this id."""
    sql = f"SELECT {', '.join(_STORED)} FROM exchanges WHERE exchange_id = ?"  # noqa: S608
    row = connection.execute(sql, (exchange_id,)).fetchone()
    if row is None:
        return None
    values = {name: value for name, value in zip(_STORED, row, strict=True) if value is not None}
    values |= {name: orjson.loads(values[name]) for name in JSON_COLUMNS if name in values}
    if "response" in values:
        values["response"] = _unpacked(connection, values["response"], values["event_id"], "llm_response")
    return Exchange(**values, request=request_body(connection, exchange_id))


def request_body(connection: sqlite3.Connection, exchange_id: str) -> bytes:
    """Return the whole body of a request.

    Raises:
        ValueError: if an earlier body that it is built on is lost.
    """
    parts = []
    name = exchange_id
    while (body := b"" if name is None else _recent.get(name)) is None:
        sql = "SELECT base_id, prefix, suffix, request, event_id FROM exchanges WHERE exchange_id = ?"
        row = connection.execute(sql, (name,)).fetchone()
        if row is None:
            raise ValueError(f"the exchange {name} that this one is built on is lost")
        name, prefix, suffix, part, event_id = row
        parts.append((prefix, suffix, _unpacked(connection, part, event_id, "llm_request")))
    for prefix, suffix, part in reversed(parts):
        body = put_together(body, prefix, suffix, part)
    keep_at_hand(exchange_id, body)
    return body


def put_together(base: bytes, prefix: int, suffix: int, part: bytes) -> bytes:
    """Return the body of which `part` is what is new beside the body that it is built on."""
    return base[:prefix] + part + base[len(base) - suffix :]


def packed(connection: sqlite3.Connection, data: bytes, event_id: str, event_type: str) -> bytes:
    """Return a body as it is stored, with the payload of its event as the dictionary if the event is there."""
    like = _payload(connection, event_id, event_type)
    packer = zlib.compressobj(9, zdict=like) if like else zlib.compressobj(9)
    return packer.compress(data) + packer.flush()


def _unpacked(connection: sqlite3.Connection, data: bytes, event_id: str, event_type: str) -> bytes:
    needs_dictionary = len(data) > 1 and data[1] & 0x20
    like = _payload(connection, event_id, event_type) if needs_dictionary else b""
    unpacker = zlib.decompressobj(zdict=like) if like else zlib.decompressobj()
    return unpacker.decompress(data) + unpacker.flush()


def _payload(connection: sqlite3.Connection, event_id: str, event_type: str) -> bytes:
    """Return the payload of a request, or of its response; events never change."""
    sql = _RESPONSE_TO if event_type == "llm_response" else "SELECT payload FROM events WHERE event_id = ?"
    row = connection.execute(sql, (event_id,)).fetchone()
    return row[0].encode()[-_DICTIONARY:] if row else b""


_RESPONSE_TO = """SELECT response.payload FROM events request JOIN events response
    ON response.session_id = request.session_id AND response.position > request.position
    AND response.parent_id = request.event_id AND response.event_type = 'llm_response'
    WHERE request.event_id = ? ORDER BY response.position LIMIT 1"""


def answer_to(connection: sqlite3.Connection, event_id: str) -> Any:
    """Return the content of the response to a request, or None when there is none."""
    row = connection.execute(_RESPONSE_TO, (event_id,)).fetchone()
    return encoding.decode(row[0]).get("content") if row else None


def keep_at_hand(exchange_id: str, body: bytes) -> None:
    """Remember a body that the next request of its conversation is likely to be built on."""
    _recent[exchange_id] = body
    while len(_recent) > _RECENT:
        _recent.popitem(last=False)


_recent: OrderedDict[str, bytes] = OrderedDict()
