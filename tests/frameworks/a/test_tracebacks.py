"""What agents raise is raised through our wrappers, and no traceback shows them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agents import Runner, function_tool
from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient

from peaky_peek.capture import frameworks
from peaky_peek.store import Database
from tests.frameworks import ours
from tests.frameworks.a.openai_agents.guides import guide
from tests.frameworks.a.test_autogen import INFO
from tests.frameworks.pydantic_agents import chat, weatherman
from tests.frameworks.trees import sessions
from tests.loopback import Loopback, error, message, tool_call


@function_tool(failure_error_function=None)
def breaks(city: str) -> str:
    raise ValueError(f"no such city as {city}")


async def pydantic_ai(server: Loopback, *, by_tool: bool) -> None:
    agent = weatherman(chat(server), retries=0)
    agent.tool_plain(breaks_plainly)
    await agent.run("Weather?")


def breaks_plainly(city: str) -> str:
    raise ValueError(f"no such city as {city}")


async def openai_agents(server: Loopback, *, by_tool: bool) -> None:
    from agents import OpenAIChatCompletionsModel
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
        await Runner.run(guide(OpenAIChatCompletionsModel("gpt-4o-mini", client), tools=[breaks]), "Weather?")


async def autogen(server: Loopback, *, by_tool: bool) -> None:
    client = OpenAIChatCompletionClient(
        model="gpt-4o-mini", base_url=server.url, api_key="test", max_retries=0, model_info=INFO
    )
    try:
        await AssistantAgent("helper", client).run(task="Weather?")
    finally:
        await client.close()
