"""OpenAI's chat completions, which many other providers speak too."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from peaky_peek.attachments import described
from peaky_peek.capture.providers.fields import (
    Answer,
    Prompt,
    ToolReturn,
    arguments,
    besides,
    dict_of,
    dicts_of,
    list_of,
    loads,
    text_of,
)
from peaky_peek.capture.providers.hosts import deployment, provider
from peaky_peek.capture.providers.openai_choices import FILTERED, extra, failed, index, streamed, usage

_ASKED = {"model", "messages", "tools", "functions", "stream"}
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")


def prompt(url: str, body: dict[str, Any]) -> Prompt | None:
    """Return what a request asks, or None when it is no chat completion after all."""
    if "messages" not in body:
        return None
    messages = body["messages"]
    tools = body.get("tools") or [{"type": "function", "function": each} for each in list_of(body.get("functions"))]
    return Prompt(
        provider=provider(url),
        model=text_of(body.get("model")) or deployment(url),
        messages=messages if isinstance(messages, list) else [messages],
        tools=list_of(tools) or None,
        settings=besides(body, _ASKED),
        stream=body.get("stream") is True,
    )


def answer(status: int, body: bytes, *, stream: bool) -> Answer:
    """Return what a response says; a stream is put together as the SDK's own accumulator does it."""
    if stream and status < 400:
        return streamed(body, _Choice, _whole)
    return _whole(dict_of(loads(body)), status, body)


def calls(messages: list[Any]) -> dict[str, dict[str, Any]]:
    """Return the tool calls that a history shows, by call id."""
    shown = [call for message in messages if isinstance(message, dict) for call in _calls(message)]
    return {call["id"]: call for call in shown if call["id"]}


def returns(messages: list[Any]) -> list[ToolReturn]:
    """Return the tool results among messages."""
    tools = [message for message in messages if isinstance(message, dict) and message.get("role") == "tool"]
    return [
        ToolReturn(message["tool_call_id"], message.get("content"))
        for message in tools
        if isinstance(message.get("tool_call_id"), str)
    ]


def tool_names(tools: list[Any]) -> list[str]:
    """Return the names of the tools offered.

    >>> tool_names([{"type": "function", "function": {"name": "search"}}, {"type": "custom", "custom": {"name": "sh"}}])
    ['search', 'sh']
    """
    names = [dict_of(tool.get(str(tool.get("type")))).get("name") for tool in tools if isinstance(tool, dict)]
    return [name for name in names if isinstance(name, str)]


def _whole(body: dict[str, Any], status: int, raw: bytes) -> Answer:
    """Read a body that came in one piece."""
    choices = sorted(dicts_of(body.get("choices")), key=index)
    if not choices or status >= 400:
        return failed(body, status, raw)
    message = dict_of(choices[0].get("message"))
    finish_reason = text_of(choices[0].get("finish_reason"))
    refusal = text_of(message.get("refusal"))
    if finish_reason == "content_filter" and not refusal:
        refusal = FILTERED
    return Answer(
        model=text_of(body.get("model")),
        content=message.get("content"),
        thinking=text_of(message.get("reasoning_content")) or text_of(message.get("reasoning")),
        tool_calls=_calls(message),
        finish_reason=finish_reason,
        usage=usage(body.get("usage")),
        refusal=refusal,
        data=extra(body, choices) | _spoken(message),
    )


def _spoken(message: dict[str, Any]) -> dict[str, Any]:
    """Tell what a model said aloud: the text of it, and how much there is to hear."""
    audio = dict_of(message.get("audio"))
    if not audio:
        return {}
    heard = described({"type": "input_audio", "input_audio": {"data": audio.get("data")}})
    return {"audio": {"transcript": audio.get("transcript"), "bytes": heard and heard["bytes"]}}


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for call in dicts_of(message.get("tool_calls")):
        asked = dict_of(call.get("function")) or dict_of(call.get("custom"))
        given = asked.get("arguments") if "arguments" in asked else asked.get("input")
        found.append({"id": text_of(call.get("id")), "name": text_of(asked.get("name")), "arguments": arguments(given)})
    if legacy := dict_of(message.get("function_call")):
        found.append({"id": None, "name": text_of(legacy.get("name")), "arguments": arguments(legacy.get("arguments"))})
    return found


class _Choice:
    """One choice of a stream, put together from its deltas."""

    def __init__(self) -> None:
        self.texts: defaultdict[str, list[str]] = defaultdict(list)
        self.calls: dict[int, dict[str, Any]] = {}
        self.function: dict[str, Any] = {}
        self.audio: dict[str, Any] = {}
        self.finish_reason: str | None = None

    def add(self, piece: dict[str, Any]) -> bool:
        delta = dict_of(piece.get("delta"))
        self.finish_reason = text_of(piece.get("finish_reason")) or self.finish_reason
        texts = {name: text for name in _TEXTS if isinstance(text := delta.get(name), str)}
        for name, text in texts.items():
            self.texts[name].append(text)
        for call in dicts_of(delta.get("tool_calls")):
            _add_call(self.calls.setdefault(index(call, len(self.calls)), {}), call)
        if function := delta.get("function_call"):
            _add_text(self.function, dict_of(function))
        if audio := delta.get("audio"):
            _add_text(self.audio, dict_of(audio))
        return any(texts.values()) or bool(delta.get("tool_calls") or function or audio)

    def whole(self) -> dict[str, Any]:
        texts = {name: "".join(pieces) for name, pieces in self.texts.items()}
        tool_calls = [_joined(self.calls[at]) for at in sorted(self.calls)]
        function, audio = _joined(self.function), _joined(self.audio)
        message = {"content": None, **texts, "tool_calls": tool_calls, "function_call": function, "audio": audio}
        return {"message": message}


def _add_call(whole: dict[str, Any], call: dict[str, Any]) -> None:
    whole["id"] = whole.get("id") or text_of(call.get("id"))
    for kind in ("function", "custom"):
        if isinstance(call.get(kind), dict):
            _add_text(whole.setdefault(kind, {}), call[kind])


def _add_text(whole: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, text in delta.items():
        if isinstance(text, str):
            whole.setdefault(name, []).append(text)


def _joined(whole: dict[str, Any]) -> dict[str, Any]:
    """Join the pieces of text; lists of pieces keep a long stream linear."""
    return {
        name: _joined(value) if isinstance(value, dict) else "".join(value) if isinstance(value, list) else value
        for name, value in whole.items()
    }
