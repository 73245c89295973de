"""The exported page: one file that opens anywhere, asks nothing of the network, and shows what was recorded as text."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from peaky_peek import store
from peaky_peek.events import AgentStart, Error, LLMRequest, LLMResponse, ToolCall, ToolResult
from peaky_peek.store.database import Database
from peaky_peek.widgets import _export
from peaky_peek.widgets.tree import DecisionTree
from tests.example_steps import example_events
from tests.recordings import Run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = (
    "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2><!--<script> "
    "\x1b[31mred\x1b[0m \u202eevil \x00 \udc80 ${window.hacked=3} javascript:alert(1)"
)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    yield store.use(tmp_path / "peek.db")
    store.use(None)


@pytest.fixture
def tree(db: Database) -> DecisionTree:
    run = Run("demo")
    run.events = sorted((event for step in example_events() for event in step), key=lambda event: event.position)
    run.save(db, name="refund_agent", status="failed", ended_at=run.start + 61_700_000)
    return DecisionTree()


def hostile_tree(db: Database) -> DecisionTree:
    """A session in which every text is an attack, one of them ten megabytes long."""
    run = Run("hostile")
    root = run.add(AgentStart, HOSTILE, input={HOSTILE: HOSTILE}, code=HOSTILE, agent=HOSTILE)
    ask = run.add(LLMRequest, HOSTILE, root, messages=[{"role": HOSTILE, "content": HOSTILE}], model=HOSTILE)
    run.add(LLMResponse, HOSTILE, ask, content=HOSTILE, tool_calls=[{"name": HOSTILE, "arguments": HOSTILE}])
    call = run.add(ToolCall, HOSTILE, root, tool_name=HOSTILE, arguments={"text": HOSTILE})
    run.add(ToolResult, HOSTILE, call, result=HOSTILE * 60_000)
    run.add(Error, HOSTILE, root, error_type=HOSTILE, error_message=HOSTILE, stack_trace=HOSTILE)
    run.save(db, name=HOSTILE, status="failed")
    return DecisionTree()


def embedded(html: str) -> dict[str, Any]:
    """What the page carries."""
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(data)


def test_the_page_is_written_in_one_step_and_its_path_returned(tree, tmp_path):
    path = tmp_path / "tree.html"
    path.write_text("the former one")
    assert tree.to_html(str(path)) == path
    assert path.read_text().startswith("<!doctype html>")
    assert [file.name for file in tmp_path.iterdir() if "tree.html" in file.name] == ["tree.html"]


def test_the_same_session_gives_the_same_page(tree, tmp_path):
    assert tree.to_html(tmp_path / "a.html").read_bytes() == DecisionTree().to_html(tmp_path / "b.html").read_bytes()


def test_a_folder_that_does_not_exist_is_an_error_and_leaves_nothing_behind(tree, tmp_path):
    with pytest.raises(FileNotFoundError):
        tree.to_html(tmp_path / "nowhere" / "tree.html")


def test_the_page_carries_all_answers_of_a_small_session(tree, tmp_path):
    data = embedded(tree.to_html(tmp_path / "tree.html").read_text())
    assert len(data["details"]) == len(data["previews"]) == 9
    assert "line\n" * 2_000 in data["more"].values()


def test_what_does_not_fit_is_left_out_failed_steps_last_and_the_page_says_so(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(_export, "DETAILS_LIMIT", 2_000)
    monkeypatch.setattr(_export, "MORE_LIMIT", 10)
    html = tree.to_html(tmp_path / "tree.html").read_text()
    data = embedded(html)
    assert "3" in data["details"], "the failed step comes first"
    assert 0 < len(data["details"]) < 9
    assert not data["more"]
    assert f"The contents of {9 - len(data['details'])} of 9 steps were left out" in html


def test_the_policy_forbids_everything_but_what_the_page_brings(tree, tmp_path):
    html = tree.to_html(tmp_path / "tree.html").read_text()
    assert "default-src 'none'" in html
    assert "unsafe" not in html.split("</head>")[0].split("<style>")[0]


def test_an_empty_store_can_be_exported_too(db, tmp_path):
    assert embedded(DecisionTree().to_html(tmp_path / "empty.html").read_text())["previews"] == []


def test_hostile_text_stays_inside_its_data(db, tmp_path):
    html = hostile_tree(db).to_html(tmp_path / "hostile.html").read_text()
    assert html.count("<script") == html.count("</script>") == 2
    assert "<img" not in html
    assert len(html) < 10_000_000, "a text of ten megabytes is not carried whole"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without a network that reports every fault and every request."""
    context = browser.new_context(offline=True, viewport={"width": 1100, "height": 800})
    page = context.new_page()
    page.faults = []  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.faults.append(str(error)))  # type: ignore[attr-defined]
    page.on("console", lambda line: page.faults.append(line.text) if line.type in ("error", "warning") else None)  # type: ignore[attr-defined]
    page.on("request", lambda request: page.faults.append(request.url) if not _is_own(request.url) else None)  # type: ignore[attr-defined]
    yield page
    context.close()


def _is_own(url: str) -> bool:
    return url.startswith(("file:", "blob:"))


def drawn(page: Page, path: Path) -> None:
    """Open an exported page and wait until its tree is painted."""
    page.goto(path.as_uri())
    until(page, "document.querySelector('.pp-root')?.__peek.firstPaintMs != null")


def until(page: Page, expression: str) -> None:
    """Wait until JavaScript says so; the page's own policy forbids Playwright to poll inside it."""
    deadline = time.monotonic() + 20
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(20)


def click(page: Page, row: int) -> None:
    rect = page.evaluate("row => document.querySelector('.pp-root').__peek.rowRect(row).toJSON()", row)
    page.mouse.click(rect["x"] + 60, rect["y"] + rect["height"] / 2)
    page.keyboard.press("Enter")


def test_the_page_draws_the_tree_offline_and_opens_a_step(page, tree, tmp_path):
    drawn(page, tree.to_html(tmp_path / "tree.html"))
    click(page, 1)
    page.get_by_text("The order is paid.").first.wait_for()
    page.get_by_text("3 earlier messages").click()
    page.get_by_text("You handle refunds.").wait_for()
    assert page.faults == []


def test_a_text_that_was_cut_is_shown_whole_on_request(page, tree, tmp_path):
    drawn(page, tree.to_html(tmp_path / "tree.html"))
    click(page, 6)
    page.get_by_role("button", name="show all 10,000 characters").click()
    until(page, "document.getElementById('widget').innerText.split('line').length > 1500")
    assert page.faults == []


def test_the_page_filters_by_words_and_marks(page, tree, tmp_path):
    drawn(page, tree.to_html(tmp_path / "tree.html"))
    for query, found in (("failed", "2 of 9"), ("refund -failed", None), ("tool:x", "filters by words")):
        page.get_by_role("searchbox").fill(query)
        if found:
            page.get_by_text(found).wait_for()
    assert page.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hostile_text_is_harmless_in_the_page(page, db, tmp_path, scheme):
    page.emulate_media(color_scheme=scheme)
    drawn(page, hostile_tree(db).to_html(tmp_path / "hostile.html"))
    for row in range(4):
        click(page, row)
        page.wait_for_timeout(100)
    assert page.evaluate("window.hacked") is None
    assert page.locator("#widget script, #widget img").count() == 0
    assert page.faults == []


def test_hostile_text_is_harmless_in_the_saved_table(page, db, tmp_path):
    html = hostile_tree(db)._repr_mimebundle_()[0]["text/html"]
    path = tmp_path / "table.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{html}")
    page.goto(path.as_uri())
    assert page.evaluate("window.hacked") is None
    assert page.locator("script, img").count() == 0
    assert "<script>window.hacked=1" in page.locator("table").inner_text()
    assert page.faults == []
