"""A run of the OpenAI Agents SDK from its tape: the same answers, with the network off and without its tools."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agents import Agent, FunctionTool, Runner, function_tool

import peaky_peek as pp
from peaky_peek.store import Database
from tests.frameworks.a.openai_agents.guides import guide, streamed
from tests.frameworks.trees import outline
from tests.loopback import Loopback, function_call, response, response_stream


@pytest.mark.parametrize("mode", ["whole", "streamed"])
async def test_a_run_with_tools_and_a_handoff_is_played(
    store: Database, server: Loopback, model: Any, mode: str
) -> None:
    async def run(agent: Agent[Any]) -> Any:
        return await Runner.run(agent, "Rome") if mode == "whole" else (await streamed(agent, "Rome"))[0]

    async def by_hand(context: Any, arguments: str) -> str:
        ran.append("by hand")
        return "by hand"

    @function_tool
    def search(city: str) -> dict[str, Any]:
        ran.append("search")
        return {"found": [city]}

    @function_tool
    def broken() -> str:
        ran.append("broken")
        raise ValueError("no")

    @function_tool(timeout=0.01)
    async def sleepy() -> str:
        ran.append("sleepy")
        await asyncio.Event().wait()
        return "never"

    ran: list[str] = []
    own = FunctionTool("own", "", {"type": "object", "properties": {}}, by_hand, strict_json_schema=False)
    booker = guide(model, tools=[search, broken, sleepy, own])
    triage = Agent(name="triage", handoffs=[booker], model=model)
    make = response if mode == "whole" else response_stream
    calls = [function_call(f"c{at}", name) for at, name in enumerate(("broken", "sleepy", "own"), 2)]
    server.answer(
        make(function_call("c0", "transfer_to_guide")), make(function_call("c1", "search", city="Rome"), *calls),
        make("Booked."),
    )  # fmt: skip
    live = await run(triage)
    recorded = outline(store)
    assert sorted(ran) == ["broken", "by hand", "search", "sleepy"]
    with pp.tape(-1) as tape:
        played = await run(triage)
    assert played.final_output == live.final_output == "Booked."
    assert (len(ran), len(server.requests)) == (4, 3)
    assert "3 of 3 exchanges" in repr(tape)
    assert outline(store) == f"{recorded}\n{recorded}"
