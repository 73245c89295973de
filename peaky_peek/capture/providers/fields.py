"""What a provider's bytes say, in the same words for every provider."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import orjson


@dataclass(slots=True, kw_only=True)
class Prompt:
    """What a request asks: the typed fields of an `llm_request`."""

    provider: str
    model: str | None
    messages: list[Any]
    tools: list[Any] | None
    settings: dict[str, Any]
    stream: bool


class Failure(NamedTuple):
    """What a provider, or the connection to it, reports instead of an answer."""

    error_type: str
    error_message: str

    @classmethod
    def of(cls, error: Any, status: int, raw: bytes) -> Failure:
        """Name what went wrong by the provider's own code, which says more than its type or the HTTP status."""
        if isinstance(error, str):
            return cls(f"HTTP {status}", error)
        error = dict_of(error)
        code = error.get("code")
        own = text_of(code) or text_of(error.get("status")) or text_of(error.get("type"))
        name = own or f"HTTP {code if isinstance(code, int) else status}"
        return cls(name, text_of(error.get("message")) or raw.decode("utf-8", "replace"))

    @classmethod
    def of_chunk(cls, data: bytes) -> Failure:
        """Name an event of a stream that is no JSON, at which the SDKs give up."""
        return cls("invalid JSON in the stream", data.decode("utf-8", "replace"))


class HostedCall(NamedTuple):
    """A tool that the provider ran itself while it answered; `server` is the MCP server that it ran on.

    Of one that is still running when the answer ends, this one tells that it was `asked` for, and the next that it is
    `done`.
    """

    call_id: str | None
    name: str
    arguments: Any
    result: Any
    error: str | None = None
    server: str | None = None
    asked: bool = True
    done: bool = True


@dataclass(slots=True, kw_only=True)
class Answer:
    """What a response says: the typed fields of an `llm_response`, and what follows from them.

    `tool_calls` are `{"id", "name", "arguments"}`, and for the agent to run; `hosted` are those that ran already.
    `first_token` is the offset in the body at which the first token had arrived whole; None when the response is no
    stream. `refusal` is why the provider declined. `is_list_price` tells whether it costs what its tokens usually cost.
    """

    model: str | None = None
    content: Any = None
    thinking: str | None = None
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    hosted: list[HostedCall] = field(default_factory=list)
    finish_reason: str | None = None
    usage: dict[str, int | None] | None = None
    is_list_price: bool = True
    refusal: str | None = None
    failure: Failure | None = None
    first_token: int | None = None
    complete: bool = True
    data: dict[str, Any] = field(default_factory=dict)


class ToolReturn(NamedTuple):
    """A tool's result as the model gets it to read; `error` where the format says that it is one.

    `call_id` is the `call_key` of the call: of some providers, calls have no ids.
    """

    call_id: str
    result: Any
    error: str | None = None


class Provider(Protocol):
    """A module that reads one provider's format. Bodies come from the network: any shape must be survived."""

    def prompt(self, url: str, body: dict[str, Any]) -> Prompt | None:
        """Return what a request asks, or None when it is no model call after all."""

    def answer(self, status: int, body: bytes, *, stream: bool) -> Answer:
        """Return what a response says."""

    def calls(self, messages: list[Any]) -> dict[str, dict[str, Any]]:
        """Return the tool calls that a history shows, by their `call_key`."""

    def returns(self, messages: list[Any]) -> list[ToolReturn]:
        """Return the tool results among messages."""

    def tool_names(self, tools: list[Any]) -> list[str]:
        """Return the names of the tools offered."""


def loads(body: bytes | str) -> Any:
    """Return what JSON text says, or None when it is no JSON.

    >>> loads(b'{"seed": 1}'), loads(b"<html>")
    ({'seed': 1}, None)
    """
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    try:
        return json.loads(body)  # reads NaN and lone surrogates
    except (ValueError, RecursionError):
        return None


def arguments(text: Any) -> Any:
    """Return the arguments of a tool call: the value when they are JSON, else the text as the model wrote it."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)  # exact for integers of any size
    except (ValueError, RecursionError):
        return text


def call_key(call: dict[str, Any]) -> str:
    """Return what tells a tool call apart in its conversation: its id, or where the provider gives none, what it asks.

    >>> call_key({"id": None, "name": "weather", "arguments": {"city": "Paris"}})
    'weather {"city": "Paris"}'
    """
    return call["id"] or f"{call['name']} {json.dumps(call['arguments'], sort_keys=True)}"


def besides(body: dict[str, Any], told: Collection[str]) -> dict[str, Any]:
    """Return what a body says besides the fields that are told elsewhere.

    >>> besides({"model": "gpt-5", "seed": 1}, {"model"})
    {'seed': 1}
    """
    return {name: value for name, value in body.items() if name not in told}


def dict_of(value: Any) -> dict[str, Any]:
    """Return an object, and for anything else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    """Return a list, and for anything else an empty one."""
    return value if isinstance(value, list) else []


def dicts_of(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list."""
    return [item for item in list_of(value) if isinstance(item, dict)]


def text_of(value: Any) -> str | None:
    """Return a text, and for anything else None."""
    return value if isinstance(value, str) else None


def counts(**usage: Any) -> dict[str, int | None]:
    """Return counts of tokens; what is no count is unknown.

    >>> counts(input=3, output="many")
    {'input': 3, 'output': None}
    """
    return {name: count if type(count) is int else None for name, count in usage.items()}
