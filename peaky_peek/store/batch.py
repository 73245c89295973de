"""One transaction's worth of journal records on their way into the tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import orjson

from peaky_peek import encoding, ids
from peaky_peek.events import Event
from peaky_peek.store import journal, records, schema

_INSERT = f"INSERT INTO events ({', '.join(schema.EVENT_COLUMNS)}) VALUES ({', '.join('?' * 20)})"  # noqa: S608

_COUNT = """
UPDATE sessions SET events = events + ?1, llm_calls = llm_calls + ?2, tool_calls = tool_calls + ?3,
    errors = errors + ?4, suspects = suspects + ?5, unpriced = unpriced + ?6,
    input_tokens = CASE WHEN ?7 IS NULL THEN input_tokens ELSE coalesce(input_tokens, 0) + ?7 END,
    output_tokens = CASE WHEN ?8 IS NULL THEN output_tokens ELSE coalesce(output_tokens, 0) + ?8 END,
    cost_usd = CASE WHEN ?9 IS NULL THEN cost_usd ELSE coalesce(cost_usd, 0) + ?9 END
WHERE session_id = ?10
"""


_MOST = 1 << 48
"""No call has as many tokens; a sum of a transaction's worth of smaller counts still fits a column."""


class Batch:
    """Takes records in and counts events into their sessions.

    Must be used inside a write transaction of `connection`.
    """

    def __init__(self, connection: sqlite3.Connection, segment: str) -> None:
        self.connection = connection
        self.segment = segment
        self.count = 0
        self.damaged = 0
        self._rows: list[tuple[Any, ...]] = []

    def add(self, body: bytes | None, offset: int) -> None:
        """Take in one record; None is a damaged stretch. What cannot be read is kept in `unreadable`, as it is."""
        if body is None:
            self.damaged += 1
            return
        self.count += 1
        try:
            header, payload = records.split(body)
            if header[0] == "E":
                self._rows.append((*header[1:], payload.decode()))
            else:
                self.flush()
                INGESTERS[header[0]](self, header[1:], payload)
        except sqlite3.OperationalError:  # the store's trouble, not the record's
            raise
        except Exception as error:  # noqa: BLE001 - one bad record must not hold up all others
            self._keep_unread(offset, error, body)

    def _keep_unread(self, offset: int, error: Exception, body: bytes) -> None:
        row = (self.segment, offset, repr(error), body)
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
        self.connection.execute("SAVEPOINT rows")
        try:
            self.connection.executemany(_INSERT, rows)
        except (sqlite3.Error, OverflowError):  # a value that no column takes, or an id that the caller gave twice
            self.connection.execute("ROLLBACK TO rows")
            rows = [self._insert(row) for row in rows]
        self.connection.execute("RELEASE rows")
        self._count(rows)

    def _insert(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        row = tuple(_scalar(value) for value in row)
        try:
            self.connection.execute(_INSERT, row)
        except sqlite3.IntegrityError:
            payload = orjson.loads(row[-1])
            payload["metadata"] = (payload.get("metadata") or {}) | {"same_id_as": row[0]}
            row = (ids.id_at(row[2]), *row[1:-1], orjson.dumps(payload).decode())
            self.connection.execute(_INSERT, row)
        return row

    def _count(self, rows: list[tuple[Any, ...]]) -> None:
        totals: dict[str, list[Any]] = {}
        agents: dict[str, set[str]] = {}
        for row in rows:
            session, kind, agent = row[1], row[4], row[6]
            total = totals.get(session)
            if total is None:
                total = totals[session] = [0, 0, 0, 0, 0, 0, None, None, None, row[2]]
            total[0] += 1
            total[1] += kind == "llm_request"
            total[2] += kind == "tool_call"
            total[3] += bool(row[11])
            total[4] += row[12] is not None
            if kind == "llm_response":
                total[5] += row[17] is None and row[10] != "error"
                for at, value in ((6, row[15]), (7, row[16]), (8, row[17])):
                    if isinstance(value, (int, float)) and abs(value) < _MOST:
                        total[at] = value if total[at] is None else total[at] + value
            if isinstance(agent, str):
                agents.setdefault(session, set()).add(agent)
        for session, total in totals.items():
            if not self.connection.execute(_COUNT, (*total[:9], session)).rowcount:
                self.stub(session, total[9])
                self.connection.execute(_COUNT, (*total[:9], session))
        for session, names in agents.items():
            self._add_agents(session, names)

    def _add_agents(self, session: str, names: set[str]) -> None:
        (known,) = self.connection.execute("SELECT agents FROM sessions WHERE session_id = ?", (session,)).fetchone()
        listed = orjson.loads(known)
        new = sorted(names.difference(listed))
        if new:
            merged = orjson.dumps([*listed, *new]).decode()
            self.connection.execute("UPDATE sessions SET agents = ? WHERE session_id = ?", (merged, session))

    def end_session(self, session: str) -> None:
        """Let everyone in `ENDINGS` settle what was still open in a session that ends."""
        for settle in ENDINGS:
            try:
                settle(self, session)
            except sqlite3.OperationalError:
                raise
            except Exception as error:  # noqa: BLE001 - the session has ended all the same
                self._keep_unread(0, error, session.encode())
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
        return str(encoding.decode(orjson.dumps(value))).encode("utf-8", "backslashreplace").decode()
    return _scalar(value)


Ingester = Callable[[Batch, list[Any], bytes], None]
INGESTERS: dict[str, Ingester] = {"S": _session}
"""Kind of record to what takes it in; `store.exchanges` enters the kinds that model calls are written as."""
ENDINGS: list[Callable[[Batch, str], None]] = []
"""What is called with the batch and a session's id when the session ends or turns out to be interrupted."""
