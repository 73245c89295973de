"""MCP tools that AutoGen runs from a workbench: one call each, which says its server."""

from __future__ import annotations

import sys

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from autogen_ext.tools.mcp import McpWorkbench, StdioServerParams

import peaky_peek as pp
from peaky_peek.capture import frameworks
from peaky_peek.store import Database
from tests.frameworks import mcp_server
from tests.frameworks.trees import events, outline, tree
from tests.loopback import Loopback, message, tool_call

INFO = {"vision": False, "function_calling": True, "json_output": True, "family": "gpt-4o", "structured_output": True}


@pytest.mark.filterwarnings("ignore:Resolved model mismatch:UserWarning")
async def test_an_agent_of_autogen(store: Database, server: Loopback) -> None:
    frameworks.install(frozenset({"autogen", "mcp"}))
    calls = [tool_call("c1", "weather", city="Paris"), tool_call("c2", "moon", day=32)]
    server.answer(message(tool_calls=calls), message("Sunny."))
    client = OpenAIChatCompletionClient(model="gpt-4o-mini", base_url=server.url, api_key="test", model_info=INFO)
    async with McpWorkbench(StdioServerParams(command=sys.executable, args=[mcp_server.__file__])) as workbench:
        agent = AssistantAgent("helper", client, workbench=workbench, reflect_on_tool_use=True)
        await agent.run(task="Weather?")
    await client.close()
    frameworks.uninstall()
    assert outline(store) == tree("""
        session helper autogen completed
          agent helper 'Weather?' -> 'Sunny.'
            llm gpt-4o-mini 11/7
            decision weather, moon
            tool weather {'city': 'Paris'} -> 'sun in Paris'
            tool moon {'day': 32} !! Error executing tool moon: no such day (error)
            llm gpt-4o-mini 11/7
    """)
    assert [event.call_id for event in events(store, "tool_result")] == ["c1", "c2"]
    assert pp.tool_calls().server.tolist() == ["almanac", "almanac"]
