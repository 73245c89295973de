"""The loop of the demo's agents: ask the model, do what it asks, until it answers in words."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from openai import OpenAI

Tool = Callable[..., Any]
JSON_TYPES = {str: "string", int: "integer", float: "number"}


def run_agent(
    client: OpenAI, *, model: str, system: str, question: str, tools: Sequence[Tool], max_turns: int = 12
) -> str:
    """What the agent answers in the end.

    Raises:
        RuntimeError: the model still asks for tools after `max_turns` turns.
    """
    messages: list[Any] = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    schemas: list[Any] = [schema(tool) for tool in tools]
    for _ in range(max_turns):
        completion = client.chat.completions.create(model=model, messages=messages, tools=schemas)
        message = completion.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            return message.content or message.refusal or ""
        messages += [act(tools, tool_call) for tool_call in message.tool_calls]
    raise RuntimeError(f"no answer after {max_turns} turns")


def act(tools: Sequence[Tool], tool_call: Any) -> dict[str, Any]:
    """The message for the model that holds the result of one tool call, or what went wrong."""
    function = next(tool for tool in tools if tool.__name__ == tool_call.function.name)
    try:
        result = function(**json.loads(tool_call.function.arguments))
    except (LookupError, OSError, ValueError) as error:
        result = f"Error: {error}"
    return {"role": "tool", "tool_call_id": tool_call.id, "content": json.dumps(result)}


def schema(tool: Tool) -> dict[str, Any]:
    """A function of strings and numbers as the tool that the model is offered."""
    types = get_type_hints(inspect.unwrap(tool))
    names = list(inspect.signature(tool).parameters)
    return {
        "type": "function",
        "function": {
            "name": tool.__name__,
            "description": inspect.getdoc(tool),
            "parameters": {
                "type": "object",
                "properties": {name: {"type": JSON_TYPES[types[name]]} for name in names},
                "required": names,
            },
        },
    }
