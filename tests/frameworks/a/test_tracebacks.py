"""What models and tools raise passes our wrappers, and no traceback shows them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest
from agents import OpenAIChatCompletionsModel, Runner, function_tool
from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient

from peaky_peek.store import Database
from tests.frameworks.a.openai_agents.guides import guide
from tests.frameworks.a.test_autogen import INFO
from tests.frameworks.pydantic_agents import chat, weatherman
from tests.frameworks.tracebacks import ours
from tests.frameworks.trees import sessions
from tests.loopback import Loopback, error, message, tool_call


def book(city: str) -> str:
    """Books a hotel."""
    raise ValueError(f"no hotel in {city}")


async def pydantic_ai(server: Loopback) -> None:
    agent = weatherman(chat(server))
    agent.tool_plain(book)
    await agent.run("Weather?")


async def openai_agents(server: Loopback) -> None:
    async with openai.AsyncOpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
        tool = function_tool(book, failure_error_function=None)
        await Runner.run(guide(OpenAIChatCompletionsModel("gpt-4o-mini", client), tools=[tool]), "Weather?")


async def autogen(server: Loopback) -> None:
    client = OpenAIChatCompletionClient(
        model="gpt-4o-mini", base_url=server.url, api_key="test", max_retries=0, model_info=INFO
    )
    try:
        await AssistantAgent("helper", client).run(task="Weather?")
    finally:
        await client.close()


RUNS = [pydantic_ai, openai_agents, autogen]


@pytest.mark.parametrize("run", RUNS)
async def test_of_a_model_that_fails(
    store: Database, server: Loopback, run: Callable[[Loopback], Awaitable[Any]]
) -> None:
    server.answer(*[error(500)] * 3)  # the SDK may try again
    with pytest.raises(Exception, match="scripted failure") as caught:
        await run(server)
    assert ours(caught.value) == []
    assert [session["status"] for session in sessions(store)] == ["failed"]


@pytest.mark.parametrize("run", RUNS[:2])  # AutoGen makes a result of it
async def test_of_a_tool_that_fails(
    store: Database, server: Loopback, run: Callable[[Loopback], Awaitable[Any]]
) -> None:
    server.answer(message(tool_calls=[tool_call("c1", "book", city="Rome")]))
    with pytest.raises(Exception, match="no hotel in Rome") as caught:
        await run(server)
    assert ours(caught.value) == []
    assert [session["status"] for session in sessions(store)] == ["failed"]
