"""What holds for every view: it fits, it can be read, it survives what it is given, and it leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import peaky_peek as pp
from peaky_peek import store as stores
from peaky_peek.events import AgentStart
from tests import pictures
from tests.bridge import Bridged, deliver, show_widget, until
from tests.recordings import Run
from tests.refunds import Refund, hostile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from peaky_peek.store import Database

Make = Callable[[Any], Any]


def diff(session: Any) -> Any:
    """The run beside one that went well, any other beside itself."""
    other = Refund("well", succeeds=True).save(stores.current()) if session == "refund" else session
    return pp.diff(session, other)


VIEWS: dict[str, Make] = {
    "diff": diff,
    "flow": lambda session: pp.diff([session] if session else []),
    "search": lambda session: pp.search("refund").view,
    "clusters": pp.clusters,
    "debugger": pp.debugger,
    "tree": pp.tree,
    "live": pp.live,
    "why": pp.why,
    "node-link": lambda session: pp.tree(session, layout="node-link"),
    "conversation": pp.conversation,
    "timeline": pp.timeline,
    "safety": pp.safety,
    "replay": pp.replay,
}
"""How each view of a session is made."""
READY = "!view.__peek || view.__peek.firstPaintMs !== null || view.classList.contains('pp-empty')"

every_view = pytest.mark.parametrize("name", VIEWS)

CUT_OFF = """
() => [...document.querySelectorAll(".pp-root *")].filter((one) => {
  const style = getComputedStyle(one);
  if (!one.checkVisibility() || one.closest(".pp-reader, svg, canvas") || !one.textContent.trim()) return false;
  const clips = (side, size, room) =>
    style[`overflow${side}`] === "hidden" && style.textOverflow !== "ellipsis" && size > room + 1;
  return clips("X", one.scrollWidth, one.clientWidth) || clips("Y", one.scrollHeight, one.clientHeight);
}).map((one) => `${one.className}: ${one.textContent.slice(0, 60)}`)
"""
"""Elements that hide a part of their text without saying so."""

TOO_FAINT = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (layers) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const layer of layers) { canvas.fillStyle = layer; canvas.fillRect(0, 0, 1, 1); }
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    const said = walker.currentNode.textContent.trim();
    if (!said || !one.checkVisibility() || one.closest("script, style, .pp-reader, :disabled")) continue;
    const grounds = [];
    let faded = 1;
    for (let up = one; up; up = up.parentElement) {
      grounds.unshift(getComputedStyle(up).backgroundColor);
      faded *= Number(getComputedStyle(up).opacity);
    }
    const ground = over(grounds);
    canvas.globalAlpha = faded;
    canvas.fillStyle = getComputedStyle(one).color;
    canvas.fillRect(0, 0, 1, 1);
    canvas.globalAlpha = 1;
    const [light, dark] = [luminance(canvas.getImageData(0, 0, 1, 1).data), luminance(ground)].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(1)} ${one.className}: ${said.slice(0, 40)}`);
  }
  return found;
}
"""
"""Texts that have a contrast below 4.5 to what is behind them."""


ON_CANVAS = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const style = getComputedStyle(document.querySelector(".pp-root"));
  const color = (name) => style.getPropertyValue(`--pp-${name}`);
  const dark = style.colorScheme === "dark";
  const washes = { none: 0, accent: dark ? 0.18 : 0.12, risk: 0.06 };
  const draw = (wash, strength, ink) => {
    canvas.globalAlpha = 1;
    canvas.fillStyle = color("background");
    canvas.fillRect(0, 0, 1, 1);
    canvas.globalAlpha = strength;
    canvas.fillStyle = color(wash);
    if (strength) canvas.fillRect(0, 0, 1, 1);
    canvas.globalAlpha = 1;
    canvas.fillStyle = ink ? color(ink) : "transparent";
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((c) => c / 255)
      .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  };
  const written = ["text", "dim", "suspect", "risk"];
  const families = ["session", "llm", "tool", "decision", "checkpoint"];
  const inks = { none: [...written, ...families], accent: written, risk: written };
  return Object.entries(washes).flatMap(([wash, strength]) => inks[wash].map((ink) => {
    const [light, dark] = [draw(wash, strength, ink), draw(wash, strength)].sort((a, b) => b - a);
    return [`${ink} on ${wash}`, (light + 0.05) / (dark + 0.05)];
  })).filter(([, contrast]) => contrast < 4.5).map(([pair, contrast]) => `${pair}: ${contrast.toFixed(2)}`);
}
"""
"""Colours of the theme that a canvas writes with, and cannot be read on what it writes on."""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in which a script error, a request or a dialog fails the test."""
    problems: list[str] = []
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on("dialog", lambda dialog: problems.append(f"dialog {dialog.message}"))
    page.on("request", lambda request: problems.append(request.url) if request.url.startswith("http") else None)
    yield page
    context.close()
    assert problems == []


def show(page: Page, name: str, session: str, folder: Path, **options: Any) -> Any:
    """Draw the view of a session; returns the widget."""
    with Bridged():
        widget = VIEWS[name](session)
    show_widget(page, widget, folder, **options)
    settle(page)
    return widget


def settle(page: Page) -> None:
    """Wait until everything that was asked for is there."""
    page.wait_for_function(READY)
    page.wait_for_function("window.kernelIdle()")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@every_view
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 800, 1600])
def test_it_fits_and_can_be_read(
    name: str, page: Page, tmp_path: Path, store: Database, *, width: int, dark: bool
) -> None:
    show(page, name, Refund("refund").save(store), tmp_path, dark=dark, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate(TOO_FAINT) == []
    if width == 800:
        pictures.compare(page.locator("#view").screenshot(), f"{name}-{'dark' if dark else 'light'}", tmp_path)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_what_a_canvas_writes_can_be_read(page: Page, tmp_path: Path, store: Database, *, dark: bool) -> None:
    show(page, "tree", Refund("refund").save(store), tmp_path, dark=dark)
    assert page.evaluate(ON_CANVAS) == []


@every_view
def test_an_empty_store_says_how_to_begin(name: str, page: Page, tmp_path: Path, store: Database) -> None:
    with Bridged():
        widget = VIEWS[name](None)
    show_widget(page, widget, tmp_path)
    page.get_by_text("Nothing recorded yet").first.wait_for()


@every_view
def test_a_session_of_one_event_is_drawn(name: str, page: Page, tmp_path: Path, store: Database) -> None:
    run = Run("one")
    run.add(AgentStart, "lonely", None)
    show(page, name, run.save(store), tmp_path)
    assert page.evaluate(CUT_OFF) == []


@every_view
@pytest.mark.parametrize("width", [400, 1000])
def test_hostile_texts_stay_texts_and_inside(
    name: str, width: int, page: Page, tmp_path: Path, store: Database
) -> None:
    show(page, name, hostile(store), tmp_path, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#view img, #view script").count() == 0


@every_view
def test_two_views_of_one_widget_show_the_same_selection(
    name: str, page: Page, tmp_path: Path, store: Database
) -> None:
    session = Refund("refund").save(store)
    widget = show(page, name, session, tmp_path, views=("view", "other"))
    before = page.locator("#other").screenshot()
    shown = {"clusters": pp.failures, "why": pp.causes, "flow": pp.tool_calls}
    widget.selected = shown[name](session)["event_id"][0] if name in shown else f"{session}-0"
    deliver(page, widget)
    settle(page)
    one, other = (page.locator(f"#{view}").screenshot() for view in ("view", "other"))
    assert pictures.looks_like(one, other)
    assert one != before


@every_view
def test_a_closed_view_leaves_nothing_behind(name: str, page: Page, tmp_path: Path, store: Database) -> None:
    widget = show(page, name, Refund("refund").save(store), tmp_path)
    page.evaluate("close_view()")
    until(page, lambda: not widget._views)
    assert page.evaluate("handlers()") == 0
    assert page.locator(".pp-root").count() == 0


def test_a_picture_with_one_other_row_does_not_pass_for_the_accepted_one(
    page: Page, tmp_path: Path, store: Database
) -> None:
    session = Refund("refund").save(store)
    widget = show(page, "tree", session, tmp_path, width=800)
    pictures.compare(page.locator("#view").screenshot(), "tree-light", tmp_path)
    widget.selected = pp.events(session)["event_id"][5]
    deliver(page, widget)
    settle(page)
    with pytest.raises(AssertionError, match="look different"):
        pictures.compare(page.locator("#view").screenshot(), "tree-light", tmp_path)
