"""Libraries without an adapter: their model calls are seen on the wire, and tools and decisions are read off them.

Google's SDK has tests of its own.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import litellm
import pytest
from haystack.components.agents import Agent as HaystackAgent
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import tool as haystack_tool
from haystack.utils import Secret
from smolagents import OpenAIModel, ToolCallingAgent
from smolagents import tool as smolagents_tool

import peaky_peek as pp
from peaky_peek.store import Database
from tests.frameworks.trees import events, outline, tree
from tests.loopback import USAGE, Loopback, message, stream, tool_call
from tests.replies import anthropic_message, anthropic_stream, host, tool_use

pytestmark = [  # the libraries' own
    pytest.mark.filterwarnings("ignore:Items? .* on TypedDict class:UserWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]
ASK = [{"role": "user", "content": "Weather?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("weather", "news")]
CALL = tool_call("c1", "weather", city="Rome")
RUN = """
    session run completed
      agent run
        llm {model} 11/7
        decision weather
        tool weather {{'city': 'Rome'}} -> 'rain in Rome' (derived)
        llm {model} 11/7
"""


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """LiteLLM leaves event loops behind, which no other test is to be blamed for."""
    yield
    gc.collect()


def weather(city: str) -> str:
    """The weather.

    Args:
        city: where.
    """
    return f"rain in {city}"


def assert_run(store: Database, model: str, *offered: str) -> None:
    """A run of two calls and the tool between them, offered with others."""
    assert outline(store) == tree(RUN.format(model=model))
    first, second = events(store, "llm_request")
    assert first.model == second.model == model
    assert second.upstream_event_ids == [event.id for event in events(store, "tool_result")]
    (decision,) = events(store, "decision")
    assert decision.alternatives == list(offered)
    called, answered = events(store, "llm_response")
    assert [(call["name"], call["arguments"]) for call in called.tool_calls] == [("weather", {"city": "Rome"})]
    assert answered.content == "It rains."


LITELLM = {
    "openai": ("gpt-4o-mini", [message(tool_calls=[CALL]), message("It rains.")]),
    "anthropic": (
        "claude-sonnet-4-5",
        [anthropic_message(tool_use("c1", "weather", city="Rome")), anthropic_message("It rains.")],
    ),
}
LITELLM_STREAMS = {
    "openai": ("gpt-4o-mini", [stream(tool_calls=[CALL], usage=USAGE), stream("It ", "rains.", usage=USAGE)]),
    "anthropic": (
        "claude-sonnet-4-5",
        [anthropic_stream(tool_use("c1", "weather", city="Rome")), anthropic_stream("It ", "rains.")],
    ),
}


def _to(server: Loopback, provider: str, model: str) -> dict[str, Any]:
    base = server.url if provider == "openai" else host(server)
    return {"model": f"{provider}/{model}", "api_base": base, "api_key": "test", "tools": TOOLS}


def _with_result(answer: Any) -> list[Any]:
    result = {"role": "tool", "tool_call_id": "c1", "content": weather("Rome")}
    return [*ASK, answer.choices[0].message.model_dump(exclude_none=True), result]


@pytest.mark.parametrize("provider", LITELLM)
@pytest.mark.parametrize("streamed", [False, True])
def test_litellm(store: Database, server: Loopback, provider: str, streamed: bool) -> None:
    def ask(messages: list[Any]) -> Any:
        answer = litellm.completion(messages=messages, stream=streamed, temperature=0.5, **to)
        return litellm.stream_chunk_builder(list(answer)) if streamed else answer

    model, replies = (LITELLM_STREAMS if streamed else LITELLM)[provider]
    server.answer(*replies)
    to = _to(server, provider, model)
    with pp.trace_session("run"):
        assert ask(_with_result(ask(ASK))).choices[0].message.content == "It rains."
    assert_run(store, model, "news")
    assert events(store, "llm_request")[0].settings["temperature"] == 0.5


@pytest.mark.parametrize("provider", LITELLM)
@pytest.mark.parametrize("streamed", [False, True])
async def test_litellm_async(store: Database, server: Loopback, provider: str, streamed: bool) -> None:
    async def ask(messages: list[Any]) -> Any:
        answer = await litellm.acompletion(messages=messages, stream=streamed, **to)
        return litellm.stream_chunk_builder([chunk async for chunk in answer]) if streamed else answer

    model, replies = (LITELLM_STREAMS if streamed else LITELLM)[provider]
    server.answer(*replies)
    to = _to(server, provider, model)
    with pp.trace_session("run"):
        assert (await ask(_with_result(await ask(ASK)))).choices[0].message.content == "It rains."
    await litellm.close_litellm_async_clients()
    assert_run(store, model, "news")


@pytest.mark.parametrize("streamed", [False, True])
def test_smolagents(store: Database, server: Loopback, streamed: bool) -> None:
    answer = tool_call("c2", "final_answer", answer="It rains.")
    if streamed:
        server.answer(stream(tool_calls=[CALL], usage=USAGE), stream(tool_calls=[answer], usage=USAGE))
    else:
        server.answer(message(tool_calls=[CALL]), message(tool_calls=[answer]))
    model = OpenAIModel(model_id="gpt-4o-mini", api_base=server.url, api_key="test")
    agent = ToolCallingAgent([smolagents_tool(weather)], model, verbosity_level=0, stream_outputs=streamed)
    with pp.trace_session("run"):
        assert agent.run("Weather?") == "It rains."
    model.client.close()
    assert outline(store) == tree("""
        session run completed
          agent run
            llm gpt-4o-mini 11/7
            decision weather
            llm gpt-4o-mini 11/7
            decision final_answer
    """)
    assert [decision.alternatives for decision in events(store, "decision")] == [["final_answer"], ["weather"]]


@pytest.mark.parametrize("how", ["sync", "async", "stream"])
async def test_haystack(store: Database, server: Loopback, how: str) -> None:
    if how == "stream":
        server.answer(stream(tool_calls=[CALL], usage=USAGE), stream("It ", "rains.", usage=USAGE))
    else:
        server.answer(message(tool_calls=[CALL]), message("It rains."))
    chunks: list[Any] = []
    model = OpenAIChatGenerator(
        model="gpt-4o-mini", api_base_url=server.url, api_key=Secret.from_token("test"),
        streaming_callback=chunks.append if how == "stream" else None, generation_kwargs={"temperature": 0.5},
    )  # fmt: skip
    agent = HaystackAgent(chat_generator=model, tools=[haystack_tool(weather)])
    asked = [ChatMessage.from_user("Weather?")]
    with pp.trace_session("run"):
        answer = await agent.run_async(messages=asked) if how == "async" else agent.run(messages=asked)
    assert answer["last_message"].text == "It rains."
    assert bool(chunks) is (how == "stream")
    if model.async_client:
        await model.async_client.close()
    if model.client:
        model.client.close()
    assert_run(store, "gpt-4o-mini")
    assert events(store, "llm_request")[0].settings["temperature"] == 0.5
