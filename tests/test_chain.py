"""What led to the selected event: the chain as a frame, and the edges and forks that the picture is drawn from."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek.analysis.chain import Ways
from peaky_peek.errors import PeekError
from peaky_peek.events import AgentStart, Decision, LLMRequest, LLMResponse, ToolCall, ToolResult
from peaky_peek.store import Database, dtypes
from peaky_peek.widgets import _causes
from peaky_peek.widgets._forks import forks
from peaky_peek.widgets.tree import DecisionTree
from tests.recordings import Run
from tests.refunds import Refund, hostile


def number(event_id: str) -> int:
    return int(event_id.rpartition("-")[2])


def columns(message: tuple[dict[str, Any], list[bytes]]) -> dict[str, list[Any]]:
    """A packed message as lists."""
    content, buffers = message
    found = {name: np.frombuffer(buffers[at], dtype).tolist() for at, (name, dtype) in enumerate(content["columns"])}
    rest = buffers[len(found) :]
    for at, name in enumerate(content["texts"]):
        offsets = np.frombuffer(rest[2 * at], "<u4")
        texts = [rest[2 * at + 1][start:stop].decode() for start, stop in pairwise(offsets)]
        found[name] = texts
    return found


def row_named(tree: DecisionTree, name: str, kind: str) -> int:
    steps = tree._recording.steps
    return int(steps.index[(steps["name"] == name) & (steps["event_type"] == kind)][0])


def test_the_chain_leads_from_the_first_cause_to_the_selected_event(store: Database) -> None:
    tree = pp.tree(Refund("refund").save(store))
    voucher = row_named(tree, "issue_voucher", "tool_call")
    tree.selected = tree._recording.event_ids([voucher])[0][0]
    chain = tree.chain
    assert chain["event_id"].iloc[-1] == tree.selected[0]
    assert chain["order"].tolist() == list(range(len(chain)))
    assert [number(one) for one in chain["event_id"]] == sorted(number(one) for one in chain["event_id"])
    assert chain[["event_type", "name"]].iloc[-2:].to_numpy().tolist() == [
        ["decision", "issue_voucher"],
        ["tool_call", "issue_voucher"],
    ]
    assert chain["evidence"].iloc[-1] == "the decision chose this call"
    assert chain[["kind", "weight", "evidence"]].iloc[0].isna().all()
    assert chain["weight"].iloc[1:].between(0, 1).all()


def test_with_nothing_selected_the_chain_is_empty_and_has_its_columns(store: Database) -> None:
    for tree in (pp.tree(Refund("refund").save(store)), pp.tree()):
        assert tree.chain.empty
        assert (
            tree.chain.dtypes.to_dict()
            == dtypes.frame("chain", {n: [] for n in dtypes.SCHEMA["chain"]}).dtypes.to_dict()
        )


def test_an_event_that_nothing_led_to_is_a_chain_of_itself(store: Database) -> None:
    session = Refund("refund").save(store)
    tree = pp.tree(session)
    tree.selected = f"{session}-0"
    assert tree.chain["event_id"].tolist() == [f"{session}-0"]


def ways(*edges: tuple[int, int, str, float]) -> Ways:
    names = ("source", "target", "kind", "weight", "evidence")
    rows = [(str(source), str(target), kind, weight, "said") for source, target, kind, weight in edges]
    frame = dtypes.frame("edges", {name: [row[at] for row in rows] for at, name in enumerate(names)})
    return Ways(frame, [str(place) for place in range(10)])


def path(found: Ways, at: int, wrong: set[int] = frozenset()) -> list[int]:  # type: ignore[assignment]
    return [*(int(found.source[row]) for row in found.chain(at, wrong)), at]


def test_of_equally_sure_causes_the_one_that_went_wrong_is_followed() -> None:
    found = ways((1, 5, "context", 0.9), (2, 5, "context", 0.9), (3, 5, "value", 0.7))
    assert path(found, 5) == [2, 5]
    assert path(found, 5, {1}) == [1, 5]
    assert path(found, 5, {3}) == [2, 5], "what is less sure is not followed because it failed"


def test_that_one_happened_inside_another_counts_only_where_nothing_else_led_to_it() -> None:
    assert path(ways((1, 5, "parent", 1.0), (2, 5, "value", 0.6), (0, 2, "parent", 1.0)), 5) == [0, 2, 5]


def test_what_is_named_as_a_cause_but_came_later_is_not_followed() -> None:
    assert path(ways((7, 5, "explicit", 0.98), (5, 7, "explicit", 0.98)), 5) == [5]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.just("value"), st.floats(0.6, 1))), st.integers(0, 9)
)
def test_a_chain_ends_and_runs_forward_in_time(edges: list[tuple[int, int, str, float]], at: int) -> None:
    found = path(ways(*edges), at)
    assert found == sorted(set(found))


def test_the_page_is_told_what_led_to_the_selected_steps_and_what_they_led_to(store: Database) -> None:
    tree = pp.tree(Refund("refund").save(store))
    order = row_named(tree, "get_order", "tool_call")
    [message] = tree._answer({"type": "edges", "rows": [order]})
    edges = columns(message)
    assert message[0]["request"] == {"type": "edges", "rows": [order]}
    assert message[0]["facts"]["kinds"] == list(_causes.KINDS)
    by_role: dict[int, set[tuple[int, int]]] = {role: set() for role in (_causes.IN, _causes.OUT, _causes.CHAIN)}
    for source, target, role in zip(edges["source"], edges["target"], edges["role"], strict=True):
        by_role[role].add((source, target))
    decision = row_named(tree, "get_order", "decision")
    assert (decision, order) in by_role[_causes.CHAIN]
    assert all(source == order for source, _ in by_role[_causes.OUT])
    assert row_named(tree, "cashier", "agent_start") in {target for _, target in by_role[_causes.OUT]}
    assert all(source != target for source, target in zip(edges["source"], edges["target"], strict=True))
    assert all(edges["evidence"])


def test_rows_that_are_not_there_have_no_edges(store: Database) -> None:
    tree = pp.tree(Refund("refund").save(store))
    [message] = tree._answer({"type": "edges", "rows": [10_000, -1, "0", None]})
    assert columns(message)["source"] == []


def test_hostile_evidence_is_one_short_line(store: Database) -> None:
    tree = pp.tree(hostile(store))
    [message] = tree._answer({"type": "edges", "rows": list(range(20))})
    said = columns(message)["evidence"]
    assert said
    assert all(len(text) <= 160 and "\n" not in text and "\x00" not in text for text in said)


def test_a_fork_knows_what_was_chosen_what_asked_for_it_and_what_else_there_was(store: Database) -> None:
    run = Run("fork")
    root = run.add(AgentStart, "agent", agent="a")
    asked = run.add(LLMRequest, "m", root, agent="a", messages=[])
    run.add(LLMResponse, "m", asked, agent="a", content="look")
    common = {"agent": "a", "metadata": {"derived": True}}
    run.add(
        Decision, "look", root, chosen_action="look", alternatives=["wait", {"name": "ask"}, "look", "wait"], **common
    )
    run.add(Decision, "jump", root, chosen_action="jump", **common)
    jump = run.add(ToolCall, "jump", root, agent="a", tool_name="jump")
    run.add(ToolResult, "jump", jump, agent="a", tool_name="jump", result=1)
    run.add(ToolCall, "look", root, agent="b", tool_name="look")
    run.add(ToolCall, "look", root, agent="a", tool_name="look")
    run.add(Decision, "rest", root, agent="a", chosen_action={"not": "a name"}, alternatives="nonsense")
    tree = pp.tree(run.save(store), layout="node-link")
    found = columns(forks(tree._recording))
    assert found["row"] == [2, 3, 7]
    assert found["chosen"] == [6 - 2, 4 - 3, 0]
    assert found["asked"] == [2 - 1, 3 - 1, 0]
    assert found["count"] == [2, 0, 0]
    assert [found["lists"][at] for at in found["list"]] == ["wait\nask", "", ""]


def test_a_decision_in_another_span_did_not_choose_a_later_call(store: Database) -> None:
    run = Run("spans")
    root = run.add(AgentStart, "agent", agent="a")
    one = run.add(AgentStart, "one", root, agent="b")
    run.add(Decision, "pay", one, agent="b", chosen_action="pay", alternatives=["wait"])
    two = run.add(AgentStart, "two", root, agent="b")
    run.add(ToolCall, "pay", two, agent="b", tool_name="pay")
    assert columns(forks(pp.tree(run.save(store))._recording))["chosen"] == [0]


def test_forks_are_sent_only_when_they_are_drawn(store: Database) -> None:
    session = Refund("refund").save(store)

    def kinds(tree: DecisionTree) -> list[Any]:
        return [message.get("kind") for message, _ in tree._answer({"type": "hello", "version": 1})]

    assert "forks" not in kinds(pp.tree(session))
    assert "forks" in kinds(pp.tree(session, layout="node-link"))
    assert {message.get("kind") for message, _ in pp.tree(session)._page().drawn} >= {"forks"}


def test_a_layout_that_does_not_exist_is_one_sentence(store: Database) -> None:
    with pytest.raises(PeekError, match="no layout 'radial': choose from outline, node-link"):
        pp.tree(layout="radial")


def test_the_times_of_steps_are_the_places_of_their_events(store: Database) -> None:
    tree = pp.tree(Refund("refund").save(store))
    [message] = tree._answer({"type": "times"})
    times = columns(message)
    order = tree._recording.event_order
    steps = tree._recording.steps
    assert [order[at] for at in times["opened"]] == steps["event_id"].tolist()
    closed = steps["close_id"].astype(object).where(steps["close_id"].notna(), None).tolist()
    assert [order[at] if at >= 0 else None for at in times["closed"]] == closed
