"""LlamaIndex: agents, workflows, tools, handoffs and retrieval as they ran, and a program that does not notice."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core import instrumentation as theirs
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import ChatMessage, MockLLM, TextBlock
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index.core.workflow import (
    Context,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from llama_index.llms.openai import OpenAI
from workflows.errors import WorkflowCancelledByUser

import peaky_peek as pp
from peaky_peek.capture import faults, frameworks
from peaky_peek.store import Database
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import USAGE, Loopback, Reply, error, message, stream, tool_call

HANDLERS = theirs.get_dispatcher().span_handlers, theirs.get_dispatcher().event_handlers
BEFORE = [list(each) for each in HANDLERS]


@pytest.fixture(autouse=True)
def adapter(hook: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """LlamaIndex swallows what handlers raise: faults are collected, and fail the test here."""
    seen: list[BaseException] = []
    monkeypatch.setattr(faults, "report", seen.append)
    frameworks.install(frozenset({"llama_index"}))
    yield
    frameworks.uninstall()
    gc.collect()  # here it is known whose clients are left open
    assert not seen


def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


async def book(city: str, nights: int) -> str:
    """Books a hotel."""
    raise ValueError(f"no hotel in {city} for {nights} nights")


async def buy(ctx: Context, city: str) -> str:
    """Buys a ticket, if somebody agrees."""
    reply = await ctx.wait_for_event(HumanResponseEvent, waiter_event=InputRequiredEvent(prefix="Really?"))
    return f"{reply.response}, to {city}"


buy.__annotations__ = {"ctx": Context, "city": str}  # LlamaIndex does not read them as text


def model(server: Loopback, **fields: Any) -> OpenAI:
    return OpenAI(**{"model": "gpt-4o-mini", "api_base": server.url, "api_key": "test", "max_retries": 0, **fields})


def clerk(server: Loopback, **fields: Any) -> FunctionAgent:
    given = {"name": "clerk", "tools": [weather, book], "llm": model(server), "streaming": False, **fields}
    return FunctionAgent(**given)


def asking(*calls: dict[str, Any], then: str = "It rains.") -> list[Reply]:
    return [message("Let me see.", tool_calls=list(calls)), message(then)]


async def run(agent: Any, question: str = "Rome?", **fields: Any) -> Any:
    return await agent.run(question, **fields)


def index() -> VectorStoreIndex:
    found = [Document(text="Rome is sunny.", id_="rome"), Document(text="Bonn is grey.", id_="bonn")]
    return VectorStoreIndex.from_documents(found, embed_model=MockEmbedding(embed_dim=4))


RAIN = tool_call("c1", "weather", city="Rome")
TRIP = tree("""
    session clerk llama_index completed
      agent clerk 'Rome?' -> 'It rains.'
        llm gpt-4o-mini 11/7
        decision weather
        tool weather {'city': 'Rome'} -> 'rain in Rome'
        llm gpt-4o-mini 11/7
""")


async def test_an_agent_and_its_tools_are_nested_as_they_ran(store: Database, server: Loopback) -> None:
    server.answer(*asking(RAIN))
    assert str(await run(clerk(server))) == "It rains."
    assert outline(store) == TRIP
    (session,) = sessions(store)
    assert (session["input"], session["output"]) == ('"Rome?"', '"It rains."')
    assert (session["llm_calls"], session["tool_calls"], session["errors"]) == (2, 1, 0)
    assert (session["input_tokens"], session["output_tokens"]) == (22, 14)
    assert session["code_hash"]
    call, result = events(store, "tool_call", "tool_result")
    assert (call.call_id, result.call_id, call.agent) == ("c1", "c1", "clerk")
    (decision,) = events(store, "decision")
    assert (decision.reasoning, decision.alternatives) == ("Let me see.", ["book"])
    assert events(store, "llm_request")[1].upstream_event_ids == [result.id]


def test_a_streaming_agent_is_the_same_tree_and_streams_the_same_events(store: Database, server: Loopback) -> None:
    async def streamed() -> list[str]:
        server.answer(stream(tool_calls=[RAIN], usage=USAGE), stream("It ", "rains.", usage=USAGE))
        handler = clerk(server, streaming=True).run("Rome?")
        said = [type(event).__name__ + getattr(event, "delta", "") async for event in handler.stream_events()]
        return [*said, str(await handler)]

    watched = asyncio.run(streamed())
    assert outline(store) == TRIP
    frameworks.uninstall()
    assert asyncio.run(streamed()) == watched


async def test_an_agent_that_reads_calls_out_of_text_has_the_same_tools(store: Database, server: Loopback) -> None:
    said = 'Thought: look\nAction: weather\nAction Input: {"city": "Rome"}'
    server.answer(message(said), message("Thought: I can answer\nAnswer: It rains."))
    await run(ReActAgent(name="clerk", tools=[weather], llm=model(server), streaming=False))
    assert outline(store) == TRIP.replace("        decision weather\n", "").replace("    decision weather\n", "")


async def test_a_tool_that_raises_is_a_result_with_its_error(store: Database, server: Loopback) -> None:
    server.answer(*asking(tool_call("c1", "book", city="Rome", nights=2), then="Full."))
    await run(clerk(server))
    assert outline(store) == tree("""
        session clerk llama_index completed
          agent clerk 'Rome?' -> 'Full.'
            llm gpt-4o-mini 11/7
            decision book
            tool book {'city': 'Rome', 'nights': 2} !! ValueError: no hotel in Rome for 2 nights (error)
            llm gpt-4o-mini 11/7
    """)


async def test_a_decorated_tool_is_one_pair(store: Database, server: Loopback) -> None:
    server.answer(*asking(RAIN))
    await run(clerk(server, tools=[pp.tool(weather), book]))
    assert outline(store) == TRIP


async def test_tools_side_by_side_answer_their_own_calls(store: Database, server: Loopback) -> None:
    server.answer(*asking(RAIN, tool_call("c2", "weather", city="Bonn")))
    await run(clerk(server))
    results = {result.call_id: result.result for result in events(store, "tool_result")}
    assert results == {"c1": "rain in Rome", "c2": "rain in Bonn"}


async def test_agents_that_hand_over_stand_side_by_side(store: Database, server: Loopback) -> None:
    scout = clerk(server, name="scout", description="Looks.", tools=[weather])
    desk = clerk(server, name="desk", description="Asks.", tools=[], can_handoff_to=["scout"])
    server.answer(message(tool_calls=[tool_call("h1", "handoff", to_agent="scout", reason="far")]), *asking(RAIN))
    await run(AgentWorkflow(agents=[desk, scout], root_agent="desk", handoff_output_prompt="To {to_agent}: {reason}"))
    assert outline(store) == tree("""
        session AgentWorkflow llama_index completed
          agent AgentWorkflow 'Rome?' -> 'It rains.'
            agent desk 'Rome?'
              llm gpt-4o-mini 11/7
              decision handoff
              tool handoff {'to_agent': 'scout', 'reason': 'far'} -> 'To scout: far' [desk => scout]
            agent scout 'Rome?' -> 'It rains.' <- handoff
              llm gpt-4o-mini 11/7
              decision weather
              tool weather {'city': 'Rome'} -> 'rain in Rome'
              llm gpt-4o-mini 11/7
    """)
    handed, taken = events(store, "tool_result")[0], events(store, "agent_start")[2]
    assert taken.upstream_event_ids == [handed.id]


async def test_agents_side_by_side_keep_their_own_trees(store: Database, server: Loopback) -> None:
    server.answer(*[message("It rains.") for _ in range(4)])
    await asyncio.gather(*[run(clerk(server, name=f"clerk {number}")) for number in range(4)])
    pictures = sorted("session" + each.rstrip() for each in outline(store).split("session")[1:])
    expected = tree("""
        session NAME llama_index completed
          agent NAME 'Rome?' -> 'It rains.'
            llm gpt-4o-mini 11/7
    """)
    assert pictures == [expected.replace("NAME", f"clerk {number}") for number in range(4)]


async def test_a_retried_request_is_one_call(store: Database, server: Loopback) -> None:
    server.answer(error(429), *asking(RAIN))
    await run(clerk(server, llm=model(server, max_retries=2)))
    assert outline(store) == TRIP


async def test_a_model_call_that_fails_fails_the_agent(store: Database, server: Loopback) -> None:
    server.answer(error(400, "bad", "no such model"))
    with pytest.raises(Exception, match="no such model"):
        await run(clerk(server))
    said = outline(store)
    failed = "openai.BadRequestError Error code: 400"
    assert said.partition(failed)[0] + failed == tree(f"""
        session clerk llama_index failed
          agent clerk 'Rome?' (error)
            llm gpt-4o-mini (error)
              error bad no such model
            error {failed}
    """)


async def test_a_refusal_is_seen(store: Database, server: Loopback) -> None:
    server.answer(message("No.", refusal="I must not."))
    await run(clerk(server))
    assert [refusal.reason for refusal in events(store, "refusal")] == ["I must not."]


async def test_inside_a_trace_an_agent_is_a_span(store: Database, server: Loopback) -> None:
    server.answer(*asking(RAIN))
    with pp.trace_session("mine"):
        await run(clerk(server))
    inside = "\n".join(f"  {line}" for line in TRIP.splitlines()[1:])
    assert outline(store) == f"session mine llama_index completed\n  agent mine\n{inside}"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_query_retrieves_and_asks(is_async: bool, store: Database, server: Loopback) -> None:
    server.answer(message("Sun."))
    engine = index().as_query_engine(llm=model(server), similarity_top_k=1)

    async def later() -> str:
        return str(await engine.aquery("Rome?"))

    assert (asyncio.run(later()) if is_async else str(engine.query("Rome?"))) == "Sun."
    (result,) = events(store, "tool_result")
    (found,) = result.result
    assert (found["text"], found["score"]) in [("Rome is sunny.", 1.0), ("Bonn is grey.", 1.0)]
    assert outline(store) == tree(f"""
        session RetrieverQueryEngine llama_index completed
          agent RetrieverQueryEngine 'Rome?' -> 'Sun.'
            tool retrieve {{'query': 'Rome?'}} -> {[found]!r}
            llm gpt-4o-mini 11/7
    """)


def test_a_streamed_answer_is_left_to_its_reader(store: Database, server: Loopback) -> None:
    def read() -> list[str]:
        server.answer(stream("It ", "shines.", usage=USAGE))
        return list(index().as_query_engine(llm=model(server), streaming=True).query("Rome?").response_gen)

    with pp.trace_session("mine"):
        watched = read()
    steps = [line.partition(" -> ")[0] for line in outline(store).splitlines()]
    assert "\n".join(steps) == tree("""
        session mine llama_index completed
          agent mine
            agent RetrieverQueryEngine 'Rome?'
              tool retrieve {'query': 'Rome?'}
            llm gpt-4o-mini 11/7
    """)
    frameworks.uninstall()
    assert read() == watched


async def test_an_index_as_a_tool_retrieves_inside_the_tool(store: Database, server: Loopback) -> None:
    engine = index().as_query_engine(llm=model(server), similarity_top_k=1)
    docs = QueryEngineTool.from_defaults(engine, name="docs", description="Knows cities.")
    server.answer(message(tool_calls=[tool_call("c1", "docs", input="Rome?")]), message("Sun."), message("It shines."))
    await run(clerk(server, tools=[docs]))
    steps = [line.partition(" -> ")[0] for line in outline(store).splitlines()]
    assert "\n".join(steps) == tree("""
        session clerk llama_index completed
          agent clerk 'Rome?'
            llm gpt-4o-mini 11/7
            decision docs
            tool docs {'input': 'Rome?'}
              tool retrieve {'query': 'Rome?'}
              llm gpt-4o-mini 11/7
            llm gpt-4o-mini 11/7
    """)
    assert events(store, "tool_result")[1].result == "Sun."


def test_a_tool_that_the_program_calls_itself_is_one_pair(store: Database) -> None:
    with pp.trace_session("mine"):
        FunctionTool.from_defaults(weather)(city="Rome")
    assert outline(store) == tree("""
        session mine completed
          agent mine
            tool weather {'city': 'Rome'} -> 'rain in Rome'
    """)


class _Asked(InputRequiredEvent):
    pass


class Holiday(Workflow):
    """A workflow that somebody wrote, with an agent in one of its steps."""

    def __init__(self, agent: FunctionAgent) -> None:
        super().__init__(timeout=30)
        self.agent = agent

    @step
    async def plan(self, ev: StartEvent) -> InputRequiredEvent:
        return _Asked(plan=str(await self.agent.run(ev.city)))

    @step
    async def tell(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=f"Told: {ev.response}")


async def test_the_steps_of_a_workflow_that_somebody_wrote_are_seen(store: Database, server: Loopback) -> None:
    server.answer(message("It rains."))
    handler = Holiday(clerk(server)).run(city="Rome?")
    async for event in handler.stream_events():
        if isinstance(event, _Asked):
            handler.ctx.send_event(HumanResponseEvent(response=event.plan))
    assert await handler == "Told: It rains."
    names = [line.partition(" {")[0].partition(" ->")[0].rstrip() for line in outline(store).splitlines()]
    assert "\n".join(names) == tree("""
        session Holiday llama_index completed
          agent Holiday
            agent plan
              agent clerk 'Rome?'
                llm gpt-4o-mini 11/7
            agent tell
    """)
    assert [start.data.get("node") for start in events(store, "agent_start")] == [None, "plan", None, "tell"]


async def test_a_tool_that_waits_for_somebody_is_cancelled_and_called_again(store: Database, server: Loopback) -> None:
    server.answer(*asking(tool_call("c1", "buy", city="Rome"), then="Bought."))
    handler = clerk(server, tools=[buy]).run("Rome?")
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            handler.ctx.send_event(HumanResponseEvent(response="Yes"))
    await handler
    assert outline(store) == tree("""
        session clerk llama_index completed
          agent clerk 'Rome?' -> 'Bought.'
            llm gpt-4o-mini 11/7
            decision buy
            tool buy {'city': 'Rome'} (cancelled)
            tool buy {'city': 'Rome'} -> 'Yes, to Rome'
            llm gpt-4o-mini 11/7
    """)


async def test_a_run_that_is_cancelled_says_so(store: Database, server: Loopback) -> None:
    server.answer(*asking(tool_call("c1", "buy", city="Rome")))
    handler = clerk(server, tools=[buy]).run("Rome?")
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            await handler.cancel_run()
    with pytest.raises(WorkflowCancelledByUser):
        await handler
    assert outline(store) == tree("""
        session clerk llama_index interrupted
          agent clerk 'Rome?' (cancelled)
            llm gpt-4o-mini 11/7
            decision buy
            tool buy {'city': 'Rome'} (cancelled)
    """)


def test_a_model_in_the_process_is_recorded_as_llama_index_tells_it(store: Database) -> None:
    with pp.trace_session("mine"):
        MockLLM(max_tokens=2).chat([ChatMessage(role="user", content="Rome?")])
        list(MockLLM(max_tokens=2).stream_complete("Bonn?"))
    asked = [(request.model, request.messages) for request in events(store, "llm_request")]
    assert asked == [
        ("MockLLM", [{"role": "user", "content": "user: Rome?\nassistant: "}]),
        ("MockLLM", [{"role": "user", "content": "Bonn?"}]),
    ]
    assert [response.content for response in events(store, "llm_response")] == ["text text", "text"]


class _Down(MockLLM):
    """A model in the process that fails."""

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        raise ValueError("the model is down")


def test_such_a_model_that_fails_is_an_answer_with_an_error(store: Database) -> None:
    with pp.trace_session("mine"), pytest.raises(ValueError, match="down"):
        _Down().chat([ChatMessage(role="user", content="Rome?")])
    assert outline(store) == tree("""
        session mine completed
          agent mine
            llm MockLLM (error)
              error ValueError the model is down
    """)


async def test_an_agent_of_such_a_model_is_the_same_tree_without_counts(store: Database) -> None:
    def answer(messages: list[ChatMessage], **_: Any) -> ChatMessage:
        if messages[-1].role == "tool":
            return ChatMessage(role="assistant", content="It rains.")
        call = ToolCallBlock(tool_call_id="c1", tool_name="weather", tool_kwargs={"city": "Rome"})
        return ChatMessage(role="assistant", blocks=[TextBlock(text="Let me see."), call])

    ours = MockFunctionCallingLLM(response_generator=answer)
    await run(FunctionAgent(name="clerk", tools=[weather, book], llm=ours, streaming=False))
    assert outline(store) == TRIP.replace("gpt-4o-mini 11/7", "MockFunctionCallingLLM")
    request, decision = events(store, "llm_request")[0], events(store, "decision")[0]
    assert [tool["name"] for tool in request.tools or []] == []  # LlamaIndex does not tell
    assert decision.reasoning == "Let me see."


async def test_agents_made_before_the_hook_are_recorded_and_uninstalling_restores(
    store: Database, server: Loopback
) -> None:
    frameworks.uninstall()
    assert [list(each) for each in HANDLERS] == BEFORE
    agent = clerk(server)
    frameworks.install(frozenset({"llama_index"}))
    frameworks.install(frozenset({"llama_index"}))
    server.answer(*asking(RAIN))
    await run(agent)
    assert outline(store) == TRIP


def test_an_agent_that_is_killed_has_lost_and_doubled_nothing(store: Database, server: Loopback) -> None:
    code = f"""
import asyncio, os, signal
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI
from workflows.errors import WorkflowCancelledByUser
from peaky_peek import store
from peaky_peek.capture import frameworks, transport

store.use({str(store.path)!r})
transport.install()
frameworks.install()

def weather(city: str) -> str:
    "The weather."
    return f"rain in {{city}}"

def leave(city: str) -> str:
    "Leaves."
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    model = OpenAI(model="gpt-4o-mini", api_base={server.url!r}, api_key="test")
    await FunctionAgent(name="clerk", tools=[weather, leave], llm=model, streaming=False).run("Rome?")

asyncio.run(main())
"""
    server.answer(asking(RAIN)[0], message("Bye.", tool_calls=[tool_call("c2", "leave", city="Rome")]))
    killed = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(Path.cwd())}, timeout=120)
    assert killed.returncode == -9
    assert outline(store) == tree("""
        session clerk llama_index interrupted
          agent clerk 'Rome?' (open)
            llm gpt-4o-mini 11/7
            decision weather
            tool weather {'city': 'Rome'} -> 'rain in Rome'
            llm gpt-4o-mini 11/7
            decision leave
            tool leave {'city': 'Rome'} (open)
    """)
