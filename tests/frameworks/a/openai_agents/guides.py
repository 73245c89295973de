"""What the tests run: an agent with its tools, the ways to run it, and what its model answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, function_tool
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from tests.loopback import Reply, function_call, message, response, response_stream, stream, tool_call


@function_tool
def weather(city: str) -> dict[str, Any]:
    return {"city": city, "sky": "clear"}


@function_tool
async def add(a: int, b: int) -> int:
    return a + b


@function_tool
def broken(city: str) -> str:
    raise ValueError(f"no such city as {city}")


def climate(city: str) -> str:
    return "clear"


def guide(model: Any, **more: Any) -> Agent[Any]:
    return Agent(name="guide", instructions="Guide.", model=model, **{"tools": [weather, add], **more})


async def streamed(agent: Agent[Any], asked: str, **options: Any) -> tuple[Any, list[Any]]:
    """What a streamed run returns, and every event that it showed."""
    result = Runner.run_streamed(agent, asked, **options)
    return result, [event async for event in result.stream_events()]


CALLS = (("c1", "weather", {"city": "Rome"}), ("c2", "add", {"a": 1, "b": 2}))
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def answers(api: str, mode: str) -> tuple[Reply, Reply]:
    """Two tools that are called, then an answer."""
    if api == "responses":
        items = [function_call(call_id, name, **arguments) for call_id, name, arguments in CALLS]
        make = response if mode == "whole" else response_stream
        return make(*items), make("Sunny, and 3.")
    calls = [tool_call(call_id, name, **arguments) for call_id, name, arguments in CALLS]
    if mode == "whole":
        return message(tool_calls=calls), message("Sunny, and 3.")
    return stream(tool_calls=calls, usage=USAGE), stream("Sunny, ", "and 3.", usage=USAGE)


class Local(Model):
    """A model that nobody asks over HTTP."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        if not self.answers:
            raise RuntimeError("nothing to say")
        return ModelResponse([self.answers.pop(0)], Usage(1, input_tokens=11, output_tokens=7, total_tokens=18), None)

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        whole = await self.get_response()
        said = {"id": "r", "created_at": 1, "model": "local", "object": "response", "output": whole.output}
        settings = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        answer = Response(**said, **settings)
        yield ResponseCompletedEvent(response=answer, sequence_number=1, type="response.completed")


def local_model() -> Local:
    call = ResponseFunctionToolCall(type="function_call", call_id="c1", name="weather", arguments='{"city": "Rome"}')
    text = ResponseOutputText(text="Sunny.", type="output_text", annotations=[])
    said = ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[text])
    return Local(call, said)
