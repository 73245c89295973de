"""`LangChainTracingHandler`, as it was documented for the tool of the same name, beside the hook that sees all runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import peaky_peek as pp
from peaky_peek.adapters import LangChainTracingHandler
from peaky_peek.capture import frameworks
from peaky_peek.store import Database
from tests.frameworks.langchain_agents import ASK, agent, calls, model, weather
from tests.frameworks.trees import outline, sessions, tree
from tests.loopback import Loopback, message


@pytest.fixture(autouse=True)
def adapter(hook: None) -> Iterator[None]:
    yield
    frameworks.uninstall()


ONE_TOOL = """
    session {0} langchain completed
      agent {0}
        llm gpt-4o-mini 11/7
        decision weather
        tool weather {{'city': 'Paris'}} -> 'sunny in Paris'
        llm gpt-4o-mini 11/7
"""


@pytest.mark.parametrize("is_hooked", [False, True], ids=["alone", "beside the hook"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_an_agent_goes_into_the_session_of_its_handler(
    server: Loopback, store: Database, is_hooked: bool, is_async: bool
) -> None:
    if is_hooked:
        frameworks.install(frozenset({"langchain"}))
    handler = LangChainTracingHandler(session_id="my-session", agent_name="support", tags=["trial"])
    server.answer(calls("c1", "weather", city="Paris"), message("Sunny."))
    options: Any = {"callbacks": [handler]}
    answer = await agent(server).ainvoke(ASK, options) if is_async else agent(server).invoke(ASK, options)
    assert answer["messages"][-1].content == "Sunny."
    assert outline(store, states=False) == tree(ONE_TOOL.format("support"))
    (row,) = sessions(store)
    assert (row["session_id"], row["tags"]) == ("my-session", '["trial"]')


def test_the_runs_of_one_handler_are_one_session(server: Loopback, store: Database) -> None:
    server.answer(message("Sunny."), message("Rainy."))
    handler = LangChainTracingHandler(session_id="chat")
    for _ in range(2):
        agent(server).invoke(ASK, {"callbacks": [handler]})
    assert [row["session_id"] for row in sessions(store)] == ["chat"]
    assert outline(store, states=False) == tree("""
        session guide langchain completed
          agent guide
            llm gpt-4o-mini 11/7
          agent guide
            llm gpt-4o-mini 11/7
    """)


def test_a_chain_and_a_tool_have_an_agent_around_them(server: Loopback, store: Database) -> None:
    handler = LangChainTracingHandler(session_id="demo")
    server.answer(message("Sunny."))
    from langchain_core.prompts import ChatPromptTemplate

    (ChatPromptTemplate.from_template("How is {city}?") | model(server)).invoke(
        {"city": "Paris"}, {"callbacks": [handler]}
    )
    weather.invoke({"city": "Paris"}, {"callbacks": [handler]})
    assert outline(store, states=False) == tree("""
        session langchain_agent langchain completed
          agent langchain_agent
            llm gpt-4o-mini 11/7
          agent langchain_agent
            tool weather {'city': 'Paris'} -> 'sunny in Paris'
    """)


def test_an_agent_that_fails_fails_the_session(server: Loopback, store: Database) -> None:
    server.answer(calls("c1", "book", city="Rome"))
    with pytest.raises(ValueError, match="no hotel in Rome"):
        agent(server).invoke(ASK, {"callbacks": [LangChainTracingHandler(session_id="demo", agent_name="support")]})
    assert [(row["session_id"], row["status"]) for row in sessions(store)] == [("demo", "failed")]


async def test_a_context_that_is_entered_is_where_runs_go(server: Loopback, store: Database) -> None:
    context = pp.TraceContext(session_id="demo", agent_name="langchain_agent", framework="langchain")
    handler = LangChainTracingHandler(session_id="demo")
    handler.set_context(context)
    server.answer(message("Sunny."), message("Sunny."))
    async with context:
        await model(server).ainvoke("How is Paris?", {"callbacks": [handler]})
        await agent(server).ainvoke(ASK, {"callbacks": [handler]})
    assert outline(store, states=False) == tree("""
        session langchain_agent langchain completed
          agent langchain_agent
            llm gpt-4o-mini 11/7
            agent guide
              llm gpt-4o-mini 11/7
    """)


def test_a_context_that_is_not_entered_is_passed_over(server: Loopback, store: Database) -> None:
    handler = LangChainTracingHandler(session_id="demo")
    handler.set_context(pp.TraceContext(session_id="demo", agent_name="langchain_agent", framework="langchain"))
    server.answer(message("Sunny."))
    agent(server).invoke(ASK, {"callbacks": [handler]})
    assert [(row["session_id"], row["name"]) for row in sessions(store)] == [("demo", "guide")]


def test_a_context_of_another_thread_is_where_runs_go(server: Loopback, store: Database) -> None:
    handler = LangChainTracingHandler()
    server.answer(message("Sunny."))
    context = pp.TraceContext("around").open()
    handler.set_context(context)
    agent(server).invoke(ASK, {"callbacks": [handler]})
    context.close()
    assert outline(store, states=False) == tree("""
        session around langchain completed
          agent around
            agent guide
              llm gpt-4o-mini 11/7
    """)


def test_inside_a_session_the_handler_makes_none(server: Loopback, store: Database) -> None:
    server.answer(message("Sunny."))
    with pp.trace_session("mine"):
        agent(server).invoke(ASK, {"callbacks": [LangChainTracingHandler(session_id="demo")]})
    assert outline(store, states=False) == tree("""
        session mine langchain completed
          agent mine
            agent guide
              llm gpt-4o-mini 11/7
    """)


def test_an_unknown_name_is_an_attribute_error() -> None:
    import peaky_peek.adapters

    with pytest.raises(AttributeError, match="CrewAIAdapter"):
        peaky_peek.adapters.CrewAIAdapter  # noqa: B018
