"""Handoffs: which agent hands to which, when, and with what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from peaky_peek import store
from peaky_peek.encoding import encode
from peaky_peek.events import AgentEnd, AgentStart, AgentTurn, Event, ToolCall
from peaky_peek.store import columns, dtypes, reader
from peaky_peek.store.sessions import resolve_many

if TYPE_CHECKING:
    import pandas as pd

_TYPES = "agent_start agent_end agent_turn tool_call".split()
_SURE = {"handoff": 1.0, "passes on": 0.9, "calls": 0.8, "turn": 0.5}
_SHORTEST = 5
"""Bytes: what is shorter stands in a text by chance."""


def handoffs(session: Any = None) -> pd.DataFrame:
    """Return one row per time that an agent began, or spoke, because of another.

    `kind` says how that is known, the surest first: `handoff` was recorded as one, by an adapter; of `passes on` what
    the one returned stands in what the next was given; `calls` began inside the other; of `turn` only the order of
    speaking is known. `event_id` is where it was taken up, `content` what was handed over, `weight` how sure it is.

    Args:
        session: a reference to one or several sessions, or `ALL`; None for the newest.

    Raises:
        SessionNotFound: naming the closest.

    Example:
        >>> from peaky_peek import trace_session
        >>> with trace_session("office"):
        ...     with trace_session("clerk"):
        ...         pass
        >>> handoffs("office")[["from_agent", "to_agent", "kind"]].values.tolist()
        [['office', 'clerk', 'calls']]
    """
    db = store.current()
    db.ingest()
    session_ids = resolve_many(session, db)
    known = columns.join(columns.read(db, session_ids))
    agent_of = dict(zip(known.texts["event_id"], known.texts["agent"], strict=True))
    events = [event for session_id in session_ids for event in reader.read_events(db, session_id, _TYPES)]
    found = _found(sorted(events, key=lambda event: event.position), agent_of)
    rows = [row for row in found if row["from_agent"] and row["to_agent"] and row["from_agent"] != row["to_agent"]]
    return dtypes.frame("handoffs", {name: [row[name] for row in rows] for name in dtypes.SCHEMA["handoffs"]})


def _found(events: list[Event], agent_of: dict[str, str | None]) -> Iterator[dict[str, Any]]:
    have_spans = {_agent(event) for event in events if isinstance(event, AgentStart)}
    told: set[str] = set()
    starts: dict[str, AgentStart] = {}
    ended: dict[str | None, AgentEnd] = {}
    last_turn: dict[str | None, AgentTurn] = {}
    for event in events:
        if isinstance(event, ToolCall) and isinstance(event.metadata.get("handoff"), dict):
            told.add(event.id)
            handoff = event.metadata["handoff"]
            yield _row(event, "handoff", handoff.get("from") or event.agent, handoff.get("to"), event.arguments)
        elif isinstance(event, AgentStart):
            starts[event.id] = event
            before, outer = ended.get(event.parent_id), agent_of.get(event.parent_id or "")
            if told.intersection(event.upstream_event_ids):
                continue  # its handoff has a row
            if before is not None and _is_in(before.output, event.input):
                yield _row(event, "passes on", _agent(starts[str(before.parent_id)]), _agent(event), before.output)
            else:
                yield _row(event, "calls", outer, _agent(event), event.input)
        elif isinstance(event, AgentEnd) and event.parent_id in starts:
            ended[starts[event.parent_id].parent_id] = event
        elif isinstance(event, AgentTurn) and _speaker(event) not in have_spans:
            before_it = last_turn.get(event.parent_id)
            last_turn[event.parent_id] = event
            if before_it is not None:
                yield _row(event, "turn", _speaker(before_it), _speaker(event), before_it.content)


def _row(event: Event, kind: str, source: Any, target: Any, content: Any) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "session_id": event.session_id,
        "timestamp": event.timestamp,
        "from_agent": source,
        "to_agent": target,
        "kind": kind,
        "content": content,
        "weight": _SURE[kind],
    }


def _agent(event: Event) -> str | None:
    return event.agent or event.name


def _speaker(turn: AgentTurn) -> str | None:
    return turn.speaker or turn.agent_id or turn.agent


def _is_in(output: Any, given: Any) -> bool:
    """Tell whether what one returned stands in what the next was given."""
    said = encode(output)
    said = said[1:-1] if isinstance(output, str) else said
    return len(said) >= _SHORTEST and said in encode(given)
