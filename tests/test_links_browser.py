"""The tree as nodes and links in a real browser, with the real widget: what one sees, clicks and types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import peaky_peek as pp
from peaky_peek.widgets.tree import DecisionTree
from tests.bridge import Bridged, deliver, show_widget, until
from tests.refunds import Refund
from tests.test_views_browser import settle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from peaky_peek.store import Database

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


def shown(page: Page, store: Database, folder: Path, layout: str = "node-link") -> DecisionTree:
    with Bridged():
        tree = pp.tree(Refund("refund").save(store), layout=layout)
    show_widget(page, tree, folder)
    settle(page)
    if layout == "node-link":
        page.wait_for_function("view.__peek.rowRect(1).x > view.__peek.rowRect(0).x + 50")
    return tree


def row_of(tree: DecisionTree, name: str, kind: str) -> int:
    steps = tree._recording.steps
    return int(steps.index[(steps["name"] == name) & (steps["event_type"] == kind)][0])


def rect(page: Page, row: int) -> dict[str, float]:
    return page.evaluate("row => view.__peek.rowRect(row).toJSON()", row)


def test_what_a_decision_chose_stands_beside_it_and_the_alternatives_below(
    page: Page, tmp_path: Path, store: Database
) -> None:
    tree = shown(page, store, tmp_path)
    answer, decision, call = (row_of(tree, "get_order", kind) for kind in ("decision", "decision", "tool_call"))
    assert rect(page, call)["y"] == rect(page, decision)["y"]
    assert rect(page, call)["x"] > rect(page, decision)["x"]
    following = row_of(tree, "before refund", "checkpoint")
    assert rect(page, following)["y"] - rect(page, call)["y"] > 1.5 * rect(page, call)["height"], "a line is between"
    rects = [
        rect(page, row) for row in range(len(tree._recording)) if page.evaluate("r => view.__peek.rowRect(r)", row)
    ]
    for at, one in enumerate(rects):
        for other in rects[at + 1 :]:
            beside = one["right"] <= other["left"] + 0.5 or other["right"] <= one["left"] + 0.5
            assert beside or one["bottom"] <= other["top"] + 0.5 or other["bottom"] <= one["top"] + 0.5
    assert answer == decision


def test_a_click_selects_in_python_and_python_selects_in_the_picture(
    page: Page, tmp_path: Path, store: Database
) -> None:
    tree = shown(page, store, tmp_path)
    call = row_of(tree, "get_order", "tool_call")
    box = rect(page, call)
    page.mouse.click(box["x"] + 14, box["y"] + box["height"] / 2)
    until(page, lambda: tree.selected)
    assert tree.selected == tree._recording.event_ids([call])[0][:1]
    assert tree.chain["name"].tolist()[-1] == "get_order"
    page.locator(".pp-inspector").wait_for()
    before = page.locator(".pp-canvas").screenshot()
    tree.selected = tree._recording.event_ids([row_of(tree, "cashier", "agent_start")])[0][0]
    deliver(page, tree)
    settle(page)
    assert page.locator(".pp-canvas").screenshot() != before


def test_the_keyboard_walks_to_children_siblings_and_parents_and_switches_the_layout(
    page: Page, tmp_path: Path, store: Database
) -> None:
    tree = shown(page, store, tmp_path)
    said = page.locator("[role=treeitem]")
    page.locator("[role=tree]").focus()
    for key, name in [
        ("ArrowRight", "support v2"),
        ("ArrowDown", "gpt-5-mini"),
        ("ArrowRight", "find_customer, decision, instead of get_order, refund, issue_voucher"),
        ("ArrowRight", "find_customer, tool call, failed"),
        ("ArrowLeft", "find_customer, decision"),
        ("ArrowLeft", "gpt-5-mini"),
        ("ArrowUp", "support v2"),
        ("ArrowLeft", "refund_agent"),
        ("n", "find_customer, tool call, failed"),
    ]:
        page.keyboard.press(key)
        assert (said.text_content() or "").startswith(name)
    page.keyboard.press("Enter")
    page.locator(".pp-inspector").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("l")
    until(page, lambda: tree.drawn_as == "outline")
    page.wait_for_function("view.__peek.rowRect(1).x === view.__peek.rowRect(0).x")
    page.get_by_label("Outline or nodes and links (l)").click()
    until(page, lambda: tree.drawn_as == "node-link")


def test_the_layout_set_in_python_is_drawn_and_space_folds_what_is_inside(
    page: Page, tmp_path: Path, store: Database
) -> None:
    tree = shown(page, store, tmp_path, "outline")
    tree.drawn_as = "node-link"
    deliver(page, tree)
    page.wait_for_function("view.__peek.rowRect(1).x > view.__peek.rowRect(0).x + 50")
    page.locator("[role=tree]").focus()
    everything = page.evaluate("view.__peek.visibleRows")
    page.keyboard.press(" ")
    assert page.evaluate("view.__peek.visibleRows") == 1
    page.keyboard.press("ArrowRight")
    assert page.evaluate("view.__peek.visibleRows") == everything


@pytest.mark.parametrize("layout", ["outline", "node-link"])
def test_a_pointer_on_a_curve_is_told_what_says_so(page: Page, tmp_path: Path, store: Database, layout: str) -> None:
    tree = shown(page, store, tmp_path, layout)
    tree.selected = tree._recording.event_ids([row_of(tree, "get_order", "tool_call")])[0][0]
    deliver(page, tree)
    settle(page)
    titles = page.evaluate(
        """() => {
          const canvas = document.querySelector("#view canvas");
          const found = new Set();
          for (let y = 4; y < canvas.clientHeight; y += 3) for (let x = 4; x < 420; x += 3) {
            canvas.dispatchEvent(new PointerEvent("pointermove", {
              clientX: canvas.getBoundingClientRect().x + x, clientY: canvas.getBoundingClientRect().y + y,
            }));
            found.add(canvas.title);
          }
          return [...found];
        }"""
    )
    told = {"outline": "asked: the decision chose this call", "node-link": "context: repeats it word for word"}
    assert told[layout] in titles


def test_time_dims_what_had_not_begun_in_both_layouts(page: Page, tmp_path: Path, store: Database) -> None:
    tree = shown(page, store, tmp_path)
    for layout in ("node-link", "outline"):
        tree.drawn_as = layout
        tree.position = None
        deliver(page, tree)
        settle(page)
        before = page.locator(".pp-canvas").screenshot()
        tree.position = 4
        deliver(page, tree)
        settle(page)
        assert page.locator(".pp-canvas").screenshot() != before
        later = page.evaluate(
            "[...Array(view.__peek.visibleRows).keys()].filter(r => view.__peek.view.scene.isLater(r))"
        )
        order = tree._recording.event_order
        assert later == [
            row for row, one in enumerate(tree._recording.steps["event_id"]) if order.index(one) > tree.position
        ]


def test_a_drag_pans_a_key_zooms_and_another_shows_all(page: Page, tmp_path: Path, store: Database) -> None:
    shown(page, store, tmp_path)
    page.locator("[role=tree]").focus()
    for _ in range(4):
        page.keyboard.press("+")
    canvas = page.locator(".pp-canvas canvas").bounding_box()
    assert canvas
    before = rect(page, 0)
    page.mouse.move(canvas["x"] + 300, canvas["y"] + 200)
    page.mouse.down()
    page.mouse.move(canvas["x"] + 300, canvas["y"] + 190)
    page.mouse.move(canvas["x"] + 300, canvas["y"] + 175)
    page.mouse.up()
    assert rect(page, 0)["y"] < before["y"]
    assert page.evaluate("model.get('_rows')") in ([], [0]), "a drag is no click"
    page.keyboard.press("a")
    assert rect(page, 0)["height"] < before["height"]


def test_an_exported_page_draws_nodes_and_links_offline(page: Page, tmp_path: Path, store: Database) -> None:
    path = pp.tree(Refund("refund").save(store), layout="node-link").to_html(tmp_path / "out.html")
    page.goto(path.as_uri())
    # The page's policy forbids the eval with which Playwright waits.
    until(page, lambda: page.evaluate("document.querySelector('.pp-root')?.__peek.rowRect(1)?.x > 60"))
    assert page.locator(".pp-note").is_hidden(), "nothing was asked that the page cannot answer"
