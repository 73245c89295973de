"""Recorded runs as outlines that read like the picture, so that a test says what it expects to see.

    session triage pydantic_ai completed
      agent triage 'Book a flight' -> 'Booked.'
        llm gpt-4o-mini 11/7
        decision book_flight
        tool book_flight {'to': 'Rome'} -> 'F-1'
        llm gpt-4o-mini 11/7

A pair of events is one line. What was never closed ends with `(open)`, what was closed twice has a line more, and what
nobody recorded but the wire has `(derived)`; `<-` names the events that an agent or tool follows from.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from typing import Any

from peaky_peek.store import Database
from peaky_peek.store.reader import read_events
from peaky_peek.vocabulary import CLOSES

_STARTS = {"agent_start": "agent", "llm_request": "llm", "tool_call": "tool"}


def tree(picture: str) -> str:
    """An outline as it stands in a test."""
    return textwrap.dedent(picture).strip("\n").rstrip()


def outline(store: Database, *, states: bool = True) -> str:
    """Everything in a store: the sessions in the order in which they began, and below each its events.

    Without `states` agents do not say what they were given and what they returned.
    """
    store.ingest()
    assert store.connection().execute("SELECT reason FROM unreadable").fetchall() == []
    return "\n".join(line for session in sessions(store) for line in _of_session(store, session, states=states))


def sessions(store: Database) -> list[dict[str, Any]]:
    """The rows of the sessions, in the order in which they began."""
    store.ingest()
    found = store.connection().execute("SELECT * FROM sessions ORDER BY position")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def events(store: Database, *types: str) -> list[Any]:
    """The events of all sessions, in order; all types, or these."""
    found = [event for session in sessions(store) for event in read_events(store, session["session_id"])]
    return [event for event in found if not types or event.event_type in types]


def _of_session(store: Database, session: dict[str, Any], *, states: bool) -> list[str]:
    found = list(read_events(store, session["session_id"]))
    names = {event.id: event.name for event in found}
    closing: dict[str, list[Any]] = defaultdict(list)
    below: dict[str | None, list[Any]] = defaultdict(list)
    kinds = {event.id: event.event_type for event in found}
    for event in found:
        opened = CLOSES.get(event.event_type)
        if opened and kinds.get(event.parent_id) == opened and not closing[event.parent_id]:
            closing[event.parent_id].append(event)
        else:
            below[event.parent_id if event.parent_id in names else None].append(event)

    def lines(parent: str | None, depth: int) -> list[str]:
        made = []
        for event in below[parent]:
            made.append("  " * depth + _line(event, closing[event.id], names, states=states))
            made += lines(event.id, depth + 1)
        return made

    title = [session["name"], session["framework"], session["status"]]
    return [" ".join(["session", *map(str, filter(None, title))]), *lines(None, 1)]


def _line(event: Any, closing: list[Any], names: dict[str, str], *, states: bool) -> str:
    kind = event.event_type.value
    end = closing[0] if closing else None
    is_silent = kind == "agent_start" and not states
    says = _SAYS.get(kind if not is_silent else "", lambda event, end: [])
    return " ".join([_STARTS.get(kind, kind), event.name, *says(event, end), *_marks(event, end, names)])


def _marks(event: Any, end: Any, names: dict[str, str]) -> list[str]:
    marks = []
    if event.event_type in CLOSES.values():
        marks += ["(open)"] if end is None else [] if end.status in ("ok", None) else [f"({end.status})"]
    is_derived = bool(event.metadata.get("derived"))
    if is_derived is (event.event_type != "decision"):  # decisions mostly are
        marks.append("(derived)" if is_derived else "(own)")
    if handoff := event.metadata.get("handoff"):
        marks.append(f"[{handoff['from']} => {handoff['to']}]")
    if event.event_type in ("agent_start", "tool_call") and not is_derived:
        marks += [f"<- {names.get(cause, cause)}" for cause in event.upstream_event_ids]
    return marks


def _given(value: Any) -> list[str]:
    return [] if value is None else [repr(value)]


def _came(value: Any) -> list[str]:
    return [] if value is None else [f"-> {value!r}"]


def _result(end: Any) -> list[str]:
    error = getattr(end, "error", None)
    return [f"!! {_first_line(error)}"] if error is not None else _came(getattr(end, "result", None))


def _tokens(end: Any) -> list[str]:
    usage = getattr(end, "usage", None) or {}
    return [f"{usage['input']}/{usage['output']}"] if "input" in usage else []


def _first_line(text: Any) -> str:
    return next(iter(str(text).splitlines()), "")


_SAYS = {
    "agent_start": lambda event, end: [*_given(event.input), *_came(getattr(end, "output", None))],
    "tool_call": lambda event, end: [*_given(event.arguments), *_result(end)],
    "llm_request": lambda event, end: _tokens(end),
    "error": lambda event, end: [_first_line(event.error_message)],
    "safety_check": lambda event, end: [event.outcome, *_given(event.blocked_action)],
}
"""What the line of an event says besides its name."""
