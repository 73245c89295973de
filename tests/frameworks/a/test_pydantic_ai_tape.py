"""A recorded run of a PydanticAI agent is played back: no network, no tools, the same answers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ImageUrl, ModelRetry, ToolReturn

import peaky_peek as pp
from peaky_peek.errors import NotOnTape
from peaky_peek.store import Database
from tests.frameworks.pydantic_agents import by_run, by_stream, calls, chat, weatherman
from tests.frameworks.trees import outline
from tests.loopback import Loopback, message, stream, tool_call


class Found(BaseModel):
    who: str


def seeker(server: Loopback, ran: list[str]) -> Agent[None, Found]:
    agent: Agent[None, Found] = Agent(chat(server), name="seeker", output_type=Found)

    @agent.tool_plain
    def find(who: str) -> str:
        ran.append(who)
        if who == "Eve":
            raise ModelRetry("nobody of that name")
        return f"{who} Lovelace"

    return agent


async def test_a_run_with_tools_that_fail_at_first(store: Database, server: Loopback) -> None:
    ran: list[str] = []
    agent = seeker(server, ran)
    server.answer(
        calls(tool_call("c1", "find", who="Eve")), calls(tool_call("c2", "find", who="Ada")),
        calls(tool_call("c3", "final_result", who="Ada Lovelace")),
    )  # fmt: skip
    live = await agent.run("Whom?")
    recorded = outline(store)
    with pp.tape(-1) as tape:
        played = await agent.run("Whom?")
    assert ran == ["Eve", "Ada"]
    assert played.output == live.output == Found(who="Ada Lovelace")
    assert len(server.requests) == 3
    assert "3 of 3 exchanges" in repr(tape)
    assert outline(store) == f"{recorded}\n{recorded}"


async def test_a_streamed_run(store: Database, server: Loopback) -> None:
    server.answer(stream("Sun", "ny."))
    agent = weatherman(chat(server))
    live = await by_stream(agent)
    with pp.tape(-1):
        assert await by_stream(agent) == live


async def test_tools_run_again_when_they_are_wanted_live(store: Database, server: Loopback) -> None:
    ran: list[str] = []
    agent = seeker(server, ran)
    server.answer(calls(tool_call("c1", "find", who="Ada")), calls(tool_call("c2", "final_result", who="Ada Lovelace")))
    await agent.run("Whom?")
    with pp.tape(-1, tools="live"):
        await agent.run("Whom?")
    assert ran == ["Ada", "Ada"]


async def test_what_was_not_recorded_is_not_made_up(store: Database, server: Loopback) -> None:
    server.answer(message("Sunny."))
    agent: Agent[None, Any] = weatherman(chat(server))
    await by_run(agent)
    with pp.tape(-1), pytest.raises(NotOnTape, match="differs"):
        await agent.run("And tomorrow?")


async def test_pictures_and_what_is_said_besides_a_result_are_what_they_were(store: Database, server: Loopback) -> None:
    ran: list[str] = []
    agent: Agent[None, str] = Agent(chat(server), name="artist")
    picture = BinaryContent(b"\x89PNG", media_type="image/png")

    @agent.tool_plain
    def draw() -> BinaryContent:
        ran.append("draw")
        return picture

    @agent.tool_plain
    def explain() -> ToolReturn:
        ran.append("explain")
        return ToolReturn("a cat", content=["see", picture, ImageUrl("https://example.com/cat.png")], metadata={"n": 1})

    server.answer(calls(tool_call("c1", "draw"), tool_call("c2", "explain")), message("A cat."))
    live = await agent.run("Draw.")
    with pp.tape(-1) as tape:
        assert (await agent.run("Draw.")).output == live.output == "A cat."
    assert "2 of 2 exchanges, 2 of 2 tools" in repr(tape)
    assert sorted(ran) == ["draw", "explain"]
