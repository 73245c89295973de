"""Libraries without an adapter: their model calls are seen on the wire, and tools and decisions are read off them."""

from __future__ import annotations

import asyncio
from typing import Any

import dspy
import pytest
from strands import Agent
from strands import tool as strands_tool
from strands.models.openai import OpenAIModel

import peaky_peek as pp
from peaky_peek.capture import transport
from peaky_peek.store import Database
from tests.frameworks.trees import events, outline, tree
from tests.loopback import USAGE, Loopback, error, message, stream, tool_call

CALL = tool_call("c1", "weather", city="Rome")
ANSWER = "[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]"
THOUGHT = "[[ ## next_thought ## ]]\nSo.\n\n[[ ## next_tool_name ## ]]\n{}\n\n[[ ## next_tool_args ## ]]\n{}\n\n"


def weather(city: str) -> str:
    """The weather."""
    return f"rain in {city}"


def model(server: Loopback, **settings: Any) -> dspy.LM:
    return dspy.LM("openai/gpt-4o-mini", api_base=server.url, api_key="test", cache=False, **settings)


def test_dspy(store: Database, server: Loopback) -> None:
    thought = THOUGHT + "[[ ## completed ## ]]"
    server.answer(
        message(thought.format("weather", '{"city": "Rome"}')),
        message(thought.format("finish", "{}")),
        message("[[ ## reasoning ## ]]\nSo.\n\n" + ANSWER.format("It rains.")),
    )
    with pp.trace_session("run"), dspy.context(lm=model(server, temperature=0.5)):
        assert dspy.ReAct("question -> answer", tools=[weather])(question="Weather?").answer == "It rains."
    assert outline(store) == tree("""
        session run completed
          agent run
            llm gpt-4o-mini 11/7
            llm gpt-4o-mini 11/7
            llm gpt-4o-mini 11/7
    """)
    first, second, _ = events(store, "llm_request")
    assert (first.provider, first.model, first.settings["temperature"]) == ("openai", "gpt-4o-mini", 0.5)
    assert [said["role"] for said in first.messages] == ["system", "user"]
    assert "rain in Rome" in second.messages[-1]["content"]
    answer = events(store, "llm_response")[-1]
    assert (answer.finish_reason, answer.complete) == ("stop", True)
    assert "It rains." in answer.content


class Choice(dspy.Signature):
    """Choose a tool."""

    question: str = dspy.InputField()
    tools: list[dspy.Tool] = dspy.InputField()
    tool_calls: dspy.ToolCalls = dspy.OutputField()


def test_tools_that_dspy_offers_are_decided_on(store: Database, server: Loopback) -> None:
    server.answer(message(tool_calls=[CALL]))

    def news(city: str) -> str:
        """The news."""
        return city

    adapter = dspy.ChatAdapter(use_native_function_calling=True)
    with pp.trace_session("run"), dspy.context(lm=model(server), adapter=adapter):
        chosen = dspy.Predict(Choice)(question="Weather?", tools=[dspy.Tool(weather), dspy.Tool(news)])
    assert [(call.name, call.args) for call in chosen.tool_calls.tool_calls] == [("weather", {"city": "Rome"})]
    assert outline(store) == tree("""
        session run completed
          agent run
            llm gpt-4o-mini 11/7
            decision weather
    """)
    assert events(store, "decision")[0].alternatives == ["news"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_dspy_answers_as_without_us_and_is_recorded(store: Database, server: Loopback, streamed: bool) -> None:
    async def asked() -> list[Any]:
        said = ANSWER.format("It rains.")
        server.answer(stream(said[:20], said[20:], usage=USAGE) if streamed else message(said))
        with dspy.context(lm=model(server)):
            predict = dspy.Predict("question -> answer")
            if not streamed:
                return [(await predict.acall(question="Weather?")).answer]
            items = [item async for item in dspy.streamify(predict)(question="Weather?")]
            return [type(item).__name__ for item in items[:-1]] + [items[-1].answer]

    recorded = await asked()
    transport.uninstall()
    assert await asked() == recorded
    assert recorded[-1] == "It rains."
    assert outline(store).count("llm gpt-4o-mini 11/7") == 1
    (answer,) = events(store, "llm_response")
    assert (answer.content, answer.complete) == (ANSWER.format("It rains."), True)
    assert (answer.time_to_first_token_ms is not None) is streamed


def test_what_dspy_tries_again_is_one_call(store: Database, server: Loopback) -> None:
    server.answer(error(429, **{"retry-after": "0"}), message(ANSWER.format("It rains.")))
    with pp.trace_session("run"), dspy.context(lm=model(server, num_retries=1)):
        dspy.Predict("question -> answer")(question="Weather?")
    attempts = store.connection().execute("SELECT status FROM exchanges ORDER BY position").fetchall()
    assert outline(store) == tree("""
        session run completed
          agent run
            llm gpt-4o-mini 11/7
    """)
    attempts = store.connection().execute("SELECT attempt, status FROM exchanges ORDER BY position").fetchall()
    assert attempts == [(1, 429), (2, 200)]


@pytest.mark.parametrize("how", ["sync", "async", "stream"])
def test_strands(store: Database, server: Loopback, how: str) -> None:
    server.answer(stream(tool_calls=[CALL], usage=USAGE), stream("It ", "rains.", usage=USAGE))  # it always streams
    to = {"api_key": "test", "base_url": server.url}
    llm = OpenAIModel(client_args=to, model_id="gpt-4o-mini", params={"temperature": 0.5})
    agent = Agent(model=llm, tools=[strands_tool(weather)], system_prompt="Help.", callback_handler=None)

    async def texts() -> str:
        return "".join([event.get("data", "") async for event in agent.stream_async("Weather?")])

    with pp.trace_session("run"):
        if how == "sync":
            said = str(agent("Weather?"))
        elif how == "async":
            said = str(asyncio.run(agent.invoke_async("Weather?")))
        else:
            said = asyncio.run(texts())
    assert said.strip() == "It rains."
    assert outline(store) == tree("""
        session run completed
          agent run
            llm gpt-4o-mini 11/7
            decision weather
            tool weather {'city': 'Rome'} -> 'rain in Rome' (derived)
            llm gpt-4o-mini 11/7
    """)
    request = events(store, "llm_request")[0]
    assert (request.model, request.stream, request.settings["temperature"]) == ("gpt-4o-mini", True, 0.5)
    assert [said["role"] for said in request.messages] == ["system", "user"]
