"""What the inspector lays out for each kind of step, and what can be done from there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import peaky_peek as pp
from peaky_peek.events import LLMRequest, LLMResponse, ToolCall, ToolResult
from peaky_peek.widgets._arguments import breaches
from tests.bridge import Bridged, show_widget, until
from tests.recordings import Run
from tests.refunds import Refund

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from peaky_peek.store import Database


@pytest.fixture
def refund(store: Database) -> str:
    return Refund("refund").save(store)


def sections(session: str, name: str, kind: str) -> dict[str, dict[str, Any]]:
    """The sections of the first step of that name and type, by title."""
    tree = pp.tree(session)
    steps = tree._recording.steps
    row = int(steps.index[(steps["name"] == name) & (steps["event_type"] == kind)][0])
    return {section["title"]: section for section in tree._recording.details(row)["sections"]}


def test_a_tool_shows_its_arguments_beside_its_result(refund: str) -> None:
    call = sections(refund, "get_order", "tool_call")["Call"]
    assert [(side["title"], side["value"]["order"]) for side in call["sides"]] == [
        ("Arguments", "A-1042"), ("Result", "A-1042"),
    ]  # fmt: skip
    failed = sections(refund, "find_customer", "tool_call")
    assert [side["title"] for side in failed["Call"]["sides"]] == ["Arguments"]
    assert "no customer has the email" in failed["Error"]["message"]["text"]


def test_arguments_that_break_the_schema_the_model_was_told_are_named(store: Database) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": schema}}]
    run = Run("weather")
    run.add(LLMRequest, "m", None, messages=[], tools=tools)
    call = run.add(ToolCall, "weather", None, tool_name="weather", arguments={"town": "Paris"})
    run.add(ToolResult, "weather", call, tool_name="weather", result={})
    wrong = sections(run.save(store), "weather", "tool_call")["Arguments break the tool's schema"]
    assert wrong["problems"] == ["'city' is missing"]


def test_a_page_with_all_steps_of_a_run_without_model_calls_costs_twice_as_much_for_twice_as_many(
    store: Database,
) -> None:
    def cost(calls: int) -> int:
        """The work of SQLite, in thousands of its instructions."""
        run = Run(f"{calls} calls")
        for number in range(calls):
            run.add(ToolCall, f"tool {number}", None, tool_name="look", arguments={})
        recording = pp.tree(run.save(store))._recording
        ticks: list[None] = []
        store.connection().set_progress_handler(lambda: ticks.append(None), 1_000)
        rows = list(range(calls))
        for row, (step, events) in zip(rows, recording.read(rows), strict=True):
            recording.detailed(row, step, events)
        store.connection().set_progress_handler(None, 0)
        return len(ticks)

    assert cost(800) < 3 * cost(400)


@pytest.mark.parametrize(
    ("arguments", "schema", "said"),
    [
        ('{"n": 1}', {"properties": {"n": {"type": "integer"}}}, []),
        ({"n": True}, {"properties": {"n": {"type": "integer"}}}, ["'n' is True, not an integer"]),
        ({"n": 2.0}, {"properties": {"n": {"type": "integer"}}}, []),
        ({"n": None}, {"properties": {"n": {"type": ["integer", "null"]}}}, []),
        ({"u": "x"}, {"properties": {"u": {"enum": ["C", "F"]}}}, ["'u' is 'x', not one of 'C', 'F'"]),
        ({"x": 1}, {"properties": {}, "additionalProperties": False}, ["'x' is no argument of it"]),
        ({"x": 1}, {"properties": {}}, []),
        ({"a": [1]}, {"properties": {"a": {"items": {"type": "string"}}}}, ["'a[0]' is 1, not a string"]),
        ("no json", {}, ["it is 'no json', not an object"]),
        ({"a": 1}, {"properties": [], "required": 7, "type": {}, "enum": 3}, []),
    ],
)  # fmt: skip
def test_what_models_get_wrong_is_said_and_odd_schemas_are_passed_over(
    arguments: Any, schema: dict[str, Any], said: list[str]
) -> None:
    assert breaches(arguments, schema) == said


def test_a_decision_shows_what_it_was_chosen_over_and_links_what_it_went_by(refund: str) -> None:
    shown = sections(refund, "refund", "decision")
    assert shown["Choice"]["chosen"] == "refund"
    assert shown["Choice"]["rejected"] == ["find_customer", "get_order", "issue_voucher"]
    assert shown["Choice"]["confidence"] == 0.55
    [link] = shown["Went by"]["links"]
    assert link["name"] == "get_order"
    assert link["row"] == pp.tree(refund)._recording.rows_of([link["event_id"]])[0]


def test_a_checkpoint_shows_what_changed_since_the_one_before(refund: str) -> None:
    changed = sections(refund, "after refund", "checkpoint")["Changed since before refund"]
    assert changed["changes"] == [{"path": "refunded", "change": "changed", "before": "0", "after": "84.5"}]
    assert "Changed since" not in "".join(sections(refund, "before refund", "checkpoint"))


def test_a_check_that_did_not_pass_shows_what_was_done_after_it(refund: str) -> None:
    after = sections(refund, "refund-limit", "safety_check")["Done after it"]
    assert [link["name"] for link in after["links"]] == ["issue_voucher"]


def test_a_model_call_shows_its_attempts(store: Database) -> None:
    run = Run("retried")
    request = run.add(LLMRequest, "m", None, messages=[])
    run.add(LLMResponse, "m", request, content="hi")
    session = run.save(store)
    sql = """INSERT INTO exchanges (exchange_id, event_id, session_id, position, attempt, status, started_at,
        duration_ms, request, response, error, url) VALUES (?, ?, ?, 1, ?, ?, ?, 120.0, x'00', x'0000', ?, 'https://api.example')"""
    connection = store.connection()
    for attempt, status, error in ((1, 529, "Overloaded"), (2, 200, None)):
        start = run.start + attempt * 2_000_000
        connection.execute(sql, (str(attempt), request.id, session, attempt, status, start, error))
    connection.commit()
    table = sections(session, "m", "llm_request")["Exchanges"]
    assert table["head"][:4] == ["Attempt", "Status", "Sent after", "Took"]
    assert [row[:4] for row in table["rows"]] == [["1", "529", "2.0 s", "120 ms"], ["2", "200", "4.0 s", "120 ms"]]
    assert table["open"]


def test_ids_are_at_the_bottom_and_folded(refund: str) -> None:
    title, ids = list(sections(refund, "get_order", "tool_call").items())[-1]
    assert (title, ids["open"]) == ("Ids", False)
    assert [label for label, _ in ids["facts"]] == ["Tool call id", "Tool result id", "Inside"]


def test_the_code_of_a_selection_gives_the_selection(refund: str) -> None:
    tree = pp.tree(refund)
    scope = {"pp": pp}
    assert len(eval(tree.code, scope)) == len(pp.events(refund))
    tree.selected = ["refund-1"]
    assert str(eval(tree.code, scope)) == "refund-1"
    tree.selected = ["refund-5", "refund-2"]
    found = eval(tree.code, scope)
    columns = ["event_id", "event_type", "data"]
    pd.testing.assert_frame_equal(found[columns], tree.selected_events[columns])


def test_a_run_is_labelled_and_the_label_taken_back(refund: str) -> None:
    tree = pp.tree(refund)
    tree._receive(tree, {"type": "label", "outcome": "pass"}, [])
    assert pp.session(refund).outcome == "pass"
    assert tree._title["outcome"] == "pass"
    tree._receive(tree, {"type": "label", "outcome": None}, [])
    assert pp.session(refund).outcome is None


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_from_the_inspector_one_goes_to_the_evidence_copies_python_and_labels_the_run(
    page: Page, tmp_path: Path, refund: str
) -> None:
    with Bridged():
        tree = pp.tree(refund)
    show_widget(page, tree, tmp_path)
    page.wait_for_function("view.__peek.rowRect(12)")
    rect = page.evaluate("view.__peek.rowRect(12).toJSON()")
    page.mouse.click(rect["x"] + 110, rect["y"] + 9)
    page.get_by_role("button", name="Go to get_order").click()
    until(page, lambda: tree.event and tree.event.name == "get_order")
    page.locator(".pp-step", has_text="get_order").wait_for()
    page.get_by_role("button", name="Copy what is selected as Python").click()
    page.get_by_text("pp.events('refund', data=True)").wait_for()
    bad = page.get_by_role("button", name="This run was bad")
    assert bad.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="This run was good").click()
    until(page, lambda: pp.session(refund).outcome == "pass")
    page.locator("[aria-pressed=true][aria-label='This run was good']").wait_for()
