"""What behaved oddly in runs: the alerts that were recorded, and those that the rules find now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from peaky_peek import store
from peaky_peek.analysis.rules import rules
from peaky_peek.capture import watching
from peaky_peek.capture.alerts import event_of
from peaky_peek.events import BehaviorAlert
from peaky_peek.store import dtypes, reader
from peaky_peek.store.sessions import resolve_many

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.store.database import Database


def alerts(session: Any = None) -> pd.DataFrame:
    """Return one row per alert, in order: loops, tools that keep failing, slow calls, crossed budgets, and your own.

    `recorded` tells those that are events of the run, because somebody watched it, from those that the rules find in
    it only now. `parent_id` is the event that gave reason for it, `related_event_ids` are all that show it.

    Args:
        session: a reference to one or several sessions, or `ALL`; None for the newest.

    Raises:
        SessionNotFound: naming the closest.

    Example:
        >>> from peaky_peek import trace_session
        >>> with trace_session("lost") as ctx:
        ...     for _ in range(3):
        ...         call = ctx.record_tool_call("search", {"query": "flights"})
        ...         result = ctx.record_tool_result("search", [])
        >>> alerts("lost")[["alert_type", "signal", "severity"]].values.tolist()
        [['loop', 'loop x3: search with the same result', 'medium']]
    """
    db = store.current()
    db.ingest()
    if watching.settle():
        db.ingest()
    rows = [row for session_id in resolve_many(session, db) for row in _alerts(db, session_id)]
    return dtypes.frame("alerts", {name: [row[name] for row in rows] for name in dtypes.SCHEMA["alerts"]})


def _alerts(db: Database, session_id: str) -> Iterator[dict[str, Any]]:
    watchers = rules()
    types = frozenset().union(*(rule.types for rule in watchers), {"behavior_alert"})
    found: dict[str, BehaviorAlert] = {}
    recorded = set()
    for event in reader.read_events(db, session_id, types, whole=False):
        if isinstance(event, BehaviorAlert):
            recorded.add(event.id)
            found[event.id] = event
        for rule in watchers:
            if event.event_type in rule.types:
                for alert in rule.feed(event):
                    made = event_of(alert, event)
                    found.setdefault(made.id, made)
    for event_id, made in sorted(found.items(), key=lambda known: (known[1].position, known[0])):
        yield {
            **made.typed(), "event_id": event_id, "session_id": session_id, "parent_id": made.parent_id,
            "name": made.name, "agent": made.agent, "timestamp": made.timestamp, "failed": made.failed,
            "recorded": event_id in recorded,
        }  # fmt: skip
