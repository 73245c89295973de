"""PydanticAI agents, as they are recorded: the tree of a run, however it is run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai import (
    Agent,
    RunContext,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UsageLimits,
)
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ModelHTTPError, SkipModelRequest
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

import peaky_peek as pp
from peaky_peek.store import Database
from tests.frameworks.pydantic_agents import (
    ASKS,
    RUN,
    by_events,
    by_iter,
    by_run,
    by_stream,
    calls,
    chat,
    client,
    weatherman,
)
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import (
    USAGE,
    Loopback,
    error,
    function_call,
    message,
    response,
    response_stream,
    stream,
    tool_call,
)
from tests.replies import anthropic_stream, host, tool_use


@pytest.mark.parametrize("way", [by_run, by_iter])
async def test_a_run_is_an_agent_with_its_decisions_model_calls_and_tools(
    store: Database, server: Loopback, model: Any, way: Callable[..., Any]
) -> None:
    server.answer(calls(*ASKS, content="Let me look."), message("Sunny."))
    assert await way(weatherman(model)) == "Sunny."
    assert outline(store) == RUN
    first, second = events(store, "llm_request")
    results = events(store, "tool_result")
    assert [result.call_id for result in results] == ["c1", "c2"]
    assert second.upstream_event_ids == [result.id for result in results]
    assert [first.agent, *{event.agent for event in results}] == ["weatherman", "weatherman"]
    assert events(store, "decision")[0].reasoning == "Let me look."


def test_the_session_says_what_is_known_of_the_run(store: Database, server: Loopback, model: Any, loop: Any) -> None:
    server.answer(calls(*ASKS), message("Sunny."))
    result = weatherman(model).run_sync("Weather?")
    assert outline(store) == RUN
    (session,) = sessions(store)
    row = pp.sessions().iloc[0]
    assert (row.framework, row.status, row.input, row.output) == ("pydantic_ai", "completed", "Weather?", "Sunny.")
    assert (row.llm_calls, row.tool_calls, row.errors) == (2, 2, 0)
    assert (row.input_tokens, row.output_tokens) == (22, 14)
    assert session["code_hash"] == session["version"]
    assert session["thread"] == result.conversation_id


@pytest.mark.parametrize(("way", "seen"), [(by_stream, ["Sun", "ny."]), (by_events, ["AgentRunResultEvent"])])
async def test_a_streamed_run_is_recorded_like_any_other(
    store: Database, server: Loopback, model: Any, way: Callable[..., Any], seen: list[str]
) -> None:
    server.answer(stream(tool_calls=ASKS, usage=USAGE), stream("Sun", "ny.", usage=USAGE))
    assert await way(weatherman(model)) == seen
    assert outline(store) == RUN


@pytest.mark.parametrize("way", [by_run, by_stream])
async def test_a_responses_model(store: Database, server: Loopback, way: Callable[..., Any]) -> None:
    provider = OpenAIProvider(base_url=server.url, api_key="test", http_client=client())
    agent = weatherman(OpenAIResponsesModel("gpt-4o-mini", provider=provider))
    asks = [function_call("c1", "weather", city="Paris"), function_call("c2", "add", a=1, b=2)]
    reply = response if way is by_run else response_stream
    server.answer(reply(*asks), reply("Sunny."))
    assert "".join(await way(agent)) == "Sunny."
    assert outline(store) == RUN


def test_a_stream_that_is_read_without_an_event_loop_is_recorded_too(
    store: Database, server: Loopback, model: Any, loop: Any
) -> None:
    server.answer(stream("Sun", "ny.", usage=USAGE))
    with weatherman(model).run_stream_sync("Weather?") as result:
        assert list(result.stream_text(delta=True, debounce_by=None)) == ["Sun", "ny."]
    assert outline(store) == tree("""
        session weatherman pydantic_ai completed
          agent weatherman 'Weather?' -> 'Sunny.'
            llm gpt-4o-mini 11/7
    """)


@pytest.mark.parametrize(("way", "seen"), [(by_run, "Sunny."), (by_stream, ["Sunny."])])
async def test_an_anthropic_model(store: Database, server: Loopback, way: Callable[..., Any], seen: Any) -> None:
    provider = AnthropicProvider(base_url=host(server), api_key="test", http_client=client())
    agent = weatherman(AnthropicModel("claude-sonnet-4-6", provider=provider))
    asks = [tool_use("c1", "weather", city="Paris"), tool_use("c2", "add", a=1, b=2)]
    server.answer(anthropic_stream(*asks), anthropic_stream("Sunny."))  # PydanticAI streams long answers anyway
    assert await way(agent) == seen
    assert outline(store) == RUN.replace("gpt-4o-mini", "claude-sonnet-4-6")


async def test_an_agent_that_a_tool_calls_is_inside_the_tool(store: Database, server: Loopback, model: Any) -> None:
    helper: Agent[None, str] = Agent(model, name="helper")
    boss: Agent[None, str] = Agent(model, name="boss")

    @boss.tool
    async def delegate(ctx: RunContext[None], task: str) -> str:
        return (await helper.run(task, usage=ctx.usage)).output

    server.answer(calls(tool_call("c1", "delegate", task="dig")), message("dug"), message("All dug."))
    await boss.run("Have it dug")
    assert outline(store) == tree("""
        session boss pydantic_ai completed
          agent boss 'Have it dug' -> 'All dug.'
            llm gpt-4o-mini 11/7
            decision delegate
            tool delegate {'task': 'dig'} -> 'dug'
              agent helper 'dig' -> 'dug'
                llm gpt-4o-mini 11/7
            llm gpt-4o-mini 11/7
    """)


async def test_agents_one_after_the_other_are_side_by_side_in_one_session(
    store: Database, server: Loopback, model: Any
) -> None:
    triage: Agent[None, str] = Agent(model, name="triage")
    booker: Agent[None, str] = Agent(model, name="booker")
    server.answer(message("a booking"), message("Booked."))

    @pp.trace(name="travel", task="book")
    async def travel(wish: str) -> str:
        kind = (await triage.run(wish)).output
        return (await booker.run(kind)).output

    assert await travel("To Rome") == "Booked."
    assert outline(store) == tree("""
        session travel pydantic_ai completed
          agent travel {'wish': 'To Rome'} -> 'Booked.'
            agent triage 'To Rome' -> 'a booking'
              llm gpt-4o-mini 11/7
            agent booker 'a booking' -> 'Booked.'
              llm gpt-4o-mini 11/7
    """)


async def test_agents_at_the_same_time_keep_their_own_trees(store: Database) -> None:
    async def answer(messages: list[Any], info: Any) -> ModelResponse:
        await asyncio.sleep(0)
        wish = messages[0].parts[0].content
        return ModelResponse([ToolCallPart("echo", {"text": wish}, "c1") if len(messages) == 1 else TextPart(wish)])

    agent: Agent[None, str] = Agent(FunctionModel(answer, model_name="parrot"), name="parrot")

    @agent.tool_plain
    async def echo(text: str) -> str:
        await asyncio.sleep(0)
        return text

    with pp.trace_session("choir"):
        await asyncio.gather(*(agent.run(wish) for wish in "abc"))
    assert outline(store) == tree("""
        session choir completed
          agent choir
    """).replace("choir completed", "choir pydantic_ai completed") + "".join(
        f"""
    agent parrot '{wish}' -> '{wish}'
      llm parrot 51/5
      decision echo
      tool echo {{'text': '{wish}'}} -> '{wish}'
      llm parrot 52/6"""
        for wish in "abc"
    )


async def test_a_model_that_is_no_http_is_recorded_by_what_pydantic_ai_says_of_it(store: Database) -> None:
    def answer(messages: list[Any], info: Any) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse([TextPart("Let me add."), ToolCallPart("add", '{"a": 1, "b": 2}', "c1")])
        return ModelResponse([TextPart("Three.")])

    agent = weatherman(FunctionModel(answer, model_name="abacus"), instructions="Add.", model_settings={"seed": 1})
    assert (await agent.run("1 + 2?")).output == "Three."
    assert outline(store) == tree("""
        session weatherman pydantic_ai completed
          agent weatherman '1 + 2?' -> 'Three.'
            llm abacus 53/10
            decision add
            tool add {'a': 1, 'b': 2} -> 3
            llm abacus 54/12
    """)
    first, second = events(store, "llm_request")
    assert (first.provider, first.model, first.settings) == ("function", "abacus", {"seed": 1})
    assert [tool["name"] for tool in first.tools] == ["weather", "add"]
    assert second.messages == [
        {"role": "system", "content": "Add."},
        {"role": "user", "content": "1 + 2?"},
        {
            "role": "assistant", "content": "Let me add.",
            "tool_calls": [{"id": "c1", "name": "add", "arguments": {"a": 1, "b": 2}}],
        },
        {"role": "system", "content": "Add."},
        {"role": "tool", "tool_call_id": "c1", "name": "add", "content": 3},
    ]  # fmt: skip
    assert events(store, "decision")[0].alternatives == ["weather"]


async def test_a_model_that_is_no_http_and_fails(store: Database) -> None:
    def answer(messages: list[Any], info: Any) -> ModelResponse:
        raise ModelHTTPError(status_code=503, model_name="abacus")

    with pytest.raises(ModelHTTPError):
        await Agent(FunctionModel(answer, model_name="abacus"), name="adder").run("1 + 2?")
    assert outline(store) == tree("""
        session adder pydantic_ai failed
          agent adder '1 + 2?' (error)
            llm abacus (error)
              error pydantic_ai.exceptions.ModelHTTPError status_code: 503, model_name: abacus, body: None
            error pydantic_ai.exceptions.ModelHTTPError status_code: 503, model_name: abacus, body: None
    """)


async def test_a_fallback_is_a_second_call_after_one_that_failed(store: Database, server: Loopback, model: Any) -> None:
    server.answer(error(400, "overloaded", "too much"), message("Sunny.", model="gpt-4.1"))
    agent: Agent[None, str] = Agent(FallbackModel(model, chat(server, "gpt-4.1")), name="careful")
    await agent.run("Weather?")
    assert outline(store) == tree("""
        session careful pydantic_ai completed
          agent careful 'Weather?' -> 'Sunny.'
            llm gpt-4o-mini (error)
              error overloaded too much
            llm gpt-4.1 11/7
    """)


async def test_a_provider_that_is_busy_at_first_is_asked_twice_in_one_call(
    store: Database, server: Loopback, model: Any
) -> None:
    server.answer(error(429), message("Sunny."))
    assert (await Agent(model, name="patient").run("Weather?")).output == "Sunny."
    assert outline(store) == tree("""
        session patient pydantic_ai completed
          agent patient 'Weather?' -> 'Sunny.'
            llm gpt-4o-mini 11/7
    """)
    rows = store.connection().execute("SELECT attempt, status FROM exchanges ORDER BY position").fetchall()
    assert rows == [(1, 429), (2, 200)]


async def test_a_refusal(store: Database, server: Loopback, model: Any) -> None:
    server.answer(message(None, refusal="I cannot help with that."))
    with pytest.raises(UnexpectedModelBehavior):
        await Agent(model, name="polite", retries=0).run("Do harm")
    assert outline(store).startswith(
        tree("""
            session polite pydantic_ai failed
              agent polite 'Do harm' (error)
                llm gpt-4o-mini 11/7
                  refusal refusal (derived)
                error pydantic_ai.exceptions.ContentFilterError Content filter triggered.
        """)
    )


async def test_a_run_over_its_limit_fails(store: Database, server: Loopback, model: Any) -> None:
    server.answer(calls(*ASKS))
    with pytest.raises(UsageLimitExceeded):
        await weatherman(model).run("Weather?", usage_limits=UsageLimits(request_limit=1))
    *_, last_tool, failure = outline(store).splitlines()
    assert last_tool.strip() == "tool add {'a': 1, 'b': 2} -> 3"
    assert failure.startswith("    error pydantic_ai.exceptions.UsageLimitExceeded The next request would exceed")
    assert [end.status for end in events(store, "agent_end")] == ["error"]


async def test_a_request_that_is_skipped_is_no_model_call(store: Database, server: Loopback, model: Any) -> None:
    class Guard(AbstractCapability[None]):
        async def before_model_request(self, ctx: Any, request_context: Any) -> Any:
            raise SkipModelRequest(ModelResponse([TextPart("Not today.")]))

    assert (await Agent(model, name="guarded", capabilities=[Guard()]).run("Weather?")).output == "Not today."
    assert outline(store) == tree("""
        session guarded pydantic_ai completed
          agent guarded 'Weather?' -> 'Not today.'
    """)
