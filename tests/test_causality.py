"""What led to what: the causal graph, and what its edges say of themselves."""

from __future__ import annotations

import json

import networkx as nx
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek import causality
from peaky_peek.events import (
    AgentEnd,
    AgentStart,
    AgentTurn,
    BehaviorAlert,
    Checkpoint,
    Decision,
    LLMRequest,
    LLMResponse,
    ToolCall,
    ToolResult,
)
from peaky_peek.store import Database
from peaky_peek.values import values_in
from tests.recordings import Run


def found(db: Database, session_id: str) -> dict[tuple[int, int], dict[str, str]]:
    """Kind to evidence of the edges between two events, which are named by their numbers."""
    rows: dict[tuple[int, int], dict[str, str]] = {}
    for row in causality.edges(db, session_id).itertuples():
        pair = int(row.source.rpartition("-")[2]), int(row.target.rpartition("-")[2])
        rows.setdefault(pair, {})[row.kind] = row.evidence
    return rows


def conversation(db: Database) -> str:
    """A model asks for a tool, reads its result, and answers with what it read."""
    run = Run("s")
    agent = run.add(AgentStart, "agent", agent="a", input="Refund order A-1042, please.")
    first = run.add(
        LLMRequest, "m", agent, agent="a", messages=[{"role": "user", "content": "Refund order A-1042, please."}]
    )
    calls = [{"id": "c1", "name": "get_order", "arguments": {"order": "A-1042"}}]
    answer = run.add(LLMResponse, "m", first, agent="a", content="Let me look.", tool_calls=calls)
    run.add(Decision, "get_order", agent, agent="a", chosen_action="get_order", metadata={"derived": True})
    call = run.add(
        ToolCall, "get_order", agent, agent="a", tool_name="get_order", arguments={"order": "A-1042"}, call_id="c1"
    )
    result = run.add(
        ToolResult, "get_order", call, agent="a", tool_name="get_order", result={"paid": 84.5}, call_id="c1"
    )
    told = {"role": "tool", "tool_call_id": "c1", "content": json.dumps({"paid": 84.5})}
    second = run.add(LLMRequest, "m", agent, agent="a", messages=[told])
    run.add(LLMResponse, "m", second, agent="a", content="84.50 EUR were paid for the order that you named.")
    end = run.add(AgentEnd, "agent", agent, agent="a", output="84.50 EUR were paid for the order that you named.")
    run.add(AgentTurn, "critic", None, agent="b", content="He says: 84.50 EUR were paid for the order that you named.")
    run.add(
        BehaviorAlert,
        "alert",
        None,
        related_event_ids=[str(end), "gone", 7],
        upstream_event_ids=[str(answer), str(result)],
    )
    return run.save(db)


def test_each_edge_says_what_connects_the_two(store: Database) -> None:
    edges = found(store, conversation(store))
    assert edges[0, 1]["parent"] == "happened inside it"
    assert edges[1, 2] == {"result": "what came back"}
    assert edges[2, 3]["asked"] == "read from this answer"
    assert edges[2, 4]["asked"] == "the answer asks for this call"
    assert edges[3, 4]["asked"] == "the decision chose this call"
    assert edges[4, 5]["result"] == "what came back"
    assert edges[5, 6] == {"context": "repeats it word for word"}
    assert edges[5, 7] == {"value": "both hold 84.5"}
    assert edges[8, 9]["context"] == "both say “84.50 EUR were paid for the order that you named.”"
    assert edges[8, 10] == {"explicit": "what the alert is about"}
    assert edges[5, 10] == {"explicit": "recorded as upstream"}
    assert (4, 9) not in edges


def test_weights_say_how_sure_an_edge_is(store: Database) -> None:
    edges = causality.edges(store, conversation(store))
    surest = edges.groupby("kind")["weight"].max().to_dict()
    assert surest.pop("value") > 0.8
    assert surest == {"asked": 1.0, "context": 0.9, "explicit": 0.98, "parent": 1.0, "result": 1.0}
    assert edges["weight"].between(0.6, 1).all()
    assert set(edges["kind"]) == set(causality.KINDS)
    assert dict(edges.dtypes) == {name: pd.Series(dtype=kind).dtype for name, kind in pp.SCHEMA["edges"].items()}


def test_a_value_that_is_everywhere_connects_nothing(store: Database) -> None:
    run = Run("s")
    for _ in range(40):
        run.add(ToolResult, "get", None, tool_name="get", result={"order": "A-1042"})
    assert len(causality.edges(store, run.save(store))) == 0


def test_the_causal_graph_survives_as_node_link_json(store: Database) -> None:
    graph = pp.graph(conversation(store), kind="causal")
    assert graph.edges["s-5", "s-6"] == {"kind": "context", "weight": 0.9, "evidence": "repeats it word for word"}
    assert nx.has_path(graph, "s-4", "s-7")
    data = json.loads(json.dumps(nx.node_link_data(graph, edges="edges"), default=str))
    again = nx.node_link_graph(data, edges="edges")
    assert set(again.edges) == set(graph.edges)
    assert again.edges["s-0", "s-1"]["kind"] == "parent"
    assert "both hold A-1042" in graph.edges["s-0", "s-1"]["evidence"]


def test_a_chain_of_a_hundred_thousand_events_is_a_graph_like_any_other(store: Database) -> None:
    run = Run("chain")
    parent = None
    for number in range(100_000):
        parent = run.add(Checkpoint, f"{number}", parent)
    graph = pp.graph(run.save(store), kind="causal")
    assert nx.dag_longest_path_length(graph, weight=None, default_weight=1) == 99_999


def test_an_empty_session_has_edges_with_their_columns(store: Database) -> None:
    edges = causality.edges(store, Run("empty").save(store))
    assert dict(edges.dtypes) == {name: pd.Series(dtype=kind).dtype for name, kind in pp.SCHEMA["edges"].items()}
    assert len(pp.graph("empty", kind="causal")) == 0


def test_sessions_nested_in_one_belong_to_it(store: Database) -> None:
    outer, inner = Run("outer"), Run("inner")
    start = outer.add(AgentStart, "agent", input="a question nobody else would ask")
    outer.save(store)
    inner.add(AgentStart, "agent", start, input="a question nobody else would ask")
    inner.save(store, parent_session_id="outer", root_session_id="outer")
    rows = causality.edges(store, "outer")
    assert set(rows["kind"]) == {"parent", "context"}
    assert len(causality.edges(store, "inner")) == 0


@pytest.mark.parametrize(
    ("told", "values"),
    [
        ("84.50 EUR", ["84.5"]),
        ({"a": 84.5, "b": ["$1,204.00", 12, True, None]}, ["84.5", "1204"]),
        ("on 2026-05-14 at 09:05.", ["2026-05-14", "09:05"]),
        ('{"order_id": "#W3069600"}', ["#W3069600"]),
        ("mail ada@work.example or see x", ["ada@work.example"]),
        ("nothing of 12 or 3", []),
    ],
)
def test_values_are_read_from_texts_and_json_alike(told: object, values: list[str]) -> None:
    assert values_in(told) == values


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_JSON)
def test_any_value_can_be_read_and_reading_it_twice_finds_the_same(told: object) -> None:
    values = values_in(told)
    assert len(values) == len(set(values))
    assert values_in([told, told]) == values
