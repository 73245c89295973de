"""PydanticAI agents that the tests run, and the ways to run them."""

from __future__ import annotations

from typing import Any

import httpx2
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.frameworks.trees import tree
from tests.loopback import Loopback, message, tool_call

ASKS = [tool_call("c1", "weather", city="Paris"), tool_call("c2", "add", a=1, b=2)]
RUN = tree("""
    session weatherman pydantic_ai completed
      agent weatherman 'Weather?' -> 'Sunny.'
        llm gpt-4o-mini 11/7
        decision weather, add
        tool weather {'city': 'Paris'} -> 'sun in Paris'
        tool add {'a': 1, 'b': 2} -> 3
        llm gpt-4o-mini 11/7
""")


def chat(server: Loopback, name: str = "gpt-4o-mini") -> OpenAIChatModel:
    return OpenAIChatModel(name, provider=OpenAIProvider(base_url=server.url, api_key="test", http_client=client()))


def client() -> httpx2.AsyncClient:
    """Keeps no line open: nobody closes the client that a model holds."""
    return httpx2.AsyncClient(limits=httpx2.Limits(max_keepalive_connections=0))


def weatherman(model: Any, **options: Any) -> Agent[None, Any]:
    agent: Agent[None, Any] = Agent(model, **{"name": "weatherman", **options})

    @agent.tool_plain
    def weather(city: str) -> str:
        return f"sun in {city}"

    @agent.tool_plain(sequential=True)  # so that the order of the two is always the same
    async def add(a: int, b: int) -> int:
        return a + b

    return agent


def calls(*asked: dict[str, Any], **fields: Any) -> Any:
    return message(tool_calls=list(asked), **fields)


async def by_run(agent: Agent[None, Any]) -> Any:
    return (await agent.run("Weather?")).output


async def by_iter(agent: Agent[None, Any]) -> Any:
    async with agent.iter("Weather?") as run:
        async for _ in run:
            pass
    assert run.result is not None
    return run.result.output


async def by_stream(agent: Agent[None, Any]) -> list[str]:
    async with agent.run_stream("Weather?") as result:
        return [text async for text in result.stream_text(delta=True, debounce_by=None)]


async def by_events(agent: Agent[None, Any]) -> list[str]:
    async with agent.run_stream_events("Weather?") as seen:
        return ["".join([type(event).__name__ async for event in seen])[-19:]]
