"""A recorded run of each framework is played back: the same requests, answers and stream, and no tool is run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import agents as openai_agents
import httpx2
import pytest
from langchain.agents import create_agent
from langchain_core.tools import ToolException, tool
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

import peaky_peek as pp
from peaky_peek.store import Database
from tests.frameworks.trees import outline
from tests.loopback import Loopback, message, stream, tool_call

ASKS = [tool_call("c1", "weather", city="Paris"), tool_call("c2", "add", a=1, b=2)]
ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


def weather(city: str) -> str:
    """Tell the weather."""
    ran.append("weather")
    return f"sun in {city}"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    ran.append("add")
    return a + b


def fails(reason: str) -> str:
    """Fail."""
    ran.append("fails")
    raise ValueError(reason)


@pytest.fixture
async def openai(server: Loopback) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=server.url, api_key="test", max_retries=0, http_client=httpx2.AsyncClient()
    ) as client:
        yield client


Run = Callable[..., Awaitable[Any]]


def pydantic(client: AsyncOpenAI, *tools: Any, streams: bool = False) -> Run:
    agent: Any = Agent(
        OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(openai_client=client)), name="weatherman", tools=tools
    )

    async def run(question: str) -> Any:
        if not streams:
            return (await agent.run(question)).output
        async with agent.run_stream(question) as answer:
            return [text async for text in answer.stream_text(delta=True, debounce_by=None)]

    return run


def langchain(client: AsyncOpenAI, *tools: Any, streams: bool = False) -> Run:
    model = ChatOpenAI(
        model="gpt-4o-mini", base_url=str(client.base_url), api_key="test", max_retries=0, streaming=streams
    )  # fmt: skip
    agent = create_agent(model, list(tools), name="weatherman")

    async def run(question: str) -> Any:
        asked: Any = {"messages": [{"role": "user", "content": question}]}
        if streams:
            return [chunk.content async for chunk, _ in agent.astream(asked, stream_mode="messages")]
        return [(each.type, each.content) for each in (await agent.ainvoke(asked))["messages"]]

    return run


def agents(client: AsyncOpenAI, *tools: Any, streams: bool = False) -> Run:
    model = openai_agents.OpenAIChatCompletionsModel("gpt-4o-mini", openai_client=client)
    made = [openai_agents.function_tool(each) for each in tools]
    agent = openai_agents.Agent(name="weatherman", model=model, tools=made)

    async def run(question: str) -> Any:
        if not streams:
            return (await openai_agents.Runner.run(agent, question)).final_output
        result = openai_agents.Runner.run_streamed(agent, question)
        return [event.data.type async for event in result.stream_events() if event.type == "raw_response_event"]

    return run


FRAMEWORKS = [pydantic, langchain, agents]


async def twice(server: Loopback, run: Run, *, tools: Any = "recorded") -> tuple[Any, Any]:
    """What a run comes to, and what it comes to from its tape, when the server must hear nothing."""
    with pp.trace_session("first run"):
        first = await run("Weather?")
    heard = len(server.requests)
    with pp.tape("first run", tools=tools) as tape, pp.trace_session("second run"):
        second = await run("Weather?")
    assert len(server.requests) == heard
    assert f"{heard} of {heard} exchanges" in repr(tape)
    return first, second


def trees(store: Database) -> tuple[str, str]:
    """The outlines of both runs without their headings."""
    first, _, second = outline(store, states=False).partition("session second run")
    return tuple(picture.strip().split("\n", 2)[2] for picture in (first, second))  # type: ignore[return-value]


@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_a_run_is_played_back_without_its_tools(
    store: Database, server: Loopback, openai: AsyncOpenAI, make: Any
) -> None:
    server.answer(message(tool_calls=ASKS), message("Sunny."))
    first, second = await twice(server, make(openai, weather, add))
    assert first == second
    assert sorted(ran) == ["add", "weather"]
    recorded, played = trees(store)
    assert recorded == played


@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_a_streamed_run_is_played_back(store: Database, server: Loopback, openai: AsyncOpenAI, make: Any) -> None:
    server.answer(stream(tool_calls=ASKS[:1]), stream("Sun", "ny", "."))
    first, second = await twice(server, make(openai, weather, add, streams=True))
    assert first == second
    assert len(first) >= 3
    assert ran == ["weather"]


@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_tools_run_when_they_are_to_be_live(
    store: Database, server: Loopback, openai: AsyncOpenAI, make: Any
) -> None:
    server.answer(message(tool_calls=ASKS), message("Sunny."))
    first, second = await twice(server, make(openai, weather, add), tools="live")
    assert first == second
    assert sorted(ran) == ["add", "add", "weather", "weather"]


@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_runs_side_by_side_each_get_their_own(
    store: Database, server: Loopback, openai: AsyncOpenAI, make: Any
) -> None:
    def answer(seen: Any) -> Any:
        question, last = seen.body["messages"][-1], seen.body["messages"][-1]["role"]
        if last == "tool":
            return message(f"It is {question['content']}.")
        return message(tool_calls=[tool_call("c1", "weather", city=question["content"])])

    server.reply_to = answer  # type: ignore[method-assign]
    run = make(openai, weather)
    cities = ["Paris", "Rome", "Oslo", "Bern"]
    with pp.trace_session("first run"):
        first = await asyncio.gather(*map(run, cities))
    server.reply_to = None  # type: ignore[assignment,method-assign]
    with pp.tape("first run"):
        second = await asyncio.gather(*map(run, reversed(cities)))
    assert list(reversed(second)) == first
    assert len(ran) == 4


@pytest.mark.parametrize("make", [pydantic, agents])
async def test_a_tool_that_failed_fails_again(
    store: Database, server: Loopback, openai: AsyncOpenAI, make: Any
) -> None:
    server.answer(message(tool_calls=[tool_call("c1", "fails", reason="no luck")]), message("Sorry."))
    run = make(openai, fails)
    said = []

    async def attempt(question: str) -> Any:
        try:
            said.append(str(await run(question)))
        except ValueError as error:
            said.append(repr(error))

    with pp.trace_session("first run"):
        await attempt("Weather?")
    with pp.tape("first run"):
        await attempt("Weather?")
    assert said[0] == said[1]
    assert ran == ["fails"]


async def test_a_tool_of_langchain_that_failed_and_was_handled_is_played_as_handled(
    store: Database, server: Loopback, openai: AsyncOpenAI
) -> None:
    @tool
    def lookup(city: str) -> str:
        """Look a city up."""
        ran.append("lookup")
        raise ToolException(f"no such city: {city}")

    lookup.handle_tool_error = True
    server.answer(message(tool_calls=[tool_call("c1", "lookup", city="Atlantis")]), message("Sorry."))
    first, second = await twice(server, langchain(openai, lookup))
    assert first == second
    assert ran == ["lookup"]


async def test_a_tool_of_pydantic_ai_that_asked_to_be_tried_again_asks_again(
    store: Database, server: Loopback, openai: AsyncOpenAI
) -> None:
    def picky(city: str) -> str:
        """Tell the weather, of some cities."""
        ran.append("picky")
        if city == "Paris":
            raise ModelRetry("another city, please")
        return "rain"

    asks = [message(tool_calls=[tool_call(f"c{city}", "picky", city=city)]) for city in ("Paris", "Rome")]
    server.answer(*asks, message("Rain."))
    first, second = await twice(server, pydantic(openai, picky))
    assert first == second == "Rain."
    assert ran == ["picky", "picky"]


@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_a_tool_that_was_not_called_like_this_shows_what_differs(
    store: Database, server: Loopback, openai: AsyncOpenAI, make: Any
) -> None:
    server.answer(message(tool_calls=[tool_call("c1", "weather", city="Paris")]), message("Sunny."))
    with pp.trace_session("first run"):
        await make(openai, weather)("Weather?")

    def changed(seen: Any) -> Any:  # the recorded answer comes from the tape; the agent's question is another
        raise AssertionError("nobody asks")

    server.reply_to = changed  # type: ignore[method-assign]
    with pp.tape("first run"), pytest.raises(pp.NotOnTape, match="Whatever"):
        await make(openai, weather)("Whatever")
