"""The tree in a real browser: what users see of it, and what their clicks and keys do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from tests import tree_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

OUTLINE = json.loads((tree_page.FIXTURES / "outline.json").read_text())
DETAILS = json.loads((tree_page.FIXTURES / "details.json").read_text())
TITLE = {"name": "support_agent", "status": "failed", "facts": ["6 steps", "2 failed"], "note": ""}
SUPPORT = [
    {"event_type": "agent_start", "name": "support_agent", "duration_ms": 8240.0},
    {"parent": 0, "event_type": "llm_request", "name": "gpt-4o-mini", "duration_ms": 1320.0, "cost_usd": 0.0021},
    {"parent": 1, "event_type": "decision", "name": "issue_refund", "derived": True},
    {"parent": 0, "name": "issue_refund", "duration_ms": 3110.0, "failed": True},
    {"parent": 3, "event_type": "error", "name": "ValueError", "failed": True},
    {"parent": 0, "name": "notify", "suspect": "empty result"},
]

Show = Callable[..., "Page"]


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Show]:
    """Open a page with the tree of some steps; a script error or a request of the page fails the test."""
    problems: list[str] = []
    context = browser.new_context(viewport={"width": 1000, "height": 700})

    def open_page(steps: list[dict[str, Any]] | pd.DataFrame = SUPPORT, *, width: int = 1000, **given: Any) -> Page:
        frame = steps if isinstance(steps, pd.DataFrame) else tree_page.steps(steps)
        path = tmp_path / "tree.html"
        path.write_bytes(tree_page.html(frame, **{"title": TITLE, "details": DETAILS, **given}).encode())
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 700})
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        page.on("dialog", lambda dialog: problems.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: problems.append(request.url) if request.url.startswith("http") else None)
        page.goto(path.as_uri())
        page.wait_for_function("window.tree?.__peek")
        if given.get("kernel", True):
            page.wait_for_function("tree.__peek.firstPaintMs !== null || tree.classList.contains('pp-empty')")
        return page

    yield open_page
    context.close()
    assert problems == []


def click(page: Page, row: int, x: float = 200) -> None:
    rect = page.evaluate("row => tree.__peek.rowRect(row).toJSON()", row)
    page.mouse.click(rect["x"] + x, rect["y"] + rect["height"] / 2)


def rows(page: Page) -> list[int]:
    return page.evaluate("model.get('_rows')")


def read_aloud(page: Page) -> str:
    return page.locator("[role=treeitem]").text_content() or ""


def test_a_click_selects_the_step_for_python_and_opens_it_for_reading(show: Show) -> None:
    page = show()
    click(page, 1)
    page.wait_for_function("model.get('_rows').length === 1")
    assert rows(page) == [1]
    page.locator(".pp-conversation").wait_for()
    assert page.locator(".pp-step").text_content() == DETAILS[1]["title"]


def test_clicks_with_shift_and_control_select_several(show: Show) -> None:
    page = show()
    click(page, 1)
    page.keyboard.down("Shift")
    click(page, 3)
    page.keyboard.up("Shift")
    page.wait_for_function("model.get('_rows').length === 3")
    page.keyboard.down("Control")
    click(page, 2)
    page.keyboard.up("Control")
    page.wait_for_function("model.get('_rows').length === 2")
    assert rows(page) == [1, 3]


def test_what_python_selects_is_brought_into_view(show: Show) -> None:
    page = show(tree_page.large(5_000))
    page.locator("[aria-label='Collapse all']").click()
    page.evaluate("model.set('_rows', [4321])")
    page.wait_for_function("tree.__peek.rowRect(4321) !== null")


def test_the_keyboard_walks_collapses_filters_and_reads_aloud(show: Show) -> None:
    page = show()
    page.locator("[role=tree]").focus()
    page.keyboard.press("End")
    assert read_aloud(page) == "notify, tool call, suspect"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("tree.__peek.visibleRows") == 1
    assert "hides 5 steps, 2 of them failed, 1 of them suspect" in read_aloud(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    assert read_aloud(page) == "issue_refund, tool call, failed, 3.1 s"
    page.keyboard.press("Enter")
    page.locator(".pp-inspector").wait_for()
    page.keyboard.press("Escape")
    page.locator(".pp-inspector").wait_for(state="hidden")
    page.keyboard.press("/")
    page.keyboard.type("refund")
    page.wait_for_function("model.get('_query') === 'refund'")
    page.evaluate("setMask([2, 3])")
    page.wait_for_function("tree.__peek.visibleRows === 4")
    assert page.locator(".pp-matches").text_content() == "2 of 6"
    page.evaluate("setMask([])")
    page.wait_for_function("tree.__peek.visibleRows === 0")
    page.keyboard.press("Escape")
    page.wait_for_function("tree.__peek.visibleRows === 6")


def test_a_filter_set_in_python_shows_in_the_box(show: Show) -> None:
    page = show()
    page.evaluate("model.set('_query', 'failed')")
    assert page.locator(".pp-filter").input_value() == "failed"


def test_a_query_that_cannot_be_read_is_told_below_the_title(show: Show) -> None:
    page = show()
    request = "{type: 'filter', query: 'x:'}"
    page.evaluate(f"reply({{type: 'error', message: 'There is no field x.', request: {request}}})")
    page.get_by_text("There is no field x.").wait_for()


def test_a_hundred_thousand_steps_are_drawn_within_a_second_and_every_size_stays_cheap(show: Show) -> None:
    page = show(tree_page.large(100_000))
    assert page.evaluate("tree.__peek.visibleRows") == 100_000
    page.locator("[role=tree]").focus()
    for _ in range(60):
        page.keyboard.press("-")
    page.wait_for_function("tree.__peek.rowRect(0) && tree.__peek.rowRect(99999)")
    page.keyboard.press("0")
    page.wait_for_function("!tree.__peek.rowRect(99999)")


def test_a_wheel_scrolls_the_tree_and_then_leaves_the_page_to_itself(show: Show) -> None:
    page = show(tree_page.large(100), css="body { height: 3000px }")
    page.mouse.move(300, 300)
    page.mouse.wheel(0, 100_000)
    page.wait_for_function("tree.__peek.rowRect(99)")
    assert page.evaluate("scrollY") == 0
    page.mouse.wheel(0, 500)
    page.wait_for_function("scrollY > 0")


def test_a_drag_on_the_ruler_goes_anywhere(show: Show) -> None:
    page = show(tree_page.large(10_000))
    box = page.locator(".pp-canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] - 5, box["y"] + (box["height"] + 22) / 2)
    page.wait_for_function("tree.__peek.rowRect(5000)")


def test_the_saved_outline_is_shown_when_no_kernel_answers(show: Show) -> None:
    page = show(kernel=False, outline=OUTLINE)
    page.get_by_text("No kernel: showing the saved outline.").wait_for()
    assert page.evaluate("tree.__peek.visibleRows") == len(OUTLINE)
    assert page.locator(".pp-filter").is_disabled()


def test_a_kernel_that_answers_late_replaces_the_saved_outline(show: Show) -> None:
    page = show(kernel=False, outline=OUTLINE)
    page.get_by_text("No kernel: showing the saved outline.").wait_for()
    page.evaluate("answer({ type: 'hello' })")
    page.wait_for_function("tree.__peek.visibleRows === 6")
    assert page.locator(".pp-note").is_hidden()


def test_a_step_without_an_answer_offers_to_ask_again(show: Show) -> None:
    page = show(details=[None])
    click(page, 1)
    page.get_by_text("There is no such step.").wait_for()
    page.get_by_role("button", name="Ask the kernel again").click()
    page.wait_for_function("sent.filter((request) => request.type === 'details').length === 2")


def test_an_empty_session_says_how_to_begin(show: Show) -> None:
    page = show([], title={"name": "", "status": "empty", "facts": [], "note": ""})
    assert "Nothing recorded yet" in page.locator(".pp-start").inner_text()


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\x1b[31mred\x1b[0m \x00 nul",
    "\u202eevil\u2066",
    "\ud800 lone",
    "x" * 5_000,
    "__proto__",
]


def test_hostile_text_is_only_text(show: Show) -> None:
    sections = [
        {"title": name, "kind": "text", "text": name} for name in HOSTILE
    ] + [
        {"title": "json", "kind": "json", "value": {name: [name] for name in HOSTILE}},
        {"title": "error", "kind": "error", "error_type": HOSTILE[0], "message": {"text": HOSTILE[1]}},
        {"title": "talk", "kind": "messages", "messages": [{"role": HOSTILE[0], "text": HOSTILE[1], "new": True}]},
    ]  # fmt: skip
    details = {"title": HOSTILE[0], "subtitle": HOSTILE[1], "facts": [[name, name] for name in HOSTILE]}
    page = show(
        [{"name": name, "suspect": name} for name in HOSTILE],
        title={"name": HOSTILE[0], "status": HOSTILE[1], "facts": HOSTILE, "note": HOSTILE[0]},
        previews=HOSTILE,
        details=[{"type": "details", "event_id": "e", **details, "sections": sections}],
    )
    click(page, 5)
    page.locator(".pp-turn").wait_for()
    assert page.locator("#tree script, #tree img").count() == 0
    text = page.locator("#tree").inner_text()
    assert "<script>alert(1)</script>" in text
    assert not set("\x00\x1b\u202e\u2066") & set(text)


def test_every_text_stays_left_of_the_columns_in_a_chain_deeper_than_the_view_is_wide(show: Show) -> None:
    chain = [{"parent": row - 1, "name": f"step {row}", "duration_ms": 5.0} for row in range(3_000)]
    page = show(chain, width=420)
    page.evaluate("model.set('_rows', [2999])")
    page.wait_for_function("tree.__peek.rowRect(2999)")
    click(page, 2_999, x=230)
    page.wait_for_function("sent.some((request) => request.type === 'details' && request.row === 2999)")


def test_colours_follow_the_theme_of_the_page(show: Show) -> None:
    page = show()
    light = page.evaluate("getComputedStyle(tree).getPropertyValue('--pp-risk')")
    page.evaluate("document.body.style.background = '#111'")
    page.wait_for_function("light => getComputedStyle(tree).getPropertyValue('--pp-risk') !== light", arg=light)


def test_a_view_made_before_it_is_in_the_page_has_the_colours_of_the_page(show: Show) -> None:
    page = show(dark=True)
    page.evaluate("window.later = document.createElement('div'); void widget.render({ model, el: later })")
    page.evaluate("document.body.append(later)")
    page.wait_for_function(
        """() => {
          const risk = (view) => getComputedStyle(view).getPropertyValue("--pp-risk");
          return risk(later.firstElementChild) === risk(tree);
        }"""
    )


def test_the_inspector_stands_beside_a_wide_tree_and_below_a_narrow_one(show: Show) -> None:
    page = show()
    click(page, 1)
    page.locator(".pp-conversation").wait_for()
    below = "document.querySelector('.pp-inspector').getBoundingClientRect().y >= tree.__peek.rowRect(5)?.bottom"
    assert page.evaluate(below) is False
    page.set_viewport_size({"width": 420, "height": 700})
    page.wait_for_function(below)


@pytest.mark.parametrize("width", [1000, 700, 480, 320])
def test_the_headline_stays_beside_the_button_that_folds_it(show: Show, width: int) -> None:
    page = show(width=width, title={**TITLE, "name": "a name that is far too long for one line " * 3})
    fold, badge = (page.locator(name).bounding_box() for name in (".pp-fold", ".pp-badge"))
    assert fold
    assert badge
    assert fold["x"] + fold["width"] <= badge["x"]
    assert fold["y"] <= badge["y"] + badge["height"] / 2 <= fold["y"] + fold["height"]


def test_a_long_text_is_shown_whole_on_request(show: Show) -> None:
    long = {"title": "Result", "kind": "text", "text": "the beginning", "length": 9_000, "path": [1, "result"]}
    page = show(details=[{**DETAILS[0], "sections": [long]}])
    click(page, 0)
    page.get_by_role("button", name="show all 9,000 characters").click()
    page.get_by_text("all of it").wait_for()
    assert page.evaluate("sent.at(-1)") == {"type": "more", "row": 0, "path": [1, "result"]}


def test_only_what_is_in_view_is_asked_for(show: Show) -> None:
    page = show(tree_page.large(10_000))
    page.wait_for_function("sent.some((request) => request.type === 'previews')")
    asked = page.evaluate("sent.filter((request) => request.type === 'previews')")
    assert sum(request["stop"] - request["start"] for request in asked) < 500


def test_a_closed_view_leaves_nothing_behind(show: Show) -> None:
    page = show()
    click(page, 1)
    page.evaluate("cleanup()")
    assert page.evaluate("handlers()") == 0
    assert page.evaluate("mount.childElementCount") == 0
    page.evaluate("document.body.style.background = '#111'; model.set('_rows', [2])")


def test_folded_it_is_one_line_that_asks_for_nothing_and_unfolds_in_place(show: Show) -> None:
    page = show()
    page.evaluate("model.set('expanded', false)")
    assert page.locator(".pp-root").bounding_box()["height"] < 40
    assert page.get_by_text("support_agent").is_visible()
    assert page.get_by_text("6 steps · 2 failed").is_visible()
    page.evaluate("sent.length = 0")
    page.get_by_text("support_agent").click()
    assert page.evaluate("model.get('expanded')") is True
    assert page.evaluate("sent.some((request) => request.type === 'hello')")
    assert page.locator(".pp-canvas").bounding_box()["height"] > 100


def test_the_headline_folds_with_the_keyboard_and_lives_while_it_is_folded(show: Show) -> None:
    page = show()
    fold = page.get_by_role("button", name="The steps of this session", expanded=True)
    fold.press("Enter")
    assert page.evaluate("model.get('expanded')") is False
    assert not page.locator(".pp-canvas").is_visible()
    page.evaluate("model.set('_title', { name: 'support_agent', status: 'running', facts: ['7 steps'] })")
    assert page.get_by_text("7 steps").is_visible()
    page.get_by_role("button", expanded=False).press("Space")
    assert page.locator(".pp-canvas").is_visible()
