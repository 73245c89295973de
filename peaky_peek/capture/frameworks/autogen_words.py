"""What AutoGen's messages say, as plain data."""

from __future__ import annotations

import json
from typing import Any

from peaky_peek.capture.frameworks.plain import plain


def heard(given: Any) -> Any:
    """Return a task as plain data, its messages without what is new in every run; a text is a text."""
    if isinstance(given, (list, tuple)):
        messages = [heard(each) for each in given]
        text = messages[0].get("content") if len(messages) == 1 and isinstance(messages[0], dict) else None
        return text if messages == [{"source": "user", "content": text, "type": "TextMessage"}] else messages
    told = plain(given)
    if not isinstance(told, dict):
        return told
    given_by_someone = (item for item in told.items() if item[0] not in ("id", "created_at"))
    return {key: value for key, value in given_by_someone if value not in (None, {}, [])}


def said(value: Any) -> Any:
    """Return what somebody said in the end: of a response or a result its last message, and why a team stopped."""
    kind = type(value).__name__
    if kind == "Response":
        return plain(value.chat_message.content)
    if kind == "TaskResult":
        content = plain(getattr(value.messages[-1], "content", None)) if value.messages else None
        return content if value.stop_reason is None else {"content": content, "stop_reason": value.stop_reason}
    return value


def as_chat(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a message to a model as the messages of a chat completion that say the same."""
    content: Any = message.get("content")
    match message.get("type"):
        case "SystemMessage":
            return [{"role": "system", "content": content}]
        case "UserMessage":
            return [{"role": "user", "content": content, "name": message.get("source")}]
        case "AssistantMessage" if isinstance(content, list):
            calls = [{"id": call["id"], "type": "function", "function": _function(call)} for call in content]
            return [{"role": "assistant", "content": message.get("thought"), "tool_calls": calls}]
        case "AssistantMessage":
            return [{"role": "assistant", "content": content}]
        case "FunctionExecutionResultMessage":
            return [{"role": "tool", "tool_call_id": each["call_id"], "content": each["content"]} for each in content]
    return [message]


def _function(call: dict[str, Any]) -> dict[str, Any]:
    return {"name": call["name"], "arguments": call["arguments"]}


def called(call: dict[str, Any]) -> dict[str, Any]:
    """Return a call of a tool as it stands in an `llm_response`."""
    return {"id": call["id"], "name": call["name"], "arguments": loads(call["arguments"])}


def loads(text: Any) -> Any:
    """Return arguments read from JSON, or as they are."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text
