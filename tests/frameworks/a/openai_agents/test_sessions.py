"""Which session an agent of the OpenAI Agents SDK belongs to, and what that is called."""

from __future__ import annotations

import asyncio
from contextlib import closing, nullcontext
from typing import Any

import pytest
from agents import (
    AgentHooks,
    RunConfig,
    Runner,
    SQLiteSession,
    TracingProcessor,
    function_tool,
    get_current_span,
    get_current_trace,
    set_trace_processors,
    set_tracing_disabled,
    trace,
)

import peaky_peek as pp
from peaky_peek.capture import context
from peaky_peek.store import Database
from tests.frameworks.a.openai_agents.guides import answers, guide
from tests.frameworks.trees import outline, sessions, tree
from tests.loopback import Loopback, function_call, response


async def test_a_session_is_named_as_the_user_calls_it_and_knows_its_conversation(
    store: Database, server: Loopback, model: Any
) -> None:
    server.answer(*[response("Sunny.")] * 5)
    with closing(SQLiteSession("talk-1")) as memory, pp.trace_session("mine"):
        await Runner.run(guide(model), "0", session=memory)
    with closing(SQLiteSession("talk-1")) as memory:
        await Runner.run(guide(model), "1", session=memory)
    await Runner.run(guide(model), "2", run_config=RunConfig(group_id="talk-2", workflow_name="Weather desk"))
    assert context.current() is None
    with trace("Day", group_id="talk-3"):
        await Runner.run(guide(model), "3")
        await Runner.run(guide(model), "4")
    assert outline(store) == tree("""
        session mine openai_agents completed
          agent mine
            agent guide '0' -> 'Sunny.'
              llm gpt-4o-mini 11/7
        session guide openai_agents completed
          agent guide '1' -> 'Sunny.'
            llm gpt-4o-mini 11/7
        session Weather desk openai_agents completed
          agent guide '2' -> 'Sunny.'
            llm gpt-4o-mini 11/7
        session Day openai_agents completed
          agent guide '3' -> 'Sunny.'
            llm gpt-4o-mini 11/7
          agent guide '4' -> 'Sunny.'
            llm gpt-4o-mini 11/7
    """)
    assert [session["thread"] for session in sessions(store)] == ["talk-1", "talk-1", "talk-2", "talk-3"]


async def test_agents_side_by_side_keep_their_own_trees(store: Database, server: Loopback, model: Any) -> None:
    server.answer(*[response("Sunny.")] * 4)
    with pp.trace_session("mine"):
        await asyncio.gather(Runner.run(guide(model), "1"), Runner.run(guide(model), "2"))
    await asyncio.gather(*[Runner.run(guide(model), "3"), Runner.run(guide(model), "4")])
    assert outline(store) == tree("""
        session mine openai_agents completed
          agent mine
            agent guide '1' -> 'Sunny.'
              llm gpt-4o-mini 11/7
            agent guide '2' -> 'Sunny.'
              llm gpt-4o-mini 11/7
        session guide openai_agents completed
          agent guide '3' -> 'Sunny.'
            llm gpt-4o-mini 11/7
        session guide openai_agents completed
          agent guide '4' -> 'Sunny.'
            llm gpt-4o-mini 11/7
    """)
    assert context.current() is None


async def test_an_agent_that_runs_while_an_exception_is_handled_did_not_fail(
    store: Database, server: Loopback, model: Any
) -> None:
    server.answer(response("Sunny."))
    try:
        int("seven")
    except ValueError:
        with trace("Rescue"):
            await Runner.run(guide(model), "Weather?")
    assert outline(store) == tree("""
        session Rescue openai_agents completed
          agent guide 'Weather?' -> 'Sunny.'
            llm gpt-4o-mini 11/7
    """)


async def test_inside_a_traced_function_a_run_is_a_span_and_a_decorated_tool_is_one_pair(
    store: Database, server: Loopback, model: Any
) -> None:
    @function_tool
    @pp.tool
    def news(city: str) -> str:
        return "none"

    @pp.trace(task="travel", version="7")
    async def main() -> str:
        return str((await Runner.run(guide(model, tools=[news]), "News?")).final_output)

    server.answer(response(function_call("c1", "news", city="Rome")), response("None."))
    await main()
    assert outline(store) == tree("""
        session main openai_agents completed
          agent main {} -> 'None.'
            agent guide 'News?' -> 'None.'
              llm gpt-4o-mini 11/7
              decision news
              tool news {'city': 'Rome'} -> 'none'
              llm gpt-4o-mini 11/7
    """)
    (session,) = sessions(store)
    assert (session["task"], session["version"], session["tool_calls"]) == ("travel", "7", 1)


@pytest.mark.parametrize("where", ["run", "everywhere", "in a trace"])
async def test_who_switches_tracing_off_tells_us_alone(
    store: Database, server: Loopback, model: Any, where: str
) -> None:
    server.answer(*answers("responses", "whole"))
    set_trace_processors([told := Told()])
    set_tracing_disabled(where == "everywhere")
    try:
        with trace("guide") if where == "in a trace" else nullcontext():
            run = RunConfig(tracing_disabled=where != "everywhere")
            await Runner.run(guide(model, hooks=told), "Weather?", run_config=run)
    finally:
        set_tracing_disabled(False)
    assert told.spans == []
    assert told.exported == [None, None]
    assert outline(store) == tree("""
        session guide openai_agents completed
          agent guide 'Weather?' -> 'Sunny, and 3.'
            llm gpt-4o-mini 11/7
            decision weather, add
            tool weather {'city': 'Rome'} -> {'city': 'Rome', 'sky': 'clear'}
            tool add {'a': 1, 'b': 2} -> 3
            llm gpt-4o-mini 11/7
    """)


class Told(AgentHooks[Any], TracingProcessor):
    """Another processor, and what of the agent's trace could be sent to it."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.exported: list[Any] = []

    async def on_start(self, *_: Any) -> None:
        self.exported += [get_current_trace().export(), get_current_span().export()]

    def on_span_start(self, span: Any) -> None:
        self.spans.append(span)

    def on_span_end(self, span: Any) -> None: ...
    def on_trace_start(self, trace: Any) -> None: ...
    def on_trace_end(self, trace: Any) -> None: ...
    def shutdown(self) -> None: ...
    def force_flush(self) -> None: ...


async def test_what_fails_between_agents_fails_the_session_of_their_trace(store: Database) -> None:
    with pytest.raises(ValueError, match="seven"), trace("Day"):
        int("seven")
    assert outline(store) == tree("""
        session Day openai_agents failed
          error ValueError invalid literal for int() with base 10: 'seven'
    """)
