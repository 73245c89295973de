"""Spans of OpenTelemetry become runs: those of Microsoft's Agent Framework, and of any framework nobody here knows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from agent_framework import Agent
from agent_framework.observability import enable_instrumentation
from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient
from anthropic import AsyncAnthropic
from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient as AutoGenClient
from openai import AsyncOpenAI, OpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Status, StatusCode
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

import peaky_peek as pp
from peaky_peek.adapters import PeekSpanProcessor
from peaky_peek.capture import frameworks
from peaky_peek.store import Database
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import USAGE, Loopback, Reply, error, message, response, stream, tool_call
from tests.replies import anthropic_stream, host, tool_use


class Switch(SpanProcessor):
    """A process has one tracer provider, and it keeps its processors: this one is ours only while a test wants it."""

    processor: SpanProcessor | None = None

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        if self.processor is not None:
            self.processor.on_start(span, parent_context)

    def on_end(self, span: Any) -> None:
        if self.processor is not None:
            self.processor.on_end(span)


switch = Switch()
provider = TracerProvider()
provider.add_span_processor(switch)
trace.set_tracer_provider(provider)
enable_instrumentation(enable_sensitive_data=True)


@pytest.fixture(autouse=True)
def processor(hook: None) -> Iterator[None]:
    switch.processor = PeekSpanProcessor()
    yield
    switch.processor = None
    pp.uninstall()


def weather(city: str) -> str:
    """The weather."""
    return f"rain in {city}"


def broken(city: str) -> str:
    """Fails."""
    raise ValueError(f"no station in {city}")


def helper(client: AsyncOpenAI, *tools: Any, name: str = "helper") -> Agent:
    model = OpenAIChatCompletionClient(model="gpt-4o-mini", async_client=client)
    return Agent(client=model, name=name, instructions="Help.", tools=list(tools or (weather, broken)))


async def asked(server: Loopback, how: str, task: str = "Weather?") -> str:
    async with AsyncOpenAI(base_url=server.url, api_key="test", max_retries=1) as client:
        agent = helper(client)
        if how == "stream":
            return "".join([update.text async for update in agent.run(task, stream=True)])
        return (await agent.run(task)).text


def answers(how: str, prefix: str = "c") -> list[Reply]:
    calls = [tool_call(f"{prefix}1", "weather", city="Paris"), tool_call(f"{prefix}2", "broken", city="Rome")]
    if how == "stream":
        return [stream(tool_calls=calls, usage=USAGE), stream("It ", "rains.", usage=USAGE)]
    return [message(tool_calls=calls), message("It rains.")]


@pytest.mark.parametrize("how", ["whole", "stream"])
async def test_an_agent_of_agent_framework_stands_above_its_model_calls_and_tools(
    store: Database, server: Loopback, how: str
) -> None:
    server.answer(*answers(how))
    assert await asked(server, how) == "It rains."
    assert outline(store) == tree("""
        session helper agent_framework completed
          agent helper 'Weather?' -> 'It rains.'
            llm gpt-4o-mini 11/7
            decision weather, broken
            tool weather {'city': 'Paris'} -> 'rain in Paris'
            tool broken {'city': 'Rome'} !! ValueError: no station in Rome (error)
            llm gpt-4o-mini 11/7
    """)
    assert [event.call_id for event in events(store, "tool_result")] == ["c1", "c2"]
    (session,) = sessions(store)
    assert (session["llm_calls"], session["tool_calls"], session["input"], session["output"]) == (
        2, 2, '"Weather?"', '"It rains."',
    )  # fmt: skip


async def test_its_agents_have_a_place_in_what_is_traced_and_side_by_side(store: Database) -> None:
    with Loopback(*answers("whole")) as first, Loopback(*answers("whole", "d")) as second, pp.trace_session("both"):
        await asyncio.gather(asked(first, "whole"), asked(second, "whole"))
    one = """
      agent helper 'Weather?' -> 'It rains.'
        llm gpt-4o-mini 11/7
        decision weather, broken
        tool weather {'city': 'Paris'} -> 'rain in Paris'
        tool broken {'city': 'Rome'} !! ValueError: no station in Rome (error)
        llm gpt-4o-mini 11/7
    """
    lines = outline(store).splitlines()
    assert lines[:2] == ["session both agent_framework completed", "  agent both"]
    assert [line[4:] for line in lines[2:]] == tree(one).splitlines() * 2


async def test_a_call_that_is_tried_again_is_one_call_and_one_that_fails_fails_the_agent(
    store: Database, server: Loopback
) -> None:
    server.answer(error(429), message("Hello."))
    await asked(server, "whole", "Hi")
    server.answer(error(500), error(500))
    with pytest.raises(Exception, match="scripted failure"):
        await asked(server, "whole", "Hi")
    assert (
        outline(store).splitlines()[:-1]
        == tree("""
        session helper agent_framework completed
          agent helper 'Hi' -> 'Hello.'
            llm gpt-4o-mini 11/7
        session helper agent_framework failed
          agent helper 'Hi' (error)
            llm gpt-4o-mini (error)
              error scripted scripted failure
    """).splitlines()
    )
    assert outline(store).splitlines()[-1].startswith("    error ChatClientException ")


async def test_an_agent_may_be_a_tool_of_another(store: Database, server: Loopback) -> None:
    asks = message(tool_calls=[tool_call("c1", "expert", task="Why?")])
    server.answer(asks, stream("Because.", usage=USAGE), message("Aha."))
    async with AsyncOpenAI(base_url=server.url, api_key="test") as client:
        expert = helper(client, name="expert")
        await helper(client, expert.as_tool(name="expert"), name="boss").run("Ask.")
    assert outline(store) == tree("""
        session boss agent_framework completed
          agent boss 'Ask.' -> 'Aha.'
            llm gpt-4o-mini 11/7
            decision expert
            tool expert {'task': 'Why?'} -> 'Because.'
              agent expert 'Why?' -> 'Because.'
                llm gpt-4o-mini 11/7
            llm gpt-4o-mini 11/7
    """)


async def test_the_responses_api_is_the_same_to_it(store: Database, server: Loopback) -> None:
    server.answer(response("Hello."))
    async with AsyncOpenAI(base_url=server.url, api_key="test") as client:
        await Agent(client=OpenAIChatClient(model="gpt-4o-mini", async_client=client), name="helper").run("Hi")
    assert outline(store) == tree("""
        session helper agent_framework completed
          agent helper 'Hi' -> 'Hello.'
            llm gpt-4o-mini 11/7
    """)


def test_spans_of_an_unknown_framework_are_recorded_by_the_conventions(store: Database) -> None:
    tracer = trace.get_tracer("acme.agents")
    said = [{"role": "user", "parts": [{"type": "text", "content": "Weather?"}]}]
    call = {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Rome"}}
    asks = [
        {"role": "assistant", "parts": [{"type": "text", "content": "Let me look."}, call], "finish_reason": "tool"}
    ]
    definitions = [{"type": "function", "name": name} for name in ("weather", "news")]
    told = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "guide"}
    with tracer.start_as_current_span("invoke_agent guide", attributes=told | _json("gen_ai.input.messages", said)):
        with tracer.start_as_current_span("http middleware"), tracer.start_as_current_span("chat acme-1") as chat:
            chat.set_attributes({
                "gen_ai.operation.name": "chat", "gen_ai.provider.name": "acme", "gen_ai.request.model": "acme-1",
                "gen_ai.request.temperature": 0.5, "gen_ai.usage.input_tokens": 11, "gen_ai.usage.output_tokens": 7,
                **_json("gen_ai.input.messages", said), **_json("gen_ai.output.messages", asks),
                **_json("gen_ai.tool.definitions", definitions),
            })  # fmt: skip
        with tracer.start_as_current_span("execute_tool weather") as tool:
            tool.set_attributes({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.id": "c1"})
            tool.set_attributes({"gen_ai.tool.name": "weather", "gen_ai.tool.call.arguments": '{"city": "Rome"}'})
            tool.add_event("gen_ai.choice", {"message": "rain"})
        with pytest.raises(KeyError), tracer.start_as_current_span("execute_tool news"):
            raise KeyError("Rome")
    assert outline(store) == tree("""
        session guide acme completed
          agent guide 'Weather?'
            llm acme-1 11/7
            decision weather
            tool weather {'city': 'Rome'} -> 'rain'
            tool news !! KeyError: 'Rome' (error)
    """)
    (request,) = events(store, "llm_request")
    assert (request.provider, request.settings) == ("acme", {"temperature": 0.5})
    assert request.messages == [{"role": "user", "content": "Weather?"}]
    (decision,) = events(store, "decision")
    assert (decision.alternatives, decision.reasoning) == (["news"], "Let me look.")
    (answer,) = events(store, "llm_response")
    assert (answer.tool_calls[0]["arguments"], answer.finish_reason) == ({"city": "Rome"}, "tool")
    assert all(event.duration_ms >= 0 for event in events(store, "tool_result"))


OPENINFERENCE = {
    "agent": ({"openinference.span.kind": "AGENT", "input.value": "Hi"}, {"output.value": "Hello."}),
    "model": (
        {
            "openinference.span.kind": "LLM", "llm.model_name": "acme-1", "llm.provider": "acme",
            "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Hi",
            "llm.invocation_parameters": '{"temperature": 0.5}',
        },
        {
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "weather",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"city": "Rome"}',
            "llm.token_count.prompt": 11, "llm.token_count.completion": 7,
        },
    ),
    "tool": (
        {"openinference.span.kind": "TOOL", "tool.name": "weather", "input.value": '{"city": "Rome"}'},
        {"output.value": "rain"},
    ),
}  # fmt: skip
TRACELOOP = {
    "agent": (
        {"traceloop.span.kind": "agent", "traceloop.entity.name": "guide", "traceloop.entity.input": "Hi"},
        {"traceloop.entity.output": "Hello."},
    ),
    "model": (
        {
            "llm.request.type": "chat", "gen_ai.system": "acme", "gen_ai.request.model": "acme-1",
            "gen_ai.request.temperature": 0.5, "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Hi",
        },
        {
            "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.tool_calls.0.id": "c1",
            "gen_ai.completion.0.tool_calls.0.name": "weather",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"city": "Rome"}',
            "gen_ai.usage.prompt_tokens": 11, "gen_ai.usage.completion_tokens": 7,
        },
    ),
    "tool": (
        {
            "traceloop.span.kind": "tool", "traceloop.entity.name": "weather",
            "traceloop.entity.input": '{"city": "Rome"}',
        },
        {"traceloop.entity.output": "rain"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("dialect", [OPENINFERENCE, TRACELOOP], ids=["openinference", "traceloop"])
def test_older_dialects_say_the_same(store: Database, dialect: dict[str, Any]) -> None:
    tracer = trace.get_tracer("openinference.instrumentation.acme")
    (given, said), (asks, answers), (calls, returns) = dialect.values()
    with tracer.start_as_current_span("guide", attributes=given) as agent:
        with tracer.start_as_current_span("acme.chat", attributes=asks) as chat:
            chat.set_attributes(answers)
        with tracer.start_as_current_span("weather", attributes=calls) as tool:
            tool.set_attributes(returns)
        agent.set_attributes(said)
    assert outline(store) == tree("""
        session guide acme completed
          agent guide 'Hi' -> 'Hello.'
            llm acme-1 11/7
            decision weather
            tool weather {'city': 'Rome'} -> 'rain'
    """)
    (request,) = events(store, "llm_request")
    assert (request.provider, request.messages) == ("acme", [{"role": "user", "content": "Hi"}])
    assert request.settings == {"temperature": 0.5}


def test_what_is_recorded_already_is_not_recorded_again(store: Database, server: Loopback) -> None:
    tracer = trace.get_tracer("acme")
    server.answer(message("Hello."))

    @pp.tool
    def weather(city: str) -> str:
        return f"rain in {city}"

    with OpenAI(base_url=server.url, api_key="test") as client, tracer.start_as_current_span("invoke_agent guide"):
        with tracer.start_as_current_span("chat gpt-4o-mini"), tracer.start_as_current_span("openai.chat") as inner:
            inner.set_attribute("llm.request.type", "chat")
            client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}])
        with tracer.start_as_current_span("execute_tool weather", attributes={"gen_ai.operation.name": "execute_tool"}):
            weather("Rome")
        with pp.trace_session("inner"), tracer.start_as_current_span("invoke_agent nested") as nested:
            nested.set_status(Status(StatusCode.ERROR, "out of luck"))
    assert outline(store) == tree("""
        session guide acme completed
          agent guide
            llm gpt-4o-mini 11/7
            tool weather
            agent inner
              agent nested (error)
                error error out of luck
    """)


@pytest.mark.filterwarnings("ignore:Resolved model mismatch:UserWarning")
async def test_a_framework_with_an_adapter_is_recorded_by_that(
    store: Database, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        server.answer(message("Hello."))
        info = {"vision": False, "function_calling": True, "json_output": True, "family": "gpt-4o"}
        client = AutoGenClient(
            model="gpt-4o-mini", base_url=server.url, api_key="test", model_info=info | {"structured_output": True}
        )
        await AssistantAgent("helper", client).run(task="Hi")
        await client.close()

    frameworks.install(frozenset({"autogen"}))
    await run()
    frameworks.uninstall()
    monkeypatch.setenv("PEAKY_PEEK_AUTO_PATCH", "openai")  # no framework
    await run()
    assert outline(store) == tree("""
        session helper autogen completed
          agent helper 'Hi' -> 'Hello.'
            llm gpt-4o-mini 11/7
        session helper autogen-core completed
          agent helper
            llm gpt-4o-mini 11/7
    """)


def test_a_span_that_says_late_that_it_is_a_model_call_is_one(store: Database, server: Loopback) -> None:
    tracer = trace.get_tracer("acme")
    server.answer(message("Hello."))
    with OpenAI(base_url=server.url, api_key="test") as client, pp.trace_session("run"):
        with tracer.start_as_current_span("ChatAcme") as span:
            client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}])
            span.set_attributes({"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini"})
        with tracer.start_as_current_span("ChatAcme") as span:
            span.set_attributes({"openinference.span.kind": "LLM", "llm.model_name": "acme-1"})
        with tracer.start_as_current_span("Chain") as span:
            span.set_attribute("openinference.span.kind", "CHAIN")
    assert outline(store) == tree("""
        session run completed
          agent run
            llm gpt-4o-mini 11/7
            llm acme-1
    """)


@pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")
async def test_an_sdk_that_makes_spans_itself_is_recorded_once(store: Database, server: Loopback) -> None:
    server.answer(anthropic_stream(tool_use("c1", "weather", city="Rome")), anthropic_stream("It ", "rains."))
    frameworks.install(frozenset({"pydantic_ai"}))
    PydanticAgent.instrument_all()
    async with AsyncAnthropic(base_url=host(server), api_key="test") as client:
        model = AnthropicModel("claude-sonnet-4-5", provider=AnthropicProvider(anthropic_client=client))
        await PydanticAgent(model, name="guide", tools=[weather]).run("Weather?")
    PydanticAgent.instrument_all(False)
    assert outline(store) == tree("""
        session guide pydantic_ai completed
          agent guide 'Weather?' -> 'It rains.'
            llm claude-sonnet-4-5 11/7
            decision weather
            tool weather {'city': 'Rome'} -> 'rain in Rome'
            llm claude-sonnet-4-5 11/7
    """)


def test_two_instrumentations_of_one_framework_tell_of_the_same_run(store: Database) -> None:
    first, second = trace.get_tracer("acme"), trace.get_tracer("openinference.instrumentation.acme")
    told = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "guide"}
    kinds = [{"openinference.span.kind": kind} for kind in ("AGENT", "TOOL")]
    with first.start_as_current_span("run", attributes=told):
        with (
            second.start_as_current_span("guide", attributes=kinds[0]),
            second.start_as_current_span("weather", attributes=kinds[1]),
            first.start_as_current_span("execute_tool weather"),
        ):
            pass
        with first.start_as_current_span("run", attributes=told | {"gen_ai.agent.name": "other"}):
            pass
    assert outline(store) == tree("""
        session guide acme completed
          agent guide
            tool weather
            agent other
    """)


def test_spans_that_say_nonsense_hurt_nobody(store: Database) -> None:
    tracer = trace.get_tracer("acme")
    nonsense: dict[str, Any] = {
        "gen_ai.operation.name": "chat", "gen_ai.input.messages": "[[1, null]]", "gen_ai.output.messages": '{"a":',
        "gen_ai.usage.input_tokens": "many", "gen_ai.response.finish_reasons": (), "llm.tools.0": 1,
        "llm.tools.0.tool.json_schema": "[]", "gen_ai.tool.definitions": "[3]",
    }  # fmt: skip
    for operation in ("chat", "execute_tool", "invoke_agent"):
        with tracer.start_as_current_span(operation, attributes=nonsense | {"gen_ai.operation.name": operation}):
            pass
    assert [event.event_type.value for event in events(store)] == [
        "llm_request", "llm_response", "tool_call", "tool_result", "agent_start", "agent_end",
    ]  # fmt: skip


def _json(name: str, value: Any) -> dict[str, str]:
    return {name: json.dumps(value)}
