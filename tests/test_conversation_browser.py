"""The conversation in a real browser: reading it, walking it, and how it moves with Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import peaky_peek as pp
from peaky_peek.events import LLMRequest, LLMResponse
from peaky_peek.widgets import _wire
from tests import tree_page
from tests.bridge import Bridged, deliver, show_widget, until
from tests.recordings import Run
from tests.refunds import Refund

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


def show(page: Page, session: str, folder: Path, **options: Any) -> Any:
    with Bridged():
        talk = pp.conversation(session)
    show_widget(page, talk, folder, **options)
    page.wait_for_function("view.__peek.firstPaintMs !== null")
    return talk


def many_lines(n: int) -> _wire.Message:
    """What draws a conversation of `n` lines over as many steps."""
    rng = np.random.default_rng(5)
    columns = {
        "row": np.arange(n, dtype=np.int32), "position": np.arange(n, dtype=np.int32),
        "role": rng.integers(0, 5, n).astype(np.uint8), "size": rng.integers(0, 400, n).astype(np.uint16),
        "flags": np.full(n, 2, np.uint8), "speaker": rng.integers(0, 3, n).astype(np.uint16),
        "to": np.zeros(n, np.uint16), "began": np.linspace(0, 900, n).astype("<f4"),
    }  # fmt: skip
    return _wire.packed("lines", columns=columns, texts={"names": ["planner", "critic", "user"]})


def test_it_reads_as_it_was_said_with_failures_marked(page: Page, tmp_path: Path, store: Database) -> None:
    show(page, Refund("refund").save(store), tmp_path)
    first = page.locator("article").nth(1)
    assert first.locator(".pp-who").inner_text() == "user → planner"
    assert "the lamp of my order A-1042" in first.inner_text()
    failed = page.locator("article[data-failed]").first
    assert "LookupError: no customer" in failed.inner_text()
    assert "find_customer" in failed.inner_text()
    system = page.locator("article[data-role=system] details")
    assert system.get_attribute("open") is None
    system.locator("summary").click()
    page.get_by_text("Refund at most 50 EUR without a manager.", exact=False).last.wait_for()


def test_the_keyboard_walks_reads_and_filters(page: Page, tmp_path: Path, store: Database) -> None:
    talk = show(page, Refund("refund").save(store), tmp_path)
    page.evaluate("view.__peek.view.focus()")
    page.keyboard.press("ArrowDown")
    until(page, lambda: talk.selected)
    assert talk.event.event_type == "llm_request"
    page.keyboard.press("n")
    until(page, lambda: talk.event.name == "find_customer")
    assert "failed" in page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("Enter")
    page.locator(".pp-inspector .pp-step", has_text="find_customer").wait_for()
    page.keyboard.press("Escape")
    page.locator(".pp-inspector").wait_for(state="hidden")
    page.keyboard.press("End")
    until(page, lambda: talk.event.name != "find_customer")
    page.keyboard.press("/")
    page.keyboard.type("failed")
    until(page, lambda: talk.filter == "failed")
    page.wait_for_function("view.__peek.visibleRows < 5")
    assert page.locator("article:not([data-failed])").count() == 0


def test_python_selects_and_moves_time_and_the_page_does_too(page: Page, tmp_path: Path, store: Database) -> None:
    session = Refund("refund").save(store)
    talk = show(page, session, tmp_path)
    events = pp.events(session, types="tool_call")
    talk.selected = events.loc[events["name"] == "issue_voucher", "event_id"]
    deliver(page, talk)
    page.locator("article.pp-selected", has_text="issue_voucher").wait_for()
    talk.position = 6
    deliver(page, talk)
    page.locator("article.pp-later").first.wait_for()
    page.locator("article.pp-later .pp-moment").first.click()
    assert until(page, lambda: talk.position != 6 and talk.position) > 6
    assert page.locator("article.pp-later", has_text="issue_voucher").count() == 1


def test_the_rest_of_a_long_text_is_shown_and_stays(page: Page, tmp_path: Path, store: Database) -> None:
    run = Run("long")
    request = run.add(LLMRequest, "gpt", messages=[{"role": "user", "content": "word " * 600 + "the end"}])
    run.add(LLMResponse, "gpt", request, content="ok", thinking="Let me think.")
    show(page, run.save(store), tmp_path)
    assert page.get_by_text("the end").count() == 0
    page.get_by_text("show all 3,007 characters").click()
    page.get_by_text("the end").wait_for()
    thinking = page.locator("details", has_text="Thinking")
    assert not thinking.get_by_text("Let me think.").is_visible()
    thinking.locator("summary").click()
    thinking.get_by_text("Let me think.").wait_for()


def test_a_hundred_thousand_lines_scroll_and_only_what_is_in_sight_is_in_the_page(page: Page, tmp_path: Path) -> None:
    n = 100_000
    message, buffers = many_lines(n)
    frame = tree_page.large(n)
    path = tmp_path / "many.html"
    path.write_bytes(tree_page.html(frame, bundle="conversationview", extras=[(message, buffers)]).encode())
    assert sum(map(len, buffers)) + sum(map(len, _wire.columns(frame)[1])) < 40 * n
    page.goto(path.as_uri())
    page.wait_for_function("window.tree?.__peek.firstPaintMs !== null")
    page.evaluate("tree.querySelector('.pp-lines').scrollTop = 3_000_000")
    page.wait_for_function("[...document.querySelectorAll('article')].some((one) => Number(one.dataset.line) > 30_000)")
    page.evaluate("model.set('_rows', [99_999])")
    page.wait_for_function("tree.__peek.rowRect(99_999) !== null")
    page.locator("article", has_text="line 99999 of").wait_for()
    assert page.locator("article").count() < 60
    page.evaluate("cleanup()")
    assert page.evaluate("handlers()") == 0


def test_an_exported_page_reads_without_a_kernel(page: Page, tmp_path: Path, store: Database) -> None:
    path = pp.conversation(Refund("refund").save(store)).to_html(tmp_path / "talk.html")
    page.goto(path.as_uri())
    page.locator("article", has_text="the lamp of my order A-1042").first.wait_for()
    assert page.locator(".pp-note.pp-problem").count() == 0
