"""Ingestion: what a segment of a journal says goes into the tables exactly once, whoever does it and however often.

The offset that was reached advances in the transaction that inserts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from peaky_peek.errors import StoreLocked
from peaky_peek.store import journal
from peaky_peek.store.batch import Batch

if TYPE_CHECKING:
    from peaky_peek.store.connection import Connection
    from peaky_peek.store.database import Database

_BATCH_BYTES = 8 << 20


def ingest_segment(db: Database, path: Path, deadline: float, stopped: Callable[[], bool]) -> int:
    """Move what is pending in one segment into the tables, and return how many records there were.

    Args:
        db: the store.
        path: the segment; deleted if its process is gone and all of it is in the store.
        deadline: until when to wait for the write lock, in monotonic seconds.
        stopped: asked between records.

    Raises:
        PeekError: as for `Database.ingest`.
    """
    dead = journal.claim(path)
    count = 0
    try:
        if journal.version_of(path) > journal.VERSION:  # left for newer code; `health` says so
            return 0
        if path.stat().st_size > max(_offset(db.connection(), path.name), journal.START):
            count = sum(_batches(db, path, deadline, stopped, is_complete=dead is not None))
        if dead is not None and not stopped():
            with suppress(StoreLocked):  # all of it is in the store, and the next one who ingests cleans up
                _bury(db, path, min(deadline, time.monotonic() + 0.5))
    except OSError:  # another process took it in and deleted it meanwhile; or it cannot be read: `health` says so
        pass
    finally:
        if dead is not None:
            os.close(dead)
    return count


def _batches(
    db: Database, path: Path, deadline: float, stopped: Callable[[], bool], *, is_complete: bool
) -> Iterator[int]:
    """Ingest a segment in transactions of bounded size; yields how many records each took."""
    more = True
    while more and not stopped():
        with db.write(deadline) as connection:
            start = end = _offset(connection, path.name)
            batch = Batch(connection, path.name, start)
            more = False
            for body, end in journal.read(path, start, is_complete=is_complete):
                batch.add(body, end)
                if end - start > _BATCH_BYTES or stopped():
                    more = True
                    break
            batch.flush()
            if end > start:
                connection.execute(
                    "INSERT INTO journals (name, offset) VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET offset = excluded.offset",
                    (path.name, end),
                )
        yield batch.count


def _bury(db: Database, path: Path, deadline: float) -> None:
    """Delete the segment of a process that is gone, and end what it left open.

    Whoever is killed in the middle of it leaves the rest to the next one: sessions end before the segment goes,
    and the segment goes before the offset that says all of it is in the store.
    """
    busy, log, written = db.connection().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if busy or log != written:  # a reader needs the log as it was: the next one who ingests finds it in the file
        return
    is_over = False
    while not is_over:
        with db.write(deadline) as connection:  # one at a time: the last to bury a segment of a process sees it
            rest = {journal.owner_of(one.name) for one in db.segments() if one.name != path.name}
            running = "SELECT session_id, owner FROM sessions WHERE status = 'running' AND owner IS NOT NULL"
            left = [session for session, owner in connection.execute(running).fetchall() if owner not in rest]
            for session in left:
                Batch(connection, path.name).end_session(session)
                connection.execute("UPDATE sessions SET status = 'interrupted' WHERE session_id = ?", (session,))
            if not left:
                journal.sweep(path.parent)
                path.unlink(missing_ok=True)
                connection.execute("DELETE FROM journals WHERE name = ?", (path.name,))
                is_over = True


def _offset(connection: Connection, name: str) -> int:
    row = connection.execute("SELECT offset FROM journals WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0
