"""One thing that was said, made ready to be read in a list: its beginning, and where the rest is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from peaky_peek.encoding import as_text
from peaky_peek.events import (
    AgentTurn,
    Error,
    Event,
    LLMRequest,
    LLMResponse,
    PolicyViolation,
    Refusal,
    SafetyCheck,
    ToolCall,
    ToolResult,
)
from peaky_peek.widgets import _previews, _text
from peaky_peek.widgets._messages import answer, calls_of, content_of, message_text, thinking_of
from peaky_peek.widgets._values import Path, parsed, whole_text

_CHARACTERS, _LINES = 1_200, 14
_SHORT = 200


def line(step: Mapping[str, Any], events: Sequence[Event], index: int) -> dict[str, Any]:
    """Return what a page draws of a line: texts, the calls in it, what came back, and a few facts.

    Args:
        step: its row of the steps frame, unknown is None.
        events: of its step; requests hold their new messages only.
        index: of the message in its request, -1 for what the step itself says.
    """
    opener, closer = events[0], events[-1]
    own = {"facts": _facts(step), "suspect": step["suspect"] or ""}
    if index >= 0 and isinstance(opener, LLMRequest):
        messages = opener.messages if isinstance(opener.messages, list) else [opener.messages]
        return _message(messages[index], [0, "messages", index])
    if isinstance(closer, LLMResponse):
        return _message(answer(closer), [len(events) - 1]) | own | {"about": _text.one_line(closer.model or "", 40)}
    if isinstance(opener, (ToolCall, ToolResult)):
        return _tool(events) | own
    if isinstance(opener, AgentTurn):
        return {"text": beginning(message_text(opener.content), [0, "content"])}
    return {"text": beginning(_trouble(opener), []), "about": str(opener.event_type).replace("_", " ")}


def _trouble(event: Event) -> str:
    """Return what went wrong, in the words of what was recorded."""
    match event:
        case Error():
            said = [event.error_type, event.error_message]
        case SafetyCheck():
            said = [event.outcome, event.rationale or event.blocked_action]
        case Refusal():
            said = [event.reason]
        case PolicyViolation():
            said = [event.violation_type, _json(event.details)]
        case _:
            said = [_previews.preview([event])]
    return ": ".join(as_text(part) for part in said if part)


def beginning(text: str, path: Path) -> dict[str, Any]:
    """Return the beginning of a text, and when that is not all of it, its length and where the rest is."""
    shown = text[:_CHARACTERS]
    lines = shown.split("\n", _LINES)
    if len(lines) > _LINES:
        shown = "\n".join(lines[:_LINES])
    if len(shown) == len(text) or not path:
        return {"text": _text.visible(shown)}
    return {"text": _text.visible(shown), "length": len(text), "path": path}


def _message(message: Any, path: Path) -> dict[str, Any]:
    field = "parts" if isinstance(message, dict) and "parts" in message and "content" not in message else "content"
    where = [*path, field] if isinstance(message, dict) else path
    if isinstance(message, dict) and str(message.get("type")).endswith("_call_output"):
        text, where = whole_text(message.get("output")), [*path, "output"]
    else:
        text = message_text(content_of(message))
    shown: dict[str, Any] = {"text": beginning(text, where)}
    source, thinking = thinking_of(message) if isinstance(message, dict) else ("", "")
    if thinking:
        shown["thinking"] = beginning(thinking, [*path, source])
    calls = calls_of(message)
    if calls:
        shown["calls"] = [
            {"name": _text.one_line(call.name), "arguments": beginning(_json(call.arguments), [*path, *call.path])}
            for call in calls
        ]
    return shown


def _tool(events: Sequence[Event]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for at, event in enumerate(events):
        if isinstance(event, ToolCall):
            shown["arguments"] = beginning(_json(event.arguments), [at, "arguments"])
            if isinstance(handoff := event.metadata.get("handoff"), dict) and handoff.get("to"):
                shown["about"] = f"hands over to {_text.one_line(as_text(handoff['to']))}"
        elif isinstance(event, ToolResult):
            field = "result" if event.error is None else "error"
            shown[field] = beginning(_json(getattr(event, field)), [at, field])
    return shown


def _json(value: Any) -> str:
    """Return a value as text: a text as it is, JSON without line breaks where it is short."""
    said = parsed(value)
    if isinstance(said, (dict, list)):
        try:
            short = json.dumps(said, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            return whole_text(said)
        return short if len(short) <= _SHORT else whole_text(said)
    return "" if said is None else whole_text(said)


def _facts(step: Mapping[str, Any]) -> str:
    tokens = [step["input_tokens"], step["output_tokens"]]
    known = " → ".join(f"{count:,}" for count in tokens if count is not None)
    facts = [f"{known} tokens" if known else "", _text.cost(step["cost_usd"]), _text.duration(step["duration_ms"])]
    return " · ".join(fact for fact in facts if fact)
