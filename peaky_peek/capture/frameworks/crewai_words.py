"""What the events of CrewAI say: of tasks, results, errors, and of model calls that the wire does not see."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from peaky_peek.capture import faults
from peaky_peek.capture.frameworks.plain import plain
from peaky_peek.capture.providers.fields import loads
from peaky_peek.capture.recorder import recorder

_SETTINGS = ("temperature", "top_p", "max_tokens", "stream", "seed", "stop_sequences", "frequency_penalty",
             "presence_penalty", "n")  # fmt: skip
_HEADLINE = 60


class Asked(NamedTuple):
    """A tool that a model asked an agent to call."""

    call_id: str
    name: str
    arguments: Any


def request(event: Any) -> dict[str, Any]:
    """Return the fields of an `LLMRequest` from the event that a model is asked."""
    settings = {name: value for name in _SETTINGS if (value := getattr(event, name, None)) is not None}
    return _request(event.model, event.messages, event.tools) | {"settings": settings or None}


def request_of(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an `LLMRequest` from a model, and what it is called with."""
    named = dict(zip(("messages", "tools"), args, strict=False)) | kwargs
    return _request(model.model, named.get("messages"), named.get("tools"))


def _request(model: Any, asked: Any, offered: Any) -> dict[str, Any]:
    tools = [tool.get("function", tool) for tool in offered or [] if isinstance(tool, dict)]
    messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else plain(asked)
    return {"model": model, "messages": messages, "tools": tools or None}


def answer(event: Any) -> dict[str, Any]:
    """Return the fields of an `LLMResponse` from the event that a model has answered."""
    told = {"usage": getattr(event, "usage", None), "finish_reason": getattr(event, "finish_reason", None)}
    return answer_of(event.response) | told


def answer_of(response: Any) -> dict[str, Any]:
    """Return the fields of an `LLMResponse` from what a model returned."""
    asked = calls(response)
    tool_calls = [{"id": call.call_id, "name": call.name, "arguments": call.arguments} for call in asked]
    return {"content": None if asked else plain(response), "tool_calls": tool_calls or None, "complete": True}


def calls(response: Any) -> list[Asked]:
    """Return the tool calls in what a model answered, in the forms that OpenAI and Anthropic give them."""
    if not isinstance(response, list):
        return []
    found = []
    for call in plain(response):
        if isinstance(call, dict) and isinstance(call.get("id"), str):
            function = call.get("function") or call
            arguments = function.get("arguments", function.get("input"))
            read = loads(arguments) if isinstance(arguments, str) else arguments
            found.append(Asked(call["id"], str(function.get("name")), read if isinstance(read, dict) else arguments))
    return found


def output(event: Any) -> Any:
    """Return what something returned; of a task, the structured output if one was asked for, else the text."""
    returned = getattr(event, "output", None)
    if returned is None:
        return getattr(event, "result", None)
    if hasattr(returned, "raw"):
        structured = (returned.pydantic, returned.json_dict)
        return next((each for each in structured if each is not None), returned.raw)
    return returned


def error(event: Any) -> BaseException | str | None:
    """Return what went wrong: the exception that is being handled now, if the event tells of that one."""
    told = getattr(event, "error", None)
    if told is None:
        failure = getattr(event, "failure", None)
        return None if failure is None else f"{faults.text(failure.reason.value)}: {faults.text(failure.message)}"
    if isinstance(told, BaseException):
        return told
    told, raised = faults.text(told), sys.exception()
    return raised if raised is not None and faults.text(raised) in told else told


def headline(text: str) -> str:
    """Return the beginning of a description, as a name for what has none; the half of a secret is not known for one."""
    line = recorder().redactor.clean_text(text).strip().partition("\n")[0]
    return line if len(line) <= _HEADLINE else line[: _HEADLINE - 1].rstrip() + "…"


def stripped(name: Any) -> str | None:
    """Return a role without the line breaks that YAML leaves around it."""
    return name.strip() if isinstance(name, str) else None
