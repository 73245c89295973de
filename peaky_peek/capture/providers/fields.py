"""What a provider's bytes say, in the same words for every provider."""

from __future__ import annotations

import json
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


@dataclass(slots=True, kw_only=True)
class Answer:
    """What a response says: the typed fields of an `llm_response`, and what follows from them.

    `tool_calls` are `{"id", "name", "arguments"}`. `first_token` is the offset in the body at which the first token had
    arrived whole; None when the response is no stream. `refusal` is why the provider declined.
    """

    model: str | None = None
    content: Any = None
    thinking: str | None = None
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str | None = None
    usage: dict[str, int | None] | None = None
    refusal: str | None = None
    failure: Failure | None = None
    first_token: int | None = None
    complete: bool = True
    data: dict[str, Any] = field(default_factory=dict)


class ToolReturn(NamedTuple):
    """A tool's result as the model gets it to read."""

    call_id: str
    result: Any


class Provider(Protocol):
    """A module that reads one provider's format. Bodies come from the network: any shape must be survived."""

    def prompt(self, url: str, body: dict[str, Any]) -> Prompt | None:
        """Return what a request asks, or None when it is no model call after all."""

    def answer(self, status: int, body: bytes, *, stream: bool) -> Answer:
        """Return what a response says."""

    def calls(self, messages: list[Any]) -> dict[str, dict[str, Any]]:
        """Return the tool calls that a history shows, by call id."""

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
