"""Wraps a function of any kind (plain, async, generator, async generator) in a span, and changes nothing else."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from peaky_peek.capture import faults

_MAX_YIELDED = 1000


class Span(Protocol):
    """What a wrapped call is recorded as."""

    output: Any

    def open(self) -> Any:
        """Begin."""

    def close(self, error: BaseException | None = None) -> None:
        """End."""

    def active(self) -> AbstractContextManager[Any]:
        """Make this the place where events go while the block runs."""


def wrap(
    function: Callable[..., Any], make_span: Callable[[tuple[Any, ...], dict[str, Any]], Span]
) -> Callable[..., Any]:
    """Return `function` so that each call of it runs in the span that `make_span(args, kwargs)` gives."""
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        def call_async_generator(*args: Any, **kwargs: Any) -> Any:
            return _drive_async(function(*args, **kwargs), make_span(args, kwargs))

        return call_async_generator
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def call_generator(*args: Any, **kwargs: Any) -> Any:
            return _drive(function(*args, **kwargs), make_span(args, kwargs))

        return call_generator
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            span = make_span(args, kwargs).open()
            try:
                with span.active():
                    span.output = await function(*args, **kwargs)
            except BaseException as error:
                span.close(error)
                raise
            span.close()
            return span.output

        return call_async

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        span = make_span(args, kwargs).open()
        try:
            with span.active():
                span.output = function(*args, **kwargs)
        except BaseException as error:
            span.close(error)
            raise
        span.close()
        return span.output

    return call


def _drive(generator: Generator[Any, Any, Any], span: Span) -> Generator[Any, Any, Any]:
    """Run a generator so that its body, and nothing of its consumer, is inside the span."""
    step: Callable[[Any], Any] = generator.send
    argument: Any = None
    yielded: list[Any] = []
    span.open()
    try:
        while True:
            with span.active():
                item = step(argument)
            if len(yielded) < _MAX_YIELDED:
                yielded.append(item)
            try:
                step, argument = generator.send, (yield item)
            except GeneratorExit:
                with span.active():
                    generator.close()
                raise
            except BaseException as error:  # noqa: BLE001 - thrown in by the consumer: it goes on into the generator
                step, argument = generator.throw, error
    except StopIteration as stop:
        span.output = yielded if stop.value is None else stop.value
        span.close()
        return stop.value
    except BaseException as error:
        span.output = yielded
        span.close(error)
        raise


async def _drive_async(generator: AsyncGenerator[Any, Any], span: Span) -> AsyncGenerator[Any, Any]:
    """Do for an async generator what `_drive` does for a plain one."""
    step: Callable[[Any], Any] = generator.asend
    argument: Any = None
    yielded: list[Any] = []
    span.open()
    try:
        while True:
            with span.active():
                item = await step(argument)
            if len(yielded) < _MAX_YIELDED:
                yielded.append(item)
            try:
                step, argument = generator.asend, (yield item)
            except GeneratorExit:
                with span.active():
                    await generator.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - thrown in by the consumer: it goes on into the generator
                step, argument = generator.athrow, error
    except StopAsyncIteration:
        span.output = yielded
        span.close()
    except BaseException as error:
        span.output = yielded
        span.close(error)
        raise


class Arguments:
    """Names the arguments of calls of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):
            self._signature = None

    def named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, defaults not included; without `self`, and with `*args` under its name."""
        try:
            if self._signature is not None:
                bound = dict(self._signature.bind(*args, **kwargs).arguments)
                first = next(iter(self._signature.parameters), None)
                if first in ("self", "cls"):
                    bound.pop(first, None)
                return bound
        except TypeError:  # the call itself will say so
            pass
        except Exception as error:  # noqa: BLE001 - the agent never notices
            faults.report(error)
        return {**{f"arg{number}": value for number, value in enumerate(args)}, **kwargs}


def source_of(function: Callable[..., Any]) -> str | None:
    """Return the source of a function, None where there is none to read."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return None
