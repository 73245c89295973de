"""What the OpenAI Agents SDK tells of a run: its spans say when something begins and ends, its run hooks what it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from peaky_peek.capture import context, faults
from peaky_peek.capture.call_spans import ToolSpan
from peaky_peek.capture.context import scope_for_event
from peaky_peek.capture.frameworks import openai_agents_messages as messages
from peaky_peek.capture.frameworks import workflows
from peaky_peek.capture.frameworks.runs import Runs
from peaky_peek.capture.frameworks.spans import AgentSpan
from peaky_peek.capture.frameworks.workflows import Workflow
from peaky_peek.capture.providers.fields import arguments
from peaky_peek.capture.recent import Recent
from peaky_peek.capture.verbs import Common, emit
from peaky_peek.events import SafetyCheck

FRAMEWORK = "openai_agents"
APPROVAL = "approval"
"""The policy that says whether a tool may run that needs approval."""
_UNNAMED = "Agent workflow"
"""What the SDK calls a trace that the user has not named."""

runs = Runs(FRAMEWORK)
_workflows: dict[str, Workflow] = {}
"""By the id of the trace or span that opened them."""
_sessions = Recent[str, str](1000)
"""The sessions of traces, by the trace's id: they may be taken up again, after an approval."""


@dataclass(slots=True, eq=False)
class Start:
    """A run that was asked for."""

    agent: Any
    input: Any
    thread: str | None
    config: Any


@dataclass(slots=True, eq=False)
class Seen:
    """What is known of a span until it ends."""

    around: BaseException | None
    """The exception that was being handled when it began: none of its own."""
    error: BaseException | str | None = None
    output: Any = None
    answer: tuple[Any, Any] | None = None
    """An agent, and what its model said last."""

    def new_error(self) -> BaseException | None:
        """Return the exception that is on its way here, if it was not there before."""
        error = sys.exception()
        return None if error is self.around else error


START: ContextVar[Start | None] = ContextVar("peaky_peek_openai_agents_start", default=None)
seen_of = Recent[str, Seen](10_000)
"""By the id of the span."""


class Processor:
    """Is told by the SDK of its traces and spans, among other processors."""

    @faults.guarded
    def on_trace_start(self, trace: Any) -> None:
        """A trace begins: that of a run, or one in which the user puts several."""
        seen_of[trace.trace_id] = Seen(sys.exception())
        _begin_workflow(trace.trace_id, trace.trace_id, trace.name, getattr(trace, "group_id", None))

    @faults.guarded
    def on_trace_end(self, trace: Any) -> None:
        """A trace is over."""
        seen = seen_of.pop(trace.trace_id, None)
        if seen is not None:
            _end_workflow(trace.trace_id, seen.new_error())

    @faults.guarded
    def on_span_start(self, span: Any) -> None:
        """Something begins."""
        begun = _BEGINS.get(span.span_data.type)
        if begun is not None:
            seen_of[span.span_id] = Seen(sys.exception())
            begun(span)

    @faults.guarded
    def on_span_end(self, span: Any) -> None:
        """Something is over: in the midst of the exception that leaves it, if one does."""
        seen = seen_of.pop(span.span_id, None)
        if seen is not None:
            _ENDS[span.span_data.type](span, seen, seen.new_error())

    def shutdown(self, timeout: float | None = None) -> None:
        """Nothing is kept back."""

    def force_flush(self) -> None:
        """Nothing is kept back."""


PROCESSOR = Processor()


def _begin_workflow(key: str, trace_id: str, name: str, group: str | None = None) -> None:
    """Open a session for the agents of a trace, or take up again that of a run that waited for an approval."""
    start = START.get()
    if name == _UNNAMED and start is not None:
        name = messages.agent_name(start.agent)
    known = _sessions.get(trace_id)
    workflow = workflows.begin(
        name, FRAMEWORK, input=start and messages.given(start.input), thread=group,
        session_id=None if known in context.open_sessions else known,
    )  # fmt: skip
    if workflow is not None:
        _workflows[key] = workflow
        _sessions[trace_id] = workflow.session_id


def _end_workflow(key: str, error: BaseException | None) -> None:
    workflow = _workflows.pop(key, None)
    if workflow is not None:
        workflow.close(error)


def _task_begins(span: Any) -> None:
    """A run begins; one that is taken up again tells of no trace."""
    _begin_workflow(span.span_id, span.trace_id, span.span_data.name)


def _task_ends(span: Any, _: Seen, error: BaseException | None) -> None:
    _end_workflow(span.span_id, error)


def _agent_begins(span: Any) -> None:
    start = START.get()
    given = None
    if start is not None:  # the others of the run are handed what was said until then
        given, start.input = start.input, None
    thread = None if start is None else start.thread
    runs.agent(span.span_id, span.span_data.name, input=messages.given(given), thread=thread)
    for item, approved in messages.decided(given):
        asked = {"blocked_action": None if approved else item.tool_name, "evidence": item.raw_item}
        check(APPROVAL, "pass" if approved else "block", **asked)


def _agent_ends(span: Any, seen: Seen, error: BaseException | None) -> None:
    is_stopped = hasattr(error, "guardrail_result")  # then it was not the model that failed
    runs.ended(_model(span.span_id), error=GeneratorExit() if is_stopped else error)
    told = span.error or {}
    is_handled = seen.output is not None and "guardrail" not in (told.get("data") or {})
    said = None if error is not None or is_handled else messages.error_text(told)
    scope = runs.scope_of(span.span_id)
    agent = runs.ended(span.span_id, seen.output, error or said)
    for workflow in list(_workflows.values()):
        if isinstance(agent, AgentSpan) and workflow.session_id == agent.session_id:
            workflow.output = agent.output if seen.output is not None else workflow.output
            if scope is not None and scope.outside is not None and scope.outside.agent is None:
                workflow.error = said  # of a stream only its reader is told by an exception


def _tool_ends(span: Any, seen: Seen, error: BaseException | None) -> None:
    data, told = span.span_data, messages.error_text(span.error)
    output = data.output if seen.output is None else seen.output
    played = getattr(runs.served(span.span_id), "error", None)  # of a tool that is not run: it was when it was recorded
    if runs.ended(span.span_id, output, seen.error or error or told or played) is not None or error is not None:
        return
    if told is not None:  # it did not run
        check(APPROVAL, "block", rationale=told, blocked_action=data.name, evidence=data.input)
    elif output is None and data.input is not None:
        check(APPROVAL, "warn", rationale="waits for approval", blocked_action=data.name, evidence=data.input)


def _handoff_begins(span: Any) -> None:
    seen = seen_of.get(_agent_run() or "")
    call = messages.handoff(*seen.answer) if seen is not None and seen.answer else None
    if call is not None:
        common: Common = {"metadata": {"handoff": {"from": span.span_data.from_agent, "to": call.target}}}
        runs.tool(span.span_id, call.name, call.arguments, call_id=call.call_id, common=common)


def _handoff_ends(span: Any, _: Seen, error: BaseException | None) -> None:
    target = span.span_data.to_agent
    tool = runs.ended(span.span_id, target, error)
    if tool is None and target is not None:
        runs.handoff(span.span_data.from_agent, target)
    elif isinstance(tool, ToolSpan) and target is not None:
        tool.leads_to(target)


def _nothing(span: Any) -> None:
    """A hook tells what it is."""


_BEGINS: dict[str, Callable[[Any], None]] = {
    "task": _task_begins, "agent": _agent_begins, "function": _nothing, "handoff": _handoff_begins,
}  # fmt: skip
_ENDS: dict[str, Callable[[Any, Seen, BaseException | None], None]] = {
    "task": _task_ends, "agent": _agent_ends, "function": _tool_ends, "handoff": _handoff_ends,
}  # fmt: skip


def _model(agent_run: str) -> tuple[str, str]:
    """Return the id of the model call that an agent makes."""
    return ("model", agent_run)


def _current_span() -> Any:
    """Return the span here, None if there is none or the user has switched them off."""
    span = sys.modules["agents.tracing"].get_current_span()
    return None if span is None or span.span_id == "no-op" else span


def _agent_run() -> str | None:
    """Return the id of the agent's span, for code that runs in it or in a turn of it."""
    span = _current_span()
    if span is None:
        return None
    return str(span.span_id if span.span_data.type == "agent" else span.parent_id)


@faults.guarded
def _model_begins(_: Any, agent: Any, instructions: Any, items: Any, *__: Any) -> None:
    run, start = _agent_run(), START.get()
    if run is not None:
        config = None if start is None else start.config
        runs.model(_model(run), lambda: messages.request(agent, config, instructions, items))


@faults.guarded
def _model_ends(_: Any, agent: Any, response: Any, *__: Any) -> None:
    run = _agent_run()
    if run is not None:
        runs.ended(_model(run), response=lambda: messages.response(response))
        if run in seen_of:
            seen_of[run].answer = agent, response


@faults.guarded
def _agent_returns(_: Any, __: Any, output: Any, *___: Any) -> None:
    run = _agent_run()
    if run is not None and run in seen_of:
        seen_of[run].output = output


@faults.guarded
def _tool_begins(context: Any, _: Any, tool: Any, *__: Any) -> None:
    span = _current_span()
    if span is not None and span.span_data.type == "function":
        call = messages.tool_call(context, tool, span.span_data)
        runs.tool(span.span_id, span.span_data.name, call.arguments, call_id=call.call_id, common=call.common)


@faults.guarded
def _tool_returns(_: Any, __: Any, tool: Any, result: Any, *___: Any) -> None:
    span = _current_span()
    if span is not None and span.span_id in seen_of:
        seen = seen_of[span.span_id]
        seen.output, seen.error = result, seen.error or messages.timeout(tool, result)


TOLD = {
    "on_llm_start": _model_begins, "on_llm_end": _model_ends, "on_agent_end": _agent_returns,
    "on_tool_start": _tool_begins, "on_tool_end": _tool_returns,
}  # fmt: skip


def check(policy: str, outcome: str, *, evidence: Any = None, data: Any = None, **typed: Any) -> None:
    """Record that a guardrail or a person looked at something, and with which outcome."""
    evidence = None if evidence is None else [arguments(evidence)]
    typed |= {"policy_name": policy, "outcome": outcome, "evidence": evidence}
    emit(SafetyCheck, scope_for_event(), {"data": data or {}}, typed)


def clear() -> None:
    """Forget everything."""
    runs.clear()
    for known in (_workflows, _sessions, seen_of):
        known.clear()
