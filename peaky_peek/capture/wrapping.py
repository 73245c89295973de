"""Wraps a function of any kind (plain, async, generator, async generator) in a span, and changes nothing else."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Protocol, Self

from peaky_peek.capture import faults
from peaky_peek.capture.context import CURRENT, HERE, return_to
from peaky_peek.capture.redaction import pieces
from peaky_peek.capture.tracebacks import step_out

_MAX_YIELDED = 1000


class Span(Protocol):
    """What a wrapped call is recorded as.

    One that has a method `saw` is told of each item that a generator yields, and knows itself what its output is.
    """

    output: Any
    place: AbstractContextManager[Any]
    """Makes this the place where events go while a block runs."""
    served: Any
    """What to give instead of calling the function, while a tape is played: see `served`."""

    def open(self) -> Self:
        """Begin."""

    def close(self, error: BaseException | None = None) -> None:
        """End."""


class Unseen:
    """Stands for a call that is not recorded."""

    output: Any
    place = HERE
    served: Any = None

    def open(self) -> Self:
        """Do nothing."""
        return self

    def close(self, error: BaseException | None = None) -> None:
        """Do nothing."""


def _made(make_span: Make, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
    try:
        return make_span(args, kwargs)
    except Exception as error:  # noqa: BLE001 - the agent never notices
        faults.report(error)
        return Unseen()


Make = Callable[[tuple[Any, ...], dict[str, Any]], Span]


def decorate(function: Any, make: Callable[[Any], Callable[..., Any]]) -> Any:
    """Return what `make` makes of a function, of the one inside a static or class method too.

    Raises:
        TypeError: if there is no function to decorate.
    """
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(make(function.__func__))
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"Only functions and methods can be decorated, not {function!r}.")
    try:
        return make(function)
    except Exception as error:  # noqa: BLE001 - the agent never notices
        faults.report(error)
        return function


def wrap(function: Callable[..., Any], make_span: Make) -> Callable[..., Any]:
    """Return `function` so that each call of it runs in the span that `make_span(args, kwargs)` gives.

    It stays of its kind: a generator function is replaced by a generator function, and so on.
    """
    if inspect.isasyncgenfunction(function):
        wrapped = _async_generator(function, make_span)
    elif inspect.isgeneratorfunction(function):
        wrapped = _generator(function, make_span)
    elif inspect.iscoroutinefunction(function):
        wrapped = _coroutine(function, make_span)
    else:
        wrapped = _plain(function, make_span)
    return functools.update_wrapper(wrapped, function)


def _plain(function: Callable[..., Any], make_span: Make) -> Callable[..., Any]:
    """Run the function inside the span, and if it returns what runs later, like a coroutine, that too."""

    def call(*args: Any, **kwargs: Any) -> Any:
        before = CURRENT.get()
        span = _made(make_span, args, kwargs)
        try:  # around all of it: an interrupt may come between any two lines of ours
            span = span.open()
            with span.place:
                output = function(*args, **kwargs) if span.served is None else _again(span.served)
            if type(output) in _LATER:
                return _continued(output, span)
            span.output = output
            span.close()
        except BaseException as error:
            return_to(before)  # an interrupt may have come before a place in here was left
            span.close(error)
            step_out(error)
            raise
        return output

    return call


def _continued(output: Any, span: Span) -> Any:
    """Return what runs later so that it runs inside a span that is open already; if it is awaited, it stays itself."""
    try:
        wrap_later = _LATER[type(output)]
        if wrap_later is not _generator or not inspect.isawaitable(output):

            class Opened(Unseen):
                def open(self) -> Any:
                    return span

                def close(self, error: BaseException | None = None) -> None:
                    span.close(error)

            if (facts := getattr(span, "facts", None)) is not None:
                facts["later"] = type(output).__name__
            span.served = None  # what runs later is what is served
            wrapped = wrap_later(lambda: output, lambda *_: Opened())
            wrapped.__name__, wrapped.__qualname__ = output.__name__, output.__qualname__
            return wrapped()
        span.output = output
    except Exception as error:  # noqa: BLE001 - the agent never notices
        faults.report(error)
    span.close()
    return output


def _coroutine(function: Callable[..., Any], make_span: Make) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        before = CURRENT.get()
        span = _made(make_span, args, kwargs)
        try:  # around all of it: an interrupt may come between any two lines of ours
            span = span.open()
            with span.place:
                output = await (function(*args, **kwargs) if span.served is None else span.served.in_time())
            span.output = output
            span.close()
        except BaseException as error:
            return_to(before)  # an interrupt may have come before a place in here was left
            span.close(error)
            step_out(error)
            raise
        return output

    return call


def _generator(function: Callable[..., Any], make_span: Make) -> Callable[..., Any]:
    """Run the body, and nothing of its consumer, inside the span. What the consumer throws in goes on to the body."""

    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        step: Callable[[Any], Any] = generator.send
        argument: Any = None
        yielded: list[Any] = []
        span = _made(make_span, args, kwargs)
        try:  # around all of it: an interrupt may come between any two lines of ours
            span = span.open()
            if span.served is not None:
                generator = span.served.items()
                step = generator.send
            while True:
                with span.place:
                    item = step(argument)
                _keep(span, item, yielded)
                try:
                    step, argument = generator.send, (yield item)
                except BaseException as error:  # noqa: BLE001 - the end of the generator too
                    step_out(error)
                    step, argument = generator.throw, error
        except StopIteration as stop:
            _end(span, yielded, stop.value)
            return stop.value
        except BaseException as error:
            argument = None  # or the error and this frame would keep each other
            _end(span, yielded, error=error)
            step_out(error)
            raise

    return call


def _async_generator(function: Callable[..., Any], make_span: Make) -> Callable[..., Any]:
    """Do for an async generator what `_generator` does for a plain one."""

    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        step = _begin_unseen(generator)
        yielded: list[Any] = []
        span = _made(make_span, args, kwargs)
        try:  # around all of it: an interrupt may come between any two lines of ours
            span = span.open()
            if span.served is not None:
                step.close()
                generator = span.served.items_in_time()
                step = _begin_unseen(generator)
            while True:
                with span.place:
                    item = await step
                _keep(span, item, yielded)
                try:
                    step = generator.asend((yield item))
                except BaseException as error:  # noqa: BLE001 - the end of the generator too
                    step_out(error)
                    step = generator.athrow(error)
        except StopAsyncIteration:
            _end(span, yielded)
        except BaseException as error:
            del step  # or the error and this frame would keep each other
            _end(span, yielded, error=error)
            step_out(error)
            raise

    return call


def _again(served: Any) -> Any:
    """Return what a function returned, or of what it returned to run later, what gives the same."""
    make = {"coroutine": "in_time", "generator": "items", "async_generator": "items_in_time"}.get(
        str(served.data.get("later"))
    )
    return served() if make is None else getattr(served, make)()


_LATER: dict[type, Callable[..., Callable[..., Any]]] = {
    CoroutineType: _coroutine, GeneratorType: _generator, AsyncGeneratorType: _async_generator,
}  # fmt: skip


def _keep(span: Span, item: Any, yielded: list[Any]) -> None:
    try:
        if (saw := getattr(span, "saw", None)) is not None:
            saw(item)
        elif len(yielded) < _MAX_YIELDED:
            yielded.append(item)
        elif (facts := getattr(span, "facts", None)) is not None:
            facts["more"] = True
    except Exception as error:  # noqa: BLE001 - the agent never notices
        faults.report(error)


def _end(span: Span, yielded: list[Any], returned: Any = None, error: BaseException | None = None) -> None:
    try:
        if not hasattr(span, "saw"):
            span.output = items = pieces.cleaned(yielded)
            if returned is not None:
                span.output = returned
                if (facts := getattr(span, "facts", None)) is not None:
                    facts["yielded"] = items
    except Exception as fault:  # noqa: BLE001 - the agent never notices
        faults.report(fault)
    finally:
        span.close(error)


def _begin_unseen(generator: AsyncGenerator[Any, Any]) -> Any:
    """Return the first step of a generator that the event loop is not to end: the one around it does."""
    try:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            return generator.asend(None)
        finally:
            sys.set_asyncgen_hooks(*hooks)
    except Exception as error:  # noqa: BLE001 - the agent never notices
        faults.report(error)
        return generator.asend(None)
