"""The SQLite store: the file, its connections, one a thread, and transactions on them."""

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
from typing import cast

from peaky_peek.errors import PeekError, StoreLocked, StoreReadOnly
from peaky_peek.store import filesystem, journal, notices, schema
from peaky_peek.store.connection import ELSEWHERE, Connection, LoneConnection, connect, locked, set_mode
from peaky_peek.store.filesystem import Mode
from peaky_peek.store.ingestion import ingest_segment

_TURN = 5.0
"""Seconds that SQLite waits for a lock before we look at the clock again."""
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
        self.mode: Mode | None = None
        """How the file is used where it lies; known after the first connection."""

    def __repr__(self) -> str:
        return f"Database({str(self.path)!r})"

    @property
    def journal_folders(self) -> list[Path]:
        """Where processes journal: beside the store, or if that cannot be written, in a folder for temporary files."""
        name = f"peaky_peek-{os.getuid()}-{zlib.crc32(os.fsencode(self.path)):08x}.journals"
        spare = Path(os.environ.get("TMPDIR", "/tmp")) / name  # noqa: S108 - used only if it is the user's alone
        return [Path(f"{self.path}.journals"), *([spare] if _is_ours(spare) else [])]

    def exists(self) -> bool:
        """Tell whether there is a file, or a folder that lets nobody look: a connection then says what is wrong."""
        try:
            return self.path.exists()
        except OSError:
            return True

    def connection(self) -> Connection:
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

    def _connect(self) -> Connection:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.exists():  # not opened to find out: to close it would drop the locks of our other connections
                self.read_only = not os.access(self.path, os.W_OK)
            else:
                with suppress(FileExistsError):  # somebody was faster
                    os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except OSError as error:
            if not os.access(self.path, os.R_OK):
                raise StoreReadOnly(f"{self.path} cannot be written ({error.strerror}): {ELSEWHERE}") from None
            self.read_only = True
        if self.mode is None and not self.read_only:
            self.mode = filesystem.mode_of(self.path.parent)
            if self.mode is not Mode.WAL:
                notices.say(f"Peaky Peek: {self.path} is used {self.mode.value}; that is slower and just as safe.")
        if self.mode is Mode.ALONE:
            lone = LoneConnection(self.path)
            lone.prepare(self._prepare)
            return cast("Connection", lone)
        connection = connect(self.path, "mode=ro&immutable=1" if self.read_only else "mode=rw")
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: Connection) -> None:
        if self.mode not in (None, Mode.WAL):
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # reads a log without the memory to share it
        version = schema.check(connection, self.path)  # before the first pragma that would change a foreign file
        if self.mode is not None:
            connection.execute("PRAGMA page_size = 8192")  # of a new file: records of a KB or two leave less unused
            set_mode(connection, self.mode, is_new=version == 0)
            schema.migrate(connection, self.path)

    def ingest(self, wait: float = 30.0, owner: str | None = None, stopped: Callable[[], bool] = lambda: False) -> int:
        """Move every pending journal record into the tables and return how many there were.

        Exactly once, whoever does it and however often: the offset advances in the transaction that inserts.

        Args:
            wait: seconds to wait for the write lock of another process.
            owner: only the segments of this process.
            stopped: asked between records; the rest is left for the next one who ingests.

        Raises:
            StoreLocked: if the lock does not come free; what is pending stays in the journal.
            StoreUnreadable: if the file is no store, or damaged.
            StoreReadOnly: if it cannot be written.
        """
        pending = self.segments()
        if owner is not None:
            pending = [path for path in pending if journal.owner_of(path.name) == owner]
        if not pending:
            return 0
        deadline = time.monotonic() + wait
        if not self._ingesting.acquire(timeout=max(0.0, wait)):  # by a thread that waits longer for the same lock
            raise locked(self.path)
        try:
            self.connection()
            return 0 if self.read_only else sum(ingest_segment(self, path, deadline, stopped) for path in pending)
        finally:
            self._ingesting.release()

    def segments(self) -> list[Path]:
        """Return the segments of all processes that journal for this store."""
        return [path for folder in self.journal_folders for path in journal.segments(folder)]

    @contextmanager
    def write(self, deadline: float | None = None) -> Iterator[Connection]:
        """Hold the write lock for one transaction; an exception rolls it back.

        Raises:
            StoreLocked: if another process holds the lock until `deadline` (monotonic seconds; 30 s from now if None).
            StoreReadOnly: if the disk is full, or cannot be written for another reason.
        """
        connection = self.connection()
        deadline = time.monotonic() + 30 if deadline is None else deadline
        _insist(connection, "BEGIN IMMEDIATE", deadline)
        try:
            yield connection
            _insist(connection, "COMMIT", deadline)  # without a log, it waits until nobody reads
        except BaseException:
            with suppress(PeekError, sqlite3.Error):  # a full disk has undone it already
                connection.execute("ROLLBACK")
            if connection.in_transaction:
                self.close()
            raise


class _Holder:
    """Closes a connection when the thread that used it ends."""

    def __init__(self, connection: Connection, file: tuple[int, int] | None) -> None:
        self.connection = connection
        self.file = file
        self.process = os.getpid()
        # No `__del__`: the garbage collector might finalise the connection first, which then complains that it is open.
        # Nor at exit: the writer's thread may be in the middle of a statement, and closing would crash the process.
        weakref.finalize(self, _close, connection, self.process).atexit = False


def _close(connection: Connection, process: int) -> None:
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


def _insist(connection: Connection, statement: str, deadline: float) -> None:
    """Run a statement that may have to wait for other connections."""
    while True:
        connection.be_patient(min(max(0.0, deadline - time.monotonic()), _TURN))
        try:
            connection.execute(statement)
            break
        except StoreLocked:
            if time.monotonic() >= deadline:
                raise
    connection.be_patient(_TURN)
