"""Runs of PydanticAI agents that end before their time, and runs that share a task."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.test import TestModel

import peaky_peek as pp
from peaky_peek.store import Database
from tests.frameworks.pydantic_agents import ASKS, by_stream, calls, weatherman
from tests.frameworks.trees import outline, tree
from tests.loopback import Loopback, stream


async def test_a_run_that_the_application_leaves_is_cancelled(store: Database, server: Loopback, model: Any) -> None:
    server.answer(calls(*ASKS))
    async with weatherman(model).iter("Weather?") as run:
        async for node in run:
            if Agent.is_call_tools_node(node):
                break
    assert outline(store) == tree("""
        session weatherman pydantic_ai completed
          agent weatherman 'Weather?' (cancelled)
            llm gpt-4o-mini 11/7
            decision weather, add
    """)


async def test_a_stream_that_the_application_leaves_is_cancelled(store: Database, server: Loopback, model: Any) -> None:
    server.answer(stream("Sun", "ny."))
    async with weatherman(model).run_stream("Weather?") as result:
        async for _ in result.stream_text(debounce_by=None):
            break
    assert outline(store) == tree("""
        session weatherman pydantic_ai completed
          agent weatherman 'Weather?' (cancelled)
            llm gpt-4o-mini (cancelled)
    """)


async def test_a_stream_that_breaks_off_fails(store: Database, server: Loopback, model: Any) -> None:
    server.answer(stream("Sun", done=False, breaks_off=True))
    with pytest.raises(ModelAPIError):
        await by_stream(weatherman(model))
    lines = outline(store).splitlines()
    assert lines[:3] == [
        "session weatherman pydantic_ai failed", "  agent weatherman 'Weather?' (error)", "    llm gpt-4o-mini (error)",
    ]  # fmt: skip
    assert lines[3].startswith("      error RemoteProtocolError peer closed connection")
    assert lines[4:] == ["    error pydantic_ai.exceptions.ModelConnectionError Connection error."]


async def test_a_run_that_is_cancelled(store: Database) -> None:
    is_asked = asyncio.Event()

    async def think(messages: list[Any], info: Any) -> Any:
        is_asked.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(Agent(FunctionModel(think, model_name="slow"), name="thinker").run("Why?"))
    await is_asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert outline(store) == tree("""
        session thinker pydantic_ai interrupted
          agent thinker 'Why?' (cancelled)
            llm slow (cancelled)
    """)


async def test_runs_that_take_turns_in_one_task_keep_their_own_steps(store: Database) -> None:
    outer, inner = weatherman(TestModel(), name="outer"), weatherman(TestModel(), name="inner")
    async with outer.iter("a") as first, inner.iter("b") as second:
        for _ in range(6):  # nodes: the prompt, two model requests, two looks at what they answered, the end
            await anext(first)
            await anext(second)
    assert outline(store) == tree("""
        session outer pydantic_ai completed
          agent outer 'a' -> '{"weather":"sun in a","add":0}'
            agent inner 'b' -> '{"weather":"sun in a","add":0}'
              llm test 51/11
              decision weather, add
              tool weather {'city': 'a'} -> 'sun in a'
              tool add {'a': 0, 'b': 0} -> 0
              llm test 55/18
            llm test 51/11
            decision weather, add
            tool weather {'city': 'a'} -> 'sun in a'
            tool add {'a': 0, 'b': 0} -> 0
            llm test 55/18
    """)


async def test_what_the_application_records_between_two_steps_is_in_the_run(store: Database) -> None:
    with pp.trace_session("mine") as ctx:
        async with Agent(TestModel(), name="simple").iter("Hi") as run:
            async for node in run:
                if Agent.is_end_node(node):
                    ctx.record_decision("enough", chosen_action="stop")
    assert outline(store) == tree("""
        session mine pydantic_ai completed
          agent mine
            agent simple 'Hi' -> 'success (no tool calls)'
              llm test 51/4
              decision stop (own)
    """)
