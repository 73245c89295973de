"""Stepping: each command leads where a debugger's would, as a brute-force reading of the tree says."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peaky_peek import frames, steps, store
from peaky_peek.analysis.stepping import KINDS, Stepper
from tests import refunds


class Tree(NamedTuple):
    """A random session: what each event opens or closes, and the parent of each step."""

    order: list[tuple[int, str]]
    parent: list[int]
    stepper: Stepper


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Steps that begin and end in any order that has parents begin before their children, or, now and then, in none."""
    count = draw(st.integers(1, 12))
    parent = [draw(st.integers(-1, step - 1)) for step in range(count)]
    closed = [draw(st.booleans()) for _ in range(count)]
    chaotic = draw(st.integers(0, 9)) == 0
    begun = 0
    left: list[int] = []
    order: list[tuple[int, str]] = []
    while begun < count or left:
        if begun < count and (not left or draw(st.booleans())):
            order.append((begun, "open"))
            left += [begun] if closed[begun] else []
            begun += 1
        else:
            order.append((left.pop(draw(st.integers(0, len(left) - 1))), "close"))
    if chaotic:
        order = draw(st.permutations(order))
    types = [draw(st.sampled_from(["tool_call", "decision", "checkpoint"])) for _ in range(count)]
    frame = pd.DataFrame(
        {
            "event_id": [f"{step} open" for step in range(count)],
            "close_id": pd.Series([f"{step} close" if closed[step] else None for step in range(count)], dtype="str"),
            "parent": np.array(parent, np.int32),
            "event_type": types,
            "failed": [draw(st.booleans()) for _ in range(count)],
            "suspect": pd.Series([draw(st.sampled_from([None, "smells"])) for _ in range(count)], dtype="str"),
        }
    )
    return Tree(order, parent, Stepper(frame, [f"{step} {what}" for step, what in order]))


class Oracle:
    """What the commands mean, in as few words as possible."""

    def __init__(self, tree: Tree) -> None:
        self.step, self.parent = [step for step, _ in tree.order], tree.parent
        self.begins = {step: at for at, (step, what) in enumerate(tree.order) if what == "open"}
        self.ends = {step: at for at, (step, what) in enumerate(tree.order) if what == "close"}

    def inside(self, step: int) -> list[int]:
        return [at for at, one in enumerate(self.step) if self.parent[one] == step]

    def _after(self, at: int, step: int) -> int | None:
        while True:
            found = [one for one in [*self.inside(step), self.ends.get(step, -1)] if one > at]
            if found or step < 0:
                return min(found, default=None)
            step = self.parent[step]

    def over(self, at: int) -> int | None:
        step = self.step[at]
        if at == self.begins[step] and self.ends.get(step, -1) > at:
            return self.ends[step]
        return self._after(at, self.parent[step])

    def into(self, at: int) -> int | None:
        step = self.step[at]
        children = [one for one in self.inside(step) if one > at] if at == self.begins[step] else []
        return min(children) if children else self.over(at)

    def out(self, at: int) -> int | None:
        around = self.parent[self.step[at]]
        if around < 0:
            return None
        return self.ends[around] if self.ends.get(around, -1) > at else self._after(at, self.parent[around])

    def back_over(self, at: int) -> int | None:
        step = self.step[at]
        if at == self.ends.get(step) and self.begins[step] < at:
            return self.begins[step]
        around = self.parent[step]
        before = [one for one in self.inside(around) if one < at]
        while not before and around >= 0:
            before = [one for one in [self.begins[around]] if one < at]
            around = self.parent[around]
        return max(before, default=None)


@settings(deadline=None)
@given(trees())
def test_every_command_leads_where_the_tree_says(tree: Tree) -> None:
    oracle, stepper = Oracle(tree), tree.stepper
    for at in range(len(stepper)):
        for command in ("into", "over", "out", "back_over"):
            assert getattr(stepper, command)(at) == getattr(oracle, command)(at), (command, at, tree)


@settings(deadline=None)
@given(trees())
def test_forward_goes_forward_and_back_goes_back_and_every_event_is_reached(tree: Tree) -> None:
    stepper = tree.stepper
    for at in range(len(stepper)):
        for command in (stepper.step, stepper.into, stepper.over, stepper.out):
            after = command(at)
            assert after is None or after > at
        for command in (stepper.back, stepper.back_over):
            before = command(at)
            assert before is None or before < at
    walk = [at := stepper.step(None)]
    while (at := stepper.step(at)) is not None:
        walk.append(at)
    assert walk == list(range(len(stepper)))
    assert stepper.back(None) == len(stepper) - 1


@settings(deadline=None)
@given(trees(), st.sampled_from(KINDS))
def test_next_and_previous_are_the_nearest_of_their_kind(tree: Tree, kind: str) -> None:
    stepper = tree.stepper
    stepper.positions["breakpoint"] = np.arange(0, len(stepper), 2)
    positions = stepper.positions[kind].tolist()
    assert positions == sorted(positions)
    assert stepper.next(None, kind) == min(positions, default=None)
    assert stepper.previous(None, kind) == max(positions, default=None)
    for at in range(len(stepper)):
        assert stepper.next(at, kind) == min([one for one in positions if one > at], default=None)
        assert stepper.previous(at, kind) == max([one for one in positions if one < at], default=None)


def test_one_steps_over_a_tool_to_its_result_and_back_and_out_of_the_agent() -> None:
    db = store.current()
    session = frames.session(refunds.Refund("refund").save(db))
    frame = steps.steps(db, session.session_id)
    order = steps.event_order(db, frame)
    events = frames.events(session).set_index("event_id")
    stepper = Stepper(frame, order)

    def kind(at: int | None) -> Any:
        return None if at is None else events.loc[order[at], "event_type"]

    call = next(at for at in range(len(stepper)) if kind(at) == "tool_call")
    result = stepper.over(call)
    assert (kind(result), stepper.back_over(result)) == ("tool_result", call)
    assert kind(stepper.out(call)) == "agent_end"
    assert stepper.into(0) == 1
    for at in stepper.positions["failure"]:
        assert events.loc[order[at], "failed"]


def test_an_empty_session_leads_nowhere() -> None:
    frame = steps.steps(store.current(), "none")
    stepper = Stepper(frame, [])
    assert len(stepper) == 0
    assert [stepper.step(None), stepper.back(None), stepper.into(None), stepper.out(None)] == [None] * 4
    assert stepper.next(None, "failure") is None


def test_a_chain_of_a_hundred_thousand_steps_is_left_at_once() -> None:
    count = 100_000
    frame = pd.DataFrame(
        {
            "event_id": [str(at) for at in range(count)],
            "close_id": pd.Series([None] * count, dtype="str"),
            "parent": np.arange(-1, count - 1),
            "event_type": "decision",
            "failed": False,
            "suspect": pd.Series([None] * count, dtype="str"),
        }
    )
    stepper = Stepper(frame, frame["event_id"].tolist())
    assert stepper.over(count - 1) is None
    assert stepper.back_over(count - 1) == count - 2


def test_there_is_no_kind_that_nobody_knows() -> None:
    stepper = Stepper(steps.steps(store.current(), "none"), [])
    with pytest.raises(KeyError):
        stepper.next(None, "surprise")
