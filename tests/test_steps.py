"""Steps: pairs, parents and pre-order, on good data, on broken data and on a lot of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from peaky_peek import frames, store
from peaky_peek.errors import QueryError
from peaky_peek.events import (
    AgentEnd,
    AgentStart,
    Checkpoint,
    Decision,
    Error,
    LLMRequest,
    LLMResponse,
    ToolCall,
    ToolResult,
)
from peaky_peek.steps import matching, steps
from peaky_peek.store import Database
from tests.recordings import START, Run


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    yield store.use(tmp_path / "peek.db")
    store.use(None)


def outline(frame: pd.DataFrame) -> list[str]:
    """The names, indented by depth; parents are checked against it."""
    depths = frame["depth"]
    for row, parent in enumerate(frame["parent"]):
        assert parent < row
        assert depths[row] == (depths[parent] + 1 if parent >= 0 else 0)
    return ["  " * depth + name for depth, name in zip(depths, frame["name"], strict=True)]


def test_an_opener_and_its_closer_are_one_step_with_the_facts_of_both(db: Database) -> None:
    run = Run("pairs")
    agent = run.add(AgentStart, "agent", agent="planner", input={"q": 1})
    asked = run.add(LLMRequest, "chat", agent, model="m", importance=0.3)
    answer = run.add(
        LLMResponse, "chat", asked, model="m", content="hi", usage={"input": 3, "output": 5}, cost_usd=0.25,
        duration_ms=12.5, importance=0.9, status="ok",
    )  # fmt: skip
    run.add(Decision, "choose", asked, metadata={"derived": True})
    call = run.add(ToolCall, "search", agent, tool_name="search")
    result = run.add(ToolResult, "search", call, tool_name="search", error="no", status="error")
    empty = run.add(ToolCall, "lookup", agent, tool_name="lookup")
    run.add(ToolResult, "lookup", empty, tool_name="lookup", result=[], time_us=None)
    run.add(Checkpoint, "saved", agent, duration_ms=2.0)
    run.add(AgentEnd, "agent", agent, status="ok")
    frame = steps(db, run.save(db))

    assert outline(frame) == ["agent", "  chat", "    choose", "  search", "  lookup", "  saved"]
    root, chat, choose, search, lookup, saved = (row for _, row in frame.iterrows())
    assert (chat["event_id"], chat["close_id"]) == (asked.id, answer.id)
    assert (chat["duration_ms"], chat["cost_usd"], chat["importance"]) == (12.5, 0.25, 0.9)
    assert (chat["input_tokens"], chat["output_tokens"], chat["status"]) == (3, 5, "ok")
    assert chat["timestamp"] == pd.Timestamp(START + 1000, unit="us", tz="UTC")
    assert (search["close_id"], search["duration_ms"], search["status"]) == (result.id, 1.0, "error")
    assert list(frame["failed"]) == [False, False, False, True, False, False]
    assert list(frame["derived"]) == [False, False, True, False, False, False]
    assert list(frame["family"]) == ["session", "llm", "decision", "risk", "tool", "checkpoint"]
    assert lookup["suspect"] == "empty result"
    assert pd.isna(lookup["duration_ms"])
    assert (saved["duration_ms"], root["duration_ms"], root["agent"]) == (2.0, 9.0, "planner")
    assert pd.isna(choose["close_id"])
    assert not frame["running"].any()


def test_only_the_first_closer_of_the_right_type_closes(db: Database) -> None:
    run = Run("twice")
    call = run.add(ToolCall, "search", None)
    run.add(LLMResponse, "stray", call)
    run.add(ToolResult, "first", call, result=1)
    run.add(ToolResult, "second", call, result=2)
    frame = steps(db, run.save(db))
    assert outline(frame) == ["search", "  stray", "  second"]
    assert frame["close_id"][0] == "twice-2"


def test_what_is_told_of_at_once_took_nobody_knows_how_long(db: Database) -> None:
    run = Run("hosted")
    call = run.add(ToolCall, "web_search", time_us=START)
    run.add(ToolResult, "web_search", call, time_us=START, result=["found"])
    assert steps(db, run.save(db))["duration_ms"].isna().tolist() == [True]
    assert frames.tool_calls("hosted")["duration"].isna().tolist() == [True]


def test_what_is_open_runs_as_long_as_its_session_does(db: Database) -> None:
    run = Run("open")
    agent = run.add(AgentStart, "agent")
    call = run.add(ToolCall, "search", agent)
    run.save(db, status="running")
    assert list(steps(db, "open")["running"]) == [True, True]
    run.add(ToolResult, "search", call, id="open-result")
    run.save(db, status="running")
    assert list(steps(db, "open")["running"]) == [True, False]
    run.save(db, status="interrupted")
    assert not steps(db, "open")["running"].any()


def test_an_event_with_a_lost_parent_hangs_under_the_root_and_several_roots_stay_roots(db: Database) -> None:
    run = Run("lost")
    agent = run.add(AgentStart, "agent")
    run.add(Error, "orphan", "nowhere")
    run.add(AgentEnd, "agent", agent)
    assert outline(steps(db, run.save(db))) == ["agent", "  orphan"]

    run = Run("roots")
    run.add(Checkpoint, "one")
    run.add(Checkpoint, "two")
    run.add(Error, "orphan", "nowhere")
    assert outline(steps(db, run.save(db))) == ["one", "two", "orphan"]

    run = Run("headless")
    agent = run.add(AgentStart, "agent", "in another store")
    run.add(Checkpoint, "child", agent)
    run.add(Checkpoint, "orphan", "nowhere")
    assert outline(steps(db, run.save(db))) == ["agent", "  child", "  orphan"]


def test_nested_sessions_are_sub_trees_where_they_were_opened(db: Database) -> None:
    outer = Run("outer")
    agent = outer.add(AgentStart, "agent")
    call = outer.add(ToolCall, "delegate", agent)
    inner = Run("inner")
    helper = inner.add(AgentStart, "helper", call)
    inner.add(Checkpoint, "inside", helper)
    innermost = Run("innermost")
    innermost.add(Checkpoint, "deep", helper)
    unplaced = Run("unplaced")
    unplaced.add(AgentStart, "beside")
    outer.add(ToolResult, "delegate", call)
    outer.add(Checkpoint, "after", agent)
    outer.save(db)
    inner.save(db, parent_session_id="outer", status="running")
    innermost.save(db, parent_session_id="inner")
    unplaced.save(db, parent_session_id="outer")

    frame = steps(db, "outer")
    assert outline(frame) == ["agent", "  delegate", "    helper", "      inside", "      deep", "  beside", "  after"]
    assert frame["running"].tolist() == [False, False, True, False, False, False, False]
    assert outline(steps(db, "inner")) == ["helper", "  inside", "  deep"]


def test_parents_in_a_circle_still_give_every_event_once(db: Database) -> None:
    run = Run("circle")
    run.add(AgentStart, "root")
    run.add(Checkpoint, "a", "circle-2")
    run.add(Checkpoint, "b", "circle-1")
    run.add(Checkpoint, "below", "circle-2")
    run.add(Checkpoint, "itself", "circle-4")
    run.add(ToolCall, "call", "circle-6")
    run.add(ToolResult, "result", "circle-5")
    run.save(db, parent_session_id="circle")
    frame = steps(db, "circle")
    outline(frame)
    assert sorted(frame["name"]) == ["a", "b", "below", "call", "itself", "root"]


def test_a_session_without_events_or_none_at_all_gives_an_empty_frame_of_the_same_kind(db: Database) -> None:
    run = Run("some")
    run.add(AgentStart, "agent")
    run.save(db)
    Run("none").save(db)
    for missing in ("none", "nowhere"):
        pd.testing.assert_series_equal(steps(db, missing).dtypes, steps(db, "some").dtypes)
        assert len(steps(db, missing)) == 0


def test_a_step_matches_a_query_when_its_two_events_together_do(db: Database) -> None:
    run = Run("query")
    agent = run.add(AgentStart, "agent")
    for city, error in (("Oslo", None), ("Rome", "no such city")):
        call = run.add(ToolCall, "search", agent, tool_name="search", arguments={"city": city})
        run.add(ToolResult, "search", call, tool_name="search", error=error, result=None if error else "sunny")
    frame = steps(db, run.save(db))
    assert matching(db, frame, "rome failed").tolist() == [False, False, True]
    assert matching(db, frame, "tool:search -failed").tolist() == [False, True, False]
    assert matching(db, frame, "-sunny").tolist() == [True, False, True]
    assert matching(db, frame.iloc[1:], "name:query").tolist() == [False, False]
    assert matching(db, frame, "").all()
    with pytest.raises(QueryError):
        matching(db, frame, "tol:search")


def test_a_chain_of_twenty_thousand_events_is_a_tree_as_deep(db: Database) -> None:
    run = Run("chain")
    parent = None
    for number in range(20_000):
        parent = run.add(Checkpoint, f"{number}", parent)
    frame = steps(db, run.save(db))
    assert frame["depth"].tolist() == list(range(20_000))
    assert frame["parent"].tolist() == list(range(-1, 19_999))
