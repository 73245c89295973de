"""The OpenAI Agents SDK, run for real: its agents, tools, handoffs and guardrails as they happened."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, nullcontext
from types import ModuleType
from typing import Any

import pytest
from agents import (
    Agent,
    AgentHooks,
    GuardrailFunctionOutput,
    InputGuardrail,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    Model,
    ModelRefusalError,
    ModelResponse,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    OutputGuardrailTripwireTriggered,
    RunConfig,
    RunHooks,
    Runner,
    SQLiteSession,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrailTripwireTriggered,
    TracingProcessor,
    Usage,
    add_trace_processor,
    function_tool,
    input_guardrail,
    output_guardrail,
    set_trace_processors,
    set_tracing_disabled,
    tool_input_guardrail,
    tool_output_guardrail,
    trace,
)
from agents.run import AgentRunner
from agents.tracing import get_trace_provider
from agents.tracing.spans import SpanImpl
from openai import AsyncOpenAI
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

import peaky_peek as pp
from peaky_peek.capture import context, frameworks
from peaky_peek.store import Database
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import (
    Loopback,
    Reply,
    error,
    function_call,
    message,
    response,
    response_stream,
    stream,
    tool_call,
)


@pytest.fixture(autouse=True)
def adapter(hook: None) -> Iterator[None]:
    frameworks.install(frozenset({"openai_agents"}))
    set_trace_processors([])  # the SDK's own exporter would send the spans to OpenAI
    yield
    frameworks.uninstall()


@pytest.fixture
async def client(server: Loopback) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.url, api_key="test") as client:
        yield client


@pytest.fixture
def model(client: AsyncOpenAI) -> OpenAIResponsesModel:
    return OpenAIResponsesModel("gpt-4o-mini", client)


@pytest.fixture
def chat(client: AsyncOpenAI) -> OpenAIChatCompletionsModel:
    return OpenAIChatCompletionsModel("gpt-4o-mini", client)


@pytest.fixture
def models(model: Any, chat: Any) -> dict[str, Model]:
    return {"responses": model, "chat": chat}


@function_tool
def weather(city: str) -> dict[str, Any]:
    return {"city": city, "sky": "clear"}


@function_tool
async def add(a: int, b: int) -> int:
    return a + b


@function_tool
def broken(city: str) -> str:
    raise ValueError(f"no such city as {city}")


def guide(model: Any, **more: Any) -> Agent[Any]:
    return Agent(name="guide", instructions="Guide.", model=model, **{"tools": [weather, add], **more})


async def streamed(agent: Agent[Any], asked: str, **options: Any) -> tuple[Any, list[Any]]:
    """What a streamed run returns, and every event that it showed."""
    result = Runner.run_streamed(agent, asked, **options)
    return result, [event async for event in result.stream_events()]


CALLS = (("c1", "weather", {"city": "Rome"}), ("c2", "add", {"a": 1, "b": 2}))
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def answers(api: str, mode: str) -> tuple[Reply, Reply]:
    """Two tools that are called, then an answer."""
    if api == "responses":
        items = [function_call(call_id, name, **arguments) for call_id, name, arguments in CALLS]
        make = response if mode == "whole" else response_stream
        return make(*items), make("Sunny, and 3.")
    calls = [tool_call(call_id, name, **arguments) for call_id, name, arguments in CALLS]
    if mode == "whole":
        return message(tool_calls=calls), message("Sunny, and 3.")
    return stream(tool_calls=calls, usage=USAGE), stream("Sunny, ", "and 3.", usage=USAGE)


@pytest.mark.parametrize("mode", ["whole", "streamed"])
@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_an_agent_with_two_tools(store: Database, server: Loopback, models: Any, api: str, mode: str) -> None:
    agent = guide(models[api])
    server.answer(*answers(api, mode))
    if mode == "whole":
        result = await Runner.run(agent, "Weather?")
    else:
        result, shown = await streamed(agent, "Weather?")
        assert "tool_output" in [getattr(event, "name", None) for event in shown]
    assert result.final_output == "Sunny, and 3."
    assert outline(store) == tree("""
        session guide OpenAI Agents completed
          agent guide 'Weather?' -> 'Sunny, and 3.'
            llm gpt-4o-mini 11/7
            decision weather, add
            tool weather {'city': 'Rome'} -> {'city': 'Rome', 'sky': 'clear'}
            tool add {'a': 1, 'b': 2} -> 3
            llm gpt-4o-mini 11/7
    """)
    assert [event.call_id for event in events(store, "tool_call")] == ["c1", "c2"]
    results = {event.call_id: event.id for event in events(store, "tool_result")}
    assert set(results) == {"c1", "c2"}
    (_, second) = events(store, "llm_request")
    assert set(second.upstream_event_ids) == set(results.values())
    assert [tool["name"] if "name" in tool else tool["function"]["name"] for tool in second.tools] == ["weather", "add"]
    (session,) = sessions(store)
    counted = ("llm_calls", "tool_calls", "errors", "input_tokens", "output_tokens", "input", "output", "thread")
    assert [session[name] for name in counted] == [2, 2, 0, 22, 14, '"Weather?"', '"Sunny, and 3."', None]
    assert session["code_hash"]
    assert session["version"] == session["code_hash"]


def test_a_run_without_a_loop(store: Database, server: Loopback) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    client = AsyncOpenAI(base_url=server.url, api_key="test")
    try:
        server.answer(*answers("responses", "whole"))
        agent = guide(OpenAIResponsesModel("gpt-4o-mini", client))
        assert Runner.run_sync(agent, "Weather?").final_output == "Sunny, and 3."
    finally:
        loop.run_until_complete(client.close())
        asyncio.set_event_loop(None)
        loop.close()
    assert outline(store) == tree("""
        session guide OpenAI Agents completed
          agent guide 'Weather?' -> 'Sunny, and 3.'
            llm gpt-4o-mini 11/7
            decision weather, add
            tool weather {'city': 'Rome'} -> {'city': 'Rome', 'sky': 'clear'}
            tool add {'a': 1, 'b': 2} -> 3
            llm gpt-4o-mini 11/7
    """)


@pytest.mark.parametrize("mode", ["whole", "streamed"])
async def test_an_agent_that_takes_over_stands_beside_the_one_that_handed_over(
    store: Database, server: Loopback, model: Any, mode: str
) -> None:
    booker = Agent(name="booker", tools=[weather], model=model)
    triage = Agent(name="triage", handoffs=[booker], model=model)
    make = response if mode == "whole" else response_stream
    server.answer(
        make(function_call("c1", "transfer_to_booker")), make(function_call("c2", "weather", city="Rome")),
        make("Booked."),
    )  # fmt: skip
    await (Runner.run(triage, "Book Rome") if mode == "whole" else streamed(triage, "Book Rome"))
    assert outline(store) == tree("""
        session triage OpenAI Agents completed
          agent triage 'Book Rome'
            llm gpt-4o-mini 11/7
            decision transfer_to_booker
            tool transfer_to_booker {} -> 'booker' [triage => booker]
          agent booker -> 'Booked.' <- transfer_to_booker
            llm gpt-4o-mini 11/7
            decision weather
            tool weather {'city': 'Rome'} -> {'city': 'Rome', 'sky': 'clear'}
            llm gpt-4o-mini 11/7
    """)
    handed = [event for event in events(store, "tool_call", "tool_result") if event.name == "transfer_to_booker"]
    assert [(event.call_id, event.metadata["handoff"]) for event in handed] == [
        ("c1", {"from": "triage", "to": "booker"})
    ] * 2
    (session,) = sessions(store)
    assert (session["agents"], session["output"]) == ('["triage","booker"]', '"Booked."')


async def test_a_tool_that_raises_has_an_error_even_if_the_model_is_told_something_else(
    store: Database, server: Loopback, model: Any
) -> None:
    server.answer(response(function_call("c1", "broken", city="Oz")), response("No such place."))
    await Runner.run(guide(model, tools=[broken]), "Weather?")
    assert outline(store) == tree("""
        session guide OpenAI Agents completed
          agent guide 'Weather?' -> 'No such place.'
            llm gpt-4o-mini 11/7
            decision broken
            tool broken {'city': 'Oz'} !! ValueError: no such city as Oz (error)
            llm gpt-4o-mini 11/7
    """)


async def test_a_tool_that_ends_the_run(store: Database, server: Loopback, model: Any) -> None:
    tool = function_tool(lost, failure_error_function=None)
    server.answer(response(function_call("c1", "lost", city="Oz")))
    with pytest.raises(Exception, match="Oz"):
        await Runner.run(guide(model, tools=[tool]), "Weather?")
    assert outline(store) == tree("""
        session guide OpenAI Agents failed
          agent guide 'Weather?' (error)
            llm gpt-4o-mini 11/7
            decision lost
            tool lost {'city': 'Oz'} !! KeyError: 'Oz' (error)
            error agents.exceptions.UserError Error running tool lost: 'Oz'
    """)


def lost(city: str) -> str:
    raise KeyError(city)


async def test_a_provider_that_wants_a_retry(store: Database, server: Loopback, model: Any) -> None:
    server.answer(error(429), response("Sunny."))
    await Runner.run(guide(model), "Weather?")
    assert outline(store) == tree("""
        session guide OpenAI Agents completed
          agent guide 'Weather?' -> 'Sunny.'
            llm gpt-4o-mini 11/7
    """)


async def test_a_provider_that_fails(store: Database, server: Loopback, model: Any) -> None:
    server.answer(error(400, text="bad request"))
    with pytest.raises(Exception, match="bad request"):
        await Runner.run(guide(model), "Weather?")
    assert outline(store) == tree("""
        session guide OpenAI Agents failed
          agent guide 'Weather?' (error)
            llm gpt-4o-mini (error)
              error scripted bad request
            error openai.BadRequestError Error code: 400 - bad request
    """)


async def test_a_model_that_refuses(store: Database, server: Loopback, chat: Any) -> None:
    server.answer(message(None, refusal="I will not."))
    with pytest.raises(ModelRefusalError):
        await Runner.run(guide(chat), "Weather?")
    assert outline(store) == tree("""
        session guide OpenAI Agents failed
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
        session guide OpenAI Agents completed
          agent guide 'Weather?' -> 'Sunny.'
            safety_check polite pass
            llm gpt-4o-mini 11/7
            safety_check short pass
        session guide OpenAI Agents failed
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
        session guide OpenAI Agents failed
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


def climate(city: str) -> str:
    return "clear"


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
        session guide OpenAI Agents completed
          agent guide 'Weather?' -> 'Sunny.'
            llm gpt-4o-mini 11/7
            decision weather
    """
    if way == "raise":
        beginning = beginning.replace("completed", "failed").replace("-> 'Sunny.'", "(error)")
    assert outline(store) == tree(beginning) + "\n" + textwrap.indent(tree(GUARDED[way]), "    ")


@pytest.mark.parametrize("mode", ["whole", "streamed"])
async def test_an_agent_that_is_a_tool_is_inside_the_tool(
    store: Database, server: Loopback, model: Any, mode: str
) -> None:
    make, run = (response, Runner.run) if mode == "whole" else (response_stream, streamed)
    poet = Agent(name="poet", model=model)
    server.answer(make(function_call("c1", "write", input="rain")), response("Rain, rain."), make("Done."))
    await run(guide(model, tools=[poet.as_tool("write", "Writes.")]), "A poem")
    assert outline(store) == tree("""
        session guide OpenAI Agents completed
          agent guide 'A poem' -> 'Done.'
            llm gpt-4o-mini 11/7
            decision write
            tool write {'input': 'rain'} -> 'Rain, rain.'
              agent poet 'rain' -> 'Rain, rain.'
                llm gpt-4o-mini 11/7
            llm gpt-4o-mini 11/7
    """)


class Local(Model):
    """A model that nobody asks over HTTP."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        if not self.answers:
            raise RuntimeError("nothing to say")
        return ModelResponse([self.answers.pop(0)], Usage(1, input_tokens=11, output_tokens=7, total_tokens=18), None)

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        whole = await self.get_response()
        said = {"id": "r", "created_at": 1, "model": "local", "object": "response", "output": whole.output}
        settings = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        answer = Response(**said, **settings)
        yield ResponseCompletedEvent(response=answer, sequence_number=1, type="response.completed")


def local_model() -> Local:
    call = ResponseFunctionToolCall(type="function_call", call_id="c1", name="weather", arguments='{"city": "Rome"}')
    text = ResponseOutputText(text="Sunny.", type="output_text", annotations=[])
    said = ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[text])
    return Local(call, said)


async def test_a_model_that_is_not_asked_over_http(store: Database) -> None:
    agent = guide(local_model())
    await Runner.run(agent, "Weather?")
    with pytest.raises(RuntimeError):
        await Runner.run(agent, "More?")
    assert outline(store) == tree("""
        session guide OpenAI Agents completed
          agent guide 'Weather?' -> 'Sunny.'
            llm Local 11/7
            decision weather
            tool weather {'city': 'Rome'} -> {'city': 'Rome', 'sky': 'clear'}
            llm Local 11/7
        session guide OpenAI Agents failed
          agent guide 'More?' (error)
            llm Local (error)
              error RuntimeError nothing to say
            error RuntimeError nothing to say
    """)
    asked = events(store, "llm_request")[0]
    assert asked.messages == [{"role": "system", "content": "Guide."}, {"content": "Weather?", "role": "user"}]
    assert asked.tools == [{"name": "weather"}, {"name": "add"}]
    first, second = events(store, "llm_response")[:2]
    assert first.tool_calls == [{"id": "c1", "name": "weather", "arguments": {"city": "Rome"}}]
    assert second.content == "Sunny."


async def test_a_model_that_streams_and_is_not_asked_over_http(store: Database) -> None:
    await streamed(guide(local_model()), "Weather?")
    assert outline(store) == tree("""
        session guide OpenAI Agents completed
          agent guide 'Weather?' -> 'Sunny.'
            llm Local 0/0
            decision weather
            tool weather {'city': 'Rome'} -> {'city': 'Rome', 'sky': 'clear'}
            llm Local 0/0
    """)


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
        session guide OpenAI Agents completed
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
        session guide OpenAI Agents failed
          agent guide 'Weather?' (error)
            llm gpt-4o-mini 11/7
            decision weather
            tool weather {{'city': 'Rome'}} -> {{'city': 'Rome', 'sky': 'clear'}}
            error {told[mode]}
    """)


async def test_a_session_is_named_as_the_user_calls_it_and_knows_its_conversation(
    store: Database, server: Loopback, model: Any
) -> None:
    server.answer(*[response("Sunny.")] * 5)
    with closing(SQLiteSession("talk-1")) as memory, pp.trace_session("mine"):
        await Runner.run(guide(model), "0", session=memory)
    with closing(SQLiteSession("talk-1")) as memory:
        await Runner.run(guide(model), "1", session=memory)
    await Runner.run(guide(model), "2", run_config=RunConfig(group_id="talk-2", workflow_name="Weather desk"))
    with trace("Day", group_id="talk-3"):
        await Runner.run(guide(model), "3")
        await Runner.run(guide(model), "4")
    assert outline(store) == tree("""
        session mine OpenAI Agents completed
          agent mine
            agent guide '0' -> 'Sunny.'
              llm gpt-4o-mini 11/7
        session guide OpenAI Agents completed
          agent guide '1' -> 'Sunny.'
            llm gpt-4o-mini 11/7
        session Weather desk OpenAI Agents completed
          agent guide '2' -> 'Sunny.'
            llm gpt-4o-mini 11/7
        session Day OpenAI Agents completed
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
        session mine OpenAI Agents completed
          agent mine
            agent guide '1' -> 'Sunny.'
              llm gpt-4o-mini 11/7
            agent guide '2' -> 'Sunny.'
              llm gpt-4o-mini 11/7
        session guide OpenAI Agents completed
          agent guide '3' -> 'Sunny.'
            llm gpt-4o-mini 11/7
        session guide OpenAI Agents completed
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
        session Rescue OpenAI Agents completed
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
        session main OpenAI Agents completed
          agent main {} -> 'None.'
            agent guide 'News?' -> 'None.'
              llm gpt-4o-mini 11/7
              decision news
              tool news {'city': 'Rome'} -> 'none'
              llm gpt-4o-mini 11/7
    """)
    (session,) = sessions(store)
    assert (session["task"], session["version"], session["tool_calls"]) == ("travel", "7", 1)


async def test_tools_that_the_provider_runs_come_from_the_wire_with_their_server(
    store: Database, server: Loopback, model: Any
) -> None:
    call = {"id": "mcp_1", "type": "mcp_call", "server_label": "git", "name": "log", "arguments": "{}", "output": "c6c"}
    server.answer(response(call | {"error": None, "approval_request_id": None, "status": "completed"}, "One commit."))
    await Runner.run(guide(model), "Log?")
    assert outline(store) == tree("""
        session guide OpenAI Agents completed
          agent guide 'Log?' -> 'One commit.'
            llm gpt-4o-mini 11/7
              tool log {} -> 'c6c' (derived)
    """)
    assert events(store, "tool_call")[0].data == {"server": "git"}


@pytest.mark.parametrize("where", ["run", "everywhere"])
async def test_who_switches_tracing_off_still_has_the_model_calls(
    store: Database, server: Loopback, model: Any, where: str
) -> None:
    server.answer(*answers("responses", "whole"))
    set_tracing_disabled(where == "everywhere")
    try:
        await Runner.run(guide(model), "Weather?", run_config=RunConfig(tracing_disabled=where == "run"))
    finally:
        set_tracing_disabled(False)
    assert outline(store).splitlines()[1:] == [
        "  llm gpt-4o-mini 11/7",
        "  decision weather, add",
        """  tool weather {'city': 'Rome'} -> "{'city': 'Rome', 'sky': 'clear'}" (derived)""",
        "  tool add {'a': 1, 'b': 2} -> '3' (derived)",
        "  llm gpt-4o-mini 11/7",
    ]


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
