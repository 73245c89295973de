"""Calls of tools and models as spans: each is a pair of events, and what happens between is inside the first."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self

from peaky_peek.capture import context, faults, limits, raised, returned
from peaky_peek.capture.context import HERE, SILENT, Scope, inside, scope_for_event
from peaky_peek.capture.spans import Paused, described_error, status_of
from peaky_peek.capture.verbs import Common, Verbs, emit
from peaky_peek.events import Error, Event, LLMRequest, ToolCall, ToolResult

if TYPE_CHECKING:
    from peaky_peek.capture.served import Missing, Served


class CallSpan:
    """A call with its answer, under the event around it."""

    output: Any = None
    inside: Scope | None = None
    """Where what happens during the call belongs; None while nothing is recorded."""
    place: AbstractContextManager[None] = HERE
    served: Served | Missing | None = None
    """What to give instead of calling the function, while a tape is played."""
    failure: str | None = None
    """What went wrong in it, if whoever runs it makes a result of that."""
    _is_model_call = False
    _started_at = _opened_in = 0

    def open(self, scope: Scope | None = None) -> Self:
        """Begin, in a scope, or where the code runs."""
        try:
            scope = None if context.paused else scope or scope_for_event()
            if context.tape is not None:
                scope = scope or SILENT  # what is played is played where nothing is recorded too
            if scope is not None and scope.session.limits is not None:
                limits.stop_if_beyond(scope.session, is_model_call=self._is_model_call)
            self._opened_in = os.getpid()
            self._started_at = time.perf_counter_ns()
            if scope is not None:
                self.inside = self._begun(scope)
                if self.inside is not None:
                    self.place = inside(self.inside)
            if context.tape is not None:
                self.served = self._recorded()
        except Exception as error:  # noqa: BLE001 - the agent never notices
            faults.report(error)
        return self

    def close(self, error: BaseException | str | None = None) -> None:
        """End, with `output`, an error, or what went wrong in it."""
        try:
            error = self.failure if error is None else error
            if self.inside is None or os.getpid() != self._opened_in:  # a forked child leaves the answer to its parent
                return
            self.inside.closed, self.inside.tool = True, None  # or both would wait for the garbage collector
            if context.paused:
                return
            took = (time.perf_counter_ns() - self._started_at) / 1e6
            self._record_answer(self.inside, error, {"duration_ms": took, "status": status_of(error)})
        except Exception as fault:  # noqa: BLE001 - the agent never notices
            faults.report(fault)

    def _recorded(self) -> Served | Missing | None:
        """Return what the tape has of this call."""
        return None

    def _begun(self, scope: Scope) -> Scope | None:
        """Record the call and return its inside."""
        return Scope(scope.session, self._record_call(scope).id or None, scope.agent, scope.inferred, outside=scope)

    def _record_call(self, scope: Scope) -> Event:
        raise NotImplementedError

    def _record_answer(self, inside: Scope, error: BaseException | str | None, common: Common) -> None:
        raise NotImplementedError


class ToolSpan(CallSpan):
    """A tool that runs.

    Args:
        name: the tool's.
        arguments: what it is called with.
        call_id: the model's id of the call.
        by_framework: a framework runs it; if its function is decorated with `pp.tool`, that is the same call.
        common: what both events say besides.
        function: what is called, if it was decorated.
    """

    result: ToolResult | None = None
    """The event that the span ended with."""
    _around: ToolSpan | None = None
    """The span of the framework that this is the function of."""

    def __init__(
        self, name: str, arguments: Any, call_id: str | None = None, *, by_framework: bool = False,
        common: Common | None = None, function: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        self.name, self._arguments, self._call_id = name, arguments, call_id
        self.facts: dict[str, Any] = {}
        """What is learned while it runs; `data` of the result."""
        self._common: Common = common or {}
        self._function = function
        self._awaits_function = by_framework

    def leads_to(self, agent: str) -> None:
        """Say that it handed over to an agent, whose run follows from it."""
        if self.inside is not None and self.result is not None and self.result.id:
            self.inside.session.handed[agent] = self.result.id

    def _recorded(self) -> Served | Missing | None:
        if self._around is not None:
            return self._around.served
        try:
            tape = None if context.tape is None else context.tape()
            return None if tape is None else tape.tool(self.name, self._arguments, self._function)
        except Exception as problem:  # noqa: BLE001 - said where the tool would run: it does not, whatever is wrong
            from peaky_peek.capture.served import Missing

            return Missing(problem)

    def _begun(self, scope: Scope) -> Scope | None:
        around = scope.tool
        if around is not None and around._is_run_by(self):
            self._around = around
            return None
        within = super()._begun(scope)
        if within is not None:
            within.tool = self
        return within

    def _is_run_by(self, span: ToolSpan) -> bool:
        """Tell whether another span is the function of this one, which is recorded already; it is so once."""
        is_function = self._awaits_function and not span._awaits_function and span.name == self.name
        self._awaits_function = self._awaits_function and not is_function
        return is_function

    def _record_call(self, scope: Scope) -> Event:
        typed = {"tool_name": self.name, "arguments": self._arguments, "call_id": self._call_id}
        return emit(ToolCall, scope, self._common, typed)

    def _record_answer(self, inside: Scope, error: BaseException | str | None, common: Common) -> None:
        said = faults.said(error) if isinstance(error, BaseException) else error
        typed: dict[str, Any] = {
            "tool_name": self.name, "result": self.output, "error": None if isinstance(error, Paused) else said,
            "call_id": self._call_id, **common,
        }  # fmt: skip
        if error is not None or self.facts or (self._function is not None and type(self.output) not in _SIMPLE):
            self._note(error)
        if self.facts:
            self._common = {**self._common, "data": {**self._common.get("data", {}), **self.facts}}
        self.result = emit(ToolResult, inside, self._common, typed)

    @faults.guarded
    def _note(self, error: BaseException | str | None) -> None:
        """Take note of what a tape needs to give back the same."""
        if isinstance(error, Paused) and not self._common.get("data"):
            self.facts["paused"] = True
        if self._function is None:
            return
        if isinstance(error, Exception):
            self.facts |= raised.facts(error)
        if (kind := returned.kind(self.facts.get("yielded", self.output))) is not None:
            self.facts["returned"] = kind


_SIMPLE = frozenset({type(None), str, int, float, bool})
"""What is given back as what it is without a word."""


class LLMSpan(CallSpan):
    """A model that is asked, by a client that nothing else knows."""

    _is_model_call = True

    def __init__(self, model: str | None, provider: str | None, arguments: dict[str, Any]) -> None:
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

    def _record_answer(self, inside: Scope, error: BaseException | str | None, common: Common) -> None:
        answers = Answers(inside)
        if error is not None:
            answers.record_llm_response(self._model, complete=False, **common)
            if isinstance(error, Exception):
                emit(Error, inside, {"status": "error"}, described_error(error))
        else:
            answers.record_llm_response(self._model, **answer_of(self.output), **common)


class Answers(Verbs):
    """Records into the inside of a call."""

    _may_stop = False  # the answer is paid for, and the agent's: the next call is stopped

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def _scope(self) -> Scope:
        return self.scope


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
