"""The tree as a networkx graph."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

import peaky_peek as pp
from peaky_peek import store
from peaky_peek.errors import PeekError, SessionNotFound
from peaky_peek.events import AgentStart, Checkpoint, Error, LLMResponse, ToolCall, ToolResult
from peaky_peek.store import Database
from tests.recordings import START, Run


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    yield store.use(tmp_path / "peek.db")
    store.use(None)


def test_the_tree_leads_from_each_event_to_those_inside_it(db: Database) -> None:
    run = Run("s")
    agent = run.add(AgentStart, "agent")
    call = run.add(ToolCall, "search", agent, tool_name="search")
    run.add(ToolResult, "search", call, tool_name="search", error="no", duration_ms=1.5)
    run.add(LLMResponse, "chat", agent, content="hi", usage={"input": 3}, cost_usd=0.5)
    run.add(Error, "lost", "nowhere")
    run.save(db)
    tree = pp.graph("s")
    assert isinstance(tree, nx.DiGraph)
    assert list(tree.edges) == [("s-0", "s-1"), ("s-0", "s-3"), ("s-1", "s-2")]
    assert list(tree) == [f"s-{n}" for n in range(5)]
    assert tree.edges["s-0", "s-1"] == {"kind": "parent", "weight": 1.0, "evidence": "parent_id"}
    assert nx.ancestors(tree, "s-2") == {"s-0", "s-1"}
    node = tree.nodes["s-2"]
    assert set(node) == set(pp.events("s"))
    assert (node["event_type"], node["seq"], node["failed"], node["tool_name"]) == ("tool_result", 2, True, "search")
    assert node["timestamp"] == dt.datetime.fromtimestamp(START / 1e6, dt.UTC) + dt.timedelta(milliseconds=2)
    assert node["duration"] == dt.timedelta(milliseconds=1.5)
    assert [node[name] for name in ("cost_usd", "input_tokens", "model", "status", "agent")] == [None] * 5
    assert type(tree.nodes["s-3"]["input_tokens"]) is int
    assert type(tree.nodes["s-3"]["cost_usd"]) is float


def test_an_empty_store_gives_an_empty_graph_and_what_does_not_exist_is_named(db: Database) -> None:
    assert len(pp.graph()) == 0
    with pytest.raises(SessionNotFound):
        pp.graph("nowhere")
    with pytest.raises(PeekError, match="There is no graph of kind 'cause': choose from tree, causal, agents"):
        pp.graph(kind="cause")


def test_a_deep_chain_is_a_graph_like_any_other(db: Database) -> None:
    run = Run("chain")
    parent = None
    for number in range(20_000):
        parent = run.add(Checkpoint, f"{number}", parent)
    run.save(db)
    assert nx.dag_longest_path_length(pp.graph()) == 19_999
