"""Which agent hands to which, when and with what: as adapters tell it, or as the agents' spans and turns show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import peaky_peek as pp
from peaky_peek.events import AgentEnd, AgentStart, AgentTurn, LLMRequest, ToolCall, ToolResult
from peaky_peek.handoffs import handoffs
from peaky_peek.store import Database
from tests.recordings import Run


@pytest.fixture
def run() -> Run:
    return Run("s")


def found(run: Run, store: Database) -> list[tuple[Any, ...]]:
    frame = handoffs(run.save(store))
    return list(frame[["from_agent", "to_agent", "kind", "event_id"]].itertuples(index=False, name=None))


def test_what_an_adapter_recorded_as_a_handoff_is_one_and_said_once(run: Run, store: Database) -> None:
    triage = run.add(AgentStart, "triage", agent="triage")
    handoff = {"handoff": {"from": "triage", "to": "billing"}}
    call = run.add(
        ToolCall, "transfer_to_billing", triage, agent="triage", arguments={"why": "a refund"}, metadata=handoff
    )
    run.add(ToolResult, "transfer_to_billing", call, agent="triage")
    run.add(AgentStart, "billing", triage, agent="billing", upstream_event_ids=[call.id])
    assert found(run, store) == [("triage", "billing", "handoff", "s-1")]
    assert handoffs("s")["content"].tolist() == [{"why": "a refund"}]


def test_an_agent_inside_another_is_called_by_it(run: Run, store: Database) -> None:
    boss = run.add(AgentStart, "boss", agent="boss")
    call = run.add(ToolCall, "ask", boss, agent="boss")
    run.add(AgentStart, "clerk", call, agent="clerk", input={"task": "count"})
    assert found(run, store) == [("boss", "clerk", "calls", "s-2")]


def test_an_agent_that_is_given_what_the_one_before_returned_has_it_from_that_one(run: Run, store: Database) -> None:
    root = run.add(AgentStart, "team", agent="team")
    planner = run.add(AgentStart, "planner", root, agent="planner", input="a dinner")
    run.add(AgentEnd, "planner", planner, agent="planner", output='a plan of "two" lines\nand more')
    run.add(AgentStart, "critic", root, agent="critic", input={"proposal": 'Check: a plan of "two" lines\nand more'})
    assert found(run, store) == [("team", "planner", "calls", "s-1"), ("planner", "critic", "passes on", "s-3")]


def test_of_agents_without_spans_the_turns_tell(run: Run, store: Database) -> None:
    for number, speaker in enumerate(("ann", "bob", "bob", "ann")):
        run.add(AgentTurn, speaker, speaker=speaker, content=f"{number}")
    assert found(run, store) == [("ann", "bob", "turn", "s-1"), ("bob", "ann", "turn", "s-3")]


def test_the_columns_and_dtypes_are_there_without_a_handoff(run: Run, store: Database) -> None:
    run.add(LLMRequest, "gpt")
    frame = handoffs(run.save(store))
    assert dict(frame.dtypes) == {name: pd.Series(dtype=dtype).dtype for name, dtype in pp.SCHEMA["handoffs"].items()}


def test_the_graph_of_agents_says_who_hands_to_whom_and_how_often(tmp_path: Path) -> None:
    pp.demo(tmp_path / "demo.db")
    agents = pp.graph("team dinner", kind="agents")
    assert list(agents) == ["team dinner", "planner", "critic"]
    assert agents.nodes["critic"]["events"] > 10
    assert agents.nodes["critic"]["cost_usd"] > 0
    assert {edge: facts["times"] for edge, facts in agents.edges.items()} == {
        ("team dinner", "planner"): 1, ("planner", "critic"): 2, ("critic", "planner"): 1,
    }  # fmt: skip
    handed = agents.edges["planner", "critic"]
    assert (handed["kind"], handed["weight"]) == ("passes on", 0.9)
    assert pp.event(handed["evidence"][0]).name == "critic"


def test_the_graph_of_nothing_has_no_agents(store: Database) -> None:
    assert len(pp.graph(kind="agents")) == 0
