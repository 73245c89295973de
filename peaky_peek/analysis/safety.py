"""The safety trail: what the agent did to the world, who checked it, and what became of what was stopped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from peaky_peek.analysis.actions import Action
from peaky_peek.analysis.guard import Guard
from peaky_peek.store import columns, current, dtypes, reader
from peaky_peek.store.sessions import resolve_many

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.store.database import Database

_TYPES = "tool_call tool_result safety_check refusal policy_violation decision".split()


def trail(session: Any = None) -> pd.DataFrame:
    """Return one row per action with an effect on the world, in order, and one per check, refusal or violation of none.

    An action is a tool call that writes, sends, pays, deletes, books or executes, as its recording says (an `effect` in
    its metadata, the hints of an MCP tool) or its name does; and any that a policy had something to say about.

    `verdict` is `guarded` (a check passed before it was done), `unchecked` (nobody looked), `refused` (it was stopped,
    and stayed so), `bypassed` (it was stopped, and done all the same, in this way or another: `executed_after` is the
    event that did it) or `violated` (it was done, and a policy was found broken by it). `after` says in words what
    happened then, and `evidence_event_ids` names all events that the row was made from.

    Args:
        session: a reference to one or several sessions, or `ALL`; None for the newest. What happens in several of one
            tree is read in the order in which it happened.

    Raises:
        SessionNotFound: naming the closest.

    Example:
        >>> from peaky_peek import trace_session
        >>> with trace_session("assistant") as ctx:
        ...     call = ctx.record_tool_call("send_mail", {"to": "sam@home.example"})
        ...     result = ctx.record_tool_result("send_mail", "sent", parent_id=call)
        >>> trail("assistant")[["action", "effect", "outcome", "verdict"]].values.tolist()
        [['send_mail', 'send', 'done', 'unchecked']]
    """
    db = current()
    db.ingest()
    rows = [_row(action) for tree in _trees(db, resolve_many(session, db)) for action in _actions(db, tree)]
    return dtypes.frame("safety", {name: [row[name] for row in rows] for name in dtypes.SCHEMA["safety"]})


def _trees(db: Database, session_ids: list[str]) -> Iterator[list[str]]:
    """Yield the sessions meant, those of one tree together."""
    trees: dict[str, list[str]] = {}
    for one in reader.read_sessions(db, session_ids):
        trees.setdefault(one.root_session_id or one.session_id, []).append(one.session_id)
    yield from trees.values()


def _actions(db: Database, session_ids: list[str]) -> list[Action]:
    known = columns.join(columns.read(db, session_ids))
    is_asked = known.numbers["event_type"] == columns.EVENT_TYPES.index("llm_request")
    guard = Guard(
        parent_of=dict(zip(known.texts["event_id"], known.texts["parent_id"], strict=True)),
        asked=sorted(known.numbers["position"][is_asked].tolist()),
    )
    events = [event for session_id in session_ids for event in reader.read_events(db, session_id, _TYPES)]
    for event in sorted(events, key=lambda event: event.position):
        guard.feed(event)
    return guard.listed()


def _row(action: Action) -> dict[str, Any]:
    about = action.events[0]
    check, refusal, violation = action.check, action.refusal, action.violation
    said = [one for one in (check, refusal, violation) if one is not None]
    risks = [getattr(one, "risk_level", None) or getattr(one, "severity", None) for one in said]
    return {
        "event_id": about.id,
        "session_id": about.session_id,
        "agent": about.agent,
        "timestamp": about.timestamp,
        "action": action.name,
        "effect": action.effect,
        "arguments": action.arguments,
        "policy": next((one.policy_name for one in said if one.policy_name), None),
        "check": check and check.outcome,
        "risk": next((risk for risk in risks if risk), None),
        "outcome": action.outcome,
        "block": check.rationale or check.blocked_action if check is not None and check.failed else None,
        "refusal": refusal and refusal.reason,
        "violation": violation and (violation.violation_type or violation.name),
        "executed_after": action.ways[0][0].events[0].id if action.ways else None,
        "after": action.after,
        "verdict": action.verdict,
        "evidence_event_ids": [event.id for event in action.evidence()],
    }
