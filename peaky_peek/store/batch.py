"""One transaction's worth of journal records on their way into the tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from itertools import chain
from typing import Any

import orjson

from peaky_peek import encoding, ids
from peaky_peek.errors import PeekError
from peaky_peek.events import Event
from peaky_peek.store import journal, records, schema
from peaky_peek.store.connection import Connection

_INTO = f"INSERT INTO events ({', '.join(schema.EVENT_COLUMNS)}) VALUES "  # noqa: S608 - names of our own columns
_ROW = f"({', '.join('?' * len(schema.EVENT_COLUMNS))})"
_INSERT = _INTO + _ROW
_AT_ONCE = 64
_INSERT_MANY = _INTO + ", ".join([_ROW] * _AT_ONCE)
"""SQLite takes Python's lock back after each statement: with many rows in one, the agent is seldom held up."""
_SAME = "SELECT 1 FROM events WHERE (event_id, session_id, position, parent_id, event_type) IS (?, ?, ?, ?, ?)"
_MOST = 1 << 48
"""No call has as many tokens; a sum of a transaction's worth of smaller counts still fits a column."""

_SUM = "sum(CASE WHEN typeof({0}) IN ('integer', 'real') AND abs({0}) < {1} THEN {0} END)"
_COUNTS = {
    "events": "count(*)",
    "llm_calls": "sum(event_type = 'llm_request')",
    "tool_calls": "sum(event_type = 'tool_call')",
    "errors": "sum(failed <> 0)",
    "suspects": "sum(suspect IS NOT NULL)",
    "unpriced": "sum(event_type = 'llm_response' AND cost_usd IS NULL AND status IS NOT 'error')",
}
_SUMS = {name: _SUM.format(name, _MOST) for name in ("input_tokens", "output_tokens", "cost_usd")}
_NEW = f"""
SELECT session_id, min(position), json_group_array(DISTINCT agent), {", ".join((_COUNTS | _SUMS).values())}
FROM events WHERE rowid > ? GROUP BY session_id
"""  # noqa: S608
_SETS = [f"{name} = {name} + :{name}" for name in _COUNTS] + [
    f"{name} = CASE WHEN :{name} IS NULL THEN {name} ELSE coalesce({name}, 0) + :{name} END" for name in _SUMS
]
_ADD = f"UPDATE sessions SET {', '.join(_SETS)} WHERE session_id = :session_id"  # noqa: S608


class Batch:
    """Takes records in and counts events into their sessions.

    Must be used inside a write transaction of `connection`.
    """

    def __init__(self, connection: Connection, segment: str, offset: int = 0) -> None:
        self.connection = connection
        self.segment = segment
        self.count = 0
        self._offset = offset
        self._rows: list[tuple[Any, ...]] = []

    def add(self, body: bytes, end: int) -> None:
        """Take in one record, which ends at `end`. What cannot be read is kept in `unreadable`, as it is."""
        self._offset, start = end, self._offset
        if type(body) is journal.Damaged:
            self._keep_unread(start, "damaged in the journal", body)
            return
        self.count += 1
        try:
            header, payload = records.split(body)
            if header[0] == "E":
                self._rows.append((*header[1:], payload.decode()))
            else:
                self.flush()
                INGESTERS[header[0]](self, header[1:], payload)
        except (PeekError, sqlite3.OperationalError):  # the store's trouble, not the record's
            raise
        except Exception as error:  # noqa: BLE001 - one bad record must not hold up all others
            self._keep_unread(start, repr(error), body)

    def _keep_unread(self, offset: int | None, reason: str, body: bytes) -> None:
        row = (self.segment, offset, reason, bytes(body))
        self.connection.execute("INSERT OR REPLACE INTO unreadable VALUES (?, ?, ?, ?)", row)

    def insert(self, event: Event) -> None:
        """Take in an event that was made from other records."""
        header, payload = records.split(records.encode_event(event))
        self._rows.append((*header[1:], payload.decode()))

    def flush(self) -> None:
        """Insert the events collected so far, so that what follows can see them."""
        rows, self._rows = self._rows, []
        if not rows:
            return
        (before,) = self.connection.execute("SELECT coalesce(max(rowid), 0) FROM events").fetchone()
        self.connection.execute("SAVEPOINT rows")
        try:
            whole = len(rows) - len(rows) % _AT_ONCE
            for at in range(0, whole, _AT_ONCE):
                self.connection.execute(_INSERT_MANY, [*chain.from_iterable(rows[at : at + _AT_ONCE])])
            self.connection.executemany(_INSERT, rows[whole:])
        except (sqlite3.Error, OverflowError):  # a value that no column takes, or an id that the caller gave twice
            self.connection.execute("ROLLBACK TO rows")
            for row in rows:
                self._insert_or_keep(row)
        self.connection.execute("RELEASE rows")
        self._count(before)

    def _insert(self, row: tuple[Any, ...]) -> None:
        """Insert one event, unless it is here already: two processes may find the same alert in the same place."""
        row = tuple(_scalar(value) for value in row)
        try:
            self.connection.execute(_INSERT, row)
        except sqlite3.IntegrityError:
            if self.connection.execute(_SAME, row[:5]).fetchone():
                return
            payload = orjson.loads(row[-1])
            payload["metadata"] = (payload.get("metadata") or {}) | {"same_id_as": row[0]}
            row = (ids.id_at(row[2]), *row[1:-1], orjson.dumps(payload).decode())
            self.connection.execute(_INSERT, row)

    def _insert_or_keep(self, row: tuple[Any, ...]) -> None:
        try:
            self._insert(row)
        except (PeekError, sqlite3.OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - one bad record must not hold up all others
            self._keep_unread(None, repr(error), orjson.dumps(["E", *row[:-1]]) + b"\n" + str(row[-1]).encode())

    def _count(self, before: int) -> None:
        """Add the events behind a rowid to what their sessions count, in SQL: the agent's thread runs meanwhile."""
        for session, position, agents, *counts in self.connection.execute(_NEW, (before,)).fetchall():
            more = dict(zip((*_COUNTS, *_SUMS), counts, strict=True)) | {"session_id": session}
            if not self.connection.execute(_ADD, more).rowcount:
                self.stub(session, position)
                self.connection.execute(_ADD, more)
            self._add_agents(session, {name for name in orjson.loads(agents) if isinstance(name, str)})

    def _add_agents(self, session: str, names: set[str]) -> None:
        (known,) = self.connection.execute("SELECT agents FROM sessions WHERE session_id = ?", (session,)).fetchone()
        listed = orjson.loads(known)
        if new := sorted(names.difference(listed)):
            merged = orjson.dumps([*listed, *new]).decode()
            self.connection.execute("UPDATE sessions SET agents = ? WHERE session_id = ?", (merged, session))

    def end_session(self, session: str) -> None:
        """Let everyone in `ENDINGS` settle what was still open in a session that ends."""
        for settle in ENDINGS:
            try:
                settle(self, session)
            except (PeekError, sqlite3.OperationalError):
                raise
            except Exception as error:  # noqa: BLE001 - the session has ended all the same
                self._keep_unread(0, repr(error), session.encode())
        self.flush()

    def stub(self, session: str, position: int) -> None:
        """Make a row for a session known only by its events so far: its own record comes from another process."""
        self.connection.execute(
            "INSERT OR IGNORE INTO sessions (session_id, position, name, status, owner) VALUES (?, ?, ?, 'running', ?)",
            (session, position, session, journal.owner_of(self.segment)),
        )


def _scalar(value: Any) -> Any:
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 63 else str(value)
    return value if value is None or isinstance(value, (str, float)) else orjson.dumps(value).decode()


def _session(batch: Batch, header: list[Any], payload: bytes) -> None:
    """Take in what a session record says: the first makes the session, later ones change it."""
    session_id, position = header
    batch.stub(session_id, position)
    fields = {name: value for name, value in orjson.loads(payload).items() if name in schema.SESSION_FIELDS}
    if fields.get("status") == "running":
        fields.setdefault("ended_at", None)  # a session that is resumed goes on from where it began
    elif fields.get("status") is not None:
        batch.end_session(session_id)
    if fields:
        values = [_field(name, value) for name, value in fields.items()]
        names = ", ".join(_FIRST_COUNTS if name == "started_at" else f"{name} = ?" for name in fields)
        update = f"UPDATE sessions SET {names} WHERE session_id = ?"  # noqa: S608 - names of our own columns
        batch.connection.execute(update, (*values, session_id))


_FIRST_COUNTS = "started_at = coalesce(started_at, ?)"


def _field(name: str, value: Any) -> Any:
    if name in ("input", "output", "tags") and value is not None:
        return orjson.dumps(value).decode()
    if isinstance(value, dict):  # text that is no text
        return encoding.as_text(encoding.decode(orjson.dumps(value)))
    return _scalar(value)


Ingester = Callable[[Batch, list[Any], bytes], None]
INGESTERS: dict[str, Ingester] = {"S": _session, journal.VOID: lambda *_: None}
"""Kind of record to what takes it in; `store.exchanges` enters the kinds that model calls are written as."""
ENDINGS: list[Callable[[Batch, str], None]] = []
"""What is called with the batch and a session's id when the session ends or turns out to be interrupted."""
