"""What it costs to say why: the causal edges of a session, and its ranked causes; and how often the first is right."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import peaky_peek as pp
from peaky_peek import causality, ids, store
from peaky_peek.analysis.causes import diagnose
from peaky_peek.demo import record
from peaky_peek.demo.stories import STORIES
from peaky_peek.events import AgentStart, Decision, Event, LLMRequest, LLMResponse, ToolCall, ToolResult
from peaky_peek.store import Database
from tests.bench.table import Row, at_least, at_most, interleaved
from tests.recordings import Run

EVENTS = 100_000
FAILURE = "order A-5 of 2026-05-06 is not order A-10 of 2026-05-11"


def rows() -> Iterator[Row]:
    """Yield how the cost grows with the session, and how many planted causes come first."""
    with tempfile.TemporaryDirectory() as folder:
        db = store.use(Path(folder) / "why.db")
        for name, count in (("tenth", EVENTS // 10), ("whole", EVENTS)):
            _record(db, name, count)
        for what, work in (("causal edges", causality.edges), ("causes", diagnose)):
            tenth, whole = interleaved(partial(work, db, "tenth"), partial(work, db, "whole"), rounds=4)
            yield at_most(f"{what} of 100,000 events / of 10,000", whole / tenth, 12, note=f" ({whole:.1f} s)")
        record(Path(folder) / "demo.db")
        first = [_is_first(story) for story in STORIES]
        yield at_least("planted causes of the demo's stories named first", sum(first), len(first), " of 6")
        clean = pp.sessions("outcome:pass")["session_id"]
        wrong = sum(len(pp.causes(session_id)) > 0 for session_id in clean)
        yield at_most(f"clean runs of the demo, {len(clean)}, that are not all clear", wrong, 0, "")
    store.use(None)


def _is_first(story: Any) -> bool:
    events = pp.events(story.session, data=True)
    return bool(pp.causes(story.session)["seq"][0] == story.cause.find(events))


def _record(db: Database, name: str, count: int) -> None:
    """Write a clerk that looks up one order after the other, each with its own ids, amounts and dates, and fails."""
    run = Run(name)
    agent = run.add(AgentStart, "clerk", agent="clerk", id=ids.new_id())

    def add(cls: type[Event], title: str, parent: Event, **fields: Any) -> Event:
        return run.add(cls, title, parent, id=ids.new_id(), agent="clerk", **fields)

    while len(run.events) < count - 1:
        n = len(run.events)
        question = f"What was paid for order A-{n} on 2026-05-{n % 28 + 1:02}, and to whom?"
        asked = add(LLMRequest, "m", agent, messages=[{"role": "user", "content": question}])
        arguments, call_id = {"order": f"A-{n}"}, f"c{n}"
        calls = [{"id": call_id, "name": "get_order", "arguments": arguments}]
        add(LLMResponse, "m", asked, content=f"I will look up order A-{n} for you.", tool_calls=calls)
        about = {"tool_name": "get_order", "call_id": call_id}
        call = add(ToolCall, "get_order", agent, arguments=arguments, **about)
        paid = {"order": f"A-{n}", "paid": n / 100, "currency": "EUR", "to": f"{n}@shop.example"}
        add(ToolResult, "get_order", call, result=paid, **about)
        add(Decision, "answer", agent, chosen_action="answer", reasoning=f"{n / 100} EUR were paid.")
    del run.events[count - 1 :]
    add(ToolResult, "pay", agent, tool_name="pay", error=FAILURE)
    run.save(db, outcome="fail")
