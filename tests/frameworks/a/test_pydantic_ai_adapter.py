"""`PydanticAIAdapter`, as it was documented for the tool of the same name, beside the hook that sees all runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

import peaky_peek as pp
from peaky_peek import adapters
from peaky_peek.adapters import PydanticAIAdapter
from peaky_peek.capture import frameworks
from peaky_peek.store import Database
from tests.frameworks.pydantic_agents import ASKS, calls, weatherman
from tests.frameworks.trees import outline, sessions, tree
from tests.loopback import Loopback, message

SUPPORT = """
    session support pydantic_ai completed
      agent support 'Weather?' -> 'Sunny.'
        llm gpt-4o-mini 11/7
        decision weather, add
        tool weather {'city': 'Paris'} -> 'sun in Paris'
        tool add {'a': 1, 'b': 2} -> 3
        llm gpt-4o-mini 11/7
"""


@pytest.fixture(autouse=True, params=["alone", "beside the hook"])
def hooked(hook: None, request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "alone":
        frameworks.uninstall()
    yield
    frameworks.uninstall()


async def test_an_instrumented_agent_has_a_session_of_its_own(store: Database, server: Loopback, model: Any) -> None:
    agent = weatherman(model)
    adapter = PydanticAIAdapter(agent, session_id="demo", agent_name="support", tags=["trial"])
    assert adapter.instrument() is agent
    server.answer(calls(*ASKS), message("Sunny."))
    assert (await agent.run("Weather?")).output == "Sunny."
    assert outline(store) == tree(SUPPORT)
    (row,) = sessions(store)
    assert (row["session_id"], row["tags"]) == ("demo", '["trial"]')
    server.answer(message("Still sunny."))
    await agent.run("Weather?")
    assert [row["session_id"] for row in sessions(store)] == ["demo"]
    assert outline(store).count("agent support") == 2


async def test_a_session_around_runs(store: Database, server: Loopback, model: Any) -> None:
    agent = weatherman(model)
    adapter = PydanticAIAdapter(agent)
    server.answer(message("Sunny."))
    async with adapter.trace_session(agent_name="my_agent") as session_id:
        await agent.run("Weather?")
    assert session_id == adapter.session_id == sessions(store)[0]["session_id"]
    assert outline(store) == tree("""
        session my_agent pydantic_ai completed
          agent my_agent
            agent weatherman 'Weather?' -> 'Sunny.'
              llm gpt-4o-mini 11/7
    """)


async def test_an_instrumented_agent_in_an_open_session_is_a_span_in_it(
    store: Database, server: Loopback, model: Any
) -> None:
    agent = PydanticAIAdapter(weatherman(model), agent_name="support").instrument()
    server.answer(message("Sunny."))
    with pp.trace_session("mine"):
        await agent.run("Weather?")
    assert outline(store) == tree("""
        session mine pydantic_ai completed
          agent mine
            agent support 'Weather?' -> 'Sunny.'
              llm gpt-4o-mini 11/7
    """)


async def test_an_id_that_exists_is_another_run(store: Database, server: Loopback, model: Any) -> None:
    server.answer(message("Sunny."), message("Sunny."))
    ids = []
    for _ in range(2):
        adapter = PydanticAIAdapter(weatherman(model), session_id="demo")
        await adapter.instrument().run("Weather?")
        ids.append(adapter.session_id)
    assert ids == [row["session_id"] for row in sessions(store)] == ["demo", "demo#2"]


def test_the_class_is_made_only_where_pydantic_ai_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(adapters), "PydanticAIAdapter", raising=False)
    monkeypatch.setitem(sys.modules, "pydantic_ai", None)
    with pytest.raises(ImportError):
        _ = adapters.PydanticAIAdapter
