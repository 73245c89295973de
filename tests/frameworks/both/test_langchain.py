"""LangChain agents as their users run them, and the tree that is recorded of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain.agents.middleware import ToolErrorMiddleware
from langchain_core.tools import tool

import peaky_peek as pp
from peaky_peek.capture import frameworks, transport
from peaky_peek.store import Database
from tests.frameworks.langchain_agents import ASK, agent, book, calls, model, team, weather
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import Loopback, error, message, stream, tool_call


@pytest.fixture(autouse=True)
def adapter(hook: None) -> Iterator[None]:
    frameworks.install(frozenset({"langchain"}))
    yield
    frameworks.uninstall()


ANY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[\d:.+]+")
ONE_TOOL = """
    session guide langchain completed
      agent guide
        llm gpt-4o-mini 11/7
        decision weather
        tool weather {'city': 'Paris'} -> 'sunny in Paris'
        llm gpt-4o-mini 11/7
"""


def invoke(agent: Any) -> Any:
    return agent.invoke(ASK)


def run_in_a_stream(agent: Any) -> Any:
    return list(agent.stream(ASK, stream_mode="values"))[-1]


async def ainvoke(agent: Any) -> Any:
    return await agent.ainvoke(ASK)


async def run_in_an_async_stream(agent: Any) -> Any:
    return [state async for state in agent.astream(ASK, stream_mode="values")][-1]


@pytest.mark.parametrize(
    "run",
    [invoke, run_in_a_stream, ainvoke, run_in_an_async_stream],
    ids=lambda run: run.__name__,
)
async def test_an_agent_is_recorded_however_it_is_run(server: Loopback, store: Database, run: Any) -> None:
    server.answer(calls("c1", "weather", city="Paris"), message("Sunny."))
    answer = run(agent(server))
    answer = await answer if asyncio.iscoroutine(answer) else answer
    assert answer["messages"][-1].content == "Sunny."
    assert outline(store, states=False) == tree(ONE_TOOL)
    (call,) = events(store, "tool_call")
    assert (call.call_id, call.agent) == ("c1", "guide")
    (row,) = sessions(store)
    counts = {name: row[name] for name in ("llm_calls", "tool_calls", "errors", "input_tokens", "output_tokens")}
    assert counts == {"llm_calls": 2, "tool_calls": 1, "errors": 0, "input_tokens": 22, "output_tokens": 14}
    assert row["code_hash"] is not None
    assert row["version"] == row["code_hash"]


def test_what_goes_in_and_what_comes_out_is_plain_data_and_whole(server: Loopback, store: Database) -> None:
    server.answer(message("Sunny."))
    agent(server).invoke(ASK)
    start, end = events(store, "agent_start", "agent_end")
    assert start.input == ASK
    assert [(said["type"], said["content"]) for said in end.output["messages"]] == [
        ("human", "How is Paris?"), ("ai", "Sunny."),
    ]  # fmt: skip


def test_a_tool_that_raises_fails_its_agent_with_the_same_exception(server: Loopback, store: Database) -> None:
    server.answer(calls("c1", "book", city="Rome"))
    with pytest.raises(ValueError, match="no hotel in Rome"):
        agent(server).invoke(ASK)
    assert outline(store, states=False) == tree("""
        session guide langchain failed
          agent guide (error)
            llm gpt-4o-mini 11/7
            decision book
            tool book {'city': 'Rome'} !! ValueError: no hotel in Rome (error)
            error ValueError no hotel in Rome
    """)


def test_tokens_stream_through_and_are_recorded_once(server: Loopback, store: Database) -> None:
    server.answer(stream("Sun", "ny.", usage={"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}))
    streamed = [part.content for part, _ in agent(server).stream(ASK, stream_mode="messages")]
    assert "".join(streamed) == "Sunny."
    assert outline(store, states=False) == tree("""
        session guide langchain completed
          agent guide
            llm gpt-4o-mini 11/7
    """)


async def test_events_stream_through_and_are_recorded_once(server: Loopback, store: Database) -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 7}
    server.answer(
        stream(tool_calls=[tool_call("c1", "weather", city="Paris")], usage=usage), stream("Sun", "ny.", usage=usage)
    )
    told = [told async for told in agent(server).astream_events(ASK, version="v2")]
    assert told[-1]["data"]["output"]["messages"][-1].content == "Sunny."
    assert outline(store, states=False) == tree(ONE_TOOL)


def test_what_reads_a_stream_is_not_in_the_agent(server: Loopback, store: Database) -> None:
    server.answer(calls("c1", "weather", city="Paris"), message("Sunny."))
    with pp.trace_session("reader"):
        for number, _ in enumerate(agent(server).stream(ASK)):
            pp.trace_session(f"reads {number}").open().close()
    assert outline(store, states=False) == tree("""
        session reader langchain completed
          agent reader
            agent guide
              llm gpt-4o-mini 11/7
              decision weather
              tool weather {'city': 'Paris'} -> 'sunny in Paris'
              llm gpt-4o-mini 11/7
            agent reads 0
            agent reads 1
            agent reads 2
    """)


def test_a_stream_that_is_abandoned_was_cancelled_and_did_not_fail(server: Loopback, store: Database) -> None:
    server.answer(calls("c1", "weather", city="Paris"))
    states = agent(server).stream(ASK)
    next(states)
    states.close()
    assert outline(store, states=False) == tree("""
        session guide langchain completed
          agent guide (cancelled)
            llm gpt-4o-mini 11/7
            decision weather
    """)


def test_the_application_sees_the_same_with_and_without_us(server: Loopback, store: Database) -> None:
    def run() -> list[Any]:
        server.answer(calls("c1", "weather", city="Paris"), message("Sunny."), calls("c1", "book", city="Rome"))
        guide, seen = agent(server), []

        def read_twice() -> None:
            for _ in range(2):
                for mode, part in guide.stream(ASK, stream_mode=["updates", "values", "debug"]):
                    seen.append(ANY_ID.sub("…", f"{mode} {part}"))

        with pytest.raises(ValueError, match="no hotel") as failure:
            read_twice()
        return [seen, failure.value.args, len(failure.value.__notes__)]

    recorded = run()
    assert len(events(store, "tool_call")) == 2
    frameworks.uninstall()
    transport.uninstall()
    assert run() == recorded


async def test_what_is_under_way_when_an_agent_is_cancelled_is_cancelled_too(server: Loopback, store: Database) -> None:
    begun = asyncio.Event()

    @tool
    async def wait(city: str) -> str:
        """Wait for a room."""
        begun.set()
        return await asyncio.Future()

    server.answer(calls("c1", "wait", city="Rome"))
    running = asyncio.create_task(ainvoke(agent(server, wait)))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert outline(store, states=False).splitlines() == [
        "session guide langchain interrupted", "  agent guide (cancelled)", "    llm gpt-4o-mini 11/7",
        "    decision wait", "    tool wait {'city': 'Rome'} !! CancelledError:  (cancelled)",
    ]  # fmt: skip


def test_a_tool_whose_failure_the_agent_gets_over_has_failed(server: Loopback, store: Database) -> None:
    server.answer(calls("c1", "book", city="Rome"), message("None."))
    agent(server, middleware=[ToolErrorMiddleware(lambda error, *_: str(error))]).invoke(ASK)
    assert outline(store, states=False) == tree("""
        session guide langchain completed
          agent guide
            llm gpt-4o-mini 11/7
            decision book
            tool book {'city': 'Rome'} !! ValueError: no hotel in Rome (error)
            llm gpt-4o-mini 11/7
    """)


def test_a_call_that_is_retried_is_one(server: Loopback, store: Database) -> None:
    server.answer(error(429, "rate_limit"), message("Sunny."))
    chat = model(server, max_retries=1)
    assert chat.invoke("How is Paris?").content == "Sunny."
    store.ingest()
    attempts = store.connection().execute("SELECT attempt, status FROM exchanges ORDER BY position").fetchall()
    assert attempts == [(1, 429), (2, 200)]
    assert [event.event_type for event in events(store)] == ["llm_request", "llm_response"]


def test_a_provider_that_fails_fails_the_agent(server: Loopback, store: Database) -> None:
    server.answer(error(400, "bad_request", "no such model"))
    with pytest.raises(Exception, match="no such model"):
        agent(server).invoke(ASK)
    assert outline(store, states=False).splitlines()[:3] == [
        "session guide langchain failed", "  agent guide (error)", "    llm gpt-4o-mini (error)",
    ]  # fmt: skip


def test_a_refusal_of_the_model_is_one_of_the_agent(server: Loopback, store: Database) -> None:
    server.answer(message(None, refusal="I cannot help with that."))
    agent(server).invoke(ASK)
    (refusal,) = events(store, "refusal")
    assert (refusal.reason, refusal.agent) == ("I cannot help with that.", "guide")


HANDOFF = """
    session team langchain completed
      agent team
        agent triage
          llm gpt-4o-mini 11/7
          decision transfer_to_booker
          tool transfer_to_booker {} -> 'Over to you.' [triage => booker]
        agent booker <- transfer_to_booker
          llm gpt-4o-mini 11/7
          decision weather
          tool weather {'city': 'Rome'} -> 'sunny in Rome'
          llm gpt-4o-mini 11/7
"""


@pytest.mark.parametrize("run", [invoke, ainvoke], ids=lambda run: run.__name__)
async def test_an_agent_hands_over_to_the_next_one_beside_it(server: Loopback, store: Database, run: Any) -> None:
    server.answer(calls("h1", "transfer_to_booker"), calls("c1", "weather", city="Rome"), message("Booked."))
    answer = run(team(server))
    answer = await answer if asyncio.iscoroutine(answer) else answer
    assert answer["messages"][-1].content == "Booked."
    assert outline(store, states=False) == tree(HANDOFF)
    call, result = (event for event in events(store, "tool_call", "tool_result") if event.name == "transfer_to_booker")
    assert call.metadata["handoff"] == result.metadata["handoff"] == {"from": "triage", "to": "booker"}
    assert sessions(store)[0]["agents"] == '["team","triage","booker"]'


def test_agents_in_threads_keep_their_own_trees(server: Loopback, store: Database) -> None:
    for _ in range(4):
        server.answer(message("Sunny."))
    guides = [agent(server, name=f"guide-{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(invoke, guides))
    assert sorted(row["name"] for row in sessions(store)) == ["guide-0", "guide-1", "guide-2", "guide-3"]
    assert {(row["llm_calls"], row["status"]) for row in sessions(store)} == {(1, "completed")}


async def test_agents_in_tasks_keep_their_own_trees_inside_a_session(server: Loopback, store: Database) -> None:
    for _ in range(3):
        server.answer(message("Sunny."))
    async with pp.trace_session("all"):
        await asyncio.gather(*(ainvoke(agent(server, name=f"guide-{number}")) for number in range(3)))
    made = outline(store, states=False).splitlines()
    assert made[:2] == ["session all langchain completed", "  agent all"]
    assert sorted(made[2:]) == sorted(
        ["    agent guide-0", "    agent guide-1", "    agent guide-2", *["      llm gpt-4o-mini 11/7"] * 3]
    )
    assert {event.agent for event in events(store, "llm_request")} == {"guide-0", "guide-1", "guide-2"}


def test_after_an_agent_the_place_is_what_it_was(server: Loopback, store: Database) -> None:
    async def of_two() -> None:
        server.answer(message("Sunny."), message("Rainy."))
        await ainvoke(agent(server))
        with pp.trace_session("mine"):
            await model(server).ainvoke("And Rome?")

    asyncio.run(of_two())
    assert outline(store, states=False) == tree("""
        session guide langchain completed
          agent guide
            llm gpt-4o-mini 11/7
        session mine completed
          agent mine
            llm gpt-4o-mini 11/7
    """)


def test_an_agent_built_before_is_recorded_and_none_after_it_is_uninstalled(server: Loopback, store: Database) -> None:
    from langchain_core.tracers.context import _configure_hooks
    from langgraph.pregel._loop import PregelLoop

    frameworks.uninstall()
    before, put = list(_configure_hooks), PregelLoop._put_checkpoint
    guide = agent(server)
    frameworks.install(frozenset({"langchain"}))
    server.answer(message("Sunny."), message("Sunny."))
    guide.invoke(ASK)
    frameworks.uninstall()
    assert (_configure_hooks, PregelLoop._put_checkpoint) == (before, put)
    guide.invoke(ASK)
    assert [event.name for event in events(store, "agent_start")] == ["guide"]


def test_without_its_hook_the_model_calls_are_recorded_and_one_line_says_so(
    server: Loopback, store: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from langchain_core.tracers import context

    frameworks.uninstall()
    monkeypatch.delattr(context, "register_configure_hook")
    frameworks.install(frozenset({"langchain"}))
    server.answer(calls("c1", "weather", city="Paris"), message("Sunny."))
    agent(server, weather, book).invoke(ASK)
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if "LangChain and LangGraph" in line]) == 1
    assert [event.name for event in events(store, "llm_request", "tool_call")] == [
        "gpt-4o-mini",
        "weather",
        "gpt-4o-mini",
    ]
