"""The widgets in marimo, another notebook: they are drawn, and what is clicked is a value in another cell."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.frameworks import environments
from tests.refunds import Refund

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from peaky_peek.store import Database

APP = """
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import peaky_peek as pp
    widget = pp.{view}()
    view = mo.ui.anywidget(widget)
    view
    return mo, pp, view, widget


@app.cell
def _(mo, view, widget):
    view.value
    mo.md(f"selected: {{widget.selected}}, position: {{widget.position}}")
    return
"""
PATIENCE = 60


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path, store: Database) -> Iterator[str]:
    """Where marimo serves a notebook with one view in it."""
    Refund("refund").save(store)
    app = tmp_path / "app.py"
    app.write_text(APP.format(view=request.getfixturevalue("view")))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = os.environ | {
        "PYTHONPATH": str(environments.ROOT), "PEAKY_PEEK_DB": str(store.path), "HOME": str(tmp_path),
        "MARIMO_SKIP_UPDATE_CHECK": "1",
    }  # fmt: skip
    command = [
        environments.python("marimo"),
        "-m",
        "marimo",
        "run",
        app,
        "--headless",
        "--no-token",
        "--port",
        str(port),
    ]
    with subprocess.Popen(
        command, env=told, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            yield _until_it_answers(f"http://127.0.0.1:{port}")
        finally:
            server.terminate()


def _until_it_answers(address: str) -> str:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"{address}/health"):
                return address
        except OSError:
            assert time.monotonic() < end, "marimo did not start"
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("view", "inside", "value"),
    [("tree", 120, "selected: ['refund-5'], position: None"), ("replay", 4, "selected: [], position: 5")],
)
def test_a_view_is_drawn_and_what_is_clicked_is_a_value_in_another_cell(
    browser: Browser, address: str, view: str, inside: int, value: str
) -> None:
    page = browser.new_page()
    page.goto(address)
    root = page.locator(".pp-root")
    root.locator("canvas").first.wait_for(timeout=PATIENCE * 1000)
    page.wait_for_function("root => root.__peek.rowRect(4)", arg=root.element_handle())
    rect = root.evaluate("root => root.__peek.rowRect(4).toJSON()")
    page.mouse.click(rect["x"] + inside, rect["y"] + rect["height"] / 2)
    page.get_by_text(value).wait_for()
    page.close()
