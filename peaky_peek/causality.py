"""What led to what: the edges of a session's causal graph, each with what says so."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from peaky_peek.events import (
    AgentEnd,
    AgentStart,
    AgentTurn,
    Decision,
    Event,
    LLMRequest,
    LLMResponse,
    ToolCall,
    ToolResult,
)
from peaky_peek.steps import with_nested
from peaky_peek.store import calls, dtypes, reader
from peaky_peek.values import texts_in, values_in
from peaky_peek.vocabulary import CLOSES

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.store.database import Database

KINDS = {
    "result": "what was asked for or called, and what came back",
    "asked": "an answer of a model, the decision read from it, and the call that it asked for",
    "parent": "what happened inside an event",
    "explicit": "events named as upstream or as evidence when it was recorded",
    "context": "a text that comes back in a prompt, or as the input of an agent",
    "value": "a rare value, such as an id or an amount, that comes back",
}
"""The kinds of edges, the surest first."""

_PARENT, _EXPLICIT, _CONTEXT = 1.0, 0.98, 0.9
_VALUE = 0.6  # of a value that is nowhere rare; up to 1 for the rarest
_MOST_USES = 24  # of a value; what is used more often tells nothing about where it came from
_MOST_SOURCES = 4  # of an event, by values
_SENTENCE = re.compile(r"(?<=[.!?:])\s+|\n+")
_SHORTEST = 20  # characters of a sentence that hardly two people write alike

Edge = tuple[str, str, str, float, str]


def edges(db: Database, session_id: str) -> pd.DataFrame:
    """Return what led to what in a session and those nested in it.

    Args:
        db: the store.
        session_id: the session.

    Returns:
        One row per pair of events and kind: source and target (event ids), kind (of `KINDS`), weight (0 to 1, how sure
        it is) and evidence (what says so, in words). A source is not always earlier: people may name anything as
        upstream.
    """
    return edges_between(events_of(db, session_id))


def events_of(db: Database, session_id: str) -> list[Event]:
    """Return the events of a session and of those nested in it, in order; requests hold their new messages only."""
    session_ids, _, _ = with_nested(db, session_id)
    events = [one for each in session_ids for one in reader.read_events(db, each, whole=False)]
    if len(session_ids) > 1:
        events.sort(key=lambda one: one.position)
    return events


def edges_between(events: list[Event]) -> pd.DataFrame:
    """Return the rows of `edges` for these events, which are in order and whose requests hold new messages only."""
    columns: list[list[Any]] = [[] for _ in dtypes.SCHEMA["edges"]]
    for row in ways(events):
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return dtypes.frame("edges", dict(zip(dtypes.SCHEMA["edges"], columns, strict=True)))


def ways(events: list[Event]) -> Iterator[Edge]:
    """Yield the rows of `edges_between` one by one: source, target, kind, weight, evidence."""
    known = {one.id for one in events}
    for found in (_recorded(events), _asked(events), _contexts(events), _shared_values(events)):
        yield from (row for row in found if row[0] in known and row[0] != row[1])


def _recorded(events: list[Event]) -> Iterator[Edge]:
    """Yield what was said when it was recorded."""
    kinds = {one.id: one.kind for one in events}
    for one in events:
        if one.parent_id is not None:
            closes = CLOSES.get(one.kind) == kinds.get(one.parent_id)
            evidence = "what came back" if closes else "happened inside it"
            yield one.parent_id, one.id, "result" if closes else "parent", _PARENT, evidence
        named = dict.fromkeys(_names(getattr(one, "related_event_ids", None)), "what the alert is about")
        named |= dict.fromkeys(_names(getattr(one, "evidence_event_ids", None)), "recorded as evidence")
        named |= dict.fromkeys(_names(one.upstream_event_ids), "recorded as upstream")
        for source, evidence in named.items():
            yield source, one.id, "explicit", _EXPLICIT, evidence


def _names(ids: Any) -> Iterator[str]:
    return (one for one in ids if isinstance(one, str)) if isinstance(ids, list) else iter(())


def _asked(events: list[Event]) -> Iterator[Edge]:
    """Yield the ways from an answer through its decision to the calls it asked for."""
    answers = {one.parent_id: one.id for one in events if isinstance(one, LLMResponse) and one.parent_id}
    for call, request in calls.asked_by(events).items():
        yield answers.get(request, request), call, "asked", _PARENT, "the answer asks for this call"
    last: dict[Any, str] = {}
    chosen: dict[Any, str] = {}
    for one in events:
        if isinstance(one, LLMResponse):
            last[one.session_id, one.agent] = one.id
        elif isinstance(one, Decision):
            answer = last.get((one.session_id, one.agent))
            if answer is not None and one.metadata.get("derived") is True:
                yield answer, one.id, "asked", _PARENT, "read from this answer"
            if isinstance(one.chosen_action, str):
                chosen[one.session_id, one.agent, one.chosen_action] = one.id
        elif isinstance(one, ToolCall):
            decision = chosen.pop((one.session_id, one.agent, one.tool_name), None)
            if decision is not None:
                yield decision, one.id, "asked", _PARENT, "the decision chose this call"


def _contexts(events: list[Event]) -> Iterator[Edge]:
    """Yield where a text comes back: in a prompt, as the input of an agent, as what it says in the end."""
    by_call_id: dict[str, str] = {}
    by_text: dict[str, str] = {}
    seen: dict[Any, set[str]] = defaultdict(set)
    for one in events:
        found: dict[str, str] = {}
        for text, call_id in _read(one, seen):
            whole = by_call_id.get(call_id or "") or by_text.get(text.strip())
            if whole is not None:
                found[whole] = "repeats it word for word"
                continue
            for sentence in _sentences(text):
                if sentence in by_text:
                    found.setdefault(by_text[sentence], f"both say {_quoted(sentence)}")
        for source, evidence in found.items():
            yield source, one.id, "context", _CONTEXT, evidence
        for text in _said(one):
            by_text |= dict.fromkeys(_sentences(text), one.id)
            if len(text) >= _SHORTEST:
                by_text[text.strip()] = one.id
        if isinstance(one, ToolResult) and isinstance(one.call_id, str):
            by_call_id[one.call_id] = one.id


def _read(one: Event, seen: dict[Any, set[str]]) -> Iterator[tuple[str, str | None]]:
    """Yield the texts that an event was given, with the id of the call whose result each is."""
    if isinstance(one, LLMRequest):
        earlier = seen[one.session_id, one.agent]
        for message in one.messages if isinstance(one.messages, list) else [one.messages]:
            text = "\n".join(texts_in(calls.parts_of(message) if isinstance(message, dict) else message))
            call_id = message.get("tool_call_id") or message.get("call_id") if isinstance(message, dict) else None
            if text not in earlier:  # a short conversation is sent whole each time
                earlier.add(text)
                yield text, call_id if isinstance(call_id, str) else None
    elif isinstance(one, AgentStart):
        yield from ((text, None) for text in texts_in(one.input))
    elif isinstance(one, (AgentEnd, AgentTurn)):
        yield from ((text, None) for text in _said(one))


def _said(one: Event) -> Iterable[str]:
    """Return the texts that later events may repeat."""
    if isinstance(one, LLMResponse):
        return texts_in(one.content)
    if isinstance(one, AgentEnd):
        return texts_in(one.output)
    if isinstance(one, AgentTurn):
        return texts_in(one.content)
    if isinstance(one, AgentStart):
        return texts_in(one.input)
    if isinstance(one, ToolResult):
        whole = one.result if one.error is None else one.error
        return [*texts_in(whole), *([_json(whole)] if isinstance(whole, (dict, list)) else ())]
    return ()


def _json(value: Any) -> str:
    try:
        return json.dumps(value, default=str)
    except (ValueError, TypeError, RecursionError):
        return ""


def _sentences(text: str) -> Iterator[str]:
    if text.lstrip()[:1] in ("{", "["):
        return iter(())  # JSON comes back as a whole, or as values
    return (part for each in _SENTENCE.split(text) if len(part := each.strip()) >= _SHORTEST)


def _quoted(text: str) -> str:
    return f"“{text if len(text) <= 60 else text[:59] + '…'}”"


def _shared_values(events: list[Event]) -> Iterator[Edge]:
    """Yield the ways of rare values, from the event that first told one to those that use it."""
    number: dict[str, int] = {}  # flat lists of numbers, for hundreds of thousands of lists would keep Python busy
    first: list[int] = []
    held: list[int] = []
    rows: list[int] = []
    for row, one in enumerate(events):
        for value in values_in(told(one)):
            at = number.setdefault(value, len(first))
            if at == len(first):
                first.append(row)
            held.append(at)
            rows.append(row)
    count = np.bincount(held, minlength=len(first)).tolist()
    rarest = math.log(max(len(events), 3) / 2)
    names = list(number)
    for row, pairs in groupby(zip(rows, held, strict=True), key=itemgetter(0)):
        sources: dict[int, list[int]] = {}
        for _, at in pairs:
            if first[at] < row and count[at] <= _MOST_USES:
                sources.setdefault(first[at], []).append(at)
        best = sorted(sources, key=lambda source: (min(count[at] for at in sources[source]), -source))
        for source in best[:_MOST_SOURCES]:
            shared = sorted(sources[source], key=count.__getitem__)
            rarity = math.log(len(events) / count[shared[0]]) / rarest
            weight = round(_VALUE + (1 - _VALUE) * min(max(rarity, 0.0), 1.0), 3)
            shown = ", ".join(names[at] for at in shared[:3])
            yield events[source].id, events[row].id, "value", weight, f"both hold {shown}"


def told(one: Event) -> Any:
    """Return what an event itself tells; of a prompt that is what people wrote, for the rest was said before."""
    if isinstance(one, LLMRequest):
        messages = one.messages if isinstance(one.messages, list) else [one.messages]
        return [each.get("content") for each in messages if isinstance(each, dict) and each.get("role") == "user"]
    if isinstance(one, AgentStart):
        return one.input
    if isinstance(one, LLMResponse):
        return [one.content, [call.arguments for call in calls.tool_requests(one.tool_calls)]]
    if isinstance(one, ToolCall):
        return one.arguments
    if isinstance(one, ToolResult):
        return one.result if one.error is None else one.error
    if isinstance(one, AgentTurn):
        return one.content
    known = one.typed()
    return [value for name, value in known.items() if not name.endswith("event_ids") and name not in _NOT_SAID]


_NOT_SAID = {"alternatives", "state", "memory", "stack_trace"}
