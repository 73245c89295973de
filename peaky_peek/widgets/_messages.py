"""A model call as a conversation: what it was asked, turn by turn, and what it answered.

Messages come in the forms of the providers: chat messages, content parts, and items of calls and their outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from peaky_peek.attachments import described, words
from peaky_peek.widgets._text import one_line
from peaky_peek.widgets._values import Path, cut_text, parsed, presentable, whole_text

if TYPE_CHECKING:
    from peaky_peek.events import LLMRequest, LLMResponse

ROLES = ("system", "developer", "user", "assistant", "tool")
_THINKING = ("thinking", "reasoning")
_ASKS_WITH = ("arguments", "input", "args", "action", "actions", "operation", "code", "queries")
_FIRST, _LAST = 10, 50


class Call(NamedTuple):
    """A tool call inside a message; `path` leads from the message to the arguments."""

    name: str
    arguments: Any
    call_id: Any
    path: Path


def conversation(request: LLMRequest | None, response: LLMResponse | None) -> list[dict[str, Any]]:
    """Return the turns of a model call; `new` marks those the model had not answered before, and its answer."""
    messages = (request.messages if request else None) or []
    answered = max((i for i, message in enumerate(messages) if role_of(message) == "assistant"), default=-1)
    shown = [i for i in range(len(messages)) if i < _FIRST or i >= len(messages) - _LAST]
    turns = []
    for i in shown:
        said = turn(messages[i], [0, "messages", i])
        turns.append({**said, "new": True} if i > answered else said)
    if len(shown) < len(messages):
        text, length = f"{len(messages) - len(shown):,} earlier messages", len(whole_text(messages))
        turns.insert(_FIRST, {"role": "omitted", "text": text, "length": length, "path": [0, "messages"]})
    if response is not None:
        turns.append({**turn(answer(response), [0 if request is None else 1]), "new": True})
    return turns


def answer(response: LLMResponse) -> dict[str, Any]:
    """Return the model's answer as a message."""
    said = {"content": response.content, "tool_calls": response.tool_calls, "thinking": response.thinking}
    return {"role": "assistant", **{key: value for key, value in said.items() if value}}


def message_text(content: Any) -> str:
    """Return what the content of a message says, with a word for each part that is no text."""
    if not isinstance(content, list):
        return "" if content is None else whole_text(content)
    return "\n".join(
        _part_text(part) for part in content if _type(part) not in (*_THINKING, "tool_use", "functionCall")
    )


def content_of(message: Any) -> Any:
    """Return what a message says, of whichever provider's form it is."""
    return message.get(_field(message)) if isinstance(message, dict) else message


def calls_of(message: Any) -> list[Call]:
    """Return the tool calls of a message, in whichever provider's form they are."""
    if not isinstance(message, dict):
        return []
    calls = [_call(message, [])] if str(message.get("type")).endswith("_call") else []
    for field in ("tool_calls", "content", "parts"):
        parts = message.get(field)
        for i, part in enumerate(parts if isinstance(parts, list) else []):
            if isinstance(part, dict) and (field == "tool_calls" or _type(part) == "tool_use"):
                calls.append(_call(part, [field, i]))
            elif _type(part) == "functionCall" and isinstance(part["functionCall"], dict):
                calls.append(_call(part["functionCall"], [field, i, "functionCall"]))
    return calls


def _call(call: dict[str, Any], path: Path) -> Call:
    function = call.get("function")
    said = function if isinstance(function, dict) else call
    key = next((key for key in _ASKS_WITH if key in said), "arguments")
    inside = ["function", key] if said is function else [key]
    name = said.get("name") or str(said.get("type") or "?").removesuffix("_call")
    return Call(str(name), said.get(key), call.get("call_id") or call.get("id"), [*path, *inside])


def turn(message: Any, path: Path) -> dict[str, Any]:
    """Return one message as a turn of the conversation; `path` leads to it."""
    if not isinstance(message, dict):
        return {"role": "user", **cut_text(whole_text(message), path)}
    field = "output" if str(message.get("type")).endswith("_call_output") else _field(message)
    turn: dict[str, Any] = {"role": role_of(message), **cut_text(message_text(message.get(field)), [*path, field])}
    for label, key in (("name", "name"), ("call_id", "call_id"), ("call_id", "tool_call_id")):
        if turn["role"] != "assistant" and isinstance(message.get(key), str):
            turn[label] = one_line(message[key])
    source, thinking = thinking_of(message)
    if thinking:
        turn["thinking"] = cut_text(thinking, [*path, source])
    if calls := calls_of(message):
        turn["tool_calls"] = [_shown(call, path) for call in calls]
    return turn


def _shown(call: Call, path: Path) -> dict[str, Any]:
    shown = {"name": one_line(call.name), "arguments": presentable(parsed(call.arguments), [*path, *call.path])}
    return {**shown, "call_id": one_line(call.call_id)} if isinstance(call.call_id, str) else shown


def role_of(message: Any) -> str:
    """Return who speaks; items without a role are calls of the assistant and their outputs."""
    kind = str(_type(message))
    if kind == "reasoning" or kind.endswith("_call"):
        return "assistant"
    if kind.endswith("_call_output") or (isinstance(message, dict) and _holds_results(message.get(_field(message)))):
        return "tool"
    role = message.get("role") if isinstance(message, dict) else None
    return "assistant" if role == "model" else role if role in ROLES else "user"


def _field(message: dict[str, Any]) -> str:
    """Return the field that a message says something in: Gemini calls it its parts."""
    return "parts" if "parts" in message and "content" not in message else "content"


def _holds_results(content: Any) -> bool:
    results = ("tool_result", "functionResponse")
    return isinstance(content, list) and bool(content) and all(_type(part) in results for part in content)


def _type(part: Any) -> Any:
    """Return what kind of part it is; Gemini's are told by the field that they have."""
    if not isinstance(part, dict):
        return None
    if part.get("thought") is True:
        return "thinking"
    return part.get("type") or next((kind for kind in ("functionCall", "functionResponse") if kind in part), None)


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if attachment := described(part):
        return f"[{words(attachment)}]"
    if isinstance(part, dict):
        for key in ("text", "refusal", "content", "thinking", "summary", "functionResponse"):
            if part.get(key):
                return message_text(part[key])
    return f"[{_type(part) or 'part'}]"


def thinking_of(message: dict[str, Any]) -> tuple[str, str]:
    """Return the field that holds the reasoning of a message, and the reasoning."""
    for key in ("reasoning_content", "thinking", "summary"):
        if message.get(key):
            return key, message_text(message[key])
    field = _field(message)
    parts = content if isinstance(content := message.get(field), list) else []
    return field, "\n".join(_part_text(part) for part in parts if _type(part) in _THINKING)
