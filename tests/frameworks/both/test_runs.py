"""What frameworks tell of by their own ids: where it belongs, whoever tells it."""

from __future__ import annotations

import asyncio

import peaky_peek as pp
from peaky_peek.capture.frameworks.runs import Runs
from peaky_peek.capture.spans import Paused
from peaky_peek.store import Database
from tests.frameworks.trees import outline, sessions, tree


def test_what_begins_in_a_run_is_inside_it(store: Database) -> None:
    runs = Runs("ours")
    runs.agent("crew", "crew", input="Rome?")
    runs.agent("agent", "booker")
    runs.tool("tool", "search", {"to": "Rome"})
    runs.agent("helper", "helper")
    for run in ("helper", "tool", "agent"):
        runs.ended(run)
    runs.tool("last", "report", {})
    runs.ended("last", "sent")
    runs.ended("crew", "booked")
    assert outline(store) == tree("""
        session crew ours completed
          agent crew 'Rome?' -> 'booked'
            agent booker
              tool search {'to': 'Rome'}
                agent helper
            tool report {} -> 'sent'
    """)


async def test_who_is_told_of_an_end_in_a_task_of_its_own_is_where_it_was_before(store: Database) -> None:
    runs = Runs("ours")

    async def over(run: str) -> None:
        runs.ended(run)

    runs.model("call", dict)
    await asyncio.create_task(over("call"))
    with pp.trace_session("mine") as ctx:
        runs.tool("search", "search", {})
        await asyncio.create_task(over("search"))
        ctx.record_decision(chosen_action="answer")
    assert outline(store).endswith(
        tree("""
        session mine completed
          agent mine
            tool search {}
            decision answer (own)
    """)
    )


def test_a_model_that_is_asked_by_a_model_is_one_call(store: Database) -> None:
    runs = Runs("ours")
    runs.agent("agent", "booker")
    runs.model("router", lambda: {"model": "router"})
    runs.model("small", lambda: {"model": "small"}, within=["router"])
    for run in ("small", "router", "agent"):
        runs.ended(run)
    assert outline(store) == tree("""
        session booker ours completed
          agent booker
            llm small
    """)


def test_a_step_is_not_recorded_and_what_happens_in_it_is_around_it(store: Database) -> None:
    runs = Runs("ours")
    runs.agent("graph", "graph", enter=False, about="its nodes")
    pp.trace_session("reads the next chunk").open().close()
    runs.step("node", within=["graph"])
    pp.trace_session("routes").open().close()
    runs.tool("tool", "search", {}, within=["node"])
    for run in ("tool", "node"):
        runs.ended(run)
    assert (runs.about("graph"), runs.about("node")) == ("its nodes", None)
    runs.ended("graph")
    assert outline(store) == tree("""
        session graph ours completed
          agent graph
            agent routes
            tool search {}
        session reads the next chunk completed
          agent reads the next chunk
    """)


def test_a_thread_is_said_of_the_session_unless_the_user_said_one(store: Database) -> None:
    runs = Runs("ours")
    runs.agent("alone", "alone", thread="t-1")
    runs.ended("alone", error=Paused())
    for thread in (None, "mine"):
        with pp.trace_session("around", thread=thread):
            runs.agent("within", "within", thread="t-2")
            runs.ended("within")
    assert [(row["name"], row["status"], row["thread"]) for row in sessions(store)] == [
        ("alone", "interrupted", "t-1"), ("around", "completed", "t-2"), ("around", "completed", "mine"),
    ]  # fmt: skip


def test_a_task_is_named_by_what_an_agent_is_asked_unless_its_user_names_it(store: Database) -> None:
    runs = Runs("ours")
    for task in (None, "travel"):
        with pp.trace_session("around", task=task):
            runs.agent("flow", "flow", input={"month": "May"})
            runs.agent("crew", "crew", input={"month": "May"}, session={"task": "Where to?"})
            runs.agent("clerk", "clerk", input="Current Task: Where to? Say a plan.")
            for run in ("clerk", "crew", "flow"):
                runs.ended(run)
    assert [row["task"] for row in sessions(store)] == ["Where to?", "travel"]
