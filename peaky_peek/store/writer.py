"""The thread that moves a process's journal into the store, soon after each record and out of everyone's way."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from pathlib import Path

from peaky_peek.errors import StoreLocked
from peaky_peek.store.database import Database
from peaky_peek.store.journal import JournalWriter

_GATHER_SECONDS = 0.02


class Writer:
    """Ingests what one process journals, within about 50 ms, in a daemon thread that starts with the first record."""

    def __init__(self, database: Database, journal: JournalWriter) -> None:
        self._database = database
        self._journal = journal
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._called = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.problem: Exception | None = None
        """Why the store takes nothing in at the moment; what is recorded waits in the journal."""

    def notify(self) -> None:
        """Say that there is something to ingest; costs nothing while the thread is at it anyway.

        A signal handler may call this in the middle of a call, so there is no lock in it: a `SimpleQueue` has none.
        """
        if not self._called:
            try:
                self._called = True
                self._calls.put(None)
                if self._thread is None:
                    self._start()
            except BaseException:  # an interrupt between two of these lines, and nobody would ever call again
                self._called = False
                raise

    def stop(self, wait: float = 5.0) -> None:
        """End the thread, waiting for the transaction it is in; what it has not ingested stays in the journal."""
        self._stopping.set()
        self._calls.put(None)
        thread = self._thread
        if thread is not None and thread.ident is not None and thread is not threading.current_thread():
            thread.join(wait)
            while not thread.is_alive() and Path(f"/proc/self/task/{thread.native_id}").exists():
                time.sleep(0.0001)  # Python 3.12 is done with it before the system is, and warns whoever forks

    def resume(self) -> None:
        """Go on after `stop`, in a new thread that starts with the next record."""
        self._stopping, self._thread, self._called = threading.Event(), None, False

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(
                    target=self._run, args=(self._stopping,), name="peaky-peek-writer", daemon=True
                )
                try:
                    contextvars.Context().run(self._thread.start)  # it belongs to no session
                except RuntimeError:  # the interpreter is going down, or may have no more threads: readers ingest
                    self._thread = None
                except BaseException:
                    self._thread = self._thread if self._thread.is_alive() else None
                    raise

    def _run(self, stopping: threading.Event) -> None:
        owner = None  # the first round also takes in what dead processes left
        while not stopping.is_set():
            self._calls.get()
            self._called = False
            stopping.wait(_GATHER_SECONDS)
            try:
                self._journal.renew()
                while not stopping.is_set() and self._database.ingest(1.0, owner, stopping.is_set):
                    owner = self._journal.owner
                    stopping.wait(_GATHER_SECONDS)
                self.problem = None
            except Exception as problem:  # noqa: BLE001 - said where the user looks: by readers, and by status
                self.problem = problem
                if isinstance(problem, StoreLocked):
                    self._calls.put(None)
        self._database.close()
