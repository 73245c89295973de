"""What stops an agent of the OpenAI Agents SDK, or lets it pass: refusals, guardrails, approvals, limits."""

from __future__ import annotations

import asyncio
import textwrap
from contextlib import nullcontext
from typing import Any

import pytest
from agents import (
    GuardrailFunctionOutput,
    InputGuardrail,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    ModelRefusalError,
    ModelResponse,
    OutputGuardrailTripwireTriggered,
    RunHooks,
    Runner,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrailTripwireTriggered,
    function_tool,
    input_guardrail,
    output_guardrail,
    tool_input_guardrail,
    tool_output_guardrail,
)

from peaky_peek.store import Database
from tests.frameworks.a.openai_agents.guides import Local, climate, guide, streamed
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import Loopback, function_call, message, response, response_stream


async def test_a_model_that_refuses(store: Database, server: Loopback, chat: Any) -> None:
    server.answer(message(None, refusal="I will not."))
    with pytest.raises(ModelRefusalError):
        await Runner.run(guide(chat), "Weather?")
    assert outline(store) == tree("""
        session guide openai_agents failed
          agent guide 'Weather?' (error)
            llm gpt-4o-mini 11/7
              refusal refusal (derived)
            error agents.exceptions.ModelRefusalError Model refused to produce output: I will not.
    """)


@input_guardrail
def polite(context: Any, agent: Any, asked: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput({"asked": asked}, tripwire_triggered="Damn" in str(asked))


@output_guardrail
def short(context: Any, agent: Any, said: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(None, tripwire_triggered=len(said) > 10)


@pytest.mark.parametrize("mode", ["whole", "streamed"])
async def test_guardrails_of_an_agent_are_safety_checks(
    store: Database, server: Loopback, model: Any, mode: str
) -> None:
    make, run = (response, Runner.run) if mode == "whole" else (response_stream, streamed)
    agent = guide(model, input_guardrails=[polite], output_guardrails=[short])
    server.answer(make("Sunny."), make("A long answer."))
    await run(agent, "Weather?")
    with pytest.raises(OutputGuardrailTripwireTriggered):
        await run(agent, "More?")
    assert outline(store) == tree("""
        session guide openai_agents completed
          agent guide 'Weather?' -> 'Sunny.'
            safety_check polite pass
            llm gpt-4o-mini 11/7
            safety_check short pass
        session guide openai_agents failed
          agent guide 'More?' -> 'A long answer.' (error)
            safety_check polite pass
            llm gpt-4o-mini 11/7
            safety_check short block
            error agents.exceptions.OutputGuardrailTripwireTriggered Guardrail OutputGuardrail triggered tripwire
    """)
    checks = events(store, "safety_check")
    assert [check.data for check in checks[:2]] == [{"guardrail": "Input"}, {"guardrail": "Output"}]
    if mode == "whole":
        assert checks[0].evidence == [{"asked": "Weather?"}]


async def test_a_guardrail_before_the_model_keeps_it_from_being_asked(
    store: Database, server: Loopback, model: Any
) -> None:
    first = InputGuardrail(polite.guardrail_function, run_in_parallel=False)
    for run in (Runner.run, streamed):
        with pytest.raises(InputGuardrailTripwireTriggered):
            await run(guide(model, input_guardrails=[first]), "Damn")
    assert outline(store) == "\n".join(
        [
            tree("""
        session guide openai_agents failed
          agent guide 'Damn' (error)
            safety_check polite block
            error agents.exceptions.InputGuardrailTripwireTriggered Guardrail InputGuardrail triggered tripwire
    """)
        ]
        * 2
    )
    assert server.requests == []


def guarded_tool(way: str) -> Any:
    """A tool with a guardrail before it and one after it."""

    @tool_input_guardrail
    def known(data: Any) -> ToolGuardrailFunctionOutput:
        if way == "reject":
            return ToolGuardrailFunctionOutput.reject_content("not there", {"seen": 1})
        return ToolGuardrailFunctionOutput.raise_exception() if way == "raise" else ToolGuardrailFunctionOutput.allow()

    @tool_output_guardrail
    def clean(data: Any) -> ToolGuardrailFunctionOutput:
        allowed = ToolGuardrailFunctionOutput.allow()
        return ToolGuardrailFunctionOutput.reject_content("hidden") if way == "hide" else allowed

    tool = function_tool(climate, name_override="weather")
    tool.tool_input_guardrails, tool.tool_output_guardrails = [known], [clean]
    return tool


GUARDED = {
    "allow": """
        safety_check known pass
        tool weather {'city': 'Rome'} -> 'clear'
          safety_check clean pass
        llm gpt-4o-mini 11/7
    """,
    "reject": """
        safety_check known block 'weather'
        tool weather {'city': 'Rome'} -> 'not there' (derived)
        llm gpt-4o-mini 11/7
    """,
    "hide": """
        safety_check known pass
        tool weather {'city': 'Rome'} -> 'hidden'
          safety_check clean block 'weather'
        llm gpt-4o-mini 11/7
    """,
    "raise": """
        safety_check known block 'weather'
        error agents.exceptions.ToolInputGuardrailTripwireTriggered \
Tool input guardrail ToolInputGuardrail triggered tripwire
    """,
}


@pytest.mark.parametrize("way", GUARDED)
async def test_guardrails_of_a_tool_are_safety_checks(store: Database, server: Loopback, model: Any, way: str) -> None:
    server.answer(response(function_call("c1", "weather", city="Rome")), response("Sunny."))
    with pytest.raises(ToolInputGuardrailTripwireTriggered) if way == "raise" else nullcontext():
        await Runner.run(guide(model, tools=[guarded_tool(way)]), "Weather?")
    beginning = """
        session guide openai_agents completed
          agent guide 'Weather?' -> 'Sunny.'
            llm gpt-4o-mini 11/7
            decision weather
    """
    if way == "raise":
        beginning = beginning.replace("completed", "failed").replace("-> 'Sunny.'", "(error)")
    assert outline(store) == tree(beginning) + "\n" + textwrap.indent(tree(GUARDED[way]), "    ")


@pytest.mark.parametrize("mode", ["whole", "streamed"])
@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_a_run_that_waits_for_an_approval_goes_on_in_its_session(
    store: Database, server: Loopback, model: Any, decision: str, mode: str
) -> None:
    async def run(*args: Any) -> Any:
        return await Runner.run(*args) if mode == "whole" else (await streamed(*args))[0]

    make = response if mode == "whole" else response_stream
    agent = guide(model, tools=[function_tool(climate, name_override="book", needs_approval=True)])
    server.answer(make(function_call("c1", "book", city="Rome")), make("Done."))
    waiting = await run(agent, "Book")
    (asked,) = waiting.interruptions
    state = waiting.to_state()
    getattr(state, decision)(asked)
    assert (await run(agent, state)).final_output == "Done."
    said, came = {
        "approve": ("pass", "'clear'"), "reject": ("block 'book'", "'Tool execution was not approved.' (derived)"),
    }[decision]  # fmt: skip
    assert outline(store) == tree(f"""
        session guide openai_agents completed
          agent guide 'Book'
            llm gpt-4o-mini 11/7
            decision book
            safety_check approval warn 'book'
          agent guide -> 'Done.'
            safety_check approval {said}
            tool book {{'city': 'Rome'}} -> {came}
            llm gpt-4o-mini 11/7
    """)
    (session,) = sessions(store)
    assert (session["input"], session["output"]) == ('"Book"', '"Done."')


@pytest.mark.parametrize("mode", ["whole", "streamed"])
async def test_too_many_turns(store: Database, server: Loopback, model: Any, mode: str) -> None:
    make, run = (response, Runner.run) if mode == "whole" else (response_stream, streamed)
    server.answer(make(function_call("c1", "weather", city="Rome")))
    with pytest.raises(MaxTurnsExceeded):
        await run(guide(model), "Weather?", max_turns=1)
    told = {
        "whole": "agents.exceptions.MaxTurnsExceeded Max turns (1) exceeded",
        "streamed": "error Max turns exceeded",
    }
    assert outline(store) == tree(f"""
        session guide openai_agents failed
          agent guide 'Weather?' (error)
            llm gpt-4o-mini 11/7
            decision weather
            tool weather {{'city': 'Rome'}} -> {{'city': 'Rome', 'sky': 'clear'}}
            error {told[mode]}
    """)


@pytest.mark.parametrize("mode", ["whole", "streamed"])
async def test_an_agent_that_is_answered_for_at_its_limit_did_not_fail(
    store: Database, server: Loopback, model: Any, mode: str
) -> None:
    make, run = (response, Runner.run) if mode == "whole" else (response_stream, streamed)
    server.answer(make(function_call("c1", "weather", city="Rome")))
    await run(guide(model), "Weather?", max_turns=1, error_handlers={"max_turns": lambda _: "Enough."})
    assert outline(store) == tree("""
        session guide openai_agents completed
          agent guide 'Weather?' -> 'Enough.'
            llm gpt-4o-mini 11/7
            decision weather
            tool weather {'city': 'Rome'} -> {'city': 'Rome', 'sky': 'clear'}
    """)


async def test_a_model_that_is_stopped_by_a_guardrail_did_not_fail(store: Database) -> None:
    class Silent(Local):
        async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

    @input_guardrail
    async def strict(context: Any, agent: Any, said: Any) -> GuardrailFunctionOutput:
        await asked.wait()
        return GuardrailFunctionOutput(None, tripwire_triggered=True)

    asked = asyncio.Event()
    with pytest.raises(InputGuardrailTripwireTriggered):
        await Runner.run(guide(Silent(), input_guardrails=[strict]), "Weather?")
    assert outline(store) == tree("""
        session guide openai_agents failed
          agent guide 'Weather?' (error)
            llm Silent (cancelled)
            safety_check strict block
            error agents.exceptions.InputGuardrailTripwireTriggered Guardrail InputGuardrail triggered tripwire
    """)


async def test_a_guardrail_that_is_slower_than_the_agent_stops_it_all_the_same(
    store: Database, server: Loopback, model: Any
) -> None:
    class Returned(RunHooks[Any]):
        async def on_agent_end(self, *_: Any) -> None:
            over.set()

    @input_guardrail
    async def slow(context: Any, agent: Any, said: Any) -> GuardrailFunctionOutput:
        await over.wait()
        return GuardrailFunctionOutput(None, tripwire_triggered=True)

    over = asyncio.Event()
    server.answer(response_stream("Sunny."))
    with pytest.raises(InputGuardrailTripwireTriggered):
        await streamed(guide(model, input_guardrails=[slow]), "Weather?", hooks=Returned())
    assert outline(store) == tree("""
        session guide openai_agents failed
          agent guide 'Weather?' -> 'Sunny.' (error)
            llm gpt-4o-mini 11/7
            safety_check slow block
            error error Guardrail tripwire triggered
    """)
