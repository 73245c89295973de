"""What is the same whatever an agent is built on."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from peaky_peek.store import Database
from tests.frameworks import agents, environments
from tests.frameworks.kills import IN, WIRE
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import Loopback, Reply, error, message, tool_call

pytestmark = [
    pytest.mark.filterwarnings("ignore:Resolved model mismatch:UserWarning"),  # AutoGen's own
    pytest.mark.parametrize("name", [name for name in IN[environments.current()] if name not in WIRE]),
]


@pytest.fixture(autouse=True)
def clients(hook: None) -> Iterator[None]:
    yield
    gc.collect()  # here it is known whose clients are left open


class Late(Reply):
    """An answer that does not come before it may; says when it was asked for."""

    def __init__(self) -> None:
        super().__init__([])
        self.asked, self.may_come = threading.Event(), threading.Event()

    @property
    def chunks(self) -> list[bytes]:
        """What is sent."""
        self.asked.set()
        self.may_come.wait(30)
        return message("Too late.").chunks

    @chunks.setter
    def chunks(self, _: list[bytes]) -> None:
        """Nothing is known before."""


def told(store: Database, name: str) -> str:
    """The outline of what is below the agent, and the session, which is all there is to see beside it."""
    (session,) = sessions(store)
    assert session["framework"] == name
    assert "helper" in session["agents"]
    assert session["task"] == agents.QUESTION
    lines = outline(store, states=False).splitlines()
    start = next(at for at, line in enumerate(lines) if line.strip().startswith("agent helper"))
    depth = len(lines[start]) - len(lines[start].lstrip())
    return "\n".join([str(session["status"]), *(line[depth:] for line in lines[start:])])


def failed(store: Database) -> list[tuple[str, str]]:
    """What failed, and what it happened in."""
    kinds = {event.id: str(event.event_type) for event in events(store)}
    return [(str(event.event_type), kinds[event.parent_id]) for event in events(store) if event.failed]


async def test_a_run_is_an_agent_with_its_model_calls_decisions_and_tools(
    name: str, store: Database, server: Loopback
) -> None:
    server.answer(message("Let me see.", tool_calls=[tool_call("c1", "weather", city="Rome")]), message("It rains."))
    await agents.RUN[name](server)
    assert told(store, name) == tree("""
        completed
        agent helper
          llm gpt-4o-mini 11/7
          decision weather
          tool weather {'city': 'Rome'} -> 'rain in Rome'
          llm gpt-4o-mini 11/7
    """)
    (call,), (result,) = events(store, "tool_call"), events(store, "tool_result")
    assert call.call_id == result.call_id == "c1"
    assert {call.agent, *(event.agent for event in events(store, "llm_request"))} == {"helper"}
    (decision,) = events(store, "decision")
    assert (decision.reasoning, decision.alternatives) == ("Let me see.", ["book"])
    assert events(store, "llm_request")[1].upstream_event_ids == [result.id]
    (session,) = sessions(store)
    assert (session["input_tokens"], session["output_tokens"], session["errors"]) == (22, 14, 0)


async def test_a_tool_that_fails_is_one_error_and_the_run_goes_on(name: str, store: Database, server: Loopback) -> None:
    server.answer(message(tool_calls=[tool_call("c1", "book", city="Rome")]), message("Full."))
    await agents.RUN[name](server)
    (result,) = events(store, "tool_result")
    assert (result.status, result.error.partition(": ")[2]) == ("error", "no room in Rome")
    assert failed(store) == [("tool_result", "tool_call")]
    (session,) = sessions(store)
    assert (session["status"], session["errors"]) == ("completed", 1)


async def test_a_provider_that_fails_is_an_error_of_the_call_and_one_of_the_run_that_it_ends(
    name: str, store: Database, server: Loopback
) -> None:
    server.answer(message(tool_calls=[tool_call("c1", "weather", city="Rome")]), error(400))
    with pytest.raises(Exception, match="scripted failure"):
        await agents.RUN[name](server)
    assert failed(store) == [("error", "llm_request"), ("error", "agent_start")]
    assert {event.status for event in events(store, "agent_end")} == {"error"}
    (session,) = sessions(store)
    assert session["status"] == "failed"


async def test_a_run_that_is_cancelled_is_interrupted_and_no_failure(
    name: str, store: Database, server: Loopback
) -> None:
    late = Late()
    server.answer(late)
    run = asyncio.ensure_future(agents.RUN[name](server))
    try:
        assert await asyncio.to_thread(late.asked.wait, 30)
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run
    finally:
        late.may_come.set()
    assert failed(store) == []
    assert {event.status for event in events(store, "agent_end")} == {"cancelled"}
    (session,) = sessions(store)
    assert session["status"] == "interrupted"
