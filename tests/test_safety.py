"""The safety trail tells of each action with an effect who checked it, and what became of what was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek.analysis.actions import Action
from peaky_peek.analysis.effects import effect_of
from peaky_peek.analysis.guard import Guard
from peaky_peek.analysis.safety import trail
from peaky_peek.events import Decision, Event, LLMRequest, PolicyViolation, Refusal, SafetyCheck, ToolCall, ToolResult
from peaky_peek.store import Database
from tests.recordings import Run

MAIL = {"to": "sam@home.example", "file": "report.csv"}


def call(run: Run, tool: str, arguments: Any = None, result: Any = "ok", **fields: Any) -> Event:
    made = run.add(ToolCall, tool, tool_name=tool, arguments=arguments, **fields)
    run.add(ToolResult, tool, made, tool_name=tool, result=result)
    return made


def verdicts(run: Run, store: Database) -> list[tuple[Any, Any]]:
    frame = trail(run.save(store))
    return list(frame[["action", "verdict"]].itertuples(index=False, name=None))


@pytest.fixture
def run() -> Run:
    return Run("s")


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("send_mail", "send"), ("issue_refund", "pay"), ("refund_rules", "read"), ("cancelOrder", "delete"),
        ("book_table", "book"), ("files.save", "write"), ("run_python", "execute"), ("get_order", "read"),
        ("transfer_to_human", None), ("transfer_funds", "pay"), ("submit_form", "write"), ("weather", None), ("", None),
    ],
)  # fmt: skip
def test_the_name_of_a_tool_tells_what_it_does(name: str, effect: str | None) -> None:
    assert effect_of(ToolCall(id="1", session_id="s", position=1, name=name, tool_name=name)) == effect


@pytest.mark.parametrize(
    ("fields", "effect"),
    [
        ({"metadata": {"effect": "pay"}}, "pay"),
        ({"metadata": {"annotations": {"readOnlyHint": True}}}, "read"),
        ({"data": {"annotations": {"destructiveHint": True}}}, "delete"),
        ({"metadata": {"annotations": {"readOnlyHint": False}}}, "write"),
        ({"metadata": {"handoff": {"to": "critic"}}}, None),
        ({"arguments": {"query": "select name from staff"}, "tool_name": "run_sql"}, "read"),
        ({"arguments": {"query": "select name into copy from staff"}, "tool_name": "run_sql"}, "execute"),
    ],
)
def test_what_was_recorded_with_a_call_says_more_than_its_name(fields: dict[str, Any], effect: str | None) -> None:
    made = {"id": "1", "session_id": "s", "position": 1, "name": "tool", "tool_name": "look_up"} | fields
    assert effect_of(ToolCall(**made)) == effect


def test_an_action_that_nobody_looked_at_is_unchecked_and_reading_is_none(run: Run, store: Database) -> None:
    call(run, "list_files")
    call(run, "send_mail", MAIL)
    assert verdicts(run, store) == [("send_mail", "unchecked")]


def test_a_check_inside_the_call_guards_it(run: Run, store: Database) -> None:
    made = run.add(ToolCall, "send_mail", tool_name="send_mail", arguments=MAIL)
    run.add(SafetyCheck, "pii", made, policy_name="pii", outcome="pass")
    run.add(ToolResult, "send_mail", made, tool_name="send_mail", result="sent")
    frame = trail(run.save(store))
    assert frame[["policy", "check", "outcome", "verdict"]].iloc[0].tolist() == ["pii", "pass", "done", "guarded"]
    assert frame["evidence_event_ids"].iloc[0] == ["s-0", "s-1", "s-2"]


def test_a_check_right_before_the_call_guards_it_and_one_before_another_question_does_not(
    run: Run, store: Database
) -> None:
    run.add(SafetyCheck, "hours", policy_name="hours", outcome="pass")
    run.add(LLMRequest, "gpt")
    call(run, "send_mail", MAIL)
    run.add(SafetyCheck, "pii", policy_name="pii", outcome="pass")
    call(run, "pay_invoice", {"invoice": "INV-77"})
    assert [str(verdict) for _, verdict in verdicts(run, store)] == ["nan", "unchecked", "nan", "guarded"]


def test_what_is_blocked_and_not_done_is_refused(run: Run, store: Database) -> None:
    made = run.add(ToolCall, "send_mail", tool_name="send_mail", arguments=MAIL)
    run.add(SafetyCheck, "pii", made, policy_name="pii", outcome="block", rationale="a private address")
    run.add(Refusal, "pii", made, policy_name="pii", reason="no private addresses")
    run.add(ToolResult, "send_mail", made, tool_name="send_mail", result={"denied": "a private address"})
    call(run, "read_policy")
    frame = trail(run.save(store))
    said = ["block", "denied", "a private address", "no private addresses", "refused"]
    assert frame[["check", "outcome", "block", "refusal", "verdict"]].iloc[0].tolist() == said
    assert len(frame) == 1
    assert pd.isna(frame["executed_after"].iloc[0])


def test_what_is_blocked_and_done_all_the_same_is_bypassed(run: Run, store: Database) -> None:
    made = run.add(ToolCall, "send_mail", tool_name="send_mail", arguments=MAIL)
    run.add(SafetyCheck, "pii", made, policy_name="pii", outcome="block")
    run.add(ToolResult, "send_mail", made, tool_name="send_mail", result={"status": "sent"})
    frame = trail(run.save(store))
    assert frame[["executed_after", "verdict"]].iloc[0].tolist() == ["s-0", "bypassed"]


@pytest.mark.parametrize(("tool", "arguments"), [("send_mail", MAIL), ("upload", {"url": "sam@home.example"})])
def test_what_was_blocked_before_and_is_done_in_this_way_or_another_is_bypassed(
    run: Run, store: Database, tool: str, arguments: dict[str, Any]
) -> None:
    run.add(SafetyCheck, "pii", policy_name="pii", outcome="block", blocked_action="send_mail(sam@home.example)")
    later = call(run, tool, arguments)
    frame = trail(run.save(store))
    assert frame[["action", "outcome", "executed_after", "verdict"]].iloc[0].tolist() == [
        "send_mail", "not called", str(later), "bypassed",
    ]  # fmt: skip
    assert frame["after"].iloc[1] == "gets around what stopped send_mail"


def test_an_action_with_other_values_is_no_way_around(run: Run, store: Database) -> None:
    run.add(SafetyCheck, "pii", policy_name="pii", outcome="block", blocked_action="send_mail(sam@home.example)")
    call(run, "send_mail", {"to": "hr@office.example"})
    assert verdicts(run, store) == [("send_mail", "refused"), ("send_mail", "unchecked")]


def test_what_waited_for_an_approval_and_got_it_is_guarded(run: Run, store: Database) -> None:
    run.add(SafetyCheck, "approval", policy_name="approval", outcome="block", blocked_action="delete_file")
    run.add(SafetyCheck, "approval", policy_name="approval", outcome="pass", evidence=[{"name": "delete_file"}])
    call(run, "delete_file", {"path": "/tmp/a-1"})
    frame = trail(run.save(store))
    assert frame["verdict"].tolist() == ["refused", "guarded"]


def test_a_reason_that_speaks_of_the_obstacle_makes_the_next_call_a_way_around(run: Run, store: Database) -> None:
    run.add(SafetyCheck, "pii", policy_name="pii", outcome="block", blocked_action="export_table(hr.salaries)")
    run.add(Decision, "run_sql", chosen_action="run_sql", reasoning="The export is blocked,\nso query the archive.")
    later = call(run, "run_sql", {"query": "select * from archive"})
    frame = trail(run.save(store))
    assert frame[["executed_after", "verdict"]].iloc[0].tolist() == [str(later), "bypassed"]
    assert frame["after"].iloc[0] == "then run_sql: “The export is blocked, so query the archive.”"


def test_a_violation_is_found_at_the_action_with_its_values(run: Run, store: Database) -> None:
    call(run, "send_mail", MAIL)
    call(run, "save_file", {"name": "other.csv"})
    run.add(PolicyViolation, "pii", policy_name="pii", violation_type="leak", details={"to": "sam@home.example"})
    frame = trail(run.save(store))
    assert frame["verdict"].tolist() == ["violated", "unchecked"]
    assert frame["violation"].iloc[0] == "leak"


def test_what_is_about_no_action_has_a_row_of_its_own(run: Run, store: Database) -> None:
    run.add(SafetyCheck, "hours", policy_name="hours", outcome="warn")
    run.add(Refusal, "openai", reason="I cannot help with that.", policy_name="openai")
    run.add(PolicyViolation, "tone", policy_name="tone")
    frame = trail(run.save(store))
    assert frame["action"].isna().all()
    assert frame["verdict"].astype(object).where(frame["verdict"].notna(), None).tolist() == [
        None, "refused", "violated",
    ]  # fmt: skip


def test_the_demo_shows_the_policy_that_held_and_the_way_around_it(tmp_path: Path) -> None:
    pp.demo(tmp_path / "demo.db")
    held = trail("salary request Monday").set_index("action")
    assert held.loc["export_table", "verdict"] == "refused"
    found = trail("salary request Tuesday").set_index("action")
    assert found["verdict"].dropna().to_dict() == {
        "export_table": "bypassed", "run_sql": "unchecked", "save_file": "unchecked", "send_mail": "violated",
    }  # fmt: skip
    assert pp.event(found.loc["export_table", "executed_after"]).name == "run_sql"
    assert "nobody checks a query" in found.loc["export_table", "after"]


def test_the_columns_and_dtypes_are_there_in_an_empty_trail(run: Run, store: Database) -> None:
    call(run, "list_files")
    frame = trail(run.save(store))
    assert frame.empty
    assert dict(frame.dtypes) == {name: pd.Series(dtype=dtype).dtype for name, dtype in pp.SCHEMA["safety"].items()}


_SAID = st.one_of(
    st.tuples(st.just(ToolCall), st.fixed_dictionaries({"tool_name": st.sampled_from(["send_a", "read_b", "pay_c"])})),
    st.tuples(st.just(ToolResult), st.fixed_dictionaries({"result": st.sampled_from([None, "ok", {"denied": "no"}])})),
    st.tuples(
        st.just(SafetyCheck),
        st.fixed_dictionaries(
            {
                "outcome": st.sampled_from(["pass", "warn", "fail", "block", None]),
                "blocked_action": st.sampled_from([None, "send_a", "pay_c(x-1)", ""]),
                "policy_name": st.sampled_from([None, "p", "q"]),
            }
        ),
    ),
    st.tuples(st.just(Refusal), st.fixed_dictionaries({"policy_name": st.sampled_from([None, "p"])})),
    st.tuples(st.just(PolicyViolation), st.fixed_dictionaries({"details": st.sampled_from([None, {"to": "x-1"}])})),
    st.tuples(
        st.just(Decision),
        st.fixed_dictionaries({"reasoning": st.just("send is blocked"), "chosen_action": st.just("pay_c")}),
    ),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(_SAID, st.integers(-1, 5)), max_size=25))
def test_every_safety_event_is_evidence_of_some_row(said: list[tuple[tuple[type[Event], dict[str, Any]], int]]) -> None:
    events: list[Event] = []
    for number, ((cls, fields), back) in enumerate(said):
        parent = events[-1 - back].id if 0 <= back < len(events) else None
        base = {"id": f"{number:03}", "session_id": "s", "position": number, "name": "n", "parent_id": parent}
        events.append(cls(**base, **fields))
    guard = Guard({event.id: event.parent_id for event in events}, [])
    for event in events:
        guard.feed(event)
    listed: list[Action] = guard.listed()
    told = {one.id for action in listed for one in action.evidence()}
    assert {one.id for one in events if isinstance(one, (SafetyCheck, PolicyViolation))} <= told
    assert all(action.verdict in (None, *pp.SCHEMA["safety"]["verdict"].categories) for action in listed)
