"""The thread that moves a process's journal into the store, soon after each record and out of everyone's way."""

from __future__ import annotations

import queue
import threading
import time

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
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.problem: Exception | None = None
        """Why the store takes nothing in at the moment; what is recorded waits in the journal."""

    def notify(self) -> None:
        """Say that there is something to ingest; costs nothing while the thread is at it anyway.

        A signal handler may call this in the middle of a call, so there is no lock in it: a `SimpleQueue` has none.
        """
        if not self._called:
            self._called = True
            self._calls.put(None)
            if self._thread is None:
                self._start()

    def stop(self) -> None:
        """End the thread; what it has not ingested stays in the journal."""
        self._stopped = True
        self._calls.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="peaky-peek-writer", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter is going down, or may have no more threads: readers ingest
                    self._thread = None

    def _run(self) -> None:
        owner = None  # the first round also takes in what dead processes left
        while not self._stopped:
            self._calls.get()
            self._called = False
            time.sleep(_GATHER_SECONDS)
            try:
                self._journal.renew()
                while not self._stopped and self._database.ingest(1.0, owner, lambda: self._stopped):
                    owner = self._journal.owner
                    time.sleep(_GATHER_SECONDS)
                self.problem = None
            except Exception as problem:  # noqa: BLE001 - said where the user looks: by readers, and by status
                self.problem = problem
                if isinstance(problem, StoreLocked):
                    self._calls.put(None)
        self._database.close()
