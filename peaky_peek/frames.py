"""Everything recorded as pandas frames. `SCHEMA` tells their columns and dtypes, which empty frames have too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from peaky_peek import store
from peaky_peek.capture import watching
from peaky_peek.errors import QueryError
from peaky_peek.events import Error, Event, LLMRequest, LLMResponse, ToolCall, ToolResult
from peaky_peek.store import calls, columns, dtypes, query, reader
from peaky_peek.store.dtypes import SCHEMA
from peaky_peek.store.sessions import ALL, matching, resolve, resolve_many

if TYPE_CHECKING:
    from peaky_peek.store.database import Database
    from peaky_peek.store.reader import Session

__all__ = [
    "ALL", "SCHEMA", "decisions", "event", "events", "events_by_id", "llm_calls", "messages", "session", "sessions",
    "tool_calls",
]  # fmt: skip


def session(ref: Any = None) -> Session:
    """Return a session, typed, with a readable view in a notebook.

    Args:
        ref: a session reference; None for the newest.

    Raises:
        SessionNotFound: naming the closest.
    """
    db = _store()
    return reader.read_session(db, resolve(ref, db))


def event(event_id: str | Event) -> Event:
    """Return an event by its id, typed, with a readable view in a notebook.

    Raises:
        EventNotFound: when no recorded event has the id.
    """
    return reader.read_event(_store(), str(event_id))


def sessions(q: str | None = None) -> pd.DataFrame:
    """Return one row per session, oldest first; row -1 is the newest.

    Args:
        q: a query, such as `"task:refund failed after:today"`; None for all.

    Raises:
        QueryError: pointing at what cannot be read.

    >>> sessions("cost:>0.10 -outcome:pass").columns[:4].tolist()
    ['session_id', 'name', 'framework', 'status']
    """
    db = _store()
    found = list(reader.read_sessions(db, matching(q or "", db)))
    return dtypes.frame("sessions", {name: [getattr(one, name) for one in found] for name in SCHEMA["sessions"]})


def events(session: Any = None, *, types: str | Iterable[str] | None = None, data: bool = False) -> pd.DataFrame:
    """Return one row per event, in order; `seq` counts them from 0 within their session.

    `failed` is never unknown. `suspect` tells in words what smells about the event, NA when nothing does.

    Args:
        session: a reference to one or several sessions (a list, frame, mask or query), or `ALL`; None for the newest.
        types: one event type or several; None for all.
        data: whether to add a column `data` with the typed fields of each event, and what else came with it, as a dict.

    Raises:
        SessionNotFound: naming the closest.
        QueryError: for a type that does not exist.
    """
    db = _store()
    session_ids = resolve_many(session, db)
    wanted = None if types is None else _types([types] if isinstance(types, str) else types)
    frame = _events(db, session_ids, wanted)
    if data:
        known = {one.id: _data(one) for session_id in session_ids for one in reader.read_events(db, session_id, wanted)}
        frame["data"] = dtypes.series([known.get(event_id) for event_id in frame["event_id"]], "object")
    return frame


def events_by_id(db: Database, event_ids: Iterable[str]) -> pd.DataFrame:
    """Return the rows of `events`, with `data`, for these ids in the order asked; ids not in `db` are left out."""
    found = reader.events_by_id(db, event_ids)
    frame = _events(db, list(dict.fromkeys(one.session_id for one in found)))
    rows = pd.Index(frame["event_id"]).get_indexer([one.id for one in found])
    frame = frame.take(rows).reset_index(drop=True)
    frame["data"] = dtypes.series([_data(one) for one in found], "object")
    return frame


def llm_calls(session: Any = None) -> pd.DataFrame:
    """Return one row per call of a model: the request with its response.

    `messages` is the whole conversation that was sent. A call without an answer has `status` error if an error was
    recorded in it, else none. `event_id` is the request's, or the response's where it stands alone.

    Args:
        session: as for `events`.
    """
    rows = []
    for found in _typed_events(session, "llm_request llm_response error"):
        errors = {one.parent_id: one for one in found if isinstance(one, Error)}
        for request, response in calls.pairs(found, LLMRequest, LLMResponse):
            error = errors.get(request.id) if request else None
            usage = response.usage if response and isinstance(response.usage, dict) else {}
            row = _merged(request, response) | {"response_id": response and response.id}
            row |= {"input_tokens": usage.get("input"), "output_tokens": usage.get("output")}
            if error:
                row |= {"error_type": error.error_type, "error": error.error_message, "failed": True}
                row.setdefault("status", "error")
            rows.append(row)
    return _from_rows("llm_calls", rows)


def tool_calls(session: Any = None) -> pd.DataFrame:
    """Return one row per call of a tool: the call with its result.

    `status` is that of the result: what was recorded, else error if it has one, else ok. `llm_call_id` is the
    `event_id` in `llm_calls` of the model call that asked for it. `server` is the MCP server that it ran on.

    Args:
        session: as for `events`.
    """
    rows = []
    for found in _typed_events(session, "tool_call tool_result llm_request llm_response"):
        asked_by = calls.asked_by(found)
        for call, result in calls.pairs(found, ToolCall, ToolResult):
            row = _merged(call, result) | {"result_id": result and result.id}
            row["llm_call_id"] = asked_by.get(row["event_id"])
            servers = (one.data.get("server") for one in (result, call) if one is not None)
            row["server"] = next((server for server in servers if isinstance(server, str)), None)
            if result:
                row.setdefault("status", "error" if result.failed else "ok")
            rows.append(row)
    return _from_rows("tool_calls", rows)


def decisions(session: Any = None) -> pd.DataFrame:
    """Return one row per decision; `derived` tells those read from a model's answer from those an agent recorded.

    Args:
        session: as for `events`.
    """
    rows = []
    for found in _typed_events(session, "decision"):
        rows += [_merged(one, None) | {"derived": one.metadata.get("derived") is True} for one in found]
    return _from_rows("decisions", rows)


def messages(session: Any = None) -> pd.DataFrame:
    """Return the conversation, one row per message: each message once, with the model call that first sent or wrote it.

    Args:
        session: as for `events`.
    """
    rows = []
    for found in _typed_events(session, "llm_request llm_response", whole=False):
        for one, _, message in calls.said(found):
            said = {name: message.get(name) for name in ("role", "tool_call_id")}
            said |= {"content": calls.parts_of(message), "tool_calls": calls.calls_of(message)}
            rows.append(_merged(one, None) | said)
    return _from_rows("messages", rows)


def _store() -> Database:
    """Return the store in use, with everything recorded so far in it."""
    db = store.current()
    db.ingest()
    if watching.settle():
        db.ingest()
    return db


def _types(types: Iterable[str]) -> list[str]:
    wanted = [str(kind) for kind in types]
    for kind in wanted:
        if kind not in columns.EVENT_TYPES:
            like = query.closest(kind, columns.EVENT_TYPES)
            raise QueryError(f"There is no event type {kind!r}{f', the closest is {like!r}' if like else ''}.")
    return wanted


def _events(db: Database, session_ids: list[str], types: list[str] | None = None) -> pd.DataFrame:
    """Return the frame of events without payloads."""
    parts = columns.read(db, session_ids)
    rows = columns.join(parts)
    lengths = [len(part) for part in parts]
    session_id = np.repeat(np.array(session_ids, object), lengths)
    seq = np.concatenate([np.arange(length) for length in lengths]) if parts else np.empty(0, np.int64)
    if types is not None:
        chosen = np.flatnonzero(
            np.isin(rows.numbers["event_type"], [columns.EVENT_TYPES.index(kind) for kind in types])
        )
        rows, session_id, seq = rows.take(chosen), session_id[chosen], seq[chosen]
    number = rows.numbers
    made = {
        "session_id": dtypes.texts(session_id),
        "seq": dtypes.integers(seq),
        "event_type": dtypes.categories(number["event_type"], dtypes.EVENT_TYPE),
        "timestamp": dtypes.times(number["timestamp"]),
        "duration": dtypes.spans(number["duration_ms"]),
        "status": dtypes.categories(number["status"], dtypes.STATUS),
        "failed": dtypes.booleans(number["failed"]),
        **{name: dtypes.integers(number[name]) for name in ("input_tokens", "output_tokens")},
        **{name: dtypes.floats(number[name]) for name in ("importance", "cost_usd")},
        **{name: dtypes.texts(text) for name, text in rows.texts.items()},
    }
    return dtypes.frame("events", made)


def _typed_events(session: Any, types: str, *, whole: bool = True) -> Iterator[list[Event]]:
    """Yield the typed events of each session meant."""
    db = _store()
    for session_id in resolve_many(session, db):
        yield reader.read_events(db, session_id, types.split(), whole=whole)


def _data(one: Event) -> dict[str, Any]:
    """Return the typed fields, and what was recorded besides."""
    extra = {"data": one.data, "metadata": one.metadata, "upstream_event_ids": one.upstream_event_ids}
    return one.typed() | {name: value for name, value in extra.items() if value}


def _merged(opener: Event | None, closer: Event | None) -> dict[str, Any]:
    """Return the fields of a pair as one row: the opener's, and the closer's where it says something."""
    known = [one for one in (opener, closer) if one is not None]
    row: dict[str, Any] = {"event_id": known[0].id, "session_id": known[0].session_id, "parent_id": known[0].parent_id}
    row |= {"name": known[0].name, "agent": known[0].agent, "timestamp": known[0].timestamp}
    row |= {"failed": any(one.failed for one in known), "duration": dtypes.span(_elapsed(opener, closer))}
    for one in known:
        row |= one.typed() | {
            name: value for name in ("status", "suspect") if (value := getattr(one, name)) is not None
        }
    return row


def _elapsed(opener: Event | None, closer: Event | None) -> float | None:
    """Return the milliseconds that the closer tells, else those between the two, if they were not told at once."""
    if closer is None:
        return None
    if closer.duration_ms is not None:
        return closer.duration_ms
    if opener is None or opener.time_us is None or closer.time_us is None or closer.time_us <= opener.time_us:
        return None
    return (closer.time_us - opener.time_us) / 1000


def _from_rows(kind: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    return dtypes.frame(kind, {name: [row.get(name) for row in rows] for name in SCHEMA[kind]})
