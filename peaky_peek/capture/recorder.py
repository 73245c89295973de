"""The flight recorder: an event is encoded, redacted and in the journal before the call that records it returns."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from peaky_peek import store
from peaky_peek.capture import faults
from peaky_peek.capture.history import Histories
from peaky_peek.capture.importance import importance
from peaky_peek.capture.redaction import Redactor, load_key
from peaky_peek.capture.redaction.choice import Redact, redactor_for
from peaky_peek.errors import PeekError
from peaky_peek.events import Event, LLMRequest
from peaky_peek.store import notices, records
from peaky_peek.store.database import Database
from peaky_peek.store.journal import JournalWriter
from peaky_peek.store.records import Limit
from peaky_peek.store.writer import Writer

E = TypeVar("E", bound=Event)


class Recorder:
    """Writes what happens in this process to the journal of one store.

    Args:
        database: the store.
        redact: as for `pp.init`.
        max_payload_kb: cut longer values to this size, marked; None keeps everything.
    """

    def __init__(self, database: Database, redact: Redact = "secrets", max_payload_kb: float | None = None) -> None:
        self.database = database
        self.owner = f"{os.getpid()}-{os.urandom(6).hex()}"
        self.lost = 0
        """Events that could be written nowhere."""
        self.configure(redact, max_payload_kb)
        self._journal = JournalWriter(database.journal_folders, self.owner, self._announce)
        self._writer = Writer(database, self._journal)
        self._histories = Histories()
        self._is_new = not os.path.exists(database.path)  # noqa: PTH110 - a `Path` raises where it may not look

    def configure(self, redact: Redact = "secrets", max_payload_kb: float | None = None) -> None:
        """Record like this from now on."""
        self.redactor = self.redactor_as(redact)
        self._clean = self.redactor.clean_record
        self._limit = None if max_payload_kb is None else Limit(int(max_payload_kb * 1024), self.redactor.clean)
        faults.clean = self.redactor.clean_text

    def redactor_as(self, redact: Redact) -> Redactor:
        """Return a redactor of this store: equal secrets are replaced by equal tokens."""
        return redactor_for(redact, key=lambda: load_key(_key_path(self.database)))

    def ready(self) -> None:
        """Do what the first record would have to wait for, so that nothing timed from now on waits for it."""
        self._clean(b"")
        with suppress(OSError):  # the record that cannot be written will say so
            self._journal.open()

    def record(self, event: E) -> E:
        """Record an event and return it; it outlives the process from here on. Never raises."""
        try:
            if event.importance is None:
                event.importance = importance(event)
            if isinstance(event, LLMRequest) and type(event.messages) is list and self._limit is None:
                messages, sent = self._histories.compact(event, self._journal.segment)
                self._journal.append(self._clean(records.encode_event(event, messages=messages)))
                self._histories.remember(event, sent)
            else:  # what may be cut must not be referred to
                self._journal.append(self._clean(records.encode_event(event, self._limit)))
            self._writer.notify()
        except Exception as error:  # noqa: BLE001 - the agent never notices
            self.lost += 1
            faults.report(error)
        return event

    def record_raw(self, kind: str, header: Sequence[Any], payload: bytes = b"") -> None:
        """Record something that is not an event; header and payload are redacted like everything else. Never raises."""
        try:
            self._journal.append(self._clean(records.encode_record(kind, header, payload)))
            self._writer.notify()
        except Exception as error:  # noqa: BLE001 - the agent never notices
            self.lost += 1
            faults.report(error)

    @property
    def segment(self) -> str | None:
        """The journal segment in use; a reference from one record to an earlier one never leaves its segment."""
        return self._journal.segment

    @property
    def problem(self) -> str | None:
        """Why the store takes nothing in at the moment, as a sentence."""
        problem = self._writer.problem
        if problem is None:
            return None
        return str(problem) if isinstance(problem, PeekError) else faults.said(problem)

    def forget(self, session_id: str) -> None:
        """Drop what is kept in memory about a session that has ended."""
        self._histories.forget(session_id)

    def close(self, wait: float = 2.0) -> None:
        """Ingest what is pending, for at most `wait` seconds, and let go of the journal."""
        self._writer.stop()
        self._journal.close()
        deadline = time.monotonic() + wait
        try:
            self.database.ingest(wait, self.owner, lambda: time.monotonic() > deadline)
        except Exception as error:  # noqa: BLE001 - it is safe in the journal, and the next reader takes it in
            if not isinstance(error, PeekError):
                faults.report(error)

    def rest(self) -> None:
        """Let the writer's thread end, if it can soon: a fork must not happen in the middle of what it does."""
        self._writer.stop(wait=2.0)

    def resume(self) -> None:
        """Go on after `rest`."""
        self._writer.resume()

    def abandon(self) -> None:
        """Let go in a forked child of what belongs to its parent."""
        self._journal.abandon()

    def _announce(self, folder: Path) -> None:
        """Say once where recordings go: at the very first, and when it is not where it should be."""
        where = self.database.path
        said = None
        if folder != self.database.journal_folders[0]:
            said = (
                f"Peaky Peek cannot write beside {where}; what is recorded waits in {folder}"
                " and enters the store once its folder can be written."
            )
        elif self._is_new and "PEAKY_PEEK_DB" not in os.environ and not store.chosen():
            said = f"Peaky Peek records into {where}"
        self._is_new = False
        if said is not None:
            notices.say(said)


def _key_path(database: Database) -> Path:
    return database.path.with_name(f"{database.path.name}.key")


_options: dict[str, Any] = {}
_recorder: Recorder | None = None
_making = threading.RLock()


def recorder() -> Recorder:
    """Return the recorder of this process, made at the first use."""
    global _recorder
    current = _recorder
    if current is not None and current.database is store.current():
        return current
    with _making:  # or two threads that begin at once would each have one
        former = current = _recorder
        if current is None or current.database is not store.current():
            current = _recorder = Recorder(store.current(), **_options)
    if former is not None and former is not current:
        former.close()
    return current


def configure(**options: Any) -> None:
    """Set how it is recorded (see `Recorder`); the last call wins."""
    if options != _options:
        _options.clear()
        _options.update(options)
        if _recorder is not None:
            _recorder.configure(**options)


def options() -> dict[str, Any]:
    """Return what `configure` was told last; nothing if it was not called yet."""
    return dict(_options)


def close() -> None:
    """Close the recorder of this process, if there is one."""
    global _recorder
    former, _recorder = _recorder, None
    if former is not None:
        former.close()


def active() -> Recorder | None:
    """Return the recorder if anything was recorded yet."""
    return _recorder


def _before_fork() -> None:
    """Leave SQLite alone meanwhile: a child that inherits one of its locks taken waits for it forever."""
    if _recorder is not None:
        _recorder.rest()


def _after_fork_in_parent() -> None:
    if _recorder is not None:
        _recorder.resume()


def _after_fork() -> None:
    global _recorder, _making
    _making = threading.RLock()
    if _recorder is not None:
        _recorder.abandon()
        _recorder = None


atexit.register(faults.guarded(close))
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork)
