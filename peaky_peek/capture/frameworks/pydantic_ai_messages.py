"""What PydanticAI's messages say, as the fields of our events; for models that the wire does not see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from peaky_peek.capture.providers.fields import arguments

_ROLES = {"system-prompt": "system", "user-prompt": "user", "tool-return": "tool", "retry-prompt": "user"}
_COUNTS = {
    "input": "input_tokens", "output": "output_tokens", "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
}  # fmt: skip


class Denied(NamedTuple):
    """A tool call that a person did not allow."""

    call_id: str | None
    tool_name: str
    arguments: Any
    reason: str


def request(context: Any) -> dict[str, Any]:
    """Return the fields of the `llm_request` of a `ModelRequestContext`."""
    model, offered = context.model, context.model_request_parameters
    tools = [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters_json_schema}
        for tool in (*offered.function_tools, *offered.output_tools)
    ]
    return {
        "provider": model.system, "model": model.model_name, "tools": tools or None,
        "messages": [said for message in context.messages for said in _said(message)],
        "settings": dict(context.model_settings or {}),
    }  # fmt: skip


def response(response: Any) -> dict[str, Any]:
    """Return the fields of the `llm_response` of a `ModelResponse`."""
    calls = [_call(part) for part in response.parts if part.part_kind == "tool-call"]
    usage = {ours: getattr(response.usage, theirs) for ours, theirs in _COUNTS.items()}
    return {
        "model": response.model_name, "content": _text(response, "text"), "thinking": _text(response, "thinking"),
        "tool_calls": calls or None, "finish_reason": response.finish_reason, "complete": True,
        "usage": usage if any(usage.values()) else None,
    }  # fmt: skip


def denied(conversation: list[Any]) -> Iterator[Denied]:
    """Yield the calls that the last message of a conversation tells the model were not allowed."""
    if not conversation or conversation[-1].kind != "request":
        return
    for part in conversation[-1].parts:
        if getattr(part, "outcome", None) == "denied":
            asked = (each for message in reversed(conversation) for each in message.parts)
            call = next((each for each in asked if each.part_kind == "tool-call" and _is_answered(each, part)), None)
            args = None if call is None else arguments(call.args)
            yield Denied(part.tool_call_id, part.tool_name, args, str(part.content))


def _is_answered(call: Any, part: Any) -> bool:
    return bool(call.tool_call_id == part.tool_call_id)


def _said(message: Any) -> Iterator[dict[str, Any]]:
    """Yield a message as it stands in a conversation of OpenAI's shape."""
    if message.kind == "response":
        calls = [_call(part) for part in message.parts if part.part_kind == "tool-call"]
        texts = {"content": _text(message, "text"), "thinking": _text(message, "thinking")}
        said: dict[str, Any] = {"role": "assistant", **texts, "tool_calls": calls}
        yield {key: value for key, value in said.items() if value}
        return
    if message.instructions:
        yield {"role": "system", "content": message.instructions}
    for part in message.parts:
        role = _ROLES.get(part.part_kind, part.part_kind)
        about = {"tool_call_id": part.tool_call_id, "name": part.tool_name} if role == "tool" else {}
        yield {"role": role, **about, "content": getattr(part, "content", part)}


def _text(message: Any, kind: str) -> str | None:
    return "".join(part.content for part in message.parts if part.part_kind == kind) or None


def _call(part: Any) -> dict[str, Any]:
    return {"id": part.tool_call_id, "name": part.tool_name, "arguments": arguments(part.args)}
