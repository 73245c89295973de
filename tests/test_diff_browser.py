"""The diff and the flow in a real browser: what users see of them, and what their clicks and keys do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import peaky_peek as pp
from peaky_peek.events import AgentStart, ToolCall, ToolResult
from peaky_peek.store import Database
from tests.bridge import Bridged, deliver, show_widget, until
from tests.recordings import Run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

READY = "view.__peek.firstPaintMs !== null && document.querySelector('.pp-diff-row, .pp-flow-row')"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in which a script error or a request fails the test."""
    problems: list[str] = []
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if request.url.startswith("http") else None)
    yield page
    context.close()
    assert problems == []


def record(store: Database, name: str, *amounts: float, prompt: str = "pay") -> str:
    """A run that pays these amounts after twenty looks."""
    run = Run(name)
    root = run.add(AgentStart, name, None, agent=name, input=prompt)
    for number, amount in enumerate([*range(20), *amounts]):
        tool = "look" if number < 20 else "pay"
        call = run.add(ToolCall, tool, root, agent=name, tool_name=tool, arguments={"amount": amount})
        run.add(ToolResult, tool, call, agent=name, tool_name=tool, result=f"{amount} it is")
    return run.save(store)


def show(page: Page, a: Any, b: Any, folder: Path, **options: Any) -> Any:
    with Bridged():
        widget = pp.diff(a, b)
    show_widget(page, widget, folder, **options)
    page.wait_for_function(READY)
    return widget


@pytest.fixture
def paid(page: Page, store: Database, tmp_path: Path) -> Any:
    """Two runs that pay other amounts, shown in the page."""
    one = record(store, "one", 1, 2, 3.5, 4)
    two = record(store, "two", 1, 2, 3.7, 4.4, 5, prompt="pay more")
    return show(page, one, two, tmp_path)


def test_the_sentence_stands_above_and_the_row_where_they_part_is_in_sight(page: Page, paid: Any) -> None:
    said = page.locator(".pp-parting").inner_text()
    assert "Step 24 is pay with another amount (3.7 instead of 3.5)" in said
    assert page.locator(".pp-parts").is_visible()
    assert page.locator(".pp-parts-here").inner_text() == "they part here"
    assert page.locator(".pp-parts .pp-sign").inner_text() == "~"


def test_equal_steps_are_folded_and_open_when_asked(page: Page, paid: Any) -> None:
    fold = page.locator(".pp-folded-rows")
    assert fold.inner_text() == "… 18 equal steps"
    before = page.evaluate("view.__peek.visibleRows")
    fold.click()
    page.wait_for_function(f"view.__peek.visibleRows === {before + 17}")


def test_what_was_given_differently_is_told_first_word_by_word(page: Page, paid: Any) -> None:
    setup = page.locator(".pp-setup")
    assert setup.locator(".pp-path").first.inner_text().startswith("input")
    assert setup.locator("ins").all_inner_texts() == [" more"]


def test_the_keyboard_goes_from_difference_to_difference_opens_and_closes(page: Page, paid: Any) -> None:
    page.locator(".pp-diff-rows").focus()
    page.keyboard.press("Home")
    page.keyboard.press("n")
    until(page, lambda: paid.selected)
    assert paid.frame["a_step"][paid._rows[0]] == 24
    page.keyboard.press("p")
    until(page, lambda: paid._rows == [0])
    page.keyboard.press("d")
    until(page, lambda: paid._rows == [23])
    page.keyboard.press("ArrowDown")
    until(page, lambda: paid._rows == [24])
    page.keyboard.press("Enter")
    page.locator(".pp-inspector .pp-change").first.wait_for()
    assert page.locator(".pp-inspector del").first.inner_text() == "4"
    assert page.locator(".pp-inspector ins").first.inner_text() == "4.4"
    page.keyboard.press("Escape")
    page.locator(".pp-inspector").wait_for(state="hidden")
    assert "only in b" in (page.locator("[data-item='25']").get_attribute("aria-label") or "")


def test_a_click_selects_for_python_and_python_moves_the_page(page: Page, paid: Any) -> None:
    page.locator("[data-item='23']").click()
    until(page, lambda: paid._rows == [23])
    assert set(paid.selected_events["session_id"]) == {"one", "two"}
    paid.selected = paid.frame["a_id"][10]
    deliver(page, paid)
    page.locator("[data-item='10'][aria-selected='true']").wait_for()


def test_a_filter_shows_what_matches_on_either_side_unfolded(page: Page, paid: Any) -> None:
    page.locator(".pp-diff-rows").focus()
    page.keyboard.press("/")
    page.keyboard.type("tool:look")
    page.wait_for_function("view.__peek.visibleRows === 20")


def test_the_numbers_open_to_a_table(page: Page, paid: Any) -> None:
    page.locator(".pp-numbers > summary").click()
    row = page.locator(".pp-numbers tr", has=page.get_by_text("tool calls", exact=True))
    assert row.locator("td").all_inner_texts() == ["24", "25", "+1"]


def test_two_sets_are_drawn_as_one_flow_that_the_keyboard_walks(page: Page, store: Database, tmp_path: Path) -> None:
    runs = [record(store, f"run-{number}", *range(pays)) for number, pays in enumerate((1, 1, 2))]
    widget = show(page, runs[:2], runs[2:], tmp_path)
    assert page.locator(".pp-flow-row").count() == 22
    assert page.locator(".pp-way").count() == len(widget.frame)
    assert page.locator(".pp-told").nth(20).inner_text() == "→ end 2 → pay 1"
    page.locator(".pp-flow").focus()
    page.keyboard.press("End")
    until(page, lambda: widget.selected)
    assert widget.selected_events["session_id"].tolist() == ["run-2"]
    page.keyboard.press("p")
    until(page, lambda: widget._rows == [20])
    page.keyboard.press("Enter")
    page.locator(".pp-inspector").get_by_text("Runs that pass here").wait_for()
