"""Rules that watch a run: what is a loop and what only looks like one, tools that keep failing, calls that are slow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek.analysis.failing import Failing
from peaky_peek.analysis.loops import Loops
from peaky_peek.analysis.slow import Slow
from peaky_peek.events import LLMResponse, ToolResult
from tests import circles
from tests.circles import CIRCLES, LOOK_ALIKES, Run


def _name(kind: Callable[..., Any]) -> str:
    return kind.__name__.strip("_")


@pytest.mark.parametrize("kind", CIRCLES, ids=_name)
def test_a_circle_is_found_whatever_the_run_did_before(kind: Callable[[Run, int], None]) -> None:
    for seed in range(12):
        run, before = circles.planted(kind, seed)
        alert = run.alerts[0]
        assert alert.alert_type == "loop"
        assert alert.signal is not None
        assert alert.signal.startswith("loop x")
        assert all(int(event_id[1:]) > before for event_id in alert.related_event_ids), (
            "it shows the circle, not the work"
        )


@pytest.mark.parametrize("kind", LOOK_ALIKES, ids=_name)
def test_what_makes_progress_is_no_circle(kind: Callable[[Run], None]) -> None:
    for seed in range(12):
        assert circles.clean(kind, seed).alerts == []


def test_a_circle_is_told_at_the_third_round_once_and_counted_on() -> None:
    run, rule, signals = Run(0), Loops(), []
    for _ in range(9):
        run.tool("search", {"q": "flights"}, [])
    told = [[alert.signal for alert in rule.feed(event)] for event in run.events]
    signals = [(at, signal) for at, found in enumerate(told) for signal in found]
    assert signals == [(5, "loop x3: search with the same result")]
    assert rule.now is not None
    assert (rule.now.repeats, rule.now.names) == (9, ("search",))
    run.tool("search", {"q": "trains"}, [1])
    assert [alert for event in run.events[-2:] for alert in rule.feed(event)] == []
    assert rule.now is None


def test_two_sessions_of_a_run_do_not_break_each_others_circles() -> None:
    one, other, rule = Run(0), Run(1, "other"), Loops()
    other.work(3)
    for _ in range(3):
        one.tool("search", {"q": "flights"}, [])
    pairs = zip(one.events, other.events, strict=False)
    assert [alert.alert_type for pair in pairs for event in pair for alert in rule.feed(event)] == ["loop"]


@given(st.integers(1, 16), st.integers(0, 30), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_circles_of_every_length_are_found_within_the_third_round(period: int, before: int, lot: Any) -> None:
    run = Run(lot.randrange(10**9))
    run.work(before)
    start = len(run.events)
    for _ in range(3):
        for step in range(period):
            run.tool("step", {"number": step}, {"said": f"{step} of {start}"})
    rule = Loops()
    found = [at for at, event in enumerate(run.events) for _ in rule.feed(event)]
    assert len(found) == 1
    assert start + 2 * 2 * period <= found[0] < len(run.events)


def test_a_tool_that_fails_three_times_in_a_row_is_told_once() -> None:
    rule, run = Failing(), Run(0)
    for error in ("a", "b", None, "c", "d", "e", "f"):
        run.tool("book", {"n": error}, error=error)
    results = [event for event in run.events if isinstance(event, ToolResult)]
    told = [[alert.signal for alert in rule.feed(event)] for event in results]
    assert told == [[], [], [], [], [], ["book failed 3 times in a row"], []]


def test_a_call_is_slow_against_others_of_its_name_only() -> None:
    rule = Slow()
    answers = [
        LLMResponse(id=f"{n}", session_id="s", position=n, name=name, duration_ms=took)
        for n, (name, took) in enumerate([*[("m", 800.0 + n) for n in range(20)], ("other", 60_000.0), ("m", 60_000.0)])
    ]
    assert [alert.signal for answer in answers for alert in rule.feed(answer)] == ["m took 60.0 s, usually 0.8 s"]


# What a user sees of it.


@pp.tool
def search(query: str) -> list[str]:
    return []


def test_alerts_are_found_in_a_run_that_nobody_watched() -> None:
    with pp.trace_session("unwatched"):
        for _ in range(4):
            search("flights")
    frame = pp.alerts()
    assert frame.alert_type.tolist() == ["loop"]
    assert frame.recorded.tolist() == [False]
    assert frame.parent_id.iloc[0] == pp.events(types="tool_result").event_id.iloc[2]
    assert pp.events(types="behavior_alert").empty, "looking changes nothing"


def test_alerts_of_a_run_that_was_watched_are_events_of_it_and_come_once() -> None:
    pp.on_event(types="error")(lambda event: None)
    with pp.trace_session("watched"):
        for _ in range(4):
            search("flights")
    pp.events()
    frame = pp.alerts()
    assert frame.signal.tolist() == ["loop x3: search with the same result"]
    assert frame.recorded.tolist() == [True]
    assert frame.event_id.tolist() == pp.events(types="behavior_alert").event_id.tolist()
    assert pp.session().status == "completed"
    assert not pp.events().failed.any(), "a loop is a question, not a failure"
    pp.uninstall()


def test_the_frame_of_alerts_keeps_its_columns_when_it_is_empty() -> None:
    with pp.trace_session("quiet"):
        search("flights")
    empty = pp.alerts()
    assert empty.empty
    assert list(empty.columns) == list(pp.SCHEMA["alerts"])


def test_the_demo_agent_that_loops_on_the_wrong_tool_is_found() -> None:
    words = ["deploy", "deployment", "release"]
    with pp.trace_session("find the slow deploy") as ctx:
        for turn in range(7):
            ctx.record_tool_call("search_logs", {"service": "checkout", "query": words[turn % 3]})
            ctx.record_tool_result("search_logs", {"hits": 0, "note": "deploys are in list_deploys"})
    assert pp.alerts().signal.tolist() == ["loop x3: search_logs with the same results"]
