"""`pp.failures`: what failed and where, which events show one fault, and what makes two failures the same."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek.analysis import fingerprints
from peaky_peek.analysis.infrastructure import is_infrastructure
from peaky_peek.events import AgentStart, BehaviorAlert, Error, PolicyViolation, Refusal, SafetyCheck, ToolResult
from peaky_peek.store import Database
from tests.recordings import Run

MESSAGE = st.text(
    st.sampled_from("ab 1290.,:;/\\'\"`“”<>()[]{}=-_+@#$%…\n") | st.characters(codec="utf-8"), max_size=60
)
ID = st.one_of(
    st.integers(0, 10**12).map(str), st.uuids().map(str), st.from_regex(r"[A-Z]{1,3}-[0-9]{2,6}", fullmatch=True),
    st.binary(min_size=8, max_size=20).map(lambda one: "0x" + one.hex()),
    st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,5})?@[a-z]{2,8}\.(com|example)", fullmatch=True),
    st.from_regex(r"/[a-z]{1,8}(/[a-z0-9]{1,8}){1,3}\.json", fullmatch=True), st.datetimes().map(str),
    st.from_regex(r"https?://[a-z]{2,9}\.example/[a-z0-9]{0,9}", fullmatch=True),
)  # fmt: skip


@given(MESSAGE)
def test_masking_what_is_masked_changes_nothing(message: str) -> None:
    once = fingerprints.mask(message)
    assert fingerprints.mask(once) == once


@given(ID, ID)
def test_only_the_ids_differ_so_it_is_the_same_failure(one: str, other: str) -> None:
    said = "order {} was not found"
    assert fingerprints.mask(said.format(one)) == fingerprints.mask(said.format(other)) == "order … was not found"


@pytest.mark.parametrize(
    ("message", "masked"),
    [
        ("no answer within 30.5 s (3 of 3 tries)", "no answer within … s (… of … tries)"),
        ("file /srv/data/7/a.csv and C:\\data\\b.csv are gone", "file … and … are gone"),
        ("invalid literal for int() with base 10: 'abc'", "invalid literal for int() with base …"),
        ("don't know the user's name", "don't know the user's name"),
        ("HTTP 503 from https://a.example/x?y=1", "HTTP 503 from …"),
        ("status code: 404, request 8f14e45fceea167a", "status code: …, request …"),
        ("items [1, 2, 3] and {'a': 1}", "items […] and {…}"),
        ("either/or, and n/a", "either/or, and n/a"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_differs_every_time_is_masked_and_what_says_what_failed_stays(message: str, masked: str) -> None:
    assert fingerprints.mask(message) == masked


def test_a_long_message_is_masked_in_time_that_grows_no_faster_than_it() -> None:
    for hostile in ('"' * 100_000, "'a " * 50_000, "a-" * 50_000, "a." * 50_000 + "@", "1," * 50_000, "/a" * 50_000):
        assert len(fingerprints.mask(hostile)) <= 2_000


def frame(session: Any = None) -> pd.DataFrame:
    return pp.failures(session)


def rows(session: Any, *columns: str) -> list[tuple[Any, ...]]:
    return list(frame(session)[list(columns)].itertuples(index=False, name=None))


def test_an_empty_store_has_a_frame_with_all_columns() -> None:
    empty = frame(pp.ALL)
    assert len(empty) == 0
    assert {name: str(dtype) for name, dtype in empty.dtypes.items()} == {
        name: str(dtype) if not isinstance(dtype, pd.CategoricalDtype) else "category"
        for name, dtype in pp.SCHEMA["failures"].items()
    }


@pp.tool
def pay(order: str) -> None:
    raise ConnectionError(f"the gateway closed the connection for {order}")


@pp.trace
def checkout(order: str) -> None:
    pay(order)


def test_an_exception_that_comes_up_through_tool_and_agents_is_one_failure() -> None:
    with pytest.raises(ConnectionError), pp.trace_session("shop"):
        checkout("A-1")
    found = frame("shop")
    assert found["event_type"].tolist() == ["tool_result", "error"]
    assert found["root_id"].nunique() == 1
    assert found["is_root"].tolist() == [True, False]
    assert found["place"].tolist() == ["pay", "pay in test_failures.py"]
    assert found["kind"].unique().tolist() == ["infrastructure"]


def test_the_severity_of_a_fault_is_the_worst_of_all_that_show_it(store: Database) -> None:
    run = Run("r")
    root = run.add(AgentStart, "r")
    inner = run.add(AgentStart, "inner", root)
    run.add(Error, "E", inner, error_type="ValueError", error_message="no")
    run.add(Error, "E", root, error_type="ValueError", error_message="no")
    run.save(store, status="failed")
    assert rows("r", "severity", "root_id") == [("high", "r-2"), ("high", "r-2")]


def test_a_tool_that_fails_again_is_another_failure_also_with_the_same_words(store: Database) -> None:
    with pp.trace_session("shop"):
        for order in ("A-1", "A-1", "A-2"):
            with pytest.raises(ConnectionError):
                pay(order)
    found = frame("shop")
    assert found["is_root"].all()
    assert found["fingerprint"].nunique() == 1


def test_forty_errors_recorded_beside_each_other_are_forty_failures(store: Database) -> None:
    with pp.trace_session("batch") as ctx:
        for _ in range(40):
            ctx.record_error(error_type="TimeoutError", error_message="no answer")
    assert frame("batch")["is_root"].sum() == 40


def test_an_exception_that_ends_the_session_around_it_is_told_in_both_and_is_one(store: Database) -> None:
    nested = pp.trace(new_session=True)(checkout)
    with pytest.raises(ConnectionError), pp.trace_session("around"):
        nested("A-1")
    found = frame(pp.ALL)
    assert found["session_id"].nunique() == 2
    assert found["root_id"].nunique() == 1


def test_a_block_and_the_refusal_that_it_leads_to_are_one_failure(store: Database) -> None:
    run = Run("r")
    root = run.add(AgentStart, "r")
    run.add(SafetyCheck, "pii", root, policy_name="pii", outcome="block", risk_level="critical", rationale="names")
    run.add(Refusal, "pii", root, policy_name="pii", reason="names stay here")
    run.add(Refusal, "other", root, policy_name="other", reason="too late")
    run.save(store)
    assert rows("r", "is_root", "place", "error_type", "severity") == [
        (True, "pii", "block", "critical"), (False, "pii", "refusal", "medium"), (True, "other", "refusal", "medium"),
    ]  # fmt: skip


def test_every_kind_of_failure_says_what_where_and_how_badly(store: Database) -> None:
    run = Run("r")
    root = run.add(AgentStart, "planner")
    run.add(ToolResult, "search", root, tool_name="search", error="KeyError: 'price'")
    run.add(PolicyViolation, "p", root, policy_name="p", severity="low", violation_type="leak", details={"to": "x"})
    run.add(BehaviorAlert, "loop", root, alert_type="loop", severity="high", signal="search 4 times")
    run.add(Error, "E", root, error_type="ValueError", error_message="plan 7 is empty")
    run.save(store)
    found = frame("r")
    assert found["tool_name"].tolist()[:1] == ["search"]
    assert found["tool_name"].notna().sum() == 1
    assert rows("r", "error_type", "place", "template", "severity") == [
        ("KeyError", "search", "…", "medium"),
        ("leak", "p", "{…}", "low"),
        ("loop", "planner", "search … times", "high"),
        ("ValueError", "planner", "plan … is empty", "medium"),
    ]


@pytest.mark.parametrize(
    ("error_type", "message", "in_tool"),
    [
        ("TimeoutError", "no answer", True),
        (None, "Read timed out. (read timeout=30)", True),
        ("APIConnectionError", "Connection error.", False),
        ("ConnectionResetError", "peer", False),
        ("RateLimitError", "Error code: 429 - slow down", False),
        (None, "HTTP 503 Service Unavailable", True),
        (None, "status_code=502", True),
        ("HttpResponseError", "Operation returned an invalid status 'TRAPI: Forbidden'", False),
        ("AuthenticationError", "Incorrect API key provided", False),
        ("TypeError", "step() missing 1 required positional argument", False),
    ],
)
def test_what_no_decision_of_the_agent_prevents_is_infrastructure(
    error_type: str | None, message: str, in_tool: bool
) -> None:
    assert is_infrastructure("error", error_type, message, in_tool=in_tool, in_model=False, acted=True)


@pytest.mark.parametrize(
    ("error_type", "message"),
    [
        (None, "user not found"),
        (None, "certificate cannot be used to update reservation"),
        (None, "payment amount does not add up, total price is 503, but paid 429"),
        ("TypeError", "search() got an unexpected keyword argument 'q'"),
        ("PermissionError", "you may not read this: forbidden"),
        ("ValueError", "the connection of the flight is missed"),
    ],
)
def test_what_a_tool_answers_to_what_the_agent_asked_is_the_fault_of_the_agent(
    error_type: str | None, message: str
) -> None:
    assert not is_infrastructure("tool_result", error_type, message, in_tool=True, in_model=False, acted=True)


def test_a_crash_before_the_agent_did_anything_is_infrastructure_and_giving_up_is_not() -> None:
    crash: dict[str, Any] = {"in_tool": False, "in_model": False}
    assert is_infrastructure("error", "ValueError", "no plan", **crash, acted=False)
    assert not is_infrastructure("error", "RuntimeError", "no answer after 10 turns", **crash, acted=True)
    assert not is_infrastructure("refusal", "refusal", "timeout", **crash, acted=True)
