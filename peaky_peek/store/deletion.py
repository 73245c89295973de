"""Taking sessions out of the store so that no byte of them is left in it or beside it.

What SQLite deletes stays readable in free pages, in the log and in the journals that processes keep while they live.
So the journals' records are overwritten in place, the file is built anew, and the log is emptied.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import orjson

from peaky_peek.errors import SessionOpen, StoreLocked, StoreReadOnly
from peaky_peek.store import journal
from peaky_peek.store.connection import ELSEWHERE, many

if TYPE_CHECKING:
    from peaky_peek.store.connection import Connection
    from peaky_peek.store.database import Database

_WAIT = 30.0
_NESTED = """WITH RECURSIVE wanted(id) AS (SELECT value FROM json_each(?) UNION
    SELECT s.session_id FROM sessions s JOIN wanted ON s.parent_session_id = wanted.id)
    SELECT session_id, name, status, owner FROM sessions JOIN wanted ON session_id = id"""
_THESE = "IN (SELECT value FROM json_each(?))"
_WITH_SESSION = """SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
    WHERE m.type = 'table' AND c.name = 'session_id'"""
# New events must not get the numbers of deleted ones: who follows the store asks for what came after a number.
_KEEP_NUMBERS = "UPDATE events SET rowid = :last WHERE rowid = (SELECT max(rowid) FROM events) AND rowid < :last"


def delete(db: Database, session_ids: list[str]) -> list[str]:
    """Delete sessions and those nested in them, and return the ids of all of them.

    Raises:
        SessionOpen: if one of them is being recorded by a living process. Then none is deleted.
        StoreLocked: if another process keeps the store locked, or reads it for so long that its log cannot be emptied.
        StoreReadOnly: if the store cannot be written.
    """
    db.connection()
    if db.read_only:
        raise StoreReadOnly(f"{db.path} can only be read: nothing was deleted. Make it writable, or {ELSEWHERE}")
    deadline = time.monotonic() + _WAIT
    with db.write(deadline) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        deleted = _check(connection, session_ids, _living(db))
        if not deleted:
            return []
        marks = _marks(connection, deleted)
        for folder in db.journal_folders:
            for path in journal.segments(folder):
                journal.erase(path, lambda body: _concerns(body, marks))
        _delete_rows(connection, deleted, marks)
    _leave_nothing_behind(db, deadline)
    return deleted


def _living(db: Database) -> set[str]:
    """Return the owners of segments that are not certainly dead."""
    living = set()
    for folder in db.journal_folders:
        for path in journal.segments(folder):
            handle = journal.claim(path)
            if handle is None:
                living.add(journal.owner_of(path.name))
            else:
                os.close(handle)
    return living


def _check(connection: Connection, session_ids: list[str], living: set[str]) -> list[str]:
    """Return the ids with those of nested sessions, none of which is open."""
    found = connection.execute(_NESTED, (many(session_ids),)).fetchall()
    for session_id, name, status, owner in found:
        if status == "running" and owner in living:
            raise SessionOpen(f"The session {name or session_id!r} is still being recorded: end it, then delete it.")
    return [session_id for session_id, *_ in found]


def _marks(connection: Connection, session_ids: list[str]) -> set[str]:
    """Return by which ids records belong to the sessions."""
    sql = f"SELECT exchange_id FROM exchanges WHERE session_id {_THESE}"  # noqa: S608
    exchanges = connection.execute(sql, (many(session_ids),)).fetchall()
    return {*session_ids, *(exchange_id for (exchange_id,) in exchanges)}


def _concerns(body: bytes, marks: set[str]) -> bool:
    """Tell whether a record belongs to the sessions. One too many does no harm: it is in the tables already."""
    if type(body) is not journal.Damaged:
        try:
            header = orjson.loads(body.partition(b"\n")[0])
            return any(isinstance(part, str) and part in marks for part in header[1:])
        except (ValueError, TypeError):
            pass
    return any(orjson.dumps(mark) in body for mark in marks)


def _delete_rows(connection: Connection, session_ids: list[str], marks: set[str]) -> None:
    these = (many(session_ids),)
    (last,) = connection.execute("SELECT max(rowid) FROM events").fetchone()
    for (table,) in connection.execute(_WITH_SESSION).fetchall():
        connection.execute(f"DELETE FROM {table} WHERE session_id {_THESE}", these)  # noqa: S608 - a table of ours
    connection.execute(f"UPDATE sessions SET forked_from = NULL WHERE forked_from {_THESE}", these)  # noqa: S608
    connection.execute(_KEEP_NUMBERS, {"last": last})
    unread = connection.execute("SELECT rowid, body FROM unreadable").fetchall()
    bodies = [(row,) for row, body in unread if body is not None and _concerns(journal.Damaged(body), marks)]
    connection.executemany("DELETE FROM unreadable WHERE rowid = ?", bodies)


def _leave_nothing_behind(db: Database, deadline: float) -> None:
    """Build the file anew and empty its log; both wait for other processes."""
    connection = db.connection()
    while True:
        try:
            connection.execute("VACUUM")
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
        except StoreLocked:
            pass
        if time.monotonic() >= deadline:
            raise StoreLocked(
                f"The sessions are deleted, but another process is reading {db.path}, and the log beside it may hold"
                " some of their bytes until it is done: delete another session then, or run VACUUM."
            )
        time.sleep(0.05)
