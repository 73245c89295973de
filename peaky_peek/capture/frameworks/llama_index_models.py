"""What LlamaIndex says of a model call that the wire does not see: of one in the process, or of another protocol."""

from __future__ import annotations

from typing import Any

from peaky_peek.capture.frameworks.plain import plain
from peaky_peek.capture.providers.fields import loads

_NO_SETTINGS = ("class_name", "model", "model_name", "messages_to_prompt", "completion_to_prompt", "system_prompt")


def request_of(event: Any) -> dict[str, Any]:
    """Return the fields of an `LLMRequest` from the event that a model is asked."""
    about, given = dict(event.model_dict), dict(event.additional_kwargs)
    messages = getattr(event, "messages", None)
    asked = [{"role": "user", "content": event.prompt}] if messages is None else [_message(each) for each in messages]
    tools = [tool.get("function", tool) for tool in given.pop("tools", None) or [] if isinstance(tool, dict)]
    settings = {key: value for key, value in (about | given).items() if key not in _NO_SETTINGS and value is not None}
    named = [about.get(key) for key in ("model", "model_name", "class_name")]
    return {
        "model": next((name for name in named if name and name != "unknown"), None), "messages": asked,
        "tools": plain(tools) or None, "settings": plain(settings) or None,
    }  # fmt: skip


def answer_of(response: Any) -> dict[str, Any]:
    """Return the fields of an `LLMResponse` from the answer; of a stream from its last piece, which has all of it."""
    message = getattr(response, "message", None)
    if message is None:
        return {"content": getattr(response, "text", None), "complete": response is not None}
    calls = [_call(block) for block in message.blocks if getattr(block, "block_type", None) == "tool_call"]
    calls = calls or [_openai_call(call) for call in message.additional_kwargs.get("tool_calls") or []]
    usage = getattr(response.raw, "usage", None) or (response.raw or {}).get("usage") if response.raw else None
    return {"content": message.content, "tool_calls": calls or None, "usage": plain(usage), "complete": True}


def _message(message: Any) -> dict[str, Any]:
    role = getattr(message.role, "value", message.role)
    calls = [_call(block) for block in message.blocks if getattr(block, "block_type", None) == "tool_call"]
    return {"role": role, "content": message.content, **({"tool_calls": calls} if calls else {})}


def _call(block: Any) -> dict[str, Any]:
    arguments = block.tool_kwargs
    read = loads(arguments) if isinstance(arguments, str) else arguments
    return {"id": block.tool_call_id, "name": block.tool_name, "arguments": plain(arguments if read is None else read)}


def _openai_call(call: Any) -> dict[str, Any]:
    call = plain(call)
    function = call.get("function") or {}
    return {"id": call.get("id"), "name": function.get("name"), "arguments": loads(function.get("arguments") or "{}")}
