"""The agent never notices: hostile values, odd arguments, faults of ours, signals, and what stays alive."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import itertools
import os
import signal
import threading
import time
import warnings
import weakref
from typing import Any

import numpy as np
import pytest

import peaky_peek as pp
from peaky_peek.capture import faults


def test_a_fault_of_ours_is_counted_logged_once_and_never_raised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from peaky_peek.store import records

    def broken(*_: Any, **__: Any) -> bytes:
        raise RuntimeError("our own bug")

    monkeypatch.setattr(faults, "strict", False)
    monkeypatch.setattr(faults, "counts", type(faults.counts)())
    monkeypatch.setattr(records, "encode_event", broken)

    @pp.trace
    def agent() -> str:
        return "fine"

    assert agent() == "fine"
    assert agent() == "fine"
    assert pp.status()["faults"] == {"RuntimeError: our own bug": 4}
    assert pp.status()["lost"] == 4
    assert [record.message for record in caplog.records].count(
        "could not record: RuntimeError: our own bug (said once; pp.status() counts them)"
    ) == 1
    monkeypatch.setattr(faults, "strict", True)
    with pytest.raises(RuntimeError, match="our own bug"):
        agent()


class Unspeakable(Exception):
    """An exception that cannot be printed."""

    def __str__(self) -> str:
        raise ValueError("no words")


class Shy:
    """An object that lets nobody look at its class, like a proxy outside of its context."""

    @property
    def __class__(self) -> Any:
        raise Unspeakable

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


class Locked(dict[str, Any]):
    """A dict that cannot be read."""

    def items(self) -> Any:
        raise RuntimeError("not now")

    values = items


@pytest.mark.parametrize("kind", [Shy, Locked])
def test_a_value_that_resists_costs_only_itself(kind: type) -> None:
    with pp.trace_session("hostile") as ctx:
        event = ctx.record_tool_result("t", {"fine": [1], 2: kind()})
    back = pp.event(event).result
    assert back["fine"] == [1]
    assert "while it was recorded" in back[2]


class Undecided:
    """A value that is neither true nor false, like an array."""

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


class Secretive(type):
    """A metaclass that does not tell what its class is called."""

    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)


class Nameless(metaclass=Secretive):
    pass


class Quitter:
    """An object whose text ends programs."""

    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


ODD: tuple[Any, ...] = (Nameless(), Quitter(), Shy(), Undecided(), 10**5000, "text", [], {1: 2}, np.zeros((2, 2)))


def record_odd(odd: Any) -> None:
    """Record a session that has the value wherever a value can be."""
    with pp.trace_session("odd") as ctx:
        ctx.record_decision(odd, confidence=odd, chosen_action=odd, evidence=odd, alternatives=odd)
        ctx.record_tool_call(odd, odd, call_id=odd)
        ctx.record_tool_result(odd, odd, odd, call_id=odd)
        ctx.record_llm_request(odd, odd, tools=odd, settings=odd, provider=odd, stream=odd)
        ctx.record_llm_response(odd, odd, tool_calls=odd, usage=odd, cost_usd=odd, finish_reason=odd)
        ctx.record_safety_check(odd, odd, odd, odd)
        ctx.record_error(odd, odd, odd)
        ctx.record_decision(data=odd, metadata=odd, name=odd, agent=odd, importance=odd, timestamp=odd, status=odd)
        ctx.outcome(odd, score=odd, note=odd)


@pytest.mark.parametrize("number", range(len(ODD)))
def test_a_value_of_any_kind_anywhere_loses_no_event_and_spoils_no_frame(number: int, monkeypatch: Any) -> None:
    odd = ODD[number]  # not as a parameter: pytest would look at it
    monkeypatch.setattr(faults, "strict", False)
    before = pp.status()["lost"]
    record_odd(odd)
    assert pp.status()["lost"] == before
    assert len(pp.events("odd", data=True)) == 10
    assert (len(pp.llm_calls("odd")), len(pp.decisions("odd"))) == (1, 2)
    assert len(pp.tool_calls("odd")) >= 1
    assert len(pp.messages("odd")) >= 1
    assert pp.session("odd").status == "completed"
    assert pp.status()["notices"] == []
    assert "odd" in repr(pp.tree("odd"))
    assert pp.tree("odd").to_html(os.devnull)


@pytest.mark.parametrize("number", range(len(ODD)))
def test_a_value_of_any_kind_anywhere_spoils_no_analysis_and_no_view(number: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(faults, "strict", False)
    for _ in range(2):
        record_odd(ODD[number])
    monkeypatch.setattr(faults, "strict", True)
    for ask in (pp.causes, pp.failures, pp.alerts, pp.checkpoints, pp.lint):
        assert list(ask("odd").columns)
    for kind in ("tree", "causal", "agents"):
        assert pp.graph("odd", kind=kind)
    for view in (pp.debugger, pp.conversation, pp.timeline, pp.safety, pp.clusters):
        assert view().to_html(os.devnull)
    assert pp.diff(-2, -1).to_html(os.devnull)
    assert len(pp.search("type:error")) == 2
    assert pp.live("odd").to_html(os.devnull)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PeekWarning)  # of what is no JSON, only the text comes back
        assert pp.restore("odd").messages is not None


def test_values_of_the_wrong_kind_lose_no_event_and_reach_no_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "strict", False)
    before = pp.status()["lost"]
    odd: Any = 5
    with pp.trace_session("odd") as ctx:
        ctx.record_tool_result("t", {"error": Undecided()}, duration_ms=odd)
        ctx.record_tool_result("t", error=Unspeakable())
        ctx.record_tool_result("t", duration_ms="fast", agent="kept")
        ctx.record_llm_response(odd, Undecided(), cost_usd="cheap", usage={"input": "12"})
        ctx.record_decision("r", evidence_event_ids=odd, upstream_event_ids=odd, metadata=odd, agent="kept")
        cause = ctx.record_decision("one is enough", evidence_event_ids="some-id", importance=1)
        effect = ctx.record_decision("r", upstream_event_ids=cause, no_such_field=1)
    frame = pp.events("odd")
    assert (len(frame), pp.status()["lost"]) == (9, before)
    assert frame.agent.tolist().count("kept") == 2
    assert pp.event(cause).evidence_event_ids == ["some-id"]
    assert pp.event(effect).upstream_event_ids == [cause.id]


def test_an_exception_that_cannot_be_printed_is_recorded_and_raised() -> None:
    @pp.tool
    def fails() -> None:
        raise Unspeakable

    with pytest.raises(Unspeakable), pp.trace_session("unspeakable"):
        fails()
    assert pp.tool_calls("unspeakable").error.tolist() == ["Unspeakable: Unspeakable"]
    assert pp.sessions().status.tolist() == ["failed"]


def test_what_is_decorated_stays_of_its_kind() -> None:
    @pp.trace
    @pp.tool
    def generator() -> Any:
        yield 1
        return 2

    @pp.trace
    @pp.tool
    async def async_generator() -> Any:
        yield 1

    class Agent:
        @pp.tool
        @staticmethod
        def plain(value: int) -> int:
            return value

        @pp.tool
        @classmethod
        def of_class(cls, value: int) -> Any:
            return cls, value

    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(async_generator)
    assert list(generator()) == [1]
    assert (Agent().plain(1), Agent.of_class(2)) == (1, (Agent, 2))
    assert pp.tool(functools.partial(int, "3"))() == 3
    assert pp.tool_calls(pp.ALL).arguments.tolist() == [{}, {"value": 1}, {"value": 2}, {}]
    assert pp.tool_calls(pp.ALL).result.tolist()[0] == 2
    assert pp.tool_calls(pp.ALL).tool_name.tolist()[-1] == "int"


def test_what_cannot_be_decorated_is_said_at_once() -> None:
    with pytest.raises(TypeError, match="Only functions and methods"):
        pp.tool(dict)  # a class would be one no more
    with pytest.raises(TypeError, match="not 'name'"):
        pp.trace("name")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="nmae"):
        pp.trace(nmae="agent")  # type: ignore[call-overload]


def test_the_event_loop_ends_what_was_left_half_consumed_without_a_word() -> None:
    said: list[Any] = []
    left: list[Any] = []

    @pp.trace
    async def stream() -> Any:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            left.append("cleaned up")

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        left.append(stream())
        await anext(left[0])

    asyncio.run(main())
    assert left[1:] == ["cleaned up"]
    assert said == []
    assert pp.sessions().status.tolist() == ["completed"]


def test_nothing_that_was_recorded_is_kept_alive() -> None:
    class Value:
        pass

    @pp.trace
    def generator() -> Any:
        yield 1

    def throw() -> weakref.ref[Any]:
        running = generator()
        next(running)
        try:
            running.throw(Unspeakable())
        except Unspeakable as error:
            return weakref.ref(error)
        raise AssertionError

    value = Value()
    seen = [weakref.ref(value)]
    gc.disable()
    try:
        with pp.trace_session("open") as ctx:
            ctx.record_tool_call("t", {"value": value})
            del value
            assert seen[0]() is None
        assert throw()() is None
    finally:
        gc.enable()


def test_a_signal_handler_may_record_whatever_it_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time_ns

    def interrupted() -> int:
        monkeypatch.setattr("peaky_peek.ids.time.time_ns", real)
        signal.raise_signal(signal.SIGUSR1)
        return real()

    def give_up(*_: Any) -> None:
        raise TimeoutError

    with pp.trace_session("signals") as ctx:
        former = signal.signal(signal.SIGUSR1, lambda *_: ctx.record_decision("in the handler") and None)
        alarm = signal.signal(signal.SIGALRM, give_up)
        signal.alarm(20)
        try:
            monkeypatch.setattr("peaky_peek.ids.time.time_ns", interrupted)
            ctx.record_decision("interrupted")
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, alarm)
            signal.signal(signal.SIGUSR1, former)
    assert sorted(pp.decisions("signals").reasoning) == ["in the handler", "interrupted"]


class Watched:
    """An object that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __repr__(self) -> str:
        self.asked.append("repr")
        return "watched"

    def __eq__(self, other: object) -> bool:
        self.asked.append("eq")
        return True

    def __hash__(self) -> int:
        self.asked.append("hash")
        return 1

    def __bool__(self) -> bool:
        self.asked.append("bool")
        return False

    def __len__(self) -> int:
        self.asked.append("len")
        return 0

    def __iter__(self) -> Any:
        self.asked.append("iter")
        return iter(())

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        raise AttributeError(name)


def test_an_object_is_asked_for_its_repr_once_and_for_nothing_else() -> None:
    values = [Watched() for _ in range(7)]
    with pp.trace_session("watched") as ctx:
        ctx.record_tool_call("t", {"value": values[0]})
        ctx.record_tool_result("t", values[1])
        ctx.record_llm_response("m", values[2])
        ctx.record_decision("r", 0.5, values[3])
        ctx.checkpoint([values[4]])
        ctx.record_agent_turn("a", content=(values[5],))
        ctx.record_tool_result("t", {"error": values[6]})
    assert [value.asked for value in values] == [["repr"]] * 7


def test_iterators_are_not_consumed() -> None:
    def endless() -> Any:
        while True:
            yield 1

    running, items = endless(), iter([1, 2])
    with pp.trace_session("iterators") as ctx:
        event = ctx.record_tool_call("t", {"generator": running, "iterator": items, "mapped": map(str, items)})
    assert pp.event(event).arguments["generator"].startswith("<generator object")
    assert (next(running), list(items)) == (1, [1, 2])


def _nested(kind: Any, depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = kind(value)
    return value


@pytest.mark.parametrize(
    "kind",
    [
        lambda v: [v],
        lambda v: (v,),
        lambda v: (1, v),
        lambda v: {"a": v},
        lambda v: frozenset([v]),
        lambda v: [{1: (v,)}],
    ],
    ids=str,
)
def test_what_is_nested_a_hundred_thousand_deep_costs_only_itself(kind: Any) -> None:
    with pp.trace_session("deep") as ctx:
        event = ctx.record_tool_call("t", {"deep": _nested(kind, 100_000), "flat": 1})
    assert pp.event(event).arguments["flat"] == 1


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, asyncio.CancelledError, RecursionError, MemoryError])
def test_whatever_a_repr_raises_is_the_objects_own_affair(kind: type[BaseException]) -> None:
    class Raising:
        def __repr__(self) -> str:
            raise kind

    with pp.trace_session("raising") as ctx:
        event = ctx.record_tool_call("t", [Raising(), 1])
    assert pp.event(event).arguments == [f"<{Raising.__qualname__}: {kind.__name__} while it was recorded>", 1]


def test_what_another_thread_changes_while_it_is_recorded_is_recorded() -> None:
    shared: dict[Any, Any] = {str(number): float(number) for number in range(500)} | {"n": float("nan"), 1: 2}
    over = threading.Event()

    def change() -> None:
        for number in itertools.count():
            shared[f"k{number % 500}"] = [number]
            shared.pop(f"k{number * 7 % 500}", None)
            if over.is_set():
                return

    thread = threading.Thread(target=change)
    thread.start()
    try:
        with pp.trace_session("changing") as ctx:
            events = [ctx.record_tool_call("t", {"shared": shared}) for _ in range(50)]
    finally:
        over.set()
        thread.join()
    assert all(pp.event(event).arguments["shared"] for event in events)


def test_a_value_that_the_store_cannot_hold_is_cut_and_says_how_long_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    from peaky_peek.store import records

    monkeypatch.setattr(records, "MOST", 3000)
    with pp.trace_session("huge") as ctx:
        event = ctx.record_tool_result("t", "x" * 5000)
    assert pp.event(event).result.bytes == 5002
    assert len(pp.event(event).result) == 1000
