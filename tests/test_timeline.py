"""The timeline's Python half: lanes by agent, moments, handoffs, all in few bytes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import peaky_peek as pp
from peaky_peek.events import AgentStart, ToolCall
from peaky_peek.store import Database
from tests.recordings import Run
from tests.refunds import Refund

TYPES = {"f4": "<f4", "u1": "u1", "u2": "<u2", "i4": "<i4"}


def lanes(line: Any) -> tuple[dict[str, list[Any]], list[str]]:
    """The columns and the lanes' names of what draws a timeline."""
    message, buffers = line._extras()[0]
    columns = {
        name: np.frombuffer(buffer, TYPES[kind]).tolist()
        for (name, kind), buffer in zip(message["columns"], buffers, strict=False)
    }
    offsets, block = np.frombuffer(buffers[-2], "<u4"), buffers[-1]
    return columns, [block[start:end].decode() for start, end in pairwise(offsets)]


def test_each_agent_has_a_lane_in_the_order_in_which_they_first_appear(store: Database) -> None:
    line = pp.timeline(Refund("refund").save(store))
    columns, names = lanes(line)
    agents = line._recording.steps["agent"].tolist()
    assert names == list(dict.fromkeys(agents))
    assert [names[lane] for lane in columns["lane"]] == agents
    assert repr(line).startswith("Timeline(refund_agent")


def test_a_step_without_an_agent_is_in_the_lane_around_it(store: Database) -> None:
    run = Run("s")
    boss = run.add(AgentStart, "boss", agent="boss")
    run.add(ToolCall, "search", boss)
    run.add(ToolCall, "alone")
    columns, names = lanes(pp.timeline(run.save(store)))
    assert [names[lane] for lane in columns["lane"]] == ["boss", "boss", "s"]
    assert columns["began"] == [0, 1, 2]


def test_handoffs_lead_from_lane_to_lane_and_are_a_frame(store: Database) -> None:
    line = pp.timeline(Refund("refund").save(store))
    columns, names = lanes(line)
    told = line.handoffs
    assert len(told) >= 1
    assert [names[lane] for lane in columns["from"]] == told["from_agent"].tolist()
    assert [names[lane] for lane in columns["to"]] == told["to_agent"].tolist()
    assert columns["handed"] == line._recording.rows_of(told["event_id"])


def test_the_order_says_which_step_each_event_opens_or_closes(store: Database) -> None:
    session = Refund("refund").save(store)
    line = pp.timeline(session)
    columns, _ = lanes(line)
    assert len(columns["order"]) == len(pp.events(session))
    assert columns["order"] == [line._recording.row_of(event_id) for event_id in pp.events(session)["event_id"]]


@pytest.mark.parametrize("name", ["timeline"])
def test_an_empty_store_is_drawn_as_such_and_the_magic_shows_it(store: Database, name: str) -> None:
    from peaky_peek.magics.peek import _shown

    assert repr(pp.timeline()) == "Timeline(nothing recorded yet)"
    assert pp.timeline().handoffs.empty
    assert len(pp.timeline()._drawn()) == 3
    Refund("refund").save(store)
    assert repr(_shown(name)).startswith("Timeline(refund_agent")
