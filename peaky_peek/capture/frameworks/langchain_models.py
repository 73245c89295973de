"""What LangChain says of a model call that the wire does not see: of a model in the process, or of another protocol."""

from __future__ import annotations

from typing import Any

_OURS = ("model", "model_name", "tools", "functions", "stream", "_type")


def request_of(serialized: Any, messages: list[Any], said: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an `LLMRequest` from what a callback is told when a model is asked."""
    given, metadata = said.get("invocation_params") or {}, said.get("metadata") or {}
    kind = (serialized or {}).get("name") or said.get("name")
    settings = {key: value for key, value in given.items() if key not in _OURS and value is not None}
    return {
        "provider": metadata.get("ls_provider"),
        "model": metadata.get("ls_model_name") or given.get("model") or given.get("model_name") or kind,
        "messages": [_message(message) for message in messages],
        "tools": [_tool(tool) for tool in given.get("tools") or []] or None,
        "settings": settings or None, "stream": given.get("stream"),
    }  # fmt: skip


def answer_of(response: Any) -> dict[str, Any]:
    """Return the fields of an `LLMResponse` from LangChain's `LLMResult`."""
    generation = response.generations[0][0]
    message = getattr(generation, "message", None)
    if message is None:
        return {"content": generation.text}
    about, usage = message.response_metadata or {}, getattr(message, "usage_metadata", None)
    calls = [{"id": call["id"], "name": call["name"], "arguments": call["args"]} for call in message.tool_calls]
    answer = {
        "content": message.content, "tool_calls": calls or None,
        "finish_reason": about.get("finish_reason") or about.get("stop_reason"), "usage": _usage(usage),
        "complete": True,
    }  # fmt: skip
    if "model_name" in about:
        answer["model"] = about["model_name"]
    if usage and usage.get("total_cost") == 0:  # LangChain's way to say that the answer comes from its cache
        answer |= {"cost_usd": 0.0, "data": {"cached": True}}
    return answer


def _message(message: Any) -> dict[str, Any]:
    if isinstance(message, str):
        return {"role": "user", "content": message}
    from langchain_core.messages import convert_to_openai_messages

    try:
        said = convert_to_openai_messages([message])[0]
    except Exception:  # noqa: BLE001 - of a kind that OpenAI does not know
        return {"role": message.type, "content": message.content}
    return dict(said)


def _tool(tool: Any) -> Any:
    """Return a tool with its name on top, where all find it."""
    function = tool.get("function") if isinstance(tool, dict) else None
    return {"name": function.get("name"), **tool} if isinstance(function, dict) else tool


def _usage(usage: Any) -> dict[str, int | None] | None:
    if not usage:
        return None
    taken, given = usage.get("input_token_details") or {}, usage.get("output_token_details") or {}
    return {
        "input": usage.get("input_tokens"), "output": usage.get("output_tokens"),
        "cache_read": taken.get("cache_read"), "cache_write": taken.get("cache_creation"),
        "reasoning": given.get("reasoning"),
    }  # fmt: skip
