"""What a framework's agents and model calls are recorded as, in `Runs`; its tools are `call_spans.ToolSpan`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from peaky_peek import ids
from peaky_peek.capture import context, program
from peaky_peek.capture.call_spans import Answers
from peaky_peek.capture.context import CURRENT, Scope
from peaky_peek.capture.frameworks.plain import plain
from peaky_peek.capture.recorder import recorder
from peaky_peek.capture.spans import TraceContext, described_error, status_of
from peaky_peek.capture.task import task_of
from peaky_peek.capture.verbs import Common, emit
from peaky_peek.events import Decision, Error, LLMRequest


def task_from(given: Any) -> str | None:
    """Return the task that an agent has by what it is given."""
    return task_of(plain(given), recorder().redactor.clean_text)


class AgentSpan(TraceContext):
    """A run of an agent of a framework: a session, or an agent span in the one that is open."""

    def __init__(
        self, name: str, framework: str, input: Any = None, common: Common | None = None, **session: Any,  # noqa: A002
    ) -> None:  # fmt: skip
        super().__init__(name, framework, input=input, **session)
        self._common = common or {}

    def _facts(self) -> dict[str, Any]:
        return {"code_hash": program.code_hash(), "task": task_from(self._input)}


class ModelSpan:
    """A model call of a framework. The wire records it better; what the wire does not see is recorded here.

    Attributes:
        seen: whether the wire has seen a request of it.
        inside: the scope in which the request is sent.
        request: makes the fields of the `llm_request`, when they are needed.
    """

    def __init__(self, scope: Scope, request: Callable[[], dict[str, Any]]) -> None:
        self.seen = False
        outside = CURRENT.get()
        self._around = scope.model if outside is None or outside.closed else outside.model
        self.inside = replace(scope, model=self, outside=outside)
        self.request = request
        self._stamp = ids.stamp()

    def see(self) -> None:
        """Say that the call is recorded, and with it the one that it was made for: a model may be asked by a model."""
        self.seen = True
        if self._around is not None:
            self._around.see()

    def close(self, response: Callable[[], dict[str, Any]], error: BaseException | str | None = None) -> None:
        """End, with what makes the fields of the `llm_response`."""
        scope = self.inside
        scope.closed = True
        if self.seen or context.paused or not scope.session.sampled:
            return
        self.see()
        asked = self.request()
        place = (scope.session.id, scope.parent_id, scope.agent)
        name = asked.get("model") or asked.get("provider") or "model"
        request = recorder().record(LLMRequest.of(place, self._stamp, name, asked))
        took = (context.now_us() - (request.time_us or 0)) / 1000
        answers = Answers(Scope(scope.session, request.id, scope.agent, scope.inferred))
        said = response() if error is None else {"complete": False}
        said = {"model": asked.get("model"), **said}
        status = status_of(error)
        answer = answers.record_llm_response(**said, duration_ms=took, status=status)
        if error is not None and status == "error":
            emit(Error, answers.scope, {"status": "error"}, described_error(error))
        if answer.tool_calls:
            self._decide(asked, answer.tool_calls, answer.content or answer.thinking)

    def _decide(self, asked: dict[str, Any], calls: list[Any], reasoning: Any) -> None:
        """Record the decision that calling tools is, as the wire would have."""
        chosen = [str(call.get("name")) for call in calls if isinstance(call, dict)]
        offered = [str(tool.get("name")) for tool in asked.get("tools") or [] if isinstance(tool, dict)]
        typed = {
            "chosen_action": ", ".join(chosen), "reasoning": reasoning if isinstance(reasoning, str) else None,
            "alternatives": [name for name in offered if name not in chosen],
        }  # fmt: skip
        emit(Decision, replace(self.inside, model=None), {"metadata": {"derived": True}}, typed)
