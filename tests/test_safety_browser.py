"""The safety trail in a real browser: verdicts that stand out, filters, and the events that a row opens to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import peaky_peek as pp
from peaky_peek.events import PolicyViolation, SafetyCheck, ToolCall, ToolResult
from peaky_peek.widgets import _wire
from tests import tree_page
from tests.bridge import Bridged, deliver, show_widget, until
from tests.recordings import Run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from peaky_peek.store import Database


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    problems: list[str] = []
    context = browser.new_context()
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert problems == []


@pytest.fixture
def session(store: Database) -> str:
    """A mail that was checked, a file that was not, an export that was blocked and sent another way."""
    run = Run("s")

    def call(tool: str, arguments: Any, result: Any, check: str | None = None) -> None:
        made = run.add(ToolCall, tool, tool_name=tool, arguments=arguments)
        if check:
            run.add(SafetyCheck, "pii", made, policy_name="pii", outcome=check, rationale=f"{tool} was looked at")
        run.add(ToolResult, tool, made, tool_name=tool, result=result)

    call("send_mail", {"to": "ann@office.example"}, "sent", "pass")
    call("save_file", {"name": "plan.md"}, "saved")
    call("send_export", {"to": "sam@home.example"}, {"denied": "private"}, "block")
    call("upload_file", {"url": "sam@home.example"}, "ok")
    run.add(PolicyViolation, "pii", policy_name="pii", violation_type="a leak", details={"url": "sam@home.example"})
    return run.save(store)


def show(page: Page, session: str, folder: Path, **options: Any) -> Any:
    with Bridged():
        safety = pp.safety(session)
    show_widget(page, safety, folder, **options)
    page.wait_for_function("view.__peek.firstPaintMs !== null")
    return safety


def verdicts(page: Page) -> list[str]:
    return [text.split(" ", 1)[1] for text in page.locator(".pp-item .pp-verdict").all_inner_texts()]


def test_each_action_stands_there_with_its_verdict(page: Page, tmp_path: Path, session: str) -> None:
    safety = show(page, session, tmp_path)
    assert verdicts(page) == ["guarded", "unchecked", "bypassed", "violated"]
    bypassed = page.locator("[data-verdict=bypassed]")
    assert "send_export was looked at" in bypassed.inner_text()
    assert "then upload_file with the same values" in bypassed.inner_text()
    assert safety.frame["verdict"].tolist() == verdicts(page)


def test_the_filters_narrow_the_trail(page: Page, tmp_path: Path, session: str) -> None:
    safety = show(page, session, tmp_path)
    page.get_by_text("checks 2").click()
    assert verdicts(page) == ["guarded", "bypassed"]
    page.get_by_text("violations 1").click()
    assert verdicts(page) == ["violated"]
    page.get_by_text("unchecked 1").click()
    assert verdicts(page) == ["unchecked"]
    page.get_by_text("refusals 0").click()
    page.get_by_text("No action matches.").wait_for()
    page.get_by_text("all 4").click()
    safety.filter = "tool:send_mail"
    deliver(page, safety)
    page.wait_for_function("view.__peek.visibleRows === 1")


def test_the_keyboard_walks_and_opens_a_row_to_its_events(page: Page, tmp_path: Path, session: str) -> None:
    safety = show(page, session, tmp_path)
    page.evaluate("view.__peek.view.focus()")
    page.keyboard.press("n")
    until(page, lambda: safety.event and safety.event.name == "send_export")
    names = list(safety.selected_events["event_type"])
    assert {"tool_call", "safety_check", "policy_violation"} <= set(names)
    page.keyboard.press("Enter")
    opened = page.locator(".pp-evidence button")
    assert opened.count() >= 3
    opened.filter(has_text="pii").first.click()
    page.locator(".pp-inspector .pp-step", has_text="pii").wait_for()
    page.keyboard.press("Escape")
    page.evaluate("view.__peek.view.focus()")
    page.keyboard.press("u")
    page.wait_for_function("view.__peek.visibleRows === 1")
    page.keyboard.press("a")
    page.wait_for_function("view.__peek.visibleRows === 4")


def test_python_selects_and_moves_time_and_the_page_does_too(page: Page, tmp_path: Path, session: str) -> None:
    safety = show(page, session, tmp_path)
    safety.selected = safety.frame["event_id"].iloc[1]
    deliver(page, safety)
    page.locator(".pp-item.pp-selected", has_text="save_file").wait_for()
    page.locator(".pp-item .pp-moment").nth(2).click()
    position = until(page, lambda: safety.position)
    assert pp.events(session)["event_id"].iloc[position] == safety.frame["event_id"].iloc[2]
    assert page.locator(".pp-item.pp-later").count() == 1


def test_a_run_without_effects_says_so(page: Page, tmp_path: Path, store: Database) -> None:
    run = Run("quiet")
    run.add(ToolCall, "list_files", tool_name="list_files")
    show(page, run.save(store), tmp_path)
    page.get_by_text("Nothing was written, sent, paid, deleted or booked", exact=False).wait_for()


def test_an_exported_page_reads_without_a_kernel(page: Page, tmp_path: Path, session: str) -> None:
    path = pp.safety(session).to_html(tmp_path / "safety.html")
    page.goto(path.as_uri())
    page.locator("[data-verdict=bypassed]", has_text="send_export").wait_for()
    assert page.locator(".pp-note.pp-problem").count() == 0


def test_fifty_thousand_actions_scroll(page: Page, tmp_path: Path) -> None:
    n = 50_000
    number = np.arange(n)
    columns = {
        "position": number.astype("<i4"), "row": number.astype("<i4"), "began": number.astype("<f4"),
        "verdict": (number % 5).astype("i1"), "check": (number % 4).astype("i1"), "outcome": np.zeros(n, "i1"),
        "effect": np.zeros(n, "i1"), "refused": np.zeros(n, "u1"), "violated": np.zeros(n, "u1"),
        "starts": np.arange(n + 1, dtype="<i4"), "evidence": number.astype("<i4"),
    }  # fmt: skip
    words = {name: list(pp.SCHEMA["safety"][name].categories) for name in ("verdict", "check", "outcome", "effect")}
    path = tmp_path / "many.html"
    extras = [_wire.packed("trail", words, columns)]
    path.write_bytes(tree_page.html(tree_page.large(n), bundle="safety", extras=extras).encode())
    page.goto(path.as_uri())
    page.wait_for_function("window.tree?.__peek.firstPaintMs !== null")
    page.evaluate("model.set('_rows', [49_999])")
    page.wait_for_function("tree.__peek.rowRect(49_999) !== null")
    assert page.locator(".pp-item").count() < 80
    page.evaluate("cleanup()")
    assert page.evaluate("handlers()") == 0
