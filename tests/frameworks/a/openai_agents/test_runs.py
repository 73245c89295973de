"""Agents of the OpenAI Agents SDK, run for real: their models, tools and handoffs as they happened."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agents import Agent, OpenAIResponsesModel, RunConfig, Runner, function_tool, handoff
from agents.mcp import MCPServer
from mcp.types import CallToolResult, TextContent, Tool
from openai import AsyncOpenAI

from peaky_peek.store import Database
from tests.frameworks.a.openai_agents.guides import answers, broken, guide, local_model, streamed, weather
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import Loopback, error, function_call, response, response_stream


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
        session guide openai_agents completed
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
        session guide openai_agents completed
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
        session triage openai_agents completed
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
        session guide openai_agents completed
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
        session guide openai_agents failed
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
        session guide openai_agents completed
          agent guide 'Weather?' -> 'Sunny.'
            llm gpt-4o-mini 11/7
    """)


async def test_a_provider_that_fails(store: Database, server: Loopback, model: Any) -> None:
    server.answer(error(400, text="bad request"))
    with pytest.raises(Exception, match="bad request"):
        await Runner.run(guide(model), "Weather?")
    assert outline(store) == tree("""
        session guide openai_agents failed
          agent guide 'Weather?' (error)
            llm gpt-4o-mini (error)
              error scripted bad request
            error openai.BadRequestError Error code: 400 - bad request
    """)


@pytest.mark.parametrize("mode", ["whole", "streamed"])
async def test_an_agent_that_is_a_tool_is_inside_the_tool(
    store: Database, server: Loopback, model: Any, mode: str
) -> None:
    make, run = (response, Runner.run) if mode == "whole" else (response_stream, streamed)
    poet = Agent(name="poet", model=model)
    server.answer(make(function_call("c1", "write", input="rain")), response("Rain, rain."), make("Done."))
    await run(guide(model, tools=[poet.as_tool("write", "Writes.")]), "A poem")
    assert outline(store) == tree("""
        session guide openai_agents completed
          agent guide 'A poem' -> 'Done.'
            llm gpt-4o-mini 11/7
            decision write
            tool write {'input': 'rain'} -> 'Rain, rain.'
              agent poet 'rain' -> 'Rain, rain.'
                llm gpt-4o-mini 11/7
            llm gpt-4o-mini 11/7
    """)


async def test_a_model_that_is_not_asked_over_http(store: Database) -> None:
    agent = guide(local_model())
    await Runner.run(agent, "Weather?")
    with pytest.raises(RuntimeError):
        await Runner.run(agent, "More?")
    assert outline(store) == tree("""
        session guide openai_agents completed
          agent guide 'Weather?' -> 'Sunny.'
            llm Local 11/7
            decision weather
            tool weather {'city': 'Rome'} -> {'city': 'Rome', 'sky': 'clear'}
            llm Local 11/7
        session guide openai_agents failed
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
        session guide openai_agents completed
          agent guide 'Weather?' -> 'Sunny.'
            llm Local 0/0
            decision weather
            tool weather {'city': 'Rome'} -> {'city': 'Rome', 'sky': 'clear'}
            llm Local 0/0
    """)


async def test_tools_that_the_provider_runs_come_from_the_wire_with_their_server(
    store: Database, server: Loopback, model: Any
) -> None:
    call = {"id": "mcp_1", "type": "mcp_call", "server_label": "git", "name": "log", "arguments": "{}", "output": "c6c"}
    server.answer(response(call | {"error": None, "approval_request_id": None, "status": "completed"}, "One commit."))
    await Runner.run(guide(model), "Log?")
    assert outline(store) == tree("""
        session guide openai_agents completed
          agent guide 'Log?' -> 'One commit.'
            llm gpt-4o-mini 11/7
              tool log {} -> 'c6c' (derived)
    """)
    assert events(store, "tool_call")[0].data == {"server": "git"}


class Files(MCPServer):
    """A server of tools, without a process of its own."""

    name = "files"

    async def connect(self) -> None: ...

    async def cleanup(self) -> None: ...

    async def list_tools(self, *_: Any) -> list[Tool]:
        schema = {"type": "object", "properties": {"path": {"type": "string"}}}
        return [Tool(name="read", description="Reads.", inputSchema=schema)]

    async def call_tool(self, tool_name: str, arguments: dict[str, Any] | None, *_: Any) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text=f"{tool_name} {arguments}")])

    async def list_prompts(self) -> Any: ...

    async def get_prompt(self, name: str, arguments: dict[str, Any] | None = None) -> Any: ...


async def test_a_tool_of_an_mcp_server_names_the_server(store: Database, server: Loopback, model: Any) -> None:
    server.answer(response(function_call("c1", "read", path="a.txt")), response("Read."))
    await Runner.run(guide(model, tools=[], mcp_servers=[Files()]), "Read a.txt")
    assert outline(store) == tree("""
        session guide openai_agents completed
          agent guide 'Read a.txt' -> 'Read.'
            llm gpt-4o-mini 11/7
            decision read
            tool read {'path': 'a.txt'} -> {'type': 'text', 'text': "read {'path': 'a.txt'}"}
            llm gpt-4o-mini 11/7
    """)
    called, came = events(store, "tool_call", "tool_result")
    assert (called.data, came.data) == ({"server": "files"}, {"server": "files"})


async def test_a_tool_that_takes_too_long(store: Database, server: Loopback, model: Any) -> None:
    @function_tool(timeout=0.01)
    async def sleepy() -> str:
        await asyncio.Event().wait()
        return "never"

    server.answer(response(function_call("c1", "sleepy")), response("No answer."))
    await Runner.run(guide(model, tools=[sleepy]), "Wait")
    assert outline(store) == tree("""
        session guide openai_agents completed
          agent guide 'Wait' -> 'No answer.'
            llm gpt-4o-mini 11/7
            decision sleepy
            tool sleepy {} !! ToolTimeoutError: Tool 'sleepy' timed out after 0.01 seconds. (error)
            llm gpt-4o-mini 11/7
    """)


async def test_a_handoff_that_fails(store: Database, server: Loopback, model: Any) -> None:
    def refuse(_: Any) -> None:
        raise PermissionError("closed")

    booker = Agent(name="booker", model=model)
    server.answer(response(function_call("c1", "transfer_to_booker")))
    with pytest.raises(PermissionError):
        await Runner.run(Agent(name="triage", handoffs=[handoff(booker, on_handoff=refuse)], model=model), "Rome")
    assert outline(store) == tree("""
        session triage openai_agents failed
          agent triage 'Rome' (error)
            llm gpt-4o-mini 11/7
            decision transfer_to_booker
            tool transfer_to_booker {} !! PermissionError: closed (error) [triage => booker]
            error PermissionError closed
    """)


async def test_a_stream_that_nobody_reads_to_its_end(store: Database, server: Loopback, model: Any) -> None:
    server.answer(response_stream(function_call("c1", "weather", city="Rome")), response_stream("Sunny."))
    result = Runner.run_streamed(guide(model), "Weather?")
    async for event in result.stream_events():
        if getattr(event, "name", None) == "tool_output":
            result.cancel()
    assert outline(store) == tree("""
        session guide openai_agents interrupted
          agent guide 'Weather?' (cancelled)
            llm gpt-4o-mini 11/7
            decision weather
            tool weather {'city': 'Rome'} -> {'city': 'Rome', 'sky': 'clear'}
    """)


async def test_without_task_and_turn_spans(store: Database) -> None:
    agent = guide(local_model())
    plain = RunConfig(tracing={"include_task_and_turn_spans": False})
    await Runner.run(agent, "Weather?", run_config=plain)
    with pytest.raises(RuntimeError):
        await Runner.run(agent, "More?", run_config=plain)
    assert outline(store) == tree("""
        session guide openai_agents completed
          agent guide 'Weather?' -> 'Sunny.'
            llm Local 11/7
            decision weather
            tool weather {'city': 'Rome'} -> {'city': 'Rome', 'sky': 'clear'}
            llm Local 11/7
        session guide openai_agents failed
          agent guide 'More?' (error)
            llm Local (error)
              error RuntimeError nothing to say
            error RuntimeError nothing to say
    """)
