"""What the scripted model can answer, and the request it answers to.

A script is a function from a request to a reply, so the same conversation always gets the same answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """One chat completion as the model sees it."""

    model: str
    messages: list[dict[str, Any]]
    attempt: int = 0
    """0 for the first try, 1 for the first retry of the same request."""

    @property
    def turn(self) -> int:
        """How many times the model has already spoken in this conversation."""
        return sum(message["role"] == "assistant" for message in self.messages)

    @property
    def system(self) -> str:
        """The system prompt, empty if there is none."""
        return next((str(message["content"]) for message in self.messages if message["role"] == "system"), "")

    @property
    def question(self) -> str:
        """The first message of the user, empty if there is none."""
        return next((str(message["content"]) for message in self.messages if message["role"] == "user"), "")


@dataclass(frozen=True)
class Reply:
    """One answer of the model: text, tool calls, a refusal, or an HTTP error."""

    text: str | None = None
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    refusal: str | None = None
    http_error: int | None = None

    @property
    def finish_reason(self) -> str:
        """Why the model stopped, in the words of the API."""
        return "tool_calls" if self.calls else "stop"

    @property
    def written(self) -> str:
        """Everything the model wrote, as one string: what its output tokens are counted on."""
        return "".join([self.text or "", self.refusal or "", *(name + json.dumps(args) for name, args in self.calls)])


Script = Callable[[Request], Reply]


def say(text: str) -> Reply:
    """An answer in words."""
    return Reply(text)


def call(name: str, /, *, because: str | None = None, **arguments: Any) -> Reply:
    """A tool call, with the words that stand before it."""
    return Reply(because, ((name, arguments),))


def refuse(text: str) -> Reply:
    """The model's own refusal, in the field the API has for it."""
    return Reply(refusal=text)


def busy(reply: Reply) -> Script:
    """HTTP 429 at the first try, `reply` at the second."""
    return lambda request: Reply(http_error=429) if request.attempt == 0 else reply


def in_turn(*steps: Reply | Script) -> Script:
    """A script that answers the n-th turn of a conversation with the n-th step."""

    def script(request: Request) -> Reply:
        step = steps[request.turn]
        return step if isinstance(step, Reply) else step(request)

    return script
