"""Highlights: what a replay marks, what it passes over, and what each of its modes stops at."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peaky_peek import steps, store
from peaky_peek.analysis.highlights import MODES, markers, segments, shown, standing_out
from peaky_peek.analysis.moments import Moments
from peaky_peek.errors import EventNotFound
from peaky_peek.events import AgentEnd, AgentStart, Decision, ToolCall, ToolResult
from peaky_peek.store import Database
from tests.recordings import Run
from tests.refunds import Refund

NUMBERS = itertools.count()


def moments_of(session_id: str) -> Moments:
    return Moments(store.current(), steps.steps(store.current(), session_id))


def long_run(db: Database) -> Moments:
    """Twenty files are read, one of the reads fails, and twenty more are read."""
    run = Run("reading")
    agent = run.add(AgentStart, "reader")
    for number in range(41):
        call = run.add(ToolCall, "read_file", agent, tool_name="read_file", arguments={"n": number}, importance=0.4)
        broken = {"error": "no such file", "importance": 0.9} if number == 20 else {"result": "text"}
        run.add(ToolResult, "read_file", call, tool_name="read_file", **broken)
        run.add(Decision, "read_file", agent, importance=0.7, metadata={"derived": True})
    run.add(AgentEnd, "reader", agent)
    return moments_of(run.save(db))


def test_long_dull_stretches_are_told_in_a_few_words(store: Database) -> None:
    frame = segments(long_run(store))
    assert frame["dull"].tolist() == [False, True, False, True, False]
    assert frame["summary"].tolist()[1::2] == ["20 x read_file", "20 x read_file"]
    assert frame["events"].tolist() == [1, 60, 2, 61, 1]
    assert frame["start"].tolist() == [0, 1, 61, 63, 124]


def test_a_run_in_which_nothing_stands_out_is_shown_whole(store: Database) -> None:
    run = Run("calm")
    agent = run.add(AgentStart, "reader")
    for _ in range(20):
        run.add(ToolCall, "read_file", agent, tool_name="read_file", importance=0.4)
    run.add(AgentEnd, "reader", agent)
    frame = segments(moments_of(run.save(store)))
    assert (frame["dull"].tolist(), frame["events"].tolist()) == ([False], [22])


def test_the_failure_is_the_first_marker_and_stands_out_with_its_call(store: Database) -> None:
    moments = long_run(store)
    first = markers(moments).iloc[0]
    assert (first["mark"], first["name"], first["position"]) == ("failure", "read_file", 62)
    assert np.flatnonzero(standing_out(moments)).tolist() == [0, 61, 62, 124]


def test_markers_tell_what_each_is_and_are_no_more_than_asked_for(store: Database) -> None:
    moments = moments_of(Refund("refund").save(store))
    moments.stepper.positions["breakpoint"] = np.array([1])
    frame = markers(moments)
    assert set(frame["mark"]) == {"failure", "suspect", "breakpoint", "checkpoint", "decision"}
    assert (frame["mark"] == "failure").iloc[: moments.columns.numbers["failed"].sum()].all()
    assert len(markers(moments, 3)) == 3


def test_focus_shows_one_agent_or_one_step_with_what_is_inside(store: Database) -> None:
    moments = moments_of(Refund("refund").save(store))
    cashier = shown(moments, "focus", agent="cashier")
    assert {moments.at(at).event.agent for at in np.flatnonzero(cashier)} == {"cashier"}
    start = int(np.flatnonzero(cashier)[0])
    inside = shown(moments, "focus", event_id=moments.order[start])
    assert inside.tolist() == cashier.tolist()
    assert shown(moments, "focus").all()
    with pytest.raises(EventNotFound, match="has no event"):
        shown(moments, "focus", event_id="elsewhere")


def test_failure_shows_the_failures_and_what_led_to_them(store: Database) -> None:
    moments = moments_of(Refund("refund").save(store))
    mask = shown(moments, "failure")
    told = {moments.at(at).event.name for at in np.flatnonzero(mask)}
    assert {"find_customer", "refund-limit"} <= told
    assert mask[moments.columns.numbers["failed"]].all()
    assert not mask.all()
    assert not shown(moments_of(Refund("fine", succeeds=True).save(store)), "failure").all()


def test_highlights_show_what_stands_out_and_full_shows_all(store: Database) -> None:
    moments = long_run(store)
    assert shown(moments, "highlights").sum() == 4
    assert shown(moments, "full").all()
    with pytest.raises(ValueError, match="full, focus, failure, highlights"):
        shown(moments, "fast")


def test_an_empty_session_has_columns_and_dtypes(store: Database) -> None:
    moments = moments_of("none")
    assert [len(frame) for frame in (segments(moments), markers(moments))] == [0, 0]
    assert [len(shown(moments, mode)) for mode in MODES] == [0, 0, 0, 0]
    assert markers(moments).dtypes.to_dict() == markers(long_run(store)).dtypes.to_dict()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["dull", "failed", "decision"]), max_size=40), st.integers(1, 9))
def test_stretches_cover_everything_once_and_hide_no_failure(kinds: list[str], at_least: int) -> None:
    db = store.current()
    run = Run(f"mixed-{next(NUMBERS)}")
    for kind in kinds:
        if kind == "decision":
            run.add(Decision, "choose", importance=0.3)
        else:
            run.add(ToolResult, "tool", result="x", error="no" if kind == "failed" else None)
    moments = moments_of(run.save(db))
    frame = segments(moments, at_least)
    assert [at for row in frame.itertuples() for at in range(row.start, row.stop)] == list(range(len(kinds)))
    for row in frame[frame["dull"]].itertuples():
        assert row.events >= at_least
        assert set(kinds[row.start : row.stop]) == {"dull"}
