"""Connections to the SQLite file: opened as its file system allows, and what goes wrong with it said in a sentence."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import orjson

from peaky_peek.errors import PeekError, StoreLocked, StoreReadOnly, StoreUnreadable
from peaky_peek.store.filesystem import Mode
from peaky_peek.store.lockfile import LockFile

T = TypeVar("T")

ELSEWHERE = "choose another path with pp.init(db=...)."
_SAFE = "What was recorded is safe in the journal."
_PATIENCE = 5.0
"""Seconds that a statement waits for another connection, unless told otherwise."""


def told(error: sqlite3.DatabaseError, path: Path) -> Exception:
    """Return the sentence for what SQLite says about the store itself; other errors as they are."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    what, *_ = str(error).splitlines() or ["?"]
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return locked(path)
    if code == sqlite3.SQLITE_NOTADB:
        return StoreUnreadable(f"{path} is not a Peaky Peek store ({what}): move it away, or {ELSEWHERE}")
    if code == sqlite3.SQLITE_CORRUPT or _LOST.search(what):
        return StoreUnreadable(f"{path} is damaged ({what}): move it away, or {ELSEWHERE} {_SAFE}")
    if code in _UNUSABLE:
        return StoreReadOnly(f"{path} cannot be used ({what}): make room, or {ELSEWHERE} {_SAFE}")
    return error


_LOST = re.compile(r"^no such (table|column|index)|has no column named|^Could not decode")
"""What SQLite says of our statements when the file no longer has our tables."""
_UNUSABLE = (
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOLFS,
)  # fmt: skip


def locked(path: Path) -> StoreLocked:
    """Return the sentence for a store that another process keeps locked."""
    return StoreLocked(f"{path} is locked by another process: try again when it is done. {_SAFE}")


def many(texts: Iterable[object]) -> str:
    """Return texts as the one parameter that `json_each(?)` makes rows of."""
    return orjson.dumps([str(text) for text in texts]).decode()


class Cursor(sqlite3.Cursor):
    """Raises a `PeekError` for what is wrong with the store."""

    connection: Connection

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        """Run a statement."""
        try:
            super().execute(sql, parameters)
        except sqlite3.DatabaseError as error:
            raise told(error, self.connection.path) from None
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Cursor:
        """Run a statement for each of the parameters."""
        try:
            super().executemany(sql, parameters)
        except sqlite3.DatabaseError as error:
            raise told(error, self.connection.path) from None
        return self

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        try:
            return super().fetchone()
        except sqlite3.DatabaseError as error:
            raise told(error, self.connection.path) from None

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        """Return some rows."""
        try:
            return super().fetchmany(size)
        except sqlite3.DatabaseError as error:
            raise told(error, self.connection.path) from None

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        try:
            return super().fetchall()
        except sqlite3.DatabaseError as error:
            raise told(error, self.connection.path) from None

    def __iter__(self) -> Any:
        try:
            yield from iter(super().fetchone, None)  # half the price of a `__next__` in Python
        except sqlite3.DatabaseError as error:
            raise told(error, self.connection.path) from None


class Connection(sqlite3.Connection):
    """A connection that makes such cursors, in autocommit."""

    path: Path

    def cursor(self, factory: Any = Cursor) -> Any:
        """Return a cursor."""
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        """Run a statement on a cursor of its own."""
        return self.cursor().execute(sql, parameters)  # type: ignore[no-any-return]

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Cursor:
        """Run a statement for each of the parameters on a cursor of its own."""
        return self.cursor().executemany(sql, parameters)  # type: ignore[no-any-return]

    def be_patient(self, seconds: float) -> None:
        """Wait this long for other connections from now on."""
        self.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")


def connect(path: Path, options: str) -> Connection:
    """Open the file with SQLite's URI options.

    Raises:
        PeekError: if it cannot be opened.
    """
    try:
        connection: Connection = sqlite3.connect(
            f"{path.as_uri()}?{options}", uri=True, isolation_level=None, check_same_thread=False, timeout=_PATIENCE,
            factory=Connection,
        )  # fmt: skip
    except sqlite3.DatabaseError as error:
        raise told(error, path) from None
    connection.path = path
    return connection


def set_mode(connection: Connection, mode: Mode, is_new: bool) -> None:
    """Make the file use the log or journal that `mode` asks for.

    A file that was once made to do without shared memory stays so: other machines may be using it.
    """
    if mode is Mode.WAL:
        if is_new:
            _retrying(lambda: connection.execute("PRAGMA journal_mode = WAL"))
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint = 16000")
        return
    _retrying(lambda: connection.execute("PRAGMA journal_mode = DELETE"))
    connection.execute("PRAGMA locking_mode = NORMAL")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # only now another process may have it


def _retrying(work: Callable[[], T]) -> T:
    """Do what SQLite itself does not wait for."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return work()
        except StoreLocked:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.01)


class LoneConnection:
    """Stands for a connection where nothing but a lock file keeps two processes apart.

    It holds the lock and has the file open only for the length of a statement or transaction: SQLite must see what
    another process wrote, also one on another machine, and a network shows that to who opens a file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = LockFile(path.with_name(f"{path.name}.lock"))
        self._patience = _PATIENCE
        self._connection: Connection | None = None

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection is not None and self._connection.in_transaction

    def be_patient(self, seconds: float) -> None:
        """Wait this long for the lock from now on."""
        self._patience = seconds

    def execute(self, sql: str, parameters: Any = ()) -> Rows:
        """Run a statement, and fetch all its rows."""
        return self._run(lambda connection: connection.execute(sql, parameters))

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Rows:
        """Run a statement for each of the parameters."""
        return self._run(lambda connection: connection.executemany(sql, parameters))

    def prepare(self, work: Callable[[Connection], None]) -> None:
        """Do something on a connection while holding the lock."""
        connection = self._open()
        try:
            work(connection)
        finally:
            self.close()

    def close(self) -> None:
        """Close what is open, undo what was not committed, and give the lock back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self._lock.release()

    def _run(self, work: Callable[[Connection], sqlite3.Cursor]) -> Rows:
        connection = self._connection or self._open()
        try:
            cursor = work(connection)
            return Rows(cursor.fetchall(), cursor.rowcount)
        finally:
            if not self.in_transaction:
                self.close()

    def _open(self) -> Connection:
        self._lock.acquire(self._patience)
        try:
            self._connection = connect(self.path, "mode=rw&vfs=unix-none")
        except PeekError:
            self._lock.release()
            raise
        return self._connection


class Rows:
    """The rows of a statement that is over."""

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows = iter(rows)
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        return next(self._rows, None)

    def fetchmany(self, size: int = 1) -> list[Any]:
        """Return some rows."""
        return [row for _, row in zip(range(size), self._rows, strict=False)]

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return list(self._rows)
