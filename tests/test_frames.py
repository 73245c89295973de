"""Frames: columns, dtypes and values; the column cache; calls with their results; the conversation."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import peaky_peek as pp
from peaky_peek import frames, store
from peaky_peek.errors import EventNotFound, QueryError, SessionNotFound
from peaky_peek.events import (
    AgentEnd,
    AgentStart,
    Decision,
    Error,
    Event,
    EventType,
    LLMRequest,
    LLMResponse,
    SafetyCheck,
    ToolCall,
    ToolResult,
)
from peaky_peek.store import Database, records
from tests.recordings import START, Run

FRAMES = {
    "sessions": frames.sessions,
    "events": frames.events,
    "llm_calls": frames.llm_calls,
    "tool_calls": frames.tool_calls,
    "decisions": frames.decisions,
    "messages": frames.messages,
}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    yield store.use(tmp_path / "peek.db")
    store.use(None)


def asking(*calls: tuple[str, str, object]) -> list[dict[str, object]]:
    return [{"id": call_id, "name": name, "arguments": arguments} for call_id, name, arguments in calls]


@pytest.fixture
def refund(db: Database) -> Run:
    """A support agent: two model calls, two tools of which one fails, a decision and a check."""
    run = Run("refund")
    agent = run.add(AgentStart, "support", agent="support", input={"order": 7})
    system, user = {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Refund order 7."}
    first = run.add(LLMRequest, "chat", agent, provider="openai", model="m", messages=[system, user])
    answer = run.add(
        LLMResponse, "chat", first, model="m-1", finish_reason="tool_calls",
        tool_calls=asking(("c1", "find", {"id": 7}), ("c2", "pay", {"usd": 9})),
        usage={"input": 30, "output": 5}, cost_usd=0.5, duration_ms=8.25, status="ok",
    )  # fmt: skip
    run.add(Decision, "choose", first, chosen_action={"tool": "find"}, confidence=None, metadata={"derived": True})
    find = run.add(ToolCall, "find", agent, tool_name="find", arguments={"id": 7}, call_id="c1")
    run.add(ToolResult, "find", find, tool_name="find", result={"paid": 9}, call_id="c1", duration_ms=2.5)
    pay = run.add(ToolCall, "pay", agent, tool_name="pay", arguments={"usd": 9})
    run.add(ToolResult, "pay", pay, tool_name="pay", error="declined")
    said = {"role": "assistant", "content": "", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"id": 7}'}},
        {"id": "c2", "type": "function", "function": {"name": "pay", "arguments": '{"usd": 9}'}},
    ]}  # fmt: skip
    told = {"role": "tool", "tool_call_id": "c2", "content": "declined", "event_id": "not ours"}
    new = records.history(first.id, 2, [said, told])
    second = run.add(LLMRequest, "chat", agent, model="m", messages=new)
    run.add(Error, "chat", second, error_type="RateLimitError", error_message="slow down")
    run.add(SafetyCheck, "limits", agent, policy_name="limits", outcome="fail")
    run.add(AgentEnd, "support", agent, output="sorry", status="error")
    assert answer.id == "refund-2"
    run.save(db, name="support", status="failed", ended_at=START + 12_000, tags=["x"], output={"text": "sorry"})
    return run


@pytest.mark.parametrize("name", FRAMES)
def test_empty_frames_have_the_columns_and_dtypes_of_full_ones(db: Database, name: str) -> None:
    schema = pp.SCHEMA[name]
    empty = FRAMES[name]()
    assert len(empty) == 0
    Run("full").save(db)
    assert {column: pd.Series(dtype=dtype).dtype for column, dtype in schema.items() if column in empty} == dict(
        empty.dtypes
    )
    assert set(schema) - set(empty) == ({"data"} if name == "events" else set())


def test_full_frames_have_the_dtypes_of_the_schema(refund: Run) -> None:
    for name, frame in FRAMES.items():
        full = frame()
        assert len(full) > 0
        assert {column: pd.Series(dtype=pp.SCHEMA[name][column]).dtype for column in full} == dict(full.dtypes), name
        assert list(full.index) == list(range(len(full)))


def test_the_events_frame_has_the_columns_of_the_contract(refund: Run) -> None:
    frame = pp.events("support")
    columns = (
        "event_id session_id seq parent_id event_type name agent timestamp duration status importance failed suspect"
        " model tool_name input_tokens output_tokens cost_usd error_type"
    )
    assert list(frame) == columns.split()
    assert frame["event_id"].tolist() == [f"refund-{n}" for n in range(12)]
    assert frame["seq"].tolist() == list(range(12))
    assert list(frame["event_type"].cat.categories) == list(EventType)
    assert list(frame["status"].cat.categories) == ["ok", "error", "cancelled"]
    assert frame[frame["failed"]]["name"].tolist() == ["pay", "chat", "limits"]
    answer = frame.iloc[2]
    assert answer["timestamp"] == pd.Timestamp(START + 2000, unit="us", tz="UTC")
    assert answer["duration"] == pd.Timedelta(8.25, "ms")
    assert (answer["input_tokens"], answer["output_tokens"], answer["cost_usd"]) == (30, 5, 0.5)
    assert (answer["model"], answer["status"], answer["parent_id"]) == ("m-1", "ok", "refund-1")
    unknown = frame.iloc[0]
    assert unknown[["parent_id", "duration", "status", "model", "input_tokens", "cost_usd", "suspect"]].isna().all()
    assert frame["input_tokens"].sum() == 30


def test_payloads_come_on_request_with_the_whole_conversation(refund: Run) -> None:
    frame = pp.events("support", data=True).set_index("event_id")
    assert frame["data"]["refund-0"] == {"input": {"order": 7}}
    assert frame["data"]["refund-3"] == {"chosen_action": {"tool": "find"}, "metadata": {"derived": True}}
    assert [m["role"] for m in frame["data"]["refund-8"]["messages"]] == ["system", "user", "assistant", "tool"]


def test_types_choose_events_and_keep_their_place(refund: Run) -> None:
    assert pp.events(types="tool_call")["seq"].tolist() == [4, 6]
    both = pp.events(types=["tool_call", "error"], data=True)
    assert both["seq"].tolist() == [4, 6, 9]
    assert both["data"].iloc[2] == {"error_type": "RateLimitError", "error_message": "slow down"}
    with pytest.raises(QueryError, match="the closest is 'tool_call'"):
        pp.events(types="toolcall")


def test_frames_of_several_sessions_follow_each_other(refund: Run, db: Database) -> None:
    other = Run("other")
    other.add(AgentStart, "b")
    other.save(db)
    frame = pp.events(pp.ALL)
    assert frame["session_id"].tolist() == ["refund"] * 12 + ["other"]
    assert frame["seq"].tolist() == [*range(12), 0]
    assert pp.events(["other", "support"])["session_id"].iloc[0] == "other"
    assert len(pp.events([])) == 0
    assert pp.tool_calls(pp.ALL)["session_id"].unique().tolist() == ["refund"]
    with pytest.raises(SessionNotFound):
        pp.events("suport")
    with pytest.raises(SessionNotFound):
        pp.events(pd.DataFrame({"session_id": ["refund", "of another store"]}))


def test_events_by_id_are_the_same_rows_in_the_order_asked(refund: Run, db: Database) -> None:
    whole = pp.events(data=True)
    some = frames.events_by_id(db, ["refund-9", "nowhere", "refund-2"])
    pd.testing.assert_frame_equal(some, whole.iloc[[9, 2]].reset_index(drop=True))
    pd.testing.assert_frame_equal(frames.events_by_id(db, []), whole.iloc[:0])


def test_the_sessions_frame_has_a_row_per_session_oldest_first(refund: Run, db: Database) -> None:
    Run("open", START).save(db, status="running", input=[float("inf")])
    frame = pp.sessions()
    assert frame["session_id"].tolist() == ["refund", "open"]
    row = frame.iloc[0]
    assert (row["name"], row["status"], row["duration"]) == ("support", "failed", pd.Timedelta(12, "ms"))
    assert (row["events"], row["llm_calls"], row["tool_calls"], row["errors"]) == (12, 2, 2, 3)
    assert (row["cost_usd"], row["agents"], row["tags"], row["output"]) == (0.5, ["support"], ["x"], {"text": "sorry"})
    assert frame["input"].iloc[1] == [float("inf")]
    assert frame.iloc[1][["ended_at", "duration", "cost_usd", "outcome", "score"]].isna().all()
    assert pp.sessions("status:running")["session_id"].tolist() == ["open"]
    assert len(pp.sessions("nothing like this")) == 0


def test_a_model_call_is_a_request_with_its_response_or_its_error(refund: Run) -> None:
    first, second = (row for _, row in pp.llm_calls().iterrows())
    assert (first["event_id"], first["response_id"], first["model"], first["provider"]) == (
        "refund-1",
        "refund-2",
        "m-1",
        "openai",
    )
    assert (first["status"], first["duration"], first["input_tokens"]) == ("ok", pd.Timedelta(8.25, "ms"), 30)
    assert [call["name"] for call in first["tool_calls"]] == ["find", "pay"]
    assert len(second["messages"]) == 4
    assert (second["status"], second["error_type"], second["error"]) == ("error", "RateLimitError", "slow down")
    assert second["failed"]
    assert pd.isna(second["response_id"])


def test_a_tool_call_is_a_call_with_its_result_and_the_model_call_that_asked(refund: Run) -> None:
    found, paid = (row for _, row in pp.tool_calls().iterrows())
    assert (found["tool_name"], found["arguments"], found["result"], found["status"]) == (
        "find",
        {"id": 7},
        {"paid": 9},
        "ok",
    )
    assert (found["duration"], found["llm_call_id"], found["result_id"]) == (
        pd.Timedelta(2.5, "ms"),
        "refund-1",
        "refund-5",
    )
    assert (paid["error"], paid["status"], paid["result"], bool(paid["failed"])) == ("declined", "error", None, True)
    assert paid["llm_call_id"] == "refund-1"  # it has no call id: the same tool with the same arguments
    assert paid["duration"] == pd.Timedelta(1, "ms")
    merged = pp.tool_calls().merge(pp.llm_calls(), left_on="llm_call_id", right_on="event_id")
    assert len(merged) == 2


def test_results_and_responses_without_a_call_are_rows_too(db: Database) -> None:
    run = Run("halves")
    run.add(ToolResult, "weather", tool_name="weather", result=12)
    run.add(LLMResponse, "chat", content="hi", tool_calls=asking(("c", "clock", {"b": 2, "a": 1})))
    run.add(ToolCall, "clock", tool_name="clock", arguments={"a": 1, "b": 2})
    run.add(ToolCall, "late", "halves-2", tool_name="late", call_id="x")
    run.add(ToolResult, "late", "elsewhere", tool_name="late", result=1, call_id="x")
    run.save(db)
    calls = pp.tool_calls()
    assert calls["event_id"].tolist() == ["halves-0", "halves-2", "halves-3"]
    assert calls["result_id"].tolist()[::2] == ["halves-0", "halves-4"]
    assert calls["llm_call_id"].tolist()[1] == "halves-1"
    assert calls["status"].isna().tolist() == [False, True, False]
    assert pp.llm_calls()["event_id"].tolist() == ["halves-1"]


def test_decisions_tell_derived_from_recorded(refund: Run) -> None:
    (row,) = pp.decisions().to_dict("records")
    assert (row["event_id"], row["derived"], row["chosen_action"]) == ("refund-3", True, {"tool": "find"})
    assert pd.isna(row["confidence"])


def test_each_message_of_the_conversation_is_there_once(refund: Run) -> None:
    frame = pp.messages()
    assert frame["role"].tolist() == ["system", "user", "assistant", "tool"]
    assert frame["event_id"].tolist() == ["refund-1", "refund-1", "refund-2", "refund-8"]
    assert frame["content"].iloc[1] == "Refund order 7."
    assert frame["tool_call_id"].iloc[3] == "c2"


def test_what_callers_recorded_wrongly_does_not_break_a_frame(db: Database) -> None:
    run = Run("odd")
    agent = run.add(AgentStart, "agent\ud800", agent="x")
    run.add(Decision, "d", agent, confidence="high", reasoning={"not": "text"}, alternatives=7)
    request = run.add(LLMRequest, "chat", agent, model=None, messages="just text")
    run.add(
        LLMResponse, "chat", request, usage={"input": "many", "output": 2**80}, cost_usd="free", tool_calls=[None, {}]
    )
    run.add(ToolCall, "t", agent, tool_name=3, arguments=float("nan"), duration_ms=1e300)
    run.add(ToolResult, "t", "odd-4", tool_name="t", status="weird", duration_ms=1e300)
    run.save(db)
    for frame in (*FRAMES.values(), lambda: frames.events(data=True)):
        assert len(frame()) > 0
    assert pp.decisions()["reasoning"].tolist() == ["{'not': 'text'}"]
    assert pp.llm_calls()[["input_tokens", "output_tokens", "cost_usd"]].isna().all(axis=None)
    assert pp.events()[["cost_usd", "duration"]].isna().all(axis=None)
    repr(pp.events(data=True))


def test_closed_sessions_are_read_from_packed_columns_that_follow_the_tables(refund: Run, db: Database) -> None:
    def stamps() -> list[tuple[str]]:
        return db.connection().execute("SELECT stamp FROM columns").fetchall()

    assert stamps() == []
    fresh = pp.events()
    (stamp,) = stamps()
    pd.testing.assert_frame_equal(pp.events(), fresh)
    fresh.loc[0, "name"] = fresh.loc[0, "cost_usd"] = None  # a frame is the user's, not the cache's
    assert pp.events()["name"][0] == "support"

    refund.add(Error, "late", id="late-1")
    refund.save(db, status="completed")
    assert pp.events()["event_id"].tolist()[-1] == "late-1"
    assert stamps() != [stamp]

    db.connection().execute("DELETE FROM columns")
    assert len(pp.events()) == 13


def test_an_open_session_is_always_read_from_the_tables(db: Database) -> None:
    run = Run("open")
    agent = run.add(AgentStart, "agent")
    run.save(db, status="running")
    assert len(pp.events()) == 1
    run.add(Error, "bad", agent, id="open-bad")
    run.save(db, status="running")
    assert len(pp.events()) == 2
    assert db.connection().execute("SELECT count(*) FROM columns").fetchone() == (0,)


def test_reading_neither_waits_for_a_foreign_lock_nor_needs_the_cache(refund: Run, db: Database) -> None:
    db.ingest()
    other = sqlite3.connect(db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert len(pp.events()) == 12
    other.execute("ROLLBACK")
    other.close()


def test_a_session_and_an_event_come_back_typed(refund: Run) -> None:
    session = pp.session("support")
    assert (session.session_id, session.errors, session.tags, session.output) == ("refund", 3, ["x"], {"text": "sorry"})
    assert str(session.duration) == "0:00:00.012000"
    event = pp.event("refund-8")
    assert isinstance(event, LLMRequest)
    assert [m["role"] for m in event.messages or []] == ["system", "user", "assistant", "tool"]
    assert isinstance(pp.event(event), Event)
    with pytest.raises(EventNotFound, match="No recorded event has the id 'nowhere'"):
        pp.event("nowhere")


def test_a_long_conversation_told_as_history_is_read_whole_and_without_recursion(db: Database) -> None:
    run = Run("long")
    before = run.add(LLMRequest, "chat", messages=[{"role": "user", "content": "0"}])
    for turn in range(1, 2000):
        new = [{"role": "user", "content": f"{turn}"}]
        before = run.add(LLMRequest, "chat", messages=records.history(before.id, turn, new))
    run.save(db)
    request = pp.event(before)
    assert isinstance(request, LLMRequest)
    assert [message["content"] for message in request.messages or []] == [f"{turn}" for turn in range(2000)]
    assert len(pp.messages()) == 2000
    assert pp.llm_calls()["messages"].map(len).tolist() == list(range(1, 2001))


def test_a_history_that_leads_nowhere_or_in_a_circle_is_read_as_far_as_it_goes(db: Database) -> None:
    run = Run("broken")
    run.add(LLMRequest, "chat", messages=records.history("nowhere", 3, ["a"]))
    run.add(LLMRequest, "chat", messages=records.history("broken-2", 1, ["b"]))
    run.add(LLMRequest, "chat", messages=records.history("broken-1", 1, ["c"]))
    run.save(db)
    assert [event["messages"][-1] for event in pp.events(data=True)["data"]] == ["a", "b", "c"]
    assert pp.event("broken-1")
