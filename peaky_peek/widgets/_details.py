"""One step prepared for reading: facts and sections, laid out for its kind, as the inspector shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from peaky_peek.encoding import Cut, as_text
from peaky_peek.events import AgentStart, Error, Event, LLMRequest, LLMResponse, ToolResult
from peaky_peek.widgets import _kinds, _text
from peaky_peek.widgets._messages import conversation
from peaky_peek.widgets._surroundings import Surroundings
from peaky_peek.widgets._values import Path, cut_text, parsed, presentable

_SHORT = 80
_MOST_IDS = 50
_FOLDED = {"tools", "settings", "memory", "data", "metadata"}
_IN_CONVERSATION = {"messages", "content", "thinking", "tool_calls"}
_AS_FACTS = {"usage", "cost_usd", "time_to_first_token_ms"}
_READ = {"code", "reasoning", "result", "output", "error", "error_type", "error_message", "stack_trace"}
_IF_ANY = {"alternatives", "evidence", "evidence_event_ids", "related_event_ids", "tools", "settings"}
_CHOICE = {"confidence", "chosen_action"}
_NEVER_FACTS = _IN_CONVERSATION | _AS_FACTS | _READ | _CHOICE
_USUAL = {"complete": True, "stream": False}
"""What goes without saying."""
_WORDS = {
    "tools": "Tools offered",
    "call_id": "Call id",
    "data": "Data",
    "chosen_action": "Chosen action",
    "evidence_event_ids": "Evidence events",
    "upstream_event_ids": "Caused by",
    "time_to_first_token_ms": "First token after",
}


def details(
    row: int, step: Mapping[str, Any], events: Sequence[Event], around: Surroundings | None = None
) -> dict[str, Any]:
    """Return the `details` message of a step.

    Args:
        row: of the step.
        step: its row of the steps frame, unknown is None.
        events: its events in order.
        around: what is known of other steps; None when it is read alone.
    """
    opener = events[0]
    agent = f" · {opener.agent}" if opener.agent else ""
    return {
        "type": "details",
        "row": row,
        "event_id": opener.id,
        "title": _text.one_line(opener.name),
        "subtitle": _text.one_line(f"{_type(opener)}{agent}"),
        "facts": [[label, _text.visible(text)] for label, text in _facts(step, events) if text],
        "sections": list(_sections(events, around or Surroundings())),
    }


def _type(event: Event) -> str:
    """Return what people call the step that the event opens."""
    words = {"agent_start": "agent", "agent_end": "agent", "llm_request": "LLM call", "llm_response": "LLM answer"}
    return words.get(event.event_type, event.event_type.replace("_", " "))


def _facts(step: Mapping[str, Any], events: Sequence[Event]) -> Iterator[tuple[str, str]]:
    """Yield what is said in a word or two: first the same of every step, then its short fields, then its ids."""
    opener, closer = events[0], events[-1]
    time = opener.timestamp
    yield "Time", f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03} UTC" if time else ""
    yield "Duration", _text.duration(step["duration_ms"]) or ("still running" if step["running"] else "")
    yield "Status", "failed" if step["failed"] else closer.status or ""
    yield "Suspect", step["suspect"] or ""
    if isinstance(closer, LLMResponse):
        yield _WORDS["time_to_first_token_ms"], _text.duration(closer.time_to_first_token_ms)
        yield "Tokens", _tokens(closer.usage if isinstance(closer.usage, dict) else {})
    yield "Cost", _text.cost(step["cost_usd"])
    said = {}
    for event in events:
        said.update({name: value for name, value in event.typed().items() if _is_fact(name, value)})
    said = {name: value for name, value in said.items() if value != opener.name and value is not _USUAL.get(name)}
    for name, value in said.items():
        yield _label(name), {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    if isinstance(handoff := opener.metadata.get("handoff"), dict):
        yield (
            "Hands over",
            " → ".join(_text.one_line(str(handoff[side])) for side in ("from", "to") if handoff.get(side)),
        )
    yield "Importance", "" if step["importance"] is None else f"{step['importance']:.2f}"


def _tokens(usage: Mapping[str, Any]) -> str:
    """Return the tokens in and out, with the part that was cached or thought."""
    parts = []
    for side, extra, word in (("input", "cache_read", "cached"), ("output", "reasoning", "reasoning")):
        if isinstance(usage.get(side), int):
            inside = f" ({usage[extra]:,} {word})" if isinstance(usage.get(extra), int) and usage[extra] else ""
            parts.append(f"{usage[side]:,} {'in' if side == 'input' else 'out'}{inside}")
    return " → ".join(parts)


def _is_fact(name: str, value: Any) -> bool:
    """Tell whether a field is short enough to be read at a glance."""
    if name in _NEVER_FACTS:
        return False
    if isinstance(value, str):
        return len(value) <= _SHORT and "\n" not in value and parsed(value) is value
    return isinstance(value, (bool, float)) or (isinstance(value, int) and value.bit_length() <= 64)


def _sections(events: Sequence[Event], around: Surroundings) -> Iterator[dict[str, Any]]:
    """Yield what takes reading: what is laid out for its kind, then every other field in the order it happened."""
    requests = [event for event in events if isinstance(event, LLMRequest)]
    responses = [event for event in events if isinstance(event, LLMResponse)]
    if requests or responses:
        turns = conversation(requests[0] if requests else None, responses[0] if responses else None)
        yield {"title": "Conversation", "kind": "messages", "messages": turns}
    laid_out = _kinds.layout(events, around)
    yield from laid_out.sections
    for position, event in enumerate(events):
        if isinstance(event, Error):
            yield _error(event, position)
        elif isinstance(event, ToolResult) and event.error is not None:
            message = cut_text(event.error, [position, "error"])
            yield {"title": "Error", "kind": "error", "error_type": "", "message": message}
        for name, value in event.typed().items():
            if name not in laid_out.fields and not _is_fact(name, value) and not _is_told(event, name):
                yield _section(event, name, value, [position, name])
    yield from laid_out.below
    for position, event in enumerate(events):
        for name in ("data", "metadata"):
            value = getattr(event, name)
            is_told = position > 0 and value == getattr(events[0], name)
            if value and not is_told and value.keys() != {"handoff"}:
                yield _section(event, name, value, [position, name])
    yield from _ids(events, around)


def _ids(events: Sequence[Event], around: Surroundings) -> Iterator[dict[str, Any]]:
    """Yield what the step belongs to, as links, and its ids."""
    opener = events[0]
    upstream = [str(cause) for event in events for cause in event.upstream_event_ids]
    if causes := _kinds.links("Caused by", around.rows(upstream)):
        yield causes
    facts = [[_label(f"{event.event_type}_id"), _text.visible(event.id)] for event in events]
    known = {event_id for _, event_id, _, _ in around.rows(upstream)}
    facts += [["Caused by", _text.visible(cause)] for cause in upstream[:_MOST_IDS] if cause not in known]
    if opener.parent_id:
        facts.append(["Inside", _text.visible(opener.parent_id)])
    yield {"title": "Ids", "kind": "facts", "facts": facts, "open": False}


def _is_told(event: Event, name: str) -> bool:
    """Tell whether a field says nothing, or is shown elsewhere: in the conversation, as a fact, or as an error."""
    if name in _IF_ANY and not getattr(event, name):
        return True
    if isinstance(event, (LLMRequest, LLMResponse)):
        return name in _IN_CONVERSATION | _AS_FACTS
    return isinstance(event, Error) or (isinstance(event, ToolResult) and name == "error")


def _error(event: Error, position: int) -> dict[str, Any]:
    kind, message, trace = (
        "" if said is None else as_text(said) for said in (event.error_type, event.error_message, event.stack_trace)
    )
    section = {
        "title": "Error",
        "kind": "error",
        "error_type": _text.one_line(kind),
        "message": cut_text(message, [position, "error_message"]),
    }
    if trace:
        section["trace"] = cut_text(trace, [position, "stack_trace"])
    return section


def _section(event: Event, name: str, value: Any, path: Path) -> dict[str, Any]:
    """Return one field as a section: code as code, JSON as JSON, text as text."""
    head = {"title": _label(name), "open": False} if name in _FOLDED else {"title": _label(name)}
    if name == "code" and isinstance(event, AgentStart):
        return {**head, "kind": "code", "language": "python", **cut_text(str(value), path)}
    shown = parsed(value)
    if isinstance(shown, str) and not isinstance(shown, Cut):
        return {**head, "kind": "text", **cut_text(shown, path)}
    return {**head, "kind": "json", "value": presentable(shown, path)}


def _label(name: str) -> str:
    return _WORDS.get(name, name.replace("_", " ").capitalize().replace("Llm", "LLM"))
