"""Tools, outputs and approvals of PydanticAI agents: each call is a pair, and says what came of it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    ApprovalRequired,
    DeferredToolRequests,
    DeferredToolResults,
    ModelRetry,
    RunContext,
    TextOutput,
    ToolDenied,
    ToolFailed,
)
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.test import TestModel

import peaky_peek as pp
from peaky_peek.store import Database
from tests.frameworks.pydantic_agents import ASKS, calls, weatherman
from tests.frameworks.trees import events, outline, tree
from tests.loopback import Loopback, message, tool_call


async def test_a_tool_that_raises_ends_the_run_with_its_error(store: Database, server: Loopback, model: Any) -> None:
    agent: Agent[None, str] = Agent(model, name="fragile")

    @agent.tool_plain
    def explode() -> str:
        raise ValueError("kaboom")

    server.answer(calls(tool_call("c1", "explode")))
    with pytest.raises(ValueError, match="kaboom"):
        await agent.run("go")
    assert outline(store) == tree("""
        session fragile pydantic_ai failed
          agent fragile 'go' (error)
            llm gpt-4o-mini 11/7
            decision explode
            tool explode {} !! ValueError: kaboom (error)
            error ValueError kaboom
    """)


async def test_a_retry_that_a_tool_asks_for_is_its_error(store: Database, server: Loopback, model: Any) -> None:
    agent: Agent[None, str] = Agent(model, name="patient")

    @agent.tool_plain
    def find(who: str) -> str:
        if who != "Ada":
            raise ModelRetry("nobody of that name")
        return "Ada Lovelace"

    server.answer(
        calls(tool_call("c1", "find", nobody=1)), calls(tool_call("c2", "find", who="Ada")), message("Found.")
    )
    assert (await agent.run("go")).output == "Found."
    server.answer(
        calls(tool_call("c3", "find", who="Eve")), calls(tool_call("c4", "find", who="Ada")), message("Found.")
    )
    assert (await agent.run("again")).output == "Found."
    assert outline(store) == tree("""
        session patient pydantic_ai completed
          agent patient 'go' -> 'Found.'
            llm gpt-4o-mini 11/7
            decision find
            tool find {'nobody': 1} !! ValidationError: 2 validation errors for find (error)
            llm gpt-4o-mini 11/7
            decision find
            tool find {'who': 'Ada'} -> 'Ada Lovelace'
            llm gpt-4o-mini 11/7
        session patient pydantic_ai completed
          agent patient 'again' -> 'Found.'
            llm gpt-4o-mini 11/7
            decision find
            tool find {'who': 'Eve'} !! ModelRetry: nobody of that name (error)
            llm gpt-4o-mini 11/7
            decision find
            tool find {'who': 'Ada'} -> 'Ada Lovelace'
            llm gpt-4o-mini 11/7
    """)


async def test_an_output_tool_is_called_and_its_result_is_the_output(
    store: Database, server: Loopback, model: Any
) -> None:
    class City(BaseModel):
        town: str
        size: int

    agent = Agent(model, name="typed", output_type=City)
    server.answer(
        calls(tool_call("f1", "final_result", town="Rome", size="many")),
        calls(tool_call("f2", "final_result", town="Rome", size=3)),
        calls(tool_call("f3", "final_result", town="Bonn", size=1)),
    )
    with pp.trace_session("chat"):
        first = await agent.run("A city?")
        await agent.run("Another?", message_history=first.all_messages())
    assert outline(store) == tree("""
        session chat pydantic_ai completed
          agent chat
            agent typed 'A city?' -> {'town': 'Rome', 'size': 3}
              llm gpt-4o-mini 11/7
              decision final_result
              tool final_result {'town': 'Rome', 'size': 'many'} !! ValidationError: 1 validation error for City (error)
              llm gpt-4o-mini 11/7
              decision final_result
              tool final_result {'town': 'Rome', 'size': 3} -> {'town': 'Rome', 'size': 3}
            agent typed 'Another?' -> {'town': 'Bonn', 'size': 1}
              llm gpt-4o-mini 11/7
              decision final_result
              tool final_result {'town': 'Bonn', 'size': 1} -> {'town': 'Bonn', 'size': 1}
    """)


async def test_a_streamed_output_is_one_call_however_often_it_is_looked_at(store: Database) -> None:
    agent = Agent(TestModel(custom_output_args={"numbers": [1, 2]}), name="typed", output_type=dict[str, list[int]])
    async with agent.run_stream("go") as result:
        async for _ in result.stream_output(debounce_by=None):
            pass
        assert await result.get_output() == {"numbers": [1, 2]}
    assert [call.tool_name for call in events(store, "tool_call")] == ["final_result"]
    assert [end.output for end in events(store, "agent_end")] == [{"numbers": [1, 2]}]


async def test_a_function_that_makes_the_output_of_text_is_a_tool(
    store: Database, server: Loopback, model: Any
) -> None:
    def words(text: str) -> list[str]:
        return text.split()

    server.answer(message("so it is"))
    await Agent(model, name="splitter", output_type=TextOutput(words)).run("go")
    assert outline(store) == tree("""
        session splitter pydantic_ai completed
          agent splitter 'go' -> ['so', 'it', 'is']
            llm gpt-4o-mini 11/7
            tool words 'so it is' -> ['so', 'it', 'is']
    """)


async def test_a_tool_runs_when_a_person_allows_it_and_is_blocked_when_not(
    store: Database, server: Loopback, model: Any
) -> None:
    agent: Agent[None, Any] = Agent(model, name="cleaner", output_type=[str, DeferredToolRequests])

    @agent.tool_plain(requires_approval=True)
    def delete(path: str) -> str:
        return f"deleted {path}"

    server.answer(
        calls(tool_call("d1", "delete", path="/a"), tool_call("d2", "delete", path="/b")), message("One deleted.")
    )
    with pp.trace_session("cleaning"):
        asked = await agent.run("Clean up")
        allowed = DeferredToolResults(approvals={"d1": True, "d2": ToolDenied("not that one")})
        await agent.run(message_history=asked.all_messages(), deferred_tool_results=allowed)
    lines = outline(store).splitlines()
    assert lines[2].startswith("    agent cleaner 'Clean up' -> {'calls': [], 'approvals': [{'tool_name': 'delete'")
    assert lines[7].startswith("    agent cleaner {'calls': {}, 'approvals': {'d1': True")
    assert tree("\n".join([*lines[3:7], *lines[8:]])) == tree("""
        llm gpt-4o-mini 11/7
        decision delete, delete
        safety_check approval warn 'delete'
        safety_check approval warn 'delete'
        tool delete {'path': '/a'} -> 'deleted /a'
          safety_check approval pass
        tool delete {'path': '/b'} !! ToolDenied: not that one (error)
          safety_check approval block 'delete'
        llm gpt-4o-mini 11/7
    """)


async def test_a_tool_that_asks_for_approval_itself_has_not_failed(
    store: Database, server: Loopback, model: Any
) -> None:
    agent: Agent[None, Any] = Agent(model, name="cleaner", output_type=[str, DeferredToolRequests])

    @agent.tool_plain
    def delete(path: str) -> str:
        raise ApprovalRequired(metadata={"why": path})

    server.answer(calls(tool_call("d1", "delete", path="/a")))
    await agent.run("Clean up")
    (result,) = events(store, "tool_result")
    assert (result.failed, result.status, result.result) == (False, "cancelled", None)
    assert result.data == {"deferred": "ApprovalRequired", "metadata": {"why": "/a"}}


async def test_a_function_of_pp_tool_that_an_agent_runs_is_one_call(
    store: Database, server: Loopback, model: Any
) -> None:
    @pp.tool
    def weather(city: str) -> str:
        return f"sun in {city}"

    server.answer(calls(ASKS[0]), message("Sunny."))
    await Agent(model, name="weatherman", tools=[weather]).run("Weather?")
    assert [call.call_id for call in events(store, "tool_call")] == ["c1"]


async def test_a_tool_that_calls_another_of_the_agent_has_it_inside(
    store: Database, server: Loopback, model: Any
) -> None:
    agent = weatherman(model)

    @agent.tool
    async def twice(ctx: RunContext[None], city: str) -> str:
        assert ctx.tool_manager is not None
        return 2 * str(await ctx.tool_manager.handle_call(ToolCallPart("weather", {"city": city}, "inner")))

    server.answer(calls(tool_call("c1", "twice", city="Rome")), message("Sunny."))
    await agent.run("Weather?")
    assert outline(store) == tree("""
        session weatherman pydantic_ai completed
          agent weatherman 'Weather?' -> 'Sunny.'
            llm gpt-4o-mini 11/7
            decision twice
            tool twice {'city': 'Rome'} -> 'sun in Romesun in Rome'
              tool weather {'city': 'Rome'} -> 'sun in Rome'
            llm gpt-4o-mini 11/7
    """)


async def test_a_tool_that_says_it_failed_has(store: Database, server: Loopback, model: Any) -> None:
    agent: Agent[None, str] = Agent(model, name="clerk")

    @agent.tool_plain
    def file() -> str:
        raise ToolFailed("the drawer is stuck")

    server.answer(calls(tool_call("c1", "file")), message("It is stuck."))
    assert (await agent.run("File this")).output == "It is stuck."
    (result,) = events(store, "tool_result")
    assert (result.error, result.call_id) == ("ToolFailed: the drawer is stuck", "c1")


async def test_a_tool_that_the_model_made_up_is_read_off_the_conversation(
    store: Database, server: Loopback, model: Any
) -> None:
    server.answer(calls(tool_call("c1", "fly", to="Rome")), message("I cannot fly."))
    await weatherman(model).run("Fly")
    (called,) = events(store, "tool_call")
    assert (called.tool_name, called.arguments, called.metadata) == ("fly", {"to": "Rome"}, {"derived": True})
