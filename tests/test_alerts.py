"""Alerts: functions that are told of every event, the budget, and the one thing of ours that may stop an agent."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

import peaky_peek as pp
from peaky_peek.capture import faults, watching
from peaky_peek.store import Database
from tests.in_children import add, add_in_a_child, ask_until_stopped, spend, spend_in_a_child
from tests.loopback import Loopback, message, stream

ROOT = Path(__file__).parent.parent
ASK: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
TWO_CALLS = 0.000009
"""US dollars that the second of the loopback server's answers crosses."""


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, store: Database) -> Iterator[None]:
    monkeypatch.setenv("PEAKY_PEEK_DB", str(store.path))  # for child processes
    yield
    pp.uninstall()


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback(*(message("Hello!") for _ in range(9))) as server:
        yield server


def alerts() -> list[tuple[str, str]]:
    """The alerts of all sessions: the signal, and the name of the session."""
    frame = pp.events(pp.ALL, types="behavior_alert", data=True)
    names = pp.sessions().set_index("session_id").name
    return [(data["signal"], names[session]) for data, session in zip(frame.data, frame.session_id, strict=True)]


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment, cwd=ROOT, check=True
    )


# Functions that are told.


def test_the_page_about_alerts_is_true(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/alerts.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 6
    assert len([line for line in blocks[0].splitlines() if line]) <= 10
    ran = run("\n".join(blocks), PEAKY_PEEK_DB=str(tmp_path / "page.db"))
    assert ran.stderr.splitlines() == [
        "Peaky Peek: 4 searches in one run (agent)",
        "Peaky Peek: loop x3: search_hotels with the same result (endless)",
        "Peaky Peek: $1.20 of $1.00 spent (researcher)",
        "Peaky Peek: $1.20 of $1.00 spent (runaway)",
    ]


def test_a_listener_is_told_of_each_event_once_and_in_order_until_the_session_ends() -> None:
    told: list[Any] = []
    assert pp.on_event(told.append) == told.append
    with pp.trace_session("outer") as ctx:
        ctx.record_decision("because")
        with pp.trace_session("inner", new_session=True) as inner:
            inner.record_tool_call("search", {"q": 1})
        ctx.record_error("ValueError", "no")
    frame = pp.events(pp.ALL)
    assert [event.id for event in told] == frame.sort_values("event_id").event_id.tolist()
    assert [type(event).__name__ for event in told if event.name == "search"] == ["ToolCall"]
    pp.events()
    assert len(told) == len(frame)


def test_it_is_told_of_what_model_calls_mean_and_of_what_child_processes_do(server: Loopback) -> None:
    told: list[Any] = []

    @pp.on_event(types="llm_request llm_response tool_call")
    def remember(event: Any) -> None:
        told.append(event)

    pp.init(db=os.environ["PEAKY_PEEK_DB"])
    with pp.trace_session("root"), OpenAI(base_url=server.url, api_key="test") as client:
        client.chat.completions.create(**ASK)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            assert pool.submit(add_in_a_child).result() == 3
    pp.events()
    assert [event.event_type.value for event in told] == ["llm_request", "llm_response", "tool_call"]
    assert told[0].messages == ASK["messages"]
    assert told[1].content == "Hello!"
    assert told[2].arguments == {"a": 1, "b": 2}
    pp.off_event(remember)


def test_a_listener_added_in_the_middle_is_told_only_of_what_comes_then() -> None:
    told: list[str] = []
    with pp.trace_session("long") as ctx:
        ctx.record_decision("before", chosen_action="before")
        pp.on_event(lambda event: told.append(event.name))
        ctx.record_decision("after", chosen_action="after")
    pp.events()
    assert told == ["after", "long"]


def test_a_conversation_comes_whole_though_only_what_is_new_is_stored() -> None:
    told: list[int] = []
    pp.on_event(types="llm_request")(lambda event: told.append(len(event.messages)))
    said: list[dict[str, str]] = []
    with pp.trace_session("chat") as ctx:
        for turn in range(4):
            said.append({"role": "user", "content": str(turn)})
            ctx.record_llm_request("m", list(said))
    pp.events()
    assert told == [1, 2, 3, 4]


def test_a_definition_that_is_run_again_replaces_itself() -> None:
    told: list[str] = []
    cell = "def on_error(event): told.append(VERSION)"
    for version in ("first", "second"):
        namespace = {"__name__": "__main__", "told": told, "VERSION": version}
        exec(cell, namespace)
        pp.on_event(types="error")(namespace["on_error"])
    with pp.trace_session("run") as ctx:
        ctx.record_error("ValueError", "no")
    pp.events()
    assert told == ["second"]


def test_a_listener_can_be_taken_away_and_uninstall_takes_all() -> None:
    told: list[str] = []

    def first(event: Any) -> None:
        told.append("first")

    def second(event: Any) -> None:
        told.append("second")

    pp.on_event(first)
    pp.on_event(second)
    pp.off_event(first)
    with pp.trace_session("run"):
        pass
    pp.events()
    assert told == ["second", "second"]
    pp.uninstall()
    with pp.trace_session("run"):
        pass
    pp.events()
    assert told == ["second", "second"]


def test_what_is_no_listener_is_refused_in_one_sentence() -> None:
    async def waits(event: Any) -> None:
        raise NotImplementedError

    with pytest.raises(TypeError, match="on_event takes a plain function that is given the event, not <function "):
        pp.on_event(waits)
    with pytest.raises(ValueError, match="There is no event type 'tool': the types are agent_start, agent_end, "):
        pp.on_event(types="tool")


def test_a_listener_that_raises_is_counted_and_logged_once_and_nobody_else_notices(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []

    def broken(event: Any) -> None:
        raise LookupError("nobody there")

    pp.on_event(broken)
    pp.on_event(lambda event: told.append(event.name))
    with caplog.at_level(logging.WARNING, "peaky_peek"), pp.trace_session("run") as ctx:
        ctx.record_decision("because", chosen_action="go")
    pp.events()
    assert told == ["run", "go", "run"]
    assert faults.counts.pop("LookupError: nobody there") == 3
    (record,) = caplog.records
    assert "broken was told of an event and raised: LookupError: nobody there" in record.message
    assert pp.sessions().status.tolist() == ["completed"]


def test_what_a_listener_does_is_no_part_of_the_run_and_an_alert_about_an_alert_is_not_recorded() -> None:
    told: list[str] = []

    @pp.on_event
    def busy(event: Any) -> pp.Alert:
        told.append(event.event_type.value)
        add(1, 2)
        ctx.record_decision("from the listener")
        with pp.trace_session("judge", new_session=True):
            add(3, 4)
        return pp.Alert("busy", f"{event.event_type.value} happened")

    with pp.trace_session("run") as ctx:
        ctx.record_error("ValueError", "no")
    pp.events()
    frame = pp.events("run")  # which looks once more: alerts are events that listeners are told of too
    assert frame.event_type.tolist() == [
        "agent_start", "behavior_alert", "error", "behavior_alert", "agent_end", "behavior_alert"
    ]  # fmt: skip
    assert sorted(told) == sorted(frame.event_type)
    assert pp.sessions().name.tolist() == ["run"]
    pp.off_event(busy)


def test_a_slow_listener_holds_up_neither_the_agent_nor_the_store(store: Database) -> None:
    gate, is_in = threading.Event(), threading.Event()

    @pp.on_event(types="agent_start")
    def slow(event: Any) -> None:
        is_in.set()
        gate.wait(30)

    with pp.trace_session("run") as ctx:
        assert is_in.wait(30)
        for number in range(100):
            ctx.record_tool_result("count", number)
    store.ingest()
    assert store.connection().execute("SELECT events, status FROM sessions").fetchone() == (102, "completed")
    gate.set()
    pp.off_event(slow)


def test_what_is_left_is_told_when_the_process_ends() -> None:
    code = """
import peaky_peek as pp
told = []
@pp.on_event
def tell(event): print(event.event_type)
with pp.trace_session("short"): pass
"""
    assert run(code).stdout.split() == ["agent_start", "agent_end"]


def test_a_session_that_is_resumed_repeats_nothing() -> None:
    told: list[str] = []
    pp.on_event(types="decision")(lambda event: told.append(event.name))
    for turn in ("one", "two"):
        with pp.trace_session("chat", session_id="chat", resume=True) as ctx:
            ctx.record_decision("because", chosen_action=turn)
        pp.events()
    assert told == ["one", "two"]


def test_a_forked_child_tells_nobody_of_its_parents_run_and_everybody_of_its_own() -> None:
    code = """
import os, sys
import peaky_peek as pp
@pp.on_event(types="decision")
def tell(event): os.write(1, f"{os.getpid() == parent} {event.name}\\n".encode())
parent = os.getpid()
with pp.trace_session("parent") as ctx:
    child = os.fork()
    if child == 0:
        ctx.record_decision("because", chosen_action="in the child")
        with pp.trace_session("own", new_session=True) as own:
            own.record_decision("because", chosen_action="of the sub-session")
        pp.capture.context.CURRENT.set(None)
        with pp.trace_session("alone") as alone:
            alone.record_decision("because", chosen_action="of its own run")
        pp.events()
        pp.capture.recorder.close()
        os._exit(0)
    os.waitpid(child, 0)
"""
    assert sorted(run(code).stdout.splitlines()) == [
        "False of its own run", "True in the child", "True of the sub-session"
    ]  # fmt: skip


def test_nothing_runs_while_nobody_listens() -> None:
    with pp.trace_session("run"):
        assert "peaky-peek-listeners" not in [thread.name for thread in threading.enumerate()]
    pp.on_event(lambda event: None)
    with pp.trace_session("run"):
        assert "peaky-peek-listeners" in [thread.name for thread in threading.enumerate()]
    pp.events()
    assert not watching._runs


def test_a_run_that_moves_to_another_store_is_told_to_the_end(tmp_path: Path) -> None:
    told: list[str] = []
    pp.on_event(types="decision")(lambda event: told.append(event.name))
    with pp.trace_session("moving") as ctx:
        ctx.record_decision("because", chosen_action="here")
        pp.events()
        pp.init(db=tmp_path / "there.db")
        ctx.record_decision("because", chosen_action="there")
    pp.events()
    assert told == ["here", "there"]


# The budget.


def test_the_answer_that_crosses_the_budget_gets_one_alert_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    pp.init(db=os.environ["PEAKY_PEEK_DB"], max_cost_usd=1.0)
    with pp.trace_session("agent") as ctx:
        spend(ctx, 0.5, None, 0.5, 0.02, 7.0)
    frame = pp.events(data=True)
    (at,) = frame.index[frame.event_type == "behavior_alert"]
    alert, crossing = frame.loc[at], frame.loc[at - 1]
    assert crossing.cost_usd == 0.02
    assert alert.parent_id == crossing.event_id
    assert alert.failed
    assert alert.data == {
        "alert_type": "cost_budget", "severity": "high", "related_event_ids": [crossing.event_id],
        "signal": "at least $1.02 of $1.00 spent, 1 call unpriced",
    }  # fmt: skip
    assert (frame.event_type == "behavior_alert").sum() == 1
    assert capsys.readouterr().err == "Peaky Peek: at least $1.02 of $1.00 spent, 1 call unpriced (agent)\n"
    assert pp.sessions().status.tolist() == ["completed"]


def test_the_budget_holds_for_a_run_with_its_sub_sessions_and_child_processes() -> None:
    pp.init(db=os.environ["PEAKY_PEEK_DB"], max_cost_usd=1.0)
    with pp.trace_session("root") as ctx:
        spend(ctx, 0.4)
        with pp.trace_session("sub", new_session=True) as sub:
            spend(sub, 0.4)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            pool.submit(spend_in_a_child, 0.4).result()
    with pp.trace_session("another") as other:
        spend(other, 0.9)
    assert alerts() == [("$1.20 of $1.00 spent", "in the child")]


def test_the_budget_holds_for_programs_that_the_run_starts() -> None:
    code = """
import peaky_peek as pp
with pp.trace_session("program") as ctx:
    try:
        ctx.record_llm_response("m", "a", cost_usd=0.6)
        ctx.record_llm_request("m", [])
    except pp.BudgetExceeded:
        print("stopped")
"""
    pp.init(db=os.environ["PEAKY_PEEK_DB"], max_cost_usd=1.0, on_limit="raise")
    with pp.trace_session("root") as ctx:
        assert [run(code).stdout for _ in range(2)] == ["", "stopped\n"]
        with pytest.raises(pp.BudgetExceeded, match=r"\$1\.20 of \$1\.00 spent"):
            ctx.record_llm_request("m", [])
    assert alerts()[0][0] == "$1.20 of $1.00 spent"
    assert set(pp.sessions().root_session_id) == {ctx.session_id}


def test_what_is_exactly_the_budget_does_not_cross_it() -> None:
    pp.init(db=os.environ["PEAKY_PEEK_DB"], max_cost_usd=1.0)
    with pp.trace_session("thrifty") as ctx:
        spend(ctx, *[0.1] * 10)
    assert alerts() == []


def test_two_processes_that_notice_at_once_make_one_alert(store: Database) -> None:
    code = """
import sys
import peaky_peek as pp
pp.init(max_cost_usd=1.0)
with pp.trace_session("shared", session_id="shared", resume=True) as ctx:
    pp.capture.watching.settle()  # from here on it is watched
    print("ready", flush=True)
    sys.stdin.readline()
    ctx.record_llm_response("m", "a", cost_usd=0.6)
    print("spent", flush=True)
    sys.stdin.readline()
"""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=ROOT,
        )
        for _ in range(3)
    ]  # fmt: skip
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "spent\n"
    said = [child.communicate("\n")[1] for child in children]
    assert said == ["Peaky Peek: $1.20 of $1.00 spent (shared)\n"] * 3
    store.ingest()
    sql = "SELECT count(*) FROM events WHERE event_type = 'behavior_alert'"
    assert store.connection().execute(sql).fetchone() == (1,)
    assert store.connection().execute("SELECT events FROM sessions").fetchone() == (1 + 3 * 3,)


def test_status_says_what_open_runs_cost() -> None:
    pp.init(db=os.environ["PEAKY_PEEK_DB"], max_cost_usd=2.0)
    assert (pp.status()["open_sessions"], pp.status()["cost_usd"], pp.status()["max_cost_usd"]) == ([], None, 2.0)
    with pp.trace_session("root") as ctx, pp.trace_session("sub", new_session=True) as sub:
        spend(ctx, 0.5)
        spend(sub, 0.33, None, None, None)
        root, inner = pp.status()["open_sessions"]
        assert pp.status()["cost_usd"] == pytest.approx(0.83)
    assert (root["name"], root["session_id"], root["events"]) == ("root", ctx.session_id, 3)
    assert root["cost"] == "at least $0.83, 3 calls unpriced"
    assert root["age"].total_seconds() >= 0
    assert (inner["name"], inner["cost"]) == ("sub", "at least $0.33, 3 calls unpriced")
    pp.init(db=os.environ["PEAKY_PEEK_DB"])
    assert pp.status()["max_cost_usd"] is None


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), "1", True])
def test_a_budget_that_is_none_is_refused_in_one_sentence(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"max_cost_usd is a number of US dollars above 0, or None, not .*\."):
        pp.init(max_cost_usd=wrong)


def test_a_limit_that_is_none_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match='on_limit is "warn" or "raise", not \'stop\''):
        pp.init(max_cost_usd=1, on_limit="stop")  # type: ignore[arg-type]


# The budget that stops the agent.


def stopping(limit: float) -> None:
    pp.init(db=os.environ["PEAKY_PEEK_DB"], max_cost_usd=limit, on_limit="raise")


def test_no_request_starts_after_the_budget_is_crossed() -> None:
    stopping(1.0)
    with (
        pytest.raises(pp.BudgetExceeded, match=r"^\$1.20 of \$1.00 spent: the run stops here\. .*"),
        pp.trace_session("agent") as ctx,
    ):
        spend(ctx, *[0.4] * 9)
    frame = pp.events()
    assert (frame.event_type == "llm_request").sum() == 3
    assert frame.event_type.tolist()[-3:] == ["behavior_alert", "error", "agent_end"]
    assert pp.sessions().status.tolist() == ["failed"]


def test_a_function_under_pp_llm_keeps_the_answer_that_is_paid_for_and_is_not_called_again() -> None:
    stopping(TWO_CALLS)
    usage = {"choices": [{"message": {"content": "Hi"}}], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}
    calls: list[str] = []

    @pp.llm(model="gpt-4o-mini")
    def complete(prompt: str) -> Any:
        calls.append(prompt)
        return usage

    with pp.trace_session("agent"):
        assert [complete("one"), complete("two")] == [usage, usage]
        with pytest.raises(pp.BudgetExceeded):
            complete("three")
    assert calls == ["one", "two"]


@pytest.mark.parametrize("streams", [False, True])
def test_a_client_is_stopped_before_it_sends_and_does_not_take_it_for_a_fault_of_the_network(
    server: Loopback, streams: bool
) -> None:
    stopping(TWO_CALLS)
    if streams:
        server._queue.clear()
        usage = {"prompt_tokens": 11, "completion_tokens": 7}
        server.answer(*(stream("Hel", "lo!", usage=usage) for _ in range(9)))

    @pp.trace
    def agent() -> None:
        with OpenAI(base_url=server.url, api_key="test", max_retries=2) as client:
            for _ in range(9):
                answer = client.chat.completions.create(**ASK, stream=streams)
                if streams:
                    list(answer)

    with pytest.raises(pp.BudgetExceeded):
        agent()
    assert len(server.requests) == 2
    assert pp.sessions().status.tolist() == ["failed"]
    assert pp.events(types="error").error_type.tolist() == ["peaky_peek.errors.BudgetExceeded"]


def test_an_async_client_is_stopped_too(server: Loopback) -> None:
    stopping(TWO_CALLS)

    async def agent() -> None:
        async with AsyncOpenAI(base_url=server.url, api_key="test") as client:
            with pp.trace_session("agent"):
                for _ in range(9):
                    await client.chat.completions.create(**ASK)

    with pytest.raises(pp.BudgetExceeded):
        asyncio.run(agent())
    assert len(server.requests) == 2


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_is_stopped_by_what_the_whole_run_spent(server: Loopback, method: str) -> None:
    stopping(TWO_CALLS)
    with pp.trace_session("agent"), OpenAI(base_url=server.url, api_key="test") as client:
        client.chat.completions.create(**ASK)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
            asked = pool.submit(ask_until_stopped, server.url).result()
        assert asked == 1
        with pytest.raises(pp.BudgetExceeded):
            client.chat.completions.create(**ASK)
    assert len(server.requests) == 2
    assert len(alerts()) == 1


def test_tools_and_threads_of_the_run_are_stopped_and_other_runs_are_not() -> None:
    stopping(1.0)
    with pp.trace_session("agent") as ctx:
        add(1, 2)
        with pytest.raises(pp.BudgetExceeded):
            spend(ctx, 2.0)
        with pytest.raises(pp.BudgetExceeded):
            add(1, 2)
        with ThreadPoolExecutor(1) as pool, pytest.raises(pp.BudgetExceeded):
            pool.submit(add, 1, 2).result()
    with pp.trace_session("another"):
        assert add(1, 2) == 3


def test_a_higher_budget_lets_an_open_run_go_on() -> None:
    stopping(1.0)
    with pp.trace_session("agent") as ctx:
        with pytest.raises(pp.BudgetExceeded):
            spend(ctx, 2.0)
        stopping(3.0)
        spend(ctx, 0.5)
        assert add(1, 2) == 3
        with pytest.raises(pp.BudgetExceeded):
            spend(ctx, 1.0)
    assert [signal for signal, _ in alerts()] == ["$2.00 of $1.00 spent", "$3.50 of $3.00 spent"]


def test_a_run_that_is_resumed_goes_on_from_what_it_cost_before() -> None:
    stopping(1.0)
    with pp.trace_session("chat", session_id="chat") as ctx:
        spend(ctx, 0.9)
    with pytest.raises(pp.BudgetExceeded), pp.trace_session("chat", session_id="chat", resume=True) as ctx:
        spend(ctx, 0.3)
    assert [signal for signal, _ in alerts()] == ["$1.20 of $1.00 spent"]


def test_what_is_not_recorded_has_no_budget() -> None:
    pp.init(db=os.environ["PEAKY_PEEK_DB"], sample=0.0, max_cost_usd=1.0, on_limit="raise")
    with pp.trace_session("left out") as ctx:
        spend(ctx, 5.0, 5.0)
    assert pp.sessions().empty
    pp.init(db=os.environ["PEAKY_PEEK_DB"])
