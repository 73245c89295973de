"""What the user of each framework sees when something is not on the tape: `NotOnTape`, itself or as the cause."""

from __future__ import annotations

import asyncio
from typing import Any

import agents as openai_agents
import pytest
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt
from openai import AsyncOpenAI

import peaky_peek as pp
from peaky_peek.store import Database
from tests.frameworks.a.test_tape import FRAMEWORKS, agents, openai, ran, weather
from tests.loopback import Loopback, message, stream, tool_call

__all__ = ["openai"]
ASKS = [tool_call("c1", "weather", city="Paris")]


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_a_tool_call_that_is_not_on_the_tape(
    store: Database, server: Loopback, openai: AsyncOpenAI, make: Any, streams: bool
) -> None:
    server.answer(*([stream(tool_calls=ASKS), stream("Sunny.")] if streams else []))
    server.answer(*([] if streams else [message(tool_calls=ASKS), message("Sunny.")]))
    run = make(openai, weather, streams=streams)
    with pp.trace_session("first run"):
        await run("Weather?")
    with pp.tape("first run") as tape:
        tape._tools.drop([0])
        with pytest.raises(Exception, match="weather is on the tape of 'first run'") as caught:
            await run("Weather?")
    seen = caught.value.__cause__ if make is agents else caught.value
    assert type(seen) is pp.NotOnTape
    assert make is not agents or type(caught.value) is openai_agents.exceptions.UserError
    assert ran == ["weather"]


@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_tools_are_played_while_nothing_is_recorded(
    store: Database, server: Loopback, openai: AsyncOpenAI, make: Any
) -> None:
    server.answer(message(tool_calls=ASKS), message("Sunny."))
    run = make(openai, weather)
    with pp.trace_session("first run"):
        first = await run("Weather?")
    with pp.tape("first run"), pp.pause():
        assert await run("Weather?") == first
    pp.init(db=store.path, sample=0)
    with pp.tape("first run"), pp.trace_session("not sampled"):
        assert await run("Weather?") == first
    assert ran == ["weather"]


def test_a_graph_that_waits_for_somebody_is_played_in_both_parts(
    store: Database, server: Loopback, openai: AsyncOpenAI
) -> None:
    def book(city: str) -> str:
        """Book a trip."""
        ran.append("asked")
        answer = interrupt({"book": city})
        ran.append("booked")
        return f"{city}: {answer}"

    model = ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key="test", max_retries=0)
    agent = create_agent(model, [book], checkpointer=InMemorySaver())

    def run(thread: str) -> list[Any]:
        config: Any = {"configurable": {"thread_id": thread}}
        waits = agent.invoke({"messages": [{"role": "user", "content": "Book."}]}, config)  # type: ignore[arg-type]
        done = agent.invoke(Command(resume="yes"), config)
        return [waits["__interrupt__"][0].value, *(each.content for each in done["messages"])]

    server.answer(message(tool_calls=[tool_call("c1", "book", city="Rome")]), message("Booked."))
    with pp.trace_session("first run"):
        first = run("one")
    with pp.tape("first run") as tape, pp.trace_session("second run"):
        assert run("two") == first
    assert "2 of 2 exchanges, 2 of 2 tools" in repr(tape)
    assert len(server.requests) == 2
    assert ran == ["asked", "asked", "booked", "asked"]  # up to where it waits, it has to run


async def test_an_agent_that_is_a_tool_of_another_is_played_as_one(
    store: Database, server: Loopback, openai: AsyncOpenAI
) -> None:
    model = openai_agents.OpenAIChatCompletionsModel("gpt-4o-mini", openai_client=openai)
    expert = openai_agents.Agent(name="expert", model=model)
    agent = openai_agents.Agent(name="boss", model=model, tools=[expert.as_tool("ask_expert", "Ask.")])
    server.answer(
        message(tool_calls=[tool_call("c1", "ask_expert", input="Rain?")]), message("Rain."), message("It rains.")
    )

    async def run() -> Any:
        return (await openai_agents.Runner.run(agent, "Weather?")).final_output

    with pp.trace_session("first run"):
        first = await run()
    with pp.tape("first run") as tape, pp.trace_session("second run"):
        assert await run() == first == "It rains."
    assert "3 of 3 exchanges, 1 of 1 tools" in repr(tape)


@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_a_tool_that_ran_into_a_time_limit_does_so_again(
    store: Database, server: Loopback, openai: AsyncOpenAI, make: Any
) -> None:
    async def slow(city: str) -> str:
        """Take long."""
        ran.append("slow")
        await asyncio.Event().wait()
        return city

    server.answer(message(tool_calls=[tool_call("c1", "slow", city="Paris")]))
    run = make(openai, slow)

    async def attempt() -> str:
        try:
            async with asyncio.timeout(0.5):
                return str(await run("Weather?"))
        except TimeoutError:
            return "too slow"

    with pp.trace_session("first run"):
        assert await attempt() == "too slow"
    with pp.tape("first run"):
        assert await attempt() == "too slow"
    assert ran == ["slow"]
