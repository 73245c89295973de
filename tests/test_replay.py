"""The replay in Python: its head, what it stops at, what was known there, and what travels to the page."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import peaky_peek as pp
from peaky_peek.errors import PeekError, QueryError
from peaky_peek.events import Checkpoint, LLMRequest, LLMResponse
from peaky_peek.widgets import _moment, _wire
from peaky_peek.widgets.replay import Replay
from tests.recordings import Run
from tests.refunds import Refund

if TYPE_CHECKING:
    from pathlib import Path

    from peaky_peek.store import Database


@pytest.fixture
def session(store: Database) -> str:
    return Refund("refund").save(store)


@pytest.fixture
def replay(session: str) -> Replay:
    return pp.replay(session)


def said(replay: Replay, **request: Any) -> dict[str, Any]:
    """What the replay answers to a request of a page."""
    [(message, _)] = replay._answer(request)
    return message["facts"]  # type: ignore[no-any-return]


def column(message: _wire.Message, name: str) -> list[Any]:
    content, buffers = message
    for (known, dtype), buffer in zip(content["columns"], buffers, strict=False):
        if known == name:
            return np.frombuffer(buffer, f"<{dtype}").tolist()
    raise KeyError(name)


def test_the_commands_of_a_debugger_move_the_head_and_return_the_event(replay: Replay) -> None:
    assert replay.position is None
    assert replay.step().event_type == "agent_start"
    assert replay.position == 0
    assert replay.into().event_type == "prompt_policy"
    assert replay.step().event_type == "llm_request"
    assert replay.over().event_type == "llm_response"
    assert replay.back().event_type == "llm_request"
    assert replay.out().event_type == "agent_end"
    assert replay.step() is None
    assert replay.position == len(pp.events("refund")) - 1
    assert replay.event.event_type == "agent_end"


def test_next_and_previous_go_to_what_matters_and_to_any_condition(replay: Replay) -> None:
    assert replay.next("failure").name == "find_customer"
    assert replay.next("checkpoint").name == "before refund"
    assert replay.next(lambda event: getattr(event, "chosen_action", "") == "issue_voucher").event_type == "decision"
    assert replay.previous("tool:get_order").event_type == "tool_call"
    assert replay.previous('changed("state.refunded")') is None
    assert replay.next('changed("state.refunded")').name == "before refund"
    assert replay.next("breakpoint") is None
    with pytest.raises(QueryError):
        replay.next("cost:>much")


def test_the_state_is_what_was_known_at_the_position_and_at_the_end_before_anybody_moved_it(replay: Replay) -> None:
    assert replay.state.position == len(pp.events("refund")) - 1
    replay.position = pp.events("refund").query("name == 'after refund'")["event_id"].item()
    assert replay.state.state == {"order": "A-1042", "refunded": 84.5}
    assert [change.path for change in replay.state.changes] == ["state.refunded"]
    assert [step.name for step in replay.state.stack] == ["refund_agent", "cashier"]


def test_breakpoints_are_queries_functions_changes_and_events(replay: Replay) -> None:
    failed = pp.failures("refund")["event_id"].iloc[0]
    replay.breakpoints = ["tool:issue_voucher", 'changed("state.refunded")', lambda event: 1 / 0, failed]
    assert [str(one) for one in replay.breakpoints] == [
        "tool:issue_voucher", 'changed("state.refunded")', "<lambda>", failed,
    ]  # fmt: skip
    stops, _ = replay._stops()
    assert [one["hits"] for one in stops["facts"]["list"]] == [1, 2, 0, 1]
    assert "ZeroDivisionError at 30 of 30 events" in stops["facts"]["list"][2]["problem"]
    assert replay.next().id == failed
    assert replay.next().name == "before refund"
    with pytest.raises(QueryError):
        replay.breakpoints = ["tool:x", "cost:>much"]
    assert len(replay.breakpoints) == 4
    replay.breakpoints = "failed"
    assert [str(one) for one in replay.breakpoints] == ["failed"]


def test_a_page_adds_removes_and_toggles_breakpoints(replay: Replay) -> None:
    replay._answer({"type": "break", "add": "failed"})
    replay._answer({"type": "break", "at": 3})
    assert [str(one) for one in replay.breakpoints] == ["failed", "refund-3"]
    replay._answer({"type": "break", "at": 3})
    replay._answer({"type": "break", "remove": 0})
    assert replay.breakpoints == ()
    with pytest.raises(QueryError):
        replay._answer({"type": "break", "add": "cost:>much"})


def test_a_mode_says_what_is_stepped_over(replay: Replay) -> None:
    replay.mode = "failure"
    assert replay.step().name == "refund_agent"
    assert column(replay._stretches(), "start")[0] > 0
    replay.mode, replay.focus = "focus", "cashier"
    replay.position = None
    assert replay.step().name == "cashier"
    replay.focus = pp.events("refund", types="tool_call")["event_id"].iloc[0]
    replay.position = None
    assert [replay.step().event_type for _ in range(2)] == ["tool_call", "tool_result"]
    assert replay.step() is None
    assert said(replay, type="mode", mode="highlights")["mode"] == "highlights"
    assert replay.mode == "highlights"


def test_dull_stretches_are_folded_in_full_and_stepped_through(store: Database) -> None:
    run = Run("dull")
    for number in range(30):
        request = run.add(LLMRequest, "gpt", importance=0.2)
        run.add(LLMResponse, "gpt", request, content=str(number), importance=0.2)
    run.add(Checkpoint, "saved", state={})
    replay = pp.replay(run.save(store))
    assert column(replay._stretches(), "start") == [2]
    assert column(replay._stretches(), "stop") == [60]
    replay.position = 4
    replay.step()
    assert replay.position == 5


def test_the_events_travel_in_six_bytes_each_and_say_what_opens_and_closes_what(replay: Replay) -> None:
    message = replay._extras()[0]
    ends = np.cumsum(column(message, "ends"))
    rows, closes = ends >> 1, ends & 1
    ids = replay._recording.event_order
    steps = replay._recording.steps
    for at, event_id in enumerate(ids):
        assert steps.iloc[rows[at]]["close_id" if closes[at] else "event_id"] == event_id
    assert sum(map(len, message[1])) < 8 * len(ids)
    assert column(message, "time")[0] == 0
    assert np.all(np.diff(column(message, "time")) >= 0)


def test_what_is_sent_of_a_moment_marks_new_messages_and_says_at_least(store: Database) -> None:
    run = Run("chat")
    messages: list[dict[str, Any]] = [{"role": "user", "content": "long " * 400}]
    for number in range(50):
        request = run.add(LLMRequest, "gpt", messages=list(messages))
        cost = {"cost_usd": 0.01} if number else {}
        run.add(LLMResponse, "gpt", request, content=f"answer {number}", usage={"input": 5, "output": 2}, **cost)
        messages += [{"role": "assistant", "content": f"answer {number}"}, {"role": "user", "content": f"q {number}"}]
    replay = pp.replay(run.save(store))
    facts = said(replay, type="moment", position=99, messages=30)
    assert [message["text"] for message in facts["messages"] if message.get("new")] == ["answer 49"]
    assert facts["earlier"] == 70
    assert len(facts["messages"]) == 30
    assert dict(facts["numbers"])["Cost"] == "at least $0.4900"
    first = said(replay, type="moment", position=0, messages=30)["messages"][0]
    assert first["length"] == 2_000
    whole = said(replay, type="part", position=0, path=first["path"])["text"]
    assert whole == "long " * 400
    with pytest.raises(PeekError, match="nothing more"):
        said(replay, type="part", position=0, path=["saved", "state"])


def test_what_was_never_said_or_saved_is_nothing(store: Database) -> None:
    run = Run("bare")
    run.add(Checkpoint, "here", None, state=None)
    replay = pp.replay(run.save(store))
    facts = said(replay, type="moment", position=0, messages=30)
    assert facts["messages"] == []
    assert facts["stack"] == []
    assert facts["numbers"] == []
    assert facts["checkpoint"]["changes"] == []


def test_an_empty_store_has_nowhere_to_go(store: Database) -> None:
    replay = pp.replay()
    assert replay.state is None
    assert replay.event is None
    assert replay.step() is None
    assert replay.next("failure") is None
    assert repr(replay) == "Replay(nothing recorded yet)"
    assert "Nothing recorded" in replay.page()


def test_playing_and_its_pace_are_told_to_the_page(replay: Replay) -> None:
    replay.play(4)
    assert replay.get_state(["_playing", "speed"]) == {"_playing": True, "speed": 4.0}
    replay.pause()
    assert replay.get_state("_playing") == {"_playing": False}


def test_another_session_keeps_what_it_stops_at_where_that_means_something(replay: Replay, store: Database) -> None:
    other = Refund("other", succeeds=True).save(store)
    replay.breakpoints = ["tool:refund", "refund-3"]
    replay.session = other
    assert replay.next().tool_name == "refund"
    assert replay.next() is None
    stops, _ = replay._stops()
    assert [one["hits"] for one in stops["facts"]["list"]] == [1, 0]


def test_an_exported_page_answers_for_the_moments_that_one_would_stop_at(replay: Replay, tmp_path: Path) -> None:
    page = replay.to_html(tmp_path / "replay.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    asked = [json.loads(key) for key in data["prepared"]]
    moments = {request["position"] for request in asked if request["type"] == "moment"}
    assert moments == set(range(30))
    assert {request["mode"] for request in asked if request["type"] == "mode"} == {"full", "failure", "highlights"}
    assert replay.mode == "full"
    key = json.dumps({"type": "moment", "position": 6, "messages": _moment.MESSAGES}, separators=(",", ":"))
    assert data["prepared"][key][0]["facts"]["position"] == 6
