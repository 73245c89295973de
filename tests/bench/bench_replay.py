"""Replaying 100,000 events: what is found once when it opens, and what each step costs then."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import peaky_peek as pp
from peaky_peek import store
from peaky_peek.analysis.breakpoints import Breakpoint
from peaky_peek.analysis.drift import Comparison, events_after
from peaky_peek.analysis.highlights import markers, segments, shown
from peaky_peek.analysis.moments import Moments
from peaky_peek.events import AgentStart, Checkpoint, Decision, LLMRequest, LLMResponse, ToolCall, ToolResult
from peaky_peek.steps import steps
from peaky_peek.store import Database
from tests.bench.table import Row, at_most, interleaved
from tests.recordings import Run

EVENTS = 100_000
_STEPS = 2_000


def rows() -> Iterator[Row]:
    """Yield what a replay costs, of 100,000 events against 10,000, and for one step."""
    with tempfile.TemporaryDirectory() as folder:
        db = store.use(Path(folder) / "replay.db")
        names = "tenth", "whole"
        for name, count in zip(names, (EVENTS // 10, EVENTS), strict=True):
            record(db, name, count)
        frames = {name: steps(db, name) for name in names}
        moments = {name: Moments(db, frames[name]) for name in names}
        works: dict[str, Callable[[str], object]] = {
            "moments and stepper": lambda name: Moments(db, frames[name]),
            "the conversation": lambda name: Moments(db, frames[name]).said,
            "markers and dull stretches": lambda name: (markers(moments[name]), segments(moments[name])),
            "a breakpoint by query": lambda name: Breakpoint("tool:search failed").positions(moments[name]),
            "a breakpoint by function": lambda name: Breakpoint(lambda event: event.failed).positions(moments[name]),
            "a breakpoint on state": lambda name: Breakpoint("changed(state.cart)").positions(moments[name]),
            "the failure mode": lambda name: shown(moments[name], "failure"),
            "pp.checkpoints": pp.checkpoints,
            "drift": lambda name: list(map(Comparison(events_after(name)).feed, events_after(name))),
        }
        for what, work in works.items():
            tenth, whole = interleaved(*(partial(work, name) for name in names), rounds=2)
            yield at_most(f"replay, {what}: 100,000 events / 10,000", whole / tenth, 12, note=f" ({whole:.2f} s)")
        moments["whole"].stepper.positions["breakpoint"] = Breakpoint("failed").positions(moments["whole"])
        for what, step in _steps(moments["whole"]):
            yield at_most(f"replay, {what} at 100,000 events, p95", step, 1, " ms")
    store.use(None)


def _steps(moments: Moments) -> Iterator[tuple[str, float]]:
    stepper = moments.stepper
    places = random.Random(1).sample(range(len(moments)), _STEPS)
    commands = [stepper.step, stepper.into, stepper.over, stepper.out, stepper.back, stepper.back_over]
    yield "a command", max(_p95(command, places) for command in commands)
    yield "the next failure", _p95(partial(stepper.next, kind="failure"), places)
    yield "the stack", _p95(lambda at: moments.at(at).stack, places)
    yield (
        "cost, tokens and new messages",
        _p95(lambda at: (moments.at(at).cost_usd, moments.at(at).new_messages), places),
    )
    yield "the state with its changes, near one before", _p95(lambda at: moments.at(at).changes, range(_STEPS))


def _p95(step: Callable[[int], object], places: list[int] | range) -> float:
    times = []
    for at in places:
        start = time.perf_counter_ns()
        step(at)
        times.append(time.perf_counter_ns() - start)
    return sorted(times)[int(len(times) * 0.95)] / 1e6


def record(db: Database, name: str, count: int) -> None:
    """Write an agent whose sub-agents ask a model, call a tool that sometimes fails, and save a cart."""
    run = Run(name)
    root = run.add(AgentStart, "agent", agent="agent")
    worker = root
    while len(run.events) < count:
        turn = len(run.events)
        if turn % 100 < 6:
            worker = run.add(AgentStart, "worker", root, agent="worker")
        said = [{"role": "user", "content": f"question {turn} about order {turn:06d}"}]
        asked = run.add(LLMRequest, "m", worker, agent="worker", model="m", messages=said)
        wanted = [{"id": f"c{turn}", "name": "search", "arguments": {"turn": turn}}]
        usage, about = {"input": 100, "output": 10}, {"agent": "worker", "tool_name": "search", "call_id": f"c{turn}"}
        run.add(LLMResponse, "m", asked, agent="worker", tool_calls=wanted, usage=usage, cost_usd=0.001)
        call = run.add(ToolCall, "search", worker, arguments={"turn": turn}, **about)
        answer = {"error": "no answer"} if turn % 5_000 < 6 else {"result": {"found": turn}}
        run.add(ToolResult, "search", call, **about, **answer)
        run.add(Decision, "go on", worker, agent="worker", chosen_action="go on")
        run.add(Checkpoint, "saved", worker, agent="worker", state={"cart": [turn // 600], "turn": turn})
    del run.events[count:]
    run.save(db, status="failed", outcome="fail")
