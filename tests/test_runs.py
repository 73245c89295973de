"""What a framework has under way: however its beginnings and ends interleave, the trees are well formed."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter
from contextvars import Context, copy_context
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek import ids
from peaky_peek.capture import context
from peaky_peek.capture.frameworks import workflows
from peaky_peek.capture.frameworks.runs import Runs
from peaky_peek.capture.verbs import emit
from peaky_peek.events import SafetyCheck
from peaky_peek.store import Database
from peaky_peek.store.reader import read_events
from peaky_peek.vocabulary import CLOSES

KINDS = ("agent", "tool", "model")
OPENS = {"agent": "agent_start", "tool": "tool_call", "model": "llm_request"}

steps = st.lists(
    st.tuples(
        st.integers(0, 2),  # the context in which it is told
        st.booleans(),  # whether something begins or ends
        st.sampled_from(KINDS),
        st.integers(0, 9),  # which of those under way it is about
        st.booleans(),  # whether the framework says what it is within, or fails
    ),
    max_size=14,
)


def recorded(store: Database, since: int) -> list[Any]:
    """The events of the sessions that began after a position."""
    store.ingest()
    assert store.connection().execute("SELECT reason FROM unreadable").fetchall() == []
    found = store.connection().execute("SELECT session_id, status FROM sessions WHERE position > ?", (since,))
    rows = found.fetchall()
    assert "running" not in {status for _, status in rows}
    return [event for session_id, _ in rows for event in read_events(store, session_id)]


def begin(runs: Runs, kind: str, run: int, within: tuple[int, ...]) -> None:
    if kind == "agent":
        runs.agent(run, f"run {run}", within=within)
    elif kind == "tool":
        runs.tool(run, f"run {run}", {}, within=within)
    else:
        runs.model(run, lambda: {"model": f"run {run}"}, within=within)


def is_whole(kind: str, known: list[Any], events: list[Any]) -> bool:
    """Tell whether a run is one pair: an event that opens it, and as its child the one that closes it."""
    opened = [event for event in known if event.event_type == OPENS[kind]]
    closed = [event for event in known if event.event_type in CLOSES]
    return (
        len(opened) == len(closed) == 1
        and closed[0].parent_id == opened[0].id
        and CLOSES[closed[0].event_type] == opened[0].event_type
        and opened[0].session_id in {event.session_id for event in events}
    )


@given(steps)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_beginnings_and_ends_makes_whole_trees(store: Database, told: list[tuple[Any, ...]]) -> None:
    Context().run(follow, store, told)


def follow(store: Database, told: list[tuple[Any, ...]]) -> None:
    """Tell it all, and look at what was recorded of it."""
    since = ids.new_position()
    outer = Runs("ours")
    outer.agent("outer", "outer")
    places: list[Context] = [copy_context() for _ in range(3)]
    runs = Runs("ours")
    under_way: list[int] = []
    kinds: dict[int, str] = {}
    expected: dict[int, str] = {}
    for place, begins, kind, which, flag in told:
        if begins or not under_way:
            run, around = len(kinds), under_way[which % len(under_way)] if under_way and flag else None
            within = () if around is None else (around,)
            scope = None if around is None else runs.scope_of(around)
            places[place].run(begin, runs, kind, run, within)
            kinds[run] = kind
            under_way.append(run)
            if scope is not None:
                expected[run] = str(scope.parent_id)
        else:
            run = under_way.pop(which % len(under_way))
            places[place].run(runs.ended, run, "said", ValueError("no") if flag else None)
    for run in under_way:
        runs.ended(run)
    for place in places:
        seen = place.run(context.here)
        assert seen is not None
        assert seen.agent == "outer"
    outer.ended("outer")
    assert context.here() is None
    events = recorded(store, since)
    by_name: dict[str, list[Any]] = {}
    for event in events:
        by_name.setdefault(event.name, []).append(event)
    for run, kind in kinds.items():
        known = by_name.get(f"run {run}", [])
        if not known and kind == "model" and list(kinds.values()).count("model") > 1:
            continue  # a model that was asked by a model is one call
        assert is_whole(kind, known, events), (kind, known)
        if run in expected:
            assert next(event for event in known if event.event_type == OPENS[kind]).parent_id == expected[run]
    known_ids = {event.id for event in events}
    assert {event.parent_id for event in events} - known_ids == {None}
    assert max(Counter(event.id for event in events).values()) == 1


def test_threads_that_share_the_runs_of_a_framework_keep_their_own_trees(store: Database) -> None:
    runs, since, meet = Runs("ours"), ids.new_position(), threading.Barrier(4)

    def work(number: int) -> None:
        for turn in range(20):
            meet.wait()
            runs.agent((number, turn), f"agent {number}")
            meet.wait()
            runs.tool((number, turn, "tool"), f"tool {number}", {"turn": turn})
            runs.ended((number, turn, "tool"), turn)
            runs.ended((number, turn))
        assert context.current() is None

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = recorded(store, since)
    by_session: dict[str, list[Any]] = {}
    for event in events:
        by_session.setdefault(event.session_id, []).append(event)
    assert len(by_session) == 80
    for found in by_session.values():
        number = found[0].name.removeprefix("agent ")
        assert [event.name for event in found] == [f"{kind} {number}" for kind in ("agent", "tool", "tool", "agent")]


def test_agents_of_a_workflow_stand_side_by_side_in_one_session(store: Database) -> None:
    since, runs = ids.new_position(), Runs("ours")
    workflow = workflows.begin("desk", "ours", input="Rome?")
    assert workflow is not None
    assert workflows.begin("another", "ours") is None
    for name in ("triage", "booker"):
        runs.agent(name, name)
        runs.ended(name, f"{name} is done")
    workflow.output = "booked"
    workflow.close()
    assert context.current() is None
    starts = [event for event in recorded(store, since) if event.event_type == "agent_start"]
    assert [(event.name, event.parent_id) for event in starts] == [("triage", None), ("booker", None)]
    row = store.connection().execute("SELECT name, framework, status, input, output FROM sessions").fetchone()
    assert row == ("desk", "ours", "completed", '"Rome?"', '"booked"')


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_workflow_that_is_left_by_an_exception_says_how_it_ended(store: Database, error: BaseException) -> None:
    workflow = workflows.begin("desk", "ours")
    assert workflow is not None
    workflow.close(error)
    store.ingest()
    (status,) = store.connection().execute("SELECT status FROM sessions").fetchone()
    assert status == ("failed" if isinstance(error, Exception) else "interrupted")


def test_nothing_is_recorded_of_what_begins_in_a_run_while_the_recording_is_paused(store: Database) -> None:
    since, runs = ids.new_position(), Runs("ours")
    runs.agent("outer", "outer")
    with pp.pause():
        for kind in KINDS:
            begin(runs, kind, len(kind), ("outer",))
        emit(SafetyCheck, runs.scope_of("outer"), {}, {"policy_name": "approval", "outcome": "block"})
    for kind in reversed(KINDS):
        runs.ended(len(kind))
    runs.ended("outer")
    assert [event.event_type for event in recorded(store, since)] == ["agent_start", "agent_end"]


def test_an_agent_follows_from_the_handoff_to_it_in_its_own_session_once(store: Database) -> None:
    since, runs = ids.new_position(), Runs("ours")
    for session in range(2):
        runs.agent(session, f"desk {session}")
        if session == 0:
            runs.handoff("desk 0", "booker")
        for turn in range(2):
            runs.agent((session, turn), "booker")
            runs.ended((session, turn))
        runs.ended(session)
    events = recorded(store, since)
    (handed,) = [event.id for event in events if event.event_type == "tool_result"]
    bookers = [event for event in events if event.event_type == "agent_start" and event.name == "booker"]
    assert [event.upstream_event_ids for event in bookers] == [[handed], [], [], []]


def test_the_task_of_a_run_shows_no_half_of_a_secret(store: Database) -> None:
    secret = "sk-proj-" + "Ab3dEf6hIj9kLm2nOp5q" * 4
    runs = Runs("ours")
    runs.agent("desk", "desk", input="x" * 140 + f" {secret} is the key: book a room in Rome")
    runs.ended("desk")
    store.ingest()
    (task,) = store.connection().execute("SELECT task FROM sessions").fetchone()
    assert task.startswith("x" * 140)
    assert "sk-proj" not in task


def test_what_a_tool_gave_is_not_kept_until_the_garbage_collector_comes(store: Database) -> None:
    class Result:
        """Something large."""

    @pp.tool
    def look_up() -> Result:
        return Result()

    gc.collect()
    gc.disable()
    try:
        kept = weakref.ref(look_up())
        assert kept() is None
    finally:
        gc.enable()
