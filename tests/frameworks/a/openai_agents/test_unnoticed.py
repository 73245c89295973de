"""The OpenAI Agents SDK does what it does without us, and is what it was when we are gone."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from agents import Agent, AgentHooks, InputGuardrail, RunHooks, Runner, TracingProcessor, add_trace_processor
from agents.run import AgentRunner
from agents.tracing import get_trace_provider
from agents.tracing.provider import DefaultTraceProvider
from agents.tracing.spans import SpanImpl

from peaky_peek.capture import frameworks
from peaky_peek.capture.frameworks.openai_agents_runs import PROCESSOR
from peaky_peek.store import Database
from tests.frameworks.a.openai_agents.guides import answers, broken, guide, streamed, weather
from tests.frameworks.trees import outline
from tests.loopback import Loopback, function_call, response


class Watching(RunHooks[Any]):
    """Run hooks of the user's."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def on_agent_start(self, context: Any, agent: Any) -> None:
        self.told.append(f"agent {agent.name}")

    async def on_tool_start(self, context: Any, agent: Any, tool: Any) -> None:
        self.told.append(f"tool {tool.name} {context.tool_call_id}")

    async def on_handoff(self, context: Any, from_agent: Any, to_agent: Any) -> None:
        self.told.append(f"{from_agent.name} to {to_agent.name}")

    async def on_agent_end(self, context: Any, agent: Any, output: Any) -> None:
        raise LookupError(output)


@pytest.mark.parametrize("recorded", [True, False])
async def test_hooks_results_and_exceptions_of_the_user_are_the_same_with_us_and_without(
    store: Database, server: Loopback, model: Any, recorded: bool
) -> None:
    if not recorded:
        frameworks.uninstall()
    booker = Agent(name="booker", tools=[weather, broken], model=model)
    calls = [function_call("c2", "weather", city="Rome"), function_call("c3", "broken", city="Oz")]
    server.answer(response(function_call("c1", "transfer_to_booker")), response(*calls), response("Booked."))
    hooks = Watching()
    with pytest.raises(LookupError, match=r"Booked\.") as raised:
        await Runner.run(Agent(name="triage", handoffs=[booker], model=model), "Rome", hooks=hooks)
    assert hooks.told == ["agent triage", "triage to booker", "agent booker", "tool weather c2", "tool broken c3"]
    assert raised.value.__cause__ is None
    told = [item["output"] for item in server.requests[2].body["input"] if "output" in item]
    assert told[1] == "{'city': 'Rome', 'sky': 'clear'}"
    assert "error" in told[2]
    with pytest.raises(TypeError, match="AgentHooks"):
        await Runner.run(guide(model), "Rome", hooks=AgentHooks())


async def test_a_reader_of_a_stream_sees_the_same_events_with_us_and_without(
    store: Database, server: Loopback, model: Any
) -> None:
    seen = []
    for _ in range(2):
        server.answer(*answers("responses", "streamed"))
        _, shown = await streamed(guide(model), "Weather?")
        seen.append([(event.type, getattr(event, "name", None), type(getattr(event, "data", None))) for event in shown])
        frameworks.uninstall()
    assert seen[0] == seen[1]
    assert len(seen[0]) > 20


async def test_uninstalling_puts_everything_back_and_takes_only_our_processor_away(
    store: Database, server: Loopback, model: Any
) -> None:
    class Theirs(TracingProcessor):
        on_trace_start = on_trace_end = on_span_start = on_span_end = lambda *_: None
        shutdown = force_flush = lambda *_: None

    theirs = Theirs()
    add_trace_processor(theirs)
    processors = get_trace_provider()._multi_processor
    assert len(processors._processors) == 2
    frameworks.install(frozenset({"openai_agents"}))  # a second time changes nothing
    assert len(processors._processors) == 2
    frameworks.uninstall()
    assert processors._processors == (theirs,)
    patched = [AgentRunner.run, AgentRunner.run_streamed, SpanImpl.set_error, InputGuardrail.run]
    assert not [each for each in patched if hasattr(each, "__wrapped__")]
    assert patched[0].__module__ == "agents.run"
    server.answer(response("Sunny."))
    await Runner.run(guide(model), "Weather?")
    assert "agent" not in outline(store)


async def test_an_sdk_without_the_hook_is_recorded_by_its_model_calls_and_says_so_once(
    store: Database, server: Loopback, model: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frameworks.uninstall()
    monkeypatch.delattr(AgentRunner, "run_streamed")
    frameworks.install(frozenset({"openai_agents"}))
    server.answer(response("Sunny."))
    await Runner.run(guide(model), "Weather?")
    (line,) = capsys.readouterr().err.splitlines()
    assert "OpenAI Agents SDK" in line
    assert "run_streamed" in line
    assert outline(store).splitlines()[1:] == ["  llm gpt-4o-mini 11/7"]


def test_a_package_of_the_users_of_the_same_name_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    frameworks.uninstall()
    monkeypatch.setitem(sys.modules, "agents", ModuleType("agents"))
    frameworks.install(frozenset({"openai_agents"}))
    assert not hasattr(AgentRunner.run, "__wrapped__")


def test_our_processor_is_there_whenever_the_provider_is_made() -> None:
    frameworks.uninstall()
    frameworks.install(frozenset({"openai_agents"}))
    assert PROCESSOR in get_trace_provider()._multi_processor._processors
    assert PROCESSOR in DefaultTraceProvider()._multi_processor._processors
