"""How the recording stands."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import suppress
from typing import Any

from peaky_peek import store
from peaky_peek.capture import context, faults, recorder, spending
from peaky_peek.capture.context import OpenSession
from peaky_peek.errors import PeekError


def status() -> dict[str, Any]:
    """Return how the recording stands.

    Keys: `store` (path), `recording` (bool), `open_sessions` (a dict for each, see below), `cost_usd` (of all runs that
    are open; None when unknown), `max_cost_usd` (for each run), `lost` (events that could be written nowhere),
    `faults` (our own and those of listeners, by what they said, with counts), `problem` (why the store takes nothing
    in, or None) and `notices` (sentences about the store and its journals, such as damage; none when all is well).

    Of an open session: `name`, `session_id`, `age`, `events` so far, `cost_usd` so far with what its sub-sessions and
    child processes cost, and `cost`, the same in words ("at least $0.83, 3 calls unpriced"); None when unknown.
    """
    from peaky_peek.store import health

    active = recorder.active()
    sessions = list(context.open_sessions.values())
    if sessions:
        with suppress(PeekError, sqlite3.Error):  # what the store knows is shown
            store.current().ingest(wait=0.2)
    runs = [_so_far(session) for session in sessions]
    roots = [run["cost_usd"] for session, run in zip(sessions, runs, strict=True) if session.id == session.root_id]
    costs = [cost for cost in roots if cost is not None]
    return {
        "store": str(store.current().path),
        "recording": not context.paused and not context.stopped,
        "open_sessions": runs,
        "cost_usd": sum(costs) if costs else None,
        "max_cost_usd": None if context.limits is None else context.limits.max_cost_usd,
        "lost": 0 if active is None else active.lost,
        "faults": faults.counted(),
        "problem": None if active is None else active.problem,
        "notices": health.notices(store.current()),
    }


def _so_far(session: OpenSession) -> dict[str, Any]:
    known: dict[str, Any] = {"age": None, "events": None, "cost_usd": None, "cost": None}
    with suppress(PeekError, sqlite3.Error):
        sql = "SELECT started_at, events FROM sessions WHERE session_id = ?"
        row = store.current().connection().execute(sql, (session.id,)).fetchone() if session.sampled else None
        if row is not None:
            cost, unpriced = spending.spent(session.id)
            age = None if row[0] is None else dt.timedelta(microseconds=context.now_us() - row[0])
            known = {"age": age, "events": row[1], "cost_usd": cost, "cost": None}
            if cost is not None or unpriced:
                known["cost"] = spending.in_words(cost, unpriced)
    return {"name": session.name, "session_id": session.id, **known}
