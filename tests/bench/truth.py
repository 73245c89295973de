"""What should be recorded of an exchange: read off the request as it was sent, and the SDK's own typed objects."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from unittest.mock import ANY
from urllib.parse import urlsplit

from openai.types import CompletionUsage
from pydantic import BaseModel

from tests.bench.replay import Outcome, Row

_HOSTS = {
    "azure.com": "azure", "deepseek.com": "deepseek", "openrouter.ai": "openrouter", "groq.com": "groq",
    "anthropic.com": "anthropic", "googleapis.com": "google", "mistral.ai": "mistral", "together.xyz": "together",
    "fireworks.ai": "fireworks", "cerebras.ai": "cerebras", "api.x.ai": "x-ai", "perplexity.ai": "perplexity",
    "cohere.com": "cohere", "cohere.ai": "cohere", "moonshot.ai": "moonshotai", "voyageai.com": "voyageai",
}  # fmt: skip
_USUAL = {"messages": "anthropic", "complete": "anthropic", "gemini": "google"}
_NOT_SETTINGS = {
    "chat": "model messages tools functions stream", "completions": "model prompt stream",
    "responses": "model input instructions tools stream", "compact": "model input instructions tools stream",
    "embeddings": "model input", "messages": "model messages system tools stream", "complete": "model prompt stream",
    "gemini": "contents systemInstruction system_instruction tools",
}  # fmt: skip


def asked(kind: str, row: Row, body: dict[str, Any]) -> dict[str, Any]:
    """The fields of the `llm_request`."""
    url = urlsplit(row["uri"])
    named = url.path.split("/deployments/")[1].split("/")[0] if "/deployments/" in url.path else None
    model, _, method = url.path.rpartition("/")[2].rpartition(":")
    functions = [{"type": "function", "function": each} for each in body.get("functions") or []]
    rest = {name for name in _NOT_SETTINGS[kind].split() if name != "instructions" or isinstance(body.get(name), str)}
    return {
        "provider": _provider(kind, url.netloc),
        "model": body["model"] if isinstance(body.get("model"), str) and body["model"] else named or model or None,
        "messages": _messages(kind, body),
        "tools": body.get("tools") or functions or None,
        "settings": {name: value for name, value in body.items() if name not in rest},
        "stream": body.get("stream") is True or method == "streamGenerateContent",
    }


def _provider(kind: str, host: str) -> str:
    known = next((name for end, name in _HOSTS.items() if host.endswith(end)), "openai")
    return _USUAL[kind] if kind in _USUAL and known != "google" else known


def _messages(kind: str, body: dict[str, Any]) -> list[Any]:
    if kind == "gemini":
        system = body.get("systemInstruction", body.get("system_instruction"))
        contents = body["contents"] if isinstance(body["contents"], list) else [body["contents"]]
        return [*([] if system is None else [{**system, "role": "system"}]), *contents]
    before = {"messages": "system", "responses": "instructions", "compact": "instructions"}.get(kind)
    told = body.get(before) if before else None
    system = [{"role": "system", "content": told}] if isinstance(told, (str, list)) else []
    if kind in ("chat", "messages"):
        return system + (body["messages"] if isinstance(body["messages"], list) else [body["messages"]])
    given = body.get("input" if kind in ("responses", "compact", "embeddings") else "prompt")
    if kind in ("responses", "compact"):
        return system + ([{"role": "user", "content": given}] if isinstance(given, str) else given or [])
    several = isinstance(given, list) and not all(isinstance(each, int) for each in given)
    return [{"role": "user", "content": each} for each in (given if several else [given])]


def answered(kind: str, row: Row, outcome: Outcome) -> dict[str, Any]:
    """The fields of the `llm_response`, and of the `error`, as far as they are known, and how many there are."""
    if is_running(outcome) and not outcome.whole.output:
        return {"count": 0}  # the answer is still to come
    return {"count": 1, **_said(kind, row, outcome)}


def is_running(outcome: Outcome) -> bool:
    """Tell whether the provider goes on with the answer in the background."""
    whole = outcome.whole
    return bool(getattr(whole, "background", None)) and whole.status in ("queued", "in_progress")


def _said(kind: str, row: Row, outcome: Outcome) -> dict[str, Any]:
    known = _error(outcome)
    if kind == "chat" and outcome.error and outcome.objects:
        known |= _last_usage(row)
    if outcome.error is None and not isinstance(outcome.whole, (BaseModel, list, dict)):
        return {}  # the SDK had nothing to make an object of
    if outcome.whole is not None and not (isinstance(outcome.whole, list) and not outcome.whole):
        try:
            known = {**_READERS[kind](outcome.whole), **known}
        except (AttributeError, TypeError, ValueError):
            return {}  # an object without what makes it an answer: the SDKs check nothing
    return known


def _error(outcome: Outcome) -> dict[str, Any]:
    error = outcome.error
    if error is None:
        return {"error": None}
    body = getattr(error, "body", None)
    inside = body.get("error", body) if isinstance(body, dict) else body
    said = inside if isinstance(inside, dict) else {}
    code, status = said.get("code"), getattr(error, "status_code", 200)
    name = code if isinstance(code, str) and code else said.get("type")
    message = said.get("message") or (inside if isinstance(inside, str) else None)
    if not hasattr(error, "body"):
        return {"error": (ANY, None)}  # no JSON: the SDK says nothing that could be compared
    return {"error": (name or f"HTTP {code if isinstance(code, int) else status}", message)}


def _last_usage(row: Row) -> dict[str, Any]:
    """The usage told by the chunk that the SDK raised at and did not hand out."""
    lines = [line[5:] for line in str(row["response_body"]).splitlines() if line.startswith("data:")]
    told = [chunk for line in lines if isinstance(chunk := _value(line), dict) and chunk.get("error")]
    usage = told[-1].get("usage") if told else None
    return {"usage": _chat_usage(CompletionUsage.construct(**usage))} if usage else {}


def _chat(whole: Any) -> dict[str, Any]:
    choice = min(whole.choices, key=lambda each: each.index or 0)
    message = choice.message
    calls = [(call.id, *_asked(call)) for call in message.tool_calls or []]
    legacy = getattr(message, "function_call", None)
    calls += [(None, legacy.name, _value(legacy.arguments))] if legacy else []
    return {
        "model": whole.model, "text": message.content, "tool_calls": calls, "finish_reason": choice.finish_reason,
        "thinking": getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None),
        "refusal": getattr(message, "refusal", None), "usage": _chat_usage(whole.usage),
    }  # fmt: skip


def _asked(call: Any) -> tuple[Any, Any]:
    inside = getattr(call, "function", None) or call.custom
    return inside.name, _value(getattr(inside, "arguments", None) or getattr(inside, "input", None))


def _chat_usage(usage: Any) -> Any:
    if usage is None:
        return None
    read, written = getattr(usage, "prompt_tokens_details", None), getattr(usage, "completion_tokens_details", None)
    cached = getattr(read, "cached_tokens", None) if read else None
    return {
        "input": usage.prompt_tokens, "output": getattr(usage, "completion_tokens", None),
        "cache_read": cached if cached is not None else getattr(usage, "prompt_cache_hit_tokens", None),
        "cache_write": getattr(read, "cache_write_tokens", None),
        "reasoning": getattr(written, "reasoning_tokens", None),
    }  # fmt: skip


def _completion(whole: Any) -> dict[str, Any]:
    chunks = whole if isinstance(whole, list) else [whole]
    firsts = [choice for chunk in chunks for choice in chunk.choices if (choice.index or 0) == 0]
    return {
        "model": chunks[-1].model,
        "text": "".join(choice.text or "" for choice in firsts),
        "finish_reason": next((choice.finish_reason for choice in reversed(firsts) if choice.finish_reason), None),
        "usage": _chat_usage(next((chunk.usage for chunk in reversed(chunks) if chunk.usage), None)),
    }


_OURS = {"function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call", "apply_patch_call"}


def _response(whole: Any) -> dict[str, Any]:
    output = whole.output or []
    parts = [part for item in output if item.type == "message" for part in item.content or []]
    client_side = [item for item in output if item.type == "tool_search_call" and item.execution == "client"]
    calls = [item for item in output if item.type in _OURS or item in client_side]
    thoughts = [item.content or item.summary for item in output if item.type == "reasoning"]
    hosted = [item for item in output if item.type.endswith("_call") and item not in calls]
    details = whole.incomplete_details
    over = whole.status in ("completed", "incomplete", "failed", "cancelled")
    return {
        "model": whole.model,
        "text": "".join(part.text for part in parts if part.type == "output_text") or None,
        "refusal": "\n".join(part.refusal for part in parts if part.type == "refusal") or None,
        "thinking": [each.text for parts in thoughts for each in parts or []] or None,
        "tool_calls": [(item.call_id, *_item(item)) for item in calls],
        "hosted": [_item(item)[0] for item in hosted],
        "finish_reason": (details and details.reason) or (whole.status if over else None),
        "usage": _response_usage(whole.usage),
    }


def _item(item: Any) -> tuple[Any, Any]:
    name = getattr(item, "name", None) or item.type.removesuffix("_call")
    if item.type == "function_call":
        return name, _value(item.arguments)
    given = [getattr(item, each, None) for each in ("arguments", "input", "action", "actions", "operation")]
    return name, _plain(next((each for each in given if each is not None), None))


def _response_usage(usage: Any) -> Any:
    if usage is None:
        return None
    read, written = getattr(usage, "input_tokens_details", None), getattr(usage, "output_tokens_details", None)
    return {
        "input": usage.input_tokens, "output": usage.output_tokens, "cache_read": getattr(read, "cached_tokens", None),
        "cache_write": getattr(read, "cache_write_tokens", None),
        "reasoning": getattr(written, "reasoning_tokens", None),
    }  # fmt: skip


def _compacted(whole: Any) -> dict[str, Any]:
    return {"usage": _response_usage(whole.usage), "content": [_plain(item) for item in whole.output]}


def _embedding(whole: Any) -> dict[str, Any]:
    vector = whole.data[0].embedding if whole.data else None
    size = {"count": len(whole.data), "dimensions": len(vector) if vector else None}
    return {"model": whole.model, "text": None, "usage": _chat_usage(whole.usage), "embeddings": size}


def _message(whole: Any) -> dict[str, Any]:
    blocks = whole.content
    usage = whole.usage
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    details = getattr(usage, "output_tokens_details", None)
    return {
        "model": whole.model,
        "text": "".join(block.text for block in blocks if block.type == "text") or None,
        "thinking": [block.thinking for block in blocks if block.type == "thinking"] or None,
        "tool_calls": [(block.id, block.name, block.input) for block in blocks if block.type == "tool_use"],
        "hosted": [block.name for block in blocks if block.type in ("server_tool_use", "mcp_tool_use")],
        "finish_reason": whole.stop_reason,
        "usage": {
            "input": usage.input_tokens + (read or 0) + (written or 0), "output": usage.output_tokens,
            "cache_read": read, "cache_write": written, "reasoning": getattr(details, "thinking_tokens", None),
        },
    }  # fmt: skip


def _complete(whole: Any) -> dict[str, Any]:
    chunks = whole if isinstance(whole, list) else [whole]
    return {
        "model": chunks[-1]["model"],
        "text": "".join(chunk["completion"] for chunk in chunks if chunk["type"] == "completion"),
        "finish_reason": chunks[-1]["stop_reason"],
        "usage": None,
    }


def _gemini(chunks: list[Any]) -> dict[str, Any]:
    usage = next((chunk.usage_metadata for chunk in reversed(chunks) if chunk.usage_metadata), None)
    firsts = [next((each for each in chunk.candidates or [] if not each.index), None) for chunk in chunks]
    parts = [part for each in firsts if each and each.content for part in each.content.parts or []]
    calls = [part.function_call for part in parts if part.function_call]
    reasons = [each.finish_reason.value for each in firsts if each and each.finish_reason]
    return {
        "model": chunks[-1].model_version,
        "text": "".join(part.text for part in parts if part.text and not part.thought) or None,
        "thinking": [part.text for part in parts if part.text and part.thought] or None,
        "tool_calls": [(call.id, call.name, call.args or {}) for call in calls],
        "finish_reason": reasons[-1] if reasons else None,
        "usage": usage and {
            "input": _sum(usage.prompt_token_count, usage.tool_use_prompt_token_count),
            "output": _sum(usage.candidates_token_count, usage.thoughts_token_count),
            "cache_read": usage.cached_content_token_count, "reasoning": usage.thoughts_token_count,
        },
    }  # fmt: skip


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _value(text: Any) -> Any:
    """Arguments as the value that their text says, or the text when it says none."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def _plain(value: Any) -> Any:
    """An object of the SDK as the JSON that it was made of."""
    if isinstance(value, Iterable) and not isinstance(value, (str, dict)) and not hasattr(value, "to_dict"):
        return [_plain(each) for each in value]
    return value.to_dict(mode="json") if hasattr(value, "to_dict") else value


_READERS = {
    "chat": _chat, "completions": _completion, "responses": _response, "compact": _compacted,
    "embeddings": _embedding, "messages": _message, "complete": _complete, "gemini": _gemini,
}  # fmt: skip
