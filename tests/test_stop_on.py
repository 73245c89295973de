"""`stop_on`: what ends an agent that would never end, and what is left of its run."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

import peaky_peek as pp
from peaky_peek.store import Database
from tests.in_children import search_in_a_child, spend
from tests.loopback import Loopback, message

LOOP = r'^loop x3: search with the same result: the run stops here because of stop_on="loop"\.$'
ASK: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, store: Database) -> Iterator[None]:
    monkeypatch.setenv("PEAKY_PEEK_DB", str(store.path))  # for child processes
    yield
    pp.uninstall()


@pp.tool
def search(query: str) -> list[str]:
    return []


@pp.tool
async def look(query: str) -> list[str]:
    await asyncio.sleep(0)
    return []


def circle(name: str = "circler", times: int = 99, **options: Any) -> None:
    """An agent that asks for the same again and again."""
    with pp.trace_session(name, **options):
        for _ in range(times):
            search("flights")


def ended(name: str | None = None) -> tuple[str, list[str]]:
    """How the run ended: its status, and the types of its last events."""
    return pp.session(name).status, pp.events(name).event_type.tolist()[-3:]


def test_an_endless_agent_is_ended_at_the_fourth_call_that_would_bring_nothing() -> None:
    @pp.trace(stop_on="loop")
    def agent() -> None:
        while True:
            search("flights to Paris")

    with pytest.raises(pp.LoopDetected, match=LOOP):
        agent()
    assert ended() == ("failed", ["behavior_alert", "error", "agent_end"])
    assert pp.tool_calls().status.tolist() == ["ok"] * 3, "nothing of what it did is lost"
    (alert,) = pp.alerts().to_dict("records")
    assert (alert["severity"], alert["recorded"]) == ("high", True)
    assert len(alert["related_event_ids"]) == 3
    error = pp.events(types="error", data=True).data.iloc[0]
    assert error["error_type"] == "peaky_peek.errors.LoopDetected"


def test_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(pp.RunStopped):
        circle(stop_on="loop")
    assert capsys.readouterr().err == "Peaky Peek: loop x3: search with the same result (circler)\n"


def test_an_endless_coroutine_is_ended() -> None:
    @pp.trace(stop_on=["loop"])
    async def agent() -> None:
        while True:
            await look("flights")

    with pytest.raises(pp.LoopDetected, match=LOOP.replace("search", "look")):
        asyncio.run(agent())
    assert ended()[0] == "failed"
    assert len(pp.tool_calls()) == 3


def test_an_endless_agent_without_tools_or_a_framework_is_ended_between_two_model_calls() -> None:
    with Loopback(*(message("Let me think about it.") for _ in range(30))) as server:

        @pp.trace(stop_on="loop")
        def agent() -> None:
            said = list(ASK["messages"])
            with OpenAI(base_url=server.url, api_key="test") as client:
                while True:
                    answer = client.chat.completions.create(model="gpt-4o-mini", messages=said)
                    said += [
                        {"role": "assistant", "content": answer.choices[0].message.content},
                        {"role": "user", "content": "Go on."},
                    ]

        with pytest.raises(pp.LoopDetected, match="loop x5: gpt-4o-mini with the same result"):
            agent()
    assert len(server.requests) < 10
    assert ended()[0] == "failed"


def test_an_endless_async_client_that_asks_the_same_again_is_ended() -> None:
    async def agent(server: Loopback) -> None:
        async with AsyncOpenAI(base_url=server.url, api_key="test") as client:
            with pp.trace_session("agent", stop_on="loop"):
                while True:
                    await client.chat.completions.create(**ASK)

    with Loopback(*(message("Hello!") for _ in range(30))) as server, pytest.raises(pp.LoopDetected):
        asyncio.run(agent(server))
    assert len(server.requests) == 5


def test_verbs_alone_are_ended_too() -> None:
    def agent() -> None:
        with pp.trace_session("by hand", stop_on="loop") as ctx:
            while True:
                ctx.record_tool_call("search", {"query": "flights"})
                ctx.record_tool_result("search", [])

    with pytest.raises(pp.LoopDetected):
        agent()
    assert len(pp.tool_calls()) == 3


def test_init_holds_for_every_run_and_for_those_that_are_open() -> None:
    with pp.trace_session("open before"):
        pp.init(db=os.environ["PEAKY_PEEK_DB"], stop_on="loop")
        with pytest.raises(pp.LoopDetected):
            circle("part of it")
    with pytest.raises(pp.LoopDetected):
        circle("after")
    pp.init(db=os.environ["PEAKY_PEEK_DB"])
    circle("free")
    assert pp.sessions().status.tolist() == ["completed", "failed", "completed"]


def test_watching_ends_the_runs_of_this_kernel_if_it_is_asked_to() -> None:
    circle(times=9)
    view = pp.live(stop_on=["loop"])
    with pytest.raises(pp.LoopDetected, match=LOOP):
        circle()
    view.close()
    with pytest.raises(ValueError, match="stop_on is"):
        pp.live(stop_on="boredom")


def test_an_agent_inside_another_is_stopped_and_the_next_one_is_not() -> None:
    @pp.trace(stop_on="loop")
    def agent(query: str, times: int) -> str:
        for _ in range(times):
            search(query)
        return "done"

    with pp.trace_session("cell"):
        for _ in range(4):
            search("before it anybody may go in circles")
        with pytest.raises(pp.LoopDetected):
            agent("flights", 9)
        assert agent("trains", 2) == "done"
        for _ in range(9):
            search("and after it")
    assert pp.session().status == "completed"
    starts = pp.events(types="agent_end")
    assert starts.status.tolist() == ["error", "ok", "ok"]


def test_a_child_process_is_ended_by_what_the_run_is_seen_to_do() -> None:
    context = multiprocessing.get_context("spawn")
    with pp.trace_session("root", stop_on="loop"), ProcessPoolExecutor(1, mp_context=context) as pool:
        said = pool.submit(search_in_a_child).result()
    assert said.startswith("loop x3: search with the same result")


def test_cost_and_loop_together() -> None:
    pp.init(db=os.environ["PEAKY_PEEK_DB"], max_cost_usd=1.0, stop_on=["loop", "cost"])
    with pp.trace_session("dear") as ctx, pytest.raises(pp.BudgetExceeded):
        spend(ctx, *[0.4] * 9)
    with pytest.raises(pp.LoopDetected):
        circle()


def test_progress_is_never_stopped() -> None:
    with pp.trace_session("honest", stop_on="loop"):
        for page in range(50):
            search(f"page {page}")
    assert ended() == ("completed", ["tool_call", "tool_result", "agent_end"])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("loops", 'stop_on is "loop", "cost" or a list of them, not \'loops\'.'),
        (["cost"], 'stop_on="cost" needs to know the limit: say pp.init(max_cost_usd=...) before.'),
    ],
)
def test_what_cannot_be_stopped_on_is_said_where_it_is_asked_for(wrong: Any, sentence: str) -> None:
    for ask in (
        lambda: pp.init(stop_on=wrong),
        lambda: pp.trace_session("a", stop_on=wrong),
        lambda: pp.trace(stop_on=wrong),
    ):
        with pytest.raises(ValueError) as problem:  # noqa: PT011 - the sentence is compared
            ask()
        assert str(problem.value) == sentence
