"""What Anthropic and Gemini answer with, for `loopback`: whole and streamed, text and tool calls, errors.

`Loopback.url` ends with `/v1`, as OpenAI's SDK wants it; the SDKs of these two want `host(server)`.

Example:
    with Loopback(anthropic_message("Hello!")) as server:
        Anthropic(base_url=host(server), api_key="test").messages.create(...)
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from tests.loopback import Loopback, Reply

USAGE = {"input_tokens": 11, "output_tokens": 7}
COUNTS = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
Block = str | dict[str, Any]


def host(server: Loopback) -> str:
    """The base URL of a server for the SDKs that add the version themselves."""
    return server.url.removesuffix("/v1")


def tool_use(call_id: str, name: str, **arguments: Any) -> dict[str, Any]:
    """Anthropic: a tool call as it stands in a message."""
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def tool_result(call_id: str, content: Any, **fields: Any) -> dict[str, Any]:
    """Anthropic: the message that answers a tool call; `is_error=True` says that the tool failed."""
    block = {"type": "tool_result", "tool_use_id": call_id, "content": content, **fields}
    return {"role": "user", "content": [block]}


def thinking(text: str, signature: str = "c2lnbmVk") -> dict[str, Any]:
    """Anthropic: what the model thought."""
    return {"type": "thinking", "thinking": text, "signature": signature}


def anthropic_message(*content: Block, **fields: Any) -> Reply:
    """Anthropic: a message; text or blocks, and fields like `usage`, `stop_reason`, `model`."""
    return Reply([json.dumps(_message(_blocks(content), fields)).encode()])


def anthropic_stream(*content: Block, done: bool = True, fields: dict[str, Any] | None = None, **reply: Any) -> Reply:
    """Anthropic: the same as a stream. Each text is a delta, of one block with those around it; the first chunk brings
    the first delta."""
    blocks = [list(group) for _, group in itertools.groupby(content, lambda block: isinstance(block, str) or id(block))]
    whole = _message(_blocks(content), fields or {})
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, group in enumerate(blocks):
        block, deltas = _deltas(group)
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    if done:
        said = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        events += [{"type": "message_delta", "delta": said, "usage": whole["usage"]}, {"type": "message_stop"}]
    return anthropic_events(*events, **reply)


def anthropic_events(*events: dict[str, Any], **reply: Any) -> Reply:
    """Anthropic: a stream of these events, the first of which come together."""
    lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    return Reply([b"".join(lines[:3]), *lines[3:]], headers={"content-type": "text/event-stream"}, **reply)


def anthropic_error(status: int, kind: str = "api_error", text: str = "scripted failure", **headers: str) -> Reply:
    """Anthropic: an error, like `anthropic_error(529, "overloaded_error")`."""
    body = {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_1"}
    sent = {"content-type": "application/json", "retry-after-ms": "1", **headers}
    return Reply([json.dumps(body).encode()], status, sent)


def function_call(name: str, call_id: str | None = None, **arguments: Any) -> dict[str, Any]:
    """Gemini: a tool call as it stands in a candidate; most have no id."""
    return {"functionCall": {"name": name, "args": arguments} | ({"id": call_id} if call_id else {})}


def gemini(*parts: Block, **fields: Any) -> Reply:
    """Gemini: an answer; text or parts, and fields like `usageMetadata`, `finishReason`, `promptFeedback`."""
    return Reply([json.dumps(_generated(parts, {"finishReason": "STOP", "usageMetadata": COUNTS, **fields})).encode()])


def gemini_stream(*parts: Block, sse: bool = True, fields: dict[str, Any] | None = None, **reply: Any) -> Reply:
    """Gemini: the same as a stream, one chunk a part; without `sse` it is a JSON array."""
    end = {"finishReason": "STOP", "usageMetadata": COUNTS, **(fields or {})}
    chunks = [_generated([part], end if number == len(parts) else {}) for number, part in enumerate(parts, 1)]
    texts = [json.dumps(chunk).encode() for chunk in chunks]
    if sse:
        lines = [b"data: " + text + b"\r\n\r\n" for text in texts]
        return Reply(lines, headers={"content-type": "text/event-stream"}, **reply)
    pieces = [b"[" + texts[0], *(b"\r\n,\r\n" + text for text in texts[1:]), b"]"]
    return Reply(pieces, headers={"content-type": "application/json; charset=UTF-8"}, **reply)


def gemini_error(status: int, kind: str = "INTERNAL", text: str = "scripted failure", *details: Any) -> Reply:
    """Gemini: an error, like `gemini_error(429, "RESOURCE_EXHAUSTED")`."""
    body = {"error": {"code": status, "message": text, "status": kind, "details": list(details)}}
    return Reply([json.dumps(body).encode()], status)


def _blocks(content: Iterable[Block]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": block} if isinstance(block, str) else block for block in content]


def _message(blocks: list[dict[str, Any]], fields: dict[str, Any]) -> dict[str, Any]:
    calls = any(block["type"] == "tool_use" for block in blocks)
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": blocks,
        "stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None, "usage": USAGE, **fields,
    }  # fmt: skip


def _deltas(group: list[Block]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it begins, and what is added to it."""
    block = group[0]
    if isinstance(block, str):
        return {"type": "text", "text": ""}, [{"type": "text_delta", "text": text} for text in group]
    if "input" in block:
        pieces = [{"type": "input_json_delta", "partial_json": text} for text in _cut(json.dumps(block["input"]))]
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": ""}, *pieces]
    if block["type"] == "thinking":
        pieces = [{"type": "thinking_delta", "thinking": text} for text in _cut(block["thinking"])]
        signature = {"type": "signature_delta", "signature": block["signature"]}
        return {**block, "thinking": "", "signature": ""}, [*pieces, signature]
    return block, []


def _cut(text: str) -> Iterator[str]:
    return (text[at : at + 9] for at in range(0, len(text), 9))


def _generated(parts: Iterable[Block], fields: dict[str, Any]) -> dict[str, Any]:
    said = [{"text": part} if isinstance(part, str) else part for part in parts]
    finish = {"finishReason": fields["finishReason"]} if "finishReason" in fields else {}
    candidate = {"content": {"parts": said, "role": "model"}, "index": 0, **finish}
    rest = {name: value for name, value in fields.items() if name != "finishReason"}
    return {"candidates": [candidate], "modelVersion": "gemini-2.5-flash", "responseId": "resp-1", **rest}
