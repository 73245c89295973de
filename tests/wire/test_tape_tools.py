"""Tools are played as what they were: results of their own types, exceptions of their own classes, unfinished ones."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import pytest
from openai import OpenAI
from pydantic import BaseModel, Field

import peaky_peek as pp
from peaky_peek.store import Database
from tests.loopback import Loopback, message
from tests.wire.calls import ask

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


def outcome(agent: Callable[[], Any]) -> Any:
    try:
        return agent()
    except Exception as error:  # noqa: BLE001 - what the agent sees
        return type(error), str(error), repr(error)


def twice(agent: Callable[[], Any]) -> tuple[Any, Any]:
    """What an agent comes to, and what it comes to from its tape without running its tools."""
    with pp.trace_session("first run"):
        first = outcome(agent)
    count = len(ran)
    with pp.tape("first run"), pp.trace_session("second run"):
        second = outcome(agent)
    assert len(ran) == count
    return first, second


class Sky(Enum):
    RAIN = "rain"


class Place(NamedTuple):
    name: str
    at: tuple[float, float]


@dataclasses.dataclass(frozen=True, slots=True)
class Forecast:
    place: Place
    hours: dict[str, list[Sky]]
    until: dt.datetime | None = None


class Refund(BaseModel):
    order: str = Field(alias="orderId")
    lines: list[tuple[str, int]]


PARIS = Place("Paris", (48.9, 2.4))
FORECAST = Forecast(PARIS, {"today": [Sky.RAIN]}, dt.datetime(2026, 11, 27, tzinfo=dt.UTC))
REFUND = Refund(orderId="A-1", lines=[("shirt", 2)])


def of_a_place() -> Place:
    return PARIS


def of_forecasts() -> list[Forecast]:
    return [FORECAST]


def of_one_or_none() -> Forecast | None:
    return FORECAST


def of_a_model() -> Annotated[Refund, "what was paid back"]:
    return REFUND


def of_an_enum() -> Sky:
    return Sky.RAIN


@pytest.mark.parametrize("function", [of_a_place, of_forecasts, of_one_or_none, of_a_model, of_an_enum])
def test_a_result_is_of_the_type_that_the_tool_says(store: Database, function: Any) -> None:
    first, second = twice(pp.tool(function))
    assert (second, type(second)) == (first, type(first))


SIMPLE = [
    (1, (2, "x")), {1, 2}, frozenset({"a"}), bytearray(b"raw"), b"raw", UUID(int=7), None, {1: "one"}, [(1, 2), (3, 4)],
    {"row": (1, 2)}, dt.timedelta(days=1), dt.date(2026, 1, 1), float("inf"), 1 << 80,
]  # fmt: skip


@pytest.mark.parametrize("value", SIMPLE, ids=repr)
def test_a_result_of_pythons_own_types_needs_no_annotation(store: Database, value: Any) -> None:
    @pp.tool
    def give():  # type: ignore[no-untyped-def]
        return value

    first, second = twice(give)
    assert type(second) is type(first)
    if not isinstance(value, tuple):  # of what is inside what is inside, the recording does not know
        assert second == first


def test_a_result_whose_type_nobody_says_is_not_played_as_something_else(store: Database) -> None:
    @pp.tool
    def forecast():  # type: ignore[no-untyped-def]
        return FORECAST

    _, (kind, said, _) = twice(forecast)
    assert kind is pp.NotOnTape
    assert "(Forecast)" in said
    assert "return annotation" in said


class Declined(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


ERRORS = [
    KeyError("city"), ValueError(), TimeoutError("late"), FileNotFoundError(2, "No such", "x.txt"), Declined(51, "no"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), ExceptionGroup("several", [ValueError("one")]),
    RuntimeError("a: b"),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_a_tool_raised_is_raised_again_as_the_same(store: Database, error: Exception) -> None:
    @pp.tool
    def fails() -> None:
        raise error

    def agent() -> Any:
        try:
            fails()
        except Exception as caught:  # noqa: BLE001 - what the agent sees
            return type(caught).__name__, str(caught), getattr(caught, "code", None)

    first, second = twice(agent)
    assert first == second
    if not isinstance(error, ExceptionGroup):  # which cannot be made of its message
        with pp.tape("first run"), pytest.raises(type(error)):
            fails()


@pp.tool
def count(to: int) -> Iterator[int]:
    ran.append("count")
    yield from range(to)


def test_a_generator_that_was_left_yields_what_it_had_and_no_more(store: Database) -> None:
    first, second = twice(lambda: [next(iter(count(3)))])
    assert first == second == [0]
    with pp.tape("first run"), pytest.raises(pp.NotOnTape, match="up to item 1"):
        list(count(3))


def test_a_generator_of_very_many_items_does_not_end_where_its_recording_does(store: Database) -> None:
    (first, second) = twice(lambda: len(list(count(1500))))
    assert first == 1500
    assert second[0] is pp.NotOnTape
    assert "up to item 1000" in second[1]


def test_a_generator_fails_after_what_it_yielded_and_returns_what_it_returned(store: Database) -> None:
    @pp.tool
    def lines(fails: bool) -> Any:
        yield (1, "a")
        if fails:
            raise OSError("torn")
        return "the end"

    def agent() -> list[Any]:
        seen: list[Any] = []

        def reading(fails: bool) -> Any:
            seen.append((yield from lines(fails)))

        seen += reading(False)
        with pytest.raises(OSError, match="torn"):
            seen.extend(reading(True))
        return seen

    first, second = twice(agent)
    assert first == second == [(1, "a"), "the end", (1, "a")]


def test_an_async_generator_that_was_closed_early(store: Database) -> None:
    @pp.tool
    async def numbers() -> Any:
        ran.append("numbers")
        for number in range(3):
            yield number

    async def first_of() -> Any:
        items = numbers()
        first = await anext(items)
        await items.aclose()
        return first

    assert twice(lambda: asyncio.run(first_of())) == (0, 0)


def test_a_plain_function_that_returns_a_coroutine_or_a_generator(store: Database) -> None:
    async def later(city: str) -> str:
        ran.append(city)
        return f"rain in {city}"

    fetch = pp.tool(name="fetch")(lambda city: later(city))  # noqa: PLW0108 - no coroutine function itself
    pages = pp.tool(name="pages")(lambda: (page for page in range(2)))

    async def agent() -> Any:
        return await fetch("Paris"), list(pages())

    assert twice(lambda: asyncio.run(agent())) == (("rain in Paris", [0, 1]),) * 2


def test_a_tool_that_ran_into_a_time_limit_does_so_again(store: Database) -> None:
    @pp.tool
    async def slow() -> None:
        ran.append("slow")
        await asyncio.Event().wait()

    async def agent() -> str:
        try:
            async with asyncio.timeout(0.01):
                await slow()
        except TimeoutError:
            return "too slow"
        return "done"

    assert twice(lambda: asyncio.run(agent())) == ("too slow", "too slow")


def test_a_tool_that_was_cut_short_is_not_run_when_nobody_cuts_it_short(store: Database) -> None:
    interrupt = [True]

    @pp.tool
    def stops() -> str:
        ran.append("stops")
        if interrupt.pop():
            raise KeyboardInterrupt
        return "went on"

    with pytest.raises(KeyboardInterrupt), pp.trace_session("first run"):
        stops()
    interrupt.append(False)
    with pp.tape("first run"), pytest.raises(pp.NotOnTape, match="cut short"):
        stops()
    assert ran == ["stops"]


def test_what_a_tool_did_itself_is_no_answer_to_others(store: Database, server: Loopback, client: OpenAI) -> None:
    answers = iter("abcdef")
    server.reply_to = lambda seen: message(next(answers))  # type: ignore[method-assign]

    @pp.tool
    def lookup(key: str) -> str:
        ran.append(key)
        return f"{key} {len(ran)}"

    @pp.tool
    def expert(key: str) -> str:
        return lookup(key) + ask(client).choices[0].message.content

    def agent() -> list[Any]:
        return [expert("x"), lookup("x"), ask(client).choices[0].message.content]

    first, second = twice(agent)
    assert first == second == ["x 1a", "x 2", "b"]
    with pp.tape("first run") as tape:
        agent()
    assert repr(tape) == "Tape('first run', 2 of 2 exchanges, 3 of 3 tools played)"
    with pp.tape("first run", tools="live") as tape:
        assert agent() == ["x 3a", "x 4", "b"]


def test_objects_in_arguments_are_the_same_wherever_they_are_in_memory(store: Database) -> None:
    class Shop:
        pass

    @pp.tool
    def stock(shop: Shop, kind: type, more: int = 2, *rest: int, **options: Any) -> list[Any]:
        ran.append("stock")
        return [kind.__name__, more, *rest]

    assert twice(lambda: [stock(Shop(), Shop), stock(Shop(), int, 3, 4, at="x")]) == ([["Shop", 2], ["int", 3, 4]],) * 2


def test_tools_are_played_while_nothing_is_recorded(store: Database) -> None:
    @pp.tool
    def roll() -> int:
        ran.append("roll")
        return 4

    with pp.trace_session("first run"):
        roll()
    with pp.tape("first run"), pp.pause():
        assert roll() == 4
    pp.init(db=store.path, sample=0)
    with pp.tape("first run"), pp.trace_session("not sampled"):
        assert roll() == 4
    assert ran == ["roll"]


def test_a_fault_of_ours_does_not_run_the_tool(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with pp.trace_session("first run"):
        list(count(1))
    with pp.tape("first run") as tape:
        monkeypatch.setattr(tape, "_clean", lambda body: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(count(1))
    assert ran == ["count"]
