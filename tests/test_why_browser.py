"""The failure card in a real browser: every face of it, in its own view and behind the Why button of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import peaky_peek as pp
from peaky_peek.events import AgentStart
from tests import tree_page
from tests.bridge import Bridged, deliver, show_widget, until
from tests.recordings import Run
from tests.refunds import Refund, hostile

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


def show(page: Page, widget: Any, folder: Path, **options: Any) -> Any:
    show_widget(page, widget, folder, **options)
    page.wait_for_function("view.__peek.firstPaintMs !== null")
    return widget


def why(page: Page, session: str, folder: Path, **options: Any) -> Any:
    with Bridged():
        card = pp.why(session)
    show(page, card, folder, **options)
    page.locator(".pp-card").wait_for()
    return card


def test_the_answer_reads_from_symptom_to_next_step_and_its_events_select(
    page: Page, tmp_path: Path, store: Database
) -> None:
    session = Refund("refund").save(store)
    card = why(page, session, tmp_path)
    found = pp.causes(session)
    assert page.locator(".pp-card").get_attribute("data-state") == "answer"
    assert "Symptom" in page.locator(".pp-symptom").inner_text()
    first = page.locator(".pp-cause").first
    assert found["mechanism"][0] in first.inner_text()
    assert f"{found['confidence'][0]} confidence" in first.inner_text()
    assert found["next_step"][0] in first.inner_text()
    assert found["against"][0] in first.inner_text()
    assert page.locator(".pp-cause").count() == min(len(found), 3)
    event = first.locator(".pp-event").first
    event.click()
    until(page, lambda: card.selected)
    assert event.get_attribute("aria-pressed") == "true"
    event.click()
    page.locator(".pp-inspector .pp-step").wait_for()
    assert card.event.name in page.locator(".pp-inspector .pp-step").inner_text()


def test_python_selects_and_the_card_marks_it(page: Page, tmp_path: Path, store: Database) -> None:
    session = Refund("refund").save(store)
    card = why(page, session, tmp_path)
    card.selected = card.frame["because"][0][0]["event_id"]
    deliver(page, card)
    page.locator(".pp-event[aria-pressed=true]").first.wait_for()
    assert page.evaluate("view.__peek.rowRect(model.get('_rows')[0]) !== null")


def test_the_keyboard_walks_the_card(page: Page, tmp_path: Path, store: Database) -> None:
    card = why(page, Refund("refund").save(store), tmp_path)
    page.evaluate("view.__peek.view.focus()")
    assert page.evaluate("document.activeElement.className") == "pp-event"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    assert page.locator(".pp-cause").first.get_attribute("open") is None
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    until(page, lambda: card.selected)
    page.keyboard.press("Enter")
    page.locator(".pp-inspector").wait_for()
    page.keyboard.press("Escape")
    page.locator(".pp-inspector").wait_for(state="hidden")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.className") == "pp-filter"


def test_a_run_that_went_well_is_all_clear(page: Page, tmp_path: Path, store: Database) -> None:
    run = Run("fine")
    run.add(AgentStart, "agent")
    why(page, run.save(store, outcome="pass"), tmp_path)
    assert page.locator(".pp-card").get_attribute("data-state") == "clear"
    assert page.locator(".pp-verdict").inner_text() == "All clear: no failures."


def test_what_nothing_explains_says_what_is_missing(page: Page, tmp_path: Path, store: Database) -> None:
    run = Run("bare")
    run.add(AgentStart, "agent")
    why(page, run.save(store, outcome="fail"), tmp_path)
    assert page.locator(".pp-card").get_attribute("data-state") == "unknown"
    assert "pp.label" in page.locator(".pp-missing").inner_text()


@pytest.mark.parametrize("width", [400, 800, 1600])
def test_hostile_texts_stay_texts(page: Page, tmp_path: Path, store: Database, width: int) -> None:
    session = hostile(store)
    pp.label(session, outcome="fail", note="<img src=x onerror=alert(1)>" * 20)
    why(page, session, tmp_path, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#view img, #view script").count() == 0


def test_the_why_button_of_the_tree_opens_the_card_and_follows_it(page: Page, tmp_path: Path, store: Database) -> None:
    with Bridged():
        tree = pp.tree(Refund("refund").save(store))
    show(page, tree, tmp_path)
    page.get_by_role("button", name="Why did it go wrong?").click()
    page.locator(".pp-panel .pp-cause").first.wait_for()
    assert page.get_by_role("button", name="Why did it go wrong?").get_attribute("aria-expanded") == "true"
    page.locator(".pp-panel .pp-cause .pp-event").first.click()
    selected = until(page, lambda: tree.selected)
    assert page.locator(".pp-panel .pp-event[aria-pressed=true]").count() > 0
    assert tree.selected == selected
    page.keyboard.press("Escape")
    page.locator(".pp-panel").wait_for(state="hidden")


def test_a_failed_step_is_asked_about_in_its_inspector(page: Page, tmp_path: Path, store: Database) -> None:
    with Bridged():
        tree = pp.tree(Refund("refund").save(store))
    show(page, tree, tmp_path)
    failed = int(tree._recording.steps.index[tree._recording.steps["failed"]][0])
    page.evaluate("view.__peek.view.focus()")
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    page.locator(".pp-inspector").get_by_role("button", name="What led to this").click()
    symptom = page.locator(".pp-panel .pp-symptom .pp-event")
    symptom.wait_for()
    assert symptom.get_attribute("data-row") == str(failed)
    ok = int(tree._recording.steps.index[~tree._recording.steps["failed"] & tree._recording.steps["suspect"].isna()][0])
    tree.selected = tree._recording.event_ids([ok])[0][0]
    deliver(page, tree)
    page.locator(".pp-inspector .pp-step", has_text=str(tree.event.name)).wait_for()
    assert page.locator(".pp-inspector").get_by_role("button", name="What led to this").count() == 0


def test_views_of_many_sessions_have_no_why_button(page: Page, tmp_path: Path, store: Database) -> None:
    Refund("refund").save(store)
    with Bridged():
        clusters = pp.clusters()
    show(page, clusters, tmp_path)
    assert page.locator(".pp-ask").is_hidden()


# A kernel that is played by the page: slow, gone, or with bad news.


def played(page: Page, folder: Path, **options: Any) -> None:
    path = folder / "played.html"
    title = {"name": "run", "status": "failed"}
    path.write_bytes(tree_page.html(tree_page.large(40), title=title, **options).encode())
    page.goto(path.as_uri())
    page.wait_for_function("window.tree?.__peek.firstPaintMs !== null")


def answer(page: Page, reply: str) -> None:
    page.evaluate(f"const request = sent.findLast((one) => one.type === 'why'); reply({reply})")


def test_while_the_kernel_looks_one_can_cancel_and_ask_again(page: Page, tmp_path: Path) -> None:
    played(page, tmp_path)
    ask = page.get_by_role("button", name="Why did it go wrong?")
    ask.click()
    card = page.locator(".pp-panel .pp-card")
    assert card.get_attribute("data-state") == "working"
    assert card.get_attribute("aria-busy") == "true"
    page.get_by_role("button", name="Stop looking").click()
    card.wait_for(state="hidden")
    facts = '{ state: "clear", says: "All clear.", events: [] }'
    shape = 'type: "packed", version: 1, kind: "why", columns: [], texts: []'
    answer(page, f"{{ {shape}, facts: {facts}, request }}")
    ask.click()
    page.wait_for_function("document.querySelector('.pp-card').dataset.state === 'working'")
    answer(page, f"{{ {shape}, facts: {facts}, request }}")
    page.wait_for_function("document.querySelector('.pp-card').dataset.state === 'clear'")


def test_a_locked_store_is_said_and_asked_again(page: Page, tmp_path: Path) -> None:
    played(page, tmp_path)
    page.get_by_role("button", name="Why did it go wrong?").click()
    answer(page, '{ type: "error", message: "peek.db is locked by another process.", request }')
    page.get_by_text("peek.db is locked by another process.").wait_for()
    assert page.locator(".pp-card").get_attribute("data-state") == "failed"
    page.get_by_role("button", name="Look for causes again").click()
    page.wait_for_function("document.querySelector('.pp-card').dataset.state === 'working'")
    assert page.evaluate("sent.filter((one) => one.type === 'why').length") == 2


def test_a_kernel_that_is_gone_is_said_and_an_answer_that_comes_late_is_shown(page: Page, tmp_path: Path) -> None:
    page.clock.install()
    played(page, tmp_path)
    page.get_by_role("button", name="Why did it go wrong?").click()
    page.clock.fast_forward(6_000)
    page.get_by_text("The kernel has not answered.").wait_for()
    assert page.get_by_role("button", name="Look for causes again").is_visible()


def test_what_is_no_longer_in_the_store_is_said(page: Page, tmp_path: Path) -> None:
    played(page, tmp_path)
    page.get_by_role("button", name="Why did it go wrong?").click()
    answer(
        page,
        '{ type: "packed", version: 1, kind: "why", columns: [], texts: [], request,'
        ' facts: { state: "not found", says: "No session is called refnd; the closest is refund." } }',
    )
    page.get_by_text("the closest is refund").wait_for()
    assert page.locator(".pp-card").get_attribute("data-state") == "not found"


def test_without_a_kernel_the_card_is_there_as_it_was_saved(page: Page, tmp_path: Path, store: Database) -> None:
    with Bridged():
        card = pp.why(Refund("refund").save(store))
    path = tmp_path / "saved.html"
    page_of = tree_page.html(
        card._recording.steps, bundle="why", kernel=False, outline=card._outline, title=card._title
    )
    path.write_bytes(page_of.encode())

    page.goto(path.as_uri())
    page.evaluate("(card) => model.set('_card', card)", card._card)
    page.locator(".pp-cause").first.wait_for()
    page.get_by_text("No kernel: showing the saved outline.").wait_for()


def test_an_exported_page_says_why_in_every_view(page: Page, tmp_path: Path, store: Database) -> None:
    session = Refund("refund").save(store)
    page.goto(pp.why(session).to_html(tmp_path / "why.html").as_uri())
    page.locator(".pp-cause").first.wait_for()
    page.goto(pp.tree(session).to_html(tmp_path / "tree.html").as_uri())
    page.get_by_role("button", name="Why did it go wrong?").click()
    page.locator(".pp-panel .pp-cause").first.wait_for()
