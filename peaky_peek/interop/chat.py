"""Loads chat transcripts into the store."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from peaky_peek import encoding, store
from peaky_peek.capture.recorder import recorder
from peaky_peek.events import Event
from peaky_peek.interop import transcripts
from peaky_peek.interop.conversation import events_of
from peaky_peek.interop.transcripts import Run
from peaky_peek.store import reader, records
from peaky_peek.store.batch import Batch
from peaky_peek.store.connection import Connection
from peaky_peek.store.started import note_started

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.store.database import Database
    from peaky_peek.store.reader import Session

T = TypeVar("T")


def load(
    path_or_messages: Any, *, name: str | None = None, task: str | None = None, version: str | None = None,
    outcome: str | None = None, tags: Iterable[str] = (),
) -> pd.DataFrame | Session:  # fmt: skip
    """Load recorded conversations and return their sessions: a frame like `pp.sessions()`, one row per run.

    The messages of one run, given as a list, return their one `Session` instead.

    A run is an OpenAI-style chat transcript: a list of messages with `tool_calls` and role `tool`, or an object with
    such a list under `messages` (or `traj`, `trace`, `history`, `conversation`, `transcript`), which may also say `id`,
    `name`, `task`, `version`, `model`, `tools`, `tags`, `outcome`, `score`, `note` and `error`. What else it says is
    kept in `data` of the run's first event, and of each message in `data` of its event.

    A run that is in the store already is recognised by its content (and `id`) and returned, not loaded twice; a run
    with the id of a different one becomes `id#2`. Nothing is invented: times, durations and costs that the transcript
    does not tell stay unknown. Secrets are redacted as in recording.

    Args:
        path_or_messages: a file (JSON or JSON lines, also gzipped), the messages of a run, or a list of runs.
        name: the name of the sessions; else what the run says, its id, or the file's name.
        task: what job the runs did; else what each says.
        version: which version of the agent did it; else what each says.
        outcome: "pass", "fail" or a word of yours; else what each says.
        tags: labels, beside those that each has.

    Raises:
        LoadError: naming the file, the line and what was expected there. Nothing was loaded then.

    Example:
        >>> run = load([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], name="greeting")
        >>> run.name, run.llm_calls
        ('greeting', 1)
    """
    is_path = isinstance(path_or_messages, (str, os.PathLike))
    title = Path(path_or_messages).name.split(".")[0] if is_path else "conversation"
    given = {"task": task, "version": version, "outcome": outcome, "tags": list(tags) or None}
    runs = list(_shown("Reading", transcripts.read(path_or_messages)))
    db = store.current()
    db.ingest()
    loading = _Loading(db.connection(), {key: value for key, value in given.items() if value is not None})
    for run in _shown("Loading", runs):
        loading.add(run, name or run.facts.name or run.facts.id or title)
    with db.write() as connection:
        loading.write(connection)
    for session_id in loading.session_ids:
        note_started(session_id)
    if not is_path and transcripts.is_one_run(path_or_messages):
        return reader.read_session(db, loading.session_ids[0])
    return _frame(db, loading.session_ids)


class _Loading:
    """Makes the records of runs, so that all of them can be written at once."""

    def __init__(self, connection: Connection, given: dict[str, Any]) -> None:
        self.session_ids: list[str] = []
        self._connection = connection
        self._given = given
        self._bodies: dict[str, list[bytes]] = {}

    def add(self, run: Run, name: str) -> None:
        """Take in a run, unless the store has it."""
        redactor = recorder().redactor
        content = redactor.clean(encoding.encode([run.raw, run.messages]))
        digest = hashlib.sha256(content).hexdigest()[:32]
        session_id = first = redactor.clean_text(run.facts.id or f"chat-{digest[:16]}")
        number = 1
        # Within one source, even equal runs are different runs.
        while session_id in self.session_ids or _digest_of(self._connection, session_id) not in (None, digest):
            number += 1
            session_id = f"{first}#{number}"
        self.session_ids.append(session_id)
        if _digest_of(self._connection, session_id) is None:
            events = events_of(run, session_id, name, digest=digest)
            fields = encoding.encode(self._fields(run, name, events[0], events[-1]))
            described = records.encode_record("S", [session_id, events[0].position], fields)
            self._bodies[session_id] = [
                redactor.clean_record(body) for body in (described, *map(records.encode_event, events))
            ]

    def _fields(self, run: Run, name: str, start: Event, end: Event) -> dict[str, Any]:
        said = run.facts.model_dump(include={"task", "version", "tags", "outcome", "score", "note"}, exclude_none=True)
        fields = said | self._given
        if "tags" in said and "tags" in self._given:
            fields["tags"] = list(dict.fromkeys([*said["tags"], *self._given["tags"]]))
        for key, value in (("input", getattr(start, "input", None)), ("output", getattr(end, "output", None))):
            if value is not None:
                fields[key] = value
        status = "completed" if run.facts.error is None else "failed"
        return fields | {"name": name, "status": status, "root_session_id": start.session_id}

    def write(self, connection: Connection) -> None:
        """Write what was taken in."""
        batch = Batch(connection, "load")
        for session_id, bodies in _shown("Writing", self._bodies.items()):
            if _digest_of(connection, session_id) is None:  # another process may have been faster
                for body in bodies:
                    batch.add(body, 0)
        batch.flush()


def _shown(what: str, items: Iterable[T]) -> Iterable[T]:
    """Show a progress bar to whoever waits for more than a second."""
    from tqdm.auto import tqdm

    bar: Iterable[T] = tqdm(items, desc=what, unit=" runs", delay=1, leave=False)
    return bar


def _digest_of(connection: Connection, session_id: str) -> str | None:
    """Return the digest of the transcript a session was made of, "" if of none; None if there is no such session."""
    start = "SELECT payload ->> '$.metadata.digest' FROM events WHERE session_id = :id ORDER BY position LIMIT 1"
    query = f"SELECT coalesce(({start}), '') FROM sessions WHERE session_id = :id"  # noqa: S608 - no value in it
    row = connection.execute(query, {"id": session_id}).fetchone()
    return None if row is None else str(row[0])


def _frame(db: Database, session_ids: list[str]) -> pd.DataFrame:
    from peaky_peek.store import dtypes

    found = list(reader.read_sessions(db, session_ids))
    return dtypes.frame("sessions", {name: [getattr(one, name) for one in found] for name in dtypes.SCHEMA["sessions"]})
