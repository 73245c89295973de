"""The decorators: `trace` for agents, `tool` for their tools, `llm` for model clients that nothing else knows."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Self, TypeVar, overload

from peaky_peek.capture import context, faults, spending
from peaky_peek.capture.context import HERE, Scope, inside, scope_for_event, tag_list
from peaky_peek.capture.spans import TraceContext, described_error
from peaky_peek.capture.verbs import Common, Verbs, emit
from peaky_peek.capture.wrapping import Arguments, decorate, name_of, source_of, wrap
from peaky_peek.events import Error, Event, LLMRequest, ToolCall, ToolResult

F = TypeVar("F", bound=Callable[..., Any])


@overload
def trace(function: F, /) -> F: ...
@overload
def trace(
    *, name: str | None = None, framework: str | None = None, task: str | None = None, version: str | None = None,
    tags: Iterable[str] = (), new_session: bool = False,
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
    return wrap(function, lambda args, kwargs: _ToolSpan(tool_name, arguments.named(args, kwargs)))


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
        return wrap(function, lambda args, kwargs: _LLMSpan(model, provider, arguments.named(args, kwargs)))

    return lambda decorated: decorate(decorated, make)


class _CallSpan:
    """A call with its answer, under the event around it."""

    _is_model_call = False

    def __init__(self) -> None:
        self.output: Any = None
        self._scope: Scope | None = None
        self._inside: Scope | None = None
        self.place: AbstractContextManager[None] = HERE
        self._started_at = self._opened_in = 0

    def open(self) -> Self:
        try:
            self._scope = scope = scope_for_event()
            if scope is not None and scope.session.budget is not None:
                spending.stop_if_over(scope.session, look=self._is_model_call)
            self._opened_in = os.getpid()
            self._started_at = time.perf_counter_ns()
            if self._scope is not None:
                call = self._record_call(self._scope)
                self._inside = Scope(self._scope.session, call.id or None, self._scope.agent, self._scope.inferred)
                self.place = inside(self._inside)
        except Exception as error:  # noqa: BLE001 - the agent never notices
            faults.report(error)
        return self

    def close(self, error: BaseException | None = None) -> None:
        try:
            if self._inside is None or os.getpid() != self._opened_in:  # a forked child leaves the answer to its parent
                return
            if context.paused:
                return
            status = "ok" if error is None else "error" if isinstance(error, Exception) else "cancelled"
            took = (time.perf_counter_ns() - self._started_at) / 1e6
            self._record_answer(self._inside, error, {"duration_ms": took, "status": status})
        except Exception as fault:  # noqa: BLE001 - the agent never notices
            faults.report(fault)

    def _record_call(self, scope: Scope) -> Event:
        raise NotImplementedError

    def _record_answer(self, inside: Scope, error: BaseException | None, common: Common) -> None:
        raise NotImplementedError


class _ToolSpan(_CallSpan):
    def __init__(self, name: str, arguments: dict[str, Any]) -> None:
        super().__init__()
        self._name, self._arguments = name, arguments

    def _record_call(self, scope: Scope) -> Event:
        return emit(ToolCall, scope, {}, {"tool_name": self._name, "arguments": self._arguments})

    def _record_answer(self, inside: Scope, error: BaseException | None, common: Common) -> None:
        said = None if error is None else faults.said(error)
        emit(ToolResult, inside, {}, {"tool_name": self._name, "result": self.output, "error": said, **common})


class _LLMSpan(_CallSpan):
    _is_model_call = True

    def __init__(self, model: str | None, provider: str | None, arguments: dict[str, Any]) -> None:
        super().__init__()
        self._model, self._provider, self._arguments = model, provider, arguments

    def _record_call(self, scope: Scope) -> Event:
        settings = dict(self._arguments)
        key = next((key for key in ("messages", "prompt") if key in settings), next(iter(settings), None))
        prompt = settings.pop(key) if key is not None else None
        messages = prompt if isinstance(prompt, list) or prompt is None else [{"role": "user", "content": prompt}]
        typed = {
            "provider": self._provider, "model": settings.pop("model", self._model), "messages": messages,
            "tools": settings.pop("tools", None), "settings": settings or None,
        }  # fmt: skip
        return emit(LLMRequest, scope, {}, typed)

    def _record_answer(self, inside: Scope, error: BaseException | None, common: Common) -> None:
        answers = _Answers(inside)
        if error is not None:
            answers.record_llm_response(self._model, complete=False, **common)
            if isinstance(error, Exception):
                emit(Error, inside, {"status": "error"}, described_error(error))
        else:
            answers.record_llm_response(self._model, **answer_of(self.output), **common)


class _Answers(Verbs):
    _may_stop = False  # the answer is paid for, and the agent's: the next call is stopped

    def __init__(self, scope: Scope) -> None:
        self._inside = scope

    def _scope(self) -> Scope:
        return self._inside


def answer_of(output: Any) -> dict[str, Any]:
    """Return the fields of an answer that is text, a list of pieces, or of the shape of OpenAI's chat completions."""
    if isinstance(output, list) and all(isinstance(piece, str) for piece in output):
        return {"content": "".join(output)}
    try:
        whole = output.model_dump() if hasattr(type(output), "model_dump") else output
        choice = whole["choices"][0]
        message = choice["message"]
        return {
            "content": message.get("content"), "tool_calls": message.get("tool_calls"), "usage": whole.get("usage"),
            "finish_reason": choice.get("finish_reason"),
        }  # fmt: skip
    except Exception:  # noqa: BLE001 - it is of another shape, and recorded as it is
        return {"content": output}


def _once(make: Callable[[], Any]) -> Callable[[], Any]:
    made: list[Any] = []

    def get() -> Any:
        if not made:
            made.append(make())
        return made[0]

    return get
