"""What a tool came to when it was recorded, to be given again while a tape is played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import orjson

from peaky_peek import encoding
from peaky_peek.capture import raised, returned
from peaky_peek.errors import NotOnTape

_LIVE = 'run the tools with `pp.tape(..., tools="live")`.'


def patience(seconds: float) -> float:
    """Return how many seconds what was cancelled waits to be so again, if it was after so many."""
    return 2 * seconds + 1


@dataclass(slots=True)
class Served:
    """What a recorded tool came to; called, it returns the result or raises what the tool raised.

    Attributes:
        name: The tool's.
        payload: Its result, as it is stored.
        status: "ok", "error" or "cancelled"; None when the recording ends before the tool did.
        seconds: How long it took.
        begin: To be called when it is given to the application.
        function: The function that is not run, as far as known: it says which types it returns.
    """

    name: str
    payload: str | None
    status: str | None
    seconds: float
    begin: Callable[[], None]
    function: Callable[..., Any] | None = None
    result: Any = field(init=False, default=None)
    error: str | None = field(init=False, default=None)
    data: dict[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        answer: Any = encoding.decode(self.payload) if self.payload is not None else None
        if isinstance(answer, dict):
            data = answer.get("data")
            self.result, self.error, self.data = answer.get("result"), answer.get("error"), _dict(data)

    @property
    def paused(self) -> bool:
        """Whether it waited for somebody: it is run again up to there."""
        return self.data.get("paused") is True or "deferred" in self.data

    def __call__(self) -> Any:
        """Return what the tool returned, or raise what it raised."""
        self.begin()
        if self.status == "cancelled":
            raise NotOnTape(f"{self.name} was cut short when it was recorded, and is not now: {_LIVE}")
        if self.error is not None:
            raise raised.again(self.error, self.data.get("raised"))
        return self._object(self.result)

    async def in_time(self) -> Any:
        """Do the same for a coroutine: one that was cancelled waits, a while, for that to happen again."""
        if self.status == "cancelled":
            await asyncio.sleep(patience(self.seconds))
        return self()

    def items(self) -> Generator[Any, Any, Any]:
        """Yield what a generator yielded, and end as it ended."""
        self.begin()
        yielded = self.data.get("yielded", self.result)
        yield from self._object(yielded if isinstance(yielded, list) else [yielded])
        if self.status == "cancelled" or "more" in self.data:
            raise NotOnTape(
                f"What {self.name} yields is recorded up to item {len(yielded or ())}, and more is asked for: {_LIVE}"
            )
        if self.error is not None:
            raise raised.again(self.error, self.data.get("raised"))
        return self.result if "yielded" in self.data else None

    async def items_in_time(self) -> AsyncGenerator[Any, Any]:
        """Do the same for an asynchronous generator."""
        for item in self.items():
            yield item

    def _object(self, value: Any) -> Any:
        """Return a recorded value as what it was.

        Raises:
            NotOnTape: it is not known well enough.
        """
        encoded = orjson.dumps((orjson.loads(self.payload or "{}")).get("result"))
        if any(mark in encoded for mark in (b'"__peek__":"repr"', b'"__peek__":"cut"')):
            raise NotOnTape(
                f"What {self.name} returned is recorded as text only, because it is an object of its own kind or was"
                f" cut: {_LIVE}"
            )
        try:
            return returned.again(value, self.data.get("returned"), self.function)
        except ValueError as was:
            raise NotOnTape(
                f"What {self.name} returned ({was}) is recorded by its fields, and what to make of them is not known:"
                f" name the type in the tool's return annotation, or {_LIVE}"
            ) from None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


@dataclass(slots=True)
class Missing:
    """Stands for a result that is not on the tape: whoever wants it gets what was found out instead."""

    problem: Exception
    data: dict[str, Any] = field(default_factory=dict)
    result: None = None
    error: None = None
    paused: bool = False

    def __call__(self) -> Any:
        """Raise the problem."""
        raise self.problem

    async def in_time(self) -> Any:
        """Raise the problem."""
        raise self.problem

    def items(self) -> Generator[Any, Any, Any]:
        """Raise the problem."""
        raise self.problem
        yield  # type: ignore[unreachable]

    async def items_in_time(self) -> AsyncGenerator[Any, Any]:
        """Raise the problem."""
        raise self.problem
        yield  # type: ignore[unreachable]
