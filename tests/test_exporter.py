"""A saved notebook as one offline page with live widgets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import peaky_peek as pp
from peaky_peek import exporter
from peaky_peek.exporter import PeekExporter
from tests.refunds import Refund

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from peaky_peek.store import Database


def saved(widget: object) -> nbformat.NotebookNode:
    """A notebook whose cell shows the widget, as JupyterLab saves it."""
    data, metadata = widget._repr_mimebundle_()  # type: ignore[attr-defined]
    shown = new_output("execute_result", data, metadata=metadata, execution_count=1)
    return new_notebook(cells=[new_markdown_cell("# Why $x^2$?"), new_code_cell("pp.tree()", outputs=[shown])])


def test_the_page_has_live_widgets_and_asks_the_network_for_nothing(
    browser: Browser, tmp_path: Path, store: Database
) -> None:
    notebook = saved(pp.tree(Refund("refund").save(store)))
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    page_text, _ = PeekExporter().from_notebook_node(notebook)
    path = tmp_path / "page.html"
    path.write_text(page_text)
    asked: list[str] = []
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator(".pp-root canvas").wait_for()
    frame.locator(".pp-filter").fill("voucher")
    frame.get_by_text("of 19").wait_for()
    page.close()
    assert [url for url in asked if not url.startswith(("file:", "blob:", "about:"))] == []
    assert "application/vnd.jupyter.widget-view+json" in notebook.cells[1].outputs[0].data


def test_a_session_that_is_not_recorded_here_keeps_the_table_that_was_saved(store: Database) -> None:
    notebook = saved(pp.tree(Refund("refund").save(store)))
    notebook.cells[1].outputs[0].metadata["peaky_peek"]["arguments"] = ["gone"]
    page, _ = PeekExporter().from_notebook_node(notebook)
    assert "<iframe" not in page
    assert "find_customer" in page


@pytest.mark.parametrize(
    "source", [None, {"view": "delete", "arguments": ["refund"]}, {"view": "tree", "arguments": 1}]
)
def test_a_notebook_cannot_ask_for_anything_but_a_view(source: object, store: Database) -> None:
    notebook = saved(pp.tree(Refund("refund").save(store)))
    notebook.cells[1].outputs[0].metadata["peaky_peek"] = source
    page, _ = PeekExporter().from_notebook_node(notebook)
    assert "<iframe" not in page
    assert len(pp.sessions()) == 1


def test_every_view_can_be_exported() -> None:
    assert [view for view in exporter.VIEWS if not callable(getattr(pp, view))] == []
