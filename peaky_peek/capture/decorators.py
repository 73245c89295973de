"""The decorators: `trace` for agents, `tool` for their tools, `llm` for model clients that nothing else knows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from peaky_peek.capture import limits
from peaky_peek.capture.call_spans import LLMSpan, ToolSpan
from peaky_peek.capture.context import tag_list
from peaky_peek.capture.functions import Arguments, name_of, source_of
from peaky_peek.capture.spans import TraceContext
from peaky_peek.capture.wrapping import decorate, wrap

F = TypeVar("F", bound=Callable[..., Any])


@overload
def trace(function: F, /) -> F: ...
@overload
def trace(
    *, name: str | None = None, framework: str | None = None, task: str | None = None, version: str | None = None,
    tags: Iterable[str] = (), new_session: bool = False, stop_on: limits.StopOn = None,
) -> Callable[[F], F]: ...  # fmt: skip
def trace(function: Any = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Record every call of an agent: a session, or inside one, an agent span in it.

    Works on functions, coroutine functions, generators and async generators, bare or with options.

    Args:
        function: the agent.
        name: what to call it; else the function's name.
        **options: the options of `TraceContext`.

    Example:
        >>> @trace(name="greeter", task="greeting")
        ... def agent(who):
        ...     return f"hello {who}"
        >>> agent("you")
        'hello you'
    """
    options["tags"] = tag_list(options.get("tags"))
    TraceContext("", input=None, code=None, **options)  # what is wrong with them is said here, not to the agent
    make = functools.partial(_trace, name=name, options=options)
    return decorate(function, make) if function is not None else lambda decorated: decorate(decorated, make)


def _trace(function: Callable[..., Any], name: str | None, options: dict[str, Any]) -> Callable[..., Any]:
    arguments, code = Arguments(function), _once(lambda: source_of(function))
    agent_name = name or name_of(function)

    def make_span(args: tuple[Any, ...], kwargs: dict[str, Any]) -> TraceContext:
        return TraceContext(agent_name, input=arguments.named(args, kwargs), code=code(), **options)

    return wrap(function, make_span)


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(*, name: str | None = None) -> Callable[[F], F]: ...
def tool(function: Any = None, /, *, name: str | None = None) -> Any:
    """Record every call of a tool: a `tool_call` with its arguments, and a `tool_result` with what came back.

    Example:
        >>> @tool
        ... def add(a, b):
        ...     return a + b
        >>> add(1, b=2)
        3
    """
    make = functools.partial(_tool, name=name)
    return decorate(function, make) if function is not None else lambda decorated: decorate(decorated, make)


def _tool(function: Callable[..., Any], name: str | None) -> Callable[..., Any]:
    arguments, tool_name = Arguments(function), name or name_of(function)
    return wrap(function, lambda args, kwargs: ToolSpan(tool_name, arguments.named(args, kwargs), function=function))


def llm(*, model: str | None = None, provider: str | None = None) -> Callable[[F], F]:
    """Record every call of a model client that Peaky Peek does not know: an `llm_request` and an `llm_response`.

    The prompt is the argument named `messages` or `prompt`, else the first. The answer is text, or of OpenAI's shape.

    Example:
        >>> @llm(model="my-model")
        ... def complete(prompt):
        ...     return "42"
        >>> complete("6 * 7?")
        '42'
    """

    def make(function: Callable[..., Any]) -> Callable[..., Any]:
        arguments = Arguments(function)
        return wrap(function, lambda args, kwargs: LLMSpan(model, provider, arguments.named(args, kwargs)))

    return lambda decorated: decorate(decorated, make)


def _once(make: Callable[[], Any]) -> Callable[[], Any]:
    made: list[Any] = []

    def get() -> Any:
        if not made:
            made.append(make())
        return made[0]

    return get
