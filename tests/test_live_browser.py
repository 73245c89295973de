"""The live view in a real browser: it grows under the reader's hands, and time goes on without a message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import peaky_peek as pp
from tests.bridge import Bridged, deliver, show_widget, until
from tests.test_views_browser import CUT_OFF, TOO_FAINT, page, settle

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from peaky_peek.store import Database
    from peaky_peek.widgets.live import LiveView

__all__ = ["page"]
HOSTILE = "<img src=x onerror='alert(1)'>\u202eevil " + "x" * 300


@pp.tool
def search_flights(query: str) -> list[str]:
    return []


@pytest.fixture
def run() -> Iterator[Any]:
    """A run that goes on."""
    context = pp.start_session("travel agent")
    search_flights("to Lisbon")
    yield context
    context.close()
    pp.uninstall()


@pytest.fixture
def shown(page: Page, tmp_path: Path) -> Iterator[list[LiveView]]:
    """Views that are closed in the end."""
    views: list[LiveView] = []
    yield views
    for view in views:
        view.close()


def show(page: Page, folder: Path, shown: list[LiveView], session: Any = None, **options: Any) -> LiveView:
    with Bridged():
        view = pp.live(session, expanded=options.pop("expanded", True))
    shown.append(view)
    show_widget(page, view, folder, **options)
    page.wait_for_function("window.kernelIdle()")
    return view


def flow(page: Page, view: LiveView) -> None:
    """Bring what has happened to the page."""
    view.follow()
    deliver(page, view)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def rows(page: Page) -> int:
    found: int = page.evaluate("view.__peek.visibleRows")
    return found


def test_the_tree_grows_and_the_clock_goes_on_without_a_message(
    run: Any, page: Page, tmp_path: Path, shown: list[LiveView]
) -> None:
    view = show(page, tmp_path, shown)
    assert rows(page) == 2
    run.record_llm_request("gpt-4o", [{"role": "user", "content": "What now?"}])
    flow(page, view)
    assert rows(page) == 3
    assert page.locator(".pp-live-now").inner_text() == "gpt-4o"
    clock = page.locator(".pp-live-clock")
    before = clock.inner_text()
    page.evaluate("() => { window.deliver = () => {}; }")  # nothing more arrives
    page.wait_for_function("before => document.querySelector('.pp-live-clock').textContent !== before", arg=before)
    assert clock.inner_text().endswith("s")


def test_it_asks_whether_it_is_a_loop_and_leads_to_what_shows_it(
    run: Any, page: Page, tmp_path: Path, shown: list[LiveView]
) -> None:
    view = show(page, tmp_path, shown)
    for _ in range(4):
        search_flights("to Lisbon")
    pp.events()
    flow(page, view)
    assert page.locator(".pp-live-loop").inner_text() == "loop x5?"
    page.locator(".pp-live-alert").click()
    until(page, lambda: view.selected)
    assert view.event is not None
    assert view.event.name == "search_flights"
    search_flights("to Porto")
    flow(page, view)
    assert not page.locator(".pp-live-loop").is_visible()
    assert page.locator(".pp-live-alert").count() == 1


def test_what_the_reader_did_stays_while_it_grows(run: Any, page: Page, tmp_path: Path, shown: list[LiveView]) -> None:
    with pp.trace_session("helper"):
        search_flights("to Rome")
        view = show(page, tmp_path, shown)
        view.selected = view._recording.steps["event_id"][1]
        flow(page, view)
        page.locator(".pp-canvas").focus()
        page.keyboard.press("End")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowLeft")  # folds the helper
        assert rows(page) == 3
        until(page, lambda: view.event is not None and view.event.name == "helper")
        search_flights("to Oslo")
        flow(page, view)
        assert rows(page) == 3, "what is folded stays folded"
        assert page.evaluate("view.__peek.view.selectedRows") == view._rows == [2]
    search_flights("to Bonn")
    flow(page, view)
    assert rows(page) == 4
    assert page.evaluate("view.__peek.rowRect(5).y > view.__peek.rowRect(2).y")


def test_it_stays_at_what_happens_now_until_the_reader_looks_elsewhere(
    run: Any, page: Page, tmp_path: Path, shown: list[LiveView]
) -> None:
    view = show(page, tmp_path, shown)
    button = page.get_by_role("button", name="Stay at what happens now")
    assert button.get_attribute("aria-pressed") == "true"
    for number in range(60):
        search_flights(f"page {number}")
    flow(page, view)
    assert page.evaluate("view.__peek.rowRect(61)") is not None
    page.locator(".pp-canvas").hover()
    page.mouse.wheel(0, -5_000)
    page.wait_for_function("view.__peek.rowRect(0)")
    assert button.get_attribute("aria-pressed") == "false"
    search_flights("one more")
    flow(page, view)
    assert page.evaluate("view.__peek.rowRect(62)") is None
    button.click()
    page.wait_for_function("view.__peek.rowRect(62)")


def test_a_folded_view_says_how_the_run_stands_and_unfolds_where_it_stands(
    run: Any, page: Page, tmp_path: Path, shown: list[LiveView]
) -> None:
    view = show(page, tmp_path, shown, expanded=False)
    run.record_llm_request("gpt-4o", [{"role": "user", "content": "What now?"}])
    flow(page, view)
    assert page.locator(".pp-live-now").inner_text() == "gpt-4o"
    assert not page.locator(".pp-canvas").is_visible()
    page.locator(".pp-title").click()
    page.wait_for_function("view.__peek.rowRect(2)")
    search_flights("to Porto")
    flow(page, view)
    assert rows(page) == 4


def test_another_run_can_be_chosen(run: Any, page: Page, tmp_path: Path, shown: list[LiveView]) -> None:
    pp.capture.context.CURRENT.set(None)
    with pp.trace_session("second"):
        view = show(page, tmp_path, shown)
        choice = page.get_by_label("Which run to follow")
        assert choice.locator("option").all_inner_texts() == ["second", "travel agent"]
        choice.select_option("travel agent")
        until(page, lambda: view.session and view.session.name == "travel agent")
        deliver(page, view)
        page.get_by_text("travel agent").first.wait_for()
    pp.capture.context.CURRENT.set(run._inside)


def test_it_says_that_the_run_has_ended_and_how(page: Page, tmp_path: Path, shown: list[LiveView]) -> None:
    context = pp.start_session("short")
    view = show(page, tmp_path, shown)
    search_flights("to Lisbon")
    context.close(ValueError("no"))
    flow(page, view)
    assert page.locator(".pp-live-state").inner_text() == "The run has failed."
    assert page.locator(".pp-badge").inner_text() == "✕ failed"
    assert rows(page) == 3


def test_where_nothing_runs_it_says_so(page: Page, tmp_path: Path, shown: list[LiveView]) -> None:
    with pp.trace_session("past"):
        search_flights("to Lisbon")
    view = show(page, tmp_path, shown)
    said = page.locator(".pp-start").inner_text()
    assert said.startswith("Nothing is running: run an agent in another cell or process and it appears here.")
    assert said.endswith("The last run was past (completed).")
    with pp.trace_session("now"):
        until(page, lambda: view.session)
        until(page, lambda: [deliver(page, view), page.evaluate("view.__peek.rowRect(0)")][1])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 800, 1600])
def test_a_hostile_run_stays_text_and_inside(
    page: Page, tmp_path: Path, shown: list[LiveView], *, width: int, dark: bool
) -> None:
    with pp.trace_session(HOSTILE) as context:
        view = show(page, tmp_path, shown, width=width, dark=dark)
        for _ in range(3):
            context.record_tool_call(HOSTILE, {"a": HOSTILE})
            context.record_tool_result(HOSTILE, error=HOSTILE)
        context.record_behavior_alert(HOSTILE, severity="critical", signal=HOSTILE)
        context.record_tool_call(HOSTILE, {"a": HOSTILE})
        pp.events()
        flow(page, view)
        settle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT_OFF) == []
        assert page.evaluate(TOO_FAINT) == []
        assert page.locator("#view img, #view script").count() == 0
        assert page.locator(".pp-live-alert").count() >= 2


def test_a_closed_view_stops_its_clock(run: Any, page: Page, tmp_path: Path, shown: list[LiveView]) -> None:
    page.add_init_script("""
        window.clocks = new Set();
        const [start, stop] = [window.setInterval, window.clearInterval];
        window.setInterval = (...given) => { const id = start(...given); clocks.add(id); return id; };
        window.clearInterval = (id) => { clocks.delete(id); stop(id); };
    """)
    view = show(page, tmp_path, shown)
    flow(page, view)
    assert page.evaluate("clocks.size") == 1
    page.evaluate("close_view()")
    until(page, lambda: not view._views)
    assert page.evaluate("[clocks.size, handlers()]") == [0, 0]


def test_a_hundred_thousand_steps_grow(store: Database, page: Page, tmp_path: Path, shown: list[LiveView]) -> None:
    from peaky_peek.events import AgentStart, Checkpoint
    from tests.recordings import Run

    run = Run("large")
    root = run.add(AgentStart, "root")
    for number in range(100_000):
        run.add(Checkpoint, f"step {number % 50}", root, label="x")
    run.save(store, status="running", root_session_id="large")
    view = show(page, tmp_path, shown, "large")
    assert rows(page) == 100_001
    run.events = [root]  # numbers go on
    added = run.add(Checkpoint, "one more", root, id="one more", label="x")
    run.events = [added]
    run.save(store, status="running", root_session_id="large")
    flow(page, view)
    page.wait_for_function("view.__peek.visibleRows === 100_002")
