"""Deletes what was recorded."""

from __future__ import annotations

from typing import Any

from peaky_peek import store
from peaky_peek.capture import calls, context
from peaky_peek.capture.recorder import active
from peaky_peek.errors import SessionOpen
from peaky_peek.store import deletion
from peaky_peek.store.sessions import resolve_many


def delete(sessions: Any) -> int:
    """Delete recorded sessions with all that is nested in them, for good, and return how many they were.

    Nothing of them is left in the store, its free pages, its log or any process's journal. What you exported or
    displayed in a notebook is yours and stays. The file is built anew, which takes a while if it is large: give several
    sessions at once.

    Args:
        sessions: a session reference, or several: a list, a frame, a mask or a query, or `pp.ALL`.

    Raises:
        SessionNotFound: if a reference does not resolve.
        SessionOpen: if one of them is still being recorded; then none is deleted.
        StoreLocked: if another process keeps the store locked.

    Example:
        >>> from peaky_peek import trace_session
        >>> with trace_session("regret") as ctx:
        ...     event = ctx.record_decision("something private")
        >>> delete("regret")
        1
    """
    database = store.current()
    database.ingest()
    ids = resolve_many(sessions, database)
    for session_id in ids:
        if session_id in context.open_sessions:
            name = context.open_sessions[session_id].name
            raise SessionOpen(f"The session {name!r} is still being recorded: end it, then delete it.")
    deleted = deletion.delete(database, ids)
    recorder = active()
    for session_id in deleted:
        calls.forget(session_id)
        if recorder is not None:
            recorder.forget(session_id)
    return len(deleted)
