"""The dim text after a step's name: its arguments, its first words, its outcome, on one line."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from peaky_peek.events import (
    AgentEnd,
    AgentStart,
    Decision,
    Error,
    Event,
    LLMRequest,
    LLMResponse,
    ToolCall,
    ToolResult,
)
from peaky_peek.widgets._messages import answer, calls_of, content_of, message_text, role_of
from peaky_peek.widgets._text import one_line
from peaky_peek.widgets._values import parsed

_PART = 60
_SHOWN = 6
_WAITS = "__interrupt__"
"""Where LangGraph says what a run waits for before it goes on."""


def preview(events: Sequence[Event]) -> str:
    """Return one line of at most 120 characters about a step, given its events in order."""
    target = _target(events)
    parts = [_opening(events[0]), *(_closing(event) for event in events[1:])]
    told = " → ".join(part for part in parts if part not in ("", target))
    told = " ".join(part for part in (_server(events), told) if part)
    return one_line(" · ".join(part for part in (target and f"⇒ {target}", told) if part))


def brief(value: Any, depth: int = 0) -> str:
    """Return a value as people jot it down.

    >>> brief({"city": "Paris", "days": [1, 2]}), brief("a"), brief(None)
    ('city=Paris, days=[1, 2]', 'a', '')
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return one_line(value, _PART)
    if isinstance(value, (dict, list, tuple)):
        return _brief_items(value, depth)
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length():,} bits"
    return one_line(str(value), _PART)


def _server(events: Sequence[Event]) -> str:
    """Return the MCP server that a tool ran on."""
    tools = (event for event in events if isinstance(event, (ToolCall, ToolResult)))
    servers = [server for event in tools if isinstance(server := event.data.get("server"), str)]
    return f"@{brief(servers[-1])}" if servers else ""


def _target(events: Sequence[Event]) -> str:
    """Return the agent that a tool hands over to."""
    handoff = events[0].metadata.get("handoff") if isinstance(events[0], ToolCall) else None
    return brief(handoff.get("to")) if isinstance(handoff, dict) else ""


def _brief_items(value: dict[Any, Any] | Sequence[Any], depth: int) -> str:
    if depth > 1:
        return "{…}" if isinstance(value, dict) else "[…]"
    if depth == 1 and len(value) > 1 and not isinstance(value, dict) and all(isinstance(item, dict) for item in value):
        return f"[{len(value):,} items]"
    if isinstance(value, dict):
        pairs = itertools.islice(value.items(), _SHOWN)
        shown = [f"{brief(key, 2)}={brief(item, depth + 1)}" for key, item in pairs]
    else:
        shown = [brief(item, depth + 1) for item in itertools.islice(value, _SHOWN)]
    text = ", ".join(shown) + (", …" if len(value) > _SHOWN else "")
    if isinstance(value, dict):
        return text if depth == 0 else f"{{{text}}}"
    return f"[{text}]"


def _opening(event: Event) -> str:
    """Return what a step set out with, or all there is to say of an event that stands alone."""
    match event:
        case AgentStart():
            return _passed(event.input)
        case LLMRequest():
            return _asked(event)
        case ToolCall():
            return brief(parsed(event.arguments))
        case Decision():
            return _joined(" — ", event, [brief(parsed(event.chosen_action)), brief(event.reasoning)])
        case Error():
            return _joined(": ", event, [brief(event.error_type), brief(event.error_message)])
        case LLMResponse() | ToolResult():
            return _closing(event)
    return _joined(" · ", event, map(brief, itertools.islice(event.typed().values(), _SHOWN)))


def _joined(separator: str, event: Event, parts: Iterable[str]) -> str:
    """Join what is known and not already said by the name."""
    return separator.join(part for part in parts if part and part != event.name)


def _closing(event: Event) -> str:
    """Return what came of it."""
    match event:
        case AgentEnd():
            return _passed(event.output)
        case LLMResponse():
            return _joined(" · ", event, _said(answer(event)))
        case ToolResult(error=str() as error):
            return f"✕ {brief(error)}"
        case ToolResult():
            return brief(parsed(event.result)) or repr(event.result)  # an agent that was told nothing: show the nothing
    return _joined(" · ", event, map(brief, event.typed().values()))


def _passed(value: Any) -> str:
    """Return what an agent was given or gave back: of a conversation the last message, and what stands beside it."""
    if isinstance(value, dict) and isinstance(waits := value.get(_WAITS), list):
        wanted = (brief(each.get("value") if isinstance(each, dict) else each) for each in waits)
        return "waits for " + ", ".join(part for part in wanted if part)
    beside = {name: part for name, part in value.items() if name != "messages"} if isinstance(value, dict) else {}
    messages = value.get("messages") if isinstance(value, dict) else value
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or "content" not in last:
        return brief(value)
    return " · ".join(part for part in (*_said(last), brief(beside)) if part)


def _said(message: dict[str, Any]) -> list[str]:
    """Return the text of a message and the calls in it."""
    calls = [f"{call.name}({brief(parsed(call.arguments))})" for call in calls_of(message)]
    return [brief(message_text(message.get("content"))), *calls]


def _asked(event: LLMRequest) -> str:
    """Return what the model was asked last; a tool's result was just said by the tool's own step."""
    last = event.messages[-1] if event.messages else None
    if role_of(last) == "tool":
        return ""
    return brief(parsed(message_text(content_of(last))))
