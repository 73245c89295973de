"""What belongs together: a request and its response, a call and its result, an answer and the calls it asked for."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import orjson

from peaky_peek.encoding import encode
from peaky_peek.events import Event, LLMRequest, LLMResponse, ToolCall, ToolResult

_BEGIN = ("system", "developer", "user")
_CONVERSATIONS = 8  # that take turns in a session

Opener = TypeVar("Opener", bound=Event)
Closer = TypeVar("Closer", bound=Event)


class Asked(NamedTuple):
    """A tool call as a model asks for it."""

    call_id: str | None
    name: str | None
    arguments: Any


def pairs(
    events: Iterable[Event], opens: type[Opener], closes: type[Closer]
) -> list[tuple[Opener | None, Closer | None]]:
    """Return each opener of one session with what closes it, in order; a closer without an opener stands alone.

    The opener is the closer's parent, else the open one with the same call id.
    """
    openers: list[Opener | None] = []
    closers: list[Closer | None] = []
    open_rows: dict[Hashable, int] = {}
    for event in events:
        if isinstance(event, opens):
            open_rows[event.id] = open_rows["call", _text(getattr(event, "call_id", None))] = len(openers)
            openers.append(event)
            closers.append(None)
        elif isinstance(event, closes):
            call_id = _text(getattr(event, "call_id", None))
            keys = [event.parent_id] if call_id is None else [event.parent_id, ("call", call_id)]
            row = next((open_rows[key] for key in keys if key in open_rows and closers[open_rows[key]] is None), None)
            if row is None:
                openers.append(None)
                closers.append(event)
            else:
                closers[row] = event
    return list(zip(openers, closers, strict=True))


def asked_by(events: Iterable[Event]) -> dict[str, str]:
    """Return, by the id of each tool call of one session, the id of the LLM call whose answer asked for it.

    It is the answer with the same call id, else the latest before it with the same tool and arguments. An LLM call is
    named by its request, or by its response where that stands alone.
    """
    asked: dict[Hashable, str] = {}
    requests = set()
    found = {}
    for event in events:
        if isinstance(event, LLMRequest):
            requests.add(event.id)
        elif isinstance(event, LLMResponse):
            answer = event.parent_id if event.parent_id and event.parent_id in requests else event.id
            for call in tool_requests(event.tool_calls):
                asked[call.name, _comparable(call.arguments)] = answer
                if call.call_id is not None:
                    asked[call.call_id] = answer
        elif isinstance(event, (ToolCall, ToolResult)):
            by = asked.get(_text(event.call_id))
            if by is None and isinstance(event, ToolCall):
                by = asked.get((_text(event.tool_name), _comparable(event.arguments)))
            if by is not None:
                found[event.id] = by
    return found


def said(events: Iterable[Event]) -> Iterator[tuple[Event, int, dict[str, Any]]]:
    """Yield the messages of one session, each once, with the event that first sent or wrote it, and its index there.

    The index of what a response says is -1.

    Args:
        events: requests that hold their new messages only, those of short conversations all of them; and responses.
            What a request sends back of those before it, or of answers, is not said twice.
    """
    answers: Counter[Hashable] = Counter()
    begun: deque[list[Any]] = deque(maxlen=_CONVERSATIONS)
    for event in events:
        if isinstance(event, LLMResponse):
            message = {"role": "assistant", "content": event.content, "tool_calls": event.tool_calls}
            for sent_back in _sent_back(message):
                answers[sent_back] += 1
            yield event, -1, message
        elif isinstance(event, LLMRequest):
            messages = event.messages if isinstance(event.messages, list) else [event.messages] * bool(event.messages)
            sent = [len(each) for each in begun if len(each) < len(messages) and messages[: len(each)] == each]
            if messages and isinstance(messages[0], dict) and messages[0].get("role") in _BEGIN:
                begun.append(messages)
            known = max(sent, default=0)
            for index, part in enumerate(messages[known:], known):
                message = _message(part) if isinstance(part, dict) else {"content": part}
                if message.get("type") == "reasoning":
                    continue  # what was thought is part of an answer
                key = _comparable_message(message) if message.get("role") in ("assistant", "model") else None
                if answers[key]:
                    answers[key] -= 1
                else:
                    yield event, index, message


def _sent_back(message: dict[str, Any]) -> Iterator[Hashable]:
    """Yield the forms in which an answer comes back: as it is, or its text and its calls one by one."""
    yield _comparable_message(message)
    calls = message["tool_calls"] if isinstance(message["tool_calls"], list) else []
    alone: list[dict[str, Any]] = [{"tool_calls": [call]} for call in calls]
    if calls and message["content"]:
        alone.append({"content": message["content"]})
    elif len(calls) == 1:
        return  # that is how it is
    yield from map(_comparable_message, alone)


def _message(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item of the Responses API as a message: a call is one of the assistant, what came of it a tool's."""
    kind = item.get("type")
    if "role" in item or not isinstance(kind, str) or "call_id" not in item:
        return item
    if kind.endswith("_output"):
        return {"role": "tool", "tool_call_id": item["call_id"], "content": item.get("output")}
    asked = {"id": item["call_id"], "name": item.get("name"), "arguments": item.get("arguments", item.get("input"))}
    return {"role": "assistant", "content": None, "tool_calls": [asked]}


def calls_of(message: dict[str, Any]) -> Any:
    """Return the tool calls of a message in our own form, whichever API it was written for."""
    asked = message.get("tool_calls")
    found = list(tool_requests(asked))
    if not found or any(call.name is None for call in found):
        return asked
    return [{"id": call.call_id, "name": call.name, "arguments": call.arguments} for call in found]


def parts_of(message: dict[str, Any]) -> Any:
    """Return what a message says: a text, or the parts that Anthropic calls its content and Gemini its parts."""
    return message["content"] if "content" in message else message.get("parts")


def tool_requests(tool_calls: Any) -> Iterator[Asked]:
    """Yield the tool calls that a model asks for, from our own form or that of a chat message."""
    for call in tool_calls if isinstance(tool_calls, list) else []:
        if isinstance(call, dict):
            function = call.get("function")
            inner = function if isinstance(function, dict) else call
            arguments = next((inner[key] for key in ("arguments", "input", "args") if key in inner), None)
            call_id, name = call.get("id") or call.get("call_id"), inner.get("name")
            yield Asked(_text(call_id), _text(name), _parsed(arguments))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _parsed(arguments: Any) -> Any:
    """Models write arguments as JSON text; what cannot be read stays as written."""
    try:
        return orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except orjson.JSONDecodeError:
        return arguments


def _comparable(arguments: Any) -> Hashable:
    if isinstance(arguments, dict):
        return frozenset((str(name), encode(value)) for name, value in arguments.items())
    return encode(arguments)


def _comparable_message(message: dict[str, Any]) -> Hashable:
    """Return the text and the tool calls of a message, in whichever form they are sent back; not what was thought."""
    content, calls = parts_of(message) or "", list(tool_requests(message.get("tool_calls")))
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        told = [part for part in content if part.get("thought") is not True]
        calls += tool_requests([part for part in told if part.get("type") == "tool_use"])
        calls += tool_requests([part["functionCall"] for part in told if "functionCall" in part])
        content = "".join(part["text"] for part in told if isinstance(part.get("text"), str))
    return encode(content), tuple((call.name, _comparable(call.arguments)) for call in calls)
