"""The messages with which a conversation goes on from a moment, in the form that its provider takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from peaky_peek.encoding import as_text
from peaky_peek.events import LLMRequest, LLMResponse, ToolResult
from peaky_peek.store import calls, exchanges, reader

if TYPE_CHECKING:
    from peaky_peek.analysis.moments import Moments
    from peaky_peek.store.database import Database

_SENT = "SELECT exchange_id FROM exchanges WHERE event_id = ? ORDER BY attempt DESC, position DESC LIMIT 1"
_KEYS = ("messages", "input", "contents")
"""Where the requests of providers have the conversation."""
_BEGINS = ("user", "system", "developer")


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said by a moment."""

    request: dict[str, Any]
    """What to send to go on, the messages in it."""
    messages: list[Any]
    until: int
    """The position up to which it was said."""


def conversation_at(moments: Moments, position: int) -> Conversation | None:
    """Return the conversation by then, complete: without an answer whose tools had not all returned yet.

    It is that of the agent at work, with its last request and, as far as they were known, the answer and the results.
    None when no model was asked by then.
    """
    asked = _asked_by(moments, position)
    if asked is None:
        return None
    at = moments.position_of(asked.id)
    body, key = _body(moments.db, asked)
    if at == position:
        return Conversation(body, body[key], at)
    told = _told(moments, asked, position)
    if told is None:
        return Conversation(body, body[key], at)
    answer, results = told
    rest = _sent_back(moments, asked)
    if rest is None:
        rest = list(written(answer, results, key, asked.provider))
    body[key] = [*body[key], *rest]
    return Conversation(body, body[key], position)


def _asked_by(moments: Moments, position: int) -> LLMRequest | None:
    """Return the last request by then: of the agent at work, else of anyone."""
    numbers, agents = moments.requests, moments.columns.texts["agent"]
    before = numbers[: int(numbers.searchsorted(position, "right"))].tolist()
    at = next((one for one in reversed(before) if agents[one] == agents[position]), before[-1] if before else None)
    event = None if at is None else reader.read_event(moments.db, moments.order[at])
    return event if isinstance(event, LLMRequest) else None


def _body(db: Database, asked: LLMRequest) -> tuple[dict[str, Any], str]:
    """Return what was sent, as it was sent if the wire saw it; and where in it the messages are."""
    row = db.connection().execute(_SENT, (asked.id,)).fetchone()
    if row is not None:
        try:
            body = orjson.loads(exchanges.request_body(db.connection(), row[0]))
        except ValueError:  # a part of it is lost
            body = None
        key = next((key for key in _KEYS if isinstance(body, dict) and isinstance(body.get(key), list)), None)
        if key is not None:
            return body, key
    messages = asked.messages if isinstance(asked.messages, list) else [asked.messages] * bool(asked.messages)
    settings = asked.settings if isinstance(asked.settings, dict) else {}
    known = {"model": asked.model, "messages": messages, "tools": asked.tools, **settings}
    return {name: value for name, value in known.items() if value is not None}, "messages"


def _told(moments: Moments, asked: LLMRequest, position: int) -> tuple[LLMResponse, list[ToolResult]] | None:
    """Return the answer, and what came of the calls it asked for; None unless all was known by then."""
    answer: LLMResponse | None = None
    found: dict[str, ToolResult] = {}
    results: list[ToolResult] = []
    first = moments.position_of(asked.id)
    ids = [moments.order[at] for at in moments.answers_between(first, position)]
    for event in reader.events_by_id(moments.db, ids):
        if isinstance(event, LLMResponse) and event.parent_id == asked.id:
            answer = event
        elif isinstance(event, ToolResult) and answer is not None:
            results.append(event)
            if event.call_id is not None:
                found[event.call_id] = event
    if answer is None:
        return None
    wanted = list(calls.tool_requests(answer.tool_calls))
    if all(call.call_id is not None and call.call_id in found for call in wanted):
        return answer, [found[as_text(call.call_id)] for call in wanted]
    by_name = [next((one for one in results if one.tool_name == call.name), None) for call in wanted]
    told = [one for one in by_name if one is not None and len({call.name for call in wanted}) == len(wanted)]
    return (answer, told) if len(told) == len(wanted) else None


def _sent_back(moments: Moments, asked: LLMRequest) -> list[Any] | None:
    """Return the answer and the results as the next request of the agent sent them back, None if there is none."""
    at = moments.position_of(asked.id)
    agents = moments.columns.texts["agent"]
    later = moments.requests[int(moments.requests.searchsorted(at, "right")) :].tolist()
    after = next((one for one in later if agents[one] == agents[at]), None)
    event = None if after is None else reader.read_event(moments.db, moments.order[after])
    if not isinstance(event, LLMRequest) or not isinstance(event.messages, list):
        return None
    was = asked.messages if isinstance(asked.messages, list) else []
    if not was or event.messages[: len(was)] != was or len(event.messages) == len(was):
        return None
    rest = event.messages[len(was) :]
    stop = next((index for index, message in enumerate(rest) if _is_input(message)), len(rest))
    return rest[:stop] or None


def _is_input(message: Any) -> bool:
    """Tell whether a message is something new that somebody says, not what came of a tool."""
    if not isinstance(message, dict) or message.get("role") not in _BEGINS:
        return False
    parts = calls.parts_of(message)
    inside = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return not any(part.get("type") == "tool_result" or "functionResponse" in part for part in inside)


def written(answer: LLMResponse, results: list[ToolResult], key: str, provider: str | None) -> Iterator[Any]:
    """Yield the answer and the results as messages, where no later request shows how they are written."""
    asked = [
        call if call.call_id else call._replace(call_id=f"call_{number}")  # providers insist on one
        for number, call in enumerate(calls.tool_requests(answer.tool_calls), 1)
    ]
    text = answer.content if isinstance(answer.content, str) else None
    pairs = list(zip(asked, results, strict=True))
    if key == "contents":
        called: list[Any] = [{"functionCall": {"name": call.name, "args": call.arguments}} for call in asked]
        yield {"role": "model", "parts": [{"text": text}] * bool(text) + called}
        came = [{"functionResponse": {"name": call.name, "response": _as_dict(one)}} for call, one in pairs]
        yield from [{"role": "user", "parts": came}] * bool(came)
    elif key == "input":
        yield from [{"role": "assistant", "content": text}] * bool(text)
        for call in asked:
            arguments = json.dumps(call.arguments, ensure_ascii=False, default=as_text)
            yield {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": arguments}
        for call, one in pairs:
            yield {"type": "function_call_output", "call_id": call.call_id, "output": _text(one)}
    elif provider == "anthropic":
        used: list[Any] = [
            {"type": "tool_use", "id": call.call_id, "name": call.name, "input": call.arguments} for call in asked
        ]
        yield {"role": "assistant", "content": [{"type": "text", "text": text}] * bool(text) + used}
        blocks = [{"type": "tool_result", "tool_use_id": call.call_id, "content": _text(one)} for call, one in pairs]
        yield from [{"role": "user", "content": blocks}] * bool(blocks)
    else:
        yield {"role": "assistant", "content": answer.content, **_chat_calls(asked)}
        for call, one in pairs:
            yield {"role": "tool", "tool_call_id": call.call_id, "content": _text(one)}


def _chat_calls(asked: Iterable[calls.Asked]) -> dict[str, Any]:
    asking = [
        {
            "id": call.call_id, "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments, default=as_text)},
        }
        for call in asked
    ]  # fmt: skip
    return {"tool_calls": asking} if asking else {}


def _text(event: ToolResult) -> str:
    value = event.result if event.error is None else event.error
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=as_text)


def _as_dict(event: ToolResult) -> dict[str, Any]:
    if event.error is not None:
        return {"error": event.error}
    return event.result if isinstance(event.result, dict) else {"result": event.result}
