"""The SQLite store: connections, one a thread, and ingestion, which moves journal records into it exactly once."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from peaky_peek.errors import StoreLocked, StoreReadOnly, StoreUnreadable
from peaky_peek.store import journal, schema
from peaky_peek.store.batch import Batch

_BATCH_BYTES = 8 << 20
_ELSEWHERE = "choose another path with pp.init(db=...)."
_inherited: list[object] = []
"""Connections that a forked child got from its parent: not used, not closed (which would drop the parent's log)."""


class Database:
    """One store file and the journals beside it.

    Args:
        path: the SQLite file; it and its folder are made when first needed, for the user's eyes only.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser().absolute()
        self._local = threading.local()
        self._ingesting = threading.Lock()
        self.read_only = False
        """Whether the file can only be looked at; known after the first connection."""

    def __repr__(self) -> str:
        return f"Database({str(self.path)!r})"

    @property
    def journal_folders(self) -> list[Path]:
        """Where processes journal: beside the store, or if that cannot be written, in a folder for temporary files."""
        name = f"peaky_peek-{os.getuid()}-{zlib.crc32(os.fsencode(self.path)):08x}.journals"
        spare = Path(os.environ.get("TMPDIR", "/tmp")) / name  # noqa: S108 - used only if it is the user's alone
        return [Path(f"{self.path}.journals"), *([spare] if _is_ours(spare) else [])]

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection, in autocommit; it is closed when the thread ends.

        Raises:
            StoreUnreadable: if the file is no store of ours.
            StoreReadOnly: if it cannot be made or written.
            StoreLocked: if another process keeps it locked while it is being set up.
        """
        holder: _Holder | None = getattr(self._local, "holder", None)
        if holder is None or holder.file != _file(self.path):  # deleted, or another one in its place
            connection = self._connect()
            holder = self._local.holder = _Holder(connection, _file(self.path))
        return holder.connection

    def close(self) -> None:
        """Close this thread's connection."""
        holder: _Holder | None = self._local.__dict__.pop("holder", None)
        if holder is not None:
            _close(holder.connection, holder.process)  # at the end of the process no finalizer would

    def after_fork(self) -> None:
        """Start anew in a forked child, without touching what the parent opened."""
        _inherited.append(self._local.__dict__.copy())
        _inherited.append(self._local)
        self._local = threading.local()
        self._ingesting = threading.Lock()

    def _connect(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.exists():  # not opened to find out: to close it would drop the locks of our other connections
                self.read_only = not os.access(self.path, os.W_OK)
            else:
                with suppress(FileExistsError):  # somebody was faster
                    os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except OSError as error:
            if not os.access(self.path, os.R_OK):
                raise StoreReadOnly(f"{self.path} cannot be written ({error.strerror}): {_ELSEWHERE}") from None
            self.read_only = True
        mode = "ro&immutable=1" if self.read_only else "rw"
        uri = f"{self.path.as_uri()}?mode={mode}"
        connection = None
        try:
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5)
            self._prepare(connection)
        except (sqlite3.DatabaseError, StoreUnreadable) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, StoreUnreadable):
                raise
            if is_locked(error):
                raise StoreLocked(locked_message(self.path)) from None
            if isinstance(error, sqlite3.OperationalError):
                raise StoreReadOnly(f"{self.path} cannot be used ({error}): {_ELSEWHERE}") from None
            raise StoreUnreadable(
                f"{self.path} is not a Peaky Peek store ({error}): move it away, or {_ELSEWHERE}"
            ) from None
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        schema.check(connection, self.path)  # before the first pragma that would change a foreign file
        if self.read_only:
            return
        connection.execute("PRAGMA page_size = 8192")  # of a new file: records of a KB or two leave less room unused
        connection.execute("PRAGMA journal_mode = WAL")
        schema.migrate(connection, self.path)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 16000")

    def ingest(self, wait: float = 30.0, owner: str | None = None, stopped: Callable[[], bool] = lambda: False) -> int:
        """Move every pending journal record into the tables and return how many there were.

        Exactly once, whoever does it and however often: the offset advances in the transaction that inserts.

        Args:
            wait: seconds to wait for the write lock of another process.
            owner: only the segments of this process.
            stopped: asked between transactions; the rest is left for the next one who ingests.

        Raises:
            StoreLocked: if the lock does not come free; what is pending stays in the journal.
            StoreUnreadable: if the file is no store, or damaged.
        """
        pending = [path for folder in self.journal_folders for path in journal.segments(folder)]
        if owner is not None:
            pending = [path for path in pending if journal.owner_of(path.name) == owner]
        if not pending:
            return 0
        deadline = time.monotonic() + wait
        if not self._ingesting.acquire(timeout=max(0.0, wait)):  # by a thread that waits longer for the same lock
            raise StoreLocked(locked_message(self.path))
        try:
            self.connection()
            return 0 if self.read_only else sum(self._ingest_segment(path, deadline, stopped) for path in pending)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise StoreUnreadable(
                f"{self.path} is damaged ({error}): move it away, or {_ELSEWHERE} What is new is safe in the journal."
            ) from None
        finally:
            self._ingesting.release()

    def _ingest_segment(self, path: Path, deadline: float, stopped: Callable[[], bool]) -> int:
        dead = journal.claim(path)
        count = 0
        try:
            if not journal.readable(path):
                return 0
            if path.stat().st_size > max(_offset(self.connection(), path.name), journal.START):
                count = sum(self._batches(path, deadline, stopped))
            if dead is not None and not stopped():
                self._bury(path, min(deadline, time.monotonic() + 0.5))
        except FileNotFoundError:  # another process ingested and deleted it meanwhile
            pass
        except StoreLocked:
            if time.monotonic() >= deadline:
                raise
            # all of it is in the store, and the next one who ingests cleans up
        finally:
            if dead is not None:
                os.close(dead)
        return count

    def _batches(self, path: Path, deadline: float, stopped: Callable[[], bool]) -> Iterator[int]:
        """Ingest a segment in transactions of bounded size; yields how many records each took."""
        more = True
        while more and not stopped():
            with self.write(deadline) as connection:
                start = end = _offset(connection, path.name)
                batch = Batch(connection, path.name)
                more = False
                for body, end in journal.read(path, start):
                    batch.add(body, end)
                    if end - start > _BATCH_BYTES:
                        more = True
                        break
                batch.flush()
                if end > start:
                    connection.execute(
                        "INSERT INTO journals (name, offset, damaged) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
                        " SET offset = excluded.offset, damaged = damaged + excluded.damaged",
                        (path.name, end, batch.damaged),
                    )
            yield batch.count

    def _bury(self, path: Path, deadline: float) -> None:
        """Delete the segment of a process that is gone, once all of it is safe in the store; end what it left open."""
        self.connection().execute("PRAGMA wal_checkpoint(PASSIVE)")  # on disk before the only other copy goes
        with self.write(deadline) as connection:  # one at a time: the last one to bury a segment of a process sees it
            path.unlink(missing_ok=True)
            connection.execute("DELETE FROM journals WHERE name = ?", (path.name,))
            here = {journal.owner_of(name.name) for folder in self.journal_folders for name in journal.segments(folder)}
            running = "SELECT session_id, owner FROM sessions WHERE status = 'running' AND owner IS NOT NULL"
            for session, owner in connection.execute(running).fetchall():
                if owner not in here:
                    Batch(connection, path.name).end_session(session)
                    connection.execute("UPDATE sessions SET status = 'interrupted' WHERE session_id = ?", (session,))

    @contextmanager
    def write(self, deadline: float | None = None) -> Iterator[sqlite3.Connection]:
        """Hold the write lock for one transaction; an exception rolls it back.

        Raises:
            StoreLocked: if another process holds the lock until `deadline` (monotonic seconds; 30 s from now if None).
        """
        connection = self.connection()
        deadline = time.monotonic() + 30 if deadline is None else deadline
        _begin(connection, self.path, deadline)
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


class _Holder:
    """Closes a connection when the thread that used it ends."""

    def __init__(self, connection: sqlite3.Connection, file: tuple[int, int] | None) -> None:
        self.connection = connection
        self.file = file
        self.process = os.getpid()
        # No `__del__`: the garbage collector might finalise the connection first, which then complains that it is open.
        # Nor at exit: the writer's thread may be in the middle of a statement, and closing would crash the process.
        weakref.finalize(self, _close, connection, self.process).atexit = False


def _close(connection: sqlite3.Connection, process: int) -> None:
    if os.getpid() == process:
        connection.close()
    else:  # Python drops what the parent's other threads had before `after_fork` can keep it
        _inherited.append(connection)


def _file(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_ours(folder: Path) -> bool:
    """Tell whether nobody else made the folder: names in a shared one can be guessed."""
    try:
        found = folder.lstat()
    except OSError:
        return True
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _begin(connection: sqlite3.Connection, path: Path, deadline: float) -> None:
    while not connection.in_transaction:
        left = max(0.0, deadline - time.monotonic())
        connection.execute(f"PRAGMA busy_timeout = {int(min(left, 5) * 1000)}")
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_locked(error):
                raise StoreReadOnly(f"{path} cannot be written ({error}): make room, or {_ELSEWHERE}") from None
            if time.monotonic() >= deadline:
                raise StoreLocked(locked_message(path)) from None


def _offset(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT offset FROM journals WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0


def is_locked(error: sqlite3.Error) -> bool:
    """Tell whether SQLite gave up waiting for another connection."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def locked_message(path: Path) -> str:
    """Return the sentence for a store that another process keeps locked."""
    return f"{path} is locked by another process: try again when it is done. What was recorded is safe in the journal."
