"""MCP tools that PydanticAI and the OpenAI Agents SDK run: one call each, which says its server."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from agents import Agent as OpenAIAgent
from agents import OpenAIChatCompletionsModel, Runner
from agents.mcp import MCPServerStdio
from fastmcp.client.transports import StdioTransport
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset

import peaky_peek as pp
from peaky_peek.store import Database
from tests.frameworks import mcp_server
from tests.frameworks.pydantic_agents import calls
from tests.frameworks.trees import events, outline, tree
from tests.loopback import Loopback, message, tool_call

ASKS = [tool_call("c1", "weather", city="Paris"), tool_call("c2", "moon", day=32)]


def asked(store: Database) -> list[tuple[Any, ...]]:
    return [(call.tool_name, call.call_id) for call in sorted(events(store, "tool_call"), key=lambda call: call.name)]


@pytest.mark.parametrize("prefix", [None, "almanac"])
async def test_an_agent_of_pydantic_ai(store: Database, server: Loopback, model: Any, prefix: str | None) -> None:
    toolset: Any = MCPToolset(StdioTransport(sys.executable, [mcp_server.__file__], keep_alive=False))
    before = "" if prefix is None else f"{prefix}_"
    day = tool_call("c2", f"{before}moon", day=32)
    server.answer(calls(tool_call("c1", f"{before}weather", city="Paris")), calls(day), message("Sunny."))
    await Agent(model, name="stargazer", toolsets=[toolset if prefix is None else toolset.prefixed(prefix)]).run("?")
    assert outline(store) == tree(f"""
        session stargazer pydantic_ai completed
          agent stargazer '?' -> 'Sunny.'
            llm gpt-4o-mini 11/7
            decision {before}weather
            tool {before}weather {{'city': 'Paris'}} -> 'sun in Paris'
            llm gpt-4o-mini 11/7
            decision {before}moon
            tool {before}moon {{'day': 32}} !! ModelRetry: Error executing tool moon: no such day (error)
            llm gpt-4o-mini 11/7
    """)
    assert pp.tool_calls().server.tolist() == ["almanac", "almanac"]


async def test_an_agent_of_pydantic_ai_over_http(store: Database, server: Loopback, model: Any) -> None:
    server.answer(calls(tool_call("c1", "moon", day=3)), message("Full."))
    with mcp_server.over_http() as url:
        await Agent(model, name="stargazer", toolsets=[MCPToolset(url)]).run("?")
    (result,) = events(store, "tool_result")
    assert (result.result, result.call_id, result.data) == ({"phase": "full", "day": 3}, "c1", {"server": "almanac"})


async def test_an_agent_of_openai(store: Database, server: Loopback) -> None:
    server.answer(calls(*ASKS), message("Sunny."))
    program: Any = {"command": sys.executable, "args": [mcp_server.__file__]}
    async with (
        MCPServerStdio(params=program, name="almanac") as tools,
        AsyncOpenAI(base_url=server.url, api_key="test") as client,
    ):
        model = OpenAIChatCompletionsModel("gpt-4o-mini", client)
        await Runner.run(OpenAIAgent(name="stargazer", mcp_servers=[tools], model=model), "?")
    assert asked(store) == [("moon", "c2"), ("weather", "c1")]
    assert [event.data["server"] for event in events(store, "tool_call", "tool_result")] == ["almanac"] * 4
    errors = {result.name: result.error for result in events(store, "tool_result")}
    assert errors == {"weather": None, "moon": "Error executing tool moon: no such day"}
