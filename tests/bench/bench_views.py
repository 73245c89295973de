"""Conversation, timeline and safety trail of 100,000 events: what they cost, what travels, how they scroll."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

import peaky_peek as pp
from peaky_peek import store
from peaky_peek.analysis.dialogue import turns
from peaky_peek.analysis.safety import trail
from peaky_peek.events import (
    AgentEnd,
    AgentStart,
    Decision,
    Event,
    LLMRequest,
    LLMResponse,
    SafetyCheck,
    ToolCall,
    ToolResult,
)
from peaky_peek.handoffs import handoffs
from tests import browser, tree_page
from tests.bench.table import Row, at_least, at_most
from tests.recordings import Run

SMALL, LARGE = 10_000, 100_000
ROUNDS = 3
VIEWS = {"conversation": "conversationview", "timeline": "timeline", "safety": "safety"}
MOVE = {
    "conversation": "tree.querySelector('.pp-lines').scrollBy(0, at % 30 < 15 ? 900 : -500)",
    "safety": "tree.querySelector('.pp-lines').scrollBy(0, at % 30 < 15 ? 900 : -500)",
    "timeline": "tree.querySelector('canvas').dispatchEvent(new WheelEvent('wheel', "
    "{ deltaX: at % 30 < 15 ? 900 : -500, bubbles: true, cancelable: true }))",
}
FRAMES = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const times = [];
  await frame();
  let before = performance.now();
  for (let at = 0; at < 90; at++) {
    MOVE;
    await frame();
    times.push(performance.now() - before);
    before = performance.now();
  }
  return times.sort((a, b) => a - b);
}"""


def rows() -> Iterator[Row]:
    """Yield the contract's rows about these views."""
    with tempfile.TemporaryDirectory() as folder:
        db = store.use(Path(folder) / "bench.db")
        for n in (SMALL, LARGE):
            _team(n).save(db)
        for name, analysis in (("safety trail", trail), ("dialogue", turns), ("handoffs", handoffs)):
            yield at_most(f"{name}: {LARGE:,} events against {SMALL:,}", _ratio(analysis), 12, "x")
        for name, bundle in VIEWS.items():
            yield from _in_browser(name, bundle, Path(folder))
        db.close()


def _team(events: int) -> Run:
    """A planner and its workers, round by round: asked, answered, a tool with a check, a failure in fifty."""
    run = Run(f"team of {events}")
    root = run.add(AgentStart, "team", agent="team")
    while len(run.events) < events:
        number = len(run.events)
        agent = f"worker {number // 11 % 6}"

        def add(cls: type[Event], name: str, parent: Event, agent: str = agent, **fields: Any) -> Event:
            return run.add(cls, name, parent, agent=agent, **fields)

        span = add(AgentStart, agent, root, input={"task": number})
        asked = [{"role": "user", "content": f"Book table {number} for the team, please, and tell them where."}]
        request = add(LLMRequest, "gpt", span, messages=asked)
        call = {"id": f"c{number}", "name": "book_table", "arguments": {"table": number}}
        add(LLMResponse, "gpt", request, content="Booking it now.", tool_calls=[call], duration_ms=0.8, cost_usd=0.001)
        add(Decision, "book_table", span, reasoning="It was asked for.", chosen_action="book_table")
        tool = add(
            ToolCall, "book_table", span, arguments={"table": number}, call_id=f"c{number}", tool_name="book_table"
        )
        add(SafetyCheck, "budget", tool, policy_name="budget", outcome="block" if number % 50 == 0 else "pass")
        add(ToolResult, "book_table", tool, result={"table": number}, call_id=f"c{number}", tool_name="book_table")
        request = add(LLMRequest, "gpt", span, messages=[{"role": "user", "content": f"And table {number}?"}])
        add(LLMResponse, "gpt", request, content=f"Table {number} is booked.", duration_ms=0.8)
        add(AgentEnd, agent, span, output=f"Table {number} is booked.")
    return run


def _ratio(analysis: Callable[[str], Any]) -> float:
    """How much longer ten times as many events take, the fastest of a few rounds each."""
    fastest: dict[int, float] = {}
    for n in (SMALL, LARGE) * ROUNDS:
        started = time.process_time()
        analysis(f"team of {n}")
        fastest[n] = min(fastest.get(n, float("inf")), time.process_time() - started)
    return fastest[LARGE] / fastest[SMALL]


def _in_browser(name: str, bundle: str, folder: Path) -> Iterator[Row]:
    widget = getattr(pp, name)(f"team of {LARGE}")
    drawn = widget._drawn()
    sent = sum(len(buffer) for _, buffers in drawn for buffer in buffers)
    yield at_most(f"{name}: bytes sent for {LARGE:,} events, for each", sent / LARGE, 20, " B")
    yield at_most("the same in all", sent / 1e6, 2, " MB")
    path = folder / f"{name}.html"
    path.write_bytes(tree_page.html(widget._recording.steps, bundle=bundle, extras=drawn[1:-1]).encode())
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find(), args=list(browser.FLAGS))
        page = chromium.new_page(viewport={"width": 1200, "height": 800})
        page.goto(path.as_uri())
        page.wait_for_function("window.tree?.__peek.firstPaintMs !== null")
        if name == "timeline":
            page.locator("[role=listbox]").press("+")  # what is all in view stands still
        first = page.evaluate("tree.__peek.firstPaintMs")
        yield at_most(f"{name}: first paint after the columns arrived", first / 1000, 1, " s")
        yield _moving(page, name, f"{name}: panning all of it" if name == "timeline" else f"{name}: scrolling")
        if name == "timeline":
            page.locator("[role=listbox]").focus()
            for _ in range(20):
                page.keyboard.press("+")
            yield _moving(page, name, f"{name}: panning a part of it")
        chromium.close()


def _moving(page: Page, name: str, what: str) -> Row:
    times = page.evaluate(FRAMES.replace("MOVE", MOVE[name]))
    draws = sorted(page.evaluate("tree.__peek.frameTimes.slice(-90)"))
    note = f" (draw {draws[len(draws) // 2]:.1f} ms)"
    return at_least(f"{what}: frames a second at the median", 1000 / times[len(times) // 2], 30, "/s", note)
