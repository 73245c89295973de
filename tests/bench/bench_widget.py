"""The tree of 100,000 steps in a real browser: what travels, when it shows, and how it scrolls."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import Page, sync_playwright

from peaky_peek.widgets import _wire
from tests import browser, tree_page
from tests.bench.table import Row, at_least, at_most

STEPS = 100_000
SCROLL = """async () => {
  const wheel = (y) => document.querySelector("#tree canvas")
    .dispatchEvent(new WheelEvent("wheel", { deltaY: y, bubbles: true, cancelable: true }));
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  const times = [];
  let before = performance.now();
  for (let at = 0; at < 90; at++) {
    wheel(at % 30 < 15 ? 900 : -500);
    await frame();
    times.push(performance.now() - before);
    before = performance.now();
  }
  return times.sort((a, b) => a - b);
}"""


def rows() -> Iterator[Row]:
    """Yield the contract's rows about the tree in the browser."""
    frame = tree_page.large(STEPS)
    _, buffers = _wire.columns(frame)
    size = sum(memoryview(buffer).nbytes for buffer in buffers)
    yield at_most(f"bytes sent for {STEPS:,} steps, for each", size / STEPS, 20, " B")
    yield at_most("the same in all", size / 1e6, 2, " MB")
    forked = size + sum(len(buffer) for buffer in _forks(frame)[1])
    yield at_most("the same with the forks of a node-link tree, for each", forked / STEPS, 20, " B")
    bundle = (tree_page.STATIC / "tree.js").stat().st_size + (tree_page.STATIC / "tree.css").stat().st_size
    yield at_most("bundle of the tree, script and styles", bundle / 1024, 60, " KB")
    links = (tree_page.STATIC / "links.js").stat().st_size
    yield at_most("the script that draws nodes and links, sent when asked for", links / 1024, 60, " KB")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find(), args=list(browser.FLAGS))
        for layout, extras in (("outline", []), ("node-link", [_forks(frame)])):
            path = Path(folder) / "tree.html"
            path.write_bytes(tree_page.html(frame, extras=extras, layout=layout).encode())
            page = chromium.new_page(viewport={"width": 1200, "height": 800})
            page.goto(path.as_uri())
            page.wait_for_function("window.tree && tree.__peek.firstPaintMs !== null")
            first = page.evaluate("tree.__peek.firstPaintMs") / 1000
            yield at_most(f"{layout}: first paint after the columns arrived", first, 1, " s")
            yield _scroll(page, f"{layout}: scrolling")
            for _ in range(12):
                page.locator("[role=tree]").press("-")
            yield _scroll(page, f"{layout}: scrolling zoomed out, all steps in view or nearly")
            page.close()
        chromium.close()


def _forks(frame: pd.DataFrame) -> _wire.Message:
    """Three alternatives to every decision."""
    row = np.flatnonzero(frame["event_type"] == "decision")
    none, count = np.zeros(len(row), np.uint16), np.full(len(row), 3, np.uint8)
    columns = {"row": row.astype(np.int32), "chosen": none, "asked": none, "count": count, "list": none}
    return _wire.packed("forks", columns=columns, texts={"lists": ["search\nask\nwait"]})


def _scroll(page: Page, what: str) -> Row:
    times = page.evaluate(SCROLL)
    draws = sorted(page.evaluate("tree.__peek.frameTimes.slice(-90)"))
    note = f" (draw {draws[len(draws) // 2]:.1f} ms)"
    return at_least(f"{what}: frames a second at the median", 1000 / times[len(times) // 2], 30, "/s", note)
