"""The conversation of a session: who said what, each thing once, and how it answers what was said before."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peaky_peek.encoding import as_text
from peaky_peek.events import AgentTurn, Event, LLMResponse, ToolCall, ToolResult
from peaky_peek.store import calls, current, dtypes, reader
from peaky_peek.store.sessions import resolve_many

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.store.database import Database

ROLES = ("system", "user", "assistant", "tool", "turn", "note")
"""Who speaks: a `tool` is called and answers, for a `turn` no model was asked, a `note` tells of a failure."""

_TYPES = (
    "llm_request llm_response tool_call tool_result agent_turn error refusal policy_violation safety_check"
    " behavior_alert"
).split()
_ROLE_OF = {"developer": "system", "model": "assistant", "function": "tool"}
_WORDS = re.compile(r"\w{4,}")
_IN_A_ROW = 5
"""So many words in a row are said again, or not."""
_LONGEST = 20_000


@dataclass(slots=True)
class Line:
    """Something said, by the event that says it."""

    event: Event
    index: int
    """Of the message among the new ones of its request; -1 for what the event itself says."""
    role: str
    speaker: str | None
    text: str
    turn_index: int | None = None
    responsiveness: float | None = None
    non_repetition: float | None = None


def turns(session: Any = None) -> pd.DataFrame:
    """Return the conversation, one row per thing said: messages, calls of tools, turns, failures, in order.

    `responsiveness` is the share of its words that the one before it used, `non_repetition` the share of its phrases
    that this speaker has not said before; both are NA where there is nothing to compare. `turn_index` counts the turns
    of each speaker.

    Args:
        session: a reference to one or several sessions, or `ALL`; None for the newest.

    Raises:
        SessionNotFound: naming the closest.

    Example:
        >>> from peaky_peek import trace_session
        >>> with trace_session("talk") as ctx:
        ...     one = ctx.record_agent_turn("a", "ann", 0, content="Shall we book the Trattoria on Thursday?")
        ...     other = ctx.record_agent_turn("b", "bob", 1, content="Book the Trattoria")
        >>> turns("talk")[["speaker", "responsiveness"]].values.tolist()[1]
        ['bob', 1.0]
    """
    db = current()
    db.ingest()
    rows = [_row(line) for line in lines(db, resolve_many(session, db))]
    return dtypes.frame("dialogue", {name: [row[name] for row in rows] for name in dtypes.SCHEMA["dialogue"]})


def lines(db: Database, session_ids: Iterable[str]) -> list[Line]:
    """Return what was said in some sessions, in the order in which it was."""
    found = [
        line for session_id in session_ids for line in _lines(reader.read_events(db, session_id, _TYPES, whole=False))
    ]
    found.sort(key=lambda line: line.event.position)
    _compare(found)
    return found


def _lines(events: list[Event]) -> Iterator[Line]:
    said_by: dict[str, str | None] = {}
    yield from _messages(events, said_by)
    opened = set()
    for event in events:
        if isinstance(event, AgentTurn):
            text = text_of(event.content)
            if text not in said_by:
                yield Line(event, -1, "turn", event.speaker or event.agent_id or event.agent, text)
        elif isinstance(event, ToolCall):
            opened.add(event.id)
            yield Line(event, -1, "tool", as_text(event.tool_name or event.name), "")
        elif isinstance(event, ToolResult):
            if event.parent_id not in opened:
                yield Line(event, -1, "tool", as_text(event.tool_name or event.name), "")
        elif event.failed:
            yield Line(event, -1, "note", event.name, "")


def _messages(events: list[Event], said_by: dict[str, str | None]) -> Iterator[Line]:
    """Yield what was said to models and by them; `said_by` learns who said each text first."""
    answered = _answered(events)
    for event, index, message in calls.said(events):
        role = as_text(message.get("role") or "user")
        role = _ROLE_OF.get(role, role if role in ROLES else "user")
        results = _results(message)
        if results and results <= answered:
            continue  # it stands beside its call
        role = "tool" if results else role
        text = text_of(calls.parts_of(message))
        speaker = event.agent or event.name if role == "assistant" else said_by.get(text, role)
        if text.strip():
            said_by.setdefault(text, speaker)
        yield Line(event, index, role, speaker, text)


def text_of(content: Any) -> str:
    """Return the text of what was said: all of it, or that of its parts."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list):
        texts = [part.get("text") if isinstance(part, dict) else part for part in content]
        return "\n".join(text for text in texts if isinstance(text, str))
    return as_text(content)


def _answered(events: list[Event]) -> set[str]:
    """Return the ids of the calls whose results were recorded, those of tools that know of no ids by their order."""
    asked: dict[str, deque[str]] = defaultdict(deque)
    id_of: dict[str, str] = {}
    found = set()
    for event in events:
        if isinstance(event, LLMResponse):
            for call in calls.tool_requests(event.tool_calls):
                asked[call.name or ""].append(call.call_id or call.name or "")
        elif isinstance(event, ToolCall):
            waiting = asked[as_text(event.tool_name or event.name)]
            known = event.call_id if isinstance(event.call_id, str) else None
            if known is not None and known in waiting:
                waiting.remove(known)
            elif known is None and waiting:
                known = waiting.popleft()
            if known is not None:
                id_of[event.id] = known
        elif isinstance(event, ToolResult):
            found.add(id_of.get(event.parent_id or "", as_text(event.call_id)))
    return found


def _results(message: dict[str, Any]) -> set[str]:
    """Return the ids of the calls that a message holds the results of, or their tools where there are no ids."""
    if message.get("role") in ("tool", "function"):
        return {as_text(message.get("tool_call_id") or message.get("name"))}
    parts = calls.parts_of(message)
    found = set()
    for part in parts if isinstance(parts, list) else []:
        if not isinstance(part, dict):
            return set()
        result = part.get("functionResponse")
        if part.get("type") == "tool_result":
            found.add(as_text(part.get("tool_use_id")))
        elif isinstance(result, dict):
            found.add(as_text(result.get("id") or result.get("name")))
        else:
            return set()
    return found


def _compare(found: list[Line]) -> None:
    """Say of each turn how it answers the one before it, and whether its speaker has said it before."""
    counts: dict[str | None, int] = defaultdict(int)
    spoken: dict[str | None, set[int]] = defaultdict(set)
    before: Line | None = None
    for line in found:
        if line.role not in ("user", "assistant", "turn") or not line.text.strip():
            continue
        line.turn_index = counts[line.speaker]
        counts[line.speaker] += 1
        said = _WORDS.findall(line.text[:_LONGEST].lower())
        words = set(said)
        if before is not None and before.speaker != line.speaker and words:
            heard = set(_WORDS.findall(before.text[:_LONGEST].lower()))
            line.responsiveness = len(words & heard) / len(words)
        phrases = {hash(tuple(said[at : at + _IN_A_ROW])) for at in range(len(said) - _IN_A_ROW + 1)}
        known = spoken[line.speaker]
        if phrases and known:
            line.non_repetition = 1 - len(phrases & known) / len(phrases)
        known |= phrases
        before = line


def _row(line: Line) -> dict[str, Any]:
    event = line.event
    usage = event.usage if isinstance(event, LLMResponse) and isinstance(event.usage, dict) else {}
    return {
        "event_id": event.id,
        "session_id": event.session_id,
        "agent": event.agent,
        "timestamp": event.timestamp,
        "role": line.role,
        "speaker": line.speaker,
        "turn_index": line.turn_index,
        "text": line.text or None,
        "output_tokens": usage.get("output"),
        "responsiveness": line.responsiveness,
        "non_repetition": line.non_repetition,
        "failed": event.failed,
        "suspect": event.suspect,
    }
