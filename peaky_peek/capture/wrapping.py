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
            step_out(error)
            return_to(before)  # an interrupt may have come before a place in here was left
            span.close(error)
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
            step_out(error)
            return_to(before)  # an interrupt may have come before a place in here was left
            span.close(error)
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
            step_out(error)
            argument = None  # or the error and this frame would keep each other
            _end(span, yielded, error=error)
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
            step_out(error)
            del step  # or the error and this frame would keep each other
            _end(span, yielded, error=error)
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


class Arguments:
    """Names the arguments of calls of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
            parameters = list(self._signature.parameters.values())
        except Exception:  # noqa: BLE001 - there is none, or its annotations cannot be evaluated yet
            self._signature, parameters = None, []
        plain = all(each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) for each in parameters)
        self._owner = parameters[0].name if parameters and parameters[0].name in ("self", "cls") else None
        self._names = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD] if plain else None

    def named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, defaults not included; without `self`, and with `*args` under its name."""
        try:
            if self._names is not None and len(args) <= len(self._names):  # what `bind` would say, ten times as fast
                named = dict(zip(self._names, args, strict=False)) | kwargs
            elif self._signature is not None:
                named = dict(self._signature.bind(*args, **kwargs).arguments)
            else:
                named = _numbered(args) | kwargs
        except TypeError:  # the call itself will say so
            return _numbered(args) | kwargs
        except Exception as error:  # noqa: BLE001 - the agent never notices
            faults.report(error)
            return _numbered(args) | kwargs
        if self._owner is not None:
            named.pop(self._owner, None)
        return named


def _numbered(args: tuple[Any, ...]) -> dict[str, Any]:
    return {f"arg{number}": value for number, value in enumerate(args)}


def source_of(function: Callable[..., Any]) -> str | None:
    """Return the source of a function, None where there is none to read."""
    try:
        if function.__code__.co_filename == __file__:  # IPython's autoreload takes our wrapper's file for the agent's
            return None
        return inspect.getsource(function)
    except Exception:  # noqa: BLE001 - there is none, it cannot be parsed, the file has changed
        return None


def name_of(function: Any) -> str:
    """Return the name of a function, of what is made into a partial, or of the type of another callable."""
    return str(getattr(getattr(function, "func", function), "__name__", type(function).__name__))
