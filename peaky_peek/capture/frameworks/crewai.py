"""CrewAI: crews, their tasks and agents, flows that the user wrote, tools, guardrails and hooks that deny.

The events of CrewAI's bus tell of all of them. Handlers that are registered on the bus are called later, in threads of
a pool: too late to be the place where a model call happens. So `CrewAIEventsBus.emit` is wrapped. It is documented for
whoever has events of his own, every event passes through it, when it happens and in the context where it happens. Of
the events only the types and fields are used that CrewAI documents for listeners.

An end closes the innermost of its kind that is open in its context. CrewAI's own pairs (`started_event_id`) are not
used: it tells of a failed model call twice, and every pair after that is off.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from importlib import import_module
from typing import Any, NamedTuple, Self

from peaky_peek.capture import faults
from peaky_peek.capture.context import scope_for_event
from peaky_peek.capture.frameworks import crewai_words as words
from peaky_peek.capture.frameworks.runs import Runs
from peaky_peek.capture.frameworks.spans import task_from
from peaky_peek.capture.patching import Method, Patch, Patches
from peaky_peek.capture.providers.fields import loads
from peaky_peek.capture.recent import Recent
from peaky_peek.capture.tracebacks import stepping_out
from peaky_peek.capture.verbs import Common, emit
from peaky_peek.capture.wrapping import Unseen, wrap
from peaky_peek.events import SafetyCheck

_runs = Runs("crewai")


class _Open(NamedTuple):
    """What has begun in a context: its kind, and the id of the event that said so."""

    kind: str
    run: str


_open: ContextVar[tuple[_Open, ...]] = ContextVar("peaky_peek_crewai", default=())
"""The innermost last. A tuple: contexts that are copied from one another must not change each other's."""
_asked = Recent[str, list[words.Asked]](1000)
"""By the run of an agent: the tools that its model asked for last."""


def install() -> None:
    """Record what crews do from now on.

    Raises:
        AttributeError: if the bus has no `emit`.
    """
    if not hasattr(import_module("crewai.events.event_bus").CrewAIEventsBus, "emit"):
        raise AttributeError("CrewAIEventsBus has no method emit")
    _patches.install()


def uninstall() -> None:
    """Undo `install`."""
    _patches.uninstall()
    _runs.clear()
    _asked.clear()


def _emitting(original: Method) -> Method:
    def emit(self: Any, source: Any, event: Any, *args: Any, **kwargs: Any) -> Any:
        if _patches.installed:
            _told(source, event)
        with stepping_out:
            return original(self, source, event, *args, **kwargs)

    return emit


class _Kickoff(Unseen):
    """A kickoff. What it began is ended when it is interrupted: CrewAI tells of no end then."""

    def __init__(self) -> None:
        self._before = _open.get()

    def close(self, error: BaseException | None = None) -> None:
        if error is not None:
            _cut_short(self._before, error)


class _Asking(Unseen):
    """What is asked of a model that somebody wrote himself: CrewAI has no event for it.

    If an event or the wire tells of it too, it is theirs.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._request = functools.partial(words.request_of, args[0], args[1:], kwargs)

    def open(self) -> Self:
        _runs.model(self, self._request)
        return self

    def close(self, error: BaseException | None = None) -> None:
        _answered(self, error)


@faults.guarded
def _answered(asking: _Asking, error: BaseException | None) -> None:
    if error is None:
        _note_asked(asking.output)
        _runs.ended(asking, response=functools.partial(words.answer_of, asking.output))
    else:
        _runs.ended(asking, error=error)


def _kicking_off(original: Method) -> Method:
    return wrap(original, lambda *_: _Kickoff() if _patches.installed else Unseen())


def _calling(original: Method) -> Method:
    return wrap(original, lambda args, kwargs: _Asking(args, kwargs) if _patches.installed else Unseen())


_patches = Patches(
    Patch("crewai.events.event_bus", "CrewAIEventsBus", ("emit",), _emitting),
    Patch("crewai.crew", "Crew", ("kickoff", "akickoff"), _kicking_off),
    Patch("crewai.llms.base_llm", "BaseLLM", ("call", "acall"), _calling, heirs=True),
)


@faults.guarded
def _told(source: Any, event: Any) -> None:
    """Take note of an event, of which the bus knows nothing yet."""
    kind = event.type
    if begin := _BEGINNINGS.get(kind):
        begin(source, event)
    elif ended := _ENDS.get(kind):
        if ended not in ("flow", "method") or _is_users(source):
            _close(ended + (event.call_id if ended == "model" else ""), event)
    elif kind == "llm_guardrail_completed":
        outcome = "pass" if event.success else "fail"
        _checked(event.guardrail_name or "guardrail", outcome, event.error)
    elif kind == "hook_dispatched" and event.outcome == "aborted":
        _checked(event.abort_source or "hook", "block", event.abort_reason, event.interception_point)


def _crew(crew: Any, event: Any) -> None:
    name = event.crew_name or "crew"
    first = next(iter(getattr(crew, "tasks", ())), None)
    session = {"task": task_from(getattr(first, "description", None))}
    _runs.agent(event.event_id, name, input=event.inputs or None, common={"data": {"crew": name}}, session=session)
    _opened("crew", event)


def _task(_: Any, event: Any) -> None:
    task = event.task
    given = {"description": task.description, "expected_output": task.expected_output, "context": event.context or None}
    name = task.name or words.headline(task.description)
    asked = {key: value for key, value in given.items() if value is not None}
    _runs.agent(event.event_id, name, input=asked, common={"data": {"task": name}})
    _opened("task", event)


def _agent(_: Any, event: Any) -> None:
    _runs.agent(event.event_id, event.agent.role.strip(), input=event.task_prompt)
    _opened("agent", event)


def _lite_agent(_: Any, event: Any) -> None:
    _runs.agent(event.event_id, str(event.agent_info.get("role") or "agent").strip(), input=event.messages)
    _opened("agent", event)


def _flow(source: Any, event: Any) -> None:
    if _is_users(source):
        _runs.agent(event.event_id, event.flow_name, input=event.inputs or None)
        _opened("flow", event)


def _method(source: Any, event: Any) -> None:
    if _is_users(source):
        common: Common = {"data": {"node": event.method_name}}
        _runs.agent(event.event_id, event.method_name, input=event.params or None, common=common)
        _opened("method", event)


def _tool(_: Any, event: Any) -> None:
    arguments = event.tool_args
    if isinstance(arguments, str):
        read = loads(arguments)
        arguments = read if isinstance(read, dict) else arguments
    common: Common = {}
    if event.tool_name in _DELEGATING and isinstance(arguments, dict):
        target = words.stripped(arguments.get("coworker"))
        common["metadata"] = {"handoff": {"from": words.stripped(event.agent_role), "to": target}}
    _runs.tool(event.event_id, event.tool_name, arguments, call_id=_call_id(event.tool_name, arguments), common=common)
    _opened("tool", event)


def _model(_: Any, event: Any) -> None:
    _runs.model(event.event_id, functools.partial(words.request, event))
    _opened("model" + event.call_id, event)


_BEGINNINGS: dict[str, Callable[[Any, Any], None]] = {
    "crew_kickoff_started": _crew,
    "task_started": _task,
    "agent_execution_started": _agent,
    "lite_agent_execution_started": _lite_agent,
    "flow_started": _flow,
    "method_execution_started": _method,
    "tool_usage_started": _tool,
    "llm_call_started": _model,
}
_ENDS = {
    "crew_kickoff_completed": "crew", "crew_kickoff_failed": "crew",
    "task_completed": "task", "task_failed": "task",
    "agent_execution_completed": "agent", "agent_execution_error": "agent",
    "lite_agent_execution_completed": "agent", "lite_agent_execution_error": "agent",
    "flow_finished": "flow", "flow_failed": "flow", "flow_paused": "flow",
    "method_execution_finished": "method", "method_execution_failed": "method", "method_execution_paused": "method",
    "tool_usage_finished": "tool", "tool_usage_error": "tool",
    "llm_call_completed": "model", "llm_call_failed": "model",
}  # fmt: skip
_DELEGATING = ("delegate_work_to_coworker", "ask_question_to_coworker")


def _opened(kind: str, event: Any) -> None:
    _open.set((*_open.get(), _Open(kind, event.event_id)))


def _close(kind: str, event: Any) -> None:
    """End the innermost of a kind, and with it what began inside and was not told to have ended."""
    known = _open.get()
    at = next((at for at in reversed(range(len(known))) if known[at].kind == kind), None)
    if at is None:  # told of before: a model call fails twice
        return
    _open.set(known[:at])
    run, error = known[at].run, words.error(event)
    for inner in reversed(known[at + 1 :]):
        _runs.ended(inner.run, error=error)
    if kind.startswith("model"):
        _note_asked(getattr(event, "response", None))
        _runs.ended(run, error=error, response=functools.partial(words.answer, event))
        return
    inside = _runs.scope_of(run)
    if getattr(event, "from_cache", False) and inside is not None:
        inside.tool.facts["from_cache"] = True
    _runs.ended(run, words.output(event), error)
    _asked.pop(run, None)


@faults.guarded
def _cut_short(before: tuple[_Open, ...], error: BaseException) -> None:
    """End what began since."""
    known = _open.get()
    for each in reversed(known[len(before) :]):
        _runs.ended(each.run, error=error)
    _open.set(before)


def _note_asked(answer: Any) -> None:
    """Remember the tools that a model asked for: the events of tools do not say which call they answer."""
    agent = next((each.run for each in reversed(_open.get()) if each.kind == "agent"), None)
    if agent is not None:
        _asked[agent] = words.calls(answer)


def _call_id(name: str, arguments: Any) -> str | None:
    """Return the model's id of the call that a tool answers, which may be one of several in parallel threads."""
    agent = next((each.run for each in reversed(_open.get()) if each.kind == "agent"), None)
    asked = _asked.get(agent or "", [])
    same = [each for each in asked if each.name == name]
    for each in [each for each in same if each.arguments == arguments] or same:
        try:
            asked.remove(each)
        except ValueError:  # another thread was faster
            continue
        return each.call_id
    return None


def _checked(policy: str, outcome: str, rationale: str | None, blocked_action: str | None = None) -> None:
    typed = {
        "policy_name": policy, "outcome": outcome, "rationale": rationale, "blocked_action": blocked_action,
    }  # fmt: skip
    if (scope := scope_for_event()) is not None:
        emit(SafetyCheck, scope, {}, typed)


def _is_users(source: Any) -> bool:
    """Tell whether somebody wrote a flow: CrewAI's agents run on flows of its own."""
    return not type(source).__module__.startswith("crewai.")
