"""The timeline in a real browser: its picture, its keys, and how it moves with Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import peaky_peek as pp
from peaky_peek.widgets import _wire
from tests import tree_page
from tests.bridge import Bridged, deliver, show_widget, until
from tests.refunds import Refund

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from peaky_peek.store import Database

RED = """() => {
  const canvas = tree.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height - 40);
  let red = 0;
  for (let at = 0; at < data.length; at += 4) red += data[at] > 180 && data[at + 1] < 60 && data[at + 2] < 70;
  return red;
}"""
"""How many pixels of the lanes have the colour of a failure."""


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
        line = pp.timeline(session)
    show_widget(page, line, folder, **options)
    page.wait_for_function("view.__peek.firstPaintMs !== null")
    return line


def spread(n: int, agents: int = 8) -> _wire.Message:
    """What draws a timeline of `n` steps of many agents, one after the other."""
    columns = {
        "began": np.linspace(0, n * 40, n).astype("<f4"),
        "lane": (np.arange(n) // 50 % agents).astype("u1"),
        "order": np.arange(n, dtype="<i4"),
        "handed": np.arange(50, n, 50, dtype="<i4"),
        "from": (np.arange(50, n, 50) // 50 % agents).astype("<u2"),
        "to": ((np.arange(50, n, 50) // 50 + 1) % agents).astype("<u2"),
    }
    return _wire.packed("lanes", columns=columns, texts={"lanes": [f"agent {number}" for number in range(agents)]})


def crowd(n: int) -> pd.DataFrame:
    """So many steps, one of them failed."""
    frame = tree_page.large(n)
    frame["failed"] = False
    frame.loc[n // 3, "failed"] = True
    frame["duration_ms"] = 30.0
    return frame


def open_page(page: Page, frame: pd.DataFrame, folder: Path) -> None:
    path = folder / "timeline.html"
    path.write_bytes(tree_page.html(frame, bundle="timeline", extras=[spread(len(frame))]).encode())
    page.goto(path.as_uri())
    page.wait_for_function("window.tree?.__peek.firstPaintMs !== null")


def read_aloud(page: Page) -> str:
    return page.locator("[role=option]").inner_text()


def test_the_keyboard_steps_through_time_and_from_lane_to_lane(page: Page, tmp_path: Path, store: Database) -> None:
    line = show(page, Refund("refund").save(store), tmp_path)
    page.locator("[role=listbox]").focus()
    page.keyboard.press("Home")
    assert "at 0" in read_aloud(page)
    page.keyboard.press("ArrowDown")
    first = read_aloud(page)
    page.keyboard.press("ArrowRight")
    assert read_aloud(page) != first
    page.keyboard.press("ArrowLeft")
    assert read_aloud(page) == first
    page.keyboard.press("Home")
    page.keyboard.press("n")
    assert "find_customer, tool call, failed" in read_aloud(page)
    until(page, lambda: line.event and line.event.name == "find_customer")
    page.keyboard.press("Enter")
    page.locator(".pp-inspector .pp-step", has_text="find_customer").wait_for()
    page.keyboard.press("Escape")
    page.locator(".pp-inspector").wait_for(state="hidden")
    page.keyboard.press("/")
    page.keyboard.type("failed")
    until(page, lambda: line.filter == "failed")
    page.wait_for_function("view.__peek.visibleRows < 5")


def test_a_click_selects_and_reads_and_a_click_on_the_axis_moves_time(
    page: Page, tmp_path: Path, store: Database
) -> None:
    session = Refund("refund").save(store)
    line = show(page, session, tmp_path)
    row = line._recording.rows_of(pp.tool_calls(session).query("name == 'issue_voucher'")["event_id"])[0]
    rect = page.evaluate(f"view.__peek.rowRect({row})")
    page.mouse.click(rect["x"] + 4, rect["y"] + 7)
    until(page, lambda: line.selected)
    assert line.event.name == "issue_voucher"
    page.locator(".pp-inspector .pp-step", has_text="issue_voucher").wait_for()
    page.keyboard.press("Escape")
    box = page.locator("#view canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] - 40, box["y"] + 8)
    late = until(page, lambda: line.position)
    page.mouse.click(box["x"] + 250, box["y"] + 8)
    until(page, lambda: line.position != late)
    assert line.position < late
    line.position = None
    deliver(page, line)
    assert page.evaluate("model.get('_position')") == -1


def test_what_python_selects_is_brought_into_view_of_a_timeline_that_is_zoomed(
    page: Page, tmp_path: Path, store: Database
) -> None:
    session = Refund("refund").save(store)
    line = show(page, session, tmp_path)
    page.locator("[role=listbox]").focus()
    page.keyboard.press("Home")
    until(page, lambda: line.selected)  # or it would come after what Python selects
    for _ in range(12):
        page.keyboard.press("+")
    last = line._recording.steps.index[-1]
    assert page.evaluate(f"view.__peek.rowRect({last})") is None
    line.selected = line._recording.event_ids([last])[0][:1]
    deliver(page, line)
    page.wait_for_function(f"view.__peek.rowRect({last}) !== null")
    page.keyboard.press("0")
    page.wait_for_function("view.__peek.rowRect(0) !== null")


def test_pauses_are_shortened_when_asked_for(page: Page, tmp_path: Path) -> None:
    n = 40
    frame = crowd(n)
    message, buffers = spread(n, 2)
    began = np.linspace(0, n * 40, n).astype("<f4")
    began[20:] += 60_000
    path = tmp_path / "pauses.html"
    extras = [(message, [began.tobytes(), *buffers[1:]])]
    path.write_bytes(tree_page.html(frame, bundle="timeline", extras=extras).encode())
    page.goto(path.as_uri())
    page.wait_for_function("window.tree?.__peek.firstPaintMs !== null")
    before = page.evaluate("tree.__peek.rowRect(10).width")
    page.get_by_label("Shorten pauses (g)").click()
    assert page.evaluate("tree.__peek.rowRect(10).width") > 3 * before
    assert page.get_by_label("Shorten pauses (g)").get_attribute("aria-pressed") == "true"


def test_of_a_hundred_thousand_steps_the_one_that_failed_is_seen(page: Page, tmp_path: Path) -> None:
    n = 100_000
    open_page(page, crowd(n), tmp_path)
    assert page.evaluate(RED) > 20
    page.locator("[role=listbox]").focus()
    page.keyboard.press("n")
    page.wait_for_function(f"model.get('_rows')[0] === {n // 3}")
    for _ in range(40):
        page.keyboard.press("+")
    assert page.evaluate(f"tree.__peek.rowRect({n // 3}).width") > 10
    assert page.evaluate(RED) > 20
    page.evaluate("cleanup()")
    assert page.evaluate("handlers()") == 0


def test_without_a_kernel_the_saved_steps_follow_each_other(page: Page, tmp_path: Path, store: Database) -> None:
    line = pp.timeline(Refund("refund").save(store))
    path = tmp_path / "saved.html"
    page_html = tree_page.html(tree_page.steps([]), kernel=False, bundle="timeline", outline=line._outline)
    path.write_bytes(page_html.encode())
    page.goto(path.as_uri())
    page.get_by_text("No kernel: showing the saved outline.").wait_for()
    assert page.evaluate("tree.__peek.rowRect(3)") is not None


def test_the_mouse_zooms_pans_and_moves_the_view_on_the_strip(page: Page, tmp_path: Path) -> None:
    open_page(page, crowd(400), tmp_path)
    box = page.locator("#tree canvas").bounding_box()
    assert box is not None
    middle = box["x"] + 0.6 * box["width"]
    page.mouse.move(middle, box["y"] + 40)
    page.keyboard.down("Control")
    for _ in range(3):
        page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_function("tree.__peek.rowRect(0) === null")
    page.mouse.click(box["x"] + 150, box["y"] + box["height"] - 10)
    page.wait_for_function("tree.__peek.rowRect(0) !== null")
    before = page.evaluate("tree.__peek.rowRect(10).x")
    page.mouse.move(middle, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(middle - 40, box["y"] + 60, steps=4)
    page.mouse.up()
    page.wait_for_function(f"tree.__peek.rowRect(10).x < {before - 20}")
    assert page.evaluate("model.get('_rows')") == []
