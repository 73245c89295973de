"""The replay in a real browser: its tracks, its keys, how it moves with Python, and 100,000 events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import peaky_peek as pp
from peaky_peek.analysis.stepping import KINDS, Stepper
from peaky_peek.events import Error, LLMRequest, LLMResponse
from peaky_peek.widgets import _wire
from tests import replay_page
from tests.bridge import Bridged, deliver, show_widget, until
from tests.recordings import Run
from tests.refunds import Refund

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from peaky_peek.store import Database

LEADS = """
() => {
  const view = document.querySelector(".pp-root").__peek.view;
  const course = view.scrubber.course;
  const lead = {};
  for (const name of ["step", "back", "into", "over", "out", "backOver"])
    lead[name] = Array.from({ length: course.length + 1 }, (_, at) => course[name](at - 1));
  for (const kind of ["failure", "suspect", "decision", "checkpoint"])
    for (const way of ["next", "previous"])
      lead[`${way} ${kind}`] = Array.from({ length: course.length + 1 }, (_, at) => course[way](at - 1, kind));
  return lead;
}
"""


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
        replay = pp.replay(session, **options)
    show_widget(page, replay, folder)
    page.wait_for_function("view.__peek.firstPaintMs !== null && view.querySelector('.pp-answered')")
    page.wait_for_function("kernelIdle()")
    return replay


def head(page: Page) -> Any:
    return page.evaluate("view.__peek.view.position")


def test_the_keyboard_steps_plays_and_goes_to_what_matters(page: Page, tmp_path: Path, store: Database) -> None:
    replay = show(page, Refund("refund").save(store), tmp_path)
    page.evaluate("view.__peek.view.focus()")
    page.keyboard.press("n")
    assert until(page, lambda: replay.position) == 6
    assert replay.event.name == "find_customer"
    now = page.locator(".pp-now")
    assert now.inner_text().startswith("7 of 30")
    assert "failed" in now.inner_text()
    assert (
        page.locator(".pp-reader[aria-live]")
        .text_content()
        .startswith("7 of 30, find_customer, tool call ends, failed")
    )
    assert page.locator("[role=slider]").get_attribute("aria-valuenow") == "7"
    stepper = replay._moments.stepper
    for key, leads in (
        ("Shift+ArrowLeft", stepper.back_over), ("ArrowLeft", stepper.back), ("ArrowRight", stepper.step),
        ("ArrowDown", stepper.into), ("Home", lambda _: 0), ("ArrowDown", stepper.into),
        ("Shift+ArrowRight", stepper.over), ("c", lambda at: stepper.next(at, "checkpoint")),
        ("d", lambda at: stepper.next(at, "decision")), ("s", lambda at: stepper.next(at, "suspect")),
        ("p", lambda at: stepper.previous(at, "failure")), ("Shift+D", lambda at: stepper.previous(at, "decision")),
        ("ArrowUp", stepper.out), ("End", lambda _: 29), ("PageUp", lambda _: 19),
    ):  # fmt: skip
        at = head(page)
        page.keyboard.press(key)
        assert head(page) == leads(at), key
    until(page, lambda: replay.position == 19)
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.get_by_text("There is no later failure.").wait_for()
    page.keyboard.press("Enter")
    page.locator(".pp-inspector .pp-step", has_text="refund-limit").wait_for()
    assert until(page, lambda: replay.selected) == [replay.event.id]
    page.keyboard.press("]")
    assert until(page, lambda: replay.speed == 2)
    page.keyboard.press("t")
    assert until(page, lambda: replay.true_time)


def test_the_state_is_that_of_the_moment_where_the_head_rests(page: Page, tmp_path: Path, store: Database) -> None:
    replay = show(page, Refund("refund").save(store), tmp_path)
    replay.next("checkpoint")
    replay.next("checkpoint")
    deliver(page, replay)
    page.locator(".pp-stack li", has_text="cashier").wait_for()
    assert page.locator(".pp-change").inner_text() == "~ state.refunded 0 → 84.5"
    assert page.locator(".pp-stack li").all_inner_texts() == ["refund_agent", "cashier"]
    assert "at least" not in page.locator(".pp-moments .pp-facts").inner_text()
    replay.step()
    replay.step()
    deliver(page, replay)
    new = page.locator(".pp-turn.pp-new")
    new.get_by_text("Your refund is on its way.").wait_for()
    page.locator(".pp-stack button", has_text="cashier").click()
    assert until(page, lambda: replay.event.name == "cashier")


def test_the_mouse_seeks_scrubs_and_opens_what_is_folded(page: Page, tmp_path: Path, store: Database) -> None:
    run = Run("dull")
    for number in range(40):
        request = run.add(LLMRequest, "gpt", importance=0.2)
        run.add(LLMResponse, "gpt", request, content=str(number), importance=0.2)
        if number == 30:
            run.add(Error, "broken", None, error_message="it broke")
    replay = show(page, run.save(store), tmp_path)
    assert page.evaluate("view.__peek.view.scrubber.folded.map(({ start, stop }) => [start, stop])") == [
        [2, 62],
        [63, 79],
    ]
    canvas = page.locator(".pp-tracks canvas")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 8, steps=10)
    page.mouse.up()
    until(page, lambda: replay.position == head(page))
    assert 0 < replay.position < 62
    x = page.evaluate("view.__peek.view.scrubber.scale.x(30)")
    page.mouse.click(box["x"] + x, box["y"] + 40)
    assert page.evaluate("view.__peek.view.scrubber.folded.map(({ start, stop }) => [start, stop])") == [[63, 79]]
    page.keyboard.press("n")
    assert until(page, lambda: replay.event.name == "broken")
    page.keyboard.press("e")
    page.keyboard.press("e")
    assert page.evaluate("view.__peek.view.scrubber.folded.length") == 0


def test_playing_passes_over_what_is_dull_and_stops_at_a_breakpoint(
    page: Page, tmp_path: Path, store: Database
) -> None:
    replay = show(page, Refund("refund").save(store), tmp_path, breakpoints=["tool:get_order"])
    replay.mode = "highlights"
    replay.play(16)
    deliver(page, replay)
    until(page, lambda: replay.event is not None and replay.event.name == "get_order" and not replay._playing)
    assert replay.event.event_type == "tool_call"
    page.get_by_role("button", name="Play (space)").click()
    until(page, lambda: replay._playing)
    until(page, lambda: not replay._playing)
    assert replay.position == 29


def test_breakpoints_are_set_in_the_page_and_say_what_went_wrong(page: Page, tmp_path: Path, store: Database) -> None:
    replay = show(page, Refund("refund").save(store), tmp_path)
    box = page.get_by_label("Add a breakpoint: a query")
    box.fill("failed")
    box.press("Enter")
    until(page, lambda: [str(one) for one in replay.breakpoints] == ["failed"])
    page.locator(".pp-stops li", has_text="2 hits").wait_for()
    box.fill("cost:>much")
    box.press("Enter")
    page.locator(".pp-note.pp-problem", has_text="much").wait_for()
    page.evaluate("view.__peek.view.focus()")
    page.keyboard.press(".")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("b")
    until(page, lambda: len(replay.breakpoints) == 2)
    page.locator(".pp-stops li", has_text="event 8").wait_for()
    page.get_by_role("button", name="Remove the breakpoint failed").click()
    until(page, lambda: len(replay.breakpoints) == 1)
    replay.breakpoints = [lambda event: event.nothing]
    deliver(page, replay)
    page.locator(".pp-stops .pp-problem", has_text="AttributeError at 30 of 30 events").wait_for()


def test_the_mode_is_changed_in_the_page_and_in_python(page: Page, tmp_path: Path, store: Database) -> None:
    replay = show(page, Refund("refund").save(store), tmp_path)
    page.get_by_label("What is shown and stopped at (m)").select_option("failure")
    until(page, lambda: replay.mode == "failure")
    page.wait_for_function("view.__peek.view.scrubber.folded.length > 0")
    page.evaluate("view.__peek.view.focus()")
    page.keyboard.press("ArrowRight")
    in_page = head(page)
    replay.position = None
    replay.step()
    assert replay.position == in_page
    replay.mode = "full"
    deliver(page, replay)
    page.wait_for_function("view.__peek.view.scrubber.folded.length === 0")
    assert page.get_by_label("What is shown and stopped at (m)").input_value() == "full"


def test_every_command_leads_in_the_page_where_it_leads_in_python(page: Page, tmp_path: Path) -> None:
    for seed in range(3):
        frame, order = replay_page.session(300, seed)
        stepper = Stepper(frame, order)
        replay_page.show(page, frame, replay_page.extras(frame, order), tmp_path)
        lead = page.evaluate(LEADS)
        places = [None, *range(len(order))]
        for name in ("step", "back", "into", "over", "out", "backOver"):
            method = getattr(stepper, {"backOver": "back_over"}.get(name, name))
            assert lead[name] == [-1 if (to := method(at)) is None else to for at in places], name
        for kind in KINDS[:-1]:
            for way in ("next", "previous"):
                wanted = [-1 if (to := getattr(stepper, way)(at, kind)) is None else to for at in places]
                assert lead[f"{way} {kind}"] == wanted


HIDDEN = """
() => {
  const { scrubber } = document.querySelector(".pp-root").__peek.view;
  const { course, scale, tracks } = scrubber;
  const canvas = scrubber.element.querySelector("canvas");
  const risk = getComputedStyle(document.querySelector(".pp-root")).getPropertyValue("--pp-risk");
  const context = canvas.getContext("2d");
  const probe = new OffscreenCanvas(1, 1).getContext("2d");
  probe.fillStyle = risk;
  probe.fillRect(0, 0, 1, 1);
  const wanted = probe.getImageData(0, 0, 1, 1).data;
  const y = tracks.tops[4] + 12;
  const line = context.getImageData(0, y, canvas.width, 1).data;
  const isRed = (x) => [0, 1, 2].every((c) => Math.abs(line[4 * x + c] - wanted[c]) < 40);
  const near = (at) => { const x = Math.floor(scale.x(at)); return [x - 2, x - 1, x, x + 1, x + 2].some(isRed); };
  return [...course.at.failure].filter((at) => !near(at));
}
"""
"""The failures that nothing red stands for in their track."""


def test_a_hundred_thousand_events_are_scrubbed_and_no_failure_is_hidden(page: Page, tmp_path: Path) -> None:
    frame, order = replay_page.session(100_000, 1)
    sent = replay_page.extras(frame, order, folded=400)
    buffers = [*_wire.columns(frame)[1], *(buffer for _, more in sent for buffer in more)]
    assert sum(map(len, buffers)) <= 20 * len(order)
    replay_page.show(page, frame, sent, tmp_path)
    assert page.evaluate("tree.__peek.view.failures") > 100
    assert page.evaluate(HIDDEN) == []
    box = page.locator(".pp-tracks").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 30, box["y"] + 8, steps=20)
    page.mouse.up()
    assert page.evaluate("tree.__peek.view.position") > 90_000
    page.wait_for_function("model.get('_position') === tree.__peek.view.position")
    page.evaluate("model.set('_position', 50_000)")
    assert page.locator(".pp-place").inner_text() == "50,001 of 100,000"
    page.evaluate("tree.__peek.view.focus()")
    for _ in range(8):
        page.keyboard.press("+")
    page.wait_for_function("tree.__peek.view.scrubber.scale.pixels > 0.1")
    assert page.evaluate("tree.__peek.rowRect(tree.__peek.view.scrubber.course.row[50_000])") is not None
    asked = page.evaluate("sent.filter((one) => one.type === 'moment').length")
    assert asked < 15
    page.evaluate("cleanup()")
    assert page.evaluate("handlers()") == 0


def test_an_exported_page_steps_and_says_what_it_left_out(page: Page, tmp_path: Path, store: Database) -> None:
    session = Refund("refund").save(store)
    replay = pp.replay(session)
    page.goto(replay.to_html(tmp_path / "replay.html").as_uri())
    page.locator("[role=slider]").focus()
    page.keyboard.press("c")
    page.locator(".pp-change", has_text="state").wait_for()
    page.keyboard.press("m")
    page.locator(".pp-note", has_text="open the session in a notebook").wait_for()
    page.get_by_label("What is shown and stopped at (m)").select_option("failure")
    page.wait_for_function("document.querySelector('.pp-root').__peek.view.scrubber.folded.length > 0")
