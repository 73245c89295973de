"""Why a run went wrong: the planted cause of every story comes first, and clean runs are all clear."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek import store as stores
from peaky_peek.analysis.causes import diagnose
from peaky_peek.demo.stories import STORIES
from peaky_peek.demo.story import Story
from peaky_peek.errors import EventNotFound
from peaky_peek.events import (
    AgentEnd,
    AgentStart,
    AgentTurn,
    Decision,
    Error,
    LLMRequest,
    LLMResponse,
    PolicyViolation,
    SafetyCheck,
    ToolCall,
    ToolResult,
)
from peaky_peek.store import Database
from tests.recordings import Run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    pp.demo(path)
    return path


@pytest.fixture
def demo(recorded: Path) -> Iterator[Database]:
    yield stores.use(recorded)
    stores.use(None)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.key)
def test_the_planted_cause_comes_first_and_the_symptom_is_the_right_one(demo: Database, story: Story) -> None:
    events = pp.events(story.session, data=True)
    found = pp.causes(story.session)
    cause, symptom, distractor = (mark.find(events) for mark in (story.cause, story.symptom, story.distractor))
    assert found["seq"].tolist()[0] == cause
    assert found["symptom_id"].tolist()[0] == events["event_id"][symptom]
    assert found["mechanism"][0] == story.mechanism
    assert found["confidence"][0] == "high"
    assert found["score"].is_monotonic_decreasing
    assert distractor not in found["seq"].tolist()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.key)
def test_a_cause_opens_down_to_events_and_leads_to_the_symptom(demo: Database, story: Story) -> None:
    known = set(pp.events(story.session)["event_id"])
    for row in pp.causes(story.session).itertuples():
        assert {shown["event_id"] for shown in row.because} <= known
        assert all(shown["says"] for shown in row.because)
        assert row.path[0] == row.event_id
        assert row.path[-1] == row.symptom_id
        assert set(row.path) <= known
        assert row.against
        assert row.next_step


def test_clean_runs_are_all_clear(demo: Database) -> None:
    clean = pp.sessions("outcome:pass")
    assert len(clean) >= 9
    for session_id in clean["session_id"]:
        assert len(pp.causes(session_id)) == 0, session_id


def test_runs_that_nobody_judged_are_all_clear_if_they_went_well_and_not_if_they_did_not(
    recorded: Path, tmp_path: Path
) -> None:
    path = tmp_path / "unjudged.db"
    with closing(sqlite3.connect(recorded)) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
        copy.execute("UPDATE sessions SET note = NULL, score = NULL, outcome = NULL")
        copy.commit()
    judged = stores.use(recorded) and pp.sessions()
    stores.use(path)
    clear = {row.session_id for row in judged.itertuples() if len(pp.causes(row.session_id)) == 0}
    passed = set(judged.loc[judged["outcome"] == "pass", "session_id"])
    assert passed <= clear
    first = {name: pp.causes(name)["mechanism"].tolist()[:1] for name in judged["name"]}
    assert first["refund order A-1042"] == ["silent tool failure"]
    assert first["salary request Tuesday"] == ["policy bypass"]
    assert first["trip to Lisbon"] == ["wrong argument"]
    assert first["find the slow deploy"] == ["loop"]


def test_every_invoice_in_a_foreign_currency_fails_for_the_same_reason(demo: Database) -> None:
    failed = pp.sessions("outcome:fail version:v2 name:book")
    first = [pp.causes(session_id).iloc[0] for session_id in failed["session_id"]]
    assert len(first) == 4
    assert {row["mechanism"] for row in first} == {"lost instruction", "wrong unit"}
    assert {row["name"] for row in first} == {"check_limit"}


def test_of_real_runs_the_first_change_that_no_passing_run_makes_is_named(demo: Database) -> None:
    failed = pp.sessions("outcome:fail name:tablet")
    for session_id in failed["session_id"]:
        row = pp.causes(session_id).iloc[0]
        assert row["mechanism"] == "differs from runs that passed"
        assert row["name"] == "return_delivered_order_items"


def test_a_service_that_is_down_is_to_blame_itself(demo: Database) -> None:
    row = pp.causes(pp.sessions("name:INV-206 version:v1")).iloc[0]
    assert (row["mechanism"], row["event_type"]) == ("tool or service down", "tool_result")
    assert row["confidence"] == "medium"


# Runs made for one rule each.


def agent_run(*steps: tuple[str, Any, Any], name: str = "run") -> Run:
    """A run of one agent: a model asks for each call, in turn, and then answers. A result that is an error is one."""
    run = Run(name)
    agent = run.add(AgentStart, "agent", agent="clerk", input="Pay invoice INV-7 of 120.50 EUR.")
    for number, (tool, arguments, result) in enumerate(steps):
        request = run.add(
            LLMRequest, "m", agent, agent="clerk", messages=[{"role": "user", "content": f"go on {number}"}]
        )
        asked = [{"id": f"c{number}", "name": tool, "arguments": arguments}]
        run.add(LLMResponse, "m", request, agent="clerk", tool_calls=asked)
        call = run.add(ToolCall, tool, agent, agent="clerk", tool_name=tool, arguments=arguments, call_id=f"c{number}")
        told = {"error": str(result)} if isinstance(result, Exception) else {"result": result}
        run.add(ToolResult, tool, call, agent="clerk", tool_name=tool, call_id=f"c{number}", **told)
    return run


def answered(run: Run, text: str) -> Run:
    request = run.add(LLMRequest, "m", run.events[0], agent="clerk", messages=[{"role": "user", "content": "and now?"}])
    run.add(LLMResponse, "m", request, agent="clerk", content=text)
    run.add(AgentEnd, "agent", run.events[0], agent="clerk", output=text)
    return run


def first(run: Run, db: Database, **session: Any) -> tuple[str, str] | None:
    """Mechanism and event of the first cause."""
    found = pp.causes(run.save(db, **session))
    return None if found.empty else (found["mechanism"][0], found["event_id"][0])


PAID = ("settle_invoice", {"number": "INV-7", "eur": 120.5})


def test_an_empty_answer_of_which_success_is_claimed_is_silent_failure(store: Database) -> None:
    run = answered(agent_run((*PAID, {})), "I settled INV-7: 120.50 EUR.")
    assert first(run, store) == ("silent tool failure", "run-4")


@pytest.mark.parametrize("text", ["I could not pay INV-7 of 120.50 EUR.", "All done.", "Good morning!"])
def test_an_empty_answer_that_nobody_calls_a_success_is_no_symptom(store: Database, text: str) -> None:
    assert first(answered(agent_run((*PAID, {})), text), store) is None


def test_what_is_made_good_is_all_clear(store: Database) -> None:
    run = answered(agent_run((*PAID, ValueError("no such invoice")), (*PAID, {"paid": 120.5})), "I paid INV-7.")
    assert first(run, store) is None


def test_a_call_that_fails_for_good_is_blamed_on_who_made_it(store: Database) -> None:
    run = answered(agent_run((*PAID, ValueError("amount is negative"))), "Sorry.")
    assert first(run, store) == ("failed call", "run-2")


def test_a_page_after_another_is_no_loop_and_the_same_search_again_is(store: Database) -> None:
    pages = [("search", {"page": n}, {"rows": [f"row number{chr(97 + n)}"]}) for n in range(5)]
    assert first(agent_run(*pages, name="pages"), store, status="interrupted") != ("loop", "pages-2")
    again = [("search", {"word": word}, {"rows": []}) for word in ("deploy", "release", "deploy")]
    assert first(agent_run(*again, name="again"), store, status="interrupted") == ("loop", "again-2")


def test_the_same_change_for_many_is_no_loop(store: Database) -> None:
    mails = [("send_mail", {"to": f"{name}@work.example"}, {"status": "sent"}) for name in ("ada", "bo", "cy")]
    found = pp.causes(agent_run(*mails).save(store, status="interrupted"))
    assert "loop" not in found["mechanism"].tolist()


def test_a_policy_that_is_respected_is_all_clear(store: Database) -> None:
    run = agent_run(("export_table", {"table": "salaries"}, {"denied": "no"}))
    run.add(
        SafetyCheck, "personal", run.events[3], policy_name="personal", outcome="block", blocked_action="export_table"
    )
    answered(run, "That is not allowed.")
    assert first(run, store) is None


def test_a_violation_leads_to_the_call_that_went_around_the_block(store: Database) -> None:
    run = agent_run(("export_table", {"table": "salaries"}, {"denied": "no"}))
    run.add(SafetyCheck, "personal", run.events[3], policy_name="personal", outcome="block", risk_level="high")
    call = run.add(ToolCall, "sql", run.events[0], tool_name="sql", arguments={"query": "select salary from archive"})
    run.add(ToolResult, "sql", call, tool_name="sql", result=[61_000])
    run.add(PolicyViolation, "personal", run.events[0], policy_name="personal", severity="high")
    assert first(run, store) == ("policy bypass", str(call))


def test_an_amount_taken_for_another_currency_is_a_wrong_unit(store: Database) -> None:
    run = answered(
        agent_run(
            ("read", {"file": "f"}, {"amount": 250.0, "currency": "GBP"}),
            ("book", {"amount_eur": 250.0}, {"booked": True}),
        ),
        "Booked.",
    )
    assert first(run, store, outcome="fail") == ("wrong unit", "run-6")


def test_an_amount_converted_before_is_not(store: Database) -> None:
    run = answered(
        agent_run(
            ("read", {"file": "f"}, {"amount": 250.0, "currency": "GBP"}),
            ("rate", {"currency": "GBP"}, {"value_eur": 292.5}),
            ("book", {"amount_eur": 292.5}, {"booked": True}),
        ),
        "Booked.",
    )
    assert "wrong unit" not in pp.causes(run.save(store, outcome="fail"))["mechanism"].tolist()


def test_an_id_that_nobody_told_is_an_invented_value(store: Database) -> None:
    run = answered(agent_run(("find", {"invoice": "INV-7"}, {"id": "X-100"}), ("get", {"id": "Q-4711-B"}, [1])), "Hm.")
    found = pp.causes(run.save(store, outcome="fail"))
    assert found.set_index("mechanism").loc["invented value", "event_id"] == "run-6"


def test_an_exception_leads_to_the_step_before_it(store: Database) -> None:
    run = agent_run((*PAID, {"paid": 120.5}))
    run.add(Error, "boom", run.events[0], error_type="KeyError", error_message="'eur'", status="error")
    assert first(run, store, status="failed") == ("step before the exception", "run-2")


def test_turns_of_agents_are_blamed_by_their_place_and_say_how_often_that_is_right(store: Database) -> None:
    run = Run("talk")
    for who, text in [("expert", "plan"), ("coder", "code"), ("terminal", "exitcode: 1 (failed)"), ("critic", "hm")]:
        run.add(AgentTurn, who, agent_id=who, content=text, metadata={"message_index": len(run.events)})
    found = pp.causes(run.save(store, outcome="fail"))
    assert found["message_index"].tolist() == [1, 0, 2, 3]
    assert found["agent"][0] == "coder"
    assert found["confidence"][0].startswith("low: right first in 40 %")


def test_under_an_orchestrator_the_last_step_of_who_was_sent_comes_first(store: Database) -> None:
    run = Run("sent")
    for who in (
        "human",
        "Orchestrator (thought)",
        "Orchestrator (-> Surfer)",
        "Surfer",
        "Orchestrator (-> Surfer)",
        "Surfer",
        "Orchestrator (thought)",
    ):
        run.add(AgentTurn, who, speaker=who, content="...", metadata={"message_index": len(run.events)})
    found = pp.causes(run.save(store, outcome="fail"))
    assert found["message_index"].tolist() == [5, 3]
    assert found["agent"].tolist() == ["Surfer", "Surfer"]


def test_any_event_can_be_asked_about(store: Database) -> None:
    run = answered(agent_run((*PAID, ValueError("declined")), (*PAID, {"paid": 120.5})), "I paid INV-7.")
    run.save(store)
    assert len(pp.causes("run")) == 0
    found = pp.causes("run", event="run-4")
    assert (found["mechanism"][0], found["symptom_id"][0]) == ("failed call", "run-4")
    with pytest.raises(EventNotFound, match="no event 'nowhere'"):
        pp.causes("run", event="nowhere")


def test_a_failure_without_anything_recorded_says_what_is_missing(store: Database) -> None:
    run = Run("bare")
    run.add(AgentStart, "agent")
    found = diagnose(store, run.save(store, outcome="fail"))
    assert found.causes == []
    assert any("@pp.tool" in what for what in found.missing)
    assert len(pp.causes("bare")) == 0


def test_empty_frames_have_the_columns_and_dtypes_of_full_ones(store: Database) -> None:
    empty = pp.causes(Run("none").save(store))
    full = pp.causes(answered(agent_run((*PAID, ValueError("no"))), "Sorry.").save(store))
    assert len(empty) == 0 < len(full)
    assert dict(empty.dtypes) == dict(full.dtypes)
    assert dict(full.dtypes) == {name: pd.Series(dtype=kind).dtype for name, kind in pp.SCHEMA["causes"].items()}


_TEXT = st.sampled_from(
    ["", "INV-7", "120.50 EUR", "error: no", "deploy", "not found", "salary salaries", "2026-05-13"]
) | st.text(max_size=12)
_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_EVENT = st.one_of(
    st.tuples(st.just(ToolCall), st.fixed_dictionaries({"tool_name": _TEXT, "arguments": _VALUE, "call_id": _TEXT})),
    st.tuples(st.just(ToolResult), st.fixed_dictionaries({"tool_name": _TEXT, "result": _VALUE, "call_id": _TEXT})),
    st.tuples(st.just(ToolResult), st.fixed_dictionaries({"tool_name": _TEXT, "error": _TEXT})),
    st.tuples(st.just(LLMResponse), st.fixed_dictionaries({"content": _VALUE, "tool_calls": _VALUE})),
    st.tuples(st.just(LLMRequest), st.fixed_dictionaries({"messages": st.lists(_VALUE, max_size=3)})),
    st.tuples(
        st.just(Decision),
        st.fixed_dictionaries({"chosen_action": _VALUE, "alternatives": st.lists(_VALUE, max_size=3)}),
    ),
    st.tuples(st.just(AgentTurn), st.fixed_dictionaries({"content": _VALUE, "speaker": _TEXT})),
    st.tuples(st.just(SafetyCheck), st.fixed_dictionaries({"outcome": st.just("block"), "blocked_action": _TEXT})),
    st.tuples(st.just(Error), st.fixed_dictionaries({"error_message": _TEXT})),
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(
    events=st.lists(st.tuples(_EVENT, st.integers(0, 30)), max_size=25), outcome=st.sampled_from(["fail", "pass", None])
)
def test_whatever_was_recorded_is_diagnosed_the_same_twice_and_never_after_its_symptom(
    store: Database, events: list[Any], outcome: str | None
) -> None:
    run = Run(f"any{len(pp.sessions())}")
    for number, ((kind, fields), parent) in enumerate(events):
        run.add(kind, "e", f"{run.session_id}-{parent}" if parent < number else None, **fields)
    session_id = run.save(store, outcome=outcome)
    found = pp.causes(session_id)
    assert found.to_dict("records") == pp.causes(session_id).to_dict("records")
    assert outcome != "pass" or len(found) == 0
    order = {event_id: seq for seq, event_id in enumerate(pp.events(session_id)["event_id"])}
    for row in found.itertuples():
        assert row.seq <= order[row.symptom_id]
        assert row.path[-1] == row.symptom_id
        assert 0 < row.score <= 1
    assert found["event_id"].is_unique
