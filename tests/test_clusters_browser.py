"""The list of clusters in a real browser: what users see of it, and what their clicks and keys do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import peaky_peek as pp
from peaky_peek.events import AgentStart, PolicyViolation
from peaky_peek.store import Database
from tests.bridge import Bridged, deliver, show_widget, until
from tests.recordings import START, Run
from tests.test_clusters import DAY, fail

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in which a script error or a request fails the test."""
    problems: list[str] = []
    context = browser.new_context()
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: problems.append(request.url) if request.url.startswith("http") else None)
    yield page
    context.close()
    assert problems == []


@pytest.fixture
def shop(store: Database) -> Database:
    """Twelve runs: orders that are not found in all, timeouts in a few, and a policy broken lately."""
    for number in range(12):
        errors = [f"order A-{number} not found"]
        errors += [f"TimeoutError: no answer in {number} s"] if number % 4 == 0 else []
        fail(store, f"run {number}", *errors, day=number, agent="planner" if number % 2 else "critic")
    run = Run("late", START + 12 * DAY)
    root = run.add(AgentStart, "late")
    run.add(PolicyViolation, "budget", root, policy_name="budget", severity="critical", details="840 EUR over")
    run.save(store)
    return store


def show(page: Page, folder: Path, q: Any = None, **options: Any) -> Any:
    with Bridged():
        widget = pp.clusters(q)
    show_widget(page, widget, folder, **options)
    page.wait_for_function("view.__peek.firstPaintMs !== null || view.classList.contains('pp-empty')")
    return widget


def clusters(page: Page) -> Locator:
    return page.locator(".pp-cluster:not(.pp-labels)")


def reading(page: Page) -> str:
    """What a screen reader says of the row that the keyboard is at."""
    return page.evaluate(
        """() => {
          const at = document.getElementById(view.querySelector("[role=tree]").getAttribute("aria-activedescendant"));
          return at.ariaLabel ?? at.textContent;
        }"""
    )


def test_the_worst_comes_first_with_how_bad_how_often_and_since_when(
    page: Page, tmp_path: Path, shop: Database
) -> None:
    show(page, tmp_path, width=1600)
    first = clusters(page).nth(0)
    assert "critical" in first.inner_text()
    assert first.locator(".pp-cluster-name").inner_text() == "budget: policy_violation: … EUR over"
    second = clusters(page).nth(1)
    assert second.locator(".pp-size").inner_text().strip() == "12"
    assert second.locator(".pp-runs").inner_text() == "12 of 13 runs"
    assert second.locator(".pp-trend").inner_text() == "→ steady"
    assert second.locator(".pp-sparkline rect:not(.pp-none)").count() == 12
    assert clusters(page).nth(2).locator(".pp-infrastructure").inner_text() == "infrastructure"


@pytest.mark.parametrize("width", [800, 1000, 1250, 1600])
def test_what_failed_has_the_room_before_how_often(width: int, page: Page, tmp_path: Path, shop: Database) -> None:
    show(page, tmp_path, width=width)
    name = clusters(page).first.locator(".pp-wide").bounding_box()
    assert name is not None
    assert name["width"] > 360


def test_a_click_selects_the_failures_for_python_and_opens_the_representative(
    page: Page, tmp_path: Path, shop: Database
) -> None:
    widget = show(page, tmp_path)
    tree = pp.tree("run 7")
    clusters(page).nth(1).click()
    until(page, lambda: len(widget.selected) == 12)
    assert tree.selected == ["run 7-2"]
    assert widget.selected_events["tool_name"].unique().tolist() == ["search"]
    page.locator(".pp-inspector .pp-error").wait_for()
    assert "the representative of 12 failures" in page.locator(".pp-inspector").inner_text()


def test_a_row_opens_to_why_it_is_one_and_to_its_failures(page: Page, tmp_path: Path, shop: Database) -> None:
    widget = show(page, tmp_path)
    clusters(page).nth(1).locator(".pp-chevron").click()
    assert "same tool (search); same message once ids" in page.locator(".pp-why").inner_text()
    page.wait_for_function("view.querySelector('.pp-said').textContent.endsWith('order A-11 not found')")
    assert page.locator(".pp-failure").count() == 12
    page.locator(".pp-failure").nth(2).click()
    assert until(page, lambda: widget.selected) == ["run 9-2"]


def test_what_python_selects_is_shown(page: Page, tmp_path: Path, shop: Database) -> None:
    widget = show(page, tmp_path)
    widget.selected = ["run 3-2"]
    deliver(page, widget)
    row = page.locator(".pp-failure[aria-selected=true]")
    row.wait_for()
    assert row.locator(".pp-session").inner_text() == "run 3"


def test_the_keyboard_walks_opens_renames_and_merges(page: Page, tmp_path: Path, shop: Database) -> None:
    widget = show(page, tmp_path)
    page.locator("[role=tree]").focus()
    page.keyboard.press("End")
    assert reading(page).startswith(
        "search: TimeoutError: no answer in … s, severity medium, infrastructure, 3 failures"
    )
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    assert page.locator(".pp-failure").count() == 12
    page.keyboard.press("ArrowRight")
    assert "run 11" in reading(page)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.locator(".pp-failure").count() == 0
    page.keyboard.press("r")
    page.keyboard.type("Lost orders")
    page.keyboard.press("Enter")
    until(page, lambda: "Lost orders" in widget.frame["name"].tolist())
    page.get_by_text("Lost orders").wait_for()
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("m")
    until(page, lambda: len(widget.frame) == 2)
    page.wait_for_function("view.__peek.view.total === 2")
    page.keyboard.press("Enter")
    page.locator(".pp-inspector:not([hidden])").wait_for()
    page.keyboard.press("Escape")
    page.locator(".pp-inspector").wait_for(state="hidden")


def test_a_cluster_is_split_by_what_tells_its_failures_apart(page: Page, tmp_path: Path, shop: Database) -> None:
    widget = show(page, tmp_path)
    clusters(page).nth(1).click()
    page.keyboard.press("s")
    page.locator(".pp-chooser").get_by_text("agent (2)").click()
    until(page, lambda: len(widget.frame) == 4)
    page.get_by_text("planner · search: order … not found").wait_for()
    clusters(page).nth(0).click()
    page.locator("[aria-label='Split (s)']").click()
    page.get_by_text("nothing splits it").wait_for()


def test_merging_one_says_how_to_select_more(page: Page, tmp_path: Path, shop: Database) -> None:
    show(page, tmp_path)
    page.locator("[aria-label^='Merge']").click()
    page.get_by_text("Select the clusters to merge").wait_for()


def test_a_filter_shows_how_many_of_each_pass(page: Page, tmp_path: Path, shop: Database) -> None:
    widget = show(page, tmp_path, width=1600)
    page.locator(".pp-filter").fill("agent:critic")
    until(page, lambda: widget.filter == "agent:critic")
    page.wait_for_function("view.querySelector('.pp-matches').textContent.startsWith('2 of 3')")
    assert clusters(page).count() == 2
    assert clusters(page).nth(0).locator(".pp-size").inner_text().strip() == "6 of 12"
    page.locator(".pp-filter").fill("tol:x")
    page.get_by_text("there is no key 'tol:'").wait_for()


def test_no_failure_is_good_news(page: Page, tmp_path: Path, store: Database) -> None:
    with pp.trace_session("fine"):
        pass
    show(page, tmp_path)
    page.get_by_text("Nothing failed in 1 run.").wait_for()


def test_without_a_kernel_the_saved_clusters_are_listed_in_words(page: Page, tmp_path: Path, shop: Database) -> None:
    with Bridged():
        widget = pp.clusters()
    widget.comm.hear = lambda data: "[]"  # nobody answers
    show_widget(page, widget, tmp_path)
    page.get_by_text("No kernel: showing the saved outline.").wait_for()
    assert "medium · 12 failures · 12 of 13 runs · steady" in clusters(page).nth(1).inner_text()


def test_many_clusters_are_shown_in_portions(page: Page, tmp_path: Path, store: Database) -> None:
    run = Run("many")
    root = run.add(AgentStart, "many")
    letters = "abcdefghijklmnop"
    for one in letters:
        for other in letters:
            run.add(PolicyViolation, "p", root, policy_name=f"{one}{other}", severity="low", details=f"{one}{other}")
    run.save(store)
    show(page, tmp_path)
    assert clusters(page).count() == 200
    page.get_by_text("… 56 more clusters").click()
    assert clusters(page).count() == 256
