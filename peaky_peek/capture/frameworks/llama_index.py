"""LlamaIndex, by handlers of its root dispatcher: agents, workflows and their steps, tools, retrieval, handoffs.

The dispatcher is LlamaIndex's own instrumentation, and all others lead to its root. It tells of spans and events where
they happen, in the context of what happens. Of its many spans those are recorded that users think in; the steps that
LlamaIndex's own agents are made of are none of them.

An `AgentWorkflow` is one run of several agents. Which of them is at work, its steps say.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

from peaky_peek.capture import faults
from peaky_peek.capture.call_spans import ToolSpan
from peaky_peek.capture.context import CURRENT
from peaky_peek.capture.frameworks.llama_index_models import answer_of, request_of
from peaky_peek.capture.frameworks.plain import plain
from peaky_peek.capture.frameworks.runs import Runs
from peaky_peek.capture.spans import Paused
from peaky_peek.capture.verbs import Common

_runs = Runs("llama_index")
_handlers: list[tuple[list[Any], Any]] = []
"""What is installed, and the list of LlamaIndex that it is in."""


def install() -> None:
    """Have LlamaIndex tell of its spans and events."""
    if _handlers:
        return
    instrumentation = "llama_index.core.instrumentation"
    spans = import_module(f"{instrumentation}.span_handlers").BaseSpanHandler
    events = import_module(f"{instrumentation}.event_handlers").BaseEventHandler
    root = import_module(instrumentation).get_dispatcher()
    root.add_span_handler(span_handler := type("PeakyPeekSpans", (_Spans, spans), {})())
    root.add_event_handler(event_handler := type("PeakyPeekEvents", (_Events, events), {})())
    _handlers.extend([(root.span_handlers, span_handler), (root.event_handlers, event_handler)])


def uninstall() -> None:
    """Undo `install`."""
    for installed, handler in _handlers:
        installed[:] = [each for each in installed if each is not handler]
    _handlers.clear()
    _runs.clear()


class _Turn:
    """An agent that is at work in a workflow of several, and what it said last."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.said: Any = None


class _Spans:
    """What LlamaIndex tells of spans; `BaseSpanHandler` is mixed in when it is there."""

    def new_span(
        self, id_: str, bound_args: Any, instance: Any = None, parent_span_id: str | None = None, **_: Any
    ) -> None:
        """Begin what a span is recorded as."""
        _begin(id_, bound_args.arguments, instance, parent_span_id)

    def prepare_to_exit_span(self, id_: str, *_: Any, result: Any = None, **__: Any) -> None:
        """End it."""
        _end(id_, result, None)

    def prepare_to_drop_span(self, id_: str, *_: Any, err: BaseException | None = None, **__: Any) -> None:
        """End it with an error."""
        _end(id_, None, err)


class _Events:
    """What LlamaIndex tells of model calls, and of what is cancelled.

    The span of a model call ends before somebody has read its stream, and that of a cancelled step as if nothing were.
    """

    def handle(self, event: Any, **_: Any) -> None:
        """Take note of an event."""
        _told(event)


@faults.guarded
def _told(event: Any) -> None:
    kind, run = type(event).__name__, _model(event.span_id)
    if kind in ("LLMChatStartEvent", "LLMCompletionStartEvent"):
        _runs.model(run, functools.partial(request_of, event))
    elif kind in ("LLMChatEndEvent", "LLMCompletionEndEvent"):
        _runs.ended(run, response=functools.partial(answer_of, event.response))
    elif kind == "ExceptionEvent":
        _runs.ended(run, error=event.exception)
    elif kind == "SpanCancelledEvent":
        _end(event.span_id, None, Paused())


def _model(span: Any) -> tuple[str, Any]:
    return ("model", span)


def _agent(workflow_run: Any) -> tuple[str, Any]:
    """Return the id of the run of the agent that is at work in a workflow."""
    return ("agent", workflow_run)


@faults.guarded
def _begin(span: str, given: dict[str, Any], instance: Any, parent: str | None) -> None:
    method = span.rsplit("-", 5)[0].rpartition(".")[2]
    workflow = _runs.about(parent)
    if method == "run" and "start_event" in given:
        _runs.agent(span, _name_of(instance), within=(parent,), input=_asked(given["start_event"]), about=instance)
    elif instance is None and workflow is not None and hasattr(type(workflow), method):
        _begin_step(span, method, given, workflow, parent)
    elif method in ("call", "acall", "__call__") and isinstance(name := _tool_name(instance), str):
        _begin_tool(span, given, name, parent)
    elif method in ("retrieve", "aretrieve") and "str_or_query_bundle" in given:
        _runs.tool(span, "retrieve", {"query": _text(given["str_or_query_bundle"])}, within=(parent,))
    elif method in ("query", "aquery", "chat", "achat") and (_ENGINES & given.keys()):
        around = CURRENT.get()
        if around is None or around.tool is None:  # else it is what the tool does
            asked = next(given[name] for name in _ENGINES if name in given)
            _runs.agent(span, type(instance).__name__, within=(parent,), input=_text(asked))


_ENGINES = {"str_or_query_bundle", "message"}
"""What query engines and chat engines are asked."""


def _begin_step(span: str, step: str, given: dict[str, Any], workflow: Any, run: Any) -> None:
    """Begin a step of a workflow: the user's own, or one that says what an agent does."""
    event = given.get("ev")
    if not getattr(type(workflow), step).__module__.startswith("llama_index."):
        asked = {name: plain(value) for name, value in given.items() if not _is_context(value)}
        _runs.agent(span, step, within=(run,), input=asked or None, common={"data": {"node": step}})
    elif step == "run_agent_step":
        if hasattr(workflow, "agents"):
            _take_turn(event, run)
        _runs.step(span, within=(_agent(run), run), about=_runs.about(_agent(run)))
    elif step == "call_tool" and event is not None:
        turn = _runs.about(_agent(run))
        common: Common = {}
        if turn is not None and event.tool_name == "handoff":
            common["metadata"] = {"handoff": {"from": turn.name, "to": event.tool_kwargs.get("to_agent")}}
        within = (_agent(run), run)
        _runs.tool(span, event.tool_name, event.tool_kwargs, call_id=event.tool_id, within=within, common=common)


def _take_turn(event: Any, run: Any) -> None:
    """Begin the run of the agent that is at work now, unless it was before."""
    turn = _runs.about(_agent(run))
    if turn is not None and turn.name == event.current_agent_name:
        return
    if turn is not None:
        _runs.ended(_agent(run), turn.said)
    turn = _Turn(event.current_agent_name)
    asked = next((_text(message) for message in reversed(event.input) if message.role == "user"), None)
    _runs.agent(_agent(run), turn.name, within=(run,), input=asked, enter=False, about=turn)


def _begin_tool(span: str, given: dict[str, Any], name: str, parent: str | None) -> None:
    """Begin a tool that is called, unless it is what the span around it calls."""
    around = _runs.scope_of(parent)
    if around is not None and around.tool is not None and around.tool.name == name:
        return
    arguments = {key: value for key, value in given.items() if key not in ("args", "kwargs")}
    arguments |= {f"arg{number}": value for number, value in enumerate(given.get("args") or ())}
    arguments |= given.get("kwargs") or {}
    _runs.tool(span, name, {key: value for key, value in arguments.items() if not _is_context(value)}, within=(parent,))


@faults.guarded
def _end(span: str, result: Any, error: BaseException | None) -> None:
    if error is not None:
        _runs.ended(_model(span), error=error)
    turn = _runs.about(_agent(span))
    if turn is not None:
        _runs.ended(_agent(span), turn.said, error)
    scope, about = _runs.scope_of(span), _runs.about(span)
    if scope is None:  # one of the many that are not recorded
        _runs.ended(span)
    elif isinstance(about, _Turn):
        about.said = _said(result)
        _runs.ended(span)
    elif scope.tool is None:
        _runs.ended(span, _said(result), error)
    elif error is None and result is None:  # a step that waits for somebody, and is done again then
        _runs.ended(span, error=Paused())
    else:
        _end_tool(span, result, error)


def _end_tool(span: str, result: Any, error: BaseException | None) -> None:
    output = getattr(result, "tool_output", result)
    told: BaseException | str | None = error
    if getattr(output, "is_error", False):
        told = getattr(output, "exception", None) or faults.text(output.content)
        output = None
    ended = _runs.ended(span, _result(output), told)
    is_handoff = getattr(result, "tool_name", None) == "handoff"
    if is_handoff and told is None and isinstance(ended, ToolSpan):
        ended.leads_to(result.tool_kwargs.get("to_agent"))


def _result(output: Any) -> Any:
    """Return what a tool returned, as data; nodes with their scores."""
    if isinstance(output, list):
        return [_node(each) for each in output]
    raw = getattr(output, "raw_output", output)
    if raw is None or type(raw).__module__.startswith("llama_index."):
        return getattr(output, "content", plain(raw))
    return plain(raw)


def _node(found: Any) -> Any:
    node = getattr(found, "node", None)
    if node is None:
        return plain(found)
    return {
        "id": node.node_id, "score": found.score, "text": node.get_content(), "metadata": plain(node.metadata) or None,
    }  # fmt: skip


def _said(result: Any) -> Any:
    """Return the text that something ended with, or the data that was asked for."""
    result = getattr(result, "result", result)
    structured = getattr(result, "structured_response", None)
    if structured is not None:
        return plain(structured)
    return _text(result) if type(result).__module__.startswith("llama_index.") else plain(result)


def _asked(start: Any) -> Any:
    """Return what a workflow is started with: the question, or what else its user gives it."""
    question = start.get("user_msg")
    if question is not None:
        return _text(question)
    return {key: plain(value) for key, value in start.items() if value is not None} or None


def _text(value: Any) -> Any:
    """Return the text of a message, an answer or a query; of a stream, which only its reader may read, nothing."""
    if value is None or isinstance(value, str):
        return value
    said = getattr(value, "response", value)
    if isinstance(said, str):
        return said or None
    for name in ("content", "query_str", "text"):
        if hasattr(said, name):
            text = getattr(said, name)
            return text if isinstance(text, str) else None
    return None if said is value else plain(said)


def _name_of(workflow: Any) -> str:
    """Return the name that a user gave to an agent, else that of its class."""
    name = getattr(workflow, "name", None)
    return name if isinstance(name, str) and name not in ("", "Agent") else type(workflow).__name__


def _tool_name(tool: Any) -> Any:
    return getattr(getattr(tool, "metadata", None), "name", None)


def _is_context(value: Any) -> bool:
    return type(value).__name__ == "Context" and type(value).__module__.startswith(("workflows.", "llama_index."))
