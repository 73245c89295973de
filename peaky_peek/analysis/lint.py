"""Finds events that have lost their place in the tree, and the line of code that lost it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from peaky_peek import store
from peaky_peek.store import dtypes
from peaky_peek.store.sessions import resolve_many

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.store.database import Database

HINTS = {
    "recorded outside its context": "Start the thread or callback inside the session, or hand it"
    " contextvars.copy_context() from there and let it work in context.run(...).",
    "recorded after its session ended": "Wait for this work before the session ends, or give it a session of its own"
    " with pp.trace_session(..., new_session=True).",
    "parent not recorded": "Pass as parent_id an event that a record_* call returned, or leave it out.",
    "parent in another session": "Pass as parent_id an event of the same session, or leave it out.",
    "answer without its call": "Record the call before its answer, or decorate the function with @pp.tool or @pp.llm.",
    "never closed": "Use `with` or a decorator, which close it whatever happens, or record what came back.",
}
"""Each problem, and what to do about it."""

_ANSWERS = {"agent_end": "agent_start", "tool_result": "tool_call", "llm_response": "llm_request"}
_EVENTS = """
    SELECT e.event_id, e.session_id, e.event_type, e.name, e.payload ->> '$.metadata.at',
        e.payload ->> '$.metadata.code', e.parent_id, p.event_type, p.session_id, s.parent_session_id,
        s.status IN ('completed', 'failed'), e.payload ->> '$.metadata.context',
        coalesce(e.payload ->> '$.metadata.derived', 0)
    FROM events e JOIN sessions s USING (session_id) LEFT JOIN events p ON p.event_id = e.parent_id
    WHERE e.session_id = ? ORDER BY e.position, e.rowid"""


def lint(session: Any = None) -> pd.DataFrame:
    """Return one row per event that has lost its place in the tree, with the line of code that lost it.

    `problem` is one of a few fixed phrases. `where` and `code` are the outermost line of your code in the thread or
    callback that ran outside of every session, NA where nobody knows. `hint` says what to do.

    Args:
        session: a reference to one or several sessions, or `ALL`; None for the newest.

    Raises:
        SessionNotFound: naming the closest.

    Example:
        >>> from peaky_peek import trace_session
        >>> with trace_session("weather_agent") as ctx:
        ...     result = ctx.record_tool_result("weather_api", result="sunny")
        >>> lint("weather_agent")["problem"].tolist()
        ['answer without its call']
    """
    db = store.current()
    db.ingest()
    rows = [row for session_id in resolve_many(session, db) for row in _problems(db, session_id)]
    return dtypes.frame("lint", {name: [row[at] for row in rows] for at, name in enumerate(dtypes.SCHEMA["lint"])})


def _problems(db: Database, session_id: str) -> Iterator[tuple[Any, ...]]:
    found = db.connection().execute(_EVENTS, (session_id,)).fetchall()
    answered = {row[6] for row in found if row[2] in _ANSWERS}
    for row in found:
        problem = _problem(row, answered)
        if problem is not None:
            yield (*row[:4], problem, *row[4:6], HINTS[problem])


def _problem(row: tuple[Any, ...], answered: set[str | None]) -> str | None:
    event_id, session_id, kind, _, at, _, parent, parent_kind, parent_session, around, is_over, context, derived = row
    if context == "late":
        return "recorded after its session ended"
    if context == "inferred" and at is not None:
        return "recorded outside its context"
    if parent is not None and parent_kind is None:
        return "parent not recorded"
    if parent is not None and parent_session not in (session_id, around):
        return "parent in another session"
    if derived:
        return None
    if kind in _ANSWERS and parent_kind != _ANSWERS[kind]:
        return "answer without its call"
    if kind in _ANSWERS.values() and is_over and event_id not in answered:
        return "never closed"
    return None
