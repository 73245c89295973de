"""The replay of 100,000 events in a real browser: what travels, when it shows, and how it is scrubbed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from peaky_peek.widgets import _wire
from tests import browser, replay_page, tree_page
from tests.bench.table import Row, at_least, at_most

EVENTS = 100_000
SCRUB = """async (keys) => {
  const box = document.querySelector(".pp-tracks");
  const canvas = box.querySelector("canvas");
  const { width } = canvas.getBoundingClientRect();
  const send = (name, x) => canvas.dispatchEvent(new PointerEvent(name, { clientX: x, clientY: 0, button: 0 }));
  canvas.setPointerCapture = () => {};
  const left = canvas.getBoundingClientRect().x;
  const frame = () => new Promise(requestAnimationFrame);
  const key = (name) => box.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
  if (!keys) send("pointerdown", left + 150);
  await frame();
  const [times, steps] = [[], []];
  let before = performance.now();
  for (let at = 0; at < 90; at++) {
    const started = performance.now();
    if (keys) key(at % 2 ? "n" : "ArrowRight");
    else send("pointermove", left + 150 + (at % 45) * (width - 200) / 45);
    steps.push(performance.now() - started);
    await frame();
    times.push(performance.now() - before);
    before = performance.now();
  }
  canvas.dispatchEvent(new PointerEvent("lostpointercapture"));
  const { frameTimes } = document.querySelector(".pp-root").__peek;
  const draws = frameTimes.slice(-90);
  const sorted = (all) => all.toSorted((a, b) => a - b);
  return { times: sorted(times), steps: sorted(steps), draws: sorted(draws) };
}"""


def rows() -> Iterator[Row]:
    """Yield the contract's rows about the replay in the browser."""
    frame, order = replay_page.session(EVENTS, 7)
    sent = replay_page.extras(frame, order, folded=500)
    buffers = [*_wire.columns(frame)[1], *(buffer for _, more in sent for buffer in more)]
    size = sum(map(len, buffers))
    yield at_most(f"replay: bytes sent for {EVENTS:,} events, for each", size / EVENTS, 20, " B")
    yield at_most("the same in all", size / 1e6, 2, " MB")
    for kind in ("js", "css"):
        bundle = (tree_page.STATIC / f"replay.{kind}").stat().st_size
        yield at_most(f"bundle of the replay, {kind}", bundle / 1024, 60, " KB")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find(), args=list(browser.FLAGS))
        page = chromium.new_page(viewport={"width": 1200, "height": 800})
        replay_page.show(page, frame, sent, Path(folder))
        first = page.evaluate("tree.__peek.firstPaintMs") / 1000
        yield at_most("first paint after the columns arrived", first, 1, " s")
        yield from _scrub(page, "scrubbing with the mouse, all in view", keys=False)
        yield from _scrub(page, "stepping with the keys, zoomed in", keys=True)
        chromium.close()


def _scrub(page: Page, what: str, *, keys: bool) -> Iterator[Row]:
    if keys:
        for _ in range(14):
            page.locator(".pp-tracks").press("+")
    found = page.evaluate(SCRUB, keys)
    middle = {name: times[len(times) // 2] for name, times in found.items()}
    step = middle["steps"] + middle["draws"]
    slowest = found["steps"][-5] + found["draws"][-5]
    yield at_most(f"{what}: a step, handled and drawn", step, 33, " ms", f" (95 of 100: {slowest:.1f} ms)")
    yield at_least(f"{what}: frames a second at the median", 1000 / middle["times"], 30, "/s")
