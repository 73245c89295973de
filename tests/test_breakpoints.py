"""Breakpoints: by query, by function, by what changed in the state, and only from the nth time on."""

from __future__ import annotations

import pytest

from peaky_peek import steps, store
from peaky_peek.analysis.breakpoints import Breakpoint, stops
from peaky_peek.analysis.moments import Moments
from peaky_peek.errors import QueryError
from peaky_peek.events import AgentEnd, AgentStart, Checkpoint, ToolCall, ToolResult
from tests.recordings import Run


@pytest.fixture
def moments() -> Moments:
    """start, 3 x (call, result, checkpoint), end; the second search fails."""
    run = Run("cart")
    agent = run.add(AgentStart, "agent")
    for number, cart in enumerate([["lamp"], ["lamp"], ["lamp", "rug"]]):
        call = run.add(ToolCall, "search", agent, tool_name="search", arguments={"n": number})
        error = "timeout" if number == 1 else None
        run.add(ToolResult, "search", call, tool_name="search", result=None if error else ["found"], error=error)
        run.add(Checkpoint, "saved", agent, label="saved", state={"cart": cart, "step": number})
    run.add(AgentEnd, "agent", agent)
    return Moments(store.current(), steps.steps(store.current(), run.save(store.current())))


def found(moments: Moments, *given: object, **how: int) -> list[int]:
    return Breakpoint(*given, **how).positions(moments).tolist()


def test_a_query_stops_where_the_step_begins_if_that_is_enough_to_know_it(moments: Moments) -> None:
    assert found(moments, "tool:search") == [1, 4, 7]
    assert found(moments, "tool:search failed") == [5]
    assert found(moments, "type:checkpoint") == [3, 6, 9]
    assert found(moments, "tool:search -failed") == [1, 7]


def test_from_the_nth_hit_on(moments: Moments) -> None:
    assert found(moments, "tool:search", hits=2) == [4, 7]
    assert found(moments, "tool:search hit >= 3") == [7]
    assert found(moments, "hit >= 6") == [7, 9]
    assert found(moments, lambda event: event.kind == "tool_result", hits=2) == [5, 8]


def test_a_function_is_asked_about_every_event(moments: Moments) -> None:
    assert found(moments, lambda event: isinstance(event, ToolCall) and event.arguments["n"] > 0) == [4, 7]


def test_a_function_that_raises_does_not_hold_there_and_says_so_in_one_sentence(moments: Moments) -> None:
    def careless(event):
        return event.arguments["n"] == 2

    each = Breakpoint(careless)
    assert each.positions(moments).tolist() == [7]
    assert each.problem == (
        "The breakpoint 'careless' raised AttributeError at 8 of 11 events, the first at position 0:"
        " 'AgentStart' object has no attribute 'arguments'"
    )


@pytest.mark.parametrize(
    ("path", "positions"),
    [("state.cart", [3, 9]), ("state.cart[1]", [9]), ("state", [3, 6, 9]), ("state.nothing", []), ("memory", [])],
)
def test_it_stops_where_the_state_changed(moments: Moments, path: str, positions: list[int]) -> None:
    assert found(moments, f'changed("{path}")') == positions
    assert found(moments, f"changed({path})") == positions


def test_several_breakpoints_are_one_sorted_array_for_the_stepper(moments: Moments) -> None:
    moments.stepper.positions["breakpoint"] = stops(
        moments, [Breakpoint("tool:search failed"), Breakpoint("changed(state.cart)"), Breakpoint("type:checkpoint")]
    )
    assert moments.stepper.positions["breakpoint"].tolist() == [3, 5, 6, 9]
    assert moments.stepper.next(3, "breakpoint") == 5
    assert stops(moments, []).tolist() == []


def test_what_cannot_be_read_is_said(moments: Moments) -> None:
    with pytest.raises(QueryError, match="cannot be read"):
        Breakpoint("changed(state.cart[)")
    with pytest.raises(QueryError):
        found(moments, "cost:cheap")
    with pytest.raises(QueryError, match="not 7"):
        Breakpoint(7)


def test_it_tells_what_it_waits_for() -> None:
    def slow(event): ...

    told = [Breakpoint("tool:a"), Breakpoint(slow, hits=2), Breakpoint("changed(state.x)", 3)]
    assert list(map(str, told)) == ["tool:a", "slow hit >= 2", "changed(state.x) hit >= 3"]
