"""Checkpoints as a frame: where a run can be taken up again, what was lost, and what a restart there would save."""

from __future__ import annotations

import threading

import pandas as pd
import pytest

import peaky_peek as pp
from peaky_peek.analysis.conversations import conversations
from peaky_peek.encoding import encode
from peaky_peek.events import AgentStart, Checkpoint, ToolCall, ToolResult
from peaky_peek.store import Database, reader
from tests.recordings import Run
from tests.refunds import Refund


def test_recorded_checkpoints_and_the_conversation_before_each_model_call(store: Database) -> None:
    Refund("refund").save(store)
    frame = pp.checkpoints("refund")
    assert frame[~frame["implicit"]]["label"].tolist() == ["before refund", "after refund"]
    assert frame[frame["implicit"]]["messages"].tolist() == [2, 4, 7, 8, 10]
    assert frame["position"].is_monotonic_increasing
    assert frame["restorable"].all()
    assert frame["cost_before_usd"].isna().tolist() == [True] + [False] * 6


def test_the_size_is_that_of_all_that_was_sent_however_it_is_stored(store: Database) -> None:
    history = []
    with pp.trace_session("chat") as ctx:
        for turn in range(5):
            history.append({"role": "user", "content": f"question {turn} " * 20})
            ctx.record_llm_request("m", messages=history)
            answer = ctx.record_llm_response("m", content=f"answer {turn} " * 20)
            history.append({"role": "assistant", "content": answer.content})
        ctx.record_llm_request("m", messages=[history[0], {"role": "user", "content": "another way"}])
    store.ingest()
    sent = conversations(store, pp.session("chat").session_id)
    whole = {one.id: one.messages for one in reader.read_events(store, pp.session("chat").session_id, ["llm_request"])}
    assert [one.messages for one in sent.values()] == [1, 3, 5, 7, 9, 2]
    assert {key: sum(len(encode(each)) for each in messages) for key, messages in whole.items()} == {
        key: one.bytes for key, one in sent.items()
    }


def test_what_cannot_be_restored_is_named(store: Database) -> None:
    key = "sk-proj-" + "a1B2c3D4e5F6g7H8" * 3
    with pp.trace_session("lossy") as ctx:
        ctx.checkpoint({"lock": threading.Lock(), "n": [1]}, label="held", memory={"key": key})
        ctx.record_llm_request("m", messages=[{"role": "user", "content": object()}])
        ctx.checkpoint({"n": 1}, label="fine")
    frame = pp.checkpoints("lossy")
    assert frame["restorable"].tolist() == [False, False, True]
    lock, secret = frame["lost"][0]
    assert lock == "state.lock (_thread.lock: only its repr was recorded)"
    assert secret.startswith("memory.key (redacted: ")
    assert frame["lost"][1] == ["messages[0].content (object: only its repr was recorded)"]


def test_a_restart_saves_most_right_before_what_went_wrong(store: Database) -> None:
    run = Run("batch")
    agent = run.add(AgentStart, "agent")
    for number in range(3):
        call = run.add(ToolCall, "read_file", agent, tool_name="read_file", arguments={"n": number})
        run.add(ToolResult, "read_file", call, tool_name="read_file", result="text")
        run.add(Checkpoint, f"file {number}", agent, label=f"file {number}", state={"done": number})
    call = run.add(ToolCall, "parse", agent, tool_name="parse", arguments={"n": number})
    run.add(ToolResult, "parse", call, tool_name="parse", error="not a table")
    run.add(Checkpoint, "too late", agent, label="too late", state={})
    run.save(store, status="failed", outcome="fail")
    frame = pp.checkpoints("batch").set_index("label")
    assert frame["rank"].dropna().to_dict() == {"file 2": 1, "file 1": 2, "file 0": 3}
    assert 0 < frame["saves"]["file 0"] < frame["saves"]["file 1"] < frame["saves"]["file 2"] <= 8 / 12
    assert frame["saves"]["too late"] == 0


def test_where_nothing_went_wrong_nothing_is_saved_and_nobody_guesses(store: Database) -> None:
    with pp.trace_session("fine") as ctx:
        ctx.checkpoint({"n": 1}, label="one")
    frame = pp.checkpoints("fine")
    assert frame["saves"].isna().all()
    assert frame["rank"].isna().all()


def test_a_checkpoint_before_an_action_that_cannot_be_undone_is_worth_less(store: Database) -> None:
    run = Run("mail")
    agent = run.add(AgentStart, "agent")
    look = run.add(ToolCall, "look_up", agent, tool_name="look_up")
    run.add(ToolResult, "look_up", look, tool_name="look_up", result="sam")
    run.add(Checkpoint, "early", agent, label="early", state={})
    call = run.add(ToolCall, "send_mail", agent, tool_name="send_mail", arguments={"to": "sam@home.example"})
    run.add(ToolResult, "send_mail", call, tool_name="send_mail", result="sent")
    run.add(Checkpoint, "late", agent, label="late", state={})
    broken = run.add(ToolCall, "look_up", agent, tool_name="look_up")
    run.add(ToolResult, "look_up", broken, tool_name="look_up", error="gone")
    run.save(store, status="failed", outcome="fail")
    frame = pp.checkpoints("mail").set_index("label")
    assert frame["irreversible"].to_dict() == {"early": [call.id], "late": []}
    assert frame["rank"].to_dict() == {"early": 2, "late": 1}


def test_a_session_without_checkpoints_has_columns_and_dtypes(store: Database) -> None:
    with pp.trace_session("bare"):
        pass
    frame = pp.checkpoints("bare")
    assert (len(frame), list(frame)) == (0, list(pp.SCHEMA["checkpoints"]))
    assert frame.dtypes.map(str).to_dict() == {
        name: str(pd.api.types.pandas_dtype(dtype)) for name, dtype in pp.SCHEMA["checkpoints"].items()
    }
    with pytest.raises(pp.PeekError):
        pp.checkpoints("nobody")
