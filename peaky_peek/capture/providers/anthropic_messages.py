"""Anthropic's messages: by its own API, through a gateway, or through Vertex."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from peaky_peek.capture.providers import sse
from peaky_peek.capture.providers.fields import (
    Answer,
    Failure,
    HostedCall,
    Prompt,
    ToolReturn,
    arguments,
    besides,
    counts,
    dict_of,
    dicts_of,
    list_of,
    loads,
    text_of,
)

_ASKED = {"model", "messages", "system", "tools", "stream"}
_OWN = {"id", "type", "role", "model", "content", "stop_reason"}
_VERTEX = re.compile(r"/models/([^/:?]+):(?:stream)?[rR]awPredict(?:\?|$)")
_COUNTS_TOKENS = "count-tokens"
_TOLD = {"text": {"text"}, "thinking": {"thinking"}, "tool_use": {"id", "name", "input"}}
"""What `content`, `thinking` and `tool_calls` say of a block."""
_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def prompt(url: str, body: dict[str, Any]) -> Prompt | None:
    """Return what a request asks, its system prompt as the first message; None when it is no model call after all."""
    vertex = _VERTEX.search(url)
    if "messages" not in body or (vertex and vertex[1] == _COUNTS_TOKENS):
        return None
    messages = body["messages"] if isinstance(body["messages"], list) else [body["messages"]]
    system = body.get("system")
    told = [] if system is None else [{"role": "system", "content": system}]
    return Prompt(
        provider="google" if vertex else "anthropic",
        model=text_of(body.get("model")) or (vertex[1] if vertex else None),
        messages=[*told, *messages],
        tools=list_of(body.get("tools")) or None,
        settings=besides(body, _ASKED),
        stream=body.get("stream") is True,
    )


def answer(status: int, body: bytes, *, stream: bool) -> Answer:
    """Return what a response says; a stream is put together as the SDK's own accumulator does it."""
    if stream and status < 400:
        return _streamed(body)
    return _whole(loads(body), status, body)


def calls(messages: list[Any]) -> dict[str, dict[str, Any]]:
    """Return the tool calls that a history shows, by call id."""
    return {call["id"]: call for call in _calls(_blocks_of(messages)) if call["id"]}


def returns(messages: list[Any]) -> list[ToolReturn]:
    """Return the tool results among messages."""
    results = [block for block in _blocks_of(messages) if block.get("type") == "tool_result"]
    return [_return(block) for block in results if isinstance(block.get("tool_use_id"), str)]


def tool_names(tools: list[Any]) -> list[str]:
    """Return the names of the tools offered.

    >>> tool_names([{"name": "search", "input_schema": {}}, {"type": "web_search_20250305", "name": "web_search"}])
    ['search', 'web_search']
    """
    return [tool["name"] for tool in dicts_of(tools) if isinstance(tool.get("name"), str)]


def _whole(body: Any, status: int, raw: bytes) -> Answer:
    """Read a body that came in one piece."""
    body = dict_of(body)
    if not isinstance(body.get("content"), list):
        error = body.get("error") or (body or None)
        return Answer(complete=False, failure=Failure.of(error, status, raw), data=_extra(body))
    return _read(body)


def _read(message: dict[str, Any]) -> Answer:
    blocks = dicts_of(message.get("content"))
    texts = [block["text"] for block in blocks if block.get("type") == "text" and isinstance(block.get("text"), str)]
    thoughts = [
        text for block in blocks if block.get("type") == "thinking" and (text := text_of(block.get("thinking")))
    ]
    content = "".join(texts) if texts else None
    return Answer(
        model=text_of(message.get("model")),
        content=content,
        thinking="".join(thoughts) or None,
        tool_calls=_calls(blocks),
        hosted=_hosted(blocks),
        finish_reason=text_of(message.get("stop_reason")),
        usage=_usage(message.get("usage")),
        is_list_price=_is_list_price(dict_of(message.get("usage"))),
        refusal=_refusal(message, content),
        data=_extra(message),
    )


def _extra(message: dict[str, Any]) -> dict[str, Any]:
    """Keep what has no field of its own: the blocks that say more than text, the provider's own counts of tokens."""
    blocks = list_of(message.get("content"))
    told = all(isinstance(each, dict) and each.keys() - {"type"} == _TOLD.get(str(each.get("type"))) for each in blocks)
    extra = {"response_id": message.get("id"), "blocks": None if told else blocks}
    extra |= besides(message, _OWN)
    return {name: value for name, value in extra.items() if value}


def _calls(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"id": text_of(block.get("id")), "name": text_of(block.get("name")), "arguments": block.get("input")}
        for block in blocks
        if block.get("type") == "tool_use"
    ]


def _hosted(blocks: list[dict[str, Any]]) -> list[HostedCall]:
    """Return the calls of tools that the provider ran itself; one without a result is still running."""
    results = {block["tool_use_id"]: block for block in blocks if _is_result(block)}
    found = []
    for block in blocks:
        if block.get("type") in ("server_tool_use", "mcp_tool_use"):
            result = results.pop(block.get("id"), None) if isinstance(block.get("id"), str) else None
            found.append(_ran(block, result))
        elif _is_result(block) and block["tool_use_id"] in results:
            found.append(_ran(None, results.pop(block["tool_use_id"])))
    return found


def _is_result(block: dict[str, Any]) -> bool:
    return str(block.get("type")).endswith("_tool_result") and isinstance(block.get("tool_use_id"), str)


def _ran(call: dict[str, Any] | None, result: dict[str, Any] | None) -> HostedCall:
    asked, came = call or {}, result or {}
    content = came.get("content")
    error = text_of(dict_of(content).get("error_code")) or (_text(content) if came.get("is_error") is True else None)
    return HostedCall(
        text_of(asked.get("id")) or text_of(came.get("tool_use_id")),
        text_of(asked.get("name")) or str(came.get("type")).removesuffix("_tool_result"),
        asked.get("input"), _unwrapped(content), error, text_of(asked.get("server_name")),
        asked=call is not None, done=result is not None,
    )  # fmt: skip


def _blocks_of(messages: list[Any]) -> list[dict[str, Any]]:
    return [block for message in dicts_of(messages) for block in dicts_of(message.get("content"))]


def _return(block: dict[str, Any]) -> ToolReturn:
    content = block.get("content")
    error = _text(content) or "the tool failed" if block.get("is_error") is True else None
    return ToolReturn(block["tool_use_id"], _unwrapped(content), error)


def _unwrapped(content: Any) -> Any:
    """Return a result as the tool gave it: one text is that text, whether a block stands around it or not.

    >>> _unwrapped([{"type": "text", "text": "rain"}])
    'rain'
    """
    match content:
        case [{"type": "text", "text": str(text), **rest}] if not rest or rest.keys() == {"cache_control"}:
            return text
    return content


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(text for block in dicts_of(content) if (text := text_of(block.get("text"))))


def _refusal(message: dict[str, Any], content: str | None) -> str | None:
    if message.get("stop_reason") != "refusal":
        return None
    details = dict_of(message.get("stop_details"))
    category = text_of(details.get("category"))
    why = "the provider's classifiers stopped the answer" + (f": {category}" if category else "")
    return text_of(details.get("explanation")) or content or why


def _usage(usage: Any) -> dict[str, int | None] | None:
    """Count tokens as prices do: what was read from or written to a cache is input too. `data` keeps theirs."""
    if not isinstance(usage, dict):
        return None
    read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    inputs = usage.get("input_tokens")
    if type(inputs) is int:
        inputs += sum(count for count in (read, written) if type(count) is int)
    thought = dict_of(usage.get("output_tokens_details")).get("thinking_tokens")
    return counts(
        input=inputs, output=usage.get("output_tokens"), cache_read=read, cache_write=written, reasoning=thought
    )


def _is_list_price(usage: dict[str, Any]) -> bool:
    """Tell whether tokens cost what they usually do: a cache for an hour, a batch, or more speed has other prices."""
    long = dict_of(usage.get("cache_creation")).get("ephemeral_1h_input_tokens")
    return not long and usage.get("service_tier") in ("standard", None) and usage.get("speed") in ("standard", None)


class _Stream:
    """A message, put together from its events."""

    def __init__(self) -> None:
        self.message: dict[str, Any] = {}
        self.failure: Failure | None = None
        self.is_over = False
        self._blocks: dict[Any, dict[str, Any]] = {}
        self._pieces: defaultdict[tuple[Any, str], list[str]] = defaultdict(list)

    def add(self, event: dict[str, Any], raw: bytes) -> bool:
        """Add an event; return whether it brought a token."""
        index = str(event.get("index"))
        match event.get("type"):
            case "message_start":
                self.message = dict(dict_of(event.get("message")))
            case "content_block_start":
                block = self._blocks[index] = dict(dict_of(event.get("content_block")))
                if block.get("type") == "fallback":  # names the model that answers from here on
                    self.message["model"] = dict_of(block.get("to")).get("model")
                return block.get("type") not in ("text", "thinking")
            case "content_block_delta":
                return self._add_delta(index, dict_of(event.get("delta")))
            case "message_delta":
                told = besides(event, ("type", "usage", "delta"))
                usage = {name: value for name, value in dict_of(event.get("usage")).items() if value is not None}
                self.message |= told | dict_of(event.get("delta"))
                self.message["usage"] = dict_of(self.message.get("usage")) | usage
            case "message_stop":
                self.is_over = True
            case "error":
                self.message["error"] = event.get("error")
                self.failure = Failure.of(event.get("error"), 200, raw)
        return False

    def _add_delta(self, index: str, delta: dict[str, Any]) -> bool:
        kind = str(delta.get("type"))
        block = self._blocks.setdefault(index, {})
        name = _DELTAS.get(kind)
        if name:
            piece = text_of(delta.get(name)) or ""
            self._pieces[index, name].append(piece)
            return bool(piece)
        if kind == "citations_delta":
            block["citations"] = [*list_of(block.get("citations")), delta.get("citation")]
        else:  # the signature of thinking, a compaction: they come whole
            block |= besides(delta, ("type",))
        return False

    def whole(self) -> dict[str, Any]:
        """Return the message as it would have come in one piece; of a message that broke off, what came."""
        for (index, name), pieces in self._pieces.items():
            block, text = self._blocks[index], "".join(pieces)
            if name != "partial_json":
                block[name] = (text_of(block.get(name)) or "") + text
            elif text:
                block["input"] = arguments(text)
        return {**self.message, "content": list(self._blocks.values())}


def _streamed(body: bytes) -> Answer:
    stream = _Stream()
    first_token = None
    for end, data in sse.events(body):
        if stream.add(dict_of(loads(data)), data) and first_token is None:
            first_token = end
        if stream.failure or stream.is_over:
            break
    read = _read(stream.whole())
    read.first_token = first_token
    read.failure = stream.failure
    read.complete = stream.failure is None and (stream.is_over or read.finish_reason is not None)
    return read
