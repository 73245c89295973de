"""What LangGraph saves of a graph, what a graph waits for, and what somebody decides about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

import peaky_peek as pp
from peaky_peek.capture import frameworks
from peaky_peek.store import Database
from tests.frameworks.langchain_agents import ASK, Trip, agent, calls, thread, trip, weather
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import Loopback, message


@pytest.fixture(autouse=True)
def adapter(hook: None) -> Iterator[None]:
    frameworks.install(frozenset({"langchain"}))
    yield
    frameworks.uninstall()


CHECKPOINTS = """
    session trip langchain completed
      agent trip {'city': 'Paris'} -> {'city': 'Paris', 'hotel': 'Ritz'}
        checkpoint input/-1
        checkpoint start/0
        agent book {'city': 'Paris'} -> {'hotel': 'Ritz'}
        checkpoint book/1
"""


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_what_is_saved_is_a_checkpoint(store: Database, durability: Any) -> None:
    graph = trip(book=lambda _: {"hotel": "Ritz"}).compile(name="trip", checkpointer=InMemorySaver())
    graph.invoke({"city": "Paris"}, thread("t-1"), durability=durability)
    assert outline(store) == tree(CHECKPOINTS)
    await graph.ainvoke({"city": "Paris"}, thread("t-2"), durability=durability)
    saved = events(store, "checkpoint")
    assert [event.state for event in saved[:3]] == [
        {"__start__": {"city": "Paris"}}, {"city": "Paris"}, {"city": "Paris", "hotel": "Ritz"},
    ]  # fmt: skip
    assert [event.name for event in saved[3:]] == ["input/-1", "start/0", "book/1"]
    history = [state.config["configurable"]["checkpoint_id"] for state in graph.get_state_history(thread("t-1"))]
    assert [event.data["checkpoint_id"] for event in saved[:3]] == history[::-1]
    assert {name: saved[2].data[name] for name in ("thread_id", "step", "source")} == {
        "thread_id": "t-1", "step": 1, "source": "loop",
    }  # fmt: skip
    assert [row["thread"] for row in sessions(store)] == ["t-1", "t-2"]


def test_only_what_is_saved_is_a_checkpoint(store: Database) -> None:
    graph = trip(book=lambda _: {"hotel": "Ritz"})
    graph.compile().invoke({"city": "Paris"}, thread("t-1"))
    graph.compile(checkpointer=InMemorySaver()).invoke({"city": "Paris"}, thread("t-1"), durability="exit")
    assert [event.name for event in events(store, "checkpoint")] == ["exit/1"]


def test_a_thread_that_the_user_gave_stays(store: Database) -> None:
    graph = trip(book=lambda _: {"hotel": "Ritz"}).compile(checkpointer=InMemorySaver())
    with pp.trace_session("mine", thread="my own"):
        graph.invoke({"city": "Paris"}, thread("t-1"))
    with pp.trace_session("mine"):
        graph.invoke({"city": "Paris"}, thread("t-2"))
    assert [row["thread"] for row in sessions(store)] == ["my own", "t-2"]


def test_a_graph_that_waits_for_somebody_has_paused_and_did_not_fail(store: Database) -> None:
    def ask(_: Trip) -> Trip:
        return {"hotel": interrupt({"question": "Which one?"})}

    graph = trip(ask=ask).compile(name="trip", checkpointer=InMemorySaver())
    waiting = graph.invoke({"city": "Paris"}, thread("t-1"))
    (asked,) = waiting["__interrupt__"]
    graph.invoke(Command(resume="Ritz"), thread("t-1"))
    lines = [line for line in outline(store).splitlines() if "checkpoint" not in line]
    assert "\n".join(lines) == tree(f"""
        session trip langchain interrupted
          agent trip {{'city': 'Paris'}} -> {{'city': 'Paris', '__interrupt__': [{{'id': '{asked.id}', 'value': {{'question': 'Which one?'}}}}]}} (cancelled)
            agent ask {{'city': 'Paris'}} (cancelled)
        session trip langchain completed
          agent trip {{'resume': 'Ritz'}} -> {{'city': 'Paris', 'hotel': 'Ritz'}}
            agent ask {{'city': 'Paris'}} -> {{'hotel': 'Ritz'}}
    """)  # noqa: E501
    assert [(row["errors"], row["thread"]) for row in sessions(store)] == [(0, "t-1"), (0, "t-1")]


def test_a_tool_that_waits_for_somebody_has_paused_and_did_not_fail(server: Loopback, store: Database) -> None:
    @tool
    def ask(question: str) -> str:
        """Ask the user."""
        return str(interrupt(question))

    server.answer(calls("c1", "ask", question="Which one?"), message("Booked."))
    guide = agent(server, ask, checkpointer=InMemorySaver())
    guide.invoke(ASK, thread("t-1"))
    guide.invoke(Command(resume="Ritz"), thread("t-1"))
    tools = [line.strip() for line in outline(store).splitlines() if line.strip().startswith("tool")]
    assert tools == [
        "tool ask {'question': 'Which one?'} (cancelled)", "tool ask {'question': 'Which one?'} -> 'Ritz'",
    ]  # fmt: skip
    assert [row["status"] for row in sessions(store)] == ["interrupted", "completed"]


@pytest.mark.parametrize("at", ["interrupt_before", "interrupt_after"])
async def test_a_graph_that_stops_at_a_breakpoint_has_paused(store: Database, at: str) -> None:
    nodes = {"book": lambda _: {"hotel": "Ritz"}, "pay": lambda _: {}}
    where = {at: ["pay" if at == "interrupt_before" else "book"]}
    graph = trip(**nodes).compile(name="trip", checkpointer=InMemorySaver(), **where)
    graph.invoke({"city": "Paris"}, thread("t-1"))
    graph.invoke(None, thread("t-1"))
    await graph.ainvoke({"city": "Paris"}, thread("t-2"))
    assert [row["status"] for row in sessions(store)] == ["interrupted", "completed", "interrupted"]
    for paused in (events(store, "agent_end")[1], events(store, "agent_end")[-1]):
        assert paused.output["__interrupt__"] == [{"id": at, "value": ["pay"]}]


@pytest.mark.parametrize("mode", ["batched", "per_call"])
@pytest.mark.parametrize("verdict", ["reject", "approve"])
def test_an_approval_is_a_safety_check(server: Loopback, store: Database, mode: Any, verdict: str) -> None:
    approval = HumanInTheLoopMiddleware(interrupt_on={"weather": True}, interrupt_mode=mode)
    careful = agent(server, weather, name="careful", middleware=[approval], checkpointer=InMemorySaver())
    server.answer(calls("c1", "weather", city="Paris"), message("Done."))
    waiting = careful.invoke(ASK, thread("t-1"))
    decision = {"type": verdict} | ({"message": "too wet"} if verdict == "reject" else {})
    answer = {"decisions": [decision]} if mode == "batched" else {waiting["__interrupt__"][0].id: decision}
    careful.invoke(Command(resume=answer), thread("t-1"))
    (check,) = events(store, "safety_check")
    assert (check.policy_name, check.agent) == ("approval", "careful")
    if verdict == "reject":
        assert (check.outcome, check.blocked_action, check.rationale) == ("block", "weather", "too wet")
    else:
        assert (check.outcome, check.blocked_action) == ("pass", None)
    assert check.evidence[0]["request"]["args"] == {"city": "Paris"}
    assert [event.name for event in events(store, "tool_call")] == (["weather"] if verdict == "approve" else [])
    assert [row["status"] for row in sessions(store)] == ["interrupted", "completed"]


def test_an_answer_to_what_another_process_asked_says_no_more_than_it_knows(server: Loopback, store: Database) -> None:
    approval = HumanInTheLoopMiddleware(interrupt_on={"weather": True})
    careful = agent(server, weather, name="careful", middleware=[approval], checkpointer=InMemorySaver())
    server.answer(calls("c1", "weather", city="Paris"), message("Done."))
    careful.invoke(ASK, thread("t-1"))
    frameworks.uninstall()
    frameworks.install(frozenset({"langchain"}))
    careful.invoke(Command(resume={"decisions": [{"type": "reject"}]}), thread("t-1"))
    (check,) = events(store, "safety_check")
    assert (check.outcome, check.blocked_action, check.rationale) == ("block", None, None)
