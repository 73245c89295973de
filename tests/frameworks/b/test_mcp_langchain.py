"""MCP tools that LangChain runs, by its adapters: one call each, which says its server."""

from __future__ import annotations

import sys

from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient

import peaky_peek as pp
from peaky_peek.store import Database
from tests.frameworks import mcp_server
from tests.frameworks.langchain_agents import ASK, calls, model
from tests.frameworks.trees import events, outline
from tests.loopback import Loopback, message


async def test_an_agent_of_langchain(store: Database, server: Loopback) -> None:
    program = {"transport": "stdio", "command": sys.executable, "args": [mcp_server.__file__]}
    tools = await MultiServerMCPClient({"mine": program}).get_tools()  # type: ignore[dict-item]
    server.answer(calls("c1", "weather", city="Paris"), message("Sunny."))
    await create_agent(model(server), tools, name="stargazer").ainvoke(ASK)
    (result,) = events(store, "tool_result")
    assert (result.result[0]["text"], result.parent_id) == ("sun in Paris", events(store, "tool_call")[0].id)
    assert [line.split("{")[0].strip() for line in outline(store, states=False).splitlines()[2:]] == [
        "llm gpt-4o-mini 11/7", "decision weather", "tool weather", "llm gpt-4o-mini 11/7",
    ]  # fmt: skip
    assert pp.tool_calls().server.tolist() == ["almanac"]
